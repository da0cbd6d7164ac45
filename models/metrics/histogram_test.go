package metrics

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// A histogram without negative counts keeps its counts, and its metrics are those of its rows.
func TestHistogramMetricsEqualTheirDefinition(t *testing.T) {
	h := Histogram{Positive: []float64{0, 1, 2, 5}, Negative: []float64{6, 3, 1, 0}}
	if c := h.Clipped(); !slices.Equal(c.Positive, h.Positive) || !slices.Equal(c.Negative, h.Negative) {
		t.Errorf("clipping changed %v to %v", h, c)
	}
	counts, err := AUC([]int64{0, 1, 2, 5}, []int64{6, 3, 1, 0})
	if err != nil {
		t.Fatal(err)
	}
	if auc, _ := h.AUC(1); auc != counts {
		t.Errorf("AUC %v, want %v", auc, counts)
	}
	if got := h.Accuracy(); got != (Value{true, 16.0 / 18}) {
		t.Errorf("accuracy %v", got)
	}
	loss := 0.0
	for i := range h.Positive {
		middle := (float64(i) + 0.5) / 4
		loss -= h.Positive[i]*math.Log(middle) + h.Negative[i]*math.Log(1-middle)
	}
	if got := h.LogLoss(); !got.Known || math.Abs(got.V-loss/18) > 1e-14 {
		t.Errorf("log loss %v, want %g", got, loss/18)
	}
	empty := Histogram{make([]float64, 4), []float64{1, 0, 0, 0}}
	if auc, _ := empty.AUC(1); auc.Known || !empty.Accuracy().Known || !empty.LogLoss().Known {
		t.Error("metrics of one class")
	}
	none := Histogram{[]float64{-1, 0}, []float64{-2, 1}}.Clipped()
	if auc, _ := none.AUC(1); auc.Known || none.Accuracy().Known || none.LogLoss().Known {
		t.Error("metrics of no rows")
	}
}

// Clipping leaves no negative count and keeps totals, so that noise alone doesn't pull an AUC towards 0.5; the stated deviation
// is that of the noise. The mean of 400 errors, of which each has a deviation of about 0.006, is off by 4 deviations of the
// mean with a probability of 6·10⁻⁵, but the seed is fixed.
func TestClippedHistogramKeepsTotalsAndAUC(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	exact := Histogram{make([]float64, 50), make([]float64, 50)}
	for range 16_000 {
		y, shift := r.Float64() < 0.25, -1.5
		if y {
			shift = 0.8
		}
		bin := BinOf(1/(1+math.Exp(-(shift+1.4*r.NormFloat64()))), 50)
		if y {
			exact.Positive[bin]++
		} else {
			exact.Negative[bin]++
		}
	}
	want, _ := exact.AUC(0)
	const deviation, draws = 10, 400
	var bias, square, stated float64
	for range draws {
		noised := Histogram{slices.Clone(exact.Positive), slices.Clone(exact.Negative)}
		for i := range noised.Positive {
			noised.Positive[i] += deviation * r.NormFloat64()
			noised.Negative[i] += deviation * r.NormFloat64()
		}
		c := noised.Clipped()
		p, n := noised.Totals()
		cp, cn := c.Totals()
		if math.Abs(p-cp) > 1e-8 || math.Abs(n-cn) > 1e-8 || slices.Min(c.Positive) < 0 || slices.Min(c.Negative) < 0 {
			t.Fatalf("totals %g, %g became %g, %g; least %g, %g", p, n, cp, cn, slices.Min(c.Positive), slices.Min(c.Negative))
		}
		auc, uncertainty := c.AUC(deviation)
		bias += (auc.V - want.V) / draws
		square += (auc.V - want.V) * (auc.V - want.V) / draws
		stated += uncertainty.V / draws
	}
	t.Logf("AUC %.4f: bias %.4f, deviation %.4f, stated %.4f", want.V, bias, math.Sqrt(square), stated)
	if math.Abs(bias) > 0.004 || stated < 0.7*math.Sqrt(square) || stated > 1.5*math.Sqrt(square) {
		t.Errorf("AUC %.4f: bias %.4f, deviation %.4f, stated %.4f", want.V, bias, math.Sqrt(square), stated)
	}
}
