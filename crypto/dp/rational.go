package dp

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/bits"
	"strconv"
	"strings"
)

// ErrRational marks a number that isn't a non-negative rational of 64-bit parts.
var ErrRational = errors.New("not a rational of 64-bit parts")

// Rational is a non-negative rational number in lowest terms. Variances, rates,
// ε and δ are kept as rationals so that every party computes with the same
// number. The zero value is not a number: everything that takes a Rational refuses it.
type Rational struct{ num, den uint64 }

// NewRational returns num/den in lowest terms. It refuses den = 0.
func NewRational(num, den uint64) (Rational, error) {
	if den == 0 {
		return Rational{}, fmt.Errorf("dp: rational %d/0: %w\nhint: give a denominator of at least 1", num, ErrRational)
	}
	g := gcd(num, den)
	return Rational{num / g, den / g}, nil
}

// Integer returns n/1.
func Integer(n uint64) Rational { return Rational{n, 1} }

// ParseRational reads a decimal ("1", "0.25", "1e-5") or a fraction ("3/7"):
// digits only, no sign, no spaces, exact. It refuses what has no 64-bit parts.
func ParseRational(s string) (Rational, error) {
	fail := func(why string) (Rational, error) {
		if len(s) > 64 {
			s = s[:64] + "…"
		}
		return Rational{}, fmt.Errorf("dp: parse rational %q: %s: %w\nhint: write a decimal such as 0.25 or 1e-5, or a fraction such as 3/7", s, why, ErrRational)
	}
	if len(s) > 64 {
		return fail("longer than 64 characters")
	}
	if n, d, ok := strings.Cut(s, "/"); ok {
		num, ok1 := parseDigits(n)
		den, ok2 := parseDigits(d)
		if !ok1 || !ok2 || den == 0 {
			return fail("not digits/digits")
		}
		return NewRational(num, den)
	}
	mantissa, exponent, hasExp := strings.Cut(s, "e")
	exp := 0
	if hasExp {
		digits := strings.TrimPrefix(exponent, "-")
		if len(digits) == 0 || len(digits) > 2 || !allDigits(digits) {
			return fail("exponent isn't one or two digits")
		}
		exp, _ = strconv.Atoi(exponent)
	}
	whole, frac, hasPoint := strings.Cut(mantissa, ".")
	if hasPoint && frac == "" || !allDigits(whole+frac) || whole == "" {
		return fail("not a decimal")
	}
	num, ok := new(big.Int).SetString(whole+frac, 10)
	if !ok {
		return fail("not a decimal")
	}
	exp -= len(frac)
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(exp, -exp))), nil)
	r := new(big.Rat)
	if exp >= 0 {
		r.SetInt(num.Mul(num, scale))
	} else {
		r.SetFrac(num, scale)
	}
	if !r.Num().IsUint64() || !r.Denom().IsUint64() {
		return fail("numerator or denominator needs more than 64 bits")
	}
	return Rational{r.Num().Uint64(), r.Denom().Uint64()}, nil
}

// Num returns the numerator in lowest terms.
func (r Rational) Num() uint64 { return r.num }

// Den returns the denominator in lowest terms; 0 only for the zero value.
func (r Rational) Den() uint64 { return r.den }

// Valid reports whether r is a number, that is not the zero value.
func (r Rational) Valid() bool { return r.den != 0 }

// Cmp returns -1, 0 or +1 as r is less than, equal to or greater than s.
func (r Rational) Cmp(s Rational) int {
	h1, l1 := bits.Mul64(r.num, s.den)
	h2, l2 := bits.Mul64(s.num, r.den)
	switch {
	case h1 == h2 && l1 == l2:
		return 0
	case h1 < h2 || h1 == h2 && l1 < l2:
		return -1
	}
	return 1
}

// Rat returns r as a new big.Rat; it panics for the zero value.
func (r Rational) Rat() *big.Rat {
	if r.den == 0 {
		panic("dp: use of the zero Rational")
	}
	return new(big.Rat).SetFrac(new(big.Int).SetUint64(r.num), new(big.Int).SetUint64(r.den))
}

// Float returns the float64 nearest to r; NaN for the zero value.
func (r Rational) Float() float64 {
	if r.den == 0 {
		return math.NaN()
	}
	f, _ := r.Rat().Float64()
	return f
}

// String returns "num/den", or "num" for an integer; ParseRational reads it back.
func (r Rational) String() string {
	if r.den == 1 {
		return strconv.FormatUint(r.num, 10)
	}
	return strconv.FormatUint(r.num, 10) + "/" + strconv.FormatUint(r.den, 10)
}

func parseDigits(s string) (uint64, bool) {
	if !allDigits(s) {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil
}

func allDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// isqrt returns ⌊√n⌋ for any n ≥ 0.
func isqrt(n *big.Int) *big.Int { return new(big.Int).Sqrt(n) }
