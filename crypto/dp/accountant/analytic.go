package accountant

import "math"

// Closed forms. Each returns an upper bound of δ(ε): the value plus a margin for
// the rounding of its terms.

// gaussianDelta returns δ(ε) of Gaussian noise at μ = Δ/σ:
// Φ(μ/2−ε/μ) − e^ε·Φ(−μ/2−ε/μ) [BW18, Thm. 8]. Compositions add their μ² [DRS22, Cor. 3.3].
func gaussianDelta(mu, epsilon float64) float64 {
	first := upperTail(epsilon/mu - mu/2)
	z := epsilon/mu + mu/2
	second := math.Exp(epsilon) * upperTail(z)
	if second == 0 || math.IsInf(second, 0) || math.IsNaN(second) {
		second = 0 // sound: it is subtracted
	}
	// upperTail is within 4e-16 relative of the tail at an argument that is off by
	// 2e-16·z, which changes it by z²·2e-16; e^ε by ε·2e-16.
	margin := 1e-15*(1+z*z)*first + 1e-15*(1+epsilon+z*z)*second
	return min(1, max(0, first-second)+margin)
}

// upperTail returns P(N(0,1) > z).
func upperTail(z float64) float64 { return math.Erfc(z/math.Sqrt2) / 2 }

// discreteGaussianDelta returns δ(ε) of one integer [CKS20, Thm. 7]:
// Σ_y P(y)·(1 − e^(ε−L(y)))₊ with L(y) = Δ(2y+Δ)/(2σ²), y over what exceeds ε.
func discreteGaussianDelta(g DiscreteGaussian, epsilon float64) float64 {
	d := float64(g.Sensitivity)
	loss := func(y float64) float64 { return d * (2*y + d) / (2 * g.Sigma2) }
	first := math.Floor(epsilon*g.Sigma2/d-d/2) - 1
	last := max(first, 0) + 40*math.Sqrt(g.Sigma2) + 2
	sum := 0.0
	for y := max(first, -40*math.Sqrt(g.Sigma2)-2); y <= last; y++ {
		if l := loss(y); l > epsilon {
			sum += math.Exp(-y*y/(2*g.Sigma2)) * -math.Expm1(epsilon-l)
		}
	}
	// Beyond 40σ lies less than 10^-340; each term is within 1e-13 relative, except
	// that ε−L is off by 4e-16·(ε+L) where it is small, which moves ε by as much.
	return min(1, sum/theta(g.Sigma2)*(1+1e-12))
}

// theta returns Σ_y exp(−y²/2σ²) over the integers, from below.
func theta(sigma2 float64) float64 {
	if sigma2 > 16 { // √(2πσ²)·(1+2e^(−2π²σ²)+…) by Poisson summation; the rest is below e^-300
		return math.Sqrt(2*math.Pi*sigma2) * (1 - 1e-15)
	}
	sum := 1.0
	for y := 1.0; ; y++ {
		t := 2 * math.Exp(-y*y/(2*sigma2))
		sum += t
		if t < 1e-20 {
			return sum * (1 - 1e-15)
		}
	}
}

// laplaceDelta returns δ(ε) = 1 − e^((ε−1/b)/2) for ε < 1/b, else 0.
func laplaceDelta(scale, epsilon float64) float64 {
	if x := epsilon - 1/scale; x < 0 {
		return -math.Expm1(x/2)*(1+1e-14) + 1e-15/scale
	}
	return 0
}

// responseDelta returns δ(ε) = (e^ε₀ − e^ε)/(1+e^ε₀) for ε < ε₀, else 0 [KOV15].
func responseDelta(eps0, epsilon float64) float64 {
	if epsilon < eps0 {
		return -math.Expm1(epsilon-eps0)/(1+math.Exp(-eps0))*(1+1e-14) + 1e-15*eps0
	}
	return 0
}

// smallestEpsilon returns an ε ≥ 0 with bound(ε) ≤ δ, within 2^-52 relative of the
// smallest one for a bound that falls in ε; +Inf if there is none up to 700.
// A relative 4e-16 and an absolute 1e-13 are added for the rounding of ε itself.
func smallestEpsilon(bound func(float64) float64, delta float64) float64 {
	if bound(0) <= delta {
		return 0
	}
	low, high := 0.0, 1.0
	for !(bound(high) <= delta) { // also for NaN
		low, high = high, high*2
		if high > 1024 {
			return math.Inf(1)
		}
	}
	for range 100 {
		mid := low + (high-low)/2
		if bound(mid) <= delta {
			high = mid
		} else {
			low = mid
		}
	}
	if high > 700 {
		return math.Inf(1)
	}
	return high*(1+4e-16) + 1e-13
}
