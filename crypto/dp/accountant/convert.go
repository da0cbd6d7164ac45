package accountant

import (
	"fmt"
	"math"
)

// EpsilonFromRDP returns the ε at which RDP of value rdp at order a > 1 gives
// (ε, δ)-DP: rdp + ln((α−1)/α) − (ln δ + ln α)/(α−1) [CKS20, Prop. 12], at least 0.
func EpsilonFromRDP(a, rdp, delta float64) float64 {
	e := rdp + math.Log1p(-1/a) - (math.Log(delta)+math.Log(a))/(a-1)
	return max(0, e+4e-15*(1+math.Abs(e)+math.Abs(math.Log(delta))/(a-1)))
}

// deltaFromRDP returns the δ at ε: exp((α−1)(rdp−ε) + α·ln(1−1/α))/(α−1), at most 1.
func deltaFromRDP(a, rdp, epsilon float64) float64 {
	x := (a-1)*(rdp-epsilon) + a*math.Log1p(-1/a) - math.Log(a-1)
	return min(1, math.Exp(x)*(1+1e-14*(2+math.Abs(x)+a*(1+rdp+epsilon))))
}

// Orders are the RDP orders of reports: 1.1 to 10.9 by tenths, the integers to
// 63, then powers of two to 4096.
func Orders() []float64 {
	var o []float64
	for i := 11; i < 110; i++ {
		o = append(o, float64(i)/10)
	}
	for i := 11; i < 64; i++ {
		o = append(o, float64(i))
	}
	for i := 64; i <= 4096; i *= 2 {
		o = append(o, float64(i))
	}
	return o
}

// RDP returns an upper bound of the composition's Rényi divergence at each
// order, in nats, the larger of both directions of each release.
func RDP(releases []Release, orders []float64) ([]float64, error) {
	if err := check(releases); err != nil {
		return nil, err
	}
	curve := make([]float64, len(orders))
	for i, a := range orders {
		if !inside(a, 1+1e-6, 1e6) {
			return nil, fmt.Errorf("accountant: RDP order %g outside (1, 1e6]: %w\nhint: take Orders()", a, ErrOrder)
		}
		for _, r := range releases {
			curve[i] += float64(r.Count) * r.Mechanism.rdp(a)
		}
		curve[i] *= 1 + 1e-15*float64(len(releases)+1)
	}
	return curve, nil
}

// bestOrder returns the smallest ε of a curve and its order.
func bestOrder(orders, curve []float64, delta float64) (epsilon, order float64) {
	epsilon = math.Inf(1)
	for i, a := range orders {
		if e := EpsilonFromRDP(a, curve[i], delta); e < epsilon {
			epsilon, order = e, a
		}
	}
	return epsilon, order
}

// ZCDPEpsilon returns the ε at δ of ρ-zCDP, by the best order α [CKS20, Cor. 13].
// Any order gives a valid bound: the search decides only tightness.
func ZCDPEpsilon(rho, delta float64) (float64, error) {
	if err := (ZCDP{rho}).check(); err != nil {
		return 0, err
	}
	if err := (Target{1, delta}).check(); err != nil {
		return 0, err
	}
	return minimise(func(a float64) float64 { return EpsilonFromRDP(a, a*rho, delta) }), nil
}

// ZCDPDelta returns the δ at ε of ρ-zCDP [CKS20, Cor. 13].
func ZCDPDelta(rho, epsilon float64) (float64, error) {
	if err := (ZCDP{rho}).check(); err != nil {
		return 0, err
	}
	if err := (Target{epsilon, 0.5}).check(); err != nil {
		return 0, err
	}
	return minimise(func(a float64) float64 { return deltaFromRDP(a, a*rho, epsilon) }), nil
}

// ZCDPBudget returns the largest ρ whose zCDP gives the target, rounded down.
func ZCDPBudget(t Target) (float64, error) {
	if err := t.check(); err != nil {
		return 0, err
	}
	low, high := 0.0, t.Epsilon+1
	for range 200 {
		mid := low + (high-low)/2
		if d, err := ZCDPDelta(mid, t.Epsilon); err == nil && d <= t.Delta {
			low = mid
		} else {
			high = mid
		}
	}
	return low, nil
}

// minimise returns the least value found of f over orders 1+e^x, f having one
// valley: a scan, then golden sections.
func minimise(f func(float64) float64) float64 {
	at := func(x float64) float64 { return f(1 + math.Exp(x)) }
	best, where := math.Inf(1), 0.0
	for x := -9.0; x <= 14; x += 0.25 {
		if v := at(x); v < best {
			best, where = v, x
		}
	}
	low, high := where-0.25, where+0.25
	const golden = 0.6180339887498949
	for range 60 {
		m1, m2 := high-golden*(high-low), low+golden*(high-low)
		v1, v2 := at(m1), at(m2)
		best = min(best, v1, v2)
		if v1 < v2 {
			high = m2
		} else {
			low = m1
		}
	}
	return best
}

// Target is an (ε, δ) to be met or asked about; ε in nats, 0..700, δ in (0, 1).
type Target struct{ Epsilon, Delta float64 }

func (t Target) check() error {
	if !inside(t.Epsilon, 0, 700) || !inside(t.Delta, 1e-30, 1-1e-9) {
		return fmt.Errorf("accountant: ε = %g, δ = %g: outside ε in [0, 700], δ in [1e-30, 1): %w\nhint: δ is usually below one in the number of units", t.Epsilon, t.Delta, ErrTarget)
	}
	return nil
}

func check(releases []Release) error {
	for i, r := range releases {
		if r.Mechanism == nil {
			return refuse("name the mechanism", "release %d has none", i)
		}
		if err := r.Mechanism.check(); err != nil {
			return fmt.Errorf("release %d: %w", i, err)
		}
		if r.Count > 1<<40 {
			return refuse("split the report", "release %d has count %d above 2^40", i, r.Count)
		}
	}
	return nil
}
