package optim

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"
)

// Private programs. Each opened sum carries noise that covers any one row, so nothing is fitted from exact counts, no row count
// is known, and no round depends on a test of convergence. A row's columns x are numbers scaled by their declared range to
// [-1, 1], indicators and a constant 1, all divided by their L2 norm: ‖x‖ = 1. The rounds are
//
//	SKETCH    counts by bin of the numbers whose quantiles are asked for, once, if there are any: see sketch.go
//	FIT       Σ x·xᵀ once: H = Σ x·xᵀ/4 bounds the Hessian of the log loss everywhere [BL88]
//	TRAIN     Σ (p-y)·x, max_rounds times: w ← w - 2·(H + (shift+2λ)·I)⁻¹·(Σ(p-y)·x + λw); the last one with 1 for the first 2
//	EVALUATE  a histogram of the held-out rows' predicted probabilities, by label, if the job measures
//
// and shift = 4√d·σ_H (or its double, see precondition), twice what the noise of H typically adds to an eigenvalue, d being the number of coefficients and σ_H
// the deviation of the noise of an entry of H off the diagonal.
//
// [BL88] D. Böhning, B. G. Lindsay: Monotonicity of quadratic-approximation algorithms. Ann. Inst. Statist. Math. 40, 1988.

// Solvers of private jobs.
const (
	DPGradientDescent = "dp_gradient_descent"
	DPSGD             = "dp_sgd" // see sampled.go
)

// Unit is what a private job protects: its contribution to a sum is bounded.
type Unit string

// The units.
const (
	UnitRecord Unit = "record" // one row
	UnitUser   Unit = "user"   // all rows of one user at one participant
	UnitSilo   Unit = "silo"   // all rows of one participant
)

// MaxClip is the most rows that a unit may count as.
const MaxClip = 1 << 16

// Bounds of a private program.
const (
	MaxHessianColumns      = 2000 // of newton: the Hessian then has 2,001,000 lanes
	MaxPrivateCoefficients = 1500 // of dp_gradient_descent: the Gram matrix then has 1,125,750 lanes
	MaxPrivateScale        = 1 << 30
	MaxPrivateBins         = 1024
)

// Privacy says in which units private sums are taken and how noisy they are.
type Privacy struct {
	Unit  Unit
	Clip  uint64 // rows that a unit counts as at most; 1 for records
	Scale uint64 // integer units of 1.0: each row's contribution to a sum has an L2 norm of at most Scale, each unit's of at most Clip·Scale; a power of two
	// Variances of a lane of the opened sums, in integer units², that the contributors' noise surely adds up to.
	Sigma2Sketch, Sigma2Fit, Sigma2Train, Sigma2Evaluate uint64
	Bins                                                 int // of predicted probability, by label; even, so that 0.5 is between two
}

// Private tells whether the program's sums are noised: participants then give linear.Contributions, not linear.Sums.
func (p *Program) Private() bool { return p.privacy != nil }

// Privacy gives the parameters of a private program; those of another are zero.
func (p *Program) Privacy() Privacy {
	if p.privacy == nil {
		return Privacy{}
	}
	return *p.privacy
}

// measures tells whether a private program has an EVALUATE round.
func (p *Program) measures() bool {
	e := p.Evaluate
	return e.HoldOut && (e.AUC || e.LogLoss || e.Correct || e.Recall || e.NDCG || e.MAP || e.RMSE || p.Target != nil && (e.MAE || e.R2))
}

func parsePrivacy(doc *object) *Privacy {
	o := doc.object("private")
	out := &Privacy{Sigma2Sketch: o.sketchVariance(),
		Unit: Unit(o.text("unit")), Clip: uint64(o.integer("clip", 1, MaxClip)),
		Scale:     uint64(o.integer("scale", 1, MaxPrivateScale)),
		Sigma2Fit: o.variance("sigma2_fit"), Sigma2Train: o.variance("sigma2_train"), Sigma2Evaluate: o.variance("sigma2_evaluate"),
		Bins: int(o.integer("bins", 2, MaxPrivateBins)),
	}
	switch {
	case o.err != nil:
	case out.Unit != UnitRecord && out.Unit != UnitUser && out.Unit != UnitSilo:
		o.fail("unit", "unknown unit %q\nhint: record, user or silo", out.Unit)
	case out.Unit == UnitRecord && out.Clip != 1:
		o.fail("clip", "%d rows of a record\nhint: 1", out.Clip)
	}
	if o.err == nil && bits.OnesCount64(out.Scale) != 1 {
		o.fail("scale", "%d is not a power of two", out.Scale)
	}
	if o.err == nil && out.Bins%2 != 0 {
		o.fail("bins", "%d is odd\nhint: accuracy needs an edge at 0.5", out.Bins)
	}
	if err := o.done(); doc.err == nil {
		doc.err = err
	}
	return out
}

// variance reads a decimal string without sign and leading zeros.
func (o *object) variance(key string) uint64 {
	text := o.text(key)
	v, err := strconv.ParseUint(text, 10, 64)
	if o.err == nil && (err != nil || strconv.FormatUint(v, 10) != text) {
		o.fail(key, "want a decimal integer below 2^64 as a string")
	}
	return v
}

// checkPrivate checks what depends on several parts of the program.
func (p *Program) checkPrivate(doc *object) {
	q := p.privacy
	if lane := int64(p.lane()); p.MaxRows > lane/int64(q.Scale) {
		doc.fail("max_rows", "%d rows of %d units don't fit a lane of %d bits\nhint: raise bits, or lower the scale or the contract's max_rows", p.MaxRows, q.Scale, p.Bits)
	}
	for _, v := range []struct {
		name   string
		sigma2 uint64
		needed bool
	}{{"sigma2_fit", q.Sigma2Fit, true}, {"sigma2_train", q.Sigma2Train, true}, {"sigma2_evaluate", q.Sigma2Evaluate, p.measures()}} {
		if v.needed && v.sigma2 == 0 {
			doc.fail("private."+v.name, "no noise in an opened sum\nhint: the variance comes from the job's budget")
		}
	}
}

// checkSize refuses programs whose sums are too long.
func (p *Program) checkSize() error {
	d := p.Coefficients()
	switch {
	case p.Model.Averaging != nil && d > MaxAveraged:
		return fmt.Errorf("model: %d coefficients, at most %d can be averaged\nhint: use fewer factors, or fewer values of one_hot features", d, MaxAveraged)
	case p.Model.Sampling != nil && d > MaxSampled:
		return fmt.Errorf("features: %d output columns with the intercept, %s takes at most %d\nhint: use fewer factors, leave out one_hot features with many values, or list fewer values in the contract (the rest becomes other)", d, DPSGD, MaxSampled)
	case p.Model.Solver == Newton && d > MaxHessianColumns:
		return fmt.Errorf("features: %d output columns with the intercept, %s takes at most %d\nhint: leave out one_hot features with many values, or list fewer values in the contract (the rest becomes other)", d, Newton, MaxHessianColumns)
	case p.Model.Solver == DPGradientDescent && d > MaxPrivateCoefficients:
		return fmt.Errorf("features: %d output columns with the intercept, %s takes at most %d\nhint: use %s, leave out one_hot features with many values, or list fewer values in the contract (the rest becomes other)", d, DPGradientDescent, MaxPrivateCoefficients, DPSGD)
	case p.Model.StandardErrors && d > MaxHessianColumns:
		return fmt.Errorf("model.standard_errors: %d coefficients, at most %d have a Hessian\nhint: leave standard_errors out", d, MaxHessianColumns)
	case p.Model.Solver == LBFGS && d > MaxLBFGS:
		return fmt.Errorf("model: %d coefficients, %s has at most %d\nhint: leave out one_hot features with many values, or merge classes", d, LBFGS, MaxLBFGS)
	}
	return nil
}

// layoutPrivate is Layout of a private program: values are integer units.
func (p *Program) layoutPrivate(kind RoundKind, add func(name string, length int, scale uint64)) {
	d := p.Coefficients()
	switch kind {
	case Sketch:
		add(segSketch, p.spec.NoisedSum(), 1)
	case Fit:
		add(segGram, d*(d+1)/2, 1)
	case Train:
		add(segGradient, d, 1)
	case Evaluate:
		switch {
		case !p.measures():
		case p.Target != nil:
			add(segErrors, p.errorLanes(), 1)
		default:
			add(segHistogram, 2*p.privacy.Bins+2*NoisedGroupBins*p.groupCount(), 1)
		}
	}
}

// sigma is the noise's deviation of a sum, in units of 1.0.
func (p *Program) sigma(sigma2 uint64) float64 {
	return math.Sqrt(float64(sigma2)) / float64(p.privacy.Scale)
}

// checkNorm refuses a sum that clipped contributions and their noise can't have: at most max_rows rows of norm Scale from each
// contributor, and noise whose norm has a deviation of √lanes·σ. Contributors beyond those that the program's σ² counts on add
// theirs: at most Contributors times the variance. Twelve deviations are exceeded with a probability below 10⁻³⁰.
func (p *Program) checkNorm(sum []float64, sigma2 uint64) error { return p.checkNormOf(sum, sigma2, 1) }

// checkNormOf is checkNorm of rows with a norm of at most that many Scale.
func (p *Program) checkNormOf(sum []float64, sigma2 uint64, norm float64) error {
	square := 0.0
	for _, v := range sum {
		square += float64(v * v)
	}
	clipped := float64(float64(float64(float64(p.Contributors)*float64(p.MaxRows))*float64(p.privacy.Scale)) * norm)
	noise := math.Sqrt(float64(float64(len(sum)*p.Contributors) * float64(sigma2)))
	if limit := clipped + float64(12*noise); !(math.Sqrt(square) <= limit) {
		return fmt.Errorf("%w: the sum's norm is %g, clipped contributions have at most %g\nhint: a participant doesn't clip", ErrSums, math.Sqrt(square), limit)
	}
	return nil
}
