package dp

import (
	"fmt"
	"math/big"
	"math/bits"
)

// gaussian samples the discrete Gaussian, P(x) ∝ exp(-x²/2σ²), σ² = num/den
// [CKS20, Alg. 3]: a discrete Laplace proposal y of scale t = ⌊σ⌋+1 is kept
// with probability exp(-γ), where
//
//	γ = (|y| − σ²/t)²/(2σ²) = N/D,  N = (|y|·t·den − num)²,  D = 2·num·den·t².
//
// N and D are exact integers. While they fit, γ is compared in 128 bits after a
// common shift; a comparison that those bits don't decide (below 2^-50 a draw)
// goes on in big integers with the same coins, so the result is always exact.
type gaussian struct {
	num, den, t uint64
	proposal    laplace
	fast        bool
	step        uint64 // t·den
	shift       uint   // D·2^shift is in [2^119, 2^120)
	hi, lo      uint64 // D·2^shift
	bigD        *big.Int
}

// MaxSigma2 bounds a variance: σ ≤ 2^31 integer units.
const MaxSigma2 = 1 << 62

func newGaussian(sigma2 Rational) (gaussian, error) {
	if sigma2.den == 0 || sigma2.num == 0 || sigma2.num/sigma2.den >= MaxSigma2 {
		return gaussian{}, fmt.Errorf("dp: discrete Gaussian variance %s: outside (0, 2^62): %w\nhint: choose another unit for the integers", sigma2, ErrRational)
	}
	g := gaussian{num: sigma2.num, den: sigma2.den}
	g.t = isqrt(new(big.Int).SetUint64(g.num/g.den)).Uint64() + 1
	g.proposal = laplace{s: 1, t: g.t}
	g.bigD = new(big.Int).SetUint64(g.num)
	g.bigD.Lsh(g.bigD, 1).Mul(g.bigD, new(big.Int).SetUint64(g.den))
	t := new(big.Int).SetUint64(g.t)
	g.bigD.Mul(g.bigD, t).Mul(g.bigD, t)
	over, step := bits.Mul64(g.t, g.den)
	g.step = step
	if g.bigD.BitLen() <= 120 && over == 0 {
		g.fast = true
		g.shift = uint(120 - g.bigD.BitLen())
		d := new(big.Int).Lsh(g.bigD, g.shift)
		g.lo = new(big.Int).And(d, new(big.Int).SetUint64(^uint64(0))).Uint64()
		g.hi = d.Rsh(d, 64).Uint64()
	}
	return g, nil
}

func (g *gaussian) sample(c *Coins) int64 {
	for {
		y := g.proposal.sample(c)
		if g.keep(c, uint64(max(y, -y))) {
			return y
		}
	}
}

// keep returns true with probability exp(-γ(y)).
func (g *gaussian) keep(c *Coins, y uint64) bool {
	over, p := bits.Mul64(y, g.step)
	if !g.fast || over != 0 {
		return g.keepBig(c, y)
	}
	a := max(p, g.num) - min(p, g.num)
	nh, nl := bits.Mul64(a, a)
	length := bits.Len64(nl)
	if nh != 0 {
		length = 64 + bits.Len64(nh)
	}
	if uint(length)+g.shift > 128 {
		return g.keepBig(c, y)
	}
	if g.shift >= 64 {
		nh, nl = nl<<(g.shift-64), 0
	} else {
		nh, nl = nh<<g.shift|nl>>(64-g.shift), nl<<g.shift // x>>64 is 0 in Go
	}
	for nh > g.hi || nh == g.hi && nl >= g.lo { // γ ≥ 1, and below 2^9
		if !c.expOne() {
			return false
		}
		var borrow uint64
		nl, borrow = bits.Sub64(nl, g.lo, 0)
		nh, _ = bits.Sub64(nh, g.hi, borrow)
	}
	// u·D·2^(shift-64) lies in [m, m+3) for the uniform u that starts with w, and
	// N·2^(shift-64) in [nh, nh+1).
	for k := uint64(1); ; k++ {
		w := c.word()
		m, _ := bits.Mul64(w, g.hi)
		switch {
		case k < 256 && k*(m+3) <= nh:
		case k < 256 && k*m >= nh+1:
			return k&1 == 1
		default:
			n := new(big.Int).Lsh(new(big.Int).SetUint64(nh), 64)
			n.Or(n, new(big.Int).SetUint64(nl)).Rsh(n, g.shift) // exact: the low bits are zero
			if !c.under(w, n, new(big.Int).Mul(g.bigD, new(big.Int).SetUint64(k))) {
				return k&1 == 1
			}
		}
	}
}

// keepBig is keep in big integers: the reference for the fast path, and the path of huge variances.
func (g *gaussian) keepBig(c *Coins, y uint64) bool {
	n := new(big.Int).SetUint64(y)
	n.Mul(n, new(big.Int).SetUint64(g.t)).Mul(n, new(big.Int).SetUint64(g.den))
	n.Sub(n, new(big.Int).SetUint64(g.num))
	return c.expBig(n.Mul(n, n), g.bigD)
}

// Gaussian fills dst with independent discrete Gaussian noise of variance
// parameter σ², exactly. For a sum of L2 sensitivity Δ it is Δ²/(2σ²)-zCDP in
// any dimension [CKS20, Thm. 4].
func (c *Coins) Gaussian(dst []int64, sigma2 Rational) error {
	g, err := newGaussian(sigma2)
	if err != nil {
		return err
	}
	for i := range dst {
		dst[i] = g.sample(c)
	}
	return nil
}
