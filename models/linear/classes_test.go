package linear_test

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"tributary/models/dataset"
	"tributary/models/linear"
	"tributary/models/optim"
	"tributary/models/pipeline/fit"
)

// L-BFGS on opened gradients reaches the optimum that Newton's method reaches.
func TestLBFGSReachesThePooledOptimum(t *testing.T) {
	table, features := readAdult(t).table(t)
	j := job{contributors: 4, bits: 40, maxRows: 5_000_000, maxRounds: 300, features: features, l2: 1, tolerance: 1e-9, holdout: true, solver: "lbfgs"}
	s, reports := train(t, j.program(t), split(table, 4))
	m, _ := s.Metrics()
	t.Logf("%d rounds, objective %.6f, AUC %.6f", count(reports, optim.Train), m.Objective, m.AUC.V)
	if !s.Converged() || relative(m.Objective, 10312.740) > 1e-6 || math.Abs(m.AUC.V-0.90543) > 1e-4 {
		t.Errorf("converged %t, objective %.6f, AUC %.6f", s.Converged(), m.Objective, m.AUC.V)
	}
}

// threeClasses relabels synthetic rows by a rule with noise.
func threeClasses(n int, seed uint64) (*dataset.Table, []feature) {
	table, features := plain(n, seed)
	age, _ := table.Column("age")
	raw, _ := table.Column("raw")
	table.Classes = []string{"low", "middle", "high"}
	for i, positive := range table.Label {
		class := 0
		if age.Numbers[i]/10+raw.Numbers[i]+float64(i*7919%7) > 8 {
			class = 1
		}
		if positive && i%3 > 0 {
			class = 2
		}
		table.Class = append(table.Class, int32(class))
	}
	table.Label = nil
	return table, features
}

func classJob(t *testing.T, features []feature, l2 float64, contributors int) *optim.Program {
	t.Helper()
	doc, err := json.Marshal(map[string]any{
		"version": 1, "contributors": contributors, "bits": 40, "max_rows": 100_000, "features": features,
		"model":    map[string]any{"type": "multinomial_logistic_regression", "l2": l2, "solver": "lbfgs", "max_rounds": 300, "tolerance": 1e-10},
		"evaluate": map[string]any{"holdout": true, "metrics": []string{"log_loss", "accuracy"}},
		"label":    map[string]any{"classes": []string{"low", "middle", "high"}, "min_rows": 20},
	})
	if err != nil {
		t.Fatal(err)
	}
	p, err := optim.ParseProgram(doc)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// At the optimum of three classes the pooled gradient, computed row by row, is zero, and the confusion matrix is that of the rows.
func TestMultinomialOptimumHasNoGradient(t *testing.T) {
	table, features := threeClasses(4_000, 71)
	p := classJob(t, features, 2, 3)
	s, reports := train(t, p, split(table, 3))
	scores, err := linear.ClassScores(p, s, table)
	if err != nil {
		t.Fatal(err)
	}
	encoded := *table // as two classes, for the pooled encoding
	encoded.Class, encoded.Classes, encoded.Label = nil, nil, make([]bool, table.Rows)
	x := newPooled(&encoded, 2).x
	d, at, loss := len(x[0]), 0, 0.0
	gradient, confusion := make([]float64, 3*d), make([]int64, 9)
	for i, p := range scores {
		y := int(table.Class[i])
		if table.Held(i) {
			best := slices.Index(p, slices.Max(p))
			confusion[3*y+best]++
			continue
		}
		loss -= math.Log(p[y])
		for k := range 3 {
			r := p[k]
			if k == y {
				r--
			}
			for j, v := range x[at] {
				gradient[k*d+j] += r * v
			}
		}
		at++
	}
	w, worst := s.Coefficients(), 0.0
	for i := range gradient {
		if (i+1)%d != 0 {
			gradient[i] += 2 * w[i]
			loss += w[i] * w[i]
		}
		worst = max(worst, math.Abs(gradient[i]))
	}
	m, _ := s.Metrics()
	t.Logf("%d rounds, objective %.6f, largest derivative %.2g", count(reports, optim.Train), m.Objective, worst)
	if !s.Converged() || worst > 0.02 || relative(m.Objective, loss) > 1e-8 {
		t.Errorf("converged %t, largest derivative %g, objective %.9f, want %.9f", s.Converged(), worst, m.Objective, loss)
	}
	if !slices.Equal(confusion, s.Confusion()) {
		t.Errorf("confusion %v, want %v", s.Confusion(), confusion)
	}
	doc, err := optim.Export(p, s)
	if err != nil || !strings.Contains(string(doc), `"confusion"`) || !strings.Contains(string(doc), `"intercepts"`) || strings.Contains(string(doc), `"intercept"`) {
		t.Errorf("%v %s", err, doc)
	}
}

// Classes that nobody has, or few rows have, stop the job with an error that names them; other classes than the job's do, too.
func TestRareClassesStopTheJob(t *testing.T) {
	table, features := threeClasses(1_000, 72)
	for i, c := range table.Class {
		if c == 2 && i > 30 {
			table.Class[i] = 0
		}
	}
	p := classJob(t, features, 1, 1)
	_, _, err := round(t, p, p.Initial(), []*dataset.Table{table}, make([]*linear.Design, 1))
	if !errors.Is(err, optim.ErrRareClass) || !strings.Contains(err.Error(), `"high"`) || !strings.Contains(err.Error(), "hint:") {
		t.Error(err)
	}
	table.Classes = []string{"middle", "low", "high"}
	if _, err := linear.Sums(p, p.Initial(), table); !errors.Is(err, fit.ErrTable) || !strings.Contains(err.Error(), "classes") {
		t.Error(err)
	}
	binary, _ := plain(1_000, 72)
	if _, err := linear.Sums(p, p.Initial(), binary); !errors.Is(err, fit.ErrTable) {
		t.Error(err)
	}
}
