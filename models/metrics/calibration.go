package metrics

import "math"

// CalibrationBins is the number of equal ranges of predicted probability of a calibration table.
const CalibrationBins = 10

// CalibrationBin compares a range of predicted probabilities with what came of its rows.
type CalibrationBin struct {
	Low, High float64
	Rows      float64
	Predicted Value // mean predicted probability; absent without rows, as Observed
	Observed  Value // share of positives
}

// Brier is the mean squared difference between label and predicted probability [B50], as if each row had its bin's middle for a
// probability. It is absent without rows.
//
// [B50] G. W. Brier: Verification of Forecasts Expressed in Terms of Probability. Monthly Weather Review 78, 1950.
func (h Histogram) Brier() Value {
	positives, negatives := h.Totals()
	if !(positives+negatives > 0) {
		return Value{}
	}
	sum := 0.0
	for i := range h.Positive {
		p := h.middle(i)
		sum += float64(h.Positive[i]*float64((1-p)*(1-p))) + float64(h.Negative[i]*float64(p*p))
	}
	return Value{true, sum / (positives + negatives)}
}

// Calibration is the calibration table, by CalibrationBins ranges, as if each row had its bin's middle for a probability.
func (h Histogram) Calibration() []CalibrationBin {
	out := make([]CalibrationBin, CalibrationBins)
	sums := make([]struct{ predicted, positives float64 }, CalibrationBins)
	for i := range h.Positive {
		at, rows := BinOf(h.middle(i), CalibrationBins), h.Positive[i]+h.Negative[i]
		out[at].Rows += rows
		sums[at].predicted += float64(rows * h.middle(i))
		sums[at].positives += h.Positive[i]
	}
	for k := range out {
		b := &out[k]
		b.Low, b.High = float64(k)/CalibrationBins, float64(k+1)/CalibrationBins
		if b.Rows > 0 {
			b.Predicted, b.Observed = Value{true, sums[k].predicted / b.Rows}, Value{true, sums[k].positives / b.Rows}
		}
	}
	return out
}

// CalibrationError is the expected calibration error: the mean over rows of how far their range's share of positives is from
// its mean predicted probability [NCH15]. It is absent without rows.
//
// [NCH15] M. P. Naeini, G. F. Cooper, M. Hauskrecht: Obtaining Well Calibrated Probabilities Using Bayesian Binning. AAAI 2015.
func (h Histogram) CalibrationError() Value {
	sum, rows := 0.0, 0.0
	for _, b := range h.Calibration() {
		sum += float64(b.Rows * math.Abs(b.Predicted.V-b.Observed.V))
		rows += b.Rows
	}
	if !(rows > 0) {
		return Value{}
	}
	return Value{true, sum / rows}
}

// middle is the predicted probability that stands for a bin's rows.
func (h Histogram) middle(bin int) float64 { return (float64(bin) + 0.5) / float64(len(h.Positive)) }
