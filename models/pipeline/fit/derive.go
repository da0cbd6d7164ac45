package fit

import (
	"errors"
	"fmt"
	"math"

	"tributary/models/dataset"
	"tributary/models/pipeline"
)

// derive gives a column of numbers or dates as its feature sees it: as days, parts or buckets. Codes of fitted buckets are bins.
func derive(s *pipeline.Spec, feature int, c *dataset.Column) (*dataset.Column, error) {
	f := &s.Features()[feature]
	if c.Numbers == nil {
		return nil, errors.New("numbers and categories mixed up\nhint: the contract's type of the column differs from the job's")
	}
	numbers := c.Numbers
	if f.Date != nil {
		lo, hi := f.Date.Range()
		for i, x := range numbers {
			switch {
			case math.IsNaN(x) && !f.Nullable:
				return nil, fmt.Errorf("row %d: missing value"+nullHint, i+1)
			case x < lo || x > hi || math.Floor(x) != x && x == x:
				return nil, fmt.Errorf("row %d: a time outside %s..%s\nhint: widen the contract's range, or let the contract clip", i+1, f.Date.First, f.Date.Last)
			}
		}
		if f.Date.Part != pipeline.Days {
			return &dataset.Column{Name: f.Name, Codes: codes(numbers, f.Date.Codes()), Values: f.Values}, nil
		}
		days := f.Date.Numbers()
		numbers = make([]float64, len(c.Numbers))
		for i, x := range c.Numbers {
			numbers[i] = days(x)
		}
	}
	if err := checkNumbers(f, numbers); err != nil {
		return nil, err
	}
	if f.Buckets == nil {
		return &dataset.Column{Name: f.Name, Numbers: numbers}, nil
	}
	return &dataset.Column{Name: f.Name, Codes: codes(numbers, func(x float64) int32 { return s.Code(feature, x) }), Values: f.Values}, nil
}

func codes(numbers []float64, code func(float64) int32) []int32 {
	out := make([]int32, len(numbers))
	for i, x := range numbers {
		out[i] = code(x)
	}
	return out
}

// sketch appends what a feature's quantiles are fitted from: rows, and of numbers their sums, in groups.
func sketch(s *pipeline.Spec, feature int, t *dataset.Table, c *dataset.Column, out *pipeline.Totals) {
	k := s.SketchOf(feature)
	bins := make([]int64, k.Bins())
	if c.Codes != nil {
		for i, code := range c.Codes {
			if !t.Held(i) && code >= 0 {
				bins[code]++
			}
		}
		out.Bins = append(out.Bins, grouped(bins, pipeline.Group(bins))...)
		return
	}
	first, second := make([]compensated, len(bins)), make([]compensated, len(bins))
	for i, x := range c.Numbers {
		if t.Held(i) || math.IsNaN(x) {
			continue
		}
		at, u := k.Bin(x), s.Unit(feature, x)
		bins[at]++
		first[at].add(u)
		second[at].add(u * u)
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
