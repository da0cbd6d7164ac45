package attack

import (
	"math"
	"testing"
)

// gammaTails returns the regularised incomplete gamma functions P(a, x) and
// Q(a, x): the one computed directly has full relative precision.
func gammaTails(a, x float64) (lower, upper float64) {
	lg, _ := math.Lgamma(a)
	front := math.Exp(a*math.Log(x) - x - lg)
	if x < a+1 { // series of P
		sum, term := 1/a, 1/a
		for n := 1.0; term > sum*1e-17; n++ {
			term *= x / (a + n)
			sum += term
		}
		return front * sum, 1 - front*sum
	}
	b, c := x+1-a, math.Inf(1) // continued fraction of Q, Lentz
	d := 1 / b
	h := d
	for n := 1.0; n < 1e6; n++ {
		an := n * (a - n)
		b += 2
		d = 1 / (an*d + b)
		c = b + an/c
		h *= c * d
		if math.Abs(c*d-1) < 1e-15 {
			break
		}
	}
	return 1 - front*h, front * h
}

// chiSquaredTails returns the probabilities that χ² of k degrees of freedom is at most and at least x.
func chiSquaredTails(k int, x float64) (atMost, atLeast float64) {
	return gammaTails(float64(k)/2, x/2)
}

// binomial returns the probability of k successes in n trials of probability p.
func binomial(n, k int, p float64) float64 {
	if k < 0 || k > n {
		return 0
	}
	lg := func(x int) float64 { v, _ := math.Lgamma(float64(x) + 1); return v }
	return math.Exp(lg(n) - lg(k) - lg(n-k) + float64(k)*math.Log(p) + float64(n-k)*math.Log1p(-p))
}

// binomialTail returns the probability of k successes or more.
func binomialTail(n, k int, p float64) float64 {
	sum := 0.0
	for i := n; i >= k; i-- {
		sum += binomial(n, i, p)
	}
	return sum
}

// mostHits returns the least k that n trials of probability p reach with a probability of at most falseAlarm.
func mostHits(n int, p, falseAlarm float64) int {
	tail, k := 0.0, n
	for ; k > 0; k-- {
		if tail += binomial(n, k, p); tail > falseAlarm {
			break
		}
	}
	return k + 1
}

// normal is the distribution function of the standard normal law.
func normal(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }

func TestTailsAgreeWithKnownQuantiles(t *testing.T) {
	for _, v := range []struct {
		k           int
		x           float64
		lower, want float64
	}{
		{1, 3.841458820694124, 0, 0.05},
		{10, 18.307038053275146, 0, 0.05},
		{100, 135.80672317102676, 0, 0.01},
		{10, 3.940299136119371, 0.05, 0},
		{2, -2 * math.Log1p(-1e-6), 1e-6, 0},
	} {
		atMost, atLeast := chiSquaredTails(v.k, v.x)
		if v.want > 0 && math.Abs(atLeast/v.want-1) > 1e-9 || v.lower > 0 && math.Abs(atMost/v.lower-1) > 1e-9 {
			t.Errorf("χ²(%d) at %g: %g, %g", v.k, v.x, atMost, atLeast)
		}
	}
	// Wilson and Hilferty's cube is within 1 % of the tail at 50,000 degrees.
	for _, z := range []float64{-4.753424, 4.753424} {
		k := 50_000.0
		x := k * math.Pow(1-2/(9*k)+z*math.Sqrt(2/(9*k)), 3)
		atMost, atLeast := chiSquaredTails(int(k), x)
		if p := min(atMost, atLeast); math.Abs(p/1e-6-1) > 0.01 {
			t.Errorf("χ²(50000) at %g: %g, %g", x, atMost, atLeast)
		}
	}
	if p := binomialTail(10, 9, 0.5); math.Abs(p-11.0/1024) > 1e-12 {
		t.Errorf("binomial tail %g", p)
	}
	if k := mostHits(200, 0.001, 1e-6); k != 6 {
		t.Errorf("%d hits", k)
	}
}
