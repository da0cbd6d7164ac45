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
	for i, y := range t.Target {
		if !(y >= p.Target.Min && y <= p.Target.Max) {
			return fmt.Errorf("%w: the label: row %d: a number outside %g..%g\nhint: widen the contract's range, or let the contract clip", fit.ErrTable, i+1, p.Target.Min, p.Target.Max)
		}
	}
	return nil
}

// labels gives the kept rows theirs.
func (d *Design) labels(out *rows, t *dataset.Table, kept []int) {
	for _, i := range kept {
		switch {
		case t.Class != nil:
			out.class = append(out.class, t.Class[i])
		case d.program.Target != nil:
			out.target = append(out.target, d.program.Standardised(d.fitted, t.Target[i]))
		default:
			out.label = append(out.label, t.Label[i])
		}
	}
}

// Targets are the encoded rows' labels of one kind, training or held out, in deviations from the label's mean; nil unless they are
// numbers.
func (d *Design) Targets(held bool) []float64 {
	if held {
		return d.held.target
	}
	return d.train.target
}

// squaredLoss is Σ ½·(margin-t)², times the rows' weights.
func (s *scored) squaredLoss(r *rows) float64 {
	return sum(r.n, func(from, to int) float64 {
		total := 0.0
		for i := from; i < to; i++ {
			e := s.margin[i] - r.target[i]
			total += r.weightOf(i) * (e * e / 2)
		}
		return total
	})
}

// ResidualConcentration is Concentration of residuals, which are what weighs a row in a gradient. Where all are zero, so is the
// gradient: it tells nothing of anyone.
func ResidualConcentration(residuals []float64) error {
	if len(residuals) < MinEffectiveRows {
		return Concentration(residuals)
	}
	for _, r := range residuals {
		if r != 0 {
			if err := Concentration(residuals); err != nil {
				return fmt.Errorf("%w; of a label with few extreme values, lower its max in the contract, with outside: clip", err)
			}
			return nil
		}
	}
	return nil
}

// evaluateTarget sums the held-out rows at their predicted margins.
func (d *Design) evaluateTarget(loss float64, margins []float64) optim.EvaluateSums {
	out := optim.EvaluateSums{Rows: int64(d.train.n), Loss: loss, HeldOut: int64(d.held.n)}
	t := optim.TargetSums{Rows: make([]int64, optim.TargetBins), Predicted: make([]float64, optim.TargetBins), Labels: make([]float64, optim.TargetBins)}
	for i, y := range d.held.target {
		predicted := d.program.Predicted(d.fitted, margins[i])
		e := predicted - y
		t.SquaredError += e * e
		t.AbsoluteError += math.Abs(e)
		t.Sum += y
		t.Square += y * y
		bin := optim.TargetBin(predicted)
		t.Rows[bin]++
		t.Predicted[bin] += predicted
		t.Labels[bin] += y
	}
	out.Target = t
	return out
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
