package accountant

import "math"

// rdp of a Poisson-sampled mechanism, in the direction of removing a unit, which
// is the larger one for noise that a reflection maps from P to Q [MTZ19, Thm. 5].
//
// Integer orders take the binomial sum [MTZ19, §3.3], exact for the discrete
// Gaussian too. Other orders of the Gaussian are integrated (moment). For the discrete
// Gaussian, and where the integral would need too many points, (α−1)·D_α, which is
// convex in α, is interpolated between integers: an upper bound.
func (s Sampled) rdp(a float64) float64 {
	if s.Rate == 1 {
		return s.Of.rdp(a)
	}
	var sigma float64
	continuous := false
	switch m := s.Of.(type) {
	case Gaussian:
		sigma, continuous = m.Multiplier, true
	case DiscreteGaussian:
		sigma = math.Sqrt(m.Sigma2) / float64(m.Sensitivity)
	}
	unsampled := s.Of.rdp(a)
	if a > 1<<14 {
		return unsampled
	}
	low := math.Floor(a)
	if a == low {
		return min(unsampled, integerMoment(int(a), sigma, s.Rate)/(a-1))
	}
	if continuous {
		if m, ok := moment(a, sigma, s.Rate); ok {
			return min(unsampled, m/(a-1))
		}
	}
	below := 0.0 // order 1: (α−1)·D_α → 0
	if low > 1 {
		below = integerMoment(int(low), sigma, s.Rate)
	}
	above := integerMoment(int(low)+1, sigma, s.Rate)
	return min(unsampled, (below*(low+1-a)+above*(a-low))/(a-1)*rounding)
}

// integerMoment returns an upper bound of ln E_Q[m^α], m = 1−q+q·P/Q:
//
//	ln(1 + Σ_{k≥2} C(α,k)(1−q)^(α−k) q^k (exp(k(k−1)/(2σ²)) − 1)),
//
// every term positive. The margin covers 4e-16 per step of the recurrence.
func integerMoment(a int, sigma, q float64) float64 {
	lnKeep, lnRate := math.Log1p(-q), math.Log(q)
	lnBinomial := math.Log(float64(a))
	sum := math.Inf(-1)
	for k := 2; k <= a; k++ {
		lnBinomial += math.Log(float64(a-k+1) / float64(k))
		x := float64(k) * float64(k-1) / (2 * sigma * sigma)
		lnGrowth := x
		if x < 40 {
			lnGrowth = math.Log(math.Expm1(x))
		}
		sum = logAdd(sum, lnBinomial+float64(a-k)*lnKeep+float64(k)*lnRate+lnGrowth)
	}
	margin := 1e-12 + 4e-15*float64(a)*(1+math.Abs(lnRate))
	return logAdd(0, sum+margin) * rounding
}

// moment returns an upper bound of ln E_Q[m^b] for a real b outside [0, 1],
// m = 1−q+q·exp((2x−1)/(2σ²)), Q = N(0, σ²): b = α gives (α−1)·D_α of removing a
// unit, b = 1−α of adding one. It reports false where that needs over 2^18 points.
//
// Since E_Q[m] = 1, it integrates f = m^b − 1 − b(m−1) ≥ 0, by the trapezoidal
// rule. The integrand is analytic in a strip of half-width w around the real
// line, where |m^b| is at most c(w) times its value on it; so the rule's error
// is below 2c·e^(w²/2σ²)/(e^(2πw/h)−1) of E[m^b]+1+2|b| [TW14, Thm. 5.1]:
// c = 1 for w < πσ² (b > 0), c = 2^|b| for w = πσ²/3 (b < 0). The step h makes it
// 2e^-45. What lies 13σ beyond 0 and b is below 2Φ(-13) < 10^-37 of E[m^b]
// (m/e^u falls and m rises in x). Rounding: 1e-12 of f's integral, and 1e-14·|b|q
// for the cancellation in f.
func moment(b, sigma, q float64) (float64, bool) {
	w, extra := math.Pi*sigma*sigma*0.999, 0.0
	if b < 0 {
		w, extra = math.Pi*sigma*sigma/3, -b*math.Ln2
	}
	w = min(w, 10*sigma)
	h := 2 * math.Pi * w / (45 + extra + w*w/(2*sigma*sigma))
	low, high := min(0, b)-13*sigma, max(0, b)+13*sigma
	points := math.Ceil((high - low) / h)
	if points > 1<<18 {
		return 0, false
	}
	top, sum := math.Inf(-1), 0.0 // the sum is sum·e^top
	for i := 0.0; i <= points; i++ {
		x := low + i*h
		lnM, rise := logRatio((2*x-1)/(2*sigma*sigma), q)
		lnF := b * lnM // f ≤ m^b where that is large, for then b(m−1) > 0
		if lnF < 40 {
			f := math.Expm1(lnF) - b*rise
			if f <= 0 {
				continue
			}
			lnF = math.Log(f)
		} else if b < 0 {
			lnF = logAdd(lnF, math.Log1p(-b))
		}
		t := lnF - x*x/(2*sigma*sigma)
		if t > top {
			sum *= math.Exp(top - t)
			top = t
		}
		sum += math.Exp(t - top)
	}
	ln := top + math.Log(sum*h/(sigma*math.Sqrt(2*math.Pi))) + 1e-12
	ln = logAdd(ln, math.Log(1e-14*math.Abs(b)*q))
	return logAdd(0, ln) * rounding, true
}

// logRatio returns ln m and m − 1 for m = 1−q+q·e^u, both without cancellation.
func logRatio(u, q float64) (ln, rise float64) {
	if q == 1 {
		return u, math.Expm1(u)
	}
	if u > 600 {
		return u + math.Log(q) + math.Log1p((1-q)/q*math.Exp(-u)), math.Inf(1)
	}
	rise = q * math.Expm1(u)
	if rise < -0.5 { // then q > 0.5, and 1−q is exact
		return math.Log(1 - q + q*math.Exp(u)), rise
	}
	return math.Log1p(rise), rise
}
