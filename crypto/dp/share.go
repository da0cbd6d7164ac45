package dp

import (
	"errors"
	"fmt"
	"math/big"
	"math/bits"
)

// ErrQuorum marks a number of contributors that can't carry the noise.
var ErrQuorum = errors.New("too few contributors for distributed noise")

// Contributors says who surely adds noise to a sum.
type Contributors struct {
	Min      int // n_min: fewest contributors a sum is opened with
	Colluder int // f: most members that collude, seated or not
}

// Honest returns h = n_min − max(1, f), the contributors whose noise counts:
// one's own noise protects nobody from oneself, so f = 0 counts as 1.
func (c Contributors) Honest() (int, error) {
	if c.Colluder < 0 || c.Min < c.Colluder+2 || c.Min > 1<<20 {
		return 0, fmt.Errorf("dp: n_min=%d with f=%d: n_min must be at least f+2 and at most 2^20: %w\nhint: raise n_min, or use full local noise", c.Min, c.Colluder, ErrQuorum)
	}
	return c.Min - max(1, c.Colluder), nil
}

// LocalVariance returns σ_i² = σ²/h, the variance parameter that each
// contributor adds so that the sum carries σ² whoever drops out or colludes
// [KLS21]. It is exact, or rounded up where it has no 64-bit parts.
func LocalVariance(sigma2 Rational, c Contributors) (Rational, error) {
	h, err := c.Honest()
	if err != nil {
		return Rational{}, err
	}
	if !sigma2.Valid() || sigma2.num == 0 {
		return Rational{}, fmt.Errorf("dp: variance %s isn't positive: %w\nhint: give σ² > 0", sigma2, ErrRational)
	}
	g := gcd(sigma2.num, uint64(h))
	num, rest := sigma2.num/g, uint64(h)/g
	over, den := bits.Mul64(sigma2.den, rest)
	if over == 0 {
		return NewRational(num, den)
	}
	// num/(den·rest) rounded up at denominator 2^20 if that fits, else at 1.
	exact := new(big.Rat).Quo(sigma2.Rat(), new(big.Rat).SetInt64(int64(h)))
	for _, d := range []int64{1 << 20, 1} {
		n := new(big.Int).Mul(exact.Num(), big.NewInt(d))
		n.Add(n, exact.Denom()).Sub(n, big.NewInt(1)).Quo(n, exact.Denom())
		if n.IsUint64() {
			return NewRational(n.Uint64(), uint64(d))
		}
	}
	panic("dp: variance above 2^64 after division")
}

// SumVariance returns σ² = h·σ_i², the variance parameter that the opened sum
// surely carries when contributors add σ_i² each: what a charge is computed from.
func SumVariance(local Rational, c Contributors) (Rational, error) {
	h, err := c.Honest()
	if err != nil {
		return Rational{}, err
	}
	if !local.Valid() {
		return Rational{}, fmt.Errorf("dp: variance isn't a number: %w\nhint: give σ_i² > 0", ErrRational)
	}
	g := gcd(local.den, uint64(h))
	over, num := bits.Mul64(local.num, uint64(h)/g)
	if over != 0 {
		return Rational{}, fmt.Errorf("dp: %d times variance %s needs more than 64 bits: %w\nhint: choose a coarser integer unit", h, local, ErrRational)
	}
	return NewRational(num, local.den/g)
}
