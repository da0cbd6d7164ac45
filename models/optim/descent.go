package optim

import (
	"fmt"
	"math"
)

// stepLength of the preconditioned descent: H bounds the Hessian of the loss, by a factor near 2 where p isn't near 1/2. The
// penalty's part is exact, and so counted stepLength times in the preconditioner. Where H is exact, too (p near 1/2), steps of
// 2/H only alternate around the optimum: the last step has length 1, which is the mean of the last two points.
const stepLength = 2

// maxShifts bounds how often the shift is doubled until H is positive definite.
const maxShifts = 64

// applyGram is the step of a private FIT.
func (p *Program) applyGram(s *State, v map[string][]float64) (*State, Report, error) {
	gram := v[segGram]
	if err := p.checkNorm(gram, p.privacy.Sigma2Fit); err != nil {
		return nil, Report{}, err
	}
	d := p.Coefficients()
	factor, shift, doubled, err := p.precondition(gram)
	if err != nil {
		return nil, Report{}, err
	}
	// Rows have norm 1: the trace counts them.
	trace, at := 0.0, 0
	for i := range d {
		trace += gram[at]
		at += d - i
	}
	next := s.advance(Train)
	next.fitted, next.w, next.factor = p.fittedBefore(s), make([]float64, d), factor
	next.fitted.Rows = int64(math.Floor(max(trace/float64(p.privacy.Scale), 0) + 0.5))
	deviation := float64(math.Sqrt(float64(d)) * p.sigma(p.privacy.Sigma2Fit))
	note := fmt.Sprintf("noised: about %d training rows (standard error %.0f or more); eigen-shift %.4g", next.fitted.Rows, deviation, shift)
	if doubled > 0 {
		note += fmt.Sprintf(", doubled %d times for the noise of the Gram matrix", doubled)
	}
	return next, Report{Kind: Fit, Step: next.step, Rows: next.fitted.Rows, Note: note}, nil
}

// precondition gives the Cholesky factor of H + (shift+2λ)·I; the intercept has no λ. The shift is doubled until half of it makes
// H positive definite, which leaves the other half to the least eigenvalue: contributors beyond those that the program's σ²
// counts on add noise. Lanes off the diagonal carry a factor √2: then a row's lanes have the norm ‖x·xᵀ‖ = 1 exactly, and the
// noise of H off the diagonal is smaller by √2.
func (p *Program) precondition(gram []float64) (factor *matrix, shift float64, doubled int, err error) {
	d := p.Coefficients()
	diagonal, off := 1/float64(4*p.privacy.Scale), 1/float64(float64(4*p.privacy.Scale)*math.Sqrt2)
	shift = float64(float64(4*math.Sqrt(float64(d))) * float64(p.sigma(p.privacy.Sigma2Fit)/float64(4*math.Sqrt2)))
	factorise := func(shift, ridge float64) (*matrix, bool) {
		m, at := newMatrix(d), 0
		for i := range d {
			m.row(i)[i] = float64(gram[at]*diagonal) + shift
			if i < d-1 {
				m.row(i)[i] += ridge
			}
			at++
			for j := i + 1; j < d; j++ {
				m.row(j)[i] = float64(gram[at] * off) // the upper triangle's row i is the lower one's column i
				at++
			}
		}
		return m, all(m.cholesky(make([]float64, d)))
	}
	for ; doubled < maxShifts; doubled++ {
		if _, ok := factorise(float64(shift/2), 0); ok {
			m, ok := factorise(shift, float64(stepLength*p.Model.L2))
			if ok {
				return m, shift, doubled, nil
			}
		}
		shift = float64(2 * shift)
	}
	return nil, 0, 0, fmt.Errorf("%w: no shift makes the Gram matrix positive definite", ErrSums)
}

func all(flags []bool) bool {
	for _, f := range flags {
		if !f {
			return false
		}
	}
	return true
}

// applyDescent is the step of a private TRAIN. All max_rounds rounds are taken: a loss to stop by would be one more noised sum.
func (p *Program) applyDescent(s *State, v map[string][]float64) (*State, Report, error) {
	if err := p.checkNorm(v[segGradient], p.privacy.Sigma2Train); err != nil {
		return nil, Report{}, err
	}
	d := len(s.w)
	next := s.advance(Train)
	next.rounds, next.factor, next.w = s.rounds+1, s.factor, make([]float64, d)
	g := make([]float64, d)
	for i, unit := range v[segGradient] {
		g[i] = unit / float64(p.privacy.Scale)
		if i < d-1 {
			g[i] += float64(p.Model.L2 * s.w[i])
		}
	}
	y := s.factor.forward(g)
	step := s.factor.backward(y)
	length := float64(stepLength)
	if int(next.rounds) >= p.Model.MaxRounds {
		length = 1
	}
	for i := range step {
		next.w[i] = s.w[i] - float64(length*step[i])
		if !(math.Abs(next.w[i]) <= maxCoefficient) {
			return nil, Report{}, fmt.Errorf("%w: coefficient %d is %g after step %d\nhint: raise l2 or epsilon", ErrDiverged, i, next.w[i], next.step)
		}
	}
	report := Report{Kind: Train, Step: next.step, Rows: s.fitted.Rows, Decrement: math.Sqrt(dot(y, y))}
	report.Note = fmt.Sprintf("noised: the gradient's norm is %.4g, its noise has about %.4g or more; no loss is measured",
		math.Sqrt(dot(g, g)), float64(math.Sqrt(float64(d))*p.sigma(p.privacy.Sigma2Train)))
	if int(next.rounds) >= p.Model.MaxRounds {
		next.factor = nil // nothing needs it any more
		next.kind = Evaluate
		if !p.measures() {
			next.kind = Done
		}
	}
	return next, report, nil
}
