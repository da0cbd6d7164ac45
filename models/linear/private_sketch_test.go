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

// sketchedProgram has numbers of every kind that a private job fits.
func sketchedProgram(t testing.TB, solver string) *optim.Program {
	t.Helper()
	p := privateProgram(t, []feature{scaled("spent", 0, 1000), scaled("age", 16, 110)}, 1_000_000, 5, budget{1, 0.2, 0.75, 0.05})
	return remade(t, p, func(doc map[string]any) {
		income := scaled("income", 0, 1e7).with("log1p", true).with("nullable", true).with("missing_indicator", true).with("clip_quantiles", []float64{0.01, 0.95})
		days := buckets("since.days", 0, 2132, 0).with("nullable", true).with("quantiles", 4).with("date", date("days"))
		delete(days, "min_count")
		doc["features"] = []feature{
			scaled("spent", 0, 1000), income.with("standardize", true).with("clip", 3),
			scaled("age", 16, 110).with("clip_quantiles", []float64{0.1, 0.9}), days,
		}
		doc["private"].(map[string]any)["sigma2_sketch"] = "1073741824"
		if solver == optim.DPSGD {
			model := doc["model"].(map[string]any)
			model["solver"], model["sampling"] = solver, map[string]any{"rate_num": 1, "rate_den": 2, "learning_rate": 4, "momentum": 0.9}
		}
	})
}

// One more unit moves the counts of all columns together by no more than the job's noise covers, √(2·columns) for each row that it
// counts as: what dp clips to, as jobspec has it.
func TestOneUnitMovesTheCountsByNoMoreThanTheirNoiseCovers(t *testing.T) {
	table := owned(transformed(700, 4))
	copy(table.Columns[1].Numbers, []float64{0, 1e7, math.NaN()})
	for _, unit := range []optim.Unit{optim.UnitRecord, optim.UnitUser, optim.UnitSilo} {
		for _, clip := range []int{1, 3} {
			if unit == optim.UnitRecord && clip != 1 {
				continue
			}
			p := withUnit(t, sketchedProgram(t, optim.DPGradientDescent), unit, clip)
			s := p.Initial()
			if s.Kind() != optim.Sketch || len(p.Layout(optim.Sketch)) != 1 || p.MaxRounds(optim.Sketch) != 1 {
				t.Fatalf("the job begins with %s", s.Kind())
			}
			units, total := 0, 0.0
			for _, lanes := range collect(t, p, s, table) {
				square := 0.0
				for _, v := range lanes {
					square += v * v
					total += v
				}
				if limit := float64(clip) * unitScale * math.Sqrt(6) * (1 + 1e-12); math.Sqrt(square) > limit {
					t.Fatalf("%s, clip %d: a unit adds %g, at most %g are covered", unit, clip, math.Sqrt(square), limit)
				}
				units++
			}
			if want := map[optim.Unit]int{optim.UnitRecord: 560, optim.UnitUser: 140, optim.UnitSilo: 1}[unit]; unit != optim.UnitUser && units != want || units < 100 && unit == optim.UnitUser {
				t.Errorf("%s: %d units", unit, units)
			}
			if unit == optim.UnitRecord && !(total > 5*560*unitScale && total <= 6*560*unitScale) { // a tenth lacks two columns
				t.Errorf("all rows add %g", total/unitScale)
			}
		}
	}
}

// A whole job: rows are counted as they are, then encoded by what the counts gave; a design for one serves no other. Every state
// survives its encoding.
func TestSketchedJobsEncodeByWhatTheCountsGave(t *testing.T) {
	for _, solver := range []string{optim.DPGradientDescent, optim.DPSGD} {
		p, table, r := sketchedProgram(t, solver), transformed(4000, 5), rand.New(rand.NewPCG(3, 4))
		s := p.Initial()
		first, err := linear.Prepare(p, s, table)
		if err != nil {
			t.Fatal(err)
		}
		d := first
		var notes []string
		for s.Kind() != optim.Done {
			if !d.Serves(s) {
				if _, err := d.SparseContributions(s, nil); !errors.Is(err, linear.ErrState) {
					t.Fatalf("%s: rows that were counted are taken for encoded ones: %v", s.Kind(), err)
				}
				if d, err = linear.Prepare(p, s, table); err != nil {
					t.Fatal(err)
				}
			}
			next, report, err := p.Apply(s, [][]float64{noised(p, s.Kind(), contributed(t, p, d, s), r)})
			if err != nil {
				t.Fatal(err)
			}
			notes = append(notes, report.Note)
			again, err := p.DecodeState(next.Encode())
			if err != nil || !slices.Equal(again.Encode(), next.Encode()) {
				t.Fatalf("%s: %v", next.Kind(), err)
			}
			if (again.Fitted() == nil) != (next.Kind() == optim.Fit) {
				t.Errorf("%s: fitted %v", next.Kind(), again.Fitted())
			}
			s = again
		}
		if d == first {
			t.Error("the rows were never encoded")
		}
		if _, err := d.SparseContributions(p.Initial(), nil); !errors.Is(err, linear.ErrState) {
			t.Errorf("encoded rows are counted: %v", err)
		}
		if !strings.HasPrefix(notes[0], "noised: quantiles of 3 columns, of about ") {
			t.Errorf("note %q", notes[0])
		}
		spec := p.Pipeline()
		lo, hi, ok := spec.Bounds(s.Fitted(), 2)
		// Ages are even over 18 to 87: bounds are within a bin, 1/32 of the age, and what noise of two rows moves.
		if !ok || math.Abs(lo-25) > 2 || math.Abs(hi-81) > 4 {
			t.Errorf("%s: age is clamped to %g..%g", solver, lo, hi)
		}
		if edges := spec.Edges(s.Fitted(), 3); math.Abs(edges[1]-1000) > 60 {
			t.Errorf("%s: edges of days %v", solver, edges)
		}
		if mean, sd := spec.Natural(s.Fitted(), 1); math.Abs(mean-7.8) > 0.4 || math.Abs(sd/3-0.85) > 0.2 {
			t.Errorf("%s: log of income has mean %g and deviation %g", solver, mean, sd/3)
		}
		if m, _ := s.Metrics(); !m.AUC.Known || m.AUC.V < 0.5 {
			t.Errorf("%s: AUC %v", solver, m.AUC)
		}
	}
}

// Hostile counts: a participant that doesn't clip is noticed by the sum's norm, and no counts break the step.
func TestHostileCountsAreRefusedOrHarmless(t *testing.T) {
	p := sketchedProgram(t, optim.DPGradientDescent)
	n := p.Layout(optim.Sketch)[0].Length
	sum := make([]float64, n)
	sum[0] = 1e15
	if _, _, err := p.Apply(p.Initial(), [][]float64{sum}); err == nil || !strings.Contains(err.Error(), "doesn't clip") {
		t.Errorf("%v", err)
	}
	r := rand.New(rand.NewPCG(9, 9))
	for range 200 {
		for i := range sum {
			sum[i] = math.Round(r.NormFloat64() * math.Pow(10, float64(r.IntN(10))))
		}
		s, _, err := p.Apply(p.Initial(), [][]float64{sum})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.DecodeState(s.Encode()); err != nil {
			t.Fatal(err)
		}
	}
}

// Rows are counted before anything is fitted, whatever the label is: a whole job of each model, with classes and with numbers.
func TestSketchedJobsOfEveryModelAndLabel(t *testing.T) {
	numbers := transformed(1_000, 6)
	numbers.Target, numbers.Label = make([]float64, numbers.Rows), nil
	for i := range numbers.Target {
		numbers.Target[i] = float64(10 * (i % 200))
	}
	classes := transformed(1_000, 6)
	classes.Class, classes.Classes, classes.Label = make([]int32, classes.Rows), []string{"a", "b", "c"}, nil
	for i := range classes.Class {
		classes.Class[i] = int32(i % 3)
	}
	for name, c := range map[string]struct {
		kind, label string
		table       *dataset.Table
	}{
		"classes": {"multinomial_logistic_regression", `{"classes":["a","b","c"],"min_rows":1}`, classes}, "machine": {"factorization_machine", "", transformed(1_000, 6)},
		"number": {"linear_regression", `{"min":0,"max":2000}`, numbers}, "number, machine": {"factorization_machine", `{"min":0,"max":2000}`, numbers},
	} {
		p := remade(t, sketchedProgram(t, optim.DPSGD), func(doc map[string]any) {
			model := doc["model"].(map[string]any)
			model["type"] = c.kind
			sampling := model["sampling"].(map[string]any)
			sampling["learning_rate"] = 1
			if c.kind == "factorization_machine" {
				model["factors"], sampling["seed"] = 2, "11"
			}
			metrics := []string{"log_loss", "accuracy"}
			if c.label != "" {
				doc["label"] = json.RawMessage(c.label)
			}
			if c.table.Target != nil {
				metrics = []string{"rmse", "mae", "r2"}
			}
			doc["evaluate"] = map[string]any{"holdout": true, "metrics": metrics}
		})
		r := rand.New(rand.NewPCG(3, 4))
		for s := p.Initial(); s.Kind() != optim.Done; {
			d, err := linear.Prepare(p, s, c.table)
			if err != nil {
				t.Fatalf("%s: %s: %v", name, s.Kind(), err)
			}
			if s, _, err = p.Apply(s, [][]float64{noised(p, s.Kind(), contributed(t, p, d, s), r)}); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
}
