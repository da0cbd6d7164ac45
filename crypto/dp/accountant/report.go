package accountant

import (
	"math"
)

// Report says what a list of releases guarantees together: (Epsilon, Delta)-DP,
// Epsilon being rounded up. It is for people. It holds for releases whose
// parameters were fixed beforehand, and never enforces anything [Reg26]: that
// is Account's part, and a Report can't be turned into a Charge.
type Report struct {
	Epsilon float64 // the larger of Remove and Add, in nats; +Inf if nothing up to 700 holds
	Delta   float64
	Remove  float64 // ε of removing a unit
	Add     float64 // ε of adding one
	Method  string  // "closed form", "pld" or "rdp"
}

// Epsilon reports the ε of releases at δ.
func Epsilon(releases []Release, delta float64) (Report, error) {
	if err := (Target{0, delta}).check(); err != nil {
		return Report{}, err
	}
	l, err := collect(releases)
	if err != nil {
		return Report{}, err
	}
	r := Report{Delta: delta}
	bounds := func(d direction) float64 {
		b := l.bound(d, delta, 0)
		return smallestEpsilon(func(e float64) float64 { return b(e) + l.slack(e) }, delta)
	}
	return l.report(r, bounds, func(r *Report, v float64) { r.Epsilon = v }), nil
}

// Delta reports the δ of releases at ε. Remove and Add hold the δ of each direction.
func Delta(releases []Release, epsilon float64) (Report, error) {
	if err := (Target{epsilon, 0.5}).check(); err != nil {
		return Report{}, err
	}
	l, err := collect(releases)
	if err != nil {
		return Report{}, err
	}
	r := Report{Epsilon: epsilon}
	bounds := func(d direction) float64 {
		if v := l.bound(d, 1e-9, max(epsilon, 1e-9))(epsilon) + l.slack(epsilon); v < 1 {
			return v
		}
		return 1 // also for NaN: fail closed
	}
	return l.report(r, bounds, func(r *Report, v float64) { r.Delta = v }), nil
}

// ledger is a list of releases, merged.
type ledger struct {
	list  []Release
	gauss float64 // Σ count/σ² of all unsampled Gaussians: one Gaussian [DRS22, Cor. 3.3]
	near  float64 // Σ count·lanes·2^-110 of all Sums: see Sum.noise
}

// collect checks and merges: equal mechanisms add up, Gaussians become one.
func collect(releases []Release) (*ledger, error) {
	if err := check(releases); err != nil {
		return nil, err
	}
	l := &ledger{}
	where := make(map[Mechanism]int)
	for _, r := range releases {
		if r.Count == 0 {
			continue
		}
		m := r.Mechanism
		if s, ok := m.(Sum); ok {
			l.near += float64(r.Count) * lanes * 0x1p-110
			m = s.mechanism()
		}
		if s, ok := m.(Sampled); ok && s.Rate == 1 {
			m = s.Of
		}
		if g, ok := m.(Gaussian); ok {
			l.gauss += float64(r.Count) / (g.Multiplier * g.Multiplier) * (1 + 4e-16)
			continue
		}
		if i, ok := where[m]; ok {
			l.list[i].Count += r.Count
			continue
		}
		where[m] = len(l.list)
		l.list = append(l.list, Release{m, r.Count})
	}
	l.gauss *= 1 + 2e-16*float64(min(len(releases), 1<<20))
	return l, nil
}

// slack is what Sums add to δ: their noise is within near of continuous noise in
// total variation, on either data set.
func (l *ledger) slack(epsilon float64) float64 {
	if l.near == 0 {
		return 0
	}
	return (1 + math.Exp(epsilon)) * l.near
}

func (l *ledger) report(r Report, bounds func(direction) float64, set func(*Report, float64)) Report {
	r.Method = l.method()
	r.Remove = bounds(remove)
	r.Add = r.Remove
	if !l.symmetric() {
		r.Add = bounds(add)
	}
	set(&r, max(r.Remove, r.Add))
	return r
}

func (l *ledger) method() string {
	if l.closed() != nil {
		return "closed form"
	}
	for _, r := range l.list {
		if r.Mechanism.law() == nil {
			return "rdp"
		}
	}
	return "pld"
}

func (l *ledger) symmetric() bool {
	for _, r := range l.list {
		if m := r.Mechanism.law(); m != nil && !m.symmetric() {
			return false
		}
	}
	return true
}

// closed returns δ(ε) where there is a formula: no release, Gaussians alone, or
// one use of one other mechanism.
func (l *ledger) closed() func(float64) float64 {
	switch {
	case len(l.list) == 0 && l.gauss == 0:
		return func(float64) float64 { return 0 }
	case len(l.list) == 0:
		mu := math.Sqrt(l.gauss) * (1 + 2e-16)
		return func(e float64) float64 { return gaussianDelta(mu, e) }
	case len(l.list) > 1 || l.gauss > 0 || l.list[0].Count > 1:
		return nil
	}
	switch m := l.list[0].Mechanism.(type) {
	case Laplace:
		return func(e float64) float64 { return laplaceDelta(m.Scale, e) }
	case RandomisedResponse:
		return func(e float64) float64 { return responseDelta(m.Epsilon, e) }
	case DiscreteGaussian:
		if m.Sigma2 <= 1e6 {
			return func(e float64) float64 { return discreteGaussianDelta(m, e) }
		}
	}
	return nil
}

// bound returns an upper bound of δ(ε), made for δ near delta or, if positive, ε near epsilon.
func (l *ledger) bound(d direction, delta, epsilon float64) func(float64) float64 {
	if f := l.closed(); f != nil {
		return f
	}
	if l.method() == "rdp" {
		return l.rdpBound()
	}
	return l.pld(d, delta, epsilon)
}

func (l *ledger) pld(d direction, delta, epsilon float64) func(float64) float64 {
	groups := l.groups()
	p := choose(groups, d, delta, epsilon)
	c := compose(groups, d, p, delta)
	return c.bound()
}

func (l *ledger) groups() []group {
	var groups []group
	if l.gauss > 0 {
		groups = append(groups, group{Gaussian{1 / math.Sqrt(l.gauss) * (1 - 4e-16)}.law(), 1})
	}
	for _, r := range l.list {
		groups = append(groups, group{r.Mechanism.law(), r.Count})
	}
	return groups
}

// rdpBound is for lists of which only RDP is known: the best order at each ε.
func (l *ledger) rdpBound() func(float64) float64 {
	releases := append([]Release(nil), l.list...)
	if l.gauss > 0 {
		releases = append(releases, Release{Gaussian{1 / math.Sqrt(l.gauss) * (1 - 4e-16)}, 1})
	}
	return func(epsilon float64) float64 {
		return minimise(func(a float64) float64 {
			sum := 0.0
			for _, r := range releases {
				sum += float64(r.Count) * r.Mechanism.rdp(a)
			}
			return deltaFromRDP(a, sum*(1+1e-15*float64(len(releases))), epsilon)
		})
	}
}
