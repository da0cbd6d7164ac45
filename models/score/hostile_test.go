package score_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"tributary/models/dataset"
	"tributary/models/optim"
	"tributary/models/score"
)

// Each edit of a good document is refused, and the message names the field.
func TestHostileDocumentsNameTheField(t *testing.T) {
	const fm = `"type":"factorization_machine","factors":1`
	for _, c := range []struct{ old, new, want string }{
		{`{"format"`, `[{"format"`, "document: want an object"},
		{`"metrics":{"anything":[1]}}`, `"metrics":{"anything":[1]}}{}`, "document: data after"},
		{`"metrics":{"anything":[1]}}`, `"metrics":{"anything":[1`, "metrics: not JSON"},
		{`"format":"tributary-model"`, `"format":"pickle"`, "format: "},
		{`"format":"tributary-model",`, ``, "format: missing"},
		{`"version":1`, `"version":2`, "version: 2 is not within"},
		{`"version":1`, `"version":1,"version":1`, "version: twice"},
		{`"version":1`, `"Version":1`, "version: missing"},
		{`"version":1`, `"version":"1"`, "version: want an integer"},
		{`"type":"logistic_regression"`, `"type":"neural_network"`, "type: want"},
		{`"type":"logistic_regression"`, `"type":null`, "type: want a string"},
		{`"type":"logistic_regression"`, fm, "columns[0].factor: missing"},
		{`"type":"logistic_regression"`, strings.Replace(fm, ":1", ":257", 1), "factors: 257"},
		{`"type":"logistic_regression"`, fm + `,"unit_norm":true`, "unit_norm: not of this type"},
		{`"l2":1`, `"l2":1,"factors":2`, "factors: not of this type"},
		{`"l2":1`, `"l2":1,"classes":["a","b"]`, "classes: not of this type"},
		{`"l2":1`, `"l2":1,"intercepts":[1,2]`, "intercepts: not of this type"},
		{`"coefficient":2`, `"coefficients":[2,3]`, "columns[0].coefficient: missing"},
		{`"l2":1`, `"l2":1,"softmax":true`, "softmax: unknown key"},
		{`"intercept":0.5`, `"intercept":1e400`, "intercept: want a number"},
		{`"intercept":0.5`, `"intercept":1e101`, "intercept: 1e+101 is not within"},
		{`"intercept":0.5`, `"intercept":NaN`, "intercept: not JSON"},
		{`"columns":[`, `"columns":[null,`, "columns[0]: want an object"},
		{`"columns":[`, `"columns":7,"x":[`, "x: unknown key"},
		{`"columns":[`, `"columns":[` + strings.Repeat("{},", 1<<19), "columns: 524293 columns"},
		{`"name":"age"`, `"name":"Age"`, `columns[0].name: want "age"`},
		{`"feature":"age","role":"number"`, `"feature":"","role":"number"`, "columns[0].feature: want 1 to"},
		{`"feature":"age","role":"number"`, `"feature":"a\u0007","role":"number"`, "columns[0].feature: want 1 to"},
		{`"feature":"age","role":"missing"`, `"feature":"old","role":"missing"`, "columns[1].role: "},
		{`"role":"number"`, `"role":"missing"`, "columns[0].role: "},
		{`"role":"number"`, `"role":"bin"`, "columns[0].role: want"},
		{`"role":"missing"`, `"role":"value","value":"x"`, "columns[1].role: a value after"},
		{`"role":"missing"`, `"role":"other"`, "columns[1].role: "},
		{`"role":"missing"`, `"role":"number"`, "columns[1].feature: "},
		{`"min":0`, `"min":100`, "columns[0].number.min: 100 is not below"},
		{`"log1p":false`, `"log1p":1`, "columns[0].number.log1p: want true or false"},
		{`"min":0,"max":100,"log1p":false`, `"min":-1,"max":100,"log1p":true`, "columns[0].number.min: log1p"},
		{`"sd":10`, `"sd":0`, "columns[0].number.sd: 0 is not above"},
		{`"sd":10`, `"sd":10,"bins":4`, "columns[0].number.bins: unknown key"},
		{`"sd":10,`, ``, "columns[0].number.sd: missing"},
		{`"clip":3`, `"clip":-3`, "columns[0].number.clip: "},
		{`"nullable":true`, `"nullable":"yes"`, "columns[0].nullable: want true or false"},
		{`"folded":false,"coefficient":2`, `"coefficient":2`, "columns[0].folded: missing"},
		{`"coefficient":2`, `"coefficient":null`, "columns[0].coefficient: want a number"},
		{`"coefficient":2`, `"coefficient":2,"factor":[1]`, "columns[0].factor: unknown key"},
		{`"value":"FR"`, `"value":"DE"`, "columns[3].value: "},
		{`"value":"FR"`, `"value":""`, "columns[3].value: "},
		{`"role":"other","folded":false`, `"role":"other","folded":true`, "columns[4].role: "},
		{`,
{"name":"land=other","feature":"land","role":"other","folded":false,"coefficient":0.75}`, ``, `columns: category "land" has no column of role other`},
		{`"name":"land=other","feature":"land"`, "\"name\":\"\xff\",\"feature\":\"land\"", "not UTF-8"},
	} {
		refused(t, small, c.old, c.new, c.want)
	}
	if _, err := score.Parse(make([]byte, score.MaxDocument+1)); !errors.Is(err, score.ErrModel) {
		t.Error(err)
	}
}

// refused wants an edit of a document to be refused with a message that has the field.
func refused(t *testing.T, document, before, after, want string) {
	t.Helper()
	text := strings.Replace(document, before, after, 1)
	if text == document {
		t.Errorf("no %s in the document", before)
	}
	if _, err := score.Parse([]byte(text)); !errors.Is(err, score.ErrModel) || !strings.Contains(err.Error(), ": "+want) {
		t.Errorf("%.60s: %v, want %s", after, err, want)
	}
}

// What parses scores every record to a probability, whatever the numbers in it.
func FuzzParse(f *testing.F) {
	f.Add([]byte(small))
	f.Add([]byte(classed))
	f.Add([]byte(crossedByHand))
	f.Add([]byte(shifted))
	f.Add([]byte(hashed))
	f.Add([]byte(strings.NewReplacer(`"type":"logistic_regression"`, `"type":"factorization_machine","factors":2`, `"coefficient"`, `"factor":[1e50,-1e50],"coefficient"`).Replace(small)))
	f.Add([]byte(strings.NewReplacer(`"l2":1`, `"private":true,"unit_norm":true`, `"standardize":true`, `"standardize":false,"scale":false`, `100`, `1e18`).Replace(small)))
	for _, c := range []struct {
		p     *optim.Program
		table *dataset.Table
	}{{allTransforms(f, newton), dated(3_000, 9)}, {numbers(f, machine), spending(1_000, 9)}} {
		s, _ := trained(f, c.p, c.table)
		document, err := optim.Export(c.p, s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(document)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := score.Parse(data)
		if err != nil {
			if !errors.Is(err, score.ErrModel) {
				t.Error(err)
			}
			return
		}
		for _, x := range []float64{-1e300, 0, 1e300} {
			var row []score.Value
			for _, c := range m.Columns() {
				v := score.Number(x)
				switch {
				case len(c.Values) > 0:
					v = score.Text(c.Values[0])
				case c.Buckets > 0:
					v = score.Text("Bern")
				case c.Date:
					v = score.Text("2016-02-29")
				}
				row = append(row, v)
			}
			if m.Target != nil {
				if e, err := m.ExplainNumber(row); err != nil || !(e.Prediction >= m.Target.Min && e.Prediction <= m.Target.Max) {
					t.Errorf("%+v, %v", e, err)
				}
				continue
			}
			if m.Classes != nil {
				classified(t, m, row)
				continue
			}
			e, err := m.Explain(row)
			if err != nil || math.IsNaN(e.Logit) || !(e.Probability >= 0 && e.Probability <= 1) {
				t.Errorf("%+v, %v", e, err)
			}
		}
	})
}

func BenchmarkScore(b *testing.B) {
	m := small1(b)
	row := []score.Value{score.Number(50), score.Text("DE")}
	for b.Loop() {
		if _, err := m.Score(row); err != nil {
			b.Fatal(err)
		}
	}
}
