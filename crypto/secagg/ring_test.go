package secagg

import (
	"math/big"
	"math/bits"
	"testing"

	"github.com/tuneinsight/lattigo/v5/ring"
	"pgregory.net/rapid"
)

// The expansion of a_j depends on the order of NTT slots, which is lattigo's:
// slot i holds the value at ψ^(2·rev(i)+1), rev reversing 12 bits. A lattigo with
// another ψ or order would speak another protocol: this test stops it.
func TestNTTOrderIsPinned(t *testing.T) {
	psi := [2]uint64{2859855253631488, 3516031340130571}
	for i := range rlweRing().mod {
		m := &rlweRing().mod[i]
		x := make([]uint64, ringDegree)
		x[1] = 1 // X
		m.sub.NTT(x, x)
		q := new(big.Int).SetUint64(m.q)
		for slot, v := range x {
			e := 2*(bits.Reverse16(uint16(slot))>>4) + 1
			want := new(big.Int).Exp(new(big.Int).SetUint64(psi[i]), big.NewInt(int64(e)), q)
			if want.Uint64() != v {
				t.Fatalf("prime %d: slot %d of X is %d, want ψ^%d = %v (slot 0 is %d)", i, slot, v, e, want, x[0])
			}
		}
	}
}

// a·k computed slowly, for a key with few coefficients.
func TestMaskIsTheNegacyclicProduct(t *testing.T) {
	r := rlweRing()
	ctx := context("mask")
	var key [ringDegree]int64
	key[0], key[1], key[77], key[4095] = -19, 3, 19, -1
	k, got := new(poly), new(poly)
	r.keyTransform(&key, k)
	r.mask(ctx, 5, k, got)
	stream := expander(ctx, 5)
	for i := range r.mod {
		m := &r.mod[i]
		a := make([]uint64, ringDegree)
		stream.uniform(a, m.q)
		m.sub.INTT(a, a)
		want := make([]uint64, ringDegree)
		for at, c := range key {
			if c == 0 {
				continue
			}
			scale := uint64(c+int64(m.q)) % m.q
			for x, v := range a {
				p := ring.BRed(v, scale, m.q, m.sub.BRedConstant)
				if x+at >= ringDegree && p != 0 {
					p = m.q - p // X^4096 = −1
				}
				to := (x + at) % ringDegree
				want[to] = (want[to] + p) % m.q
			}
		}
		for x := range want {
			if want[x] != got[i][x] {
				t.Fatalf("prime %d, coefficient %d: %d, want %d", i, x, got[i][x], want[x])
			}
		}
	}
}

func TestReduceAndLiftEqualBigIntegers(t *testing.T) {
	r := rlweRing()
	check := func(t tb, hi, lo uint64) {
		x := new(big.Int).Or(new(big.Int).Lsh(new(big.Int).SetUint64(hi), 64), new(big.Int).SetUint64(lo))
		var res [2]uint64
		for i := range r.mod {
			m := &r.mod[i]
			res[i] = m.reduce(hi, lo)
			if want := new(big.Int).Mod(x, new(big.Int).SetUint64(m.q)).Uint64(); res[i] != want {
				t.Fatalf("%v mod %d is %d, got %d", x, m.q, want, res[i])
			}
		}
		h, l := r.lift(res[0], res[1])
		got := new(big.Int).Or(new(big.Int).Lsh(new(big.Int).SetUint64(h), 64), new(big.Int).SetUint64(l))
		if want := x.Mod(x, bigQ); got.Cmp(want) != 0 {
			t.Fatalf("lift gives %v, want %v", got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		check(t, rapid.Uint64Max(1<<41-1).Draw(t, "hi"), rapid.Uint64().Draw(t, "lo"))
	})
	qHi, qLo := bits.Mul64(prime0, prime1)
	check(t, 0, 0)
	check(t, qHi, qLo)
	check(t, qHi, qLo-1)
	check(t, 1<<40-1, 1<<64-1)
	check(t, 0, prime0)
	check(t, 0, prime0-1)
	check(t, 0, prime1)
}
