package dp

import (
	"math"
	"math/bits"
)

// tries bounds how often a stochastic rounding is drawn again: each fails with
// probability at most e^(-1/2), so all do with probability below 10^-13, and the
// contribution is then rounded toward zero.
const tries = 60

// roundClipped scales x, finite, to an L2 norm of at most seg.Clip, rounds it to
// integers and makes sure that their squared norm is at most seg.Norm2().
// Floating point decides which integers; integers decide whether they pass.
func (c *Coins) roundClipped(dst []int64, x []float64, seg Segment) {
	bound := seg.Norm2()
	factor := clipFactor(x, float64(seg.Clip))
	if seg.Rounding == Stochastic {
		for range tries {
			for i, v := range x {
				dst[i] = c.roundStochastic(v * factor)
			}
			if within(dst, bound) {
				return
			}
		}
	}
	for {
		for i, v := range x {
			dst[i] = int64(v * factor) // toward zero; |v·factor| ≤ 2^30·(1+2^-40)
		}
		if within(dst, bound) {
			return
		}
		factor *= 1 - 0x1p-30 // rounding errors only: a few turns
	}
}

// clipFactor returns min(1, clip/‖x‖₂). It avoids overflow by scaling with the largest value.
func clipFactor(x []float64, clip float64) float64 {
	largest := 0.0
	for _, v := range x {
		largest = max(largest, math.Abs(v))
	}
	if largest == 0 {
		return 1
	}
	sum := 0.0
	for _, v := range x {
		v /= largest
		sum += v * v
	}
	norm := math.Sqrt(sum) // ‖x‖₂/largest, at least 1
	if norm <= clip/largest {
		return 1
	}
	return clip / norm / largest
}

// roundStochastic returns ⌊v⌋ or ⌊v⌋+1 with mean v (to 2^-53). Integers take no coins.
func (c *Coins) roundStochastic(v float64) int64 {
	floor := math.Floor(v)
	n := int64(floor)
	if frac := v - floor; frac > 0 && float64(c.word()>>11) < frac*(1<<53) {
		n++
	}
	return n
}

// within reports Σv² ≤ bound, exactly; bound is below 2^62.
func within(v []int64, bound uint64) bool {
	var sum uint64
	for _, x := range v {
		hi, lo := bits.Mul64(uint64(max(x, -x)), uint64(max(x, -x)))
		if hi != 0 || lo > bound {
			return false
		}
		if sum += lo; sum > bound { // both below 2^62: no overflow
			return false
		}
	}
	return true
}

func finite(x []float64) bool {
	for _, v := range x {
		if v-v != 0 { // NaN for NaN and ±Inf
			return false
		}
	}
	return true
}
