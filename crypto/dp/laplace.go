package dp

import (
	"fmt"
)

// laplace samples the discrete Laplace distribution, P(x) ∝ exp(-|x|·s/t).
type laplace struct{ s, t uint64 }

// maxRuns bounds the geometric part of a sample: it is reached with probability
// e^-2^20 < 2^-1500000, so reaching it means that the coins are broken.
const maxRuns = 1 << 20

// maxScale bounds t so that t·maxRuns stays an int64.
const maxScale = 1 << 42

func newLaplace(scale Rational) (laplace, error) {
	if scale.num == 0 || scale.den == 0 || scale.num > maxScale {
		return laplace{}, fmt.Errorf("dp: discrete Laplace scale %s: numerator outside [1, 2^42]: %w\nhint: choose another unit for the integers", scale, ErrRational)
	}
	return laplace{s: scale.den, t: scale.num}, nil
}

// sample returns one exact draw [CKS20, Alg. 2].
func (l laplace) sample(c *Coins) int64 {
	for {
		u := c.below(l.t)
		if !c.expFraction(u, l.t) {
			continue
		}
		v := c.geometric()
		if v >= maxRuns {
			panic("dp: geometric draw beyond 2^20: the coins are broken")
		}
		x := u + l.t*v
		if l.s != 1 {
			x /= l.s
		}
		if c.bit() == 0 {
			return int64(x)
		}
		if x != 0 {
			return -int64(x)
		}
	}
}

// Laplace fills dst with independent discrete Laplace noise of the given scale,
// P(x) ∝ exp(-|x|/scale), exactly [CKS20, Alg. 2]. For a sum of L1 sensitivity
// Δ it is Δ/scale-differentially private.
func (c *Coins) Laplace(dst []int64, scale Rational) error {
	l, err := newLaplace(scale)
	if err != nil {
		return err
	}
	for i := range dst {
		dst[i] = l.sample(c)
	}
	return nil
}
