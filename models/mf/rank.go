package mf

import (
	"cmp"
	"slices"
)

// Scored is an item with a user's predicted preference for it.
type Scored struct {
	Item  int32   // index into the catalogue
	Score float64 // implicit feedback: near 1 for what the user takes (BPR: without a unit); explicit: in half ranges above the mean rating
}

// top gives the items with the highest scores, the best first, ties by their number. Items that aren't learnt are left out, and
// those that skip names.
func (y *items) top(x []float64, k int, skip func(item int32) bool) []Scored {
	var out []Scored
	for item := range int32(y.program.Items()) {
		if !y.folded[item] && !skip(item) {
			out = insert(out, k, Scored{item, y.score(x, int(item))})
		}
	}
	return out
}

// insert keeps the best k in order.
func insert(list []Scored, k int, s Scored) []Scored {
	if len(list) == k && !better(s, list[k-1]) {
		return list
	}
	at, _ := slices.BinarySearchFunc(list, s, func(a, b Scored) int {
		if better(a, b) {
			return -1
		}
		return 1
	})
	if len(list) == k {
		list = list[:k-1]
	}
	return slices.Insert(list, at, s)
}

func better(a, b Scored) bool {
	if c := cmp.Compare(a.Score, b.Score); c != 0 {
		return c > 0
	}
	return a.Item < b.Item
}

// excluding skips the items of an ascending list. It must be asked in ascending order.
func excluding(seen []int32) func(int32) bool {
	return func(item int32) bool {
		for len(seen) > 0 && seen[0] < item {
			seen = seen[1:]
		}
		return len(seen) > 0 && seen[0] == item
	}
}
