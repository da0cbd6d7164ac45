package local_test

import (
	"errors"
	"slices"
	"testing"

	"tributary/models/dataset"
	"tributary/models/linear"
	"tributary/models/local"
	"tributary/models/optim"
)

const program = `{"version":1,"contributors":1,"bits":40,"max_rows":1000,
"features":[{"name":"age","kind":"number","min":0,"max":100,"nullable":false,"log1p":false,"standardize":true,"clip":64,"missing_indicator":false}],
"model":{"type":"logistic_regression","l2":1,"solver":"newton","max_rounds":5,"tolerance":1e-8},
"evaluate":{"holdout":false,"metrics":[]}}`

// Rounds prepares rows once and again when the pipeline changes; what it gives is what the model's package gives.
func TestRoundsGiveTheModelsSums(t *testing.T) {
	p, err := optim.ParseProgram([]byte(program))
	if err != nil {
		t.Fatal(err)
	}
	table := &dataset.Table{Rows: 200, Columns: []dataset.Column{{Name: "age", Numbers: make([]float64, 200)}}, Label: make([]bool, 200)}
	for i := range table.Rows {
		table.Columns[0].Numbers[i], table.Label[i] = float64(i%90), i%3 == 0
	}
	rounds, err := local.New(p, table)
	if err != nil {
		t.Fatal(err)
	}
	for s := p.Initial(); s.Kind() != optim.Done; {
		got, err := rounds.Sums(s)
		if err != nil {
			t.Fatal(err)
		}
		want, err := linear.Sums(p, s, table)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.EqualFunc(got, want, slices.Equal) {
			t.Errorf("%s: other sums", s.Kind())
		}
		if s, _, err = p.Apply(s, got); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := rounds.Contributions(p.Initial(), nil); !errors.Is(err, linear.ErrState) {
		t.Errorf("an exact program's rows one by one: %v", err)
	}
}
