package optim

import (
	"fmt"
	"math"
	"strconv"
)

// DP-SGD: gradient descent with momentum on noised gradients of Poisson-sampled batches [ACG16], for private programs whose Gram matrix
// would have too many lanes. Rows are those of the other private solver, ‖x‖ = 1. With N rows by a noised count, rate q, momentum β and
// learning rate η the rounds are
//
//	FIT       the number of training rows, once
//	TRAIN     Σ (p-y)·x/ρ over a batch, max_rounds times: v ← βv + ρ·(that sum)/(qN) + (λ/N)w;  w ← w - ηv
//	EVALUATE  as in the other solver
//
// where ρ, see GradientNorm, bounds ‖p-y‖: 1, or √2 for a label of several classes, whose p-y is a row of K by the columns' x. A
// factorization machine's rows have other gradients: see sampledmachine.go; and those of a label that is a number: privatetarget.go.
// And the model is the mean of the iterates of the last half [PJ92]: what noise adds to single ones averages out. The batch's real size
// is secret: sums are divided by the expected one.
//
// [ACG16] M. Abadi et al.: Deep learning with differential privacy. CCS 2016.
// [PJ92] B. T. Polyak, A. B. Juditsky: Acceleration of stochastic approximation by averaging. SIAM J. Control Optim. 30, 1992.

// Sampling is how DP-SGD steps.
type Sampling struct {
	RateNum, RateDen uint64  // q: each unit takes part in a TRAIN round with this probability
	LearningRate     float64 // η
	Momentum         float64 // β
	Seed             uint64  // of a factorization machine's start: no secret; 0 in other models
}

// MaxSampled bounds the coefficients of a program with DP-SGD: a column of 2^18 buckets and others beside it. A state has 8 MiB then.
const MaxSampled = 5 << 16

const segCount = "count"

// sampled is the solver of programs with Sampling.
type sampled struct{ *Program }

// sampledMemory is what it keeps between TRAIN rounds.
type sampledMemory struct {
	iterate, velocity []float64
	tail              []float64 // sum of the iterates of the last half; State.w is their mean, or the iterate before it
}

func (d sampled) name() string      { return d.Model.Type + "/" + DPSGD }
func (d sampled) coefficients() int { return d.blocks() * (d.columns()*(1+d.Model.Factors) + 1) }

func (d sampled) layout(kind RoundKind, add func(name string, length int, scale uint64)) {
	if kind == Fit {
		add(segCount, 1, 1)
		return
	}
	d.layoutPrivate(kind, add)
}

func (d sampled) maxRounds(kind RoundKind) int { return descent(d).maxRounds(kind) }

func (d sampled) apply(s *State, v map[string][]float64) (*State, Report, error) {
	switch s.kind {
	case Sketch:
		return d.applySketch(s, v[segSketch])
	case Fit:
		return d.applyCount(s, v[segCount])
	case Train:
		return d.applyBatch(s, v[segGradient])
	default:
		if d.Target != nil {
			return d.applyErrors(s, v[segErrors])
		}
		return d.applyHistogram(s, v)
	}
}

func (d sampled) export(s *State) any { return d.exportModel(s) }

func (d sampled) describe(out *document) {
	m := d.Model.Sampling
	out.Model.Sampling = &documentSampling{RateNum: m.RateNum, RateDen: m.RateDen, LearningRate: m.LearningRate, Momentum: m.Momentum}
	if d.Model.Factors > 0 {
		out.Model.Sampling.Seed = strconv.FormatUint(m.Seed, 10)
	}
}

func parseSampling(doc *object, machine bool) *Sampling {
	o := doc.object("sampling")
	m := &Sampling{
		RateNum: uint64(o.integer("rate_num", 1, 1<<40)), RateDen: uint64(o.integer("rate_den", 1, 1<<40)),
		LearningRate: o.number("learning_rate"), Momentum: o.number("momentum"),
	}
	if machine {
		m.Seed = o.variance("seed")
	}
	switch {
	case o.err != nil:
	case m.RateNum > m.RateDen:
		o.fail("rate_num", "%d/%d is above 1", m.RateNum, m.RateDen)
	case !(m.LearningRate > 0 && m.LearningRate <= 1000):
		o.fail("learning_rate", "%g is not above 0 and at most 1000", m.LearningRate)
	case !(m.Momentum >= 0 && m.Momentum < 1):
		o.fail("momentum", "%g is not within 0..1", m.Momentum)
	}
	if err := o.done(); doc.err == nil {
		doc.err = err
	}
	return m
}

// applyCount is the step of FIT. A count below 1 is noise around nothing: it counts as 1.
func (d sampled) applyCount(s *State, count []float64) (*State, Report, error) {
	if err := d.checkNorm(count, d.privacy.Sigma2Fit); err != nil {
		return nil, Report{}, err
	}
	next := s.advance(Train)
	next.fitted, next.w = d.fittedBefore(s), d.start()
	next.fitted.Rows = max(whole(count[0]/float64(d.privacy.Scale)), 1)
	zero := make([]float64, len(next.w))
	next.sampled = &sampledMemory{iterate: next.w, velocity: zero, tail: zero}
	note := fmt.Sprintf("noised: about %d training rows (standard error %.0f or more)", next.fitted.Rows, d.sigma(d.privacy.Sigma2Fit))
	return next, Report{Kind: Fit, Step: next.step, Rows: next.fitted.Rows, Note: note}, nil
}

// GradientNorm is the ρ by which private gradients are divided, so that each row's has a norm of at most 1. ‖p-y‖₂ of a row never
// exceeds it: 1 for two classes; for more √2, as (1-p_y)² + Σ p_j² over the other classes is at most 2·(1-p_y)². In a
// factorization machine, and of a label that is a number, it bounds the row, and the gradient is clipped to 1 after the division.
func (p *Program) GradientNorm() float64 {
	switch {
	case p.Label != nil:
		return math.Sqrt2
	case p.UnitNorm():
		return 1
	}
	return math.Sqrt(p.rowNorm2())
}

// tailFrom is the first TRAIN round, counted from 1, whose iterate the model averages.
func (d sampled) tailFrom() int { return d.Model.MaxRounds/2 + 1 }

// applyBatch is the step of TRAIN.
func (d sampled) applyBatch(s *State, sum []float64) (*State, Report, error) {
	if err := d.checkNorm(sum, d.privacy.Sigma2Train); err != nil {
		return nil, Report{}, err
	}
	m, old, n := d.Model.Sampling, s.sampled, len(s.w)
	rho, rate := d.GradientNorm(), d.rate()
	next := s.advance(Train)
	next.rounds, next.w = s.rounds+1, make([]float64, n)
	memory := &sampledMemory{iterate: make([]float64, n), velocity: make([]float64, n), tail: old.tail}
	averaged := int(next.rounds) - d.tailFrom() + 1
	if averaged > 0 {
		memory.tail = make([]float64, n)
	}
	rows := float64(s.fitted.Rows)
	batch := float64(float64(float64(rows*float64(m.RateNum))/float64(m.RateDen)) * float64(d.privacy.Scale))
	square := 0.0
	for i, unit := range sum {
		g := float64(unit / batch * rho)
		if !d.free(i) {
			g += float64(float64(d.Model.L2/rows) * old.iterate[i])
		}
		square += float64(g * g)
		memory.velocity[i] = float64(m.Momentum*old.velocity[i]) + g
		w := old.iterate[i] - float64(rate*memory.velocity[i])
		if !(math.Abs(w) <= maxCoefficient) {
			return nil, Report{}, fmt.Errorf("%w: coefficient %d is %g after step %d\nhint: lower learning_rate, or raise epsilon", ErrDiverged, i, w, next.step)
		}
		memory.iterate[i], next.w[i] = w, w
		if averaged > 0 {
			memory.tail[i] = old.tail[i] + w
			next.w[i] = memory.tail[i] / float64(averaged)
		}
	}
	next.sampled = memory
	report := Report{Kind: Train, Step: next.step, Rows: s.fitted.Rows}
	report.Note = fmt.Sprintf("noised: the mean gradient's norm is %.4g, its noise has about %.4g or more; no loss is measured",
		math.Sqrt(square), float64(float64(math.Sqrt(float64(n))*math.Sqrt(float64(d.privacy.Sigma2Train)))/batch*rho))
	if int(next.rounds) >= d.Model.MaxRounds {
		next.sampled = nil // nothing needs it any more
		next.kind = Evaluate
		if !d.measures() {
			next.kind = Done
		}
	}
	return next, report, nil
}
