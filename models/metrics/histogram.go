package metrics

import (
	"math"
	"slices"

	"tributary/models/pipeline"
)

// Histogram counts rows of each label by equal bins of predicted probability. Both lists have the same, even length. Counts may
// be of any sign: those of a noised histogram are.
type Histogram struct {
	Positive, Negative []float64 // rows
}

// Clipped is the histogram with its negative counts set to 0, and what that adds to a label's total taken off its other counts
// in equal parts: the nearest histogram with these totals and no negative count [W20, Norm-Sub]. Setting them to 0 alone would
// add rows to each empty bin, and pull an AUC towards 0.5 (Adult, ε=1: by 0.03).
//
// [W20] T. Wang et al.: Locally Differentially Private Frequency Estimation with Consistency. NDSS 2020.
func (h Histogram) Clipped() Histogram { return Histogram{clip(h.Positive), clip(h.Negative)} }

func clip(counts []float64) []float64 {
	total := 0.0
	for _, v := range counts {
		total += v
	}
	out := make([]float64, len(counts))
	if !(total > 0) {
		return out
	}
	sorted := slices.Clone(counts)
	slices.Sort(sorted)
	// The counts above the cut keep the total: among the candidates, the one whose k largest counts are those above it.
	cut, sum := 0.0, 0.0
	for k := len(sorted) - 1; k >= 0; k-- {
		sum += sorted[k]
		if c := (sum - total) / float64(len(sorted)-k); sorted[k] > c {
			cut = c
		}
	}
	for i, v := range counts {
		out[i] = max(v-cut, 0)
	}
	return out
}

// Totals are the sums over the bins.
func (h Histogram) Totals() (positives, negatives float64) {
	for i := range h.Positive {
		positives += h.Positive[i]
		negatives += h.Negative[i]
	}
	return positives, negatives
}

// AUC is the area under the ROC curve, ties counted half, of a histogram without negative counts, and how much the given
// standard deviation of each count adds to it, to first order. Both are absent when a class has no rows.
func (h Histogram) AUC(deviation float64) (auc, uncertainty Value) {
	positives, negatives := h.Totals()
	if !(positives > 0 && negatives > 0) {
		return Value{}, Value{}
	}
	var pairs, below float64
	for i, p := range h.Positive {
		pairs += float64(p * (below + float64(h.Negative[i]*0.5)))
		below += h.Negative[i]
	}
	area := pairs / float64(positives*negatives)
	// One positive row more in a bin moves the area by (share of the negatives below - area)/positives; negatives alike.
	var square, under, over float64
	over = positives
	for i := range h.Positive {
		over -= h.Positive[i]
		p := ((under+float64(h.Negative[i]*0.5))/negatives - area) / positives
		n := ((over+float64(h.Positive[i]*0.5))/positives - area) / negatives
		square += float64(p*p) + float64(n*n)
		under += h.Negative[i]
	}
	return Value{true, area}, Value{true, float64(deviation * math.Sqrt(square))}
}

// Accuracy is the share of rows on their side of 0.5, of a histogram without negative counts.
func (h Histogram) Accuracy() Value {
	positives, negatives := h.Totals()
	if !(positives+negatives > 0) {
		return Value{}
	}
	right := 0.0
	for i := range h.Positive {
		if 2*i >= len(h.Positive) {
			right += h.Positive[i]
		} else {
			right += h.Negative[i]
		}
	}
	return Value{true, right / (positives + negatives)}
}

// LogLoss is the mean log loss in nats, of a histogram without negative counts, as if each row had its bin's middle for a
// probability.
func (h Histogram) LogLoss() Value {
	positives, negatives := h.Totals()
	if !(positives+negatives > 0) {
		return Value{}
	}
	loss, bins := 0.0, float64(len(h.Positive))
	for i := range h.Positive {
		middle := (float64(i) + 0.5) / bins
		loss -= float64(h.Positive[i] * pipeline.Log1p(middle-1))
		loss -= float64(h.Negative[i] * pipeline.Log1p(-middle))
	}
	return Value{true, max(loss, 0) / (positives + negatives)}
}
