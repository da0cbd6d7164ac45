package accountant

import "math"

// gaussianLaw is the loss of (1−q)N(0,σ²)+qN(1,σ²) against N(0,σ²), which
// dominates Poisson-sampled Gaussian noise of multiplier σ in any dimension, in
// both directions [ZDW22, Thm. 11 and Prop. 30; q = 1: no sampling]:
// L(x) = ln(1−q+q·e^((2x−1)/(2σ²))), rising in x.
type gaussianLaw struct{ sigma, q float64 }

func (g gaussianLaw) symmetric() bool { return g.q == 1 }

func (gaussianLaw) lattice(direction) (step, offset float64, ok bool) { return 0, 0, false }

// at returns the loss of removing at x, and the mass density of direction d.
func (g gaussianLaw) at(x float64, d direction) (loss, density float64) {
	norm := 1 / (g.sigma * math.Sqrt(2*math.Pi))
	s2 := 2 * g.sigma * g.sigma
	loss, rise := logRatio((2*x-1)/s2, g.q)
	density = norm * math.Exp(-x*x/s2)
	if d == remove {
		if rise < 1e6 && g.q < 1 {
			density *= 1 + rise
		} else { // where e^u is large or overflows, by its two parts
			density = (1-g.q)*density + g.q*norm*math.Exp(-(x-1)*(x-1)/s2)
		}
	}
	return loss, density
}

// span returns the x beyond which less than tail of the mass lies on each side.
func (g gaussianLaw) span(d direction, tail float64) (low, high float64) {
	z := math.Sqrt(2 * math.Log(1/tail)) // P(Z > z) < e^(−z²/2)/2
	low, high = -z*g.sigma, z*g.sigma
	if d == remove {
		high++
		if g.q == 1 {
			low++
		}
	}
	return low, high
}

func (g gaussianLaw) probe(d direction) []atom {
	low, high := g.span(d, 1e-40)
	n := 600
	width := (high - low) / float64(n)
	list := make([]atom, n)
	for i := range list {
		loss, density := g.at(low+width*(float64(i)+0.5), d)
		if d == add {
			loss = -loss
		}
		list[i] = atom{loss, density * width}
	}
	return list
}

// inverse returns the x at which removing loses loss; -Inf below ln(1−q).
func (g gaussianLaw) inverse(loss float64) float64 {
	s2 := g.sigma * g.sigma
	if g.q == 1 {
		return s2*loss + 0.5
	}
	if loss > 600 {
		return s2*(loss-math.Log(g.q)) + 0.5 // 1−q is below e^-600 of e^loss
	}
	t := math.Expm1(loss) / g.q
	if t <= -1 {
		return math.Inf(-1)
	}
	return s2*math.Log1p(t) + 0.5
}

// fill integrates cell by cell: the mass, and the share that belongs to the
// upper grid point, ∫(1 − e^(l−L))/(1 − e^−h) dP, free of cancellation. Cells are
// cut into pieces over which the integrand varies by less than a factor e^0.1, so
// the quadrature is within 10^-12. The mass beyond span goes up: the upper tail to
// +∞, the lower one to the lowest loss.
func (g gaussianLaw) fill(d direction, s *spread) {
	from, to := g.span(d, s.tail)
	low, _ := g.at(from, d)
	high, _ := g.at(to, d)
	if d == add {
		low, high = -high, -low
	}
	s.reserve(low, high)
	s.infinite = s.tail
	s.mass[3] += s.tail // index first+3 lies above low
	for i := s.cell(low); i <= s.cell(high); i++ {
		bottom := s.point(i)
		var a, b float64
		if d == remove {
			a, b = g.inverse(bottom), g.inverse(s.point(i+1))
		} else {
			a, b = g.inverse(-s.point(i+1)), g.inverse(-bottom)
		}
		a, b = max(a, from), min(b, to)
		g.cell(d, s, i, a, b)
	}
}

// cell integrates over x in [a, b] for grid cell i.
func (g gaussianLaw) cell(d direction, s *spread, i int, a, b float64) {
	bottom, mass, upper := s.point(i), 0.0, 0.0
	split := 1 / math.Expm1(-s.step)
	for a < b {
		z := max(math.Abs(a), math.Abs(a-1)) / g.sigma
		width := min(b-a, 0.1*g.sigma/(3+z+1/g.sigma))
		next := a + width
		if next <= a || b-next < width*1e-6 {
			next, width = b, b-a
		}
		for k, node := range nodes {
			loss, density := g.at(a+width*(0.5+node/2), d)
			if d == add {
				loss = -loss
			}
			p := weights[k] * width / 2 * density
			mass += p
			upper += p * math.Expm1(bottom-loss) * split
		}
		a = next
	}
	s.pair(i, mass, upper)
}
