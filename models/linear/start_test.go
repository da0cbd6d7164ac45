package linear_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"tributary/models/dataset"
	"tributary/models/optim"
)

// startingFrom is a job's program that starts from a model.
func startingFrom(t *testing.T, p, old *optim.Program, s *optim.State) *optim.Program {
	t.Helper()
	coefficients, err := p.StartFrom(old, s)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := p.Document()
	if err != nil {
		t.Fatal(err)
	}
	start, err := json.Marshal(optim.Start{Model: strings.Repeat("ab", 32), Coefficients: coefficients})
	start = []byte(strings.NewReplacer(`"Model"`, `"model"`, `"Coefficients"`, `"coefficients"`).Replace(string(start)))
	if err != nil {
		t.Fatal(err)
	}
	out, err := optim.ParseProgram(fmt.Appendf(nil, `%s,"start":%s}`, strings.TrimSuffix(string(doc), "}"), start))
	if err != nil {
		t.Fatal(err)
	}
	again, err := out.Document()
	if err != nil || !strings.Contains(string(again), string(start)) {
		t.Errorf("%v: the document lost its start", err)
	}
	return out
}

// Training that starts from a model of other rows, standardised otherwise, begins near the optimum and ends at it.
func TestWarmStartBeginsAtTheEarlierModel(t *testing.T) {
	january, february := synthetic(5_000, 91), synthetic(5_000, 92)
	age, _ := february.Column("age")
	for i := range age.Numbers {
		age.Numbers[i] = min(age.Numbers[i]+10, 110) // its mean and deviation are others
	}
	for _, solver := range []string{optim.Newton, optim.LBFGS} {
		j := syntheticJob(3)
		j.solver, j.maxRounds = solver, 60
		old := j.program(t)
		before, _ := train(t, old, split(january, 3))
		cold, coldReports := train(t, j.program(t), split(february, 3))
		p := startingFrom(t, j.program(t), old, before)
		warm, warmReports := train(t, p, split(february, 3))
		a, _ := warm.Metrics()
		b, _ := cold.Metrics()
		t.Logf("%s: %d rounds from zero, first objective %.3f; %d from the model, %.3f; optimum %.3f", solver, count(coldReports, optim.Train), coldReports[1].Objective, count(warmReports, optim.Train), warmReports[1].Objective, a.Objective)
		if !warm.Converged() || relative(a.Objective, b.Objective) > 1e-8 || count(warmReports, optim.Train) >= count(coldReports, optim.Train) || warmReports[1].Objective-b.Objective > 0.1*(coldReports[1].Objective-b.Objective) {
			t.Errorf("%s: objective %.9f, from zero %.9f", solver, a.Objective, b.Objective)
		}
		// On the same rows the first round is at the earlier model itself.
		_, same := train(t, startingFrom(t, j.program(t), old, before), split(january, 3))
		if m, _ := before.Metrics(); relative(same[1].Objective, m.Objective) > 1e-8 {
			t.Errorf("%s: the first round's objective is %.9f, the model's %.9f", solver, same[1].Objective, m.Objective)
		}
	}
}

// A model starts one with other columns by the columns that both have, and another type of model not at all.
func TestWarmStartGoesByColumns(t *testing.T) {
	table := synthetic(3_000, 93)
	old := syntheticJob(2).program(t)
	s, _ := train(t, old, split(table, 2))
	j := syntheticJob(2)
	j.features = append(slices.Clone(j.features[3:4]), category("country", 20, "DE", "FR", "NL", "PL"))
	wider := *table
	wider.Columns = slices.Clone(table.Columns)
	for i, c := range wider.Columns {
		if c.Name == "country" {
			wider.Columns[i] = dataset.Column{Name: "country", Codes: c.Codes, Values: []string{"DE", "FR", "NL", "PL"}}
		}
	}
	p := startingFrom(t, j.program(t), old, s)
	begun, _ := train(t, p, split(&wider, 2))
	if !begun.Converged() {
		t.Error("not converged")
	}
	of := func(p *optim.Program, w []float64, name string) float64 {
		for i, c := range p.Pipeline().Columns() {
			if c.Name == name {
				return w[i]
			}
		}
		t.Fatal(name)
		return 0
	}
	if got, want := of(p, p.Start.Coefficients, "country=FR"), of(old, s.Coefficients(), "country=FR"); got != want {
		t.Errorf("country=FR starts at %g, was %g", got, want)
	}
	if of(p, p.Start.Coefficients, "country=PL") != 0 || of(p, p.Start.Coefficients, "raw") == 0 {
		t.Error("a new column starts at 0, a known one doesn't")
	}
	none := syntheticJob(2)
	none.features = []feature{number("height", 0, 3)}
	if _, err := none.program(t).StartFrom(old, s); !errors.Is(err, optim.ErrStart) || !strings.Contains(err.Error(), "none of the columns") {
		t.Error(err)
	}
	if _, err := p.StartFrom(old, old.Initial()); !errors.Is(err, optim.ErrStart) {
		t.Error(err)
	}
	_, features := threeClasses(10, 1)
	if _, err := classJob(t, features, 1, 2).StartFrom(old, s); !errors.Is(err, optim.ErrStart) {
		t.Error(err)
	}
	if math.IsNaN(of(p, begun.Coefficients(), "raw")) {
		t.Error("NaN")
	}
}
