package sgd

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// An epoch takes every row once, whether all are in memory together or not, in another order each time; and no more rows are in
// memory together than said.
func TestEpochTakesEveryRowOnce(t *testing.T) {
	for _, size := range []struct{ n, numbers int }{{0, 3}, {1, 3}, {255, 1 << 30}, {257, 1 << 30}, {10_000, 3}, {10_000, 2048}, {70_001, 100}} {
		o := newOrder(size.n, size.numbers)
		random := rand.New(rand.NewPCG(1, 2))
		var last []int
		for range 3 {
			var taken, group []int
			o.epoch(random, func() { group = group[:0] }, func(from, to int) {
				for i := from; i < to; i++ {
					group = append(group, i)
				}
			}, func(rows []int) {
				if len(rows) != len(group) || len(rows) > o.room() || len(rows)*size.numbers > groupSize && len(rows) > chunkRows {
					t.Fatalf("%+v: %d of %d rows together", size, len(rows), len(group))
				}
				for _, i := range rows {
					taken = append(taken, group[i])
				}
			})
			if slices.Equal(taken, last) && size.n > 1 {
				t.Errorf("%+v: twice in one order", size)
			}
			last = slices.Clone(taken)
			slices.Sort(taken)
			if len(taken) != size.n || size.n > 0 && (taken[0] != 0 || taken[size.n-1] != size.n-1 || len(slices.Compact(taken)) != size.n) {
				t.Errorf("%+v: %d rows", size, len(taken))
			}
		}
	}
}

// Rows of a file that is sorted don't stay together: a group holds chunks of all of it.
func TestGroupsMixTheFile(t *testing.T) {
	o, n := newOrder(400_000, 100), 400_000
	var chunks []int
	o.epoch(rand.New(rand.NewPCG(3, 4)), func() { chunks = chunks[:0] }, func(from, _ int) { chunks = append(chunks, from) }, func(rows []int) {
		if len(rows) < o.room() {
			return // the last group
		}
		below := 0
		for _, from := range chunks {
			if from < n/2 {
				below++
			}
		}
		// Of 163 chunks drawn from 1563; a half of them is 81.5, with a standard deviation of 6.
		if below < 45 || below > 118 {
			t.Errorf("%d of %d chunks are of the first half", below, len(chunks))
		}
	})
}
