package secagg

import (
	"crypto/rand"
	"math"
	"math/big"
	"testing"
)

// expNeg returns exp(−num/den) to about 250 bits by its series.
func expNeg(num, den int64) *big.Float {
	prec := func() *big.Float { return new(big.Float).SetPrec(300) }
	// exp(−x) = exp(−x/2^10)^(2^10)
	x := prec().Quo(prec().SetInt64(num), prec().SetInt64(den<<10))
	sum, term := prec().SetInt64(1), prec().SetInt64(1)
	for k := int64(1); k < 100; k++ {
		term.Mul(term, x).Quo(term, prec().SetInt64(-k))
		sum.Add(sum, term)
	}
	for range 10 {
		sum.Mul(sum, sum)
	}
	return sum
}

func TestGaussianTableIsTheTruncatedDiscreteGaussian(t *testing.T) {
	// x²/(2·3.2²) = 25x²/512.
	var weight [60]*big.Float
	for x := range weight {
		weight[x] = expNeg(25*int64(x*x), 512)
	}
	mass := func(from, to int) *big.Float { // of from ≤ |x| < to
		sum := new(big.Float).SetPrec(300)
		for x := from; x < to; x++ {
			sum.Add(sum, weight[x])
			if x > 0 {
				sum.Add(sum, weight[x])
			}
		}
		return sum
	}
	for i := 1; i < noiseBound; i++ {
		p := new(big.Float).Quo(mass(i, noiseBound), mass(0, noiseBound))
		p.Mul(p, new(big.Float).SetInt(pow2(63))).Add(p, big.NewFloat(0.5))
		if want, _ := p.Uint64(); want != gaussianTail[i-1] {
			t.Errorf("P(|X| ≥ %d) is %d·2^-63, the table has %d", i, want, gaussianTail[i-1])
		}
	}
	if tail, _ := new(big.Float).Quo(mass(noiseBound, 60), mass(0, 60)).Float64(); tail > 9.5e-10 {
		t.Errorf("the tail beyond 6σ is %g", tail)
	}
}

// The false-alarm rate is 10⁻⁶: χ² with 2·11+1 classes, 22 degrees of freedom,
// critical value 67.9 (by Wilson–Hilferty at z = 4.7534, 68.0).
func TestGaussianSamplesFitTheirDistribution(t *testing.T) {
	const samples, edge = 2_000_000, 11
	coins, err := freshCoins(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var count [2*edge + 1]int
	for range samples {
		x := coins.gaussian()
		if x <= -noiseBound || x >= noiseBound {
			t.Fatalf("sample %d is beyond 6σ", x)
		}
		count[min(max(x, -edge), edge)+edge]++
	}
	at := func(i int) float64 { // P(|X| ≥ i)
		switch {
		case i == 0:
			return 1
		case i >= noiseBound:
			return 0
		}
		return float64(gaussianTail[i-1]) / (1 << 63)
	}
	var chi2 float64
	for i := -edge; i <= edge; i++ {
		m := max(i, -i)
		p := at(m) - at(m+1)
		if m == edge {
			p = at(m)
		}
		if m > 0 {
			p /= 2
		}
		d := float64(count[i+edge]) - samples*p
		chi2 += d * d / (samples * p)
	}
	const df, z = 2 * edge, 4.753424
	critical := df * math.Pow(1-2.0/(9*df)+z*math.Sqrt(2.0/(9*df)), 3)
	if chi2 > critical {
		t.Errorf("χ² = %.1f > %.1f (false alarm: 1 in 10⁶)", chi2, critical)
	}
}

// The false-alarm rate is 10⁻⁶: χ² of 256 classes, 255 degrees of freedom.
func TestUniformSamplesFillTheirRange(t *testing.T) {
	const samples = 1 << 18
	for _, q := range []uint64{prime0, prime1, fieldPrime} {
		coins, err := freshCoins(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		values := make([]uint64, samples)
		coins.uniform(values, q)
		var count [256]float64
		for _, v := range values {
			if v >= q {
				t.Fatalf("sample %d isn't below %d", v, q)
			}
			count[v*256/q]++ // v < 2^53
		}
		var chi2 float64
		for i, c := range count {
			// Class i holds the v with ⌊256v/q⌋ = i.
			first, next := (uint64(i)*q+255)/256, (uint64(i+1)*q+255)/256
			want := samples * float64(next-first) / float64(q)
			chi2 += (c - want) * (c - want) / want
		}
		const df, z = 255, 4.753424
		if critical := df * math.Pow(1-2.0/(9*df)+z*math.Sqrt(2.0/(9*df)), 3); chi2 > critical {
			t.Errorf("q = %d: χ² = %.1f > %.1f (false alarm: 1 in 10⁶)", q, chi2, critical)
		}
	}
}

func TestStreamsOfTwoContextsAndTwoPolynomialsDiffer(t *testing.T) {
	seen := map[uint64]bool{}
	for _, ctx := range []Context{{}, {1}, {31: 1}, context("a")} {
		for j := range 4 {
			w := expander(ctx, j).word()
			if seen[w] {
				t.Fatalf("polynomial %d of %x repeats a stream", j, ctx)
			}
			seen[w] = true
		}
	}
}
