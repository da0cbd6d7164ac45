package linear

import (
	"fmt"
	"math"

	"tributary/models/dataset"
	"tributary/models/optim"
	"tributary/models/pipeline/fit"
)

// Rows whose label is a number: a margin is the prediction, in the label's deviations from its mean, and a row's loss half its
// squared distance from the label. See optim.Target.

// bindTarget checks that a table's labels are numbers if the program's are, within its range. Rows are numbered from 1.
func bindTarget(p *optim.Program, t *dataset.Table) error {
	if t.Rows > 0 && (p.Target != nil) != (t.Target != nil) {
		return fmt.Errorf("%w: the label is a number in the rows or in the job, not in both\nhint: the contract differs from the job's", fit.ErrTable)
	}
	for from, labels := range dataset.Runs(t.Memory, t.Target) {
		for i, y := range labels {
			if !(y >= p.Target.Min && y <= p.Target.Max) {
				return fmt.Errorf("%w: the label: row %d: a number outside %g..%g\nhint: widen the contract's range, or let the contract clip", fit.ErrTable, from+i+1, p.Target.Min, p.Target.Max)
			}
		}
	}
	return nil
}

// addTarget adds held-out row i at its margin.
func (e *Evaluation) addTarget(i int, margin float64) {
	t, y, predicted := &e.sums.Target, e.held.target[i], e.program.Predicted(e.fitted, margin)
	off := predicted - y
	t.SquaredError += off * off
	t.AbsoluteError += math.Abs(off)
	t.Sum += y
	t.Square += y * y
	bin := optim.TargetBin(predicted)
	t.Rows[bin]++
	t.Predicted[bin] += predicted
	t.Labels[bin] += y
}

func (e *Evaluation) mergeTarget(o *optim.TargetSums) {
	t := &e.sums.Target
	t.SquaredError += o.SquaredError
	t.AbsoluteError += o.AbsoluteError
	t.Sum += o.Sum
	t.Square += o.Square
	for bin, n := range o.Rows {
		t.Rows[bin] += n
	}
	add(t.Predicted, o.Predicted)
	add(t.Labels, o.Labels)
}

// Predictions turns margins into numbers of the contract's unit, within the label's range.
func Predictions(p *optim.Program, s *optim.State, margins []float64) []float64 {
	mean, sd := p.LabelUnits(s.Fitted())
	out := make([]float64, len(margins))
	for i, m := range margins {
		out[i] = min(max(mean+sd*m, p.Target.Min), p.Target.Max)
	}
	return out
}
