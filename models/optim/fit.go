package optim

import (
	"errors"
	"fmt"
	"math"

	"tributary/models/pipeline"
)

// ErrNoRows is returned by Apply when the cohort has no training rows.
var ErrNoRows = errors.New("no training rows")

// ErrOneClass is returned by Apply when all training rows have one label: no model can be fitted.
var ErrOneClass = errors.New("one class only")

// EncodeFit gives a participant's FIT totals as the segments of Layout(Fit). Sums of values in [0, 1] are split into a whole
// number and the rest: normalised by max_rows alone, a small cohort's variances would drown in the quantisation.
func (p *Program) EncodeFit(t pipeline.Totals) [][]float64 {
	sumWhole, sumPart := parts(t.Sum)
	squareWhole, squarePart := parts(t.Square)
	labelSum, labelSumPart := parts([]float64{t.LabelSum})
	labelSquare, labelSquarePart := parts([]float64{t.LabelSquare})
	values := map[string][]float64{
		segRows: one(t.Rows), segPositives: one(t.Positives), segClasses: floats(t.Classes), segHeldOut: one(t.HeldOut),
		segPresent:  floats(t.Present),
		segSumWhole: sumWhole, segSumPart: sumPart, segSquareWhole: squareWhole, segSquarePart: squarePart,
		segTargetSumWhole: labelSum, segTargetSumPart: labelSumPart, segTargetSquareWhole: labelSquare, segTargetSquarePart: labelSquarePart,
		segCategories: floats(t.Counts), segGroupRows: floats(t.Groups),
	}
	encodeSketches(values, t)
	return p.assemble(Fit, values)
}

func parts(values []float64) (whole, part []float64) {
	for _, v := range values {
		w := math.Floor(v)
		whole = append(whole, w)
		part = append(part, v-w)
	}
	return whole, part
}

func join(whole, part []float64) []float64 {
	out := make([]float64, len(whole))
	for i := range whole {
		out[i] = whole[i] + part[i]
	}
	return out
}

// totals are what a FIT sum says of training rows and features.
func totals(v map[string][]float64) pipeline.Totals {
	t := pipeline.Totals{
		Rows: int64(v[segRows][0]), Present: counts(v[segPresent]),
		Sum: join(v[segSumWhole], v[segSumPart]), Square: join(v[segSquareWhole], v[segSquarePart]),
		Counts: counts(v[segCategories]),
	}
	decodeSketches(v, &t)
	return t
}

func (p *Program) applyFit(s *State, v map[string][]float64) (*State, Report, error) {
	t := totals(v)
	t.HeldOut = int64(v[segHeldOut][0])
	switch {
	case p.Target != nil:
		t.LabelSum = v[segTargetSumWhole][0] + v[segTargetSumPart][0]
		t.LabelSquare = v[segTargetSquareWhole][0] + v[segTargetSquarePart][0]
	case p.Label != nil:
		t.Classes = counts(v[segClasses])
	default:
		t.Positives = int64(v[segPositives][0])
	}
	switch {
	case t.Rows == 0:
		return nil, Report{}, fmt.Errorf("%w: the cohort has %d held-out rows and nothing to train on\nhint: check the bindings' filters and the split column", ErrNoRows, t.HeldOut)
	case p.Label != nil:
		if err := p.checkClasses(t.Classes); err != nil {
			return nil, Report{}, err
		}
	case p.Target != nil:
	case t.Rows > 0 && t.Positives == 0:
		return nil, Report{}, fmt.Errorf("%w: all %d training rows have the negative label\nhint: check the label's mapping in the bindings", ErrOneClass, t.Rows)
	case t.Rows > 0 && t.Positives == t.Rows:
		return nil, Report{}, fmt.Errorf("%w: all %d training rows have the positive label\nhint: check the label's mapping in the bindings", ErrOneClass, t.Rows)
	}
	if !p.Evaluate.HoldOut && t.HeldOut != 0 {
		return nil, Report{}, fmt.Errorf("%w: %d held-out rows in a job without hold-out", ErrSums, t.HeldOut)
	}
	fitted, err := p.spec.Fit(t, p.unit())
	if err != nil {
		return nil, Report{}, fmt.Errorf("%w: %w", ErrSums, err)
	}
	if p.Target != nil {
		if err := p.fitTarget(t, fitted); err != nil {
			return nil, Report{}, err
		}
	}
	if err := p.checkWatch(t.HeldOut); err != nil {
		return nil, Report{}, err
	}
	groups := counts(v[segGroupRows])
	if err := p.checkGroups(groups, t.HeldOut); err != nil {
		return nil, Report{}, err
	}
	next := s.advance(Train)
	next.groups = groups
	next.fitted, next.w = fitted, p.startingPoint(fitted)
	if err := p.checkStarted(fitted, next.w); err != nil {
		return nil, Report{}, fmt.Errorf("%w: %w\nhint: leave warm_start out", ErrDiverged, err)
	}
	folded := 0
	for _, f := range fitted.Folded {
		if f {
			folded++
		}
	}
	labels := fmt.Sprintf("%d positive", t.Positives)
	switch {
	case p.Target != nil:
		mean, sd := p.LabelUnits(fitted)
		labels = fmt.Sprintf("label %.6g ± %.6g", mean, sd)
	case p.Label != nil:
		labels = fmt.Sprintf("%d classes", p.blocks())
	}
	note := fmt.Sprintf("%d training rows, %s, %d held out; %d rare or constant columns folded", t.Rows, labels, t.HeldOut, folded)
	return next, Report{Kind: Fit, Step: next.step, Rows: t.Rows, Note: note}, nil
}
