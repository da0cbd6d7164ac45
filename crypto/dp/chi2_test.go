package dp

import (
	"bytes"
	"math"
	"testing"
)

// falseAlarm is the probability with which each statistical test here rejects a
// correct implementation. About 40 of them run: 4·10^-5 a run.
const falseAlarm = 1e-6

// chiSquared fails if counts don't follow the expected ones, which are each at
// least 500, so that the χ² approximation is good to the far tail.
func chiSquared(t *testing.T, counts []int, expected []float64) {
	t.Helper()
	x := 0.0
	for i, e := range expected {
		if e < 500 {
			t.Fatalf("cell %d expects %g", i, e)
		}
		d := float64(counts[i]) - e
		x += d * d / e
	}
	if p := gammaTail(float64(len(counts)-1)/2, x/2); p < falseAlarm {
		t.Errorf("χ² = %.1f with %d degrees of freedom: p = %.2g", x, len(counts)-1, p)
	}
}

// gammaTail returns the regularised upper incomplete gamma function Q(a, x).
func gammaTail(a, x float64) float64 {
	lg, _ := math.Lgamma(a)
	front := math.Exp(a*math.Log(x) - x - lg)
	if x < a+1 { // series of P
		sum, term := 1/a, 1/a
		for n := 1.0; term > sum*1e-17; n++ {
			term *= x / (a + n)
			sum += term
		}
		return 1 - front*sum
	}
	b, c := x+1-a, math.Inf(1) // continued fraction, Lentz
	d := 1 / b
	h := d
	for n := 1.0; n < 10000; n++ {
		an := n * (a - n)
		b += 2
		d = 1 / (an*d + b)
		c = b + an/c
		h *= c * d
		if math.Abs(c*d-1) < 1e-15 {
			break
		}
	}
	return front * h
}

func TestGammaTailAgreesWithKnownQuantiles(t *testing.T) {
	for _, v := range []struct{ a, x, want float64 }{
		{0.5, 1.920729410347062, 0.05},  // χ² of 1 degree at 3.8414588
		{5, 9.153519, 0.05},             // 10 degrees at 18.307038
		{50, 67.9033, 0.01},             // 100 degrees at 135.8067
		{1, -math.Log(1e-6), 1e-6},      // exponential
		{0.5, 23.92812697687947, 1e-12}, // erfc
	} {
		if got := gammaTail(v.a, v.x); v.want > 1e-9 && math.Abs(got/v.want-1) > 2e-4 {
			t.Errorf("Q(%g, %g) = %g, want %g", v.a, v.x, got, v.want)
		}
	}
}

// goodness draws n samples and tests them against a symmetric pmf given up to a
// constant, cutting the integers up to reach into cells of about equal mass.
func goodness(t *testing.T, n int, draw func() int64, pmf func(x float64) float64, reach int64) {
	t.Helper()
	total := 0.0
	for x := -reach; x <= reach; x++ {
		total += pmf(float64(x))
	}
	const cells = 100
	var upper []int64 // inclusive end of each cell but the last
	var expected []float64
	mass := 0.0
	for x := -reach; x <= reach; x++ {
		mass += pmf(float64(x)) / total * float64(n)
		if mass >= max(500, float64(n)/cells) {
			upper, expected = append(upper, x), append(expected, mass)
			mass = 0
		}
	}
	last := len(upper) - 1
	upper[last] = math.MaxInt64 // the rest joins the last cell
	expected[last] += mass
	counts := make([]int, len(upper))
	for range n {
		x := draw()
		low, high := 0, last
		for low < high {
			if mid := (low + high) / 2; x <= upper[mid] {
				high = mid
			} else {
				low = mid + 1
			}
		}
		counts[low]++
	}
	chiSquared(t, counts, expected)
}

// fixedCoins is a stream under a fixed key, for tests that must repeat.
func fixedCoins(t testing.TB, seed byte) *Coins {
	t.Helper()
	c, err := newCoins(bytes.NewReader(bytes.Repeat([]byte{seed}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func freshCoins(t testing.TB) *Coins {
	t.Helper()
	c, err := NewCoins()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Erase)
	return c
}
