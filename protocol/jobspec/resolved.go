package jobspec

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"time"
)

// Resolved is a job with nothing left to default: what is digested, signed,
// approved and shown. Values come from Resolve and ParseResolved and are not
// changed afterwards.
type Resolved struct {
	Name           string
	Contract       ContractRef
	ContractDigest [32]byte
	Kind           string   // KindExact or KindPrivate
	Mode           string   // ModeSealed or, in private jobs, ModeNoised
	Participants   []string // sorted; empty only if the charter wasn't known
	Committee      Committee
	F              int           // private: the charter's f that the noise was calculated with; exact: 0
	NMin           int           // private: fewest contributors whose sum is opened; exact: 0, all are needed
	RoundTimeout   time.Duration // whole milliseconds
	Expires        time.Duration // after the manifest's creation, whole milliseconds
	Seed           uint64
	Holdout        Holdout
	Private        *Private // nil in exact jobs

	// What follows is the program.
	Contributors int // participants of the cohort
	Bits         int // of one value in a sealed sum
	MaxRows      int64
	Features     []Feature
	Model        Model
	Metrics      []string // empty without a hold-out
	Classes      []string // of the label; nil: two values, or a number
	Target       *Target  // a label that is a number; nil: it isn't
	Weighting    *RowWeighting
	Start        *Start
	Groups       []Group // empty: the model isn't evaluated by groups
	MinGroup     int64   // held-out rows below which a group isn't shown; 0 without groups
}

// Feature is one column of the contract as the model sees it. Min, Max, Log1p,
// Standardize, Clip and Scale are for numbers, Values and MinCount for categories;
// Standardize, Clip and MinCount for exact jobs, Scale for private ones.
type Feature struct {
	Name             string
	Kind             Kind // Number, Category, Cross, kindBuckets or kindDatePart
	Min, Max         float64
	Values           []string
	Of               []string // of a cross: the features before it that it combines
	HashBuckets      int64    // in place of Values, of an open category or a cross
	Nullable         bool
	Log1p            bool
	Standardize      bool
	Clip             float64 // standard deviations
	Scale            bool    // by the declared range to [-1, 1]; always in private jobs
	MissingIndicator bool
	MinCount         int64 // rows

	Buckets   *Buckets  // kindBuckets
	Quantiles []float64 // two, of a number that is clamped to them; nil: it isn't
	Date      *DatePart // kindDatePart, and days of a date
}

// Outputs returns how many columns the model has, the intercept included: one
// per number, one per value or bucket and one for other per category or cross, one per indicator.
func (r *Resolved) Outputs() int {
	n := 1
	for _, f := range r.Features {
		n++
		n += f.codes()
		if f.MissingIndicator {
			n++
		}
	}
	return n
}

type resolvedJSON struct {
	Version        int          `json:"version"`
	Name           string       `json:"name"`
	Contract       string       `json:"contract"`
	ContractDigest string       `json:"contract_digest"`
	Privacy        string       `json:"privacy"`
	Mode           string       `json:"mode"`
	Participants   []string     `json:"participants"`
	Committee      Committee    `json:"committee"`
	F              *int         `json:"f,omitempty"`     // private jobs
	NMin           *int         `json:"n_min,omitempty"` // private jobs
	RoundTimeoutMs int64        `json:"round_timeout_ms"`
	ExpiresMs      int64        `json:"expires_ms"`
	Seed           uint64       `json:"seed"`
	Holdout        Holdout      `json:"holdout"`
	Private        *privateJSON `json:"private,omitempty"`
	Program        *programJSON `json:"program"`
}

type programJSON struct {
	Version      int            `json:"version"`
	Contributors int            `json:"contributors"`
	Bits         int            `json:"bits"`
	MaxRows      int64          `json:"max_rows"`
	Features     []featureJSON  `json:"features"`
	Model        modelJSON      `json:"model"`
	Private      *noiseJSON     `json:"private,omitempty"`
	Evaluate     evaluateJSON   `json:"evaluate"`
	Label        *labelJSON     `json:"label,omitempty"`
	Weighting    *weightingJSON `json:"weighting,omitempty"`
	Start        *startJSON     `json:"start,omitempty"`
}

// modelJSON writes the fields that a job's kind has, and only those.
type modelJSON struct {
	Type           string         `json:"type"`
	L1             float64        `json:"l1,omitempty"`
	L2             float64        `json:"l2"`
	Solver         string         `json:"solver"`
	MaxRounds      int64          `json:"max_rounds"`
	Tolerance      *float64       `json:"tolerance,omitempty"` // exact jobs
	Patience       int64          `json:"patience,omitempty"`
	StandardErrors bool           `json:"standard_errors,omitempty"`
	Factors        int64          `json:"factors,omitempty"`
	Averaging      *averagingJSON `json:"averaging,omitempty"`
	Sampling       *samplingJSON  `json:"sampling,omitempty"` // private jobs

	Recommendation *recommendationJSON `json:"recommendation,omitempty"`
}

type evaluateJSON struct {
	Holdout  bool     `json:"holdout"`
	Metrics  []string `json:"metrics"`
	Groups   []Group  `json:"groups,omitempty"`
	MinCount int64    `json:"min_count,omitempty"`
}

// featureJSON writes the fields that a feature's and a job's kind have, and only those.
type featureJSON struct {
	Name             string   `json:"name"`
	Kind             Kind     `json:"kind"`
	Min              *float64 `json:"min,omitempty"`
	Max              *float64 `json:"max,omitempty"`
	Values           []string `json:"values,omitempty"`
	Of               []string `json:"of,omitempty"`
	Buckets          int64    `json:"buckets,omitempty"`
	Nullable         bool     `json:"nullable"`
	Log1p            *bool    `json:"log1p,omitempty"`
	Standardize      *bool    `json:"standardize,omitempty"`
	Clip             *float64 `json:"clip,omitempty"`
	Scale            *bool    `json:"scale,omitempty"`
	MissingIndicator bool     `json:"missing_indicator"`
	MinCount         *int64   `json:"min_count,omitempty"`

	ClipQuantiles []float64 `json:"clip_quantiles,omitempty"`
	Edges         []float64 `json:"edges,omitempty"`
	Quantiles     int64     `json:"quantiles,omitempty"`
	Date          *DatePart `json:"date,omitempty"`
}

func (r *Resolved) program() *programJSON {
	m, private := r.Model, r.Private != nil
	p := &programJSON{
		Version: 1, Contributors: r.Contributors, Bits: r.Bits, MaxRows: r.MaxRows, Features: []featureJSON{},
		Model:    modelJSON{Type: m.Type, L1: m.L1, L2: m.L2, Solver: m.Solver, MaxRounds: m.MaxRounds, Patience: m.Patience, StandardErrors: m.StandardErrors, Factors: m.Factors, Averaging: m.Averaging.json(r.Seed), Sampling: r.samplingJSON(), Recommendation: m.Recommendation.json(r.Seed)},
		Evaluate: evaluateJSON{Holdout: !r.Holdout.None(), Metrics: append([]string{}, r.Metrics...), Groups: r.Groups, MinCount: r.MinGroup}, Label: r.label(), Weighting: r.Weighting.json(), Start: r.Start.json()}
	if private {
		p.Private = r.noiseProgram()
	} else {
		p.Model.Tolerance = &m.Tolerance
	}
	for _, f := range r.Features {
		j := featureJSON{Name: f.Name, Kind: f.Kind, Of: f.Of, Buckets: f.HashBuckets, Nullable: f.Nullable, MissingIndicator: f.MissingIndicator}
		j.derived(&f, private)
		switch {
		case f.Kind == kindBuckets || f.Kind == kindDatePart:
		case f.Kind != Number && private:
			j.Values = f.Values
		case f.Kind != Number:
			j.Values, j.MinCount = f.Values, &f.MinCount
		case private:
			if j.Min, j.Max, j.Log1p, j.Scale = &f.Min, &f.Max, &f.Log1p, &f.Scale; f.Standardize {
				j.Standardize, j.Clip = &f.Standardize, &f.Clip
			}
		default:
			j.Min, j.Max, j.Log1p, j.Standardize, j.Clip = &f.Min, &f.Max, &f.Log1p, &f.Standardize, &f.Clip
		}
		p.Features = append(p.Features, j)
	}
	return p
}

// Program returns the part of the job that the models read, as canonical JSON;
// it is contained in Canonical byte by byte.
func (r *Resolved) Program() []byte { return encode(r.program()) }

// Canonical returns the job's one encoding: JSON without spaces, fields in fixed
// order. At most MaxDocumentBytes.
func (r *Resolved) Canonical() []byte {
	out := resolvedJSON{
		Version: 1, Name: r.Name, Contract: r.Contract.String(), ContractDigest: hex.EncodeToString(r.ContractDigest[:]),
		Privacy: r.Kind, Mode: r.Mode, Participants: append([]string{}, r.Participants...), Committee: r.Committee,
		RoundTimeoutMs: r.RoundTimeout.Milliseconds(), ExpiresMs: r.Expires.Milliseconds(), Seed: r.Seed,
		Holdout: r.Holdout, Program: r.program()}
	if r.Private != nil {
		out.F, out.NMin, out.Private = &r.F, &r.NMin, r.Private.json()
	}
	return encode(out)
}

// Digest returns SHA-256("tributary/v1/spec" ‖ Canonical()).
func (r *Resolved) Digest() [32]byte { return digest(specDomain, r.Canonical()) }

// ParseResolved reads a canonical job and checks everything that Resolve ensures
// and that can be told without contract and charter; Conforms and CheckCommittee
// check the rest. In a private job it derives order, scale and all variances
// again from ε, δ, n_min, f, max_rows, bits and the program, and refuses any other
// (ErrNoise): a participant needs to compare only F with its charter's and NMin
// with the manifest's. The error wraps ErrNotCanonical and says what is wrong.
func ParseResolved(data []byte) (*Resolved, error) {
	var in resolvedJSON
	if err := decode(data, &in); err != nil {
		return nil, err
	}
	if in.Program == nil {
		return nil, fmt.Errorf("%w: there is no program", ErrNotCanonical)
	}
	ref, err := ParseContractRef(in.Contract)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotCanonical, err)
	}
	r := &Resolved{
		Name: in.Name, Contract: ref, Kind: in.Privacy, Mode: in.Mode, Participants: in.Participants, Committee: in.Committee,
		Seed: in.Seed, Holdout: in.Holdout, Contributors: in.Program.Contributors, Bits: in.Program.Bits,
		MaxRows: in.Program.MaxRows, Model: in.Program.Model.model(), Metrics: in.Program.Evaluate.Metrics,
		Groups: in.Program.Evaluate.Groups, MinGroup: in.Program.Evaluate.MinCount,
		Weighting: in.Program.Weighting.weighting(), F: or0(in.F), NMin: or0(in.NMin), Private: in.Private.private()}
	if b, err := hex.DecodeString(in.ContractDigest); err != nil || len(b) != len(r.ContractDigest) {
		return nil, fmt.Errorf("%w: contract_digest is not 32 bytes in hexadecimal", ErrNotCanonical)
	} else {
		copy(r.ContractDigest[:], b)
	}
	r.setLabel(in.Program.Label)
	f := newFindings(nil)
	r.Start = in.Program.Start.start(f.report)
	r.RoundTimeout = milliseconds(in.RoundTimeoutMs, maxRoundTimeout, f.report, "round_timeout_ms")
	r.Expires = milliseconds(in.ExpiresMs, maxExpires, f.report, "expires_ms")
	for _, j := range in.Program.Features {
		f := Feature{
			Name: j.Name, Kind: j.Kind, Min: or0(j.Min), Max: or0(j.Max), Values: j.Values, Of: j.Of, HashBuckets: j.Buckets, Nullable: j.Nullable, Log1p: or0(j.Log1p),
			Standardize: or0(j.Standardize), Clip: or0(j.Clip), Scale: or0(j.Scale), MissingIndicator: j.MissingIndicator, MinCount: or0(j.MinCount)}
		f.readDerived(&j)
		r.Features = append(r.Features, f)
	}
	r.Model.Recommendation = in.Program.Model.Recommendation.recommendation(r.Features)
	r.check(f.report)
	if err := firstProblem(f); err != nil {
		return nil, err
	}
	if err := r.checkNoise(); err != nil {
		return nil, err
	}
	if !bytes.Equal(r.Canonical(), data) {
		return nil, fmt.Errorf("%w: the job encodes to other bytes", ErrNotCanonical)
	}
	return r, nil
}

// milliseconds checks before it multiplies: no product wraps.
func milliseconds(ms int64, most time.Duration, report report, path string) time.Duration {
	if ms < 1 || ms > most.Milliseconds() {
		report(fmt.Sprintf("%d is not within 1 to %d", ms, most.Milliseconds()), "", path)
		return 0
	}
	return time.Duration(ms) * time.Millisecond
}
