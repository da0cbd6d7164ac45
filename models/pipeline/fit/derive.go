package fit

import (
	"errors"
	"fmt"
	"math"

	"tributary/models/dataset"
	"tributary/models/pipeline"
)

// derive gives a column of numbers or dates as its feature sees it: as days, parts or buckets. Codes of fitted buckets are bins.
func derive(s *pipeline.Spec, feature int, m dataset.Memory, c *dataset.Column) (*dataset.Column, error) {
	f := &s.Features()[feature]
	if c.Numbers == nil {
		return nil, errors.New("numbers and categories mixed up\nhint: the contract's type of the column differs from the job's")
	}
	out := &dataset.Column{Name: f.Name, Numbers: c.Numbers}
	if f.Date != nil {
		if err := checkTimes(f, m, c.Numbers); err != nil {
			return nil, err
		}
		if f.Date.Part != pipeline.Days {
			return derived(f, m, c.Numbers, f.Date.Codes())
		}
		days, err := each(m, c.Numbers, f.Date.Numbers())
		if err != nil {
			return nil, err
		}
		out.Numbers = days
	}
	if err := checkNumbers(f, m, out.Numbers); err != nil {
		return nil, err
	}
	if f.Buckets == nil {
		return out, nil
	}
	return derived(f, m, out.Numbers, func(x float64) int32 { return s.Code(feature, x) })
}

func checkTimes(f *pipeline.Feature, m dataset.Memory, times []float64) error {
	lo, hi := f.Date.Range()
	for from, run := range dataset.Runs(m, times) {
		for i, x := range run {
			switch {
			case math.IsNaN(x) && !f.Nullable:
				return fmt.Errorf("row %d: missing value"+nullHint, from+i+1)
			case x < lo || x > hi || math.Floor(x) != x && x == x:
				return fmt.Errorf("row %d: a time outside %s..%s\nhint: widen the contract's range, or let the contract clip", from+i+1, f.Date.First, f.Date.Last)
			}
		}
	}
	return nil
}

// derived is the column of a feature whose codes numbers have.
func derived(f *pipeline.Feature, m dataset.Memory, numbers []float64, code func(float64) int32) (*dataset.Column, error) {
	codes, err := each(m, numbers, code)
	return &dataset.Column{Name: f.Name, Codes: codes, Values: f.Values}, err
}

// each takes a function to each number.
func each[T dataset.Value](m dataset.Memory, numbers []float64, f func(float64) T) ([]T, error) {
	out := dataset.Build[T](m, len(numbers)).Grow(len(numbers))
	for _, run := range dataset.Runs(m, numbers) {
		for _, x := range run {
			out.Append(f(x))
		}
	}
	return out.Freeze()
}

// sketch appends what a feature's quantiles are fitted from: rows, and of numbers their sums, in groups.
func sketch(s *pipeline.Spec, feature int, t *dataset.Table, c *dataset.Column, out *pipeline.Totals) {
	k := s.SketchOf(feature)
	bins := make([]int64, k.Bins())
	if c.Codes != nil {
		for from, run := range dataset.Runs(t.Memory, c.Codes) {
			for i, code := range run {
				if !t.Held(from+i) && code >= 0 {
					bins[code]++
				}
			}
		}
		out.Bins = append(out.Bins, grouped(bins, pipeline.Group(bins))...)
		return
	}
	first, second := make([]compensated, len(bins)), make([]compensated, len(bins))
	for from, run := range dataset.Runs(t.Memory, c.Numbers) {
		for i, x := range run {
			if t.Held(from+i) || math.IsNaN(x) {
				continue
			}
			at, u := k.Bin(x), s.Unit(feature, x)
			bins[at]++
			first[at].add(u)
			second[at].add(u * u)
		}
	}
	sums, squares := make([]float64, len(bins)), make([]float64, len(bins))
	for i := range bins {
		sums[i], squares[i] = first[i].total(), second[i].total()
	}
	groups := pipeline.Group(bins)
	out.Bins = append(out.Bins, grouped(bins, groups)...)
	out.BinSum, out.BinSquare = append(out.BinSum, grouped(sums, groups)...), append(out.BinSquare, grouped(squares, groups)...)
}

// grouped counts each bin's values in the bin of its group.
func grouped[T int64 | float64](values []T, groups []int) []T {
	out := make([]T, len(values))
	for i, v := range values {
		out[groups[i]] += v
	}
	return out
}
