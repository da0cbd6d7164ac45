package dp

import (
	"errors"
	"math"
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func params(t testing.TB, o Options) Params {
	t.Helper()
	p, err := NewParams(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func norm2(v []int64) *big.Int {
	sum := new(big.Int)
	for _, x := range v {
		sum.Add(sum, new(big.Int).Mul(big.NewInt(x), big.NewInt(x)))
	}
	return sum
}

// hostile draws any float64 at all, NaN and infinities included.
func hostile(t *rapid.T, name string) float64 {
	switch rapid.IntRange(0, 3).Draw(t, name+" kind") {
	case 0:
		return math.Float64frombits(rapid.Uint64().Draw(t, name))
	case 1:
		return rapid.Float64Range(-1e12, 1e12).Draw(t, name)
	case 2:
		return float64(rapid.IntRange(-3, 3).Draw(t, name))
	}
	return rapid.Float64Range(-2, 2).Draw(t, name)
}

// The guarantee that everything rests on: whatever a unit holds, the integers it
// adds have a squared norm of at most Δ².
func TestOneUnitNeverAddsMoreThanTheSensitivity(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var o Options
		o.Bits, o.Local = 40, Integer(16)
		for range rapid.IntRange(1, 3).Draw(t, "segments") {
			o.Segments = append(o.Segments, Segment{
				Length:   rapid.IntRange(1, 40).Draw(t, "length"),
				Clip:     rapid.SampledFrom([]uint64{0, 1, 2, 3, 10, 1000, 1 << 20, MaxClip / 2}).Draw(t, "clip"),
				Rounding: rapid.SampledFrom([]Rounding{Stochastic, TowardZero}).Draw(t, "rounding"),
			})
		}
		p, err := NewParams(o)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Draw(p)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Discard()
		unit := make([]float64, p.Length())
		for i := range unit {
			unit[i] = hostile(t, "value")
		}
		if err := s.Add(unit); err != nil {
			t.Fatal(err)
		}
		if n := norm2(s.total); n.Cmp(new(big.Int).SetUint64(p.Sensitivity2())) > 0 {
			t.Fatalf("‖unit‖² = %s above Δ² = %d", n, p.Sensitivity2())
		}
		at := 0
		for _, seg := range o.Segments {
			if n := norm2(s.total[at : at+seg.Length]); n.Cmp(new(big.Int).SetUint64(seg.Norm2())) > 0 {
				t.Fatalf("segment %+v: norm² %s above %d", seg, n, seg.Norm2())
			}
			at += seg.Length
		}
		if !finite(unit) && norm2(s.total).Sign() != 0 {
			t.Fatal("a unit with NaN or Inf added something")
		}
	})
}

func TestStochasticRoundingIsUnbiasedWhereNothingIsClipped(t *testing.T) {
	p := params(t, Options{Segments: []Segment{{Length: 4, Clip: 1000, Rounding: Stochastic}}, Bits: 32, Local: Integer(16)})
	s, err := Draw(p)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Discard()
	const n = 1 << 16
	unit := []float64{0.25, -3.75, 7, 0}
	for range n {
		if err := s.Add(unit); err != nil {
			t.Fatal(err)
		}
	}
	for i, v := range unit {
		deviation := math.Sqrt(n * 0.25 * 0.75)
		if v == math.Floor(v) {
			deviation = 1e-9
		}
		if z := (float64(s.total[i]) - v*n) / deviation; math.Abs(z) > 4.9 { // 10^-6
			t.Errorf("lane %d: sum %d, want %g", i, s.total[i], v*n)
		}
	}
}

func TestClippingKeepsDirectionAndNorm(t *testing.T) {
	p := params(t, Options{Segments: []Segment{{Length: 2, Clip: 1 << 20, Rounding: TowardZero}}, Bits: 40, Local: Integer(16)})
	for _, scale := range []float64{1e-300, 1, 1e10, 1e300} {
		s, err := Draw(p)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Add([]float64{3 * scale, -4 * scale}); err != nil {
			t.Fatal(err)
		}
		want := []int64{629145, -838860} // 2^20·(3/5, −4/5)
		if scale <= 1 {
			want = []int64{int64(3 * scale), int64(-4 * scale)}
		}
		for i := range want {
			if d := s.total[i] - want[i]; d < -1 || d > 1 {
				t.Errorf("scale %g: %v, want %v", scale, s.total, want)
			}
		}
		s.Discard()
	}
}

func TestReleaseIsClampedSumPlusNoiseOnce(t *testing.T) {
	p := params(t, Options{Segments: []Segment{{Length: 3, Clip: 1 << 20, Rounding: TowardZero}, {Name: "canary", Length: 2, Rounding: TowardZero}}, Bits: 20, Local: Integer(100)})
	if p.Clamp() != 1<<19-1-120 {
		t.Fatalf("clamp = %d", p.Clamp())
	}
	s, err := Draw(p)
	if err != nil {
		t.Fatal(err)
	}
	noise := slices.Clone(s.noise)
	for range 3 { // lanes saturate
		if err := s.Add([]float64{600000, -600000, 5, 77, 77}); err != nil {
			t.Fatal(err)
		}
	}
	hold := s.noise
	out, err := s.Release()
	if err != nil {
		t.Fatal(err)
	}
	got, err := out.Take()
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int64{p.Clamp(), -p.Clamp(), 15, 0, 0} {
		if got[i] != want+noise[i] {
			t.Errorf("lane %d = %d, want %d%+d", i, got[i], want, noise[i])
		}
	}
	if _, err := out.Take(); !errors.Is(err, ErrSpent) {
		t.Errorf("second Take: %v", err)
	}
	if _, err := s.Release(); !errors.Is(err, ErrSpent) {
		t.Errorf("second Release: %v", err)
	}
	if err := s.Add(make([]float64, 5)); !errors.Is(err, ErrSpent) {
		t.Errorf("Add after Release: %v", err)
	}
	if !slices.Equal(hold, make([]int64, len(hold))) {
		t.Error("noise is left in memory after Release")
	}
}

func TestOutOfLaneReleasesNothing(t *testing.T) {
	p := params(t, Options{Segments: []Segment{{Length: 1, Clip: 10, Rounding: TowardZero}}, Bits: 10, Local: Integer(16)})
	s, err := Draw(p)
	if err != nil {
		t.Fatal(err)
	}
	s.noise[0] = 512
	if out, err := s.Release(); !errors.Is(err, ErrOutOfLane) || out != nil {
		t.Errorf("%v, %v", out, err)
	}
	if _, err := s.Release(); !errors.Is(err, ErrSpent) {
		t.Errorf("after a lane overflow: %v", err)
	}
}

func TestMisuseOfSumsIsRefused(t *testing.T) {
	if _, err := Draw(Params{}); !errors.Is(err, ErrParams) {
		t.Errorf("zero parameters: %v", err)
	}
	p := params(t, Options{Segments: []Segment{{Length: 2, Clip: 10, Rounding: TowardZero}}, Bits: 10, Local: Integer(16)})
	s, err := Draw(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Add(make([]float64, 3)); !errors.Is(err, ErrLength) {
		t.Errorf("3 lanes of 2: %v", err)
	}
	s.Discard()
	s.Discard()
	if err := s.Add(make([]float64, 2)); !errors.Is(err, ErrSpent) {
		t.Errorf("after Discard: %v", err)
	}
}

func TestParamsRefuseWhatIsNoPrivateSum(t *testing.T) {
	one := []Segment{{Length: 1, Clip: 1, Rounding: Stochastic}}
	for name, o := range map[string]Options{
		"no segment":      {Bits: 20, Local: Integer(16)},
		"narrow noise":    {Segments: one, Bits: 20, Local: Rational{159, 10}},
		"no noise":        {Segments: one, Bits: 20},
		"narrow lanes":    {Segments: one, Bits: 8, Local: Integer(400)},
		"lanes below 8":   {Segments: one, Bits: 7, Local: Integer(16)},
		"lanes above 40":  {Segments: one, Bits: 41, Local: Integer(16)},
		"empty segment":   {Segments: []Segment{{Clip: 1, Rounding: Stochastic}}, Bits: 20, Local: Integer(16)},
		"no rounding":     {Segments: []Segment{{Length: 1, Clip: 1}}, Bits: 20, Local: Integer(16)},
		"huge clip":       {Segments: []Segment{{Length: 1, Clip: MaxClip + 1, Rounding: TowardZero}}, Bits: 40, Local: Integer(16)},
		"too many lanes":  {Segments: []Segment{{Length: MaxLength + 1, Rounding: TowardZero}}, Bits: 40, Local: Integer(16)},
		"joint clip":      {Segments: slices.Repeat([]Segment{{Length: 1, Clip: MaxClip, Rounding: TowardZero}}, 3), Bits: 40, Local: Integer(16)},
		"variance 2^62/1": {Segments: one, Bits: 40, Local: Integer(1 << 62)},
	} {
		if _, err := NewParams(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// 12σ_i is reserved, whatever the rational: no float rounds it down.
func TestClampReservesTwelveSigmas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		local, err := NewRational(rapid.Uint64Range(1, 1<<50).Draw(t, "num"), rapid.Uint64Range(1, 1000).Draw(t, "den"))
		if err != nil {
			t.Fatal(err)
		}
		p, err := NewParams(Options{Segments: []Segment{{Length: 1, Clip: 1, Rounding: Stochastic}}, Bits: 40, Local: local})
		if err != nil {
			return
		}
		r := big.NewInt(1<<39 - 1 - p.Clamp()) // r² ≥ 144σ² > (r−1)²
		square := func(x *big.Int) *big.Rat { return new(big.Rat).SetInt(new(big.Int).Mul(x, x)) }
		want := new(big.Rat).Mul(local.Rat(), big.NewRat(144, 1))
		if square(r).Cmp(want) < 0 || square(new(big.Int).Sub(r, big.NewInt(1))).Cmp(want) >= 0 {
			t.Fatalf("reserve %s for variance %s", r, local)
		}
	})
}

func TestSharesAddUpToAtLeastTheVariance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s2, err := NewRational(rapid.Uint64Min(1).Draw(t, "num"), rapid.Uint64Min(1).Draw(t, "den"))
		if err != nil {
			t.Fatal(err)
		}
		f := rapid.IntRange(0, 1000).Draw(t, "f")
		who := Contributors{Min: f + 2 + rapid.IntRange(0, 1000).Draw(t, "more"), Colluder: f}
		h, err := who.Honest()
		if err != nil {
			t.Fatal(err)
		}
		if h < 1 || h != who.Min-max(1, f) {
			t.Fatalf("h = %d of %+v", h, who)
		}
		local, err := LocalVariance(s2, who)
		if err != nil {
			t.Fatal(err)
		}
		total := new(big.Rat).Mul(local.Rat(), new(big.Rat).SetInt64(int64(h)))
		if total.Cmp(s2.Rat()) < 0 {
			t.Fatalf("%d·%s < %s", h, local, s2)
		}
		if sum, err := SumVariance(local, who); err == nil && sum.Rat().Cmp(total) != 0 {
			t.Fatalf("SumVariance = %s, want %s", sum, total)
		}
	})
	for _, bad := range []Contributors{{2, 1}, {1, 0}, {5, -1}, {0, 0}, {1 << 21, 0}} {
		if _, err := LocalVariance(Integer(100), bad); !errors.Is(err, ErrQuorum) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if got, err := LocalVariance(Integer(700), Contributors{9, 2}); err != nil || got != Integer(100) {
		t.Errorf("σ² = 700, n_min = 9, f = 2: %s, %v; want 100", got, err)
	}
}
