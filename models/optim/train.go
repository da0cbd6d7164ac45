package optim

import (
	"errors"
	"fmt"
	"math"

	"tributary/models/metrics"
)

// ErrDiverged is returned by Apply when a Newton step isn't finite.
var ErrDiverged = errors.New("diverged")

// TrainSums are one participant's sums at the state's coefficients w, over its training rows with output columns x (the
// intercept's 1 last) and p = 1/(1+exp(-w·x)). Of a label that is a number, t in deviations from its mean, they are Σ ½·(w·x-t)²,
// Σ (w·x-t)·x and Σ x·xᵀ.
type TrainSums struct {
	Rows        int64
	Loss        float64   // Σ min(log loss, 64), nats
	HeldOutLoss float64   // the same of held-out rows, unweighted; only with a patience
	Gradient    []float64 // Σ (p-y)·x, length d
	Hessian     []float64 // Σ p(1-p)·x·xᵀ, upper triangle row by row, length d(d+1)/2
}

// EncodeTrain gives TRAIN sums as the segments of Layout(Train), normalised to [-1, 1] by the rows of the cohort and the
// column bounds. The state must have a fitted pipeline.
func (p *Program) EncodeTrain(s *State, t TrainSums) [][]float64 {
	gradient, hessian := p.scaleTrain(s, t.Gradient, t.Hessian, -1)
	whole, lane := p.encodeTrainLoss(t.Loss, s.fitted.Rows)
	heldWhole, held := p.lossLanes(t.HeldOutLoss, s.fitted.HeldOut)
	return p.assemble(Train, map[string][]float64{
		segRows: one(t.Rows), segLossWhole: whole, segLoss: lane, segHeldLossWhole: heldWhole, segHeldLoss: held,
		segGradient: p.inLane(gradient), segHessian: hessian,
	})
}

// scaleTrain multiplies by the normalisation to the power of sign; powers of two are exact.
func (p *Program) scaleTrain(s *State, gradient, hessian []float64, sign int) (g, h []float64) {
	return p.scaleGradient(s, gradient, sign), p.scaleHessian(s, hessian, sign)
}

func encodeLoss(loss float64, rows int64) []float64 {
	return []float64{pow2(loss/metrics.MaxLoss, -rowExponent(rows))}
}

// decodeLoss is never negative, though the opened sum may be by its quantisation.
func decodeLoss(v []float64, rows int64) float64 {
	return max(pow2(float64(v[0]*metrics.MaxLoss), rowExponent(rows)), 0)
}

// checkLoss refuses a loss that rows can't have, beyond the quantisation.
func (p *Program) checkLoss(loss float64, rows int64) error {
	if limit := float64(metrics.MaxLoss*float64(rows)) + p.lossNoise(rows); loss > limit {
		return fmt.Errorf("%w: loss %g of %d rows", ErrSums, loss, rows)
	}
	return nil
}

// lossNoise bounds the quantisation error of a loss sum.
func (p *Program) lossNoise(rows int64) float64 {
	if p.Target != nil {
		return p.unit()
	}
	return pow2(float64(p.unit()*metrics.MaxLoss), rowExponent(rows))
}

// objective adds the penalties on all coefficients but the intercept.
func (p *Program) objective(loss float64, w []float64) float64 {
	size := len(w) / p.blocks() // factorization machines have one block that is longer than the columns
	for at := 0; at < len(w); at += size {
		block := w[at : at+size-1]
		loss += float64(float64(0.5*p.Model.L2) * dot(block, block))
		if p.Model.L1 > 0 {
			total := 0.0
			for _, v := range block {
				total += math.Abs(v)
			}
			loss += float64(p.Model.L1 * total)
		}
	}
	return loss
}

// trainLoss reads the loss of the training rows, which must be those that FIT counted.
func (p *Program) trainLoss(s *State, v map[string][]float64) (float64, error) {
	rows := s.fitted.Rows
	if int64(v[segRows][0]) != rows {
		return 0, fmt.Errorf("%w: %g rows, FIT had %d\nhint: a participant's rows changed during the job", ErrSums, v[segRows][0], rows)
	}
	loss, err := p.readLoss(v, segLossWhole, segLoss, rows)
	if err != nil {
		return 0, err
	}
	return pow2(loss, p.weightExponent()), nil
}

func (p *Program) applyTrain(s *State, v map[string][]float64) (*State, Report, error) {
	loss, err := p.trainLoss(s, v)
	if err != nil {
		return nil, Report{}, err
	}
	rows := s.fitted.Rows
	next := s.advance(Train)
	if err := p.checkVanished(loss, rows, next.step); err != nil {
		return nil, Report{}, err
	}
	next.rounds, next.watch = s.rounds+1, s.watch
	last, stop := int(next.rounds) >= p.Model.MaxRounds, false
	objective := p.objective(loss, s.w)
	report := Report{Kind: Train, Step: next.step, Rows: rows, Objective: objective, LossPerRow: loss / float64(rows)}

	variance := make([]float64, len(s.w))
	// Two sums err by the quantisation, and their float64 arithmetic by far less than 2^-40.
	noise := float64(2*p.trainNoise(rows)) + float64(0x1p-40*objective)
	if s.rounds > 0 && objective > s.bestObjective+noise {
		next.best, next.bestObjective, next.decrement = s.best, s.bestObjective, s.decrement
		report.Decrement, report.Damped = s.decrement, true
		report.Note = "the objective rose: half the step"
		next.w = midpoint(s.w, s.best)
		if last {
			next.w, report.Note = s.best, "the objective rose in the last round: the step is undone"
		}
	} else {
		if err := p.checkGradientFits(loss, rows); err != nil {
			return nil, Report{}, err
		}
		if stop, report.Note, err = p.watch(s, next, v); err != nil {
			return nil, Report{}, err
		}
		q := p.quadratic(s, v[segGradient], v[segHessian])
		var decrement float64
		var frozen int
		if p.Model.L1 > 0 {
			var note string
			next.w, decrement, frozen, note = p.proximalStep(s, q, objective)
			report.note(note)
		} else {
			next.w, decrement, frozen = newtonStep(s, q) // q.m becomes its factor
		}
		for i := range next.w {
			if !(math.Abs(next.w[i]) <= maxCoefficient) {
				return nil, Report{}, fmt.Errorf("%w: coefficient %d is %g after step %d\nhint: raise l2", ErrDiverged, i, next.w[i], next.step)
			}
		}
		next.best, next.bestObjective, next.decrement = s.w, objective, decrement
		next.converged = float64(0.5*float64(decrement*decrement)) <= float64(p.Model.Tolerance*objective)+p.settled(rows)
		report.Decrement, report.Frozen = decrement, frozen
		if next.converged && p.infers() {
			variance = q.m.inverseDiagonal()
			if p.Target != nil {
				p.residualVariance(loss, rows, variance)
			}
		}
	}
	if next.converged || last || stop {
		next.kind = Evaluate
		next.keepWatched()
		if p.infers() {
			if !next.converged {
				clear(variance) // the model isn't that optimum's
			}
			next.variance = variance
		}
	}
	if report.Converged = next.converged; last && !next.converged && !report.Damped {
		report.note(fmt.Sprintf("not converged after %d rounds", next.rounds))
	}
	return next, report, nil
}

// checkVanished refuses a training loss that is nothing but quantisation: every row is predicted surely, and the coefficients grow
// without end, though gradient and Hessian look like those of an optimum.
func (p *Program) checkVanished(loss float64, rows int64, step uint32) error {
	if p.Target == nil && loss <= p.trainNoise(rows) && loss <= float64(0x1p-13*float64(rows)) {
		return fmt.Errorf("%w: the training loss has vanished at step %d: the columns separate the classes, or one of them has no weight\nhint: raise l2, or check the columns and the weights", ErrDiverged, step)
	}
	return nil
}

// infers tells whether standard errors follow from the last Hessian.
func (p *Program) infers() bool { return p.Model.Solver == Newton && p.Model.L1 == 0 }

// maxCoefficient bounds a coefficient of a state: its square is far from overflow.
const maxCoefficient = 1e30

func midpoint(a, b []float64) []float64 {
	out := make([]float64, len(a))
	for i := range a {
		out[i] = float64(0.5 * (a[i] + b[i]))
	}
	return out
}

// quadratic is the model of the objective's smooth part, loss and L2 penalty, around a state's coefficients.
type quadratic struct {
	g     []float64 // its gradient
	m     *matrix   // its Hessian, the lower triangle
	least []float64 // of each column: a pivot that isn't above can't be told from the quantisation, or belongs to a folded column
}

func (p *Program) quadratic(s *State, gradient, hessian []float64) quadratic {
	g, h := p.scaleTrain(s, gradient, hessian, 1)
	d := len(g)
	m := newMatrix(d)
	at := 0
	for i := range d {
		for j := i; j < d; j++ {
			m.row(j)[i] = h[at] // the upper triangle's row i is the lower one's column i
			at++
		}
	}
	least := make([]float64, d)
	noise := p.hessianNoise(d)
	r, e := p.trainExponent(s.fitted.Rows), p.exponents()
	for i := range d {
		least[i] = max(pow2(noise, r+2*e[i]), float64(0x1p-40*m.row(i)[i]))
		if i < d-1 {
			m.row(i)[i] += p.Model.L2
			g[i] += float64(p.Model.L2 * s.w[i])
			if s.fitted.Folded[i] {
				least[i] = math.Inf(1)
			}
		}
	}
	return quadratic{g, m, least}
}

// newtonStep solves (H+λI)·(v-w) = -(g+λw) for the coefficients v. Folded columns, and columns whose pivot can't be told from the
// quantisation (collinear or separated ones without a penalty), are frozen: they keep their coefficient.
func newtonStep(s *State, q quadratic) (v []float64, decrement float64, frozen int) {
	pivots := q.m.cholesky(q.least)
	y := q.m.forward(q.g)
	step := q.m.backward(y)
	v = make([]float64, len(step))
	for i := range step {
		v[i] = s.w[i] - step[i]
		if !pivots[i] && !(i < len(step)-1 && s.fitted.Folded[i]) {
			frozen++
		}
	}
	return v, math.Sqrt(dot(y, y)), frozen
}
