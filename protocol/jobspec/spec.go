package jobspec

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Bounds and defaults of a spec.
const (
	defaultClip         = 64.0 // standard deviations
	maxClip             = 1000.0
	defaultMinCount     = 20 // rows
	maxMinCount         = 1_000_000
	defaultL2           = 1.0
	maxL2               = 1e12 // of l1, too
	defaultMaxRounds    = 10
	privateMaxRounds    = 12 // the default of dp_gradient_descent
	maxTrainRounds      = 1000
	defaultTolerance    = 1e-8
	defaultBits         = 40
	minBits             = 8
	maxBits             = 40
	defaultRoundTimeout = 2 * time.Minute
	minRoundTimeout     = time.Second
	maxRoundTimeout     = 24 * time.Hour
	defaultExpires      = 30 * 24 * time.Hour
	maxExpires          = 30 * 24 * time.Hour
	maxSeats            = 64 // wire.MaxSeats
	maxContributors     = 1638
)

// Words of a spec.
const (
	ModeSealed = "sealed"
	ModeNoised = "noised"

	KindExact   = "exact"
	KindPrivate = "private"

	solverNewton  = "newton"              // exact jobs
	solverPrivate = "dp_gradient_descent" // private jobs
	solverSGD     = "dp_sgd"              // private jobs

	unitRecord = "record"
	unitUser   = "user"
	unitSilo   = "silo"
)

// Spec is a job as a data scientist wrote it. The zero value is invalid: specs
// come from ParseSpec only. What the text leaves out is at its default already,
// except the committee, which depends on the charter.
type Spec struct {
	Name      string
	Contract  ContractRef
	Features  []FeatureSpec
	Model     Model
	Weighting Weighting // exact jobs with newton or lbfgs
	WarmStart *[32]byte // state of the model to start from; nil: zero
	Holdout   Holdout
	Metrics   []string // in the order of metricNames; nil: not given
	Groups    []string // category columns whose values are the groups that the model is evaluated by
	MinGroup  int64    // held-out rows below which a group isn't shown; 0 without groups
	Privacy   Privacy
	Run       Run

	places map[string]place
}

// ContractRef names a revision of a contract.
type ContractRef struct {
	Name     string
	Revision int64
}

// String returns "name@revision".
func (r ContractRef) String() string { return r.Name + "@" + strconv.FormatInt(r.Revision, 10) }

// FeatureSpec is one entry of features: columns that share a transform.
type FeatureSpec struct {
	Columns          []string
	Transforms       []string // days, log1p, standardize, scale, one_hot, in the order written
	DateParts        []string // of dates
	Buckets          *Buckets
	Quantiles        []float64 // two, to which numbers are clamped; nil: none
	MissingIndicator bool
	Clip             float64 // standard deviations; for standardize in exact jobs
	MinCount         int64   // rows; for one_hot and crosses in exact jobs

	Cross       []string // features that are crossed, by their resolved names, in place of Columns and Transforms; nil: no cross
	HashBuckets int64    // of a cross: the most columns; its combinations are hashed if there are more
}

// Model is the model and its solver.
type Model struct {
	Type      string
	L1        float64 // newton, lbfgs and fedavg in exact jobs
	L2        float64
	Solver    string // newton, lbfgs, fedavg, fedprox, fedadam, als, sgd or bpr in exact jobs, dp_gradient_descent, dp_sgd or dp_als in private ones
	MaxRounds int64
	Tolerance float64 // 0 in private jobs, which always run all rounds
	Patience  int64   // rounds without a better held-out loss that end a training with newton or lbfgs; 0: not watched
	// StandardErrors has EVALUATE sum the Hessian; lbfgs.
	StandardErrors bool
	// MinClassRows is the fewest training rows of each class; 0 unless there are several.
	MinClassRows int64
	Factors      int64      // of each column of a factorization machine or item of a matrix factorisation; 0 in a linear model
	Averaging    *Averaging // fedavg, fedprox and fedadam
	Sampling     *Sampling  // dp_sgd

	Recommendation *Recommendation // matrix_factorization
}

// Holdout says which rows a job evaluates on and doesn't train on: a number of
// tenths by the participant's own secret, or the rows whose split column has a
// value, or, if it is zero, none.
type Holdout struct {
	Tenths int    `json:"tenths"`         // 0 to 9
	From   int    `json:"from,omitempty"` // the first of them; 0 to 9, for folds
	Column string `json:"column"`         // of kind split
	Equals string `json:"equals"`
}

// None reports whether nothing is held out.
func (h Holdout) None() bool { return h == Holdout{} }

// Privacy is exact, or the parameters of a private job.
type Privacy struct {
	Kind    string // KindExact or KindPrivate
	Unit    string // record, user or silo
	Epsilon Decimal
	Delta   Decimal
	Clip    int64 // rows that a unit counts as at most: 1 for records
}

// Run says how and among whom a job runs.
type Run struct {
	Mode         string
	Participants []string // nil: all of the charter's data members
	// MinParticipants is n_min of a private job, the fewest whose sum is opened; 0: chosen by Resolve.
	MinParticipants int64
	Committee       Committee
	RoundTimeout    time.Duration
	Expires         time.Duration // from the manifest's creation
	Seed            uint64        // batches and partitions only, never keys or noise
	Bits            int64         // of one value in a sealed sum
}

// Committee is a quorum: Threshold of Of seats open a sum.
type Committee struct {
	Threshold int `json:"threshold"`
	Of        int `json:"of"` // 0 in a Spec: chosen by Resolve
}

func metricNames() []string {
	return []string{"auc", "log_loss", "accuracy", "recall", "ndcg", "map", "coverage", "rmse", "mae", "r2", "calibration"}
}

var refText = regexp.MustCompile(`^([a-z0-9][a-z0-9-]{0,62})@([1-9][0-9]{0,9})$`)

// ParseSpec reads a job spec's YAML. It returns either a spec or every problem
// found, in the order of the text. Resolve checks the spec against its contract.
func ParseSpec(data []byte) (*Spec, []Problem) {
	d, root, ok := open(data)
	if !ok {
		return nil, d.sorted()
	}
	_, keys, ok := d.fields(root, "version", "name", "contract", "features", "model", "evaluate", "privacy", "run")
	if !ok {
		return nil, d.sorted()
	}
	d.require(root, keys, map[string]string{
		"version":  "write version: 1",
		"contract": "write contract: NAME@REVISION",
		"privacy":  "there is no default: write exact, or {unit: record, epsilon: \"1.0\", delta: \"1e-5\", clip: \"1.0\"}",
		"run":      "write run: {mode: sealed}",
	}, "version", "name", "contract", "model", "privacy", "run")
	s := &Spec{places: d.places}
	if v, ok := keys["version"]; ok {
		d.integer(v, 1, 1)
	}
	if v, ok := keys["name"]; ok {
		s.Name, _ = d.name(v)
	}
	if v, ok := keys["contract"]; ok {
		s.Contract = d.contractRef(v)
	}
	if v, ok := keys["features"]; ok {
		s.Features = d.features(v)
	}
	if v, ok := keys["model"]; ok {
		d.model(v, s)
	}
	d.matchFeatures(root, keys, s)
	if v, ok := keys["evaluate"]; ok {
		d.evaluate(v, s)
	}
	if v, ok := keys["privacy"]; ok {
		s.Privacy = d.privacy(v)
	}
	if v, ok := keys["run"]; ok {
		s.Run = d.run(v)
	}
	d.matchKind(s)
	if len(d.problems) > 0 {
		return nil, d.sorted()
	}
	return s, nil
}

// ParseContractRef reads "name@revision".
func ParseContractRef(s string) (ContractRef, error) {
	m := refText.FindStringSubmatch(s)
	if m == nil {
		return ContractRef{}, fmt.Errorf("%s is not a contract's NAME@REVISION", show(s))
	}
	revision, err := strconv.ParseInt(m[2], 10, 64)
	if err != nil || revision > maxRevision {
		return ContractRef{}, fmt.Errorf("revision %s is not within 1 to %d", m[2], maxRevision)
	}
	return ContractRef{m[1], revision}, nil
}

func (d *document) contractRef(v value) ContractRef {
	s, ok := d.word(v)
	if !ok {
		return ContractRef{}
	}
	ref, err := ParseContractRef(s)
	if err != nil {
		d.at(v.path, v.at, err.Error(), "write it like shop-customers@1; a name has "+nameRule)
	}
	return ref
}

func (d *document) features(v value) (features []FeatureSpec) {
	list, ok := d.items(v)
	if ok && len(list) == 0 {
		d.at(v.path, v.at, "there are no features", "list at least one, such as {columns: [age], transform: standardize}")
	}
	for _, e := range list {
		features = append(features, d.feature(e))
	}
	return features
}

func (d *document) feature(v value) FeatureSpec {
	f := FeatureSpec{Clip: defaultClip, MinCount: defaultMinCount}
	_, keys, ok := d.fields(v, "columns", "cross", "transform", "date_parts", "buckets", "missing", "clip", "min_count")
	if !ok {
		return f
	}
	if _, cross := keys["cross"]; cross {
		d.crossSpec(v, keys, &f)
	} else {
		d.require(v, keys, map[string]string{"columns": "list the contract's columns"}, "columns")
		if v, ok := keys["buckets"]; ok {
			f.Buckets = d.buckets(v)
		}
	}
	if v, ok := keys["columns"]; ok {
		f.Columns = d.names(v, "a feature needs at least one column")
	}
	if v, ok := keys["transform"]; ok {
		f.Transforms = d.transforms(v)
	}
	if v, ok := keys["missing"]; ok {
		word, _ := d.choice(v, "none", "indicator")
		f.MissingIndicator = word == "indicator"
	}
	if v, ok := keys["clip"]; ok {
		d.clip(v, &f)
	}
	if v, ok := keys["date_parts"]; ok {
		f.DateParts = d.dateParts(v)
	}
	if v, ok := keys["min_count"]; ok {
		f.MinCount, _ = d.integer(v, 1, maxMinCount)
	}
	return f
}

// names reads a list of column or member names.
func (d *document) names(v value, empty string) (names []string) {
	list, ok := d.items(v)
	if ok && len(list) == 0 {
		d.at(v.path, v.at, empty, "")
	}
	for _, e := range list {
		s, _ := d.text(e)
		names = append(names, s)
	}
	return names
}

// transforms reads one transform or a list, in the only order that they have.
func (d *document) transforms(v value) (out []string) {
	list := []value{v}
	if isList(v) {
		list, _ = d.items(v)
	}
	for _, e := range list {
		if t, ok := d.choice(e, "log1p", "standardize", "one_hot", "scale", transformDays); ok {
			out = append(out, t)
		}
	}
	rest := out
	if len(out) > 0 && out[0] == transformDays && !contains(out, "one_hot") {
		rest = out[1:]
	}
	switch s := strings.Join(rest, ","); {
	case d.broken[v.path] || d.around[v.path]:
	case s == "" || s == "log1p" || s == "standardize" || s == "scale" || s == "one_hot" || s == "log1p,standardize" || s == "log1p,scale":
	case s == "standardize,log1p" || s == "scale,log1p":
		d.at(v.path, v.at, "log1p can't follow "+rest[0], "write [log1p, "+rest[0]+"]")
	default:
		d.at(v.path, v.at, "the transforms "+strings.Join(out, ", ")+" don't go together",
			"use one_hot alone; in an exact job log1p, standardize or [log1p, standardize]; in a private one scale, standardize or either after log1p; days comes first, and only of dates")
	}
	return out
}
