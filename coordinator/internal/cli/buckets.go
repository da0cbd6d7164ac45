package cli

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// buckets are the encoded columns of an open category or a cross in an exported model.
type buckets struct {
	Count        int       `json:"count"`
	Cross        []string  `json:"cross"`
	Kept         []int     `json:"kept"`
	Coefficients []float64 `json:"coefficients"` // of each as many as there are classes, one without
	Tests        []*wald   `json:"tests"`        // of each coefficient
}

// mostBuckets is how many of a column are shown on a terminal.
const mostBuckets = 20

// bucket gives the i-th kept one.
func (m *exported) bucket(b *buckets, feature string, i int) byClass {
	per := len(b.Coefficients) / len(b.Kept)
	one := byClass{fmt.Sprintf("%s#%d%s", feature, b.Kept[i], m.cell(b, b.Kept[i])), b.Coefficients[i*per : (i+1)*per], nil}
	if len(b.Tests) == len(b.Coefficients) {
		one.tests = b.Tests[i*per : (i+1)*per]
	}
	return one
}

// largest gives the buckets with the largest coefficients, in the order of their numbers, and what to say of the others.
func (m *exported) largest(b *buckets, feature string) (shown []byClass, rest string) {
	n := len(b.Kept)
	if n == 0 {
		return nil, fmt.Sprintf("all %d of %s are too rare: folded into other", b.Count, feature)
	}
	per := len(b.Coefficients) / n
	size := func(i int) (out float64) {
		for _, w := range b.Coefficients[i*per : (i+1)*per] {
			out = max(out, math.Abs(w))
		}
		return out
	}
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(size(j), size(i)) })
	order = order[:min(n, mostBuckets)]
	slices.Sort(order)
	for _, i := range order {
		shown = append(shown, m.bucket(b, feature, i))
	}
	if n > len(order) || n < b.Count {
		rest = fmt.Sprintf("%s: %d of %d buckets, %d shown, %d too rare", feature, n, b.Count, len(order), b.Count-n)
	}
	return shown, rest
}

// cell is what a number of a cross stands for, such as " (FR × phone)" or " (18<=age<30 × monday)"; "" if it can't be told.
func (m *exported) cell(b *buckets, number int) string {
	levels := make([][]string, len(b.Cross))
	product := 1
	for i, feature := range b.Cross {
		var rest []string // what else a value may be
		for _, c := range m.Columns {
			switch {
			case c.Feature != feature:
			case c.Role == "value":
				levels[i] = append(levels[i], c.Value)
			case c.Role == "bucket":
				levels[i] = append(levels[i], c.Name)
			case c.Role == "other":
				if c.Date == nil && c.Range == nil { // every date has its part, every number its bucket
					rest = append(rest, "other")
				}
				if c.Nullable {
					rest = append(rest, "missing")
				}
			}
		}
		if len(levels[i]) == 0 {
			return ""
		}
		levels[i] = append(levels[i], rest...)
		product *= len(levels[i])
	}
	if product != b.Count || len(levels) == 0 {
		return ""
	}
	parts := make([]string, len(levels))
	for i := len(levels) - 1; i >= 0; i-- {
		parts[i] = levels[i][number%len(levels[i])]
		number /= len(levels[i])
	}
	return " (" + strings.Join(parts, " × ") + ")"
}
