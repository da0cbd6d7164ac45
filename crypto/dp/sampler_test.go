package dp

import (
	"bytes"
	"crypto/aes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

const draws = 1 << 20

func gaussPMF(sigma2 float64) func(float64) float64 {
	return func(x float64) float64 { return math.Exp(-x * x / (2 * sigma2)) }
}

func TestDiscreteGaussianFollowsItsExactDistribution(t *testing.T) {
	for _, s2 := range []Rational{{1, 4}, {1, 1}, {7, 3}, {9, 1}, {16, 1}, {10000, 1}, {1000003, 7}, {1 << 32, 1}, {1<<40 + 1, 257}} {
		t.Run(s2.String(), func(t *testing.T) {
			g, err := newGaussian(s2)
			if err != nil {
				t.Fatal(err)
			}
			c := freshCoins(t)
			f := s2.Float()
			goodness(t, draws, func() int64 { return g.sample(c) }, gaussPMF(f), int64(12*math.Sqrt(f))+2)
		})
	}
}

// σ = 2^20 and 2^30 are too wide to tabulate: there the square's mean and the
// sign are tested, by normal approximation at the false-alarm rate.
func TestWideGaussiansHaveTheirVariance(t *testing.T) {
	for _, s2 := range []Rational{{1 << 40, 1}, {1 << 61, 3}, {1<<61 + 1, 2}} {
		g, err := newGaussian(s2)
		if err != nil {
			t.Fatal(err)
		}
		c := freshCoins(t)
		const n = 1 << 17
		square, positive := 0.0, 0
		for range n {
			x := float64(g.sample(c))
			square += x * x / s2.Float()
			if x > 0 {
				positive++
			}
		}
		// Var(x²/σ²) = 2; 4.9 standard deviations: 10^-6 on two sides.
		if z := (square - n) / math.Sqrt(2*n); math.Abs(z) > 4.9 {
			t.Errorf("σ² = %s: mean square is off by %.1f standard deviations", s2, z)
		}
		if z := (float64(positive) - n/2) / math.Sqrt(n/4); math.Abs(z) > 4.9 {
			t.Errorf("σ² = %s: signs are off by %.1f standard deviations", s2, z)
		}
	}
}

func TestFastPathDecidesAsBigIntegersDo(t *testing.T) {
	for i, s2 := range []Rational{{1, 4}, {1, 3}, {5, 1}, {16, 1}, {1000003, 7}, {1 << 32, 1}, {1 << 52, 3}, {1 << 58, 1}} {
		fast, err := newGaussian(s2)
		if err != nil {
			t.Fatal(err)
		}
		if !fast.fast {
			t.Errorf("σ² = %s takes the slow path", s2)
		}
		slow := fast
		slow.fast = false
		a, b := fixedCoins(t, byte(i)), fixedCoins(t, byte(i))
		for n := range 20000 {
			if x, y := fast.sample(a), slow.sample(b); x != y {
				t.Fatalf("σ² = %s, draw %d: %d by the fast path, %d by big integers", s2, n, x, y)
			}
		}
	}
}

// The undecided branch of keep is too rare to meet: under is tested on words that
// lie on the boundary, where more bits must decide.
func TestUndecidedWordsAreDecidedByFurtherBits(t *testing.T) {
	c := freshCoins(t)
	n, d := big.NewInt(1), big.NewInt(3)
	third := uint64(math.MaxUint64 / 3) // ⌊2^64/3⌋
	if !c.under(third-1, n, d) || c.under(third+1, n, d) {
		t.Fatal("decided words are wrong")
	}
	const trials = 1 << 16
	yes := 0
	for range trials {
		if c.under(third, n, d) {
			yes++
		}
	}
	// u = (⌊2^64/3⌋ + r)/2^64 < 1/3 exactly if r < 1/3.
	if z := (float64(yes) - trials/3.0) / math.Sqrt(trials*2/9.0); math.Abs(z) > 4.9 {
		t.Errorf("%d of %d, want a third", yes, trials)
	}
}

func TestDiscreteLaplaceFollowsItsExactDistribution(t *testing.T) {
	for _, scale := range []Rational{{1, 3}, {1, 1}, {5, 2}, {100, 1}, {1 << 16, 1}} {
		t.Run(scale.String(), func(t *testing.T) {
			l, err := newLaplace(scale)
			if err != nil {
				t.Fatal(err)
			}
			c := freshCoins(t)
			f := scale.Float()
			goodness(t, draws, func() int64 { return l.sample(c) }, func(x float64) float64 { return math.Exp(-math.Abs(x) / f) }, int64(40*f)+2)
		})
	}
}

func TestBernoulliExpHasItsProbability(t *testing.T) {
	c := freshCoins(t)
	check := func(name string, p float64, draw func() bool) {
		t.Helper()
		n, yes := 1<<19, 0
		for range n {
			if draw() {
				yes++
			}
		}
		if z := (float64(yes) - float64(n)*p) / math.Sqrt(float64(n)*p*(1-p)); math.Abs(z) > 4.9 {
			t.Errorf("%s: %d of %d, %.1f standard deviations from %g", name, yes, n, z, p)
		}
	}
	check("e^-1", math.Exp(-1), c.expOne)
	check("e^-1/3", math.Exp(-1.0/3), func() bool { return c.expFraction(1, 3) })
	check("e^-3/4, times K beyond 2^64", math.Exp(-0.75), func() bool { return c.expFraction(3<<61, 1<<63) })
	check("big e^-7/3", math.Exp(-7.0/3), func() bool { return c.expBig(big.NewInt(7), big.NewInt(3)) })
	check("fraction", 3.0/7, func() bool { return c.fraction(3, 7) })
}

func TestSumOfSharesIsOneGaussian(t *testing.T) {
	for _, v := range []struct {
		sigma2 Rational
		who    Contributors
	}{{Integer(7 * 16), Contributors{9, 2}}, {Integer(1 << 20), Contributors{9, 2}}, {Integer(64), Contributors{3, 0}}} {
		local, err := LocalVariance(v.sigma2, v.who)
		if err != nil {
			t.Fatal(err)
		}
		h, _ := v.who.Honest()
		g, err := newGaussian(local)
		if err != nil {
			t.Fatal(err)
		}
		c := freshCoins(t)
		f := v.sigma2.Float()
		goodness(t, 1<<18, func() int64 {
			var sum int64
			for range h {
				sum += g.sample(c)
			}
			return sum
		}, gaussPMF(f), int64(12*math.Sqrt(f))+2)
	}
}

// AES-256 of the zero block under the zero key, and the next counter.
func TestCoinsAreAESCTR(t *testing.T) {
	c := fixedCoins(t, 0)
	var got [32]byte
	for i := range 4 {
		binary.LittleEndian.PutUint64(got[8*i:], c.word())
	}
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	want := make([]byte, 32)
	want[31] = 1
	block.Encrypt(want[:16], want[:16])
	block.Encrypt(want[16:], want[16:])
	if !bytes.Equal(got[:], want) || hex.EncodeToString(want[:16]) != "dc95c078a2408989ad48a21492842087" {
		t.Errorf("coins start with %x, want %x", got, want)
	}
}

func TestErasedCoinsHoldNothingAndRefuse(t *testing.T) {
	c := fixedCoins(t, 7)
	c.word()
	c.bit()
	c.Erase()
	if c.buf != [len(c.buf)]byte{} || c.spare != 0 {
		t.Error("buffered bits are left after Erase")
	}
	defer func() {
		if recover() == nil {
			t.Error("erased coins gave a word")
		}
	}()
	c.word()
}

func TestTwoStreamsDiffer(t *testing.T) {
	a, b := freshCoins(t), freshCoins(t)
	if a.word() == b.word() { // 2^-64 for fresh keys
		t.Error("two fresh streams agree")
	}
}

func TestFailingRandomnessIsAnError(t *testing.T) {
	if _, err := newCoins(bytes.NewReader(make([]byte, 31))); err == nil {
		t.Error("31 bytes keyed a stream")
	}
}

func TestVariancesAndScalesOutsideTheirRangeAreRefused(t *testing.T) {
	c := freshCoins(t)
	for _, s2 := range []Rational{{}, {0, 1}, {1 << 62, 1}, {math.MaxUint64, 3}} {
		if err := c.Gaussian(make([]int64, 1), s2); !errors.Is(err, ErrRational) {
			t.Errorf("variance %v: %v", s2, err)
		}
	}
	for _, b := range []Rational{{}, {0, 1}, {maxScale + 1, 1}} {
		if err := c.Laplace(make([]int64, 1), b); !errors.Is(err, ErrRational) {
			t.Errorf("scale %v: %v", b, err)
		}
	}
}

func TestBelowIsUniform(t *testing.T) {
	c := freshCoins(t)
	for _, n := range []uint64{2, 3, 10, 100} {
		counts, expected := make([]int, n), make([]float64, n)
		for i := range expected {
			expected[i] = draws / 4 / float64(n)
		}
		for range draws / 4 {
			counts[c.below(n)]++
		}
		chiSquared(t, counts, expected)
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64Range(1, math.MaxUint64).Draw(t, "n")
		if x := c.below(n); x >= n {
			t.Fatalf("below(%d) = %d", n, x)
		}
	})
}

func TestPoissonSamplesAreIndependentAtTheirRate(t *testing.T) {
	const units, rounds = 1000, 400
	hits := make([]int, 10) // by unit, in tens of hundreds
	sizes := 0.0
	q, _ := NewRational(3, 50)
	p := q.Float()
	for range rounds {
		batch, err := Sample(q, units)
		if err != nil {
			t.Fatal(err)
		}
		for i, u := range batch {
			if u < 0 || u >= units || i > 0 && u <= batch[i-1] {
				t.Fatal("units aren't ascending")
			}
			hits[u/100]++
		}
		d := float64(len(batch)) - units*p
		sizes += d * d / (units * p * (1 - p))
	}
	expected := make([]float64, 10)
	for i := range expected {
		expected[i] = rounds * 100 * p
	}
	chiSquared(t, append(hits, rounds*units-sum(hits)), append(expected, rounds*units*(1-p)))
	// Batch sizes are binomial: fixed-size batches would give 0.
	if z := (sizes - rounds) / math.Sqrt(2*rounds); math.Abs(z) > 5.2 {
		t.Errorf("variance of batch sizes is off by %.1f standard deviations", z)
	}
	if all, err := Sample(Integer(1), 5); err != nil || len(all) != 5 {
		t.Errorf("rate 1 took %v, %v", all, err)
	}
	for _, bad := range []Rational{{}, {0, 1}, {3, 2}} {
		if _, err := Sample(bad, 5); !errors.Is(err, ErrRational) {
			t.Errorf("rate %v: %v", bad, err)
		}
	}
	if _, err := Sample(q, -1); !errors.Is(err, ErrLength) {
		t.Errorf("negative units: %v", err)
	}
}

func sum(x []int) int {
	s := 0
	for _, v := range x {
		s += v
	}
	return s
}
