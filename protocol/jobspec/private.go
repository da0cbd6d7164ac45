package jobspec

import (
	"errors"
	"fmt"
	"math/big"
	"slices"

	"tributary/crypto/dp"
	"tributary/crypto/dp/accountant"
)

// ErrNoise marks a private job whose noise isn't what its ε and δ ask for.
var ErrNoise = errors.New("jobspec: the noise is not what ε and δ ask for")

// Kinds of rounds, as numbered in wire.RoundKind.
const (
	kindFit      uint8 = 1
	kindTrain    uint8 = 2
	kindEvaluate uint8 = 3
	kindSketch   uint8 = 5
)

// kinds are in the order in which their rounds run.
var kinds = [...]uint8{kindSketch, kindFit, kindTrain, kindEvaluate}

// How a private job turns its (ε, δ) into noise.
const (
	histogramBins = 50 // of predicted probability, for each label

	// Shares of the RDP budget in percent: measured on census data at 12 to 25
	// rounds. Without an evaluation its share goes to the gradients.
	fitShare, trainShare, evaluateShare = 20, 75, 5

	// Integer units per 1.0, powers of two. At 2^14 rounding adds less than 0.2 %
	// to the sensitivity of a million lanes; below 2^6 it would cost more than the noise.
	mostScaleBits, leastScaleBits = 14, 6
)

// Private is by how much a private job's sums are noised. Unit, Epsilon and Delta
// are the spec's; the rest follows from them and from the job.
type Private struct {
	Unit    string // what adding or removing is hidden of, at one participant: record, one row; user, all rows of one key; silo, all rows
	Clip    uint64 // rows that a unit counts as at most; 1 for records
	Epsilon Decimal
	Delta   Decimal

	Order accountant.Order // the RDP order at which (Epsilon, Delta) admits the most noised sums
	Scale uint64           // integer units per 1.0

	Sketch, Fit, Train, Evaluate KindNoise // Sketch is zero where nothing is counted by bin, Evaluate where nothing is held out
}

// KindNoise is the noise of the rounds of one kind, in integer units squared.
type KindNoise struct {
	Sensitivity2 uint64 `json:"sensitivity2,string"` // Δ² of one row, rounding included
	Sigma2Local  uint64 `json:"sigma2_local,string"` // σ_i² of each participant's own noise
	SumSigma2    uint64 `json:"sum_sigma2,string"`   // σ² = h·σ_i² that whatever is opened surely carries
	Rounds       int64  `json:"rounds"`              // most rounds that are opened
	RateNum      uint64 `json:"rate_num,string"`     // each unit takes part with probability RateNum/RateDen, by secret coins
	RateDen      uint64 `json:"rate_den,string"`
}

// Rate returns the sampling rate, 1 where all units take part.
func (k KindNoise) Rate() dp.Rational {
	rate, err := dp.NewRational(k.RateNum, k.RateDen)
	if err != nil {
		return dp.Rational{} // the accountant refuses it
	}
	return rate
}

// Charged describes one opened sum to the accountant.
func (k KindNoise) Charged() accountant.Sum {
	return accountant.Sum{Sensitivity2: k.Sensitivity2, Sigma2: dp.Integer(k.SumSigma2), Rate: k.Rate()}
}

// Kind returns the noise of a kind of round, as numbered in wire.RoundKind, and
// whether the job has rounds of it.
func (p *Private) Kind(kind uint8) (KindNoise, bool) {
	if p == nil || !slices.Contains(kinds[:], kind) {
		return KindNoise{}, false
	}
	k := *p.at(kind)
	return k, k.Rounds > 0
}

func (p *Private) at(kind uint8) *KindNoise {
	switch kind {
	case kindSketch:
		return &p.Sketch
	case kindFit:
		return &p.Fit
	case kindTrain:
		return &p.Train
	}
	return &p.Evaluate
}

// Noise returns how a participant clips and noises its part of a sum in a round
// of that kind (wire.RoundKind's numbers), and what the opened sum is charged by.
// The last segment is the canary, which takes noise alone.
// Contributions are in integer units: values times Private.Scale, also in
// histograms. ok is false for exact jobs and for kinds that the job has no rounds of.
func (r *Resolved) Noise(kind uint8) (o dp.Options, s accountant.Sum, ok bool) {
	k, ok := r.Private.Kind(kind)
	if !ok {
		return dp.Options{}, accountant.Sum{}, false
	}
	o = dp.Options{Segments: []dp.Segment{r.segment(kind, r.Private.Scale, r.Private.Clip), dp.Canary()}, Bits: r.Bits, Local: dp.Integer(k.Sigma2Local)}
	return o, k.Charged(), true
}

// Honest returns h = n_min − max(1, f) of a sealed private job: of a sum's
// contributors, those whose noise counts. In a noised job each contribution is seen
// by itself, with its own noise: 1. It is 0 for an exact job.
func (r *Resolved) Honest() int {
	h, err := r.contributors().Honest()
	switch {
	case r.Private == nil:
		return 0
	case r.Mode == ModeNoised:
		return 1
	case err != nil:
		return 0
	}
	return h
}

// Cap returns the (ε, δ) of a private job as the accountant takes them.
func (r *Resolved) Cap() (accountant.Cap, error) {
	if r.Private == nil {
		return accountant.Cap{}, fmt.Errorf("%w: an exact job has no ε", ErrNoise)
	}
	c, wrong := r.Private.cap()
	if wrong != nil {
		return accountant.Cap{}, fmt.Errorf("%w: %s", ErrNoise, wrong.message)
	}
	return c, nil
}

func (r *Resolved) contributors() dp.Contributors {
	return dp.Contributors{Min: r.NMin, Colluder: r.F}
}

// segment returns what one unit adds to a sum: the upper triangle of x·xᵀ (dp_sgd:
// a 1), the gradient of its loss, or a 1 in the bin of its label and prediction,
// summed over its rows. Rows have L2 norm 1 at most, so each of them has too (of
// several classes the gradient by √2, and the bin of whether the model is right; of
// a factorization machine, and where the label is a number, the gradient by
// √(1+features), clipped to 1; see errorLanes for a number's evaluation),
// and a unit's rows are weighed to count as clip rows at most.
func (r *Resolved) segment(kind uint8, scale, clip uint64) dp.Segment {
	if r.Model.recommends() {
		return r.matrixSegment(kind, scale, clip)
	}
	d := r.Coefficients()
	switch {
	case kind == kindSketch:
		return r.sketchSegment(scale, clip)
	case kind == kindFit && r.Model.Solver == solverSGD:
		return dp.Segment{Name: "count", Length: 1, Clip: scale * clip, Rounding: dp.TowardZero}
	case kind == kindFit:
		return dp.Segment{Name: "gram", Length: d * (d + 1) / 2, Clip: scale * clip, Rounding: dp.Stochastic}
	case kind == kindTrain:
		return dp.Segment{Name: "gradient", Length: d, Clip: scale * clip, Rounding: dp.Stochastic}
	case r.Target != nil:
		return dp.Segment{Name: "errors", Length: r.errorLanes(), Clip: scale * clip, Rounding: dp.Stochastic}
	}
	return r.histogramSegment(scale, clip)
}

// misfit is why a job's noise can't be calculated: a problem of the spec.
type misfit struct{ path, message, hint string }

// cap reads ε and δ.
func (p *Private) cap() (accountant.Cap, *misfit) {
	var c accountant.Cap
	for _, v := range []struct {
		name string
		text Decimal
		most *big.Rat
		into *dp.Rational
	}{{"epsilon", p.Epsilon, maxEpsilon(), &c.Epsilon}, {"delta", p.Delta, maxDelta(), &c.Delta}} {
		path := "privacy." + v.name
		exact, err := v.text.Rat()
		if err != nil {
			return c, &misfit{path, err.Error(), ""}
		}
		if exact.Sign() <= 0 || exact.Cmp(v.most) > 0 {
			bound, _ := v.most.Float64()
			return c, &misfit{path, fmt.Sprintf("%s %s is not above 0 and at most %v", v.name, v.text, bound), ""}
		}
		if !exact.Num().IsUint64() || !exact.Denom().IsUint64() {
			return c, &misfit{path, fmt.Sprintf("%s %s is not a fraction of 64-bit numbers", v.name, v.text), "write it with fewer digits, such as 1e-5"}
		}
		if *v.into, err = dp.NewRational(exact.Num().Uint64(), exact.Denom().Uint64()); err != nil {
			return c, &misfit{path, err.Error(), ""}
		}
	}
	return c, nil
}
