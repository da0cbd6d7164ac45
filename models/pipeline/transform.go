package pipeline

import "math"

// Range is the contract's range after log1p.
func (f *Feature) Range() (lo, hi float64) {
	if f.Log1p {
		return Log1p(f.Min), Log1p(f.Max)
	}
	return f.Min, f.Max
}

// Transform is log1p where the feature asks for it. The value must lie within the contract's range.
func (f *Feature) Transform(x float64) float64 {
	if f.Log1p {
		return Log1p(x)
	}
	return x
}

// Unit maps a value of the contract's range to [0, 1], after log1p: the scale in which FIT sums are taken.
func (s *Spec) Unit(feature int, x float64) float64 {
	f, r := &s.features[feature], s.ranges[feature]
	return min(max((f.Transform(x)-r[0])/(r[1]-r[0]), 0), 1)
}

// exponent is the e of a column bound 2^e: for N rows, |Σ a·x| ≤ 2^e·N and |Σ a·x·y| ≤ 2^e·2^e'·N for |a| ≤ 1.
// Raw numbers are bounded by their range. Standardised ones are not, but Σx² ≤ 1.75·N (see minVariance) and Cauchy-Schwarz
// bound both sums by the 2 that is declared.
func (f *Feature) exponent() int {
	switch {
	case f.Scale:
		return 0
	case f.Standardize:
		return 1
	}
	lo, hi := f.Range()
	frac, e := math.Frexp(max(math.Abs(lo), math.Abs(hi)))
	if frac == 0.5 {
		e--
	}
	return e
}

// ln2 in two parts: the first has 32 trailing zero bits, so that its product with an exponent is exact.
const (
	ln2High = 6.93147180369123816490e-01
	ln2Low  = 1.90821492927058770002e-10
)

// Log1p is log(1+x) for x > -1, within 3 units in the last place. math.Log1p is not used: compilers fuse its products on some
// architectures, and the bounds of a pipeline must be the same bits everywhere.
func Log1p(x float64) float64 {
	if math.Abs(x) < 0x1p-54 {
		return x
	}
	f, k, c := x, 0, 0.0
	if x <= -0.29 || x >= 0.41 {
		u := 1 + x
		frac, e := math.Frexp(u)
		if frac < math.Sqrt2/2 {
			frac, e = float64(frac*2), e-1
		}
		f, k = frac-1, e
		// The rounding error of 1+x, relative to u.
		if x >= 1 {
			c = (1 - (u - x)) / u
		} else {
			c = (x - (u - 1)) / u
		}
	}
	// log(1+f) = 2·atanh(s), s = f/(2+f), |s| ≤ 0.1716: eleven terms leave less than 2^-60.
	s := f / (2 + f)
	z := float64(s * s)
	p := 0.0
	for n := 21; n >= 3; n -= 2 {
		p = float64(z * (1/float64(n) + p))
	}
	tail := float64(float64(2*s)*p) + (float64(float64(k)*ln2Low) + c)
	return float64(float64(k)*ln2High) + (float64(2*s) + tail)
}
