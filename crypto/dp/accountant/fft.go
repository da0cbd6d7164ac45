package accountant

import (
	"math"
	"math/bits"
)

// transform is a fast Fourier transform of n = 2^k complex points [CT65]. forward
// leaves its result in bit-reversed order and inverse takes it so: what lies
// between works point by point. Twiddles come from math.Sincos, each within 2^-52.
//
// Its error: ‖computed − exact‖₂ ≤ errorRate()·‖exact‖₂ [Hig02, Thm. 24.2].
type transform struct {
	n       int
	twiddle []complex128 // e^(-2πi·j/n), j < n/2
}

func newTransform(n int) *transform {
	t := &transform{n: n, twiddle: make([]complex128, n/2)}
	for j := range t.twiddle {
		s, c := math.Sincos(-2 * math.Pi * float64(j) / float64(n))
		t.twiddle[j] = complex(c, s)
	}
	return t
}

// errorRate bounds the relative error in the 2-norm: log₂n·η/(1−log₂n·η),
// η = μ+γ₄(√2+μ) < 8u for twiddles within μ = 2u, u = 2^-53; here with 12u.
func (t *transform) errorRate() float64 {
	return float64(bits.Len(uint(t.n))-1) * 12 * 0x1p-53
}

// forward transforms x in place, decimating in frequency.
func (t *transform) forward(x []complex128) {
	for size, stride := t.n, 1; size >= 2; size, stride = size/2, stride*2 {
		half := size / 2
		for at := 0; at < t.n; at += size {
			a, b := x[at:at+half], x[at+half:at+size]
			for j, w := 0, 0; j < len(a) && j < len(b); j, w = j+1, w+stride {
				u, v := a[j], b[j]
				a[j] = u + v
				b[j] = multiply(u-v, t.twiddle[w])
			}
		}
	}
}

// inverse undoes forward, with the factor 1/n.
func (t *transform) inverse(x []complex128) {
	for size, stride := 2, t.n/2; size <= t.n; size, stride = size*2, stride/2 {
		half := size / 2
		for at := 0; at < t.n; at += size {
			a, b := x[at:at+half], x[at+half:at+size]
			for j, w := 0, 0; j < len(a) && j < len(b); j, w = j+1, w+stride {
				tw := t.twiddle[w]
				u, v := a[j], multiply(b[j], complex(real(tw), -imag(tw)))
				a[j] = u + v
				b[j] = u - v
			}
		}
	}
	scale := 1 / float64(t.n)
	for i, v := range x {
		x[i] = complex(real(v)*scale, imag(v)*scale)
	}
}

// multiply is the plain product: Go's own checks for infinities.
func multiply(a, b complex128) complex128 {
	return complex(real(a)*real(b)-imag(a)*imag(b), real(a)*imag(b)+imag(a)*real(b))
}

// power returns z^k for |z| ≤ 1+2^-40 by squaring, within 3k·2^-53 relative;
// below 10^-140 it returns 0, which is nearer than any bound here counts.
func power(z complex128, k uint64) complex128 {
	result := complex(1, 0)
	for {
		if k&1 == 1 {
			result = multiply(result, z)
		}
		if k >>= 1; k == 0 {
			return result
		}
		z = multiply(z, z)
		if math.Abs(real(z))+math.Abs(imag(z)) < 1e-140 {
			return 0
		}
	}
}
