package linear_test

import (
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

// withNumbers adds a column of numbers to a table.
func withNumbers(t *dataset.Table, name string, values []float64) *dataset.Table {
	out := *t
	out.Columns = append(slices.Clone(t.Columns), dataset.Column{Name: name, Numbers: values})
	return &out
}

func rangeOf(name string, lo, hi float64) map[string]any {
	return map[string]any{"name": name, "min": lo, "max": hi}
}

// rawJob has features that FIT changes nothing about, so that rows can be repeated or left out.
func rawJob(contributors int) job {
	return job{contributors: contributors, bits: 40, maxRows: 5_000_000, maxRounds: 100, l2: 1, tolerance: 1e-10, holdout: true, features: []feature{
		number("age", 0, 110).with("standardize", false), number("raw", -3, 5).with("standardize", false), category("country", 1, "DE", "FR", "NL"),
	}}
}

func same(t *testing.T, what string, a, b *optim.State, tolerance float64) {
	t.Helper()
	if !a.Converged() || !b.Converged() {
		t.Errorf("%s: converged %t, %t", what, a.Converged(), b.Converged())
	}
	for i, v := range a.Coefficients() {
		if w := b.Coefficients()[i]; math.Abs(v-w) > tolerance*(1+math.Abs(w)) {
			t.Errorf("%s: coefficient %d is %g, want %g", what, i, v, w)
		}
	}
}

// A row of weight 3 counts as three rows, one of weight 0 as none, and a class's weight as that of its rows; held-out rows aren't
// weighted. Both solvers do it.
func TestWeightedRowsCountAsSoMany(t *testing.T) {
	table, _ := plain(3_000, 81)
	weight := make([]float64, table.Rows)
	var repeated, doubled []int
	for i := range weight {
		weight[i] = float64(i * 7919 % 4)
		if table.Held(i) {
			weight[i] = 2
			repeated, doubled = append(repeated, i), append(doubled, i)
			continue
		}
		for range int(weight[i]) {
			repeated = append(repeated, i)
		}
		doubled = append(doubled, i)
		if table.Label[i] {
			doubled = append(doubled, i)
		}
	}
	for _, solver := range []string{optim.Newton, optim.LBFGS} {
		j := rawJob(3)
		j.solver = solver
		plainRows, _ := train(t, j.program(t), split(pick(table, repeated), 3))
		j.weighting = map[string]any{"weight": rangeOf("weight", 0, 3)}
		weighted, _ := train(t, j.program(t), split(withNumbers(table, "weight", weight), 3))
		tolerance := 1e-4
		if solver == optim.LBFGS {
			tolerance = 5e-3
		}
		same(t, solver+", row weights", weighted, plainRows, tolerance)
		a, _ := weighted.Metrics()
		b, _ := plainRows.Metrics()
		if relative(a.Objective, b.Objective) > 1e-7 || a.HeldOut != b.HeldOut || math.Abs(a.LogLoss.V-b.LogLoss.V) > 1e-4 {
			t.Errorf("%s: metrics %+v, want %+v", solver, a, b)
		}
		if x, ok := weighted.Inference(0); solver == optim.Newton {
			if y, _ := plainRows.Inference(0); !ok || relative(x.StandardError, y.StandardError) > 1e-4 {
				t.Errorf("standard error %g, want %g", x.StandardError, y.StandardError)
			}
		}

		j.weighting = nil
		plainRows, _ = train(t, j.program(t), split(pick(table, doubled), 3))
		j.weighting = map[string]any{"classes": []float64{1, 2}}
		weighted, _ = train(t, j.program(t), split(table, 3))
		same(t, solver+", class weights", weighted, plainRows, tolerance)
	}
}

// An offset is a coefficient known to be 1: with it, the model of the rest is what it was.
func TestOffsetIsPartOfTheMargin(t *testing.T) {
	table, _ := plain(4_000, 82)
	offset := make([]float64, table.Rows)
	raw, _ := table.Column("raw")
	for i, v := range raw.Numbers {
		offset[i] = 0.5 * v
	}
	j := rawJob(2)
	j.l2 = 0
	j.features = j.features[:2]
	without, _ := train(t, j.program(t), split(table, 2))
	j.weighting = map[string]any{"offset": rangeOf("known", -1.5, 2.5)}
	shifted := withNumbers(table, "known", offset)
	p := j.program(t)
	with, _ := train(t, p, split(shifted, 2))
	a, b := slices.Clone(with.Coefficients()), without.Coefficients()
	a[1] += 0.5 // the offset's part of raw
	for i := range a {
		if math.Abs(a[i]-b[i]) > 1e-4 {
			t.Errorf("coefficient %d is %g, want %g", i, a[i], b[i])
		}
	}
	got, err := linear.Score(p, with, shifted)
	if err != nil {
		t.Fatal(err)
	}
	want, err := linear.Score(j.program(t), without, shifted)
	if err != nil || math.Abs(got[7]-1/(1+math.Exp(-(with.Coefficients()[0]*table.Columns[0].Numbers[7]+with.Coefficients()[1]*raw.Numbers[7]+with.Coefficients()[2]+offset[7])))) > 1e-12 {
		t.Errorf("%v: score %g, %g", err, got[7], want[7])
	}
	doc, err := optim.Export(p, with)
	if err != nil || !strings.Contains(string(doc), "\"offset\": {\n    \"name\": \"known\",\n    \"min\": -1.5,\n    \"max\": 2.5\n") {
		t.Errorf("%v %s", err, doc)
	}
}

// Weights of classes in a multinomial model count as so many rows, too.
func TestMultinomialWeights(t *testing.T) {
	table, features := threeClasses(3_000, 83)
	for i := range features {
		if features[i]["kind"] == "number" {
			features[i]["standardize"] = false
		}
	}
	var repeated []int
	for i, c := range table.Class {
		repeated = append(repeated, i)
		if c == 1 && !table.Held(i) {
			repeated = append(repeated, i, i)
		}
	}
	plainRows, _ := train(t, classJob(t, features, 1, 3), split(pick(table, repeated), 3))
	p := classJob(t, features, 1, 3)
	doc, err := p.Document()
	if err != nil {
		t.Fatal(err)
	}
	p, err = optim.ParseProgram([]byte(strings.TrimSuffix(string(doc), "}") + `,"weighting":{"classes":[1,3,1]}}`))
	if err != nil {
		t.Fatal(err)
	}
	weighted, _ := train(t, p, split(table, 3))
	a, _ := weighted.Metrics()
	b, _ := plainRows.Metrics()
	if relative(a.Objective, b.Objective) > 1e-6 || math.Abs(a.LogLoss.V-b.LogLoss.V) > 1e-3 {
		t.Errorf("metrics %+v, want %+v", a, b)
	}
}

// Columns of weights and offsets that aren't what the contract says are refused; the error names column and row.
func TestBadWeightsAreRefused(t *testing.T) {
	table, _ := plain(600, 84)
	j := rawJob(1)
	j.weighting = map[string]any{"weight": rangeOf("weight", 0, 3)}
	p := j.program(t)
	good := make([]float64, table.Rows)
	for i := range good {
		good[i] = 1
	}
	s := onto(t, p, withNumbers(table, "weight", good))
	for want, change := range map[string]func([]float64){
		"missing":  func(w []float64) { w[3] = math.NaN() },
		"outside":  func(w []float64) { w[3] = 4 },
		"weight 0": func(w []float64) { clear(w) },
	} {
		weight := slices.Clone(good)
		change(weight)
		for _, state := range []*optim.State{p.Initial(), s} {
			got, err := linear.Sums(p, state, withNumbers(table, "weight", weight))
			if !errors.Is(err, fit.ErrTable) || got != nil || !strings.Contains(err.Error(), `"weight"`) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "hint:") {
				t.Errorf("%s in %s: %v", want, state.Kind(), err)
			}
		}
	}
	if _, err := linear.Sums(p, s, table); !errors.Is(err, fit.ErrTable) || !strings.Contains(err.Error(), "hint:") {
		t.Errorf("no column of weights: %v", err)
	}
	// One row that outweighs the others is singled out.
	j.weighting = map[string]any{"weight": rangeOf("weight", 0, 1e6)}
	p = j.program(t)
	weight := slices.Clone(good)
	weight[1] = 1e6
	heavy := withNumbers(table, "weight", weight)
	if _, err := linear.Sums(p, onto(t, p, heavy), heavy); !errors.Is(err, linear.ErrConcentrated) {
		t.Errorf("one heavy row: %v", err)
	}
}
