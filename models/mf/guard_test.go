package mf_test

import (
	"errors"
	"testing"

	"tributary/models/local"
	"tributary/models/mf"
)

// Few users, or a state at which few of them have a factor, would be the sum.
func TestConcentratedStateIsRefused(t *testing.T) {
	w := newWorld(40)
	many, few := w.table(300), w.table(40)
	p := program(t, w.items, 2, false)
	s, _ := train(t, p, 3, many, w.table(300))
	pairs, err := mf.Prepare(p, few)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pairs.Sums(s); !errors.Is(err, mf.ErrConcentrated) || !errors.Is(err, local.ErrConcentrated) {
		t.Errorf("40 users: %v", err)
	}
	// One item alone has a factor, and few of this participant's users have that item.
	rare := w.table(300)
	left := 0
	for i, code := range rare.Columns[0].Codes {
		if code == 0 {
			if left++; left > 5 {
				rare.Columns[0].Codes[i] = 1
			}
		}
	}
	pairs, err = mf.Prepare(p, rare)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pairs.Sums(s); err != nil {
		t.Fatalf("an honest state: %v", err)
	}
	hostile := forge(t, p, s, func(item, i int, v float64) float64 {
		if item != 0 {
			return 0
		}
		return v
	})
	if _, err := pairs.Sums(hostile); !errors.Is(err, mf.ErrConcentrated) {
		t.Errorf("one item's factor: %v", err)
	}
	// The same in one factor only, the others being everybody's.
	hostile = forge(t, p, s, func(item, i int, v float64) float64 {
		switch {
		case item == 0 && i == 3:
			return 3
		case item == 0 || i == 3:
			return 0
		}
		return v
	})
	if _, err := pairs.Sums(hostile); !errors.Is(err, mf.ErrConcentrated) {
		t.Errorf("one factor for one item: %v", err)
	}
	// The same in other coordinates, in which no factor is that item's alone: the first and the last are turned into each other.
	turned := forge(t, p, hostile, func(item, i int, v float64) float64 {
		first, last := hostile.Coefficients()[item*4], hostile.Coefficients()[item*4+3]
		switch i {
		case 0:
			return 0.6*first - 0.8*last
		case 3:
			return 0.8*first + 0.6*last
		}
		return v
	})
	if _, err := pairs.Sums(turned); !errors.Is(err, mf.ErrConcentrated) {
		t.Errorf("one direction for one item: %v", err)
	}
	// Factors at which nothing can be solved.
	hostile = forge(t, p, s, func(int, int, float64) float64 { return 1e29 })
	if _, err := pairs.Sums(hostile); err == nil {
		t.Error("factors of 1e29: no error")
	}
}
