package cli

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// buckets are the encoded columns of an open category or a cross in an exported model.
type buckets struct {
	Count        int       `json:"count"`
	Kept         []int     `json:"kept"`
	Coefficients []float64 `json:"coefficients"` // of each as many as there are classes, one without
	Tests        []*wald   `json:"tests"`
}

// mostBuckets is how many of a column are shown on a terminal.
const mostBuckets = 20

// bucket is one that is shown.
type bucket struct {
	name         string
	coefficients []float64
	test         *wald
}

// largest gives the buckets with the largest coefficients, in the order of their numbers, and what to say of the others.
func (b *buckets) largest(feature string) (shown []bucket, rest string) {
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
		one := bucket{fmt.Sprintf("%s#%d", feature, b.Kept[i]), b.Coefficients[i*per : (i+1)*per], nil}
		if len(b.Tests) == n {
			one.test = b.Tests[i]
		}
		shown = append(shown, one)
	}
	if n > len(order) || n < b.Count {
		rest = fmt.Sprintf("%s: %d of %d buckets, %d shown, %d too rare", feature, n, b.Count, len(order), b.Count-n)
	}
	return shown, rest
}
