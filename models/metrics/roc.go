package metrics

import "math"

// Normal95 is the 97.5 % quantile of the normal distribution: an estimate ± that many standard errors is a 95 % interval.
const Normal95 = 1.959963984540054

// AUCInterval is the 95 % confidence interval of AUC, for rows drawn at random: A ± 1.96 standard errors, cut at 0 and 1. The
// standard error is DeLong's, from how much of the other class each row is above [DDC88], over rows whose scores are their bins;
// deviation is AUC's: the variance that noise adds to the area is added to it. It is absent when a class has fewer than two
// rows, and has no width at an area of 0 or 1, which says nothing of the next rows.
//
// [DDC88] E. R. DeLong, D. M. DeLong, D. L. Clarke-Pearson: Comparing the Areas under Two or More Correlated Receiver Operating
// Characteristic Curves: A Nonparametric Approach. Biometrics 44, 1988.
func (h Histogram) AUCInterval(deviation float64) (low, high Value) {
	positives, negatives := h.Totals()
	if !(positives >= 2 && negatives >= 2) {
		return Value{}, Value{}
	}
	auc, noise := h.AUC(deviation)
	var ofPositives, ofNegatives, under float64
	over := positives
	for i := range h.Positive {
		over -= h.Positive[i]
		p := (under+float64(h.Negative[i]*0.5))/negatives - auc.V
		n := (over+float64(h.Positive[i]*0.5))/positives - auc.V
		ofPositives += float64(h.Positive[i] * float64(p*p))
		ofNegatives += float64(h.Negative[i] * float64(n*n))
		under += h.Negative[i]
	}
	variance := ofPositives/(positives-1)/positives + ofNegatives/(negatives-1)/negatives
	half := float64(Normal95 * math.Sqrt(variance+float64(noise.V*noise.V)))
	return Value{true, max(auc.V-half, 0)}, Value{true, min(auc.V+half, 1)}
}

// Point is a point of a curve.
type Point struct{ X, Y float64 }

// ROC is the share of positives found (Y) over the share of negatives mistaken for them (X), from no row taken for a positive to
// all of them, a point a threshold between bins. It is empty when a class has no rows.
func (h Histogram) ROC() []Point {
	positives, negatives := h.Totals()
	if !(positives > 0 && negatives > 0) {
		return nil
	}
	out := []Point{{0, 0}}
	h.descend(func(hits, alarms float64) { out = append(out, Point{alarms / negatives, hits / positives}) })
	return out
}

// PrecisionRecall is the precision (Y) over the recall (X), a point a threshold between bins, by ascending recall. It is empty
// without positives.
func (h Histogram) PrecisionRecall() []Point {
	positives, _ := h.Totals()
	if !(positives > 0) {
		return nil
	}
	var out []Point
	h.descend(func(hits, alarms float64) { out = append(out, Point{hits / positives, hits / (hits + alarms)}) })
	return out
}

// AveragePrecision is the area under the precision-recall curve: Σ (R_k - R_{k-1})·P_k over the thresholds, without
// interpolation, which between points of this curve would be too good [DG06]. It is absent without positives.
//
// [DG06] J. Davis, M. Goadrich: The Relationship Between Precision-Recall and ROC Curves. ICML 2006.
func (h Histogram) AveragePrecision() Value {
	points := h.PrecisionRecall()
	if points == nil {
		return Value{}
	}
	area, recall := 0.0, 0.0
	for _, p := range points {
		area += float64((p.X - recall) * p.Y)
		recall = p.X
	}
	return Value{true, area}
}

// descend gives the positives and negatives in the bins from the highest to each that isn't empty.
func (h Histogram) descend(at func(hits, alarms float64)) {
	var hits, alarms float64
	for i := len(h.Positive) - 1; i >= 0; i-- {
		if h.Positive[i] == 0 && h.Negative[i] == 0 {
			continue
		}
		hits += h.Positive[i]
		alarms += h.Negative[i]
		at(hits, alarms)
	}
}
