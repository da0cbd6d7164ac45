package optim

import (
	"fmt"
	"math"
)

// With an L1 penalty federated averaging is dual averaging [YZR21, Alg. 3]: a mean of models that each have zeros has none, so what local
// training moves and the server averages are not the coefficients but their duals, the start less all gradients that were followed. A
// coefficient is made of its dual by the penalties,
//
//	w = soften(z, λ₁·T)/(1+λ₂·T)
//
// T being the time: along it z has moved by T times the gradient of the whole loss. So that T is known without anybody's row count, a
// participant with n of the N rows steps N/(K·n) as far as a mean one of the K does: its mean gradient counts by its share of the rows,
// and none counts twice for being many. The intercept is its dual.
//
// [YZR21] H. Yuan, M. Zaheer, S. Reddi: Federated Composite Optimization. ICML 2021.

// Dual tells whether the program averages duals.
func (p *Program) Dual() bool { return p.Model.Averaging != nil && p.Model.L1 > 0 }

// OfDual is the coefficient of a dual at a time, but for the intercept's, which is the dual itself.
func (p *Program) OfDual(dual, time float64) float64 {
	return soften(dual, float64(p.Model.L1*time)) / (1 + float64(p.Model.L2*time))
}

// EpochTime is how far an epoch of a TRAIN round, counted from 1, brings the time.
func (p *Program) EpochTime(round int) float64 {
	a := p.Model.Averaging
	return a.LearningRate / (math.Sqrt(float64(round)) * float64(p.Contributors) * float64(a.Batch))
}

// DualTime is the time after so many TRAIN rounds.
func (p *Program) DualTime(rounds int) (time float64) {
	a := p.Model.Averaging
	for round := 1; round <= rounds; round++ {
		time += float64(float64(a.ServerRate*float64(a.Epochs)) * p.EpochTime(round))
	}
	return time
}

// Duals are those that a TRAIN round starts from; the caller must not change them.
func (s *State) Duals() []float64 {
	if m := s.average; m != nil && m.dual != nil {
		return m.dual
	}
	return s.w // at time 0
}

// moveDual takes the server's step of a dual at the time that it leads to, and gives its coefficient.
func (a averaging) moveDual(s, next *State, i int, change, time float64) float64 {
	dual := s.Duals()[i] + float64(a.Model.Averaging.ServerRate*change)
	next.average.dual = append(next.average.dual, dual)
	return a.ofDual(i, dual, time)
}

func (a averaging) ofDual(i int, dual, time float64) float64 {
	if i == a.coefficients()-1 {
		return dual
	}
	return a.OfDual(dual, time)
}

// checkDuals wants a state's coefficients to be those of its duals.
func (a averaging) checkDuals(s *State) error {
	time := a.DualTime(int(s.rounds))
	for i, dual := range s.average.dual {
		if math.Abs(dual) > maxCoefficient || a.still(s, i) && dual != 0 || s.w[i] != a.ofDual(i, dual, time) {
			return fmt.Errorf("coefficient %d is %g, its dual %g", i, s.w[i], dual)
		}
	}
	return nil
}

// checkL1 refuses an L1 penalty with solvers that have none.
func checkL1(o *object, m Model) {
	switch a := m.Averaging; {
	case m.L1 == 0 || m.Solver == Newton || m.Solver == LBFGS:
	case a == nil || m.Solver != FedAvg || m.Factors > 0:
		o.fail("l1", "solver %q has no L1 penalty\nhint: %s or %s, or %s of a model without factors", m.Solver, Newton, LBFGS, FedAvg)
	case a.Optimizer != SGD:
		o.fail("l1", "the optimizer %q leaves no zeros\nhint: %s", a.Optimizer, SGD)
	}
}
