// Package fit takes a pipeline to the rows of one participant: it checks that a table is what the pipeline's contract says, and
// sums what the pipeline is fitted from. Its sums are raw: they leave only through a sealed upload.
package fit

import (
	"errors"
	"fmt"
	"math"

	"tributary/models/dataset"
	"tributary/models/pipeline"
)

// ErrTable is wrapped by errors about a table that the pipeline can't read. The message names column and row, never a value.
var ErrTable = errors.New("table doesn't fit the job")

// Bind finds the table's column of each feature, and checks kinds, values, ranges and missing values. Rows are numbered from 1.
func Bind(s *pipeline.Spec, t *dataset.Table) ([]*dataset.Column, error) {
	if err := t.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTable, err)
	}
	if !t.Labelled() && t.Rows > 0 {
		return nil, fmt.Errorf("%w: no labels\nhint: the contract has none; its jobs recommend", ErrTable)
	}
	return Columns(s, t)
}

// Columns is Bind for rows without labels. The table must be valid.
func Columns(s *pipeline.Spec, t *dataset.Table) ([]*dataset.Column, error) {
	var out []*dataset.Column
	for i := range s.Features() {
		f := &s.Features()[i]
		if f.Cross != nil {
			crossed, err := cross(s, i, t.Memory, out)
			if err != nil {
				return nil, err
			}
			out = append(out, crossed)
			continue
		}
		c, ok := t.Column(f.Input())
		if !ok {
			return nil, fmt.Errorf("%w: no column %q\nhint: add it to the binding's columns", ErrTable, f.Input())
		}
		if f.Date != nil || f.Buckets != nil {
			derived, err := derive(s, i, t.Memory, c)
			if err != nil {
				return nil, fmt.Errorf("%w: column %q: %w", ErrTable, f.Input(), err)
			}
			out = append(out, derived)
			continue
		}
		if err := check(f, c, t.Memory); err != nil {
			return nil, fmt.Errorf("%w: column %q: %w", ErrTable, f.Name, err)
		}
		out = append(out, c)
	}
	return out, nil
}

func check(f *pipeline.Feature, c *dataset.Column, m dataset.Memory) error {
	if (f.Kind == pipeline.Number) != (c.Numbers != nil) {
		return errors.New("numbers and categories mixed up\nhint: the contract's type of the column differs from the job's")
	}
	if f.Kind == pipeline.Number {
		return checkNumbers(f, m, c.Numbers)
	}
	if c.Buckets != f.HashBuckets {
		return fmt.Errorf("%d hash buckets, the job has %d\nhint: the contract differs from the job's", c.Buckets, f.HashBuckets)
	}
	if len(c.Values) != len(f.Values) {
		return fmt.Errorf("%d values, the job has %d\nhint: the contract differs from the job's", len(c.Values), len(f.Values))
	}
	for i, v := range f.Values {
		if c.Values[i] != v {
			return fmt.Errorf("value %d is %q, the job has %q\nhint: the contract differs from the job's", i, c.Values[i], v)
		}
	}
	if f.Nullable {
		return nil
	}
	for from, codes := range dataset.Runs(m, c.Codes) {
		for i, code := range codes {
			if code == dataset.Missing {
				return fmt.Errorf("row %d: missing value"+nullHint, from+i+1)
			}
		}
	}
	return nil
}

const nullHint = "\nhint: declare the column nullable in the contract, or fill or filter such rows"

func checkNumbers(f *pipeline.Feature, m dataset.Memory, all []float64) error {
	for from, numbers := range dataset.Runs(m, all) {
		for i, x := range numbers {
			if math.IsNaN(x) && !f.Nullable {
				return fmt.Errorf("row %d: missing value"+nullHint, from+i+1)
			}
			if x < f.Min || x > f.Max {
				return fmt.Errorf("row %d: a number outside %g..%g\nhint: widen the contract's range, or let the contract clip", from+i+1, f.Min, f.Max)
			}
		}
	}
	return nil
}

// Sums gives the totals of one table.
func Sums(s *pipeline.Spec, t *dataset.Table) (pipeline.Totals, error) {
	columns, err := Bind(s, t)
	if err != nil {
		return pipeline.Totals{}, err
	}
	return Totals(s, t, columns), nil
}

// Totals is Sums of a table that was bound already, and whose columns are those of Bind.
func Totals(s *pipeline.Spec, t *dataset.Table, columns []*dataset.Column) pipeline.Totals {
	n := s.Numbers()
	out := pipeline.Totals{Present: make([]int64, n), Sum: make([]float64, n), Square: make([]float64, n)}
	if t.Class != nil {
		out.Classes = make([]int64, len(t.Classes))
	}
	for from, labels := range dataset.Runs(t.Memory, t.Label) {
		for i, positive := range labels {
			if positive && !t.Held(from+i) {
				out.Positives++
			}
		}
	}
	for from, classes := range dataset.Runs(t.Memory, t.Class) {
		for i, class := range classes {
			if !t.Held(from + i) {
				out.Classes[class]++
			}
		}
	}
	for _, held := range dataset.Runs(t.Memory, t.HeldOut) {
		for _, h := range held {
			if h {
				out.HeldOut++
			}
		}
	}
	out.Rows = int64(t.Rows) - out.HeldOut
	for i, c := range columns {
		if s.SketchOf(i) != nil {
			sketch(s, i, t, c, &out)
			if c.Codes != nil {
				continue
			}
		}
		if c.Numbers != nil {
			at := s.NumberIndex(i)
			out.Present[at], out.Sum[at], out.Square[at] = number(s, i, t, c.Numbers)
			continue
		}
		out.Counts = append(out.Counts, category(s, i, t, c.Codes)...)
	}
	return out
}

// Target gives Σu and Σu² of the training rows' labels, u being a label's place in its range.
func Target(t *dataset.Table, unit func(y float64) float64) (sum, square float64) {
	var first, second compensated
	for from, labels := range dataset.Runs(t.Memory, t.Target) {
		for i, y := range labels {
			if !t.Held(from + i) {
				u := unit(y)
				first.add(u)
				second.add(u * u)
			}
		}
	}
	return first.total(), second.total()
}

func number(s *pipeline.Spec, feature int, t *dataset.Table, values []float64) (present int64, sum, square float64) {
	var first, second compensated
	for from, run := range dataset.Runs(t.Memory, values) {
		for i, x := range run {
			if t.Held(from+i) || math.IsNaN(x) {
				continue
			}
			u := s.Unit(feature, x)
			present++
			first.add(u)
			second.add(u * u)
		}
		t.Done(from, from+len(run))
	}
	return present, first.total(), second.total()
}

func category(s *pipeline.Spec, feature int, t *dataset.Table, codes []int32) []int64 {
	f := &s.Features()[feature]
	columns := s.CategoryColumns(nil, feature)
	size := f.Codes() + 1
	if f.MissingIndicator {
		size++
	}
	out := make([]int64, size)
	for from, run := range dataset.Runs(t.Memory, codes) {
		for i, code := range run {
			if !t.Held(from + i) {
				out[columns[code+1]-s.FirstColumn(feature)]++
			}
		}
		t.Done(from, from+len(run))
	}
	return out
}

// compensated is Neumaier's summation: variances are differences of such sums, and lose what naive sums of a million terms lack.
type compensated struct{ sum, lost float64 }

func (c *compensated) add(x float64) {
	t := c.sum + x
	if math.Abs(c.sum) >= math.Abs(x) {
		c.lost += (c.sum - t) + x
	} else {
		c.lost += (x - t) + c.sum
	}
	c.sum = t
}

func (c *compensated) total() float64 { return max(c.sum+c.lost, 0) }
