package linear_test

import (
	"math"
	"slices"
	"testing"

	"tributary/models/linear"
	"tributary/models/metrics"
)

// The last report has the scores of all held-out rows of all participants, whose metrics are the rows' own to a few digits.
func TestReportHasTheHeldOutScores(t *testing.T) {
	table := synthetic(6_000, 31)
	p := syntheticJob(3).program(t)
	s, reports := train(t, p, split(table, 3))
	scores, err := linear.Score(p, s, table)
	if err != nil {
		t.Fatal(err)
	}
	want := metrics.Histogram{Positive: make([]float64, metrics.Bins), Negative: make([]float64, metrics.Bins)}
	brier, held := 0.0, 0.0
	for i, q := range scores {
		if !table.Held(i) {
			continue
		}
		held++
		y := 0.0
		if table.Label[i] {
			y = 1
			want.Positive[metrics.Bin(q)]++
		} else {
			want.Negative[metrics.Bin(q)]++
		}
		brier += (q - y) * (q - y)
	}
	for _, r := range reports[:len(reports)-1] {
		if r.Scores != nil {
			t.Errorf("%s has scores", r.Kind)
		}
	}
	got := reports[len(reports)-1].Scores
	if got == nil || !slices.Equal(got.Positive, want.Positive) || !slices.Equal(got.Negative, want.Negative) {
		t.Fatalf("scores %v", got)
	}
	if b := got.Brier(); !b.Known || math.Abs(b.V-brier/held) > 1e-5 {
		t.Errorf("Brier %v, of the rows %g", b, brier/held)
	}
}
