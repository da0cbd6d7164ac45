package optim

import "math"

// L-BFGS with an L1 penalty is orthant-wise [AG07]: within an orthant the penalty is linear, so a step takes its direction from the
// derivative of the whole objective there, the pseudo-gradient; what of the direction would rise by it is left out, and a
// coefficient that would change its sign stops at 0. The pairs of the curvature are of the smooth part, loss and L2 penalty.
//
// [AG07] G. Andrew, J. Gao: Scalable Training of L1-Regularized Log-Linear Models. ICML 2007.

// steepest is the objective's gradient at w, given that of the smooth part. Where a coefficient is 0 it is the derivative in the
// direction that falls, and 0 if neither does.
func (l lbfgs) steepest(g, w []float64) []float64 {
	if l.Model.L1 == 0 {
		return g
	}
	out := make([]float64, len(g))
	for i, v := range g {
		switch {
		case l.intercept(i):
			out[i] = v
		case w[i] > 0:
			out[i] = v + l.Model.L1
		case w[i] < 0:
			out[i] = v - l.Model.L1
		default:
			out[i] = soften(v, l.Model.L1)
		}
	}
	return out
}

// descent is the direction of the next step, and the decrement, whose half square is what the step promises.
func (l lbfgs) descent(m *lbfgsMemory, curvature []float64) (direction []float64, decrement float64) {
	g := l.steepest(m.gradient, m.best)
	direction = l.direction(g, m.pairs, curvature)
	if l.Model.L1 == 0 {
		return direction, math.Sqrt(max(-dot(g, direction), 0))
	}
	alone := 0.0 // what one coefficient promises by itself, at the least: a direction that was left out mustn't look like an optimum
	for i, v := range g {
		if !(float64(direction[i]*v) < 0) {
			direction[i] = 0
		}
		alone = max(alone, float64(v*v)/curvature[i])
	}
	return direction, math.Sqrt(max(-dot(g, direction), alone))
}

// stepped is w moved along a direction. With an L1 penalty it stays in the orthant of w, or where w is 0 in that of the direction.
func (l lbfgs) stepped(w, direction []float64) []float64 {
	out := make([]float64, len(w))
	for i := range out {
		out[i] = w[i] + direction[i]
		if l.Model.L1 > 0 && !l.intercept(i) && float64(w[i]*out[i]) < 0 {
			out[i] = 0
		}
	}
	return out
}
