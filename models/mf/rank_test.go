package mf

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// Metrics of one list by hand: hits at ranks 1 and 3 of a list of 4, five relevant items.
func TestMeasure(t *testing.T) {
	list := []Scored{{Item: 7}, {Item: 1}, {Item: 8}, {Item: 2}}
	got := measure(list, map[int32]bool{7: true, 8: true, 9: true, 10: true, 11: true}, 4)
	gain, ideal := 1+1/math.Log2(4), 1+1/math.Log2(3)+1/math.Log2(4)+1/math.Log2(5)
	want := measured{recall: 2.0 / 5, ndcg: gain / ideal, ap: (1 + 2.0/3) / 4}
	if math.Abs(got.recall-want.recall) > 1e-15 || math.Abs(got.ndcg-want.ndcg) > 1e-15 || math.Abs(got.ap-want.ap) > 1e-15 {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := measure(list[:1], map[int32]bool{7: true}, 4); got != (measured{1, 1, 1}) {
		t.Errorf("one hit of one: %+v", got)
	}
}

// The best k are those of a full sort.
func TestInsertEqualsSort(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		n, k := 1+random.IntN(30), 1+random.IntN(10)
		var all, top []Scored
		for _, i := range random.Perm(n) {
			s := Scored{int32(i), float64(random.IntN(5))} // with ties
			all, top = append(all, s), insert(top, k, s)
		}
		slices.SortFunc(all, func(a, b Scored) int {
			if better(a, b) {
				return -1
			}
			return 1
		})
		if want := all[:min(k, n)]; !slices.Equal(top, want) {
			t.Fatalf("%v, want %v", top, want)
		}
	}
}
