package linear_test

import (
	"math"
	"slices"
	"sort"
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

// binsAgree compares what the bins say with the rows' own average precision, Brier score and expected calibration error.
func binsAgree(t *testing.T, h *metrics.Histogram, scores []float64, label []bool) {
	t.Helper()
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	sort.Slice(order, func(a, b int) bool { return scores[order[a]] > scores[order[b]] })
	var positives, brier, precision, calibration float64
	var predicted, observed [metrics.CalibrationBins]float64
	for rank, at := 0, 0; at < len(order); {
		// Rows of one score come at one threshold.
		hits := 0.0
		for rank = at; rank < len(order) && scores[order[rank]] == scores[order[at]]; rank++ {
			q, y := scores[order[rank]], 0.0
			if label[order[rank]] {
				y = 1
			}
			hits += y
			brier += (q - y) * (q - y) / float64(len(scores))
			k := min(int(q*metrics.CalibrationBins), metrics.CalibrationBins-1)
			predicted[k] += q
			observed[k] += y
		}
		positives += hits
		precision += hits * positives / float64(rank)
		at = rank
	}
	precision /= positives
	for k := range predicted {
		calibration += math.Abs(predicted[k]-observed[k]) / float64(len(scores))
	}
	for _, m := range []struct {
		name            string
		bins            metrics.Value
		rows, tolerance float64
	}{
		{"average precision", h.AveragePrecision(), precision, 1e-3},
		{"Brier score", h.Brier(), brier, 1e-5},
		{"calibration error", h.CalibrationError(), calibration, 1e-3},
	} {
		t.Logf("%s %.6f, of the rows %.6f", m.name, m.bins.V, m.rows)
		if !m.bins.Known || math.Abs(m.bins.V-m.rows) > m.tolerance {
			t.Errorf("%s %v, of the rows %g", m.name, m.bins, m.rows)
		}
	}
	low, high := h.AUCInterval(0)
	t.Logf("AUC 95 %%: %.5f to %.5f", low.V, high.V)
}
