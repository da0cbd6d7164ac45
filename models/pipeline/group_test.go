package pipeline

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// parties draws the columns of several participants, and gives each one's counts by bin.
func parties(t *rapid.T) (k *Sketch, all []float64, counts [][]int64) {
	lo, hi, _ := values(t)
	k = newSketch(lo, hi)
	for range rapid.IntRange(1, 4).Draw(t, "participants") {
		own := []float64{}
		for range rapid.IntRange(1, 6).Draw(t, "parts") {
			l, h, x := values(t)
			for _, v := range x {
				own = append(own, lo+(v-l)/(h-l)*(hi-lo))
			}
		}
		for i := range own {
			own[i] = min(max(own[i], lo), hi)
		}
		all = append(all, own...)
		counts = append(counts, count(k, own))
	}
	slices.Sort(all)
	return k, all, counts
}

// No participant counts fewer than 20 rows in a bin unless it has fewer at all: no opened bin tells of one row. Below every edge its
// count is off by fewer than 20.
func TestBinsCountNoSingleRows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		_, _, all := parties(t)
		for _, counts := range all {
			grouped := make([]int64, len(counts))
			total := int64(0)
			for i, at := range Group(counts) {
				grouped[at] += counts[i]
				total += counts[i]
			}
			off, sum := int64(0), int64(0)
			for i, n := range grouped {
				if n > 0 && n < SketchGroup && total >= SketchGroup {
					t.Fatalf("bin %d counts %d rows", i, n)
				}
				off, sum = off+n-counts[i], sum+n
				if off <= -SketchGroup || off >= SketchGroup {
					t.Fatalf("below edge %d the count is off by %d", i+1, off)
				}
			}
			if sum != total {
				t.Fatalf("%d rows of %d", sum, total)
			}
		}
	})
}

// A fitted bound lies within a bin of exact quantiles whose ranks are fewer than 20 rows for each participant away.
// Reference: [MRL19, Prop. 3], with bins by leading bits, and the groups' error of ranks.
func TestBoundsOfGroupedRowsAreNearTheQuantiles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k, x, all := parties(t)
		sum := make([]int64, k.Bins())
		for _, counts := range all {
			for i, at := range Group(counts) {
				sum[at] += counts[i]
			}
		}
		low, high := rapid.Float64Range(0.001, 0.5).Draw(t, "low"), rapid.Float64Range(0.5, 0.999).Draw(t, "high")
		if low == high {
			t.Skip()
		}
		from, to := k.bounds(sum, [2]float64{low, high})
		off := (SketchGroup - 1) * len(all)
		exact := func(q float64, off int) float64 {
			return x[min(max(int(math.Ceil(q*float64(len(x))))+off, 1), len(x))-1]
		}
		width := func(v float64) float64 { return max(math.Ldexp(math.Abs(v), -k.Bits), 2*k.Floor) }
		if a, b := exact(low, -off), exact(low, off); !(from >= a-width(a) && from <= b) {
			t.Fatalf("quantile %g is %g..%g, the bound %g", low, a, b, from)
		}
		if a, b := exact(high, -off), exact(high, off); !(to >= a && to <= b+width(b)) {
			t.Fatalf("quantile %g is %g..%g, the bound %g", high, a, b, to)
		}
	})
}

// Rows that are counted between the bounds though they lie beyond count for no more than the bound: one extreme row in a group
// doesn't stretch the deviation.
func TestExtremeRowInAGroupIsBounded(t *testing.T) {
	s, rows := clipped(t), rowsOf(1000)
	v := summed(s, rows)
	k := s.SketchOf(0)
	at, top := k.Bin(50_000), k.Bin(1e6)
	v.Bins[at], v.Bins[top] = v.Bins[at]+v.Bins[top], 0
	v.BinSum[at], v.BinSum[top] = v.BinSum[at]+v.BinSum[top], 0
	v.BinSquare[at], v.BinSquare[top] = v.BinSquare[at]+v.BinSquare[top], 0
	f, err := s.Fit(v, 1e-12)
	if err != nil {
		t.Fatal(err)
	}
	want, err := s.Fit(summed(s, rows), 1e-12)
	if err != nil {
		t.Fatal(err)
	}
	_, sd := s.Natural(f, 0)
	_, without := s.Natural(want, 0)
	if math.Abs(sd/without-1) > 0.02 || f.SD[0] == want.SD[0] {
		t.Errorf("deviation %g, without the group %g", sd, without)
	}
}
