package metrics

import (
	"errors"
	"math"
	"math/rand/v2"
	"sort"
	"testing"
)

// 1,024 bins of probability give the exact AUC within 1e-4.
func TestBinnedAUCIsCloseToExact(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	positive, negative := make([]int64, Bins), make([]int64, Bins)
	type row struct {
		p float64
		y bool
	}
	var rows []row
	for range 50_000 {
		y := r.Float64() < 0.25
		shift := -1.5
		if y {
			shift = 0.2
		}
		p := 1 / (1 + math.Exp(-(shift + 1.2*r.NormFloat64())))
		rows = append(rows, row{p, y})
		if y {
			positive[Bin(p)]++
		} else {
			negative[Bin(p)]++
		}
	}
	sort.Slice(rows, func(a, b int) bool { return rows[a].p < rows[b].p })
	var below, pairs, positives float64
	for _, v := range rows {
		if v.y {
			pairs += below
			positives++
		} else {
			below++
		}
	}
	exact := pairs / positives / below
	got, err := AUC(positive, negative)
	if err != nil || !got.Known || math.Abs(got.V-exact) > 1e-4 {
		t.Errorf("AUC %v of bins, %g exact, %v", got, exact, err)
	}
}

func TestAUCOfKnownBins(t *testing.T) {
	for _, c := range []struct {
		positive, negative []int64
		want               Value
	}{
		{[]int64{0, 5}, []int64{5, 0}, Value{true, 1}},
		{[]int64{5, 0}, []int64{0, 5}, Value{true, 0}},
		{[]int64{3, 2}, []int64{6, 4}, Value{true, 0.5}},
		{[]int64{1, 1}, []int64{2, 0}, Value{true, 0.75}},
		{[]int64{1, 1}, []int64{0, 0}, Value{}},
		{[]int64{0, 0}, []int64{0, 1}, Value{}},
		{nil, nil, Value{}},
	} {
		if got, err := AUC(c.positive, c.negative); err != nil || got != c.want {
			t.Errorf("%v, %v: %v, want %v (%v)", c.positive, c.negative, got, c.want, err)
		}
	}
	if _, err := AUC([]int64{-1}, []int64{2}); !errors.Is(err, ErrInconsistent) {
		t.Errorf("a negative count: %v", err)
	}
	if _, err := AUC([]int64{1}, nil); !errors.Is(err, ErrInconsistent) {
		t.Errorf("two shapes: %v", err)
	}
}

func TestBinsCoverProbabilities(t *testing.T) {
	for p, want := range map[float64]int{0: 0, 1: 1023, 0.5: 512, 0x1p-11: 0, 1.0 / 1024: 1, 0.9999999: 1023} {
		if got := Bin(p); got != want {
			t.Errorf("Bin(%g) = %d, want %d", p, got, want)
		}
	}
}

func TestMeanOfNoRowsIsAbsent(t *testing.T) {
	if got := Mean(0, 0); got.Known || got.V != 0 {
		t.Error(got)
	}
	if got := Mean(3, 4); got != (Value{true, 0.75}) {
		t.Error(got)
	}
}
