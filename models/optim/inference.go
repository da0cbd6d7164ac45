package optim

import "math"

// Standard errors. At the optimum of an unpenalised log loss the inverse Hessian is the coefficients' asymptotic covariance;
// z = coefficient/error is then near a standard normal variable if the true coefficient is 0 (Wald's test). With an L2 penalty
// the Hessian has its λ, and errors and p values are approximate: the penalty draws the coefficients to 0. With an L1 penalty
// there are none, nor before convergence. Of a squared loss the covariance is the inverse Hessian times the variance of the residuals,
// by the degrees of freedom; p values are of the normal distribution, which Student's t is near with 50 rows or more.

// Inference is what the Hessian of the last Newton round, or after L-BFGS of EVALUATE, tells of one coefficient.
type Inference struct {
	StandardError float64
	Z             float64
	P             float64 // two-sided: the chance of a |z| as large if the true coefficient is 0
}

// Inference tells of coefficient i; false if nothing is known: no Hessian at the optimum, an L1 penalty, no convergence, or a column
// that is folded, was frozen, or can't be told from others.
func (s *State) Inference(i int) (Inference, bool) {
	if i >= len(s.variance) || s.variance[i] == 0 {
		return Inference{}, false
	}
	return wald(s.w[i], math.Sqrt(s.variance[i])), true
}

// wald tests a coefficient with a standard error against 0.
func wald(coefficient, standardError float64) Inference {
	z := coefficient / standardError
	return Inference{StandardError: standardError, Z: z, P: min(float64(2*upperTail(math.Abs(z))), 1)}
}

// inverseDiagonal is that of A⁻¹ for a factor L of A = L·Lᵀ, without the columns that have no pivot, whose place is 0. The i-th is
// ‖L⁻¹·e‖², e being the i-th unit vector.
func (m *matrix) inverseDiagonal() []float64 {
	out, y := make([]float64, m.d), make([]float64, m.d)
	for i := range m.d {
		pivot := m.row(i)[i]
		if pivot == 0 {
			continue
		}
		y[i] = 1 / pivot
		for k := i + 1; k < m.d; k++ {
			y[k] = 0
			if a := m.row(k); a[k] != 0 {
				y[k] = -dot(a[i:k], y[i:k]) / a[k]
			}
		}
		out[i] = dot(y[i:], y[i:])
	}
	return out
}

const rootTwoPi = 2.50662827463100050242

// upperTail is the chance that a standard normal variable is above z ≥ 0, within 1e-12 of itself. math.Erfc isn't used: compilers
// fuse its products on some architectures.
//
// Reference: M. Abramowitz, I. Stegun: Handbook of Mathematical Functions, 26.2.11 (series) and 26.2.14 (continued fraction).
func upperTail(z float64) float64 {
	square := float64(z * z)
	density := expNegative(float64(-0.5*square)) / rootTwoPi
	if z < 3 {
		term, sum := z, z
		for k := 3; k < 120; k += 2 {
			term = term * square / float64(k)
			sum += term
		}
		return 0.5 - float64(density*sum)
	}
	below := z
	for k := 100; k > 0; k-- {
		below = z + float64(k)/below
	}
	return density / below
}

// expNegative is exp(x) for x ≤ 0.
func expNegative(x float64) float64 {
	if x < -745 {
		return 0
	}
	const ln2High, ln2Low = 6.93147180369123816490e-01, 1.90821492927058770002e-10 // the first with trailing zeros: k·ln2High is exact
	k := math.Floor(x/(ln2High+ln2Low) + 0.5)
	r := (x - float64(k*ln2High)) - float64(k*ln2Low)
	sum := 1.0
	for n := 20; n > 0; n-- {
		sum = 1 + float64(r*sum)/float64(n)
	}
	return math.Ldexp(sum, int(k))
}
