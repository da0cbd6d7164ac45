package dp

import (
	"errors"
	"fmt"
	"math"
)

// CanaryLanes is how many lanes of noise alone go with every private sum. They tell whether the noise that was agreed is there: among 10
// contributors, one without noise takes a tenth of their variance away, which is 7 times what chance does to it.
const CanaryLanes = 10_000

// CanaryAlarm is the probability with which CheckCanary refuses noise that is right.
const CanaryAlarm = 1e-6

// ErrCanary says that canary lanes don't carry the noise that was agreed.
var ErrCanary = errors.New("the noise isn't the agreed one")

// Canary is the segment that carries no data.
func Canary() Segment {
	return Segment{Name: "canary", Length: CanaryLanes, Rounding: TowardZero}
}

// CheckCanary tests the canary lanes of an opened sum against variance, in integer units squared, which is the sum of its contributors'
// σ_i²: Σv²/σ² follows χ² with as many degrees of freedom as there are lanes. It is two-sided and finds faults, as of a random number
// generator, not cheats: who leaves noise out can put it into these lanes alone. What holds against cheats is h (LocalVariance).
//
// The quantiles are those of [WH31]: at 10,000 degrees of freedom they are within 10⁻⁵ of the exact ones.
//
// [WH31] E. B. Wilson, M. M. Hilferty: The distribution of chi-square. PNAS 17, 1931.
func CheckCanary(lanes []float64, variance float64) error {
	k := float64(len(lanes))
	sum := 0.0
	for _, v := range lanes {
		sum += v * v
	}
	const z = 4.891638475699058 // of CanaryAlarm/2 on either side
	quantile := func(z float64) float64 {
		c := 1 - 2/(9*k) + z*math.Sqrt(2/(9*k))
		return k * c * c * c
	}
	ratio := sum / variance
	if !(ratio >= quantile(-z) && ratio <= quantile(z)) {
		return fmt.Errorf("dp: the noise of %d canary lanes has %.3f times the agreed variance, chance explains %.3f to %.3f: %w\nhint: a contributor adds other noise than it should; ask each to run the tests of its build",
			len(lanes), ratio/k, quantile(-z)/k, quantile(z)/k, ErrCanary)
	}
	return nil
}
