package secagg

import "fmt"

// The key of a contribution is shared coefficient by coefficient over F_65537:
// f(0) is the key coefficient, the others are uniform, seat x gets f(x). Any t
// shares give the key, fewer are independent of it [Sha79]. Shares of different
// keys add up to shares of the sum of the keys.

const (
	fieldPrime  = 65537
	elementBits = 17
	// vectorBytes is the size of 4,096 packed field elements.
	vectorBytes = ringDegree * elementBits / 8
)

// vector holds one field element, below 65537, per key coefficient.
type vector [ringDegree]uint32

// shareKey returns the shares of key for seats 1..m; t−1 coefficients per key
// coefficient come from coins.
func shareKey(key *[ringDegree]int64, t, m int, coins *keystream) []*vector {
	shares := make([]*vector, m)
	for i := range shares {
		shares[i] = new(vector)
	}
	// Horner: from the highest power down, the key last.
	var c [ringDegree]uint64
	defer clear(c[:])
	for power := t - 1; power >= 0; power-- {
		if power > 0 {
			coins.uniform(c[:], fieldPrime)
		} else {
			for i, k := range key {
				c[i] = uint64(k+fieldPrime) % fieldPrime // |k| < 65537
			}
		}
		for s, v := range shares {
			x := uint64(s + 1)
			for i := range v {
				v[i] = uint32((uint64(v[i])*x + c[i]) % fieldPrime)
			}
		}
	}
	return shares
}

func (v *vector) add(w *vector) {
	for i := range v {
		v[i] = uint32((uint64(v[i]) + uint64(w[i])) % fieldPrime)
	}
}

// pack writes 17 bits per element, numbered from the low end of each byte.
func (v *vector) pack(dst []byte) {
	_ = dst[vectorBytes-1]
	var acc uint64
	var n uint
	for _, e := range v {
		acc |= uint64(e) << n
		for n += elementBits; n >= 8; n -= 8 {
			dst[0] = byte(acc)
			dst, acc = dst[1:], acc>>8
		}
	}
}

// unpack reads what pack wrote and refuses elements of 65537 and above.
func (v *vector) unpack(src []byte) error {
	if len(src) != vectorBytes {
		return fmt.Errorf("%w: %d bytes of field elements, want %d", ErrMalformed, len(src), vectorBytes)
	}
	var acc uint64
	var n uint
	for i := range v {
		for ; n < elementBits; n += 8 {
			acc |= uint64(src[0]) << n
			src = src[1:]
		}
		e := acc & (1<<elementBits - 1)
		if e >= fieldPrime {
			return fmt.Errorf("%w: field element %d isn't below 65537", ErrMalformed, i)
		}
		v[i] = uint32(e)
		acc >>= elementBits
		n -= elementBits
	}
	return nil
}

// power returns b^e mod 65537.
func power(b, e uint64) uint64 {
	out := uint64(1)
	for ; e > 0; e >>= 1 {
		if e&1 == 1 {
			out = out * b % fieldPrime
		}
		b = b * b % fieldPrime
	}
	return out
}

func invert(a uint64) uint64 { return power(a, fieldPrime-2) }

// lagrange returns the weights w with f(at) = Σ w_i·f(xs_i) for every f of
// degree below len(xs). The xs are distinct and below 65537.
func lagrange(xs []uint64, at uint64) []uint64 {
	w := make([]uint64, len(xs))
	for i, x := range xs {
		num, den := uint64(1), uint64(1)
		for j, y := range xs {
			if j != i {
				num = num * (at + fieldPrime - y) % fieldPrime
				den = den * (x + fieldPrime - y) % fieldPrime
			}
		}
		w[i] = num * invert(den) % fieldPrime
	}
	return w
}

// combine returns Σ w_i·ys_i. With at most 64 seats the sums stay below 2^39.
func combine(w []uint64, ys []*vector) *vector {
	var sum [ringDegree]uint64
	for i, y := range ys {
		wi := w[i]
		for c, e := range y {
			sum[c] += wi * uint64(e)
		}
	}
	out := new(vector)
	for c, s := range sum {
		out[c] = uint32(s % fieldPrime)
	}
	return out
}

// centred maps v to −32768…32768, or reports false if one exceeds limit in
// magnitude.
func (v *vector) centred(limit int64, dst *[ringDegree]int64) (largest int64, ok bool) {
	for i, e := range v {
		k := int64(e)
		if k > fieldPrime/2 {
			k -= fieldPrime
		}
		dst[i] = k
		if k < 0 {
			k = -k
		}
		largest = max(largest, k)
	}
	return largest, largest <= limit
}
