package accountant

import (
	"math/big"
)

// Arithmetic for charges: big.Float of 256 bits, every operation rounded
// upward. All operands are positive, so each result is an upper bound of the
// exact value, and the same bits on every machine.
const precision = 256

func up() *big.Float { return new(big.Float).SetPrec(precision).SetMode(big.ToPositiveInf) }

func upInt(n uint64) *big.Float { return up().SetUint64(n) }

func upRat(r *big.Rat) *big.Float { return up().SetRat(r) }

// expUp returns an upper bound of e^y for y ≥ 0, within a factor 1+2^-200 for y < 2^32:
// Taylor's series at y/2^s ≤ 2^-32, squared s times.
func expUp(y *big.Float) *big.Float {
	if y.Sign() == 0 {
		return upInt(1)
	}
	s := max(0, y.MantExp(nil)+32)
	z := up().SetMantExp(y, -s)
	sum, term := upInt(1), upInt(1)
	const terms = 8 // 2^-32·9/9! : the rest is below 2·z⁹/9!
	for i := uint64(1); i <= terms; i++ {
		term = up().Quo(up().Mul(term, z), upInt(i))
		sum = up().Add(sum, term)
	}
	rest := up().Quo(up().Mul(term, z), upInt(terms+1))
	sum = up().Add(sum, up().Mul(rest, upInt(2)))
	for range s {
		sum = up().Mul(sum, sum)
	}
	return sum
}

// logUp returns an upper bound of ln x for x ≥ 1, within 2^-200 relative to
// 1+ln x: x = m·2^e with m in [1, 2), ln x = e·ln 2 + ln m, ln m = 2·artanh((m−1)/(m+1)).
func logUp(x *big.Float) *big.Float {
	e := x.MantExp(nil) - 1
	m := up().SetMantExp(x, -e)
	return up().Add(up().Mul(artanhUp(ratio(m)), upInt(2)), up().Mul(logTwoUp(), upInt(uint64(e))))
}

func logTwoUp() *big.Float {
	third := up().Quo(upInt(1), upInt(3))
	return up().Mul(artanhUp(third), upInt(2))
}

// ratio returns an upper bound of (m−1)/(m+1) ≤ 1/3 for m in [1, 2].
func ratio(m *big.Float) *big.Float {
	above := up().Sub(m, upInt(1))
	below := up().SetMode(big.ToNegativeInf)
	below.Add(m, upInt(1))
	return up().Quo(above, below)
}

// artanhUp returns an upper bound of artanh z for 0 ≤ z ≤ 0.34: Σ z^(2i+1)/(2i+1),
// whose rest after n terms is below z^(2n+1)/(1−z²) < 1.2·z^(2n+1).
func artanhUp(z *big.Float) *big.Float {
	sum, power, square := up(), up().Set(z), up().Mul(z, z)
	const terms = 84 // 0.34^168 < 2^-261
	for i := uint64(0); i < terms; i++ {
		sum = up().Add(sum, up().Quo(power, upInt(2*i+1)))
		power = up().Mul(power, square)
		if power.Sign() == 0 {
			break
		}
	}
	return up().Add(sum, up().Mul(power, upInt(2)))
}
