package mf_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"tributary/models/dataset"
	"tributary/models/mf"
	"tributary/models/optim"
)

// recommender trains on the first table, and recommends to its users by all of their rows.
func recommender(t *testing.T, p *optim.Program, table *dataset.Table) *mf.Recommender {
	t.Helper()
	s, _ := train(t, p, -1, table)
	all := *table
	all.HeldOut = nil
	r, err := mf.NewRecommender(p, s, &all)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRecommendationsKeepToTheChoice(t *testing.T) {
	for _, explicit := range []bool{false, true} {
		w := newWorld(40)
		table := w.table(300)
		r := recommender(t, program(t, w.items, 1, explicit), table)
		own := map[int32]bool{}
		for i, u := range table.User {
			if u == 7 {
				own[table.Columns[0].Codes[i]] = true
			}
		}
		list, err := r.For(7, mf.Choice{Top: 10})
		if err != nil || len(list) != 10 {
			t.Fatalf("%d items (%v)", len(list), err)
		}
		for i, item := range list {
			if own[item.Item] || item.Popular || i > 0 && item.Score > list[i-1].Score || r.Name(item.Item) != w.items[item.Item] {
				t.Errorf("explicit %t: %+v of %v", explicit, list, own)
			}
			if explicit && !(item.Score >= 1 && item.Score <= 5) {
				t.Errorf("a rating of %g", item.Score)
			}
		}
		again, err := r.For(7, mf.Choice{Top: 40, IncludeSeen: true, Allow: func(item int32) bool { return own[item] }})
		if err != nil || len(again) != len(own) {
			t.Errorf("explicit %t: %d of %d own items (%v)", explicit, len(again), len(own), err)
		}
		// A user without a history gets what is popular, or rated best.
		none, err := r.For(-1, mf.Choice{Top: 3})
		if err != nil || len(none) != 3 || !none[0].Popular || none[0].Score < none[1].Score {
			t.Errorf("explicit %t: %+v (%v)", explicit, none, err)
		}
	}
}

// An item that nobody has is found by its features: those who take its neighbours are recommended it.
func TestColdItemsAreRecommendedByTheirFeatures(t *testing.T) {
	for _, explicit := range []bool{false, true} {
		w := newWorld(40)
		table := w.table(500)
		// Item 0 is taken by nobody; its neighbour's users are to get it, those of the opposite are not.
		for i, code := range table.Columns[0].Codes {
			if code == 0 {
				table.Columns[0].Codes[i] = 1
			}
		}
		r := recommender(t, program(t, w.items, 1, explicit), table)
		var features []mf.ItemFeatures
		for i, name := range w.items {
			features = append(features, mf.ItemFeatures{Name: name, Features: []float64{w.taste[i][0], w.taste[i][1], 3}})
		}
		features = append(features, mf.ItemFeatures{Name: "new", Features: []float64{-1, 0, 3}})
		if err := r.UseFeatures(features); err != nil {
			t.Fatal(err)
		}
		ranks := map[string][]float64{}
		for u := range 500 {
			mean := 0.0
			for i, user := range table.User {
				if int(user) == u {
					mean += w.taste[table.Columns[0].Codes[i]][0] / 10
				}
			}
			list, err := r.For(u, mf.Choice{Top: 100})
			if err != nil {
				t.Fatal(err)
			}
			for rank, item := range list {
				if name := r.Name(item.Item); (name == "i0" || name == "new") && math.Abs(mean) > 0.5 {
					ranks[fmt.Sprint(name, mean > 0)] = append(ranks[fmt.Sprint(name, mean > 0)], float64(rank))
				}
			}
		}
		average := func(name string) float64 {
			sum := 0.0
			for _, r := range ranks[name] {
				sum += r
			}
			return sum / float64(len(ranks[name]))
		}
		if near, far := average("i0true"), average("i0false"); !(near < 12 && far > 20) {
			t.Errorf("explicit %t: the cold item has mean rank %.1f with those who'd like it, %.1f with others", explicit, near, far)
		}
		if near, far := average("newfalse"), average("newtrue"); !(near < 12 && far > 20) {
			t.Errorf("explicit %t: the new item has mean rank %.1f with those who'd like it, %.1f with others", explicit, near, far)
		}
	}
}

func TestItemFeaturesThatCantServe(t *testing.T) {
	w := newWorld(30)
	r := recommender(t, program(t, w.items, 1, false), w.table(200))
	for name, features := range map[string][]mf.ItemFeatures{
		"twice":         {{"i1", []float64{1}}, {"i1", []float64{1}}},
		"ragged":        {{"i1", []float64{1}}, {"i2", []float64{1, 2}}},
		"no learnt one": {{"new", []float64{1}}},
		"not a number":  {{"i1", []float64{math.NaN()}}},
		"no features":   {{"i1", nil}},
		"none":          nil,
	} {
		if err := r.UseFeatures(slices.Clone(features)); !errors.Is(err, mf.ErrCold) {
			t.Errorf("%s: %v", name, err)
		}
	}
	p := program(t, w.items, 1, false)
	s, _ := train(t, p, 3, w.table(200))
	if _, err := mf.NewRecommender(p, s, w.table(50)); err == nil {
		t.Error("a state in training recommends")
	}
}
