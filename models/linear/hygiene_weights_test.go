package linear_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"tributary/models/dataset"
	"tributary/models/linear"
	"tributary/models/optim"
)

// Rows of weight 0 are as if they weren't there; a participant, or a class, that weighs nothing at all is told.
func TestWeightsOfZero(t *testing.T) {
	table, _ := plain(4_000, 107)
	weight := make([]float64, table.Rows)
	var kept []int
	for i := range weight {
		if weight[i] = float64(i / 4 % 2); weight[i] > 0 || table.Held(i) {
			kept = append(kept, i)
		}
	}
	solvers(t, func(t *testing.T, j job) {
		j.features, j.l2 = rawJob(4).features, 1
		without, _ := train(t, j.program(t), split(pick(table, kept), 4))
		j.weighting = map[string]any{"weight": rangeOf("weight", 0, 1)}
		with, _ := train(t, j.program(t), split(withNumbers(table, "weight", weight), 4))
		a, _ := with.Metrics()
		b, _ := without.Metrics()
		if !with.Converged() || relative(a.Objective, b.Objective) > 1e-7 {
			t.Errorf("converged %t, objective %.9f, without the rows %.9f", with.Converged(), a.Objective, b.Objective)
		}
		parties := split(withNumbers(table, "weight", weight), 4)
		column, _ := parties[2].Column("weight")
		clear(column.Numbers)
		if _, _, err := try(t, j.program(t), parties); err == nil || !strings.Contains(err.Error(), "weight 0") {
			t.Errorf("a participant without weight: %v", err)
		}
		// All weight on one class: the intercept runs away, and training doesn't claim to have converged to anything.
		negatives := make([]float64, table.Rows)
		for i, y := range table.Label {
			if !y {
				negatives[i] = 1
			}
		}
		s, reports, err := try(t, j.program(t), split(withNumbers(table, "weight", negatives), 4))
		t.Logf("one class has all weight: %v after %d rounds", err, len(reports))
		switch {
		case err != nil:
			if !errors.Is(err, linear.ErrConcentrated) && !errors.Is(err, optim.ErrDiverged) || !strings.Contains(err.Error(), "hint:") {
				t.Error(err)
			}
		case s.Converged():
			t.Errorf("converged to %v", s.Coefficients())
		}
	})
}

// Columns a million times as large as others, standardised or not, give the model that they give in other units.
func TestMillionfoldScales(t *testing.T) {
	r := rand.New(rand.NewPCG(108, 1))
	const n = 4_000
	small, large, label, held := make([]float64, n), make([]float64, n), make([]bool, n), make([]bool, n)
	for i := range n {
		small[i], large[i] = r.Float64()*1e-3, r.Float64()*1e3
		label[i] = r.Float64() < 1/(1+math.Exp(1-3*small[i]*1e3-2*(large[i]*1e-3-0.5)))
		held[i] = i%5 == 4
	}
	table := &dataset.Table{Rows: n, Label: label, HeldOut: held, Columns: []dataset.Column{{Name: "small", Numbers: small}, {Name: "large", Numbers: large}}}
	want := newPooled(table, 0).solve()
	solvers(t, func(t *testing.T, j job) {
		for _, standardize := range []bool{true, false} {
			j.features = []feature{number("small", 0, 1e-3).with("standardize", standardize), number("large", 0, 1e3).with("standardize", standardize)}
			s, reports := train(t, j.program(t), split(table, 4))
			m, _ := s.Metrics()
			t.Logf("standardize %t: %d rounds, objective %.9f, want %.9f", standardize, count(reports, optim.Train), m.Objective, want)
			if !s.Converged() || relative(m.Objective, want) > 1e-7 {
				t.Errorf("standardize %t: converged %t, objective %.9f, want %.9f", standardize, s.Converged(), m.Objective, want)
			}
			if !standardize {
				if b := s.Coefficients(); math.Abs(b[0]/3e3-1) > 0.2 || math.Abs(b[1]/2e-3-1) > 0.2 {
					t.Errorf("coefficients %g and %g, the rows were made with 3000 and 0.002", b[0], b[1])
				}
			}
		}
	})
}
