package pipeline

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// ErrInconsistent is returned for sums that no honest rows give, and for a fitted pipeline of the wrong shape.
var ErrInconsistent = errors.New("inconsistent sums")

// Totals are the sums from which a pipeline is fitted: of one table, or opened over the cohort. Only training rows count,
// except for HeldOut.
type Totals struct {
	Rows, Positives, HeldOut int64
	Classes                  []int64 // of a label with several classes: rows of each; then Positives is 0
	LabelSum, LabelSquare    float64 // of a label that is a number: Σu, Σu², u being its place in its range; then Positives is 0

	Present []int64   // per number: rows where it isn't missing
	Sum     []float64 // per number: Σu, u = Spec.Unit(x) in [0, 1]
	Square  []float64 // per number: Σu²
	Counts  []int64   // per category column in order, but those of fitted buckets: rows

	Bins              []int64   // per feature with a sketch in order: rows by bin where it isn't missing
	BinSum, BinSquare []float64 // per number that is clamped to quantiles: Σu and Σu² by bin

	Groups []int64 // held-out rows by group, of jobs that evaluate by groups; nothing is fitted from them
}

// Fitted is what a pipeline learnt from the sum.
type Fitted struct {
	Rows, Positives, HeldOut int64
	Classes                  []int64 // as in Totals
	LabelMean, LabelSD       float64 // of a label that is a number, as a place in its range; LabelSD 0: it isn't one

	Mean, SD []float64 // per number, in units of Spec.Unit; 0 and 1 unless standardised; SD > 0
	Folded   []bool    // per output column: carries nothing (its values are 0), as Fit explains

	Bounds []float64 // per number that is clamped to quantiles: the least and the largest value, in the contract's units
	Edges  []float64 // per feature of fitted buckets: the edges between them, in the contract's units
}

// Fit derives means, population deviations and folded columns. uncertainty bounds the error of each Sum and Square (of their
// quantisation). A category column with fewer than MinCount rows folds into NAME=other; a number's missing indicator with
// fewer than MissingMinCount rows, and a standardised number whose variance can't be told from 0, are dropped (deviation 1).
func (s *Spec) Fit(t Totals, uncertainty float64) (*Fitted, error) {
	out := &Fitted{
		Rows: t.Rows, Positives: t.Positives, HeldOut: t.HeldOut, Classes: t.Classes,
		Mean: make([]float64, s.numbers), SD: make([]float64, s.numbers), Folded: make([]bool, len(s.columns)),
	}
	if err := s.checkSketches(&t, uncertainty); err != nil {
		return nil, err
	}
	s.fitSketches(out, &t)
	t = s.asFitted(out, t)
	if err := s.checkTotals(t, uncertainty); err != nil {
		return nil, err
	}
	indicator := 0
	for i, c := range s.columns {
		f, n := &s.features[c.Feature], s.number[c.Feature]
		switch {
		case f.Kind == Category:
			out.Folded[i] = c.Role != OtherRole && t.Counts[indicator] < f.MinCount
			indicator++
		case c.Role == MissingRole:
			out.Folded[i] = t.Rows-t.Present[n] < MissingMinCount
		default:
			out.SD[n] = 1
			if f.Standardize {
				out.Folded[i] = !out.standardize(n, t, s.uncertainty(c.Feature, uncertainty))
			}
		}
	}
	return out, nil
}

// standardize sets mean and deviation of a number, and tells whether it varies.
func (f *Fitted) standardize(n int, t Totals, uncertainty float64) bool {
	present := float64(t.Present[n])
	if present == 0 {
		return false
	}
	mean, variance := moments(present, t.Sum[n], t.Square[n])
	f.Mean[n] = mean
	if variance < minVariance(present, uncertainty) {
		return false
	}
	f.SD[n] = math.Sqrt(variance)
	return true
}

func moments(n, sum, square float64) (mean, variance float64) {
	mean = min(max(sum/n, 0), 1)
	return mean, square/n - float64(mean*mean)
}

// Moments are mean and population variance of values in [0, 1] by their sums, which err by the uncertainty each, and whether the
// variance can be told from 0.
func Moments(rows int64, sum, square, uncertainty float64) (mean, variance float64, varies bool, err error) {
	n := float64(rows)
	if !inUnit(n, sum, square, uncertainty) {
		return 0, 0, false, fmt.Errorf("%w: mean %g and mean square %g of its range", ErrInconsistent, sum/n, square/n)
	}
	mean, variance = moments(n, sum, square)
	return mean, variance, variance >= minVariance(n, uncertainty), nil
}

// inUnit tells whether n values in [0, 1] can have these sums: Σu² ≤ Σu ≤ n, with a slack for rounding. It is false for NaN.
func inUnit(n, sum, square, uncertainty float64) bool {
	slack := float64(2*uncertainty) + float64(n*0x1p-40)
	return square >= -slack && square <= sum+slack && sum <= n+slack
}

// minVariance is the least variance of u taken for one. Σu and Σu² err by the uncertainty q each, so the variance errs by at
// most 3q/n and the rounding of float64 sums (below 2^-50, they are compensated). Above 4q/n + 2^-48 the true variance is
// at most 1.75 times the fitted one, which Feature.exponent relies on.
func minVariance(present, uncertainty float64) float64 {
	return float64(4*uncertainty)/present + 0x1p-48
}

func (s *Spec) checkTotals(t Totals, uncertainty float64) error {
	if len(t.Present) != s.numbers || len(t.Sum) != s.numbers || len(t.Square) != s.numbers || len(t.Counts) != s.Indicators() {
		return fmt.Errorf("%w: totals have the wrong shape", ErrInconsistent)
	}
	if t.Rows < 0 || t.Positives < 0 || t.Positives > t.Rows || t.HeldOut < 0 {
		return fmt.Errorf("%w: %d rows, %d positives, %d held out", ErrInconsistent, t.Rows, t.Positives, t.HeldOut)
	}
	if err := checkClasses(t.Classes, t.Rows, t.Positives); err != nil {
		return err
	}
	counts, at := make([]int64, len(s.features)), 0
	for i, c := range s.columns {
		f, n := &s.features[c.Feature], s.number[c.Feature]
		if f.Kind == Category {
			if t.Counts[at] < 0 || t.Counts[at] > t.Rows {
				return fmt.Errorf("%w: column %q has %d of %d rows", ErrInconsistent, s.ColumnName(i), t.Counts[at], t.Rows)
			}
			counts[c.Feature] += t.Counts[at]
			at++
			continue
		}
		present, sum, square := float64(t.Present[n]), t.Sum[n], t.Square[n]
		if t.Present[n] < 0 || t.Present[n] > t.Rows || !inUnit(present, sum, square, s.uncertainty(c.Feature, uncertainty)) {
			return fmt.Errorf("%w: column %q has %d of %d rows, mean %g and mean square %g of its range", ErrInconsistent, c.Name, t.Present[n], t.Rows, sum/present, square/present)
		}
	}
	for i, f := range s.features {
		if f.Kind == Category && counts[i] != t.Rows {
			return fmt.Errorf("%w: feature %q has %d rows of %d", ErrInconsistent, f.Name, counts[i], t.Rows)
		}
	}
	return nil
}

// Check refuses a fitted pipeline that Fit can't give for this description.
func (s *Spec) Check(f *Fitted) error {
	if len(f.Mean) != s.numbers || len(f.SD) != s.numbers || len(f.Folded) != len(s.columns) {
		return fmt.Errorf("%w: the fitted pipeline has the wrong shape", ErrInconsistent)
	}
	if err := checkClasses(f.Classes, f.Rows, f.Positives); err != nil {
		return err
	}
	if f.Rows < 1 || f.Classes == nil && f.LabelSD == 0 && (f.Positives < 1 || f.Positives >= f.Rows) || f.HeldOut < 0 {
		return fmt.Errorf("%w: %d rows, %d positives, %d held out", ErrInconsistent, f.Rows, f.Positives, f.HeldOut)
	}
	if err := s.checkLearnt(f); err != nil {
		return err
	}
	for i, c := range s.columns {
		feature, n := &s.features[c.Feature], s.number[c.Feature]
		if c.Role == OtherRole && f.Folded[i] || c.Role == ValueRole && f.Folded[i] && !feature.Standardize {
			return fmt.Errorf("%w: column %q can't be folded", ErrInconsistent, s.ColumnName(i))
		}
		if c.Role != ValueRole {
			continue
		}
		mean, sd := f.Mean[n], f.SD[n]
		plain := !feature.Standardize && (mean != 0 || sd != 1)
		if !(mean >= 0 && mean <= 1) || !(sd >= 0x1p-24 && sd <= 1) || plain || f.Folded[i] && sd != 1 {
			return fmt.Errorf("%w: column %q has mean %g and deviation %g of its range", ErrInconsistent, c.Name, mean, sd)
		}
	}
	return nil
}

// Squares are Σx² of each output column over the training rows, as fitted: about those of clipped numbers, 0 of folded columns.
func (s *Spec) Squares(f *Fitted, t Totals) []float64 {
	t = s.asFitted(f, t)
	out := make([]float64, len(s.columns))
	indicator := 0
	for i, c := range s.columns {
		feature, n := &s.features[c.Feature], s.number[c.Feature]
		switch {
		case feature.Kind == Category:
			at := i
			if f.Folded[i] {
				at = s.OtherColumn(c.Feature)
			}
			out[at] += float64(t.Counts[indicator])
			indicator++
		case f.Folded[i]:
		case c.Role == MissingRole:
			out[i] = float64(t.Rows - t.Present[n])
		default:
			// x = a + b·u: Σx² follows from Σu and Σu².
			a, b := -f.Mean[n]/f.SD[n], 1/f.SD[n]
			if !feature.Standardize {
				lo, hi := s.ranges[c.Feature][0], s.ranges[c.Feature][1]
				a, b = lo, hi-lo
			}
			present := float64(t.Present[n])
			out[i] = float64(float64(a*a)*present) + float64(float64(float64(2*a)*b)*t.Sum[n]) + float64(float64(b*b)*t.Square[n])
			out[i] = max(out[i], 0)
		}
	}
	return out
}

// checkClasses holds the counts of classes, if there are any, to the rows.
func checkClasses(classes []int64, rows, positives int64) error {
	if classes == nil {
		return nil
	}
	total := int64(0)
	for i, n := range classes {
		if n < 0 || n > rows {
			return fmt.Errorf("%w: class %d has %d of %d rows", ErrInconsistent, i, n, rows)
		}
		total += n
	}
	if total != rows || positives != 0 {
		return fmt.Errorf("%w: the classes have %d rows of %d, and %d are positive", ErrInconsistent, total, rows, positives)
	}
	return nil
}

// Plain is the fitted pipeline of features that need no fitting: no number is standardised and no column folds. It knows no
// counts, and lacks bounds and edges: see FitNoised.
func (s *Spec) Plain() *Fitted {
	out := &Fitted{Mean: make([]float64, s.numbers), SD: make([]float64, s.numbers), Folded: make([]bool, len(s.columns))}
	for i := range out.SD {
		out.SD[i] = 1
	}
	return out
}

// Number is the output of a number's value column; NaN stands for a missing value and gives 0.
func (s *Spec) Number(f *Fitted, feature int, x float64) float64 {
	spec, n := &s.features[feature], s.number[feature]
	if lo, hi, ok := s.Bounds(f, feature); ok {
		x = min(max(x, lo), hi)
	}
	switch {
	case math.IsNaN(x) || f.Folded[s.first[feature]]:
		return 0
	case spec.Scale:
		return s.scaled(f, feature, x)
	case !spec.Standardize:
		return spec.Transform(x)
	}
	z := (s.Unit(feature, x) - f.Mean[n]) / f.SD[n]
	return min(max(z, -spec.Clip), spec.Clip)
}

// CategoryColumns maps a category's codes to its output columns: index code+1, so that 0 is a missing value. fitted nil maps
// as before folding.
func (s *Spec) CategoryColumns(f *Fitted, feature int) []int {
	if s.sketches[feature] != nil {
		return s.bucketColumns(f, feature)
	}
	values := s.features[feature].Codes()
	other := s.OtherColumn(feature)
	out := make([]int, values+2)
	for code := -1; code <= values; code++ {
		column := s.first[feature] + code
		if code == -1 {
			column = s.MissingColumn(feature)
		}
		if column < 0 || f != nil && f.Folded[column] {
			column = other
		}
		out[code+1] = column
	}
	return out
}

// Natural gives a number's mean and deviation in the contract's units (after log1p, where the feature asks for it): 0 and 1
// for a plain one, the middle and half the width of its range, or of its bounds, for a scaled one, or Clip deviations if that is standardised.
func (s *Spec) Natural(f *Fitted, feature int) (mean, sd float64) {
	spec, n := &s.features[feature], s.number[feature]
	lo, hi := s.ranges[feature][0], s.ranges[feature][1]
	if spec.Scale {
		return s.naturalScaled(f, feature)
	}
	if !spec.Standardize {
		return 0, 1
	}
	return lo + float64((hi-lo)*f.Mean[n]), float64((hi - lo) * f.SD[n])
}

// Encodes tells whether a pipeline encodes rows as another does.
func (f *Fitted) Encodes(g *Fitted) bool {
	return f.LabelMean == g.LabelMean && f.LabelSD == g.LabelSD && slices.Equal(f.Mean, g.Mean) && slices.Equal(f.SD, g.SD) &&
		slices.Equal(f.Folded, g.Folded) && slices.Equal(f.Bounds, g.Bounds) && slices.Equal(f.Edges, g.Edges)
}

// Equal compares two fitted pipelines.
func (f *Fitted) Equal(g *Fitted) bool {
	return f.Rows == g.Rows && f.Positives == g.Positives && f.HeldOut == g.HeldOut && slices.Equal(f.Classes, g.Classes) && f.Encodes(g)
}
