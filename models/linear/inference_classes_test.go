package linear_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"tributary/models/dataset"
	"tributary/models/linear"
	"tributary/models/optim"
)

// classDocumentJob is classJob with more in its model.
func classDocumentJob(t *testing.T, features []feature, contributors int, model map[string]any) *optim.Program {
	t.Helper()
	all := map[string]any{"type": "multinomial_logistic_regression", "l2": 0.0, "solver": "lbfgs", "max_rounds": 400, "tolerance": 1e-11}
	for key, value := range model {
		all[key] = value
	}
	doc, err := json.Marshal(map[string]any{
		"version": 1, "contributors": contributors, "bits": 40, "max_rows": 100_000, "features": features, "model": all,
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

// classHessian is the pooled rows' Hessian of three classes, row by row, of all but the first class's coefficients: with that class as
// the reference it has an inverse.
func classHessian(x [][]float64, scores [][]float64, held func(int) bool, classes int) *mat.SymDense {
	d, at := len(x[0]), 0
	h := mat.NewSymDense(classes*d, nil)
	for i, p := range scores {
		if held(i) {
			continue
		}
		for a := range classes * d {
			for b := a; b < classes*d; b++ {
				k, l := a/d, b/d
				v := -p[k] * p[l]
				if k == l {
					v += p[k]
				}
				h.SetSym(a, b, h.At(a, b)+v*x[at][a%d]*x[at][b%d])
			}
		}
		at++
	}
	return h
}

// With several classes the errors are those of coefficients whose sum over the classes is given. They follow from the covariance with
// one class as the reference, by subtracting the classes' mean.
func TestStandardErrorsOfClasses(t *testing.T) {
	table, _ := threeClasses(3_000, 73)
	table.Columns = append(table.Columns[:1:1], table.Columns[3]) // age and raw: no collinear columns
	features := []feature{number("age", 0, 110), number("raw", -3, 5)}
	p := classDocumentJob(t, features, 3, map[string]any{"standard_errors": true})
	s, _ := train(t, p, split(table, 3))
	if !s.Converged() {
		t.Fatal("not converged")
	}
	scores, err := linear.ClassScores(p, s, table)
	if err != nil {
		t.Fatal(err)
	}
	encoded := *table
	encoded.Class, encoded.Classes, encoded.Label = nil, nil, make([]bool, table.Rows)
	x := newPooled(&encoded, 0).x
	const classes = 3
	d := len(x[0])
	full := classHessian(x, scores, table.Held, classes)
	reduced := mat.NewSymDense((classes-1)*d, nil)
	for a := range (classes - 1) * d {
		for b := a; b < (classes-1)*d; b++ {
			reduced.SetSym(a, b, full.At(a+d, b+d))
		}
	}
	var covariance mat.Dense
	if err := covariance.Inverse(reduced); err != nil {
		t.Fatal(err)
	}
	for i := range classes * d {
		// Coefficient of class k less the classes' mean, in terms of the differences from the reference class.
		k, j := i/d, i%d
		variance := 0.0
		for a := 1; a < classes; a++ {
			for b := 1; b < classes; b++ {
				u, v := -1.0/classes, -1.0/classes
				if a == k {
					u++
				}
				if b == k {
					v++
				}
				variance += u * v * covariance.At((a-1)*d+j, (b-1)*d+j)
			}
		}
		got, ok := s.Inference(i)
		if !ok || relative(got.StandardError, math.Sqrt(variance)) > 1e-4 {
			t.Errorf("class %d, column %d: %+v, want the error %g", k, j, got, math.Sqrt(variance))
		}
	}
	doc, err := optim.Export(p, s)
	if err != nil || strings.Count(string(doc), `"standard_error"`) != classes*d || !strings.Contains(string(doc), `"intercept_tests"`) {
		t.Errorf("%v %s", err, doc)
	}
}

// Where columns hang together and nothing tells them apart, none of them has an error after L-BFGS, which shares their effect: one of a
// part would look like that of the whole. Columns that stand by themselves have theirs.
func TestSharedEffectsHaveNoStandardErrors(t *testing.T) {
	table, _ := plain(4_000, 102)
	age, _ := table.Column("age")
	raw, _ := table.Column("raw")
	double := make([]float64, table.Rows)
	for i, v := range age.Numbers {
		double[i] = 220 - 2*v
	}
	alone := *table
	alone.Columns = []dataset.Column{*age, *raw}
	table.Columns = []dataset.Column{*age, *raw, {Name: "double", Numbers: double}}
	features := []feature{number("age", 0, 110), number("raw", -3, 5), number("double", 0, 220)}
	j := job{contributors: 4, bits: 40, maxRows: 5_000_000, maxRounds: 200, features: features, tolerance: 1e-11, holdout: true, solver: optim.LBFGS, standardErrors: true}
	s, _ := train(t, j.program(t), split(table, 4))
	if !s.Converged() {
		t.Fatal("not converged")
	}
	for i, want := range []bool{false, true, false, true} {
		if x, ok := s.Inference(i); ok != want {
			t.Errorf("coefficient %d: %+v, known %t", i, x, ok)
		}
	}
	j.features = features[:2]
	once, _ := train(t, j.program(t), split(&alone, 4))
	for i, at := range []int{1, 3} {
		a, _ := s.Inference(at)
		b, _ := once.Inference(i + 1)
		if relative(a.StandardError, b.StandardError) > 1e-4 {
			t.Errorf("coefficient %d has the error %g beside the copies, %g without", at, a.StandardError, b.StandardError)
		}
	}
	// A penalty tells them apart.
	j.features, j.l2 = features, 1
	penalised, _ := train(t, j.program(t), split(table, 4))
	for i := range 4 {
		if _, ok := penalised.Inference(i); !ok {
			t.Errorf("l2 1: coefficient %d has no error", i)
		}
	}
	// Before the optimum nothing is known.
	j.maxRounds = 2
	early, _ := train(t, j.program(t), split(table, 4))
	for i := range 4 {
		if _, ok := early.Inference(i); ok {
			t.Errorf("not converged: coefficient %d has an error", i)
		}
	}
}
