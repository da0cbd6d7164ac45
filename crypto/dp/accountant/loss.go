package accountant

import "math"

// direction says which of two neighbouring data sets the loss is counted on.
type direction uint8

const (
	remove direction = iota // ln P/Q under P, P with the unit
	add                     // ln Q/P under Q
)

// law is the privacy loss distribution of a mechanism: of a pair that dominates
// all neighbouring data sets [ZDW22], in both directions.
type law interface {
	// symmetric reports that both directions have one distribution.
	symmetric() bool
	// probe returns a rough discretisation, good to choose a tilt and a grid by.
	probe(d direction) []atom
	// fill gives the mass to s: exactly, or as pairs that dominate it. Mass
	// of at most s.tail may be declared infinite.
	fill(d direction, s *spread)
	// lattice returns the step and offset of a lattice that holds all losses, if there is one.
	lattice(d direction) (step, offset float64, ok bool)
}

type atom struct{ loss, mass float64 }

// spread collects a loss distribution on the grid offset + i·step. Mass at a loss
// between two points is split over them so that both P- and Q-mass are kept: the
// result dominates ("connect the dots" [DGGKM22]), since the likelihood ratio is spread
// about its mean.
type spread struct {
	step, offset float64
	tail         float64 // mass that may be declared infinite
	first        int     // index of mass[0]
	mass         []float64
	infinite     float64 // mass at loss +∞
	largest      float64 // |loss| of what was given, for rounding margins
}

// reserve makes room for losses from low to high.
func (s *spread) reserve(low, high float64) {
	s.first = s.cell(low) - 1
	s.mass = make([]float64, s.cell(high)-s.first+4)
	s.largest = max(math.Abs(low), math.Abs(high))
}

// cell returns the index of the grid point at or below loss.
func (s *spread) cell(loss float64) int { return int(math.Floor((loss - s.offset) / s.step)) }

func (s *spread) point(i int) float64 { return s.offset + float64(i)*s.step }

// pair puts mass on point i and upper of it on point i+1 instead. Rounding errors
// are covered by moving a further 10^-11 of the mass up: that only raises δ.
func (s *spread) pair(i int, mass, upper float64) {
	upper = min(mass, max(0, upper)+1e-11*mass)
	i -= s.first
	s.mass[i] += mass - upper
	s.mass[i+1] += upper
}

// atom spreads mass at one loss.
func (s *spread) atom(loss, mass float64) {
	i := s.cell(loss)
	s.pair(i, mass, mass*math.Expm1(s.point(i)-loss)/math.Expm1(-s.step))
}

// exactAtom puts mass at the grid point nearest to loss: for lattices.
func (s *spread) exactAtom(loss, mass float64) {
	s.mass[int(math.Round((loss-s.offset)/s.step))-s.first] += mass
}

// atoms is the law of finitely many losses, beside a tail that list cuts off.
// list returns them for a tail of at most the given mass, and what was cut off above.
type atoms struct {
	both bool
	list func(d direction, tail float64) (all []atom, infinite float64)
	step func(d direction) (step, offset float64, ok bool)
}

func (a atoms) symmetric() bool { return a.both }

func (a atoms) probe(d direction) []atom {
	all, _ := a.list(d, 1e-40)
	return all
}

func (a atoms) fill(d direction, s *spread) {
	all, infinite := a.list(d, s.tail)
	low, high := math.Inf(1), math.Inf(-1)
	for _, x := range all {
		low, high = min(low, x.loss), max(high, x.loss)
	}
	s.reserve(low, high)
	s.infinite = infinite
	put := s.atom
	if step, offset, ok := a.lattice(d); ok && step == s.step && offset == s.offset {
		put = s.exactAtom
	}
	for _, x := range all {
		put(x.loss, x.mass)
	}
}

func (a atoms) lattice(d direction) (step, offset float64, ok bool) {
	if a.step == nil {
		return 0, 0, false
	}
	return a.step(d)
}

func (r RandomisedResponse) law() law {
	return atoms{
		both: true,
		list: func(direction, float64) ([]atom, float64) {
			p := 1 / (1 + math.Exp(-r.Epsilon))
			return []atom{{r.Epsilon, p}, {-r.Epsilon, 1 / (1 + math.Exp(r.Epsilon))}}, 0
		},
		step: func(direction) (float64, float64, bool) { return 2 * r.Epsilon, r.Epsilon, true },
	}
}

func (g DiscreteGaussian) law() law { return discreteLaw(g, 1) }

// discreteLaw is exact: the losses of the integers y, ln(1−q+q·e^u) and its
// negative, u = Δ(2y−Δ)/(2σ²). The unit's presence shifts by Δ.
func discreteLaw(g DiscreteGaussian, q float64) law {
	shift, s2 := float64(g.Sensitivity), g.Sigma2
	sigma := math.Sqrt(s2)
	l := atoms{both: q == 1}
	l.list = func(d direction, tail float64) ([]atom, float64) {
		z := math.Sqrt(2*math.Log(1/tail)) + 1 // P(|Y| > zσ) ≤ 2e^(−z²/2) < tail [CKS20, Prop. 25]
		low, high := -math.Ceil(z*sigma), math.Ceil(z*sigma)
		if d == remove {
			high += shift
		}
		all := make([]atom, 0, int(high-low)+1)
		norm := theta(s2)
		for y := low; y <= high; y++ {
			ln, rise := logRatio(shift*(2*y-shift)/(2*s2), q)
			mass := math.Exp(-y*y/(2*s2)) / norm
			if d == remove {
				if q == 1 {
					mass = math.Exp(-(y-shift)*(y-shift)/(2*s2)) / norm
				} else if mass *= 1 + rise; math.IsInf(rise, 1) || math.IsNaN(mass) {
					mass = q * math.Exp(-(y-shift)*(y-shift)/(2*s2)) / norm * (1 + 1e-15)
				}
				all = append(all, atom{ln, mass})
			} else {
				all = append(all, atom{-ln, mass})
			}
		}
		return all, tail
	}
	if q == 1 {
		l.step = func(d direction) (float64, float64, bool) {
			offset := -shift * shift / (2 * s2)
			if d == add {
				offset = -offset
			}
			return shift / s2, offset, true
		}
	}
	return l
}

func (s Sampled) law() law {
	switch m := s.Of.(type) {
	case Gaussian:
		return gaussianLaw{m.Multiplier, s.Rate}
	case DiscreteGaussian:
		return discreteLaw(m, s.Rate)
	}
	return nil
}

func (g Gaussian) law() law { return gaussianLaw{g.Multiplier, 1} }
func (ZCDP) law() law       { return nil }
func (s Sum) law() law      { return s.mechanism().law() }

// laplaceLaw: atoms at ±1/b and a density between [Mir17, Prop. 6's pair].
type laplaceLaw struct{ scale float64 }

func (l Laplace) law() law { return laplaceLaw{l.Scale} }

func (laplaceLaw) symmetric() bool                                { return true }
func (laplaceLaw) lattice(direction) (step, off float64, ok bool) { return 0, 0, false }

func (l laplaceLaw) probe(direction) []atom {
	const n = 256
	list := []atom{{1 / l.scale, 0.5}, {-1 / l.scale, 0.5 * math.Exp(-1/l.scale)}}
	for i := range n {
		x := (float64(i) + 0.5) / n
		list = append(list, atom{(1 - 2*x) / l.scale, math.Exp(-x/l.scale) / (2 * l.scale * n)})
	}
	return list
}

// fill integrates over the cells: x in [0, 1] has loss (1−2x)/b and density e^(−x/b)/2b.
func (l laplaceLaw) fill(_ direction, s *spread) {
	most := 1 / l.scale
	s.reserve(-most, most)
	s.atom(most, 0.5)
	s.atom(-most, 0.5*math.Exp(-most))
	for i := s.cell(-most); i <= s.cell(most); i++ {
		bottom := s.point(i)
		low, high := max(bottom, -most), min(bottom+s.step, most)
		if high <= low {
			continue
		}
		// In the loss t the density is e^((t−1/b)/2)/4; with −expm1(bottom−t) it
		// integrates to ½[e^(t/2) + e^(bottom−t/2)]·e^(−1/2b).
		pieces := int(math.Ceil((high - low) / 0.05))
		width := (high - low) / float64(pieces)
		for j := range pieces {
			mass, upper := 0.0, 0.0
			for k, node := range nodes {
				t := low + width*(float64(j)+0.5+node/2)
				p := weights[k] * width / 2 * math.Exp((t-most)/2) / 4
				mass += p
				upper += p * math.Expm1(bottom-t) / math.Expm1(-s.step)
			}
			s.pair(i, mass, upper)
		}
	}
}

// Gauss-Legendre of three points on [−1, 1]: over a piece in which f varies as
// e^(c·x), the relative error is below (c·width)^6/2016000.
var (
	nodes   = [3]float64{-0.7745966692414834, 0, 0.7745966692414834}
	weights = [3]float64{5.0 / 9, 8.0 / 9, 5.0 / 9}
)
