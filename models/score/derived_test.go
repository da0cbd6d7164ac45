package score_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"tributary/models/dataset"
	"tributary/models/local"
	"tributary/models/optim"
	"tributary/models/score"
)

const (
	sinceDate = `"date":{"column":"since","part":%q,"first":"2015-03-01","last":"2020-12-31"}`
	dateOf    = `{"name":"since.%s","kind":"date_part","nullable":true,"missing_indicator":%t,"min_count":%d,` + sinceDate + `}`
)

// allTransforms has each transform of numbers and dates.
func allTransforms(t testing.TB, model string) *optim.Program {
	t.Helper()
	clip := strings.Replace(fmt.Sprintf(number, "income", 0, 1e7, true, true, true, 64, true), "}", `,"clip_quantiles":[0.01,0.95]}`, 1)
	features := []string{
		clip,
		strings.NewReplacer("income", "debt", `"log1p":true`, `"log1p":false`, "[0.01,0.95]", "[0,0.9]", `"min":0`, `"min":-1000`).Replace(clip),
		`{"name":"age","kind":"buckets","min":16,"max":110,"nullable":false,"missing_indicator":false,"min_count":20,"quantiles":5}`,
		`{"name":"visits","kind":"buckets","min":-5,"max":1000,"nullable":true,"missing_indicator":true,"min_count":20,"edges":[0,1,10,999]}`,
		`{"name":"since.days","kind":"buckets","min":0,"max":2132,"nullable":true,"missing_indicator":true,"min_count":20,"quantiles":3,` + fmt.Sprintf(sinceDate, "days") + `}`,
	}
	for _, part := range []string{"year", "month", "weekday", "hour", "day"} {
		features = append(features, fmt.Sprintf(dateOf, part, part == "month", 40, part))
	}
	return program(t, `{"version":1,"contributors":1,"bits":40,"max_rows":100000,"features":[`+strings.Join(features, ",")+`],"model":`+model+`,"evaluate":{"holdout":true,"metrics":["auc"]}}`)
}

// privateTransforms has the same in a private job: what is fitted is so from counts.
func privateTransforms(t testing.TB, exact *optim.Program) *optim.Program {
	t.Helper()
	data, err := exact.Document()
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	for i, f := range doc["features"].([]any) {
		f := f.(map[string]any)
		if delete(f, "min_count"); f["kind"] == "number" {
			f["scale"], f["clip"] = true, 3
			if i == 1 { // by its bounds
				delete(f, "standardize")
				delete(f, "clip")
			}
		}
	}
	doc["model"] = map[string]any{"type": "logistic_regression", "l2": 1, "solver": "dp_gradient_descent", "max_rounds": 12}
	doc["private"] = map[string]any{"unit": "record", "clip": 1, "scale": 16384, "sigma2_sketch": "1", "sigma2_fit": "1", "sigma2_train": "1", "sigma2_evaluate": "1", "bins": 50}
	if data, err = json.Marshal(doc); err != nil {
		t.Fatal(err)
	}
	return program(t, string(data))
}

// dated are rows for it, with values at the edges of bins and buckets, beyond bounds, and missing.
func dated(n int, seed uint64) *dataset.Table {
	r := rand.New(rand.NewPCG(seed, 3))
	t := &dataset.Table{Rows: n}
	columns := map[string][]float64{}
	add := func(name string, x float64, missing bool) {
		if missing {
			x = math.NaN()
		}
		columns[name] = append(columns[name], x)
	}
	first := float64(time.Date(2015, 3, 1, 0, 0, 0, 0, time.UTC).Unix())
	for i := range n {
		missing, age := r.IntN(10) == 0, math.Floor(16+94*r.Float64())
		income := min(1000/(1e-9+r.Float64()), 1e7)
		debt := math.Ldexp(1+float64(r.IntN(32))/32, r.IntN(23)) - 1000
		visits := float64([]int{-5, -1, 0, 1, 2, 9, 10, 11, 998, 999, 1000}[r.IntN(11)])
		if i%700 == 0 {
			visits = -5
		}
		since := first + math.Floor(r.Float64()*2000*86400)
		add("income", income, missing)
		add("debt", debt, missing)
		add("age", age, false)
		add("visits", visits, r.IntN(12) == 0)
		add("since", since, missing)
		m := -1 + 0.03*(age-50) + math.Log(income)/5 - float64(time.Unix(int64(since), 0).UTC().Month())/6 + visits/1000
		t.Label, t.HeldOut = append(t.Label, r.Float64() < 1/(1+math.Exp(-m))), append(t.HeldOut, i%5 == 4)
	}
	for _, name := range []string{"since", "income", "debt", "age", "visits"} {
		t.Columns = append(t.Columns, dataset.Column{Name: name, Numbers: columns[name]})
	}
	return t
}

func datedRecord(table *dataset.Table, row int) map[string]score.Value {
	out := record(table, row)
	since, _ := table.Column("since")
	if out["since"] = (score.Value{}); since.Numbers[row] == since.Numbers[row] {
		out["since"] = score.Text(time.Unix(int64(since.Numbers[row]), 0).UTC().Format(time.RFC3339))
	}
	return out
}

// An exported model with all transforms scores raw records as the participant's own code scores its table.
func TestTransformsScoreAsTheyAreTrained(t *testing.T) {
	table := dated(6_000, 7)
	newtons := allTransforms(t, newton)
	for name, p := range map[string]*optim.Program{"newton": newtons, "machine": allTransforms(t, machine), "private": privateTransforms(t, newtons)} {
		t.Run(name, func(t *testing.T) {
			s, m := trained(t, p, table)
			want, err := local.Score(p, s, table)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, c := range m.Columns() {
				names = append(names, c.Name)
			}
			if want := []string{"income", "debt", "age", "visits", "since"}; !slices.Equal(names, want) || len(m.Terms()) != 10 {
				t.Errorf("columns %q, features %q", names, m.Terms())
			}
			worst, low, high := 0.0, 1.0, 0.0
			for i := range table.Rows {
				row, err := m.Row(datedRecord(table, i))
				if err != nil {
					t.Fatal(err)
				}
				got, err := m.Score(row)
				if err != nil {
					t.Fatal(err)
				}
				worst, low, high = max(worst, math.Abs(got-want[i])), min(low, got), max(high, got)
				if i%100 == 0 {
					explained(t, m, row)
				}
			}
			if worst > 1e-12 || high-low < 0.5 {
				t.Errorf("differ by %g; probabilities from %g to %g", worst, low, high)
			}
		})
	}
}

// Dates are read in the forms that training reads, in UTC; what is no date is told, and what is beyond the contract counted.
func TestDatesOfRecords(t *testing.T) {
	_, m := trained(t, allTransforms(t, newton), dated(3_000, 8))
	row := func(since score.Value) []score.Value {
		return []score.Value{score.Number(1000), score.Number(5), score.Number(40), score.Value{}, since}
	}
	scored := func(since score.Value) float64 {
		p, err := m.Score(row(since))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	same := scored(score.Text("2017-05-03T00:10:00Z"))
	for _, form := range []string{"2017-05-03", "2017-05-03 00:59:59", "2017-05-03T02:10:00+02:00", "2017-05-03 00:10", "2017-05-03T00:00:00.5Z"} {
		if p := scored(score.Text(form)); p != same {
			t.Errorf("%s: %g, want %g", form, p, same)
		}
	}
	if scored(score.Text("2017-06-03")) == same || scored(score.Text("1999-01-01")) != scored(score.Text("2015-03-01")) {
		t.Error("another month scores the same, or a date before the range otherwise than the first")
	}
	for _, bad := range []score.Value{score.Text("03.05.2017"), score.Text("2017-13-01"), score.Number(20170503)} {
		var told *score.RecordError
		if _, err := m.Score(row(bad)); !errors.As(err, &told) || told.Column != "since" {
			t.Errorf("%v: %v", bad, err)
		}
	}
	at := len(m.Columns()) - 1
	if m.Beyond(at, score.Text("2016-01-01")) || !m.Beyond(at, score.Text("2021-01-01")) || m.Beyond(at, score.Value{}) {
		t.Error("beyond")
	}
}

// A document whose buckets don't follow each other, whose dates aren't dates or whose bounds are out of order is refused.
func TestHostileTransformsNameTheField(t *testing.T) {
	p := allTransforms(t, newton)
	s, _ := trained(t, p, dated(3_000, 9))
	document, err := optim.Export(p, s)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, new, field string }{
		{`"part": "month"`, `"part": "day"`, "date.part"},
		{`"part": "month"`, `"part": "week"`, "date.part"},
		{`"first": "2015-03-01"`, `"first": "2015-02-30"`, "date.part"},
		{`"first": "2015-03-01"`, `"first": "2016-03-01"`, "date.part"},
		{`"lowest": `, `"lowest": 9999`, "lowest"},
		{`"highest": `, `"highest": 0.000`, "lowest"},
		{`"to": 10`, `"to": 11`, "bucket.from"},
		{`"to": 10`, `"to": 0.5`, "bucket.to"},
		{`"from": 999`, `"to": 999`, "bucket.from"},
		{`"from": 999`, `"from": 999, "to": 1000`, "role"},
		{`"range": {`, `"rnage": {`, "range"},
		{`"role": "bucket"`, `"role": "value"`, "value"},
	} {
		text := strings.Replace(string(document), c.old, c.new, 1)
		if text == string(document) {
			t.Errorf("%s isn't in the document", c.old)
			continue
		}
		if _, err := score.Parse([]byte(text)); !errors.Is(err, score.ErrModel) || !strings.Contains(err.Error(), c.field) {
			t.Errorf("%s: %v, want %s", c.new, err, c.field)
		}
	}
}

// Where nearly all rows have the range's upper end, which is a bin of its own, a private number's bounds are one value: the column
// carries nothing, and the model is one that scores.
func TestAPrivateNumberOfOneValueCarriesNothing(t *testing.T) {
	document, err := private(t).Document()
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer(`"min":16,"max":110,"nullable":false,"log1p":false,"scale":true,"missing_indicator":false`,
		`"min":0,"max":128,"nullable":false,"log1p":false,"scale":true,"missing_indicator":false,"clip_quantiles":[0.05,0.95]`,
		`"sigma2_fit"`, `"sigma2_sketch":"26843545600","sigma2_fit"`).Replace(string(document))
	p, table := program(t, text), generated(2_000, 9)
	for i := range table.Columns[1].Numbers {
		if table.Columns[1].Numbers[i] = 128; i%50 == 0 {
			table.Columns[1].Numbers[i] = 30
		}
	}
	s, m := trained(t, p, table)
	if lo, hi, ok := p.Pipeline().Bounds(s.Fitted(), 0); !ok || lo != 128 || hi != 128 {
		t.Fatalf("bounds %g..%g", lo, hi)
	}
	want, err := local.Score(p, s, table)
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]score.Value
	for row := range table.Rows {
		values, err := m.Row(record(table, row))
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, values)
	}
	got, err := m.Batch(rows)
	if err != nil {
		t.Fatal(err)
	}
	for row := range got {
		if math.Abs(got[row]-want[row]) > 1e-12 {
			t.Fatalf("row %d: %g, want %g", row, got[row], want[row])
		}
	}
}
