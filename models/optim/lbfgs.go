package optim

import (
	"fmt"
	"math"

	"tributary/models/pipeline"
)

// Limited-memory BFGS: a TRAIN round opens loss and gradient at the state's coefficients, nothing of second order; the server
// builds its idea of the curvature from the last steps and how the gradient changed over them [NW06, Alg. 7.4]. A step whose
// objective doesn't fall enough (Armijo) is shortened by interpolation: each trial costs a round. Steps that are accepted are
// remembered if the gradient rose along them, which it does on a convex objective but for the quantisation. They are kept in single
// precision: they only tell of the curvature, and states are half as large. With an L1 penalty, see composite.go.
//
// [NW06] J. Nocedal, S. Wright: Numerical Optimization. 2nd edition, Springer, 2006.

// LBFGS is a solver of exact linear jobs.
const LBFGS = "lbfgs"

// Bounds of L-BFGS programs.
const (
	MaxLBFGS     = 1 << 19  // coefficients: a state with leastPairs has 60 MiB then, and a member fetches 64 at the most
	roomForPairs = 30 << 20 // bytes of a state's lists that more than leastPairs may fill
	mostPairs    = 40
	leastPairs   = 10
	armijo       = 1e-4 // share of the promised fall that a step must bring
	leastCut     = 0.1  // a step is shortened to this share at the least, to half at the most

	leastCurvature = 1e-12
)

// lbfgs is the solver of programs with LBFGS.
type lbfgs struct{ *Program }

// lbfgsMemory is what the solver keeps beside the coefficients.
type lbfgsMemory struct {
	objective float64   // at the accepted coefficients
	decrement float64   // √(gᵀHg), H being the idea of the inverse Hessian there
	best      []float64 // TRAIN only: the accepted coefficients, from which w steps away
	gradient  []float64 // TRAIN only: of the objective there, without an L1 penalty
	pairs     []pair    // TRAIN only: the last accepted steps, the oldest first
}

// pair is a step and the change of the gradient over it; their inner product is positive.
type pair struct{ step, change []float32 }

func (l lbfgs) name() string      { return l.Model.Type + "/" + LBFGS }
func (l lbfgs) coefficients() int { return l.blocks() * (l.columns() + 1) }

func (l lbfgs) layout(kind RoundKind, add func(name string, length int, scale uint64)) {
	if kind != Train {
		newton(l).layout(kind, add)
		if kind == Evaluate && l.Model.StandardErrors {
			add(segHessian, l.hessianLanes(), l.lane())
		}
		return
	}
	add(segRows, 1, 1)
	l.layoutLoss(add, segLossWhole, segLoss)
	l.layoutWatch(add)
	add(segGradient, l.coefficients(), l.lane())
}

func (l lbfgs) maxRounds(kind RoundKind) int { return newton(l).maxRounds(kind) }

// EncodeGradient gives TRAIN sums without a Hessian as the segments of Layout(Train); Gradient has a block for each class.
func (p *Program) EncodeGradient(s *State, t TrainSums) [][]float64 {
	whole, lane := p.encodeTrainLoss(t.Loss, s.fitted.Rows)
	heldWhole, held := p.lossLanes(t.HeldOutLoss, s.fitted.HeldOut)
	return p.assemble(Train, map[string][]float64{
		segRows: one(t.Rows), segLossWhole: whole, segLoss: lane, segHeldLossWhole: heldWhole, segHeldLoss: held,
		segGradient: p.inLane(p.scaleGradient(s, t.Gradient, -1)),
	})
}

func (p *Program) scaleGradient(s *State, gradient []float64, sign int) []float64 {
	r, e := p.trainExponent(s.fitted.Rows)+p.residualExponent(), p.exponents()
	out := make([]float64, len(gradient))
	for i, g := range gradient {
		out[i] = pow2(g, sign*(r+e[i%len(e)]))
	}
	return out
}

func (l lbfgs) apply(s *State, v map[string][]float64) (*State, Report, error) {
	switch s.kind {
	case Fit:
		next, report, err := l.applyFit(s, v)
		if err == nil {
			next.curvature = l.curvatures(next.fitted, v)
		}
		return next, report, err
	case Train:
		return l.step(s, v)
	default:
		next, report, err := l.applyEvaluate(s, v)
		if err == nil && l.Model.StandardErrors {
			next.variance = l.variances(s, v[segHessian])
			if l.Target != nil {
				l.residualVariance(float64(next.summary.TrainLoss*float64(next.summary.Rows)), next.summary.Rows, next.variance)
			}
		}
		return next, report, err
	}
}

func (l lbfgs) step(s *State, v map[string][]float64) (*State, Report, error) {
	loss, err := l.trainLoss(s, v)
	if err != nil {
		return nil, Report{}, err
	}
	rows, objective := s.fitted.Rows, l.objective(loss, s.w)
	next := s.advance(Train)
	if err := l.checkVanished(loss, rows, next.step); err != nil {
		return nil, Report{}, err
	}
	next.rounds, next.curvature, next.watch = s.rounds+1, s.curvature, s.watch
	last := int(next.rounds) >= l.Model.MaxRounds
	report := Report{Kind: Train, Step: next.step, Rows: rows, Objective: objective, LossPerRow: loss / float64(rows)}
	m := s.lbfgs
	if m != nil {
		slope := 0.0 // of the objective from the accepted coefficients to w; with an L1 penalty a bound of it
		for i, g := range m.gradient {
			slope += float64(g * (s.w[i] - m.best[i]))
		}
		if l.Model.L1 > 0 {
			slope += l.penalised(s.w) - l.penalised(m.best)
		}
		noise := float64(2*l.trainNoise(rows)) + float64(0x1p-40*objective)
		if objective > m.objective+float64(armijo*slope)+noise {
			next.w, next.lbfgs = m.shorter(s.w, objective, slope), m
			report.Decrement, report.Damped, report.Note = m.decrement, true, "the objective didn't fall enough: a shorter step"
			if last {
				report.Note = "the objective didn't fall enough in the last round: the step is undone"
				l.finish(next, m.best)
			}
			return next, report, nil
		}
	}
	if err := l.checkGradientFits(loss, rows); err != nil {
		return nil, Report{}, err
	}
	stop := false
	if stop, report.Note, err = l.watch(s, next, v); err != nil {
		return nil, Report{}, err
	}
	g := l.gradient(s, v[segGradient])
	for i := range g {
		if !(math.Abs(g[i]) <= maxCoefficient) {
			return nil, Report{}, fmt.Errorf("%w: derivative %d is %g after step %d\nhint: raise l2", ErrDiverged, i, g[i], next.step)
		}
	}
	accepted := &lbfgsMemory{objective: objective, best: s.w, gradient: g}
	if m != nil {
		accepted.pairs = m.remember(s.w, g, l.kept())
	}
	var note string
	next.w, accepted.decrement, note = l.next(accepted, s.curvature)
	report.note(note)
	if !(accepted.decrement <= math.MaxFloat64) {
		return nil, Report{}, fmt.Errorf("%w: the step at step %d isn't finite\nhint: raise l2", ErrDiverged, next.step)
	}
	next.lbfgs = accepted
	next.converged = note == "" && float64(0.5*float64(accepted.decrement*accepted.decrement)) <= float64(l.Model.Tolerance*objective)+l.settled(rows)
	report.Decrement = accepted.decrement
	if next.converged || last || stop {
		l.finish(next, s.w)
		if report.Converged = next.converged; last && !next.converged {
			report.note(fmt.Sprintf("not converged after %d rounds", next.rounds))
		}
		return next, report, nil
	}
	for i, w := range next.w {
		if !(math.Abs(w) <= maxCoefficient) {
			return nil, Report{}, fmt.Errorf("%w: coefficient %d is %g after step %d\nhint: raise l2", ErrDiverged, i, w, next.step)
		}
	}
	return next, report, nil
}

// finish ends training at coefficients whose objective is known, or at those of the least held-out loss; nothing needs the rest any
// more.
func (l lbfgs) finish(next *State, w []float64) {
	next.kind, next.w, next.curvature = Evaluate, w, nil
	next.lbfgs = &lbfgsMemory{objective: next.lbfgs.objective, decrement: next.lbfgs.decrement}
	next.keepWatched()
}

// gradient is that of the objective; of folded columns it is 0, but for the quantisation.
func (l lbfgs) gradient(s *State, lanes []float64) []float64 {
	g := l.scaleGradient(s, lanes, 1)
	for i := range g {
		switch {
		case l.folded(s.fitted, i):
			g[i] = 0
		case !l.intercept(i):
			g[i] += float64(l.Model.L2 * s.w[i])
		}
	}
	return g
}

// shorter is a point between the accepted coefficients and w: where the parabola through both objectives, with the slope at the
// first, is least, within bounds.
func (m *lbfgsMemory) shorter(w []float64, objective, slope float64) []float64 {
	share := -slope / float64(2*(objective-m.objective-slope))
	if !(share >= leastCut) {
		share = leastCut
	}
	share = min(share, 0.5)
	out := make([]float64, len(w))
	for i := range w {
		out[i] = m.best[i] + float64(share*(w[i]-m.best[i]))
	}
	return out
}

// kept is how many pairs a state holds: more need fewer rounds, as many as fit are kept.
func (l lbfgs) kept() int {
	lists := 4 * 8 // w, curvature, best and gradient
	if l.watches() {
		lists += 8
	}
	return max(min(mostPairs, (roomForPairs/l.coefficients()-lists)/8), leastPairs)
}

// remember gives the pairs, kept at most, with the step to w, whose gradient is g.
func (m *lbfgsMemory) remember(w, g []float64, kept int) []pair {
	p := pair{make([]float32, len(w)), make([]float32, len(w))}
	for i := range w {
		p.step[i] = float32(w[i] - m.best[i])
		p.change[i] = float32(g[i] - m.gradient[i])
	}
	if !p.curved() {
		return m.pairs
	}
	out := append(append([]pair(nil), m.pairs...), p)
	return out[max(len(out)-kept, 0):]
}

// curved tells whether the gradient rose along the step by more than rounding explains.
func (p pair) curved() bool {
	rise, step, change := 0.0, 0.0, 0.0
	for i, s := range p.step {
		s, y := float64(s), float64(p.change[i])
		rise += float64(s * y)
		step += float64(s * s)
		change += float64(y * y)
	}
	return rise > float64(0x1p-40*math.Sqrt(float64(step*change)))
}

// next gives the coefficients that the next round is summed at, and the decrement. The note says if they aren't what they should be.
func (l lbfgs) next(m *lbfgsMemory, curvature []float64) (w []float64, decrement float64, note string) {
	if l.Model.L1 > 0 {
		return l.proximalStep(m, curvature)
	}
	w = l.direction(m.gradient, m.pairs, curvature)
	decrement = math.Sqrt(max(-dot(m.gradient, w), 0))
	for i := range w {
		w[i] += m.best[i]
	}
	return w, decrement, ""
}

// inverseScale is what the columns' own curvatures are divided by: the last pair tells.
func inverseScale(pairs []pair, curvature []float64) float64 {
	n := len(pairs)
	if n == 0 {
		return 1
	}
	rise, size := 0.0, 0.0
	for i, y := range pairs[n-1].change {
		y := float64(y)
		rise += float64(float64(pairs[n-1].step[i]) * y)
		size += float64(y * (y / curvature[i]))
	}
	return rise / size
}

// direction is -H·g by the two-loop recursion. It starts from the columns' own curvatures, scaled by the last pair: one-hot columns
// have as many rows as their category, which lie orders of magnitude apart.
func (l lbfgs) direction(g []float64, pairs []pair, curvature []float64) []float64 {
	q := append([]float64(nil), g...)
	share, rise := make([]float64, len(pairs)), make([]float64, len(pairs))
	for k := len(pairs) - 1; k >= 0; k-- {
		p, along := pairs[k], 0.0
		for i, s := range p.step {
			along += float64(float64(s) * q[i])
			rise[k] += float64(float64(s) * float64(p.change[i]))
		}
		share[k] = along / rise[k]
		for i, y := range p.change {
			q[i] -= float64(share[k] * float64(y))
		}
	}
	scale := inverseScale(pairs, curvature)
	for i := range q {
		q[i] = float64(scale * (q[i] / curvature[i]))
	}
	for k, p := range pairs {
		along := 0.0
		for i, y := range p.change {
			along += float64(float64(y) * q[i])
		}
		beta := share[k] - along/rise[k]
		for i, s := range p.step {
			q[i] += float64(beta * float64(s))
		}
	}
	for i := range q {
		q[i] = -q[i]
	}
	return q
}

// curvatures are Σx²/4 + λ (of a squared loss Σx² + λ) of each coefficient, Σx² being what FIT opened: the bound of its second derivative.
func (l lbfgs) curvatures(f *pipeline.Fitted, v map[string][]float64) []float64 {
	squares := append(l.spec.Squares(f, totals(v)), float64(f.Rows))
	var out []float64
	for range l.blocks() {
		rate := 0.25
		if l.Target != nil {
			rate = 1
		}
		for i, square := range squares {
			c := pow2(float64(rate*square), l.weightExponent())
			if i < len(squares)-1 {
				c += l.Model.L2
			}
			if !(c >= leastCurvature) {
				c = 1 // a folded or empty column: it doesn't move
			}
			out = append(out, min(c, maxCoefficient))
		}
	}
	return out
}

func (l lbfgs) describe(out *document) {
	out.Model.Tolerance, out.Model.StandardErrors = &l.Model.Tolerance, l.Model.StandardErrors
}

func (l lbfgs) export(s *State) any { return l.exportModel(s) }
