package dp

import (
	"math/big"
	"math/bits"
)

// expOne returns true with probability exactly e^-1 [CKS20, Alg. 1 at γ = 1]:
// the first K whose Bernoulli(1/K) fails is odd. K = 1 never fails.
func (c *Coins) expOne() bool {
	if c.bit() == 0 { // K = 2
		return false
	}
	for k := uint64(3); ; k++ {
		if c.below(k) != 0 {
			return k&1 == 1
		}
	}
}

// expFraction returns true with probability exactly exp(-num/den), 0 ≤ num ≤ den,
// den ≥ 1 [CKS20, Alg. 1].
func (c *Coins) expFraction(num, den uint64) bool {
	for k := uint64(1); ; k++ {
		hi, n := bits.Mul64(den, k)
		if hi == 0 {
			if !c.fraction(num, n) {
				return k&1 == 1
			}
		} else if !c.fraction(num, den) || c.below(k) != 0 { // γ/K as γ times 1/K
			return k&1 == 1
		}
	}
}

// geometric returns how often expOne succeeds before it fails.
func (c *Coins) geometric() uint64 {
	var v uint64
	for c.expOne() {
		v++
	}
	return v
}

// expBig returns true with probability exactly exp(-n/d), n ≥ 0, d > 0, of any
// size [CKS20, Alg. 1]. The arguments are left alone.
func (c *Coins) expBig(n, d *big.Int) bool {
	rest := new(big.Int).Set(n)
	for rest.Cmp(d) >= 0 {
		if !c.expOne() {
			return false
		}
		rest.Sub(rest, d)
	}
	for k := uint64(1); ; k++ {
		if !c.under(c.word(), rest, new(big.Int).Mul(d, new(big.Int).SetUint64(k))) {
			return k&1 == 1
		}
	}
}

// under decides exactly whether u < n/d for a uniform real u in [0, 1) whose
// first 64 bits are w; it draws more bits of u as long as they matter.
func (c *Coins) under(w uint64, n, d *big.Int) bool {
	u := new(big.Int).SetUint64(w)
	target := new(big.Int).Lsh(n, 64)
	low := new(big.Int)
	for {
		low.Mul(u, d)
		if low.Cmp(target) >= 0 {
			return false
		}
		if low.Add(low, d).Cmp(target) <= 0 {
			return true
		}
		u.Lsh(u, 64).Add(u, new(big.Int).SetUint64(c.word()))
		target.Lsh(target, 64)
	}
}
