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

// A table that isn't what the contract says is refused before anything is summed; the error names the column.
func TestTablesThatBreakTheContractAreRefused(t *testing.T) {
	p := syntheticJob(1).program(t)
	s := onto(t, p, synthetic(600, 31))
	for name, change := range map[string]func(*dataset.Table){
		"age: missing":    func(t *dataset.Table) { t.Columns[1].Numbers[3] = math.NaN() },
		"age: Inf":        func(t *dataset.Table) { t.Columns[1].Numbers[3] = math.Inf(1) },
		"age: range":      func(t *dataset.Table) { t.Columns[1].Numbers[3] = 111 },
		"age: kind":       func(t *dataset.Table) { t.Columns[1] = t.Columns[0]; t.Columns[0].Name, t.Columns[1].Name = "x", "age" },
		"age: absent":     func(t *dataset.Table) { t.Columns[1].Name = "years" },
		"country: values": func(t *dataset.Table) { t.Columns[3].Values = []string{"DE", "NL", "FR"} },
		"country: null":   func(t *dataset.Table) { t.Columns[3].Codes[0] = dataset.Missing },
		"country: code":   func(t *dataset.Table) { t.Columns[3].Codes[0] = 4 },
	} {
		table := synthetic(600, 31)
		change(table)
		column, _, _ := strings.Cut(name, ":")
		for _, state := range []*optim.State{p.Initial(), s} {
			if got, err := linear.Sums(p, state, table); !errors.Is(err, fit.ErrTable) || got != nil || !strings.Contains(err.Error(), column) {
				t.Errorf("%s in %s: %v", name, state.Kind(), err)
			}
		}
		if _, err := linear.Score(p, s, table); !errors.Is(err, fit.ErrTable) {
			t.Errorf("%s in Score: %v", name, err)
		}
	}
	j := syntheticJob(1)
	j.maxRows = 500
	small := j.program(t)
	for _, state := range []*optim.State{small.Initial(), s} {
		if _, err := linear.Sums(small, state, synthetic(600, 31)); !errors.Is(err, fit.ErrTable) {
			t.Errorf("more rows than the contract allows: %v", err)
		}
	}
	if _, err := linear.Prepare(p, p.Initial(), synthetic(600, 31)); !errors.Is(err, linear.ErrState) {
		t.Errorf("rows encoded before FIT: %v", err)
	}
	d, err := linear.Prepare(p, s, synthetic(600, 31))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Sums(onto(t, p, synthetic(700, 31))); !errors.Is(err, linear.ErrState) {
		t.Errorf("a design of another pipeline: %v", err)
	}
	done, _ := train(t, p, []*dataset.Table{synthetic(600, 31)})
	if _, err := d.Sums(done); !errors.Is(err, linear.ErrState) {
		t.Errorf("sums of a finished job: %v", err)
	}
}

// Outliers at the contract's far end stay within their lanes: the bounds of standardised columns hold for any rows.
func TestHonestOutliersStayInTheirLanes(t *testing.T) {
	table := synthetic(3_000, 37)
	age, _ := table.Column("age")
	for i := range age.Numbers {
		age.Numbers[i] = 16
	}
	age.Numbers[0] = 110 // 40 deviations from the mean or more
	raw, _ := table.Column("raw")
	for i := range raw.Numbers {
		raw.Numbers[i] = 5
	}
	s, _ := train(t, syntheticJob(3).program(t), split(table, 3))
	if !s.Converged() {
		t.Error("not converged")
	}
}

// A narrow column within a wide declared range keeps its variance: the sums resolve it.
func TestNarrowColumnInAWideRangeIsStandardised(t *testing.T) {
	table := synthetic(2_000, 41)
	narrow := *table
	age, _ := table.Column("age")
	narrow.Columns = slices.Clone(table.Columns)
	a, b := syntheticJob(3), syntheticJob(3)
	b.features[0] = number("age", 0, 1e6)
	first, _ := train(t, a.program(t), split(table, 3))
	second, _ := train(t, b.program(t), split(&narrow, 3))
	x, _ := first.Metrics()
	y, _ := second.Metrics()
	if age == nil || relative(x.Objective, y.Objective) > 1e-8 || !second.Converged() {
		t.Errorf("objective %.9f in a wide range, %.9f in a narrow one", y.Objective, x.Objective)
	}
}

// The exported document alone scores raw records as the participant does.
func TestExportedModelScoresRawRecords(t *testing.T) {
	table := synthetic(3_000, 43)
	p := syntheticJob(2).program(t)
	s, _ := train(t, p, split(table, 2))
	doc, err := optim.Export(p, s)
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Intercept float64
		Converged bool
		Rows      int64 `json:"training_rows"`
		Columns   []struct {
			Feature, Role string
			Value         *string
			Folded        bool
			Coefficient   float64
			Number        *struct {
				Log1p, Standardize bool
				Mean, SD, Clip     float64
			}
		}
		Metrics struct {
			AUC       *float64
			Objective float64
		}
	}
	if err := json.Unmarshal(doc, &m); err != nil {
		t.Fatal(err)
	}
	if !m.Converged || m.Rows != 2_400 || m.Metrics.AUC == nil || m.Metrics.Objective <= 0 {
		t.Errorf("%s", doc)
	}
	want, err := linear.Score(p, s, table)
	if err != nil {
		t.Fatal(err)
	}
	for row := range table.Rows {
		margin := m.Intercept
		matched := map[string]bool{}
		other := map[string]float64{}
		for _, c := range m.Columns {
			column, _ := table.Column(c.Feature)
			switch c.Role {
			case "number":
				x := column.Numbers[row]
				if math.IsNaN(x) || c.Folded {
					continue
				}
				if c.Number.Log1p {
					x = math.Log1p(x)
				}
				if c.Number.Standardize {
					x = min(max((x-c.Number.Mean)/c.Number.SD, -c.Number.Clip), c.Number.Clip)
				}
				margin += c.Coefficient * x
			case "missing":
				missing := column.Numbers != nil && math.IsNaN(column.Numbers[row]) || column.Codes != nil && column.Codes[row] == dataset.Missing
				if missing && !c.Folded {
					margin += c.Coefficient
					matched[c.Feature] = true
				}
			case "value":
				if code := column.Codes[row]; code >= 0 && int(code) < len(column.Values) && column.Values[code] == *c.Value && !c.Folded {
					margin += c.Coefficient
					matched[c.Feature] = true
				}
			case "other":
				other[c.Feature] = c.Coefficient
			}
		}
		for name, coefficient := range other {
			if !matched[name] {
				margin += coefficient
			}
		}
		if got := 1 / (1 + math.Exp(-margin)); math.Abs(got-want[row]) > 1e-12 {
			t.Fatalf("row %d scores %g by the document, %g by the state", row, got, want[row])
		}
	}
	if _, err := optim.Export(p, p.Initial()); !errors.Is(err, optim.ErrNotFitted) {
		t.Errorf("a model before FIT: %v", err)
	}
}

// Without a penalty, one-hot columns determine each other and the intercept: the solver still reaches the optimum.
func TestUnpenalisedCollinearColumnsConverge(t *testing.T) {
	j := syntheticJob(3)
	j.l2 = 0
	s, reports := train(t, j.program(t), split(synthetic(5_000, 47), 3))
	j.l2 = 1e-4
	near, _ := train(t, j.program(t), split(synthetic(5_000, 47), 3))
	a, _ := s.Metrics()
	b, _ := near.Metrics()
	if !s.Converged() || a.Objective > b.Objective || relative(a.TrainLoss, b.TrainLoss) > 1e-6 {
		t.Errorf("converged %t, loss %.9f, with a small penalty %.9f", s.Converged(), a.TrainLoss, b.TrainLoss)
	}
	if frozen := reports[1].Frozen; frozen != 3 {
		t.Errorf("%d frozen columns, want one of each category and the empty device=other", frozen)
	}
}
