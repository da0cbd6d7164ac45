package secagg

import (
	"math/bits"
	"sync"

	"github.com/tuneinsight/lattigo/v5/ring"
)

// poly is an element of Z_Q[X]/(X^4096+1) as residues modulo prime0 and prime1,
// in coefficient or in NTT order.
type poly [2][ringDegree]uint64

// modulus wraps lattigo's transform for one prime. Only SubRing's transforms and
// the modular reductions are used: both are pure functions of their arguments
// and of tables that aren't written after construction, so that it may be used
// concurrently. lattigo's samplers and decoders aren't used at all.
type modulus struct {
	q     uint64
	sub   *ring.SubRing
	pow64 uint64 // 2^128 mod q: the Montgomery form of 2^64
}

type ringQ struct {
	mod [2]modulus
	inv uint64 // prime0⁻¹ mod prime1, in Montgomery form, for the CRT
}

// rlweRing returns the one ring of this package, computed at the first use and
// constant afterwards.
var rlweRing = sync.OnceValue(func() *ringQ {
	r, err := ring.NewRing(ringDegree, []uint64{prime0, prime1})
	if err != nil {
		panic("secagg: lattigo refused the ring: " + err.Error())
	}
	var out ringQ
	for i, s := range r.SubRings {
		m := &out.mod[i]
		m.q, m.sub = s.Modulus, s
		one := ring.MForm(1, m.q, s.BRedConstant)      // 2^64 mod q
		m.pow64 = ring.MForm(one, m.q, s.BRedConstant) // 2^128 mod q
	}
	m := &out.mod[1]
	inv := ring.ModExp(prime0%prime1, prime1-2, prime1)
	out.inv = ring.MForm(inv, m.q, m.sub.BRedConstant)
	return &out
})

// mul returns a·b·2^-64 mod q.
func (m *modulus) mul(a, b uint64) uint64 {
	return ring.MRed(a, b, m.q, m.sub.MRedConstant)
}

// reduce returns hi·2^64 + lo mod q.
func (m *modulus) reduce(hi, lo uint64) uint64 {
	return m.add(m.mul(hi, m.pow64), ring.BRedAdd(lo, m.q, m.sub.BRedConstant))
}

// add returns a+b mod q for a, b < q.
func (m *modulus) add(a, b uint64) uint64 { return subtractOnce(a+b, m.q) }

// subtractOnce returns x mod q for x < 2q, without a branch.
func subtractOnce(x, q uint64) uint64 {
	x -= q
	return x + q&-(x>>63)
}

// keyTransform writes the NTT of a key with small signed coefficients to dst, in
// Montgomery form.
func (r *ringQ) keyTransform(key *[ringDegree]int64, dst *poly) {
	for i := range r.mod {
		m := &r.mod[i]
		d := dst[i][:]
		for x, k := range key {
			d[x] = uint64(k + int64(m.q)&(k>>63))
		}
		m.sub.NTT(d, d)
		m.sub.MForm(d, d)
	}
}

// mask writes a_j·k, in coefficient order, to dst. a_j is sampled in NTT order:
// slot i is the value at ψ^(2·rev(i)+1), rev reversing 12 bits; first all slots
// modulo prime0 (ψ = 2859855253631488), then all modulo prime1 (ψ =
// 3516031340130571). The order is lattigo's; a test pins it.
func (r *ringQ) mask(ctx Context, j int, key, dst *poly) {
	a := expander(ctx, j)
	for i := range r.mod {
		m := &r.mod[i]
		d := dst[i][:]
		a.uniform(d, m.q)
		m.sub.MulCoeffsMontgomery(d, key[i][:], d)
		m.sub.INTT(d, d)
	}
}

// lift returns the x in [0, Q) with x ≡ x0 mod prime0 and x ≡ x1 mod prime1.
func (r *ringQ) lift(x0, x1 uint64) (hi, lo uint64) {
	// prime1 < prime0 < 2·prime1, so that one subtraction reduces x0.
	d := x1 + prime1 - subtractOnce(x0, prime1)
	hi, lo = bits.Mul64(r.mod[1].mul(subtractOnce(d, prime1), r.inv), prime0)
	lo, carry := bits.Add64(lo, x0, 0)
	return hi + carry, lo
}
