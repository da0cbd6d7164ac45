package metrics

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

type scored struct {
	p float64
	y bool
}

// drawn are n rows of which a quarter is positive, with scores that tell them apart in part.
func drawn(r *rand.Rand, n int) []scored {
	out := make([]scored, n)
	for i := range out {
		y, shift := r.Float64() < 0.25, -1.5
		if y {
			shift = 0.3
		}
		out[i] = scored{1 / (1 + math.Exp(-(shift + 1.2*r.NormFloat64()))), y}
	}
	return out
}

func histogramOf(rows []scored, bins int) Histogram {
	h := Histogram{make([]float64, bins), make([]float64, bins)}
	for _, v := range rows {
		counts := h.Negative
		if v.y {
			counts = h.Positive
		}
		counts[BinOf(v.p, bins)]++
	}
	return h
}

// binned are the rows with their bin's middle for a score.
func binned(rows []scored, bins int) []scored {
	out := slices.Clone(rows)
	for i := range out {
		out[i].p = (float64(BinOf(rows[i].p, bins)) + 0.5) / float64(bins)
	}
	return out
}

func near(t *testing.T, what string, got Value, want, tolerance float64) {
	t.Helper()
	if !got.Known || !(math.Abs(got.V-want) <= tolerance) {
		t.Errorf("%s %v, want %g within %g", what, got, want, tolerance)
	}
}

// twin holds metrics computed row by row, by their definitions.
type twin struct{ auc, deviation, precision, brier, calibration float64 }

func naive(rows []scored) (out twin) {
	var positives, negatives []float64
	for _, v := range rows {
		e := v.p
		if v.y {
			positives, e = append(positives, v.p), 1-v.p
		} else {
			negatives = append(negatives, v.p)
		}
		out.brier += e * e / float64(len(rows))
	}
	above := func(a, b float64) float64 {
		switch {
		case a > b:
			return 1
		case a == b:
			return 0.5
		}
		return 0
	}
	m, n := float64(len(positives)), float64(len(negatives))
	places := [2][]float64{make([]float64, len(positives)), make([]float64, len(negatives))}
	for i, a := range positives {
		for j, b := range negatives {
			places[0][i] += above(a, b) / n
			places[1][j] += above(a, b) / m
		}
		out.auc += places[0][i] / m
	}
	variance := 0.0
	for k, list := range places {
		square := 0.0
		for _, v := range list {
			square += (v - out.auc) * (v - out.auc)
		}
		count := []float64{m, n}[k]
		variance += square / (count - 1) / count
	}
	out.deviation = math.Sqrt(variance)

	// Average precision: the thresholds are the scores that occur.
	for _, threshold := range distinct(rows) {
		hits, taken, here := 0.0, 0.0, 0.0
		for _, v := range rows {
			if v.p >= threshold {
				taken++
				if v.y {
					hits++
					if v.p == threshold {
						here++
					}
				}
			}
		}
		out.precision += here / m * hits / taken
	}
	for k := range CalibrationBins {
		count, predicted, observed := 0.0, 0.0, 0.0
		for _, v := range rows {
			if min(int(v.p*CalibrationBins), CalibrationBins-1) == k {
				count++
				predicted += v.p
				if v.y {
					observed++
				}
			}
		}
		out.calibration += math.Abs(predicted-observed) / float64(len(rows))
	}
	return out
}

func distinct(rows []scored) []float64 {
	var out []float64
	for _, v := range rows {
		out = append(out, v.p)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Over rows whose scores are their bins' middles, the histogram's metrics are the rows' own but for rounding; over raw scores
// the 1,024 bins cost little, in numbers that this test states.
func TestHistogramEqualsItsTwinOverRows(t *testing.T) {
	rows := drawn(rand.New(rand.NewPCG(7, 8)), 3000)
	h := histogramOf(rows, Bins)
	for _, c := range []struct {
		name                                          string
		rows                                          []scored
		auc, deviation, precision, brier, calibration float64
	}{
		{"binned", binned(rows, Bins), 1e-12, 1e-12, 1e-12, 1e-12, 1e-12},
		{"raw", rows, 1e-4, 1e-5, 2e-3, 1e-5, 1e-3},
	} {
		want := naive(c.rows)
		auc, _ := h.AUC(0)
		near(t, c.name+" AUC", auc, want.auc, c.auc)
		low, high := h.AUCInterval(0)
		near(t, c.name+" low", low, want.auc-Normal95*want.deviation, c.auc+2*c.deviation)
		near(t, c.name+" high", high, want.auc+Normal95*want.deviation, c.auc+2*c.deviation)
		near(t, c.name+" average precision", h.AveragePrecision(), want.precision, c.precision)
		near(t, c.name+" Brier", h.Brier(), want.brier, c.brier)
		near(t, c.name+" calibration error", h.CalibrationError(), want.calibration, c.calibration)
		t.Logf("%s: %+v", c.name, want)
	}
}

// Of 400 samples, an interval that holds the true area in 95 % of all cases holds it in 360 to 394 but with a probability of
// 10⁻⁴, and the seed is fixed. Two normal distributions that are d deviations apart have an area of Φ(d/√2).
func TestAUCIntervalCovers(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	const apart = 1.0
	truth := 0.5 * math.Erfc(-apart/math.Sqrt2/math.Sqrt2)
	covered := 0
	for range 400 {
		h := Histogram{make([]float64, Bins), make([]float64, Bins)}
		for i := range 200 {
			if i%4 == 0 {
				h.Positive[Bin(1/(1+math.Exp(-(apart+r.NormFloat64()))))]++
			} else {
				h.Negative[Bin(1/(1+math.Exp(-r.NormFloat64())))]++
			}
		}
		low, high := h.AUCInterval(0)
		if low.V <= truth && truth <= high.V {
			covered++
		}
	}
	t.Logf("area %.4f: %d of 400 intervals hold it", truth, covered)
	if covered < 360 || covered > 394 {
		t.Errorf("%d of 400 intervals hold the area %g", covered, truth)
	}
}

// Noise widens the interval by its own variance.
func TestNoiseWidensTheInterval(t *testing.T) {
	h := histogramOf(drawn(rand.New(rand.NewPCG(1, 1)), 500), 50)
	low, high := h.AUCInterval(0)
	wide, widened := h.AUCInterval(1)
	_, noise := h.AUC(1)
	half := func(a, b Value) float64 { return (b.V - a.V) / 2 / Normal95 }
	near(t, "standard error", Value{true, half(wide, widened)}, math.Hypot(half(low, high), noise.V), 1e-12)
}

func TestLiftEqualsItsTwinOverRows(t *testing.T) {
	rows := drawn(rand.New(rand.NewPCG(9, 10)), 4000)
	table := histogramOf(rows, Bins).Lift()
	slices.SortFunc(rows, func(a, b scored) int { return cmp.Compare(b.p, a.p) })
	positives := 0.0
	for _, v := range rows {
		if v.y {
			positives++
		}
	}
	if len(table) != LiftParts {
		t.Fatalf("%d rows", len(table))
	}
	for k, row := range table {
		hits := 0.0
		for _, v := range rows[:len(rows)*(k+1)/LiftParts] {
			if v.y {
				hits++
			}
		}
		// A bin's rows count in proportion: it has at most some ten of them.
		if math.Abs(row.Gain-hits/positives) > 5/positives || math.Abs(row.Lift-row.Gain/row.Share) > 1e-12 {
			t.Errorf("top %g: gain %g, lift %g; %g positives of %g", row.Share, row.Gain, row.Lift, hits, positives)
		}
	}
	if last := table[LiftParts-1]; math.Abs(last.Gain-1) > 1e-12 || last.Rows != 4000 {
		t.Errorf("all rows: %+v", last)
	}
	// One bin only: every share finds its part.
	for k, row := range (Histogram{[]float64{0, 3}, []float64{0, 7}}).Lift() {
		if math.Abs(row.Lift-1) > 1e-12 {
			t.Errorf("part %d of equal scores: %+v", k, row)
		}
	}
}

func TestConfusionEqualsItsTwinOverRows(t *testing.T) {
	rows := drawn(rand.New(rand.NewPCG(11, 12)), 2000)
	h := histogramOf(rows, Bins)
	for _, asked := range []float64{0, 0.25, 0.3, 0.5, 0.9999, 1} {
		c := h.Confusion(asked)
		if c.Threshold < asked || c.Threshold-asked >= 1.0/Bins {
			t.Errorf("threshold %g became %g", asked, c.Threshold)
		}
		var want Confusion
		for _, v := range rows {
			switch taken := v.p >= c.Threshold; {
			case taken && v.y:
				want.TruePositive++
			case taken:
				want.FalsePositive++
			case v.y:
				want.FalseNegative++
			default:
				want.TrueNegative++
			}
		}
		want.Threshold = c.Threshold
		if c != want {
			t.Errorf("at %g: %+v, want %+v", asked, c, want)
		}
	}
	c := Confusion{0.5, 6, 2, 3, 9}
	near(t, "precision", c.Precision(), 0.75, 0)
	near(t, "recall", c.Recall(), 6.0/9, 0)
	near(t, "specificity", c.Specificity(), 9.0/11, 0)
	near(t, "selected", c.Selected(), 0.4, 0)
	near(t, "accuracy", c.Accuracy(), 0.75, 0)
	near(t, "F1", c.F1(), 2*0.75*6/9/(0.75+6.0/9), 1e-15)
}

func TestSpread(t *testing.T) {
	if s := Spread([]Value{{true, 0.3}, {}, {true, 0.75}, {true, 0.5}}); s != (Value{true, 0.75 - 0.3}) {
		t.Error(s)
	}
	if Spread([]Value{{true, 0.3}, {}}).Known || Spread(nil).Known {
		t.Error("a spread of fewer than two")
	}
}

// ROC and precision-recall curves end where every row is taken, and the first spans the area.
func TestCurvesSpanTheirAreas(t *testing.T) {
	h := histogramOf(drawn(rand.New(rand.NewPCG(13, 14)), 2500), Bins)
	roc := h.ROC()
	area := 0.0
	for i := 1; i < len(roc); i++ {
		area += (roc[i].X - roc[i-1].X) * (roc[i].Y + roc[i-1].Y) / 2
	}
	auc, _ := h.AUC(0)
	near(t, "area under the ROC curve", auc, area, 1e-12)
	if roc[0] != (Point{0, 0}) || roc[len(roc)-1] != (Point{1, 1}) {
		t.Errorf("ROC from %v to %v", roc[0], roc[len(roc)-1])
	}
	positives, negatives := h.Totals()
	curve := h.PrecisionRecall()
	if last := curve[len(curve)-1]; last != (Point{1, positives / (positives + negatives)}) {
		t.Errorf("precision-recall ends at %v", last)
	}
}

func TestMetricsOfNoRowsAreAbsent(t *testing.T) {
	for name, h := range map[string]Histogram{
		"nothing":   {make([]float64, 4), make([]float64, 4)},
		"negatives": {make([]float64, 4), []float64{1, 2, 0, 0}},
	} {
		low, high := h.AUCInterval(1)
		if low.Known || high.Known || h.AveragePrecision().Known || h.ROC() != nil || h.PrecisionRecall() != nil || h.Lift() != nil {
			t.Errorf("%s has curves", name)
		}
		rows := name != "nothing"
		if h.Brier().Known != rows || h.CalibrationError().Known != rows || h.Confusion(0.5).Recall().Known || h.Confusion(0.5).Specificity().Known != rows {
			t.Errorf("%s: metrics of no rows", name)
		}
	}
}
