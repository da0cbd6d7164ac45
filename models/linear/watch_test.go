package linear_test

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"tributary/models/dataset"
	"tributary/models/optim"
)

// noisy has few training rows and many columns that mean nothing: without a penalty, a model learns them by heart.
func noisy(rows int, seed uint64) (*dataset.Table, []feature) {
	r := rand.New(rand.NewPCG(seed, 2))
	table := &dataset.Table{Rows: rows, Label: make([]bool, rows), HeldOut: make([]bool, rows)}
	var features []feature
	for c := range 40 {
		column := dataset.Column{Name: string(rune('a'+c/26)) + string(rune('a'+c%26)), Numbers: make([]float64, rows)}
		for i := range column.Numbers {
			column.Numbers[i] = r.Float64()
		}
		table.Columns = append(table.Columns, column)
		features = append(features, number(column.Name, 0, 1))
	}
	for i := range rows {
		table.Label[i] = r.Float64() < 0.1+0.8*table.Columns[0].Numbers[i]
		table.HeldOut[i] = r.Float64() < 0.5
	}
	return table, features
}

// A watched training ends at the coefficients whose held-out loss was least, which no round more was spent on, and not at the optimum of
// rows that it has learnt by heart.
func TestWatchedTrainingKeepsTheBestRound(t *testing.T) {
	table, features := noisy(800, 81)
	for _, solver := range []string{optim.Newton, optim.LBFGS} {
		j := job{contributors: 4, bits: 40, maxRows: 5_000_000, maxRounds: 60, features: features, tolerance: 1e-10, holdout: true, solver: solver}
		free, _ := train(t, j.program(t), split(table, 4))
		j.patience = 2
		watched, reports := train(t, j.program(t), split(table, 4))
		a, _ := free.Metrics()
		b, _ := watched.Metrics()
		t.Logf("%s: held-out loss %.5f after %d rounds, watched %.5f after %d", solver, a.LogLoss.V, free.TrainRounds(), b.LogLoss.V, watched.TrainRounds())
		if !(b.LogLoss.V < a.LogLoss.V-0.005) {
			t.Errorf("%s: the held-out loss is %g, %g without watching", solver, b.LogLoss.V, a.LogLoss.V)
		}
		if watched.Converged() || watched.TrainRounds() > free.TrainRounds() {
			t.Errorf("%s: converged %t after %d rounds, %d without watching", solver, watched.Converged(), watched.TrainRounds(), free.TrainRounds())
		}
		// What EVALUATE opens at the exported coefficients is the least loss that a round told of.
		least := ""
		for _, r := range reports {
			note, found := strings.CutPrefix(r.Note, "held-out log loss ")
			if note, _, _ = strings.Cut(note, ":"); found && (least == "" || note < least) {
				least, _, _ = strings.Cut(note, ";")
			}
		}
		if told := formatLoss(b.LogLoss.V); told != least {
			t.Errorf("%s: the model's held-out loss is %s, the least watched one %s", solver, told, least)
		}
		if _, ok := watched.Inference(0); ok {
			t.Errorf("%s: errors of coefficients that aren't an optimum's", solver)
		}
	}
}

// Where the held-out loss falls to the end, watching changes nothing: the model is the optimum, and has its errors.
func TestWatchedTrainingConverges(t *testing.T) {
	table, _ := plain(4_000, 82)
	table.Columns = append(table.Columns[:1:1], table.Columns[3])
	for _, solver := range []string{optim.Newton, optim.LBFGS} {
		j := job{contributors: 3, bits: 40, maxRows: 5_000_000, maxRounds: 60, features: []feature{number("age", 0, 110), number("raw", -3, 5)}, l2: 1, tolerance: 1e-3, holdout: true, solver: solver,
			patience: 3, standardErrors: solver == optim.LBFGS}
		s, _ := train(t, j.program(t), split(table, 3))
		m, _ := s.Metrics()
		if want := newPooled(table, 1).solve(); !s.Converged() || relative(m.Objective, want) > 2e-3 {
			t.Errorf("%s: converged %t, objective %.9f, want %.9f", solver, s.Converged(), m.Objective, want)
		}
		if _, ok := s.Inference(0); !ok {
			t.Errorf("%s: no standard errors", solver)
		}
	}
}

// Nothing to watch is an error, not a model that was stopped by it.
func TestNothingToWatchStopsTheJob(t *testing.T) {
	table, features := plain(1_000, 83)
	table.HeldOut = make([]bool, table.Rows)
	for _, solver := range []string{optim.Newton, optim.LBFGS} {
		j := job{contributors: 2, bits: 40, maxRows: 5_000_000, maxRounds: 5, features: features, l2: 1, tolerance: 1e-10, holdout: true, solver: solver, patience: 1}
		if _, _, err := try(t, j.program(t), split(table, 2)); !errors.Is(err, optim.ErrNoRows) || !strings.Contains(err.Error(), "hint:") {
			t.Errorf("%s: %v", solver, err)
		}
	}
}

func TestWatchedClasses(t *testing.T) {
	table, features := noisy(900, 84)
	table.Classes, table.Class = []string{"low", "middle", "high"}, make([]int32, table.Rows)
	for i, y := range table.Label {
		if table.Class[i] = int32(i / 2 % 2); y {
			table.Class[i] = 2
		}
	}
	table.Label = nil
	free, _ := train(t, classDocumentJob(t, features, 3, nil), split(table, 3))
	watched, _ := train(t, classDocumentJob(t, features, 3, map[string]any{"patience": 2}), split(table, 3))
	a, _ := free.Metrics()
	b, _ := watched.Metrics()
	t.Logf("held-out loss %.5f after %d rounds, watched %.5f after %d", a.LogLoss.V, free.TrainRounds(), b.LogLoss.V, watched.TrainRounds())
	if !(b.LogLoss.V < a.LogLoss.V-0.005) || watched.Converged() {
		t.Errorf("the held-out loss is %g, %g without watching, converged %t", b.LogLoss.V, a.LogLoss.V, watched.Converged())
	}
}

func formatLoss(v float64) string {
	text, _ := json.Marshal(float64(int64(v*1e5+0.5)) / 1e5)
	return (string(text) + "00000")[:7]
}

// A job that L-BFGS trains is evaluated by groups as Newton's is.
func TestGroupsOfLBFGSJobs(t *testing.T) {
	table, features := plain(4_000, 85)
	country, _ := table.Column("country")
	j := job{contributors: 3, bits: 40, maxRows: 5_000_000, maxRounds: 60, features: features, l2: 1, tolerance: 1e-9, holdout: true, solver: optim.LBFGS,
		groups: []map[string]any{{"name": "country", "values": country.Values, "nullable": false}}, minGroup: 20}
	_, reports := train(t, j.program(t), split(table, 3))
	last := reports[len(reports)-1]
	if len(last.Groups) != len(country.Values)+1 || last.Groups[0].Scores == nil {
		t.Errorf("%+v", last.Groups)
	}
}
