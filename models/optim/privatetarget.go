package optim

import (
	"fmt"
	"math"

	"tributary/models/metrics"
	"tributary/models/pipeline"
)

// Private programs of a label that is a number. Nothing of the label is fitted: t = 2u-1, u being its place in the contract's range,
// as if its mean were the range's middle and its deviation half of the width. So |t| ≤ 1, and a row's residual margin-t is at most 1
// in size before training. Rows are as they are, not divided by their norm, so that the model is linear in its columns: as in
// sampledmachine.go a row's gradient (margin-t)·x is divided by ρ ≥ ‖x‖ and then clipped to a norm of 1. Whatever the label, the row
// and the coefficients are, a sum's sensitivity is that of the other models.
//
// EVALUATE sums in one segment what the metrics need of the held-out rows: with e = prediction-t, the prediction within the range,
//
//	1/4·1   1/2·min(e²,1)   3/8·max(e²-1,0)/3   7/16·|e|/2   1/4·t   1/2·t²
//
// As |e| ≤ 2 and |t| ≤ 1, what each factor stands before is at most 1 in size, and the factors' squares add up to 245/256: a row's
// lanes have an L2 norm below 1. Squared errors are in two lanes, for hardly any is above 1, half of the range, in a model that is
// worth having: in one lane with the others, each would have a quarter of its place. What is above 1 counts where its sum is clear of
// its noise.

const segErrors = "errors"

// The lanes' factors.
const (
	laneOfOne      = 0.25
	laneOfSquare   = 0.5
	laneOfLarge    = 0.375 / 3
	laneOfAbsolute = 0.4375 / 2
	laneOfLabel    = 0.25
	laneOfLabel2   = 0.5
)

// clearOf is by how many deviations of its noise a number must be above 0 for large errors to count, and for anything to be divided by
// it: noise alone is with a probability below 3·10⁻⁷, or, with twice the variance that the program counts on, below 3·10⁻⁴.
const clearOf = 5

// UnitNorm tells whether rows are divided by their L2 norm: those of private linear models, but of a label that is a number.
func (p *Program) UnitNorm() bool {
	return p.Private() && p.Model.Factors == 0 && p.Target == nil
}

// Plain is the fitted pipeline of a private program, which fits nothing, without a row count.
func (p *Program) Plain() *pipeline.Fitted {
	out := p.spec.Plain()
	if p.Target != nil {
		out.LabelMean, out.LabelSD = 0.5, 0.5
	}
	return out
}

// errorLanes counts the lanes of a private EVALUATE.
func (p *Program) errorLanes() int {
	return len(p.ErrorLanes(nil, 0, 0))
}

// ErrorLanes appends a held-out row's values in the lanes of a private EVALUATE, by its margin and its label as Standardised gives it;
// their L2 norm is at most 1.
func (p *Program) ErrorLanes(values []float64, margin, t float64) []float64 {
	t = min(max(t, -1), 1)
	off := math.Abs(min(max(margin, -1), 1) - t)
	values = append(values, laneOfOne)
	if p.Evaluate.RMSE || p.Evaluate.R2 {
		square := float64(off * off)
		values = append(values, float64(laneOfSquare*min(square, 1)), float64(laneOfLarge*max(square-1, 0)))
	}
	if p.Evaluate.MAE {
		values = append(values, float64(laneOfAbsolute*off))
	}
	if p.Evaluate.R2 {
		values = append(values, float64(laneOfLabel*t), float64(laneOfLabel2*float64(t*t)))
	}
	return values
}

// noisedErrors are the sums of a private EVALUATE over held-out rows.
type noisedErrors struct {
	rows, square, large, absolute, label, label2 float64
}

// readErrors takes them out of their lanes. Those that the metrics don't need are 0.
func (p *Program) readErrors(lanes []float64) (out noisedErrors) {
	take := func(factor float64) float64 {
		v := lanes[0] / float64(p.privacy.Scale) / factor
		lanes = lanes[1:]
		return v
	}
	out.rows = take(laneOfOne)
	if p.Evaluate.RMSE || p.Evaluate.R2 {
		out.square, out.large = take(laneOfSquare), take(laneOfLarge)
	}
	if p.Evaluate.MAE {
		out.absolute = take(laneOfAbsolute)
	}
	if p.Evaluate.R2 {
		out.label, out.label2 = take(laneOfLabel), take(laneOfLabel2)
	}
	return out
}

// meanSquare is the mean squared error, and about how much the noise moves it.
func (e *noisedErrors) meanSquare(sigma float64) (square, noise float64) {
	square, noise = e.square, sigma/laneOfSquare
	if large := sigma / laneOfLarge; e.large > float64(clearOf*large) {
		square += e.large
		noise = math.Sqrt(float64(noise*noise) + float64(large*large))
	}
	return min(max(square/e.rows, 0), 4), noise / e.rows
}

// variance is the labels', and about how much the noise moves it.
func (e *noisedErrors) variance(sigma float64) (variance, noise float64) {
	mean := min(max(e.label/e.rows, -1), 1)
	variance = min(e.label2/e.rows, 1) - float64(mean*mean)
	square, product := sigma/laneOfLabel2, float64(2*mean*sigma)/laneOfLabel
	return variance, math.Sqrt(float64(square*square)+float64(product*product)) / e.rows
}

// applyErrors is the step of a private EVALUATE of a number label. Means are kept to what rows within the range can have; nothing is
// divided by a number that its noise may have made.
func (p *Program) applyErrors(s *State, lanes []float64) (*State, Report, error) {
	if err := p.checkNorm(lanes, p.privacy.Sigma2Evaluate); err != nil {
		return nil, Report{}, err
	}
	e, sigma := p.readErrors(lanes), p.sigma(p.privacy.Sigma2Evaluate)
	_, unit := p.LabelUnits(s.fitted)
	summary := metrics.Summary{Rows: s.fitted.Rows, HeldOut: whole(e.rows)}
	note := fmt.Sprintf("metrics are noisy: about %d held-out rows (standard error %.3g or more)", summary.HeldOut, sigma/laneOfOne)
	if n := e.rows; n > float64(clearOf*sigma)/laneOfOne {
		square, noise := e.meanSquare(sigma)
		if p.Evaluate.RMSE {
			root := math.Sqrt(square)
			summary.RMSE = metrics.Value{Known: true, V: float64(unit * root)}
			note += fmt.Sprintf("; the noise alone moves rmse by about %.2g", float64(unit*(math.Sqrt(square+noise)-root)))
		}
		if p.Evaluate.MAE {
			summary.MAE = metrics.Value{Known: true, V: float64(unit * min(max(e.absolute/n, 0), 2))}
			note += fmt.Sprintf("; mae by %.2g", float64(unit*(sigma/laneOfAbsolute/n)))
		}
		if p.Evaluate.R2 {
			if variance, around := e.variance(sigma); variance > float64(clearOf*around) {
				lost := square / variance
				by := float64(lost * around)
				summary.R2 = metrics.Value{Known: true, V: 1 - lost}
				note += fmt.Sprintf("; r2 by %.2g", math.Sqrt(float64(noise*noise)+float64(by*by))/variance)
			} else {
				note += "; r2 is unknown: the labels' variance isn't clear of its noise"
			}
		}
	} else {
		note += ": too few for metrics, which are unknown"
	}
	next := s.advance(Done)
	next.summary = summary
	return next, Report{Kind: Evaluate, Step: next.step, Rows: s.fitted.Rows, Metrics: &summary, Note: note}, nil
}

// checkNoisedErrors holds a private state's metrics of a number label to what applyErrors can give.
func (p *Program) checkNoisedErrors(m *metrics.Summary) error {
	_, unit := p.LabelUnits(p.Plain())
	for _, v := range []struct {
		value metrics.Value
		on    bool
		least float64
		most  float64
	}{
		{m.RMSE, p.Evaluate.RMSE, 0, float64(2 * unit)}, {m.MAE, p.Evaluate.MAE, 0, float64(2 * unit)}, {m.R2, p.Evaluate.R2, math.Inf(-1), 1},
	} {
		if v.value.Known && !v.on || !(v.value.V >= v.least && v.value.V <= v.most) {
			return fmt.Errorf("metrics rmse %g, mae %g, r2 %g of a label within %g..%g", m.RMSE.V, m.MAE.V, m.R2.V, p.Target.Min, p.Target.Max)
		}
	}
	return nil
}
