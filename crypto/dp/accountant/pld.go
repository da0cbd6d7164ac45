package accountant

import (
	"math"
	"math/bits"
)

// maxPoints bounds a transform: 2^21 points take 32 MiB each.
const maxPoints = 1 << 21

// group is a law that was used count times.
type group struct {
	law   law
	count uint64
}

// plan is the tilt and the grid of one composition.
type plan struct {
	tilt         float64 // t ≥ 0: masses are weighted with e^(t·loss)
	step         float64
	bottom, top  float64 // the window of the total loss
	topOrder     float64 // the u whose Chernoff bound put the top where it is
	points       int
	exactLattice bool
	offset       float64
}

// composed is the distribution of the total loss in a window, tilted:
// y[j] = e^(−K(t)+t·l)·P(loss = l), l = start + j·step.
type composed struct {
	plan
	start    float64
	lnMoment float64 // K(t) = ln E e^(t·loss), of the gridded laws
	y        []float64
	err2     float64 // ‖y − exact‖₂ is at most this
	lost     float64 // mass that counts in full: infinite losses, and what wrapped around from above
	relative float64 // factor on all masses
	shift    float64 // by which all losses may be too small
}

// compose returns the tilted distribution of the sum of all groups' losses.
func compose(groups []group, d direction, p plan, delta float64) composed {
	c := composed{plan: p, relative: 1}
	t := newTransform(p.points)
	product := make([]complex128, p.points)
	work := make([]complex128, p.points)
	rounding, indexOffset, topMoment := 0.0, 0.0, 0.0
	for i, g := range groups {
		k := float64(g.count)
		s := spread{step: p.step, tail: min(1e-12, delta*1e-7/(k*float64(len(groups))))}
		if p.exactLattice {
			s.offset = p.offset
		}
		g.law.fill(d, &s)
		c.lost += k * s.infinite
		indexOffset += k * s.offset
		c.shift += k * (1e-15 + 4e-15*s.largest)
		rounding += k * (1e-11 + 4e-16*p.tilt*s.largest) // quadrature, and the weights e^(t·loss)
		ln := s.lnMoment(p.tilt)
		c.lnMoment += k * ln
		topMoment += k * s.lnMoment(p.topOrder)
		norm := s.tilted(work, p.tilt, ln)
		t.forward(work)
		for f, z := range work {
			z = power(z, g.count)
			if i == 0 {
				product[f] = z
			} else {
				product[f] = multiply(product[f], z)
			}
		}
		c.err2 += k * (t.errorRate()*norm + 3*0x1p-53) // step 3 of the package comment
	}
	t.inverse(product)
	c.err2 = (c.err2 + t.errorRate()) * (1 + 1e-3)
	first := int(math.Floor((p.bottom - indexOffset) / p.step))
	c.start = indexOffset + float64(first)*p.step
	c.y = make([]float64, p.points)
	for j := range c.y {
		c.y[j] = max(0, real(product[(first+j)&(p.points-1)]))
	}
	above := c.start + float64(p.points)*p.step
	c.lost += math.Exp(topMoment - p.topOrder*above)
	c.relative = math.Exp(rounding + 1e-15*(1+math.Abs(c.lnMoment)+p.tilt*math.Max(math.Abs(c.start), math.Abs(above))))
	c.shift += 1e-15 * (math.Abs(c.start) + float64(p.points)*p.step)
	return c
}

// lnMoment returns ln Σ mass·e^(t·loss).
func (s *spread) lnMoment(t float64) float64 {
	peak := math.Inf(-1)
	for i, m := range s.mass {
		if m > 0 {
			peak = max(peak, math.Log(m)+t*s.point(s.first+i))
		}
	}
	sum := 0.0
	for i, m := range s.mass {
		if m > 0 {
			sum += m * math.Exp(t*s.point(s.first+i)-peak)
		}
	}
	return peak + math.Log(sum)
}

// tilted fills work with the tilted masses, wrapped around, and returns their 2-norm.
func (s *spread) tilted(work []complex128, t, ln float64) float64 {
	clear(work)
	for i, m := range s.mass {
		if m > 0 {
			work[(s.first+i)&(len(work)-1)] += complex(m*math.Exp(t*s.point(s.first+i)-ln), 0)
		}
	}
	norm := 0.0
	for _, v := range work {
		norm += real(v) * real(v)
	}
	return math.Sqrt(norm) * (1 + 1e-9)
}

// suffixes returns A[m] = Σ_{j≥m} y_j·e^(−t(l_j−l_m)) and B with t+1: then for
// ε in (l_{m-1}, l_m], Σ_j P(l_j)(1−e^(ε−l_j))₊ = e^(K−t·l_m)·(A[m] − e^(ε−l_m)·B[m]).
func (c *composed) suffixes() (a, b []float64) {
	n := len(c.y)
	a, b = make([]float64, n+1), make([]float64, n+1)
	fa, fb := math.Exp(-c.tilt*c.step), math.Exp(-(c.tilt+1)*c.step)
	for j := n - 1; j >= 0; j-- {
		a[j] = c.y[j] + fa*a[j+1]
		b[j] = c.y[j] + fb*b[j+1]
	}
	return a, b
}

// bound returns a function that bounds δ(ε) from above. Where ε lies below the
// window it returns 1.
func (c *composed) bound() func(epsilon float64) float64 {
	a, b := c.suffixes()
	t := c.tilt
	// The 2-norm of e^(−t·x)(1−e^(−x)) over the grid x > 0 meets err2 by Cauchy-Schwarz.
	weight := 0.0
	for j := range len(c.y) + 1 {
		x := float64(j) * c.step
		w := math.Exp(-t*x) * -math.Expm1(-x)
		weight += w * w
	}
	weight = math.Sqrt(weight)*(1+1e-6) + 1e-150 // not 0 where it underflows
	return func(epsilon float64) float64 {
		e := epsilon - c.shift
		m := int(math.Floor((e-c.start)/c.step)) + 1
		if m < 0 {
			return 1
		}
		value := 0.0
		if m < len(c.y) {
			l := c.start + float64(m)*c.step
			value = math.Exp(c.lnMoment-t*l) * (max(0, a[m]-math.Exp(e-l)*b[m]) + 6e-16*float64(len(c.y))*a[m])
		}
		noise := math.Exp(c.lnMoment-t*e) * weight * c.err2
		if sum := (value+noise)*c.relative + c.lost; sum < 1 {
			return sum
		}
		return 1 // also for NaN: fail closed
	}
}

// choose plans tilt, window and grid for δ around delta, by the groups' probes:
// it decides how tight the result is, never whether it is a bound.
// A positive epsilon asks for δ at it instead.
func choose(groups []group, d direction, delta, epsilon float64) plan {
	probes := make([][]atom, len(groups))
	for i, g := range groups {
		probes[i] = g.law.probe(d)
	}
	cumulant := func(t float64) float64 {
		sum := 0.0
		for i, g := range groups {
			sum += float64(g.count) * atomsLnMoment(probes[i], t)
		}
		return sum
	}
	// At order 1+t the composition has RDP K(t)/t: the best order for the target is the tilt.
	var p plan
	p.tilt = argmin(func(t float64) float64 {
		if epsilon > 0 {
			return math.Log(max(1e-300, deltaFromRDP(1+t, cumulant(t)/t, epsilon)))
		}
		return EpsilonFromRDP(1+t, cumulant(t)/t, delta)
	})
	if epsilon > 0 {
		delta = max(1e-30, deltaFromRDP(1+p.tilt, cumulant(p.tilt)/p.tilt, epsilon)) / 16
	}
	k := cumulant(p.tilt)
	p.topOrder = argmin(func(u float64) float64 { return (cumulant(u) - math.Log(delta*1e-6)) / u })
	p.top = (cumulant(p.topOrder) - math.Log(delta*1e-6)) / p.topOrder
	// Tilted mass that wraps around into the window counts too much: e^-28 of it at
	// each end may. (From above it would lose mass too: compose accounts for that.)
	over := func(v float64) float64 { return (28 + cumulant(p.tilt+v) - k) / v }
	under := func(v float64) float64 { return (28 + cumulant(p.tilt-v) - k) / v }
	p.top = max(p.top, over(argmin(over)))
	p.bottom = -under(argmin(under))
	width := (p.top - p.bottom) * 1.05
	p.step = max(width/64, 1e-12)
	for _, t := range []float64{0, p.tilt / 2, p.tilt} {
		p.step = fineStep(groups, probes, t, p.step, width/(maxPoints/2))
	}
	if len(groups) == 1 {
		if step, offset, ok := groups[0].law.lattice(d); ok && width/step < maxPoints/2 {
			p.step, p.offset, p.exactLattice = step, offset, true
		}
	}
	p.points = max(64, 1<<bits.Len(uint(width/p.step)+8))
	p.bottom -= 0.02 * (p.top - p.bottom)
	return p
}

// fineStep divides step until splitting over the grid, which adds at most
// Σ k·min(h²/4, h·E|L|) to the variance of the total loss, adds less than 2^-13 of
// it under tilt t; it stops at least.
func fineStep(groups []group, probes [][]atom, t, step, least float64) float64 {
	variance, sizes := 0.0, make([]float64, len(groups))
	for i, g := range groups {
		v, size := atomsMoments(probes[i], t)
		variance += float64(g.count) * v
		sizes[i] = size
	}
	goal := max(variance*0x1p-13, 1e-10)
	for ; step > least; step /= 1.25 {
		added := 0.0
		for i, g := range groups {
			added += float64(g.count) * min(step*step/4, step*sizes[i])
		}
		if added <= goal {
			break
		}
	}
	return step
}

func atomsLnMoment(list []atom, t float64) float64 {
	peak := math.Inf(-1)
	for _, x := range list {
		if x.mass > 0 {
			peak = max(peak, t*x.loss)
		}
	}
	sum := 0.0
	for _, x := range list {
		sum += x.mass * math.Exp(t*x.loss-peak)
	}
	return peak + math.Log(sum)
}

// atomsMoments returns variance and mean size of the loss under tilt t.
func atomsMoments(list []atom, t float64) (variance, size float64) {
	ln := atomsLnMoment(list, t)
	mean, square := 0.0, 0.0
	for _, x := range list {
		w := x.mass * math.Exp(t*x.loss-ln)
		mean += w * x.loss
		square += w * x.loss * x.loss
		size += w * math.Abs(x.loss)
	}
	return max(0, square-mean*mean), size
}

// argmin returns a t in [e^-7, e^8] at which f is nearly least.
func argmin(f func(float64) float64) float64 {
	best, where := math.Inf(1), 0.0
	for _, step := range []float64{1, 0.25, 0.0625} {
		low, high := where-4*step, where+4*step
		if step == 1 {
			low, high = -7, 8
		}
		for x := low; x <= high; x += step {
			if v := f(math.Exp(x)); v < best {
				best, where = v, x
			}
		}
	}
	return math.Exp(where)
}
