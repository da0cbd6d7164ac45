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

// A matrix factorisation has sums, and neither contributions nor probabilities.
func TestRoundsOfARecommender(t *testing.T) {
	p, err := optim.ParseProgram([]byte(`{"version":1,"contributors":1,"bits":40,"max_rows":1000,"features":[{"name":"item","kind":"category","values":["a","b"],"nullable":false,"missing_indicator":false,"min_count":1}],
"model":{"type":"matrix_factorization","l2":1,"solver":"als","max_rounds":1,"tolerance":0,"factors":1,"recommendation":{"explicit":false,"alpha":1,"top_k":1,"patience":0,"seed":"0"}},
"evaluate":{"holdout":false,"metrics":[]}}`))
	if err != nil {
		t.Fatal(err)
	}
	table := &dataset.Table{Rows: 3, User: []int32{0, 0, 1}, Columns: []dataset.Column{{Name: "item", Values: []string{"a", "b"}, Codes: []int32{0, 1, 1}}}}
	rounds, err := local.New(p, table)
	if err != nil {
		t.Fatal(err)
	}
	s := p.Initial()
	sum, err := rounds.Sums(s)
	if err != nil {
		t.Fatal(err)
	}
	if s, _, err = p.Apply(s, sum); err != nil {
		t.Fatal(err)
	}
	if _, err := rounds.Sums(s); !errors.Is(err, local.ErrConcentrated) {
		t.Errorf("two users: %v", err)
	}
	if _, err := rounds.Contributions(s, nil); !errors.Is(err, linear.ErrState) {
		t.Errorf("contributions: %v", err)
	}
	if _, err := local.Score(p, s, table); !errors.Is(err, linear.ErrState) {
		t.Errorf("probabilities: %v", err)
	}
	// Models that predict don't read rows without labels.
	other, err := optim.ParseProgram([]byte(program))
	if err != nil {
		t.Fatal(err)
	}
	table.Columns = []dataset.Column{{Name: "age", Numbers: []float64{1, 2, 3}}}
	if _, err := linear.Sums(other, other.Initial(), table); err == nil {
		t.Error("a logistic regression without labels")
	}
}
