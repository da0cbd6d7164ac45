package optim

import (
	"fmt"
	"math"
)

// Newton's method with an L1 penalty is proximal [LSS14]: each step minimises the quadratic model that the opened gradient and
// Hessian give, with the penalty as it is, by coordinate descent [FHT10]. A coefficient that the penalty holds is exactly 0.
//
// [FHT10] J. Friedman, T. Hastie, R. Tibshirani: Regularization Paths for Generalized Linear Models via Coordinate Descent.
// J. Stat. Softw. 33(1), 2010.
// [LSS14] J. Lee, Y. Sun, M. Saunders: Proximal Newton-type Methods for Minimizing Composite Functions. SIAM J. Optim. 24, 2014.

// Bounds of a step's coordinate descent.
const (
	maxSweeps = 2000
	// A step is solved when no coordinate's move lowers the model by more than this share of what ends the training.
	sweepShare = 0x1p-20
)

// proximalStep gives the coefficients that minimise the model
//
//	gᵀ(v-w) + ½·(v-w)ᵀH(v-w) + λ₁·‖v‖₁,  the intercept free,
//
// g and H being those of the loss and the L2 penalty, and the decrement, whose half square is what the model promises. Columns
// without curvature beside the intercept keep their coefficient. The note says when the descent wasn't finished.
func (p *Program) proximalStep(s *State, q quadratic, objective float64) (v []float64, decrement float64, frozen int, note string) {
	last := len(q.g) - 1
	q.m.mirror()
	c, r, promise := q.m.row(last), append([]float64(nil), q.g...), 0.0
	profiled := c[last] > q.least[last]
	if profiled {
		// The intercept is solved for exactly, which centres the other columns: those that hang together descend slowly otherwise.
		for i := range last {
			share, row := c[i]/c[last], q.m.row(i)
			for j := range last {
				row[j] -= float64(share * c[j])
			}
			r[i] -= float64(share * q.g[last])
		}
		promise = float64(0.5*q.g[last]) * q.g[last] / c[last]
	} else {
		frozen++
	}
	start := append([]float64(nil), r...)
	v = append([]float64(nil), s.w...)
	var order []int
	for j := range last {
		switch {
		case q.m.row(j)[j] > q.least[j]:
			order = append(order, j)
		case !s.fitted.Folded[j]:
			frozen++
		}
	}
	note = p.descend(q.m, order, r[:last], v, float64(float64(sweepShare*p.Model.Tolerance)*objective))
	at := q.g[last]
	for j := range last {
		change := v[j] - s.w[j]
		promise -= float64(float64(0.5*(start[j]+r[j])) * change)
		promise += float64(p.Model.L1 * (math.Abs(s.w[j]) - math.Abs(v[j])))
		at += float64(c[j] * change)
	}
	if profiled {
		v[last] = s.w[last] - at/c[last]
	}
	return v, math.Sqrt(max(float64(2*promise), 0)), frozen, note
}

// descend minimises by coordinate, in order, until no move of a sweep lowers the model by more than enough. r is the smooth
// part's gradient at v; both are updated.
func (p *Program) descend(m *matrix, order []int, r, v []float64, enough float64) (note string) {
	for range maxSweeps {
		moved := 0.0
		for _, j := range order {
			row := m.row(j)
			next := soften(float64(row[j]*v[j])-r[j], p.Model.L1) / row[j]
			change := next - v[j]
			if change == 0 {
				continue
			}
			v[j] = next
			moved = max(moved, float64(float64(row[j]*change)*change))
			for k := range r {
				r[k] += float64(change * row[k])
			}
		}
		if moved <= enough {
			return ""
		}
	}
	return fmt.Sprintf("coordinate descent stopped after %d sweeps", maxSweeps)
}

// soften draws a value towards 0 by λ, the proximal map of λ·|x|.
func soften(x, lambda float64) float64 {
	switch {
	case x > lambda:
		return x - lambda
	case x < -lambda:
		return x + lambda
	}
	return 0
}

// mirror copies the lower triangle to the upper one.
func (m *matrix) mirror() {
	for i := range m.d {
		for j := range i {
			m.row(j)[i] = m.row(i)[j]
		}
	}
}
