package secagg

import (
	"bytes"
	"math/big"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

func drawResidues(t *rapid.T, n int) (r0, r1 []uint64) {
	r0 = rapid.SliceOfN(rapid.OneOf(rapid.Uint64Range(0, prime0-1), rapid.SampledFrom([]uint64{0, 1, prime0 - 1, 1 << 52})), n, n).Draw(t, "r0")
	r1 = rapid.SliceOfN(rapid.OneOf(rapid.Uint64Range(0, prime1-1), rapid.SampledFrom([]uint64{0, 1, prime1 - 1})), n, n).Draw(t, "r1")
	return r0, r1
}

func TestResiduePackingEqualsABigInteger(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(t, "n")
		r0, r1 := drawResidues(t, n)
		got := make([]byte, residueBytes(n))
		packResidues(got, r0, r1)
		// The dumb twin: one big little-endian integer.
		all := new(big.Int)
		for i := n - 1; i >= 0; i-- {
			all.Lsh(all, 52).Or(all, new(big.Int).SetUint64(r1[i]))
			all.Lsh(all, 53).Or(all, new(big.Int).SetUint64(r0[i]))
		}
		want := all.FillBytes(make([]byte, len(got)))
		for i, j := 0, len(want)-1; i < j; i, j = i+1, j-1 {
			want[i], want[j] = want[j], want[i]
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("packed %x, want %x", got, want)
		}
		if !residuesCanonical(got, n) {
			t.Fatalf("canonical residues refused")
		}
		s0, s1 := make([]uint64, n), make([]uint64, n)
		addResidues(s0, s1, got)
		addResidues(s0, s1, got)
		for i := range n {
			if s0[i] != 2*r0[i]%prime0 || s1[i] != 2*r1[i]%prime1 {
				t.Fatalf("coefficient %d adds up wrongly", i)
			}
		}
	})
}

func TestResiduesNotBelowTheirPrimeAreRefused(t *testing.T) {
	for n := 1; n <= 17; n++ {
		for at := range n {
			for _, v := range [][2]uint64{{prime0, 0}, {1<<53 - 1, 0}, {0, prime1}, {0, 1<<52 - 1}} {
				r0, r1 := make([]uint64, n), make([]uint64, n)
				r0[at], r1[at] = v[0], v[1]
				b := make([]byte, residueBytes(n))
				packResidues(b, r0, r1)
				if residuesCanonical(b, n) {
					t.Fatalf("%d coefficients, %v at %d accepted", n, v, at)
				}
			}
		}
	}
}

func TestBitsBehindTheLastResidueAreRefused(t *testing.T) {
	for n := 1; n <= 16; n++ {
		for bit := 105 * n; bit < 8*residueBytes(n); bit++ {
			b := make([]byte, residueBytes(n))
			b[bit/8] |= 1 << (bit % 8)
			if residuesCanonical(b, n) {
				t.Fatalf("%d coefficients: bit %d accepted", n, bit)
			}
		}
	}
}

func TestVectorPackingIsOneToOne(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var v, w vector
	for i := range v {
		v[i] = rnd.Uint32N(fieldPrime)
	}
	v[0], v[1], v[ringDegree-1] = 65536, 0, 65536
	b := make([]byte, vectorBytes)
	v.pack(b)
	if err := w.unpack(b); err != nil || v != w {
		t.Fatalf("unpack: %v", err)
	}
	for i := range ringDegree { // 65536 + 1 in each place
		v := v
		v[i] = fieldPrime
		v.pack(b)
		if w.unpack(b) == nil {
			t.Fatalf("element %d = 65537 accepted", i)
		}
	}
	if w.unpack(b[1:]) == nil {
		t.Fatal("a short vector was accepted")
	}
}

func TestMessageLanesAddWithoutCarry(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, MaxContributors).Draw(t, "n")
		p := mustParams(t, n, rapid.IntRange(MinBits, MaxBits).Draw(t, "b"), 1, 1, 1000)
		used := rapid.IntRange(1, p.Lanes()).Draw(t, "used")
		one := rapid.SliceOfN(rapid.Int64Range(-p.laneOffset(), p.laneOffset()-1), used, used).Draw(t, "lanes")
		// n copies of one contribution: the extremes of every lane.
		hi, lo := p.message(one)
		sum := new(big.Int).Or(new(big.Int).Lsh(new(big.Int).SetUint64(hi), 64), new(big.Int).SetUint64(lo))
		sum.Rsh(sum.Mul(sum, big.NewInt(int64(n))), uint(p.errorBits))
		lo = new(big.Int).And(sum, new(big.Int).SetUint64(1<<64-1)).Uint64()
		hi = new(big.Int).Rsh(sum, 64).Uint64()
		got := make([]int64, used)
		if !p.lanesOf(hi, lo, n, used, got) {
			t.Fatalf("an honest sum is out of range")
		}
		for i := range got {
			if got[i] != int64(n)*one[i] {
				t.Fatalf("lane %d is %d, want %d", i, got[i], int64(n)*one[i])
			}
		}
		if used < p.Lanes() && p.lanesOf(hi, lo|1<<(uint(used*p.sumBits)%64), n, used, nil) && used*p.sumBits < 64 {
			t.Fatalf("a bit behind the last lane was accepted")
		}
	})
}

func TestLaneSumAboveItsLimitIsOutOfRange(t *testing.T) {
	p := mustParams(t, 5, 8, 1, 1, 100) // 5·255 = 1275 of 2047
	if !p.lanesOf(0, 1275, 5, 1, nil) || p.lanesOf(0, 1276, 5, 1, nil) || p.lanesOf(0, 1021, 4, 1, nil) {
		t.Fatal("the limit isn't n(2^b−1) of the contributors that were added")
	}
	if p.lanesOf(1, 0, 5, 1, nil) {
		t.Fatal("spare bits were accepted")
	}
}
