package optim

import "math"

// Standard errors of L-BFGS models. Where the job asks for them, EVALUATE sums the Hessian, too: it is taken at the final
// coefficients, as all that EVALUATE sums, and once. A program without it opens no second derivatives.
//
// Where columns hang together and no penalty tells them apart, none of them has an error: L-BFGS has shared the effect among them.
// With several classes, coefficients tell classes apart only by their differences; training keeps each column's sum over the
// classes where it started, and the errors are those of coefficients with a given sum.

// hessianLanes counts the Hessian's lanes: of each pair of classes the upper triangle of a block, row by row.
func (p *Program) hessianLanes() int {
	k, d := p.blocks(), p.columns()+1
	return k * (k + 1) / 2 * (d * (d + 1) / 2)
}

// scaleHessian multiplies by the normalisation to the power of sign; powers of two are exact.
func (p *Program) scaleHessian(s *State, hessian []float64, sign int) []float64 {
	r, e := p.trainExponent(s.fitted.Rows), p.exponents()
	out := make([]float64, len(hessian))
	for at := 0; at < len(hessian); {
		for i := range e {
			for j := i; j < len(e); j++ {
				out[at] = pow2(hessian[at], sign*(r+e[i]+e[j]))
				at++
			}
		}
	}
	return out
}

// hessianNoise is what a pivot of a Hessian of d columns must be above, as a share of its normalisation, to be told from the
// quantisation. A sum of K lanes has the deviation √(K/12) lane steps, and a symmetric matrix of such errors a norm near 2√d times
// that: 16 is a wide margin.
func (p *Program) hessianNoise(d int) float64 {
	return float64(16*math.Sqrt(float64(p.Contributors*d)/12)) / float64(p.lane())
}

// involved is the share of its deviation that a column has in another one that is a sum of others: less is rounding.
const involved = 1e-3

// variances are those of the coefficients at an optimum; 0: unknown.
func (l lbfgs) variances(s *State, lanes []float64) []float64 {
	if !s.converged {
		return make([]float64, len(s.w))
	}
	m, least := l.hessian(s, lanes)
	classes, size := l.blocks(), l.columns()+1
	pinned := make([]float64, len(s.w)) // of each column's sum over the classes
	if classes > 1 {
		for j := range size {
			mean := 0.0
			for k := range classes {
				mean += m.row(k*size + j)[k*size+j] / float64(classes)
			}
			if l.folded(s.fitted, j) {
				continue
			}
			// Whatever curvature the sum is given goes out again below.
			for a := range classes {
				for b := range a + 1 {
					m.row(a*size + j)[b*size+j] += mean / float64(classes)
				}
				pinned[a*size+j] = mean
				if j < size-1 {
					pinned[a*size+j] += l.Model.L2
				}
			}
		}
	}
	diagonal := make([]float64, m.d)
	for i := range diagonal {
		diagonal[i] = m.row(i)[i]
	}
	pivots := m.cholesky(least)
	out := m.inverseDiagonal()
	for i := range out {
		if pinned[i] > 0 && out[i] > 0 {
			out[i] = max(out[i]-1/float64(pinned[i]*float64(classes)), 0)
		}
	}
	for j, has := range pivots {
		if has || l.folded(s.fitted, j) {
			continue
		}
		for i, v := range m.dependence(j) {
			if float64(math.Abs(v)*math.Sqrt(diagonal[i])) > float64(involved*math.Sqrt(max(diagonal[j], least[j]))) {
				out[i] = 0
			}
		}
	}
	return out
}

// hessian reads the objective's Hessian, the lower triangle, and what its pivots must be above.
func (l lbfgs) hessian(s *State, lanes []float64) (m *matrix, least []float64) {
	h, at := l.scaleHessian(s, lanes, 1), 0
	classes, size := l.blocks(), l.columns()+1
	m = newMatrix(classes * size)
	for a := range classes {
		for b := a; b < classes; b++ {
			for i := range size {
				for j := i; j < size; j++ {
					m.row(b*size + j)[a*size+i] = h[at]
					if b > a {
						m.row(b*size + i)[a*size+j] = h[at]
					}
					at++
				}
			}
		}
	}
	least = make([]float64, m.d)
	noise, r, e := l.hessianNoise(m.d), l.trainExponent(s.fitted.Rows), l.exponents()
	for i := range least {
		d := &m.row(i)[i]
		least[i] = max(pow2(noise, r+2*e[i%size]), float64(0x1p-40**d))
		if !l.intercept(i) {
			*d += l.Model.L2
		}
		if l.folded(s.fitted, i) {
			least[i] = math.Inf(1)
		}
	}
	return m, least
}

// dependence tells how a column without a pivot is made of earlier ones, of the matrix that the receiver is the factor of.
func (m *matrix) dependence(j int) []float64 {
	x := append([]float64(nil), m.row(j)[:j]...)
	for i := j - 1; i >= 0; i-- {
		a := m.row(i)
		if a[i] == 0 {
			x[i] = 0
			continue
		}
		x[i] /= a[i]
		for k := range i {
			x[k] -= float64(a[k] * x[i])
		}
	}
	return x
}
