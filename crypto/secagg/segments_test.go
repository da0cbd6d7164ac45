package secagg

import (
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// roundHalfEven is the dumb twin of Segment.quantise.
func roundHalfEven(v float64, num, den uint64) *big.Int {
	x := new(big.Rat).SetFloat64(v)
	x.Mul(x, new(big.Rat).SetFrac(new(big.Int).SetUint64(num), new(big.Int).SetUint64(den)))
	two := big.NewInt(2)
	n := new(big.Int).Add(new(big.Int).Mul(x.Num(), two), x.Denom())
	q, r := new(big.Int).DivMod(n, new(big.Int).Mul(x.Denom(), two), new(big.Int)) // ⌊x + 1/2⌋
	if r.Sign() == 0 && q.Bit(0) == 1 {
		q.Sub(q, big.NewInt(1))
	}
	return q
}

func checkQuantise(t tb, v float64, num, den uint64, b int) {
	t.Helper()
	offset := int64(1) << (b - 1)
	got, reason := Segment{ScaleNum: num, ScaleDen: den}.quantise(v, offset)
	want := roundHalfEven(v, num, den)
	fits := want.Cmp(big.NewInt(-offset)) >= 0 && want.Cmp(big.NewInt(offset)) < 0
	if fits != (reason == "") || fits && want.Int64() != got {
		t.Fatalf("%v·%d/%d in %d bits: got %d %q, want %v", v, num, den, b, got, reason, want)
	}
}

func TestQuantiseIsExactlyRoundHalfEven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.IntRange(MinBits, MaxBits).Draw(t, "b")
		num := rapid.OneOf(rapid.Uint64Range(1, 1<<40), rapid.Uint64Min(1)).Draw(t, "num")
		den := rapid.OneOf(rapid.Uint64Range(1, 100), rapid.Uint64Min(1)).Draw(t, "den")
		v := rapid.Float64().Draw(t, "v")
		checkQuantise(t, v, num, den, b)
		// A value that lands near a lane, and one near a tie.
		target := rapid.Int64Range(-(1<<(b-1))-2, 1<<(b-1)+2).Draw(t, "target")
		near := float64(target) * float64(den) / float64(num)
		tie := (float64(target) + 0.5) * float64(den) / float64(num)
		for _, v := range []float64{near, tie, math.Nextafter(tie, 0), math.Nextafter(tie, math.Inf(1))} {
			if !math.IsInf(v, 0) {
				checkQuantise(t, v, num, den, b)
			}
		}
	})
}

func TestTiesRoundToEven(t *testing.T) {
	for v, want := range map[float64]int64{0.5: 0, 1.5: 2, 2.5: 2, -0.5: 0, -1.5: -2, -2.5: -2, 0.49999999999999994: 0, 127.49: 127} {
		if got, reason := (Segment{ScaleNum: 1, ScaleDen: 1}).quantise(v, 128); got != want || reason != "" {
			t.Errorf("%v: got %d %q, want %d", v, got, reason, want)
		}
	}
	checkQuantise(t, math.SmallestNonzeroFloat64, math.MaxUint64, 1, 40)
	checkQuantise(t, math.MaxFloat64, 1, math.MaxUint64, 40)
	checkQuantise(t, 1, 1<<39-1, 1, 40)
	checkQuantise(t, -1, 1<<39-1, 1, 40)
	checkQuantise(t, 1<<38+0.5, 1, 1, 40)
	checkQuantise(t, 0x1p-64, 1<<63, 1, 8)
	for _, odd := range []uint64{1, 3, 5, 101} { // ties: an integer, and shifts up to, at and beyond 64 bits
		checkQuantise(t, float64(odd<<60), 1, 1<<61, 8)
		checkQuantise(t, -float64(odd<<54), 1, 1<<55, 8)
		checkQuantise(t, float64(odd<<54), 1, 1<<55-1, 8)
		checkQuantise(t, float64(odd<<54), 1, 1<<55+1, 8)
		for shift := range 55 {
			checkQuantise(t, float64(odd)*math.Ldexp(1, -1-shift), 1<<shift, 1, 8)
			checkQuantise(t, float64(odd)*math.Ldexp(1, -1-shift), 1<<shift+1, 1, 40)
			checkQuantise(t, float64(odd)*math.Ldexp(3, -1-shift), 1<<shift, 3, 8)
		}
	}
	checkQuantise(t, 0x1p-110, math.MaxUint64, 1, 8)
}

func TestValueOutsideItsLaneIsRefusedWithItsPlaceOnly(t *testing.T) {
	p, err := NewParams(Options{Contributors: 3, Bits: 8, Threshold: 1, Seats: 1,
		Segments: []Segment{{"rows", 1, 1, 1}, {"gradient", 3, 127, 1}}})
	if err != nil {
		t.Fatal(err)
	}
	for reason, v := range map[string]float64{"NaN": math.NaN(), "infinite": math.Inf(-1), "outside the lane": 1.00784317} {
		_, err := p.Quantise([][]float64{{1}, {0, 0, v}})
		var le *LaneError
		if !errors.Is(err, ErrOutOfLane) || !errors.As(err, &le) || le.Segment != "gradient" || le.Index != 2 || le.Reason != reason {
			t.Errorf("%v: %v", v, err)
		} else if strings.Contains(err.Error(), "1.0078") {
			t.Errorf("the error holds the value: %v", err)
		}
	}
	for _, shape := range [][][]float64{nil, {{1}}, {{1}, {1, 1}}, {{1}, {1, 1, 1}, {}}, {{}, {1, 1, 1}}} {
		if _, err := p.Quantise(shape); !errors.Is(err, ErrShape) {
			t.Errorf("shape %v: %v", shape, err)
		}
	}
	lanes, err := p.Quantise([][]float64{{-128}, {-1, 0.5, 1}})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int64{-128, -127, 64, 127} { // 63.5 is a tie
		if lanes[i] != want {
			t.Errorf("lane %d is %d, want %d", i, lanes[i], want)
		}
	}
}

func TestDequantiseGivesCountsExactlyAndReversesTheScale(t *testing.T) {
	p, err := NewParams(Options{Contributors: MaxContributors, Bits: 40, Threshold: 1, Seats: 1,
		Segments: []Segment{{"rows", 2, 1, 1}, {"none", 0, 1, 1}, {"gradient", 2, 1<<39 - 1, 64}}})
	if err != nil {
		t.Fatal(err)
	}
	top := int64(MaxContributors) << 39
	out := p.Dequantise([]int64{top, -top, 1<<39 - 1, -3 * (1<<39 - 1)})
	if len(out) != 3 || len(out[1]) != 0 || out[0][0] != float64(top) || out[0][1] != -float64(top) || out[2][0] != 64 || out[2][1] != -192 {
		t.Fatalf("got %v", out)
	}
}
