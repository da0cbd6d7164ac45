package optim

import (
	"errors"
	"fmt"
	"math"

	"tributary/models/metrics"
	"tributary/models/pipeline"
)

// Labels that are numbers. FIT opens Σu and Σu², u being the label's place in its declared range; what follows is in deviations of
// the label from its mean, t = (u - mean)/sd, and the loss of a row is ½·(margin - t)². So the penalty λ of (λ/2)·‖w‖² means the same
// whatever the label's unit is: it is ridge regression's [HK70]. Of private programs see privatetarget.go.
//
// A squared loss has no bound that is of use. But the coefficients that training starts from, zero, have a loss of Σt²/2, at most
// 7/8 a row (pipeline: the true variance is at most 1.75 times the fitted one), and no solver accepts a larger one than it has. By
// Cauchy and Schwarz |Σ(margin-t)·x| ≤ √Σ(margin-t)²·√Σx² ≤ 2n·2^e for columns |x| ≤ 2^e, which is what a lane holds, while the loss
// is at most 2n; a participant's part obeys the same bound. At other coefficients a participant clips to the lane, and the loss,
// which is summed as a whole number and the rest and clipped only at what a lane counts to, says so.
//
// [HK70] A. Hoerl, R. Kennard: Ridge Regression: Biased Estimation for Nonorthogonal Problems. Technometrics 12, 1970.

// LinearRegression is a linear model of a label that is a number, with a squared loss.
const LinearRegression = "linear_regression"

// Target is a label that is a number, within the contract's range.
type Target struct{ Min, Max float64 }

// ErrConstant is returned by Apply when the label doesn't vary: no model can be fitted.
var ErrConstant = errors.New("the label doesn't vary")

const (
	segTargetSumWhole    = "label_sum_whole"
	segTargetSumPart     = "label_sum_part"
	segTargetSquareWhole = "label_square_whole"
	segTargetSquarePart  = "label_square_part"
	segLossWhole         = "loss_whole"
	segHeldLossWhole     = "held_out_loss_whole"
)

// maxTarget bounds a label's range, as the contract does a column's.
const maxTarget = 1e18

func parseTarget(o *object) *Target {
	out := &Target{Min: o.number("min"), Max: o.number("max")}
	if !(out.Min >= -maxTarget && out.Max <= maxTarget && out.Max-out.Min >= 1/maxTarget) {
		o.fail("min", "range %g..%g is not within ±%g, or too narrow", out.Min, out.Max, maxTarget)
	}
	return out
}

// checkTarget holds a model to a label that is a number.
func (p *Program) checkTarget(doc *object, private bool) {
	e, number, sampling := p.Evaluate, p.Target != nil, p.Model.Sampling
	switch {
	case number && p.Model.Type != LinearRegression && p.Model.Type != FactorizationMachine:
		doc.fail("label", "%s predicts no number\nhint: %s or %s", p.Model.Type, LinearRegression, FactorizationMachine)
	case !number && p.Model.Type == LinearRegression:
		doc.fail("label", "%s predicts a number\nhint: give the label's min and max, or %s", LinearRegression, LogisticRegression)
	case number && sampling != nil && sampling.LearningRate > float64(2*(1+sampling.Momentum)):
		doc.fail("model.sampling.learning_rate", "%g is above 2·(1+momentum) = %g: steps towards a number may swing ever further\nhint: lower it", sampling.LearningRate, float64(2*(1+sampling.Momentum)))
	case number && private && e.Calibration:
		doc.fail("evaluate.metrics", "calibration sums bins of few rows: a private job opens none\nhint: rmse, mae, r2")
	case number && (e.AUC || e.LogLoss || e.Correct):
		doc.fail("evaluate.metrics", "auc, log_loss and accuracy are of labels with values\nhint: rmse, mae, r2, calibration")
	case !number && (e.MAE || e.R2 || e.Calibration):
		doc.fail("evaluate.metrics", "mae, r2 and calibration are of labels that are numbers")
	case number && p.groups != nil:
		doc.fail("evaluate.groups", "a label that is a number isn't evaluated by groups\nhint: remove groups")
	}
}

// Unit is a label's place in its range, in [0, 1].
func (t *Target) Unit(y float64) float64 {
	return min(max((y-t.Min)/(t.Max-t.Min), 0), 1)
}

// Standardised is a label in deviations from its mean, as the model predicts it.
func (p *Program) Standardised(f *pipeline.Fitted, y float64) float64 {
	return (p.Target.Unit(y) - f.LabelMean) / f.LabelSD
}

// LabelUnits are the label's mean and deviation in the contract's unit. A margin m predicts mean + sd·m, within the label's range.
func (p *Program) LabelUnits(f *pipeline.Fitted) (mean, sd float64) {
	width := p.Target.Max - p.Target.Min
	return p.Target.Min + float64(width*f.LabelMean), float64(width * f.LabelSD)
}

// Predicted is a margin within the label's range, in deviations from its mean.
func (p *Program) Predicted(f *pipeline.Fitted, margin float64) float64 {
	return min(max(margin, -f.LabelMean/f.LabelSD), (1-f.LabelMean)/f.LabelSD)
}

// layoutTarget adds what FIT sums of the label: its moments, or how many rows each of its values has.
func (p *Program) layoutTarget(add func(name string, length int, scale uint64)) {
	switch {
	case p.Target != nil:
		add(segTargetSumWhole, 1, 1)
		add(segTargetSumPart, 1, p.lane())
		add(segTargetSquareWhole, 1, 1)
		add(segTargetSquarePart, 1, p.lane())
	case p.Label != nil:
		add(segClasses, p.blocks(), 1)
	default:
		add(segPositives, 1, 1)
	}
}

// fitTarget derives the label's mean and deviation.
func (p *Program) fitTarget(t pipeline.Totals, out *pipeline.Fitted) error {
	mean, variance, varies, err := pipeline.Moments(t.Rows, t.LabelSum, t.LabelSquare, p.unit())
	switch {
	case err != nil:
		return fmt.Errorf("%w: the label: %w", ErrSums, err)
	case !varies:
		return fmt.Errorf("%w: all %d training rows have about the same\nhint: check the label's column in the bindings; a range that is far wider than the values hides them", ErrConstant, t.Rows)
	}
	out.LabelMean, out.LabelSD = mean, math.Sqrt(variance)
	return nil
}

// checkMoments holds the label's mean and deviation of a state to what FIT can give.
func (p *Program) checkMoments(f *pipeline.Fitted) error {
	if !(f.LabelMean >= 0 && f.LabelMean <= 1 && f.LabelSD >= 0x1p-24 && f.LabelSD <= 1) || f.Positives != 0 {
		return fmt.Errorf("the label has mean %g and deviation %g of its range, and %d positives", f.LabelMean, f.LabelSD, f.Positives)
	}
	return nil
}

// residualExponent is what a residual in a sum adds to the bound of a row's column.
func (p *Program) residualExponent() int {
	if p.Target != nil {
		return 1
	}
	return 0
}

// inLane clips a number label's lane of scale 1 or lane: only sums at coefficients that no solver accepts are out of it.
func (p *Program) inLane(values []float64) []float64 {
	if p.Target != nil {
		for i, v := range values {
			values[i] = min(max(v, -1), 1)
		}
	}
	return values
}

// wholePart splits a sum into whole and rest, clipped to what the whole's lane holds.
func (p *Program) wholePart(v float64) (whole, part []float64) {
	most := float64(p.lane())
	return parts([]float64{min(max(v, -most), most)})
}

// layoutLoss adds the lanes of a loss, and lossLanes fills them.
func (p *Program) layoutLoss(add func(name string, length int, scale uint64), whole, name string) {
	if p.Target != nil {
		add(whole, 1, 1)
	}
	add(name, 1, p.lane())
}

func (p *Program) lossLanes(loss float64, rows int64) (whole, lane []float64) {
	if p.Target != nil {
		return p.wholePart(loss)
	}
	return nil, encodeLoss(loss, rows)
}

// readLoss takes a loss out of its lanes, and refuses one that the rows can't have.
func (p *Program) readLoss(v map[string][]float64, whole, name string, rows int64) (float64, error) {
	if p.Target != nil {
		return max(v[whole][0]+v[name][0], 0), nil
	}
	loss := decodeLoss(v[name], rows)
	return loss, p.checkLoss(loss, rows)
}

// checkGradientFits refuses coefficients that a solver would accept, though the gradient there may have been clipped: only a start
// at an earlier model leads to any.
func (p *Program) checkGradientFits(loss float64, rows int64) error {
	if most := pow2(float64(2*float64(rows)), p.weightExponent()); p.Target != nil && loss > most {
		return fmt.Errorf("%w: the model that training started from has led to a loss of %g, the label's mean alone has less than %g\nhint: leave warm_start out", ErrDiverged, loss, most)
	}
	return nil
}

// settled is how near the optimum a solver of a number label ends in any case: a perfect fit has no objective to compare with.
func (p *Program) settled(rows int64) float64 {
	if p.Target == nil {
		return 0
	}
	return float64(2 * p.trainNoise(rows))
}

// residualVariance scales the inverse Hessian of a squared loss to the coefficients' covariance, by the degrees of freedom left.
// Rows' weights are taken for precisions: the result doesn't change with their unit.
func (p *Program) residualVariance(loss float64, rows int64, variance []float64) {
	left := rows
	for _, v := range variance {
		if v != 0 {
			left--
		}
	}
	for i := range variance {
		if left <= 0 {
			variance[i] = 0
			continue
		}
		variance[i] = float64(variance[i] * float64(2*loss/float64(left)))
	}
}

// Names of EVALUATE segments of number labels.
const (
	segErrorSquareWhole = "held_out_squared_error_whole"
	segErrorSquarePart  = "held_out_squared_error_part"
	segErrorWhole       = "held_out_absolute_error_whole"
	segErrorPart        = "held_out_absolute_error_part"
	segHeldSumWhole     = "held_out_label_sum_whole"
	segHeldSumPart      = "held_out_label_sum_part"
	segHeldSquareWhole  = "held_out_label_square_whole"
	segHeldSquarePart   = "held_out_label_square_part"
	segBinRows          = "bin_rows"
	segBinPredWhole     = "bin_predicted_whole"
	segBinPredPart      = "bin_predicted_part"
	segBinLabelWhole    = "bin_label_whole"
	segBinLabelPart     = "bin_label_part"
)

// TargetSums are one participant's held-out rows of a number label, all in the label's deviations from its training mean;
// predictions are within the label's range.
type TargetSums struct {
	SquaredError, AbsoluteError float64
	Sum, Square                 float64   // of the labels
	Rows                        []int64   // by TargetBin of the prediction, length TargetBins
	Predicted, Labels           []float64 // the bins' sums of predictions and of labels
}

// TargetBins is the number of bins of a prediction: quarters of a deviation, from -2.5 to 2.5, the outer ones without end.
const TargetBins = 20

// TargetBin is the bin of a prediction in deviations from the label's mean.
func TargetBin(predicted float64) int {
	return min(max(int(math.Floor(float64(4*predicted)))+TargetBins/2, 0), TargetBins-1)
}

func (p *Program) layoutHeldOutTarget(add func(name string, length int, scale uint64)) {
	e, lane := p.Evaluate, p.lane()
	both := func(whole, part string, length int) {
		add(whole, length, 1)
		add(part, length, lane)
	}
	if e.RMSE || e.R2 {
		both(segErrorSquareWhole, segErrorSquarePart, 1)
	}
	if e.MAE {
		both(segErrorWhole, segErrorPart, 1)
	}
	if e.R2 {
		both(segHeldSumWhole, segHeldSumPart, 1)
		both(segHeldSquareWhole, segHeldSquarePart, 1)
	}
	if e.Calibration {
		add(segBinRows, TargetBins, 1)
		both(segBinPredWhole, segBinPredPart, TargetBins)
		both(segBinLabelWhole, segBinLabelPart, TargetBins)
	}
}

// encodeTarget adds held-out sums to the values of an EVALUATE round.
func (p *Program) encodeTarget(values map[string][]float64, t TargetSums) {
	put := func(whole, part string, sums ...float64) {
		for _, v := range sums {
			w, r := p.wholePart(v)
			values[whole], values[part] = append(values[whole], w...), append(values[part], r...)
		}
	}
	put(segErrorSquareWhole, segErrorSquarePart, t.SquaredError)
	put(segErrorWhole, segErrorPart, t.AbsoluteError)
	put(segHeldSumWhole, segHeldSumPart, t.Sum)
	put(segHeldSquareWhole, segHeldSquarePart, t.Square)
	values[segBinRows] = floats(t.Rows)
	put(segBinPredWhole, segBinPredPart, t.Predicted...)
	put(segBinLabelWhole, segBinLabelPart, t.Labels...)
}

// heldOutTarget fills in what the job measures of a number label, in the contract's unit. A sum that was clipped gives nothing.
func (p *Program) heldOutTarget(s *State, v map[string][]float64, out *metrics.Summary) ([]metrics.LabelBin, error) {
	mean, sd := p.LabelUnits(s.fitted)
	rows := float64(out.HeldOut)
	read := func(whole, part string) (sum float64, ok bool) {
		if v[whole] == nil || out.HeldOut == 0 {
			return 0, false
		}
		sum = v[whole][0] + v[part][0]
		return sum, math.Abs(v[whole][0]) < float64(p.lane())
	}
	square, ok := read(segErrorSquareWhole, segErrorSquarePart)
	square = max(square, 0)
	if ok && p.Evaluate.RMSE {
		out.RMSE = metrics.Value{Known: true, V: float64(sd * math.Sqrt(square/rows))}
	}
	if absolute, ok := read(segErrorWhole, segErrorPart); ok {
		out.MAE = metrics.Value{Known: true, V: float64(sd * (max(absolute, 0) / rows))}
	}
	if sum, known := read(segHeldSumWhole, segHeldSumPart); known && ok {
		total, known := read(segHeldSquareWhole, segHeldSquarePart)
		// Less than its quantisation, the variation is none.
		if around := total - float64(sum*(sum/rows)); known && around > float64(0x1p-30*rows) {
			out.R2 = metrics.Value{Known: true, V: 1 - square/around}
		}
	}
	if !p.Evaluate.Calibration || out.HeldOut == 0 {
		return nil, nil
	}
	var bins []metrics.LabelBin
	counted := counts(v[segBinRows])
	for i, n := range counted {
		if n < 0 || n > out.HeldOut {
			return nil, fmt.Errorf("%w: a bin has %d of %d held-out rows", ErrSums, n, out.HeldOut)
		}
		if n == 0 {
			continue
		}
		predicted := (v[segBinPredWhole][i] + v[segBinPredPart][i]) / float64(n)
		label := (v[segBinLabelWhole][i] + v[segBinLabelPart][i]) / float64(n)
		bins = append(bins, metrics.LabelBin{Rows: n, Predicted: mean + float64(sd*predicted), Label: mean + float64(sd*label)})
	}
	if n := total(counted); n != out.HeldOut {
		return nil, fmt.Errorf("%w: the bins have %d of %d held-out rows", ErrSums, n, out.HeldOut)
	}
	return bins, nil
}
