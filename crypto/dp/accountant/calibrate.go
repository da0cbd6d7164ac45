package accountant

import (
	"fmt"
	"math"
)

// SmallestGaussian returns the smallest multiplier σ/Δ, rounded up, at which one
// release of Gaussian noise meets the target [BW18, Alg. 1 by bisection]. For T
// releases multiply by √T. Its δ is bounded from above, so the target holds.
func SmallestGaussian(t Target) (float64, error) {
	if err := t.check(); err != nil {
		return 0, err
	}
	return smallestMultiplier(t, func(sigma float64) bool { return gaussianDelta(1/sigma, t.Epsilon) <= t.Delta }, 1e-15)
}

// SmallestSampled returns a multiplier at which rounds releases of Poisson-sampled
// Gaussian noise of the given rate meet the target, within 0.1 % of the smallest one
// that the PLD accountant certifies. It takes some seconds.
func SmallestSampled(t Target, rounds uint64, rate float64) (float64, error) {
	if err := t.check(); err != nil {
		return 0, err
	}
	if rate == 1 {
		sigma, err := SmallestGaussian(t)
		return sigma * math.Sqrt(float64(max(1, rounds))) * (1 + 1e-15), err
	}
	if err := (Sampled{Gaussian{1}, rate}).check(); err != nil {
		return 0, err
	}
	return smallestMultiplier(t, func(sigma float64) bool {
		r, err := Epsilon([]Release{{Sampled{Gaussian{sigma}, rate}, max(1, rounds)}}, t.Delta)
		return err == nil && r.Epsilon <= t.Epsilon
	}, 1e-3)
}

// smallestMultiplier bisects on a logarithmic scale; what it returns was tested.
func smallestMultiplier(t Target, meets func(float64) bool, relative float64) (float64, error) {
	high := 1.0
	for !meets(high) {
		if high *= 2; high > 1e9 {
			return 0, fmt.Errorf("accountant: no multiplier up to 1e9 gives ε = %g at δ = %g: %w\nhint: raise ε or δ, or run fewer rounds", t.Epsilon, t.Delta, ErrTarget)
		}
	}
	for high > 0.02 && meets(high/2) {
		high /= 2
	}
	low := high / 2
	for high > low*(1+relative) {
		mid := math.Sqrt(low) * math.Sqrt(high)
		if mid <= low || mid >= high {
			break
		}
		if meets(mid) {
			high = mid
		} else {
			low = mid
		}
	}
	return high, nil
}
