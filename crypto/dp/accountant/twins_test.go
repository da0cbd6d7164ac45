package accountant

import "math"

// Mechanisms that the product doesn't have, for vectors that do.

// mironovEpsilon is the older conversion [Mir17, Prop. 3].
func mironovEpsilon(a, rdp, delta float64) float64 { return rdp - math.Log(delta)/(a-1) }

// constantRDP has one RDP value at every order: the conversion alone.
type constantRDP struct{ value float64 }

func (constantRDP) check() error          { return nil }
func (c constantRDP) rdp(float64) float64 { return c.value }
func (constantRDP) law() law              { return nil }

// skellam is the difference of two Poisson variables of mean mu/2 each, one integer.
type skellam struct{ mu, shift float64 }

func (skellam) check() error        { return nil }
func (skellam) rdp(float64) float64 { return math.NaN() }

func (s skellam) law() law {
	return atoms{both: true, list: func(_ direction, tail float64) ([]atom, float64) {
		reach := math.Ceil(13*math.Sqrt(s.mu) + 40)
		low, high := int(-reach), int(reach)
		pmf := func(k int) float64 { // Σ_j Poisson(j+|k|)·Poisson(j)
			k = max(k, -k)
			sum, half := 0.0, s.mu/2
			for j := 0; j < int(half+20*math.Sqrt(half)+60); j++ {
				g1, _ := math.Lgamma(float64(j + 1))
				g2, _ := math.Lgamma(float64(j + k + 1))
				sum += math.Exp(float64(2*j+k)*math.Log(half) - s.mu - g1 - g2)
			}
			return sum
		}
		table := make(map[int]float64)
		for k := low - int(s.shift); k <= high+int(s.shift); k++ {
			table[k] = pmf(k)
		}
		var list []atom
		for k := low; k <= high; k++ {
			p, q := table[k-int(s.shift)], table[k]
			if p > 1e-250 && q > 1e-250 {
				list = append(list, atom{math.Log(p / q), p})
			}
		}
		return list, min(tail, 1e-20)
	}}
}

// distributedGaussian is a sum of n discrete Gaussians as one mechanism
// [KLS21, Prop. 14, terms 1 and 3].
type distributedGaussian struct {
	n               int
	sigma, l2, dims float64
}

func (distributedGaussian) check() error { return nil }
func (distributedGaussian) law() law     { return nil }

func (d distributedGaussian) rdp(a float64) float64 {
	tau := 0.0
	for k := 1; k < d.n; k++ {
		tau += 10 * math.Exp(-2*math.Pi*math.Pi*d.sigma*d.sigma*float64(k)/float64(k+1))
	}
	variance := float64(d.n) * d.sigma * d.sigma
	first := a/2*d.l2*d.l2/variance + tau*d.dims
	third := a / 2 * math.Pow(d.l2/math.Sqrt(variance)+tau*math.Sqrt(d.dims), 2)
	return min(first, third)
}

// skellamVector is the bound of [AKL21, Thm. 3.5] at scale 1.
type skellamVector struct{ mu, l1, l2 float64 }

func (skellamVector) check() error { return nil }
func (skellamVector) law() law     { return nil }

func (s skellamVector) rdp(a float64) float64 {
	gauss := a / 2 * s.l2 * s.l2 / s.mu
	return gauss + min((2*a-1)*s.l2*s.l2/(4*s.mu*s.mu)+3*s.l1/(2*s.mu*s.mu), 3*s.l1/(2*s.mu))
}
