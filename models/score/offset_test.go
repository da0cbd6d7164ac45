package score_test

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"tributary/models/dataset"
	"tributary/models/local"
	"tributary/models/score"
)

// The exported document scores raw records with their offsets as the participant's own code scores its table, and explains them.
// What is beyond the contract's range counts as its bound, as it does where the contract's rows are read.
func TestOffsetsAreTheParticipants(t *testing.T) {
	table := generated(6_000, 12)
	r, prior := rand.New(rand.NewPCG(12, 2)), make([]float64, table.Rows)
	for i := range prior {
		prior[i] = -2 + 5*r.Float64()
		table.Label[i] = table.Label[i] != (r.Float64() < 1/(1+math.Exp(prior[i])))
	}
	table.Columns = append(table.Columns, dataset.Column{Name: "prior", Numbers: prior})
	var keys map[string]json.RawMessage
	document, err := exact(t, newton).Document()
	if err == nil {
		err = json.Unmarshal(document, &keys)
	}
	keys["weighting"] = json.RawMessage(`{"offset":{"name":"prior","min":-2,"max":3}}`)
	if document, _ = json.Marshal(keys); err != nil {
		t.Fatal(err)
	}
	p := program(t, string(document))
	s, m := trained(t, p, table)
	if last := m.Columns()[len(m.Columns())-1]; last.Name != "prior" || last.Nullable || last.Min != -2 || last.Max != 3 {
		t.Fatalf("%+v", last)
	}
	want, err := local.Score(p, s, table)
	if err != nil {
		t.Fatal(err)
	}
	worst := 0.0
	for i := range table.Rows {
		row, err := m.Row(record(table, i))
		if err != nil {
			t.Fatal(err)
		}
		explained(t, m, row)
		e, err := m.Explain(row)
		if err != nil || e.Columns[len(e.Columns)-1] != (score.Contribution{Column: "prior", Logit: prior[i]}) {
			t.Fatal(e, err)
		}
		worst = max(worst, math.Abs(e.Probability-want[i]))
	}
	t.Logf("probabilities differ by %.2g at most", worst)
	if worst > 1e-12 {
		t.Errorf("differ by %g", worst)
	}
}

var shifted = strings.Replace(small, `"l2":1`, `"l2":1,"offset":{"name":"prior","min":-2,"max":3}`, 1)

func TestOffsetsByHand(t *testing.T) {
	m, err := score.Parse([]byte(shifted))
	if err != nil {
		t.Fatal(err)
	}
	for prior, want := range map[float64]float64{-1.5: -1.5, 0: 0, 3: 3, 1e9: 3, -2.5: -2} {
		e, err := m.Explain([]score.Value{score.Number(50), score.Text("DE"), score.Number(prior)})
		if err != nil || e.Logit != 2.75+want || e.Columns[2].Logit != want || m.Beyond(2, score.Number(prior)) != (prior != want) {
			t.Errorf("%g: %+v, %v", prior, e, err)
		}
	}
	for text, want := range map[string]string{
		`{"age":1,"land":"DE"}`:                 `column "prior": the record doesn't have it`,
		`{"age":1,"land":"DE","prior":null}`:    `column "prior": the value is missing`,
		`{"age":1,"land":"DE","prior":"high"}`:  `column "prior": want a number, got "high"`,
		`{"age":1,"land":"DE","prior":"0x1p2"}`: `column "prior": want a number`,
	} {
		row, err := m.RowJSON([]byte(text))
		if err == nil {
			_, err = m.Score(row)
		}
		var told *score.RecordError
		if !errors.As(err, &told) || !strings.Contains(err.Error(), want) || told.Hint == "" {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestHostileOffsetsNameTheField(t *testing.T) {
	const offset = `"offset":{"name":"prior","min":-2,"max":3}`
	for _, c := range []struct{ old, new, want string }{
		{offset, `"offset":"prior"`, "offset: want an object"}, {offset, `"offset":null`, "offset: want an object"}, {offset, `"offset":{}`, "offset.name: missing"},
		{`"min":-2`, `"min":3`, "offset.min: 3 is not below"}, {`"min":-2`, `"min":-1001`, "offset.min: -1001 is not within"}, {`"max":3}`, `"max":1e4}`, "offset.max: 10000 is not within"},
		{`"min":-2,`, ``, "offset.min: missing"}, {`"min":-2`, `"min":-2,"min":-1`, "offset.min: twice"}, {`"min":-2`, `"min":-2,"log1p":true`, "offset.log1p: unknown key"},
		{`"prior"`, `"age"`, `offset.name: column "age" is a feature`}, {`"prior"`, `""`, "offset.name: want 1 to"}, {`"prior"`, `"a\u0007"`, "offset.name: want 1 to"}, {`"prior"`, `7`, "offset.name: want a string"},
		{`"l2":1`, `"private":true,"unit_norm":true`, "offset: not of this type"},
	} {
		refused(t, shifted, c.old, c.new, c.want)
	}
	refused(t, classed, `"l2":1`, offset, "offset: not of this type")
	refused(t, strings.NewReplacer(`"type":"logistic_regression"`, `"type":"factorization_machine","factors":1`, `"coefficient"`, `"factor":[1],"coefficient"`).Replace(small), `"l2":1`, offset, "offset: not of this type")
}
