package linear_test

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"tributary/models/dataset"
	"tributary/models/linear"
	"tributary/models/optim"
)

// The same of labels with several classes. With two, the symmetric model is the one of two values, with half the coefficients each and
// the penalty on both: their objectives tell whether the answer is right.

// twoClasses writes a table's label as two classes.
func twoClasses(table *dataset.Table) *dataset.Table {
	out := *table
	out.Label, out.Classes, out.Class = nil, []string{"no", "yes"}, make([]int32, table.Rows)
	for i, y := range table.Label {
		if y {
			out.Class[i] = 1
		}
	}
	return &out
}

// asClasses is a job's program with two classes: the optimum at l2 has the objective of the job with two values at l2/2.
func (j job) asClasses(t *testing.T) *optim.Program {
	t.Helper()
	model := map[string]any{"type": "multinomial_logistic_regression", "l2": j.l2, "solver": "lbfgs", "max_rounds": 400, "tolerance": 1e-11}
	if j.l1 > 0 {
		model["l1"] = j.l1
	}
	document := map[string]any{
		"version": 1, "contributors": j.contributors, "bits": j.bits, "max_rows": j.maxRows, "features": j.features, "model": model,
		"evaluate": map[string]any{"holdout": true, "metrics": []string{"log_loss", "accuracy"}},
		"label":    map[string]any{"classes": []string{"no", "yes"}, "min_rows": 20},
	}
	if j.weighting != nil {
		document["weighting"] = j.weighting
	}
	doc, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	p, err := optim.ParseProgram(doc)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func classesJob(features []feature, l2 float64) job {
	return job{contributors: 4, bits: 40, maxRows: 5_000_000, features: features, l2: l2}
}

// wantClasses trains two classes and holds them to the pooled optimum of two values.
func wantClasses(t *testing.T, j job, parties []*dataset.Table, want float64) *optim.State {
	t.Helper()
	s, reports := train(t, j.asClasses(t), parties)
	m, _ := s.Metrics()
	t.Logf("%d rounds, objective %.9f, want %.9f", count(reports, optim.Train), m.Objective, want)
	if !s.Converged() || relative(m.Objective, want) > 1e-7 {
		t.Errorf("converged %t, objective %.9f, want %.9f", s.Converged(), m.Objective, want)
	}
	finite(t, s)
	return s
}

func TestClassesSeparated(t *testing.T) {
	table, _ := plain(4_000, 101)
	raw, _ := table.Column("raw")
	for i, v := range raw.Numbers {
		table.Label[i] = v > 0.5
	}
	table.Columns = []dataset.Column{*raw}
	features := []feature{number("raw", -3, 5)}
	wantClasses(t, classesJob(features, 2), split(twoClasses(table), 4), newPooled(table, 1).solve())
	s, reports, err := try(t, classesJob(features, 0).asClasses(t), split(twoClasses(table), 4))
	switch {
	case err != nil:
		if !errors.Is(err, linear.ErrConcentrated) && !errors.Is(err, optim.ErrDiverged) || !strings.Contains(err.Error(), "raise l2") {
			t.Error(err)
		}
	case s.Converged():
		t.Errorf("converged, to %v after %d rounds", s.Coefficients(), len(reports))
	}
}

func TestClassesWithCollinearAndConstantColumns(t *testing.T) {
	table, features := plain(4_000, 102)
	age, _ := table.Column("age")
	twice := *table
	double, five := make([]float64, table.Rows), slices.Repeat([]float64{5}, table.Rows)
	for i, v := range age.Numbers {
		double[i] = 220 - 2*v
	}
	twice.Columns = append(slices.Clone(table.Columns), dataset.Column{Name: "double", Numbers: double})
	more := append(slices.Clone(features), number("double", 0, 220))
	wantClasses(t, classesJob(more, 2), split(twoClasses(&twice), 4), newPooled(&twice, 1).solve())
	// Without a penalty the copy adds nothing.
	once, _ := train(t, classesJob(features, 0).asClasses(t), split(twoClasses(table), 4))
	m, _ := once.Metrics()
	wantClasses(t, classesJob(more, 0), split(twoClasses(&twice), 4), m.Objective)
	// A constant adds nothing, standardised or not.
	twice.Columns = append(slices.Clone(table.Columns), dataset.Column{Name: "five", Numbers: five})
	s := wantClasses(t, classesJob(append(slices.Clone(features), number("five", 0, 10)), 0), split(twoClasses(&twice), 4), m.Objective)
	if d := len(s.Coefficients()) / 2; s.Coefficients()[d-2] != 0 || s.Coefficients()[2*d-2] != 0 {
		t.Errorf("the standardised constant has %g and %g", s.Coefficients()[d-2], s.Coefficients()[2*d-2])
	}
	wantClasses(t, classesJob(append(slices.Clone(features), number("five", 0, 10).with("standardize", false)), 0), split(twoClasses(&twice), 4), m.Objective)
}

func TestClassesWithACategoryUnseenAtThreeOfFour(t *testing.T) {
	table, features := plain(4_000, 104)
	country, _ := table.Column("country")
	parties := make([][]int, 4)
	for i, code := range country.Codes {
		at := i % 4
		if code == 2 {
			at = 1
		}
		parties[at] = append(parties[at], i)
	}
	var dealt []*dataset.Table
	for _, rows := range parties {
		dealt = append(dealt, pick(twoClasses(table), rows))
	}
	wantClasses(t, classesJob(features, 2), dealt, newPooled(table, 1).solve())
}

func TestClassesWithWeightsOfZero(t *testing.T) {
	table, features := plain(4_000, 107)
	weight := make([]float64, table.Rows)
	var kept []int
	for i := range weight {
		if weight[i] = float64(i / 4 % 2); weight[i] > 0 || table.Held(i) {
			kept = append(kept, i)
		}
	}
	raw := []feature{features[3].with("standardize", false)} // deviations count all rows, whatever they weigh
	without, _ := train(t, classesJob(raw, 2).asClasses(t), split(pick(twoClasses(table), kept), 4))
	m, _ := without.Metrics()
	j := classesJob(raw, 2)
	j.weighting = map[string]any{"weight": rangeOf("weight", 0, 1)}
	wantClasses(t, j, split(withNumbers(twoClasses(table), "weight", weight), 4), m.Objective)
	// A class that weighs nothing: no claim of an optimum.
	for i, y := range table.Label {
		weight[i] = 1
		if y {
			weight[i] = 0
		}
	}
	s, _, err := try(t, j.asClasses(t), split(withNumbers(twoClasses(table), "weight", weight), 4))
	switch {
	case err != nil:
		if !errors.Is(err, linear.ErrConcentrated) && !errors.Is(err, optim.ErrDiverged) || !strings.Contains(err.Error(), "hint:") {
			t.Error(err)
		}
	case s.Converged():
		t.Errorf("converged to %v", s.Coefficients())
	}
}

func TestClassesAtMillionfoldScales(t *testing.T) {
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
	for _, standardize := range []bool{true, false} {
		features := []feature{number("small", 0, 1e-3).with("standardize", standardize), number("large", 0, 1e3).with("standardize", standardize)}
		s, _ := train(t, classesJob(features, 0).asClasses(t), split(twoClasses(table), 4))
		m, _ := s.Metrics()
		if !s.Converged() || relative(m.Objective, want) > 1e-7 {
			t.Errorf("standardize %t: converged %t, objective %.9f, want %.9f", standardize, s.Converged(), m.Objective, want)
		}
	}
}

// With an L1 penalty and three classes, the coefficients meet the optimality conditions of the pooled objective.
func TestL1OfClassesIsOptimal(t *testing.T) {
	table, features := threeClasses(4_000, 74)
	for _, c := range []struct{ l1, l2 float64 }{{5, 0}, {40, 3}} {
		p := classDocumentJob(t, features, 3, map[string]any{"l1": c.l1, "l2": c.l2})
		s, reports := train(t, p, split(table, 3))
		scores, err := linear.ClassScores(p, s, table)
		if err != nil {
			t.Fatal(err)
		}
		encoded := *table
		encoded.Class, encoded.Classes, encoded.Label = nil, nil, make([]bool, table.Rows)
		x := newPooled(&encoded, 0).x
		d, at := len(x[0]), 0
		g, w, zeros, worst := make([]float64, 3*d), s.Coefficients(), 0, 0.0
		for i, p := range scores {
			if table.Held(i) {
				continue
			}
			for k := range 3 {
				r := p[k]
				if int(table.Class[i]) == k {
					r--
				}
				for j, v := range x[at] {
					g[k*d+j] += r * v
				}
			}
			at++
		}
		for i, v := range w {
			switch g[i] += c.l2 * v; {
			case (i+1)%d == 0:
				worst = max(worst, math.Abs(g[i]-c.l2*v))
			case v > 0:
				worst = max(worst, math.Abs(g[i]+c.l1))
			case v < 0:
				worst = max(worst, math.Abs(g[i]-c.l1))
			default:
				worst = max(worst, math.Abs(g[i])-c.l1)
				zeros++
			}
		}
		t.Logf("l1 %g, l2 %g: %d rounds, %d zeros, largest violation %.2g", c.l1, c.l2, count(reports, optim.Train), zeros, worst)
		if !s.Converged() || worst > 0.02 || zeros == 0 {
			t.Errorf("l1 %g, l2 %g: converged %t, %d zeros, largest violation %g", c.l1, c.l2, s.Converged(), zeros, worst)
		}
	}
}
