package sgd_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"tributary/models/local"
	"tributary/models/metrics"
	"tributary/models/optim"
)

// An averaged factorization machine is evaluated by groups as a linear model is.
func TestAveragedModelsAreEvaluatedByGroups(t *testing.T) {
	const levels = 3
	random := rand.New(rand.NewPCG(3, 4))
	tables := newPairs(levels, random).tables(3, 600, random)
	document, err := program(t, levels, 3, averaging("factorization_machine", "fedadam", 2, 2, "adagrad", `"learning_rate":0.1,"server_rate":0.5,"patience":0`)).Document()
	if err != nil {
		t.Fatal(err)
	}
	p, err := optim.ParseProgram([]byte(strings.Replace(string(document), `"accuracy"]`,
		`"accuracy"],"groups":[{"name":"left","values":["v0","v1","v2"],"nullable":false}],"min_count":20`, 1)))
	if err != nil {
		t.Fatal(err)
	}
	s, reports := train(t, p, tables)
	want := make([]metrics.Histogram, levels)
	for g := range want {
		want[g] = metrics.Histogram{Positive: make([]float64, optim.GroupBins), Negative: make([]float64, optim.GroupBins)}
	}
	for _, table := range tables {
		scores, err := local.Score(p, s, table)
		if err != nil {
			t.Fatal(err)
		}
		left, _ := table.Column("left")
		for i, q := range scores {
			if table.Held(i) {
				counts := want[left.Codes[i]].Negative
				if table.Label[i] {
					counts = want[left.Codes[i]].Positive
				}
				counts[metrics.BinOf(q, optim.GroupBins)]++
			}
		}
	}
	got := reports[len(reports)-1].Groups
	for g := range want {
		if got[g].Scores == nil || !slices.Equal(got[g].Scores.Positive, want[g].Positive) || !slices.Equal(got[g].Scores.Negative, want[g].Negative) {
			t.Errorf("%s: other scores than the rows'", got[g].Name)
		}
	}
	if len(got) != levels+1 || got[levels].Rows != 0 || got[levels].Scores != nil {
		t.Errorf("%d groups", len(got))
	}
}
