package dp

import (
	"errors"
	"math"
	"testing"
)

// The approximate quantiles cut off what they should: the exact tails at the bounds are within 5 % of CanaryAlarm/2.
func TestCanaryBoundsCutOffWhatTheySay(t *testing.T) {
	accepts := func(ratio float64) bool {
		lanes := make([]float64, CanaryLanes)
		for i := range lanes {
			lanes[i] = math.Sqrt(ratio * 1e12)
		}
		err := CheckCanary(lanes, 1e12)
		if err != nil && !errors.Is(err, ErrCanary) {
			t.Fatal(err)
		}
		return err == nil
	}
	if !accepts(1) {
		t.Fatal("the agreed variance is refused")
	}
	bound := func(in, out float64) float64 {
		for range 60 {
			if mid := (in + out) / 2; accepts(mid) {
				in = mid
			} else {
				out = mid
			}
		}
		return in
	}
	low, high := bound(1, 0.5), bound(1, 2)
	const k = CanaryLanes
	below, above := 1-gammaTail(k/2, low*k/2), gammaTail(k/2, high*k/2)
	for name, p := range map[string]float64{"below": below, "above": above} {
		if math.Abs(p/(CanaryAlarm/2)-1) > 0.05 {
			t.Errorf("%s: probability %.3g, want %.3g (bounds %.4f, %.4f)", name, p, CanaryAlarm/2, low, high)
		}
	}
}

// Canary lanes of sums of ten pass with all noise there and fail with one contributor's missing or one's doubled.
// A sum of honest noise fails with probability CanaryAlarm; one without a tenth passes with probability below 10⁻².
func TestCanariesTellWhetherTheNoiseIsThere(t *testing.T) {
	coins := freshCoins(t)
	local := Integer(1 << 30)
	sum := func(silos int) []float64 {
		total := make([]float64, CanaryLanes)
		one := make([]int64, CanaryLanes)
		for range silos {
			if err := coins.Gaussian(one, local); err != nil {
				t.Fatal(err)
			}
			for i, v := range one {
				total[i] += float64(v)
			}
		}
		return total
	}
	variance := 10 * local.Float()
	for range 5 {
		if err := CheckCanary(sum(10), variance); err != nil {
			t.Errorf("honest noise: %v", err)
		}
	}
	missing, doubled := 0, 0
	for range 5 {
		if CheckCanary(sum(9), variance) != nil {
			missing++
		}
		if CheckCanary(sum(11), variance) != nil {
			doubled++
		}
	}
	if missing < 4 || doubled < 4 { // fewer: 10⁻³ at most
		t.Errorf("of 5 sums with a tenth missing %d were found, of 5 with a tenth too much %d", missing, doubled)
	}
	if CheckCanary(make([]float64, CanaryLanes), variance) == nil || CheckCanary([]float64{math.NaN()}, variance) == nil {
		t.Error("no noise, or NaN, is the agreed noise")
	}
}

// A unit given by its non-zero lanes adds what it adds as a whole vector, coin by coin.
func TestSparseUnitsAddWhatDenseOnesDo(t *testing.T) {
	p := params(t, Options{Segments: []Segment{{Length: 40, Clip: 100, Rounding: Stochastic}, Canary(), {Length: 5, Clip: 50, Rounding: TowardZero}}, Bits: 30, Local: Integer(100)})
	dense := make([]float64, p.Length())
	var lanes []int
	var values []float64
	for _, lane := range []int{1, 7, 39, 45, 40 + CanaryLanes, 44 + CanaryLanes} {
		dense[lane] = float64(lane%7) + 0.37
		lanes, values = append(lanes, lane), append(values, dense[lane])
	}
	total := func(add func(*Sum) error) []int64 {
		s, err := draw(p, fixedCoins(t, 5))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Discard()
		for range 20 {
			if err := add(s); err != nil {
				t.Fatal(err)
			}
		}
		return append([]int64{}, s.total...)
	}
	a, b := total(func(s *Sum) error { return s.Add(dense) }), total(func(s *Sum) error { return s.AddSparse(lanes, values) })
	for i := range a {
		if a[i] != b[i] {
			t.Fatalf("lane %d: %d and %d", i, a[i], b[i])
		}
	}
	if a[45] != 0 {
		t.Error("a canary's lane carries data")
	}
	s, err := Draw(p)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Discard()
	for name, bad := range map[string][]int{"descending": {3, 2}, "twice": {3, 3}, "negative": {-1, 2}, "too far": {1, p.Length()}, "longer than values": {1, 2, 3}} {
		if err := s.AddSparse(bad, []float64{1, 1}); !errors.Is(err, ErrLength) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
