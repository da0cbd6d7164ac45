package score_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"tributary/models/dataset"
	"tributary/models/local"
	"tributary/models/optim"
	"tributary/models/score"
)

// generated has every kind of column, values missing, unlisted, rare (device "watch") and at the bounds.
func generated(n int, seed uint64) *dataset.Table {
	r := rand.New(rand.NewPCG(seed, 1))
	t := &dataset.Table{Rows: n}
	age, basket, raw := make([]float64, n), make([]float64, n), make([]float64, n)
	country, device := make([]int32, n), make([]int32, n)
	for i := range n {
		age[i] = 18 + 92*r.Float64()
		basket[i] = math.Min(math.Exp(3+3*r.NormFloat64()), 10000)
		if r.IntN(10) == 0 {
			basket[i] = math.NaN()
		}
		raw[i] = -3 + 8*r.Float64()
		country[i] = int32(r.IntN(4)) // 3: unlisted
		device[i] = int32(r.IntN(3)) - 1
		if i%500 == 0 {
			device[i] = 2 // too rare for a column of its own
		}
		m := -1 + 0.03*(age[i]-50) + 0.5*raw[i] - 0.4*float64(country[i])
		t.Label = append(t.Label, r.Float64() < 1/(1+math.Exp(-m)))
		t.HeldOut = append(t.HeldOut, i%5 == 4)
	}
	t.Columns = []dataset.Column{
		{Name: "device", Codes: device, Values: []string{"desktop", "mobile", "watch"}},
		{Name: "age", Numbers: age}, {Name: "basket", Numbers: basket},
		{Name: "country", Codes: country, Values: []string{"DE", "FR", "NL"}}, {Name: "raw", Numbers: raw},
	}
	return t
}

const (
	number   = `{"name":%q,"kind":"number","min":%v,"max":%v,"nullable":%t,"log1p":%t,"standardize":%t,"clip":%v,"missing_indicator":%t}`
	category = `{"name":%q,"kind":"category","values":[%s],"nullable":%t,"missing_indicator":%t,"min_count":20}`
)

func exact(t testing.TB, model string) *optim.Program {
	t.Helper()
	features := []string{
		fmt.Sprintf(number, "age", 16, 110, false, false, true, 1.5, false), fmt.Sprintf(number, "basket", 0, 10000, true, true, true, 64, true),
		fmt.Sprintf(category, "country", `"DE","FR","NL"`, false, false), fmt.Sprintf(number, "raw", -3, 5, false, false, false, 64, false),
		fmt.Sprintf(category, "device", `"desktop","mobile","watch"`, true, true),
	}
	return program(t, `{"version":1,"contributors":1,"bits":40,"max_rows":100000,"features":[`+strings.Join(features, ",")+`],"model":`+model+`,"evaluate":{"holdout":true,"metrics":["auc"]}}`)
}

func private(t testing.TB) *optim.Program {
	t.Helper()
	const scaled = `{"name":%q,"kind":"number","min":%v,"max":%v,"nullable":%t,"log1p":%t,"scale":true,"missing_indicator":%t}`
	features := []string{fmt.Sprintf(scaled, "age", 16, 110, false, false, false), fmt.Sprintf(scaled, "basket", 0, 10000, true, true, true),
		strings.Replace(fmt.Sprintf(category, "device", `"desktop","mobile","watch"`, true, true), `,"min_count":20`, "", 1)}
	return program(t, `{"version":1,"contributors":10,"bits":40,"max_rows":5000000,"features":[`+strings.Join(features, ",")+`],"model":{"type":"logistic_regression","l2":1,"solver":"dp_gradient_descent","max_rounds":4},
		"private":{"unit":"record","clip":1,"scale":16384,"sigma2_fit":"26843545600","sigma2_train":"85899345920","sigma2_evaluate":"107374182400","bins":50},"evaluate":{"holdout":true,"metrics":["auc"]}}`)
}

func program(t testing.TB, document string) *optim.Program {
	t.Helper()
	p, err := optim.ParseProgram([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const (
	newton  = `{"type":"logistic_regression","l2":1,"solver":"newton","max_rounds":8,"tolerance":1e-8}`
	machine = `{"type":"factorization_machine","l2":0.1,"solver":"fedavg","max_rounds":6,"tolerance":0,"factors":5,"averaging":{"epochs":2,"batch":1,"optimizer":"adagrad","learning_rate":0.1,"server_rate":1,"patience":3,"seed":"7"}}`
)

// trained gives the final state and the model as it is exported.
func trained(t testing.TB, p *optim.Program, table *dataset.Table) (*optim.State, *score.Model) {
	t.Helper()
	rounds, err := local.New(p, table)
	if err != nil {
		t.Fatal(err)
	}
	s := p.Initial()
	for s.Kind() != optim.Done {
		var sums [][]float64
		if p.Private() {
			sums = [][]float64{make([]float64, p.Layout(s.Kind())[0].Length)}
			rows, err := rounds.Contributions(s, nil)
			if err != nil {
				t.Fatal(err)
			}
			for lanes, values := range rows {
				for i, lane := range lanes {
					sums[0][lane] += math.Round(values[i])
				}
			}
		} else if sums, err = rounds.Sums(s); err != nil {
			t.Fatal(err)
		}
		if s, _, err = p.Apply(s, sums); err != nil {
			t.Fatal(err)
		}
	}
	document, err := optim.Export(p, s)
	if err != nil {
		t.Fatal(err)
	}
	m, err := score.Parse(document)
	if err != nil {
		t.Fatalf("%v\n%s", err, document)
	}
	return s, m
}

func record(table *dataset.Table, row int) map[string]score.Value {
	out := map[string]score.Value{"customer": score.Text("7")}
	for _, c := range table.Columns {
		switch {
		case c.Numbers != nil:
			out[c.Name] = score.Number(c.Numbers[row])
		case c.Buckets > 0: // the table doesn't have its texts
		case c.Codes[row] < 0:
			out[c.Name] = score.Value{}
		case int(c.Codes[row]) == len(c.Values):
			out[c.Name] = score.Text("somewhere")
		default:
			out[c.Name] = score.Text(c.Values[c.Codes[row]])
		}
	}
	return out
}

// The exported document scores raw records as the participant's own code scores its table, and explains them to the last bit that
// a sum keeps.
func TestScoresAreTheParticipants(t *testing.T) {
	table := generated(6_000, 7)
	for name, p := range map[string]*optim.Program{"newton": exact(t, newton), "machine": exact(t, machine), "private": private(t), "private machine": privateMachine(t)} {
		t.Run(name, func(t *testing.T) {
			s, m := trained(t, p, table)
			if m.Private != p.Private() || m.Type != p.Model.Type || m.Factors != p.Model.Factors {
				t.Errorf("type %s, %d factors, private %t", m.Type, m.Factors, m.Private)
			}
			want, err := local.Score(p, s, table)
			if err != nil {
				t.Fatal(err)
			}
			var rows [][]score.Value
			low, high := 1.0, 0.0
			for i := range table.Rows {
				row, err := m.Row(record(table, i))
				if err != nil {
					t.Fatal(err)
				}
				rows = append(rows, row)
				explained(t, m, row)
			}
			got, err := m.Batch(rows)
			if err != nil {
				t.Fatal(err)
			}
			worst := 0.0
			for i, p := range got {
				worst, low, high = max(worst, math.Abs(p-want[i])), min(low, p), max(high, p)
			}
			if worst > 1e-12 || high-low < 0.5 {
				t.Errorf("differ by %g; probabilities from %g to %g", worst, low, high)
			}
		})
	}
}

func explained(t *testing.T, m *score.Model, row []score.Value) {
	t.Helper()
	e, err := m.Explain(row)
	if err != nil {
		t.Fatal(err)
	}
	p, err := m.Score(row)
	if err != nil || p != e.Probability {
		t.Fatalf("%g explained as %g, %v", p, e.Probability, err)
	}
	sum, size := e.Intercept, math.Abs(e.Intercept)
	for i, c := range e.Columns {
		if c.Column != m.Terms()[i] {
			t.Fatalf("column %d is %s", i, c.Column)
		}
		sum, size = sum+c.Logit, size+math.Abs(c.Logit)
	}
	for _, pair := range e.Pairs {
		sum, size = sum+pair.Logit, size+math.Abs(pair.Logit)
	}
	if math.Abs(sum-e.Logit) > 1e-14*(1+size)*float64(1+m.Factors) || (len(e.Pairs) > 0) != (m.Factors > 0) {
		t.Fatalf("contributions add up to %.17g, the logit is %.17g; %d pairs", sum, e.Logit, len(e.Pairs))
	}
}

const small = `{"format":"tributary-model","version":1,"type":"logistic_regression","l2":1,"intercept":0.5,"columns":[
{"name":"age","feature":"age","role":"number","number":{"min":0,"max":100,"log1p":false,"standardize":true,"mean":40,"sd":10,"clip":3},"nullable":true,"folded":false,"coefficient":2},
{"name":"age:missing","feature":"age","role":"missing","folded":false,"coefficient":-1},
{"name":"land=DE","feature":"land","role":"value","value":"DE","folded":false,"coefficient":0.25},
{"name":"land=FR","feature":"land","role":"value","value":"FR","folded":true,"coefficient":0},
{"name":"land=other","feature":"land","role":"other","folded":false,"coefficient":0.75}],
"training_rows":10,"train_rounds":1,"converged":true,"metrics":{"anything":[1]}}`

func small1(t testing.TB) *score.Model {
	t.Helper()
	m, err := score.Parse([]byte(small))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestLogitsByHand(t *testing.T) {
	m := small1(t)
	for _, c := range []struct {
		age, land score.Value
		want      float64
	}{
		{score.Number(50), score.Text("DE"), 0.5 + 2 + 0.25}, {score.Text("35"), score.Text("DE"), 0.5 - 1 + 0.25}, {score.Number(1e9), score.Text("DE"), 0.5 + 6 + 0.25},
		{score.Value{}, score.Text("DE"), 0.5 - 1 + 0.25}, {score.Text(""), score.Text("FR"), 0.5 - 1 + 0.75}, {score.Number(math.NaN()), score.Text("de"), 0.5 - 1 + 0.75},
	} {
		e, err := m.Explain([]score.Value{c.age, c.land})
		if err != nil || math.Abs(e.Logit-c.want) > 1e-15 || math.Abs(e.Probability-1/(1+math.Exp(-c.want))) > 1e-15 {
			t.Errorf("%v %v: %+v, %v; want %g", c.age, c.land, e, err, c.want)
		}
	}
}

func TestBeyondIsWhatIsScoredAsAnother(t *testing.T) {
	m := small1(t)
	for _, c := range []struct {
		column int
		value  score.Value
		want   bool
	}{{0, score.Number(0), false}, {0, score.Number(100), false}, {0, score.Number(-1e-9), true}, {0, score.Text("101"), true}, {0, score.Text("x"), false}, {0, score.Value{}, false},
		{1, score.Text("DE"), false}, {1, score.Text("FR"), false}, {1, score.Text("de"), true}, {1, score.Value{}, false}} {
		if got := m.Beyond(c.column, c.value); got != c.want {
			t.Errorf("column %d, %v: %t", c.column, c.value, got)
		}
	}
}

func TestBadRecordsNameTheColumn(t *testing.T) {
	m := small1(t)
	for text, want := range map[string]string{
		`{"land":"DE"}`:                `column "age": the record doesn't have it`,
		`{"age":1,"land":null}`:        `column "land": the value is missing`,
		`{"age":1,"land":3}`:           `column "land": want a category`,
		`{"age":"old","land":"DE"}`:    `column "age": want a number, got "old"`,
		`{"age":"0x10","land":"DE"}`:   `column "age": want a number`,
		`{"age":"inf","land":"DE"}`:    `column "age": want a number`,
		`{"age":"1e999","land":"DE"}`:  `column "age": want a number`,
		`{"age":"1,5","land":"DE"}`:    `column "age": want a number`,
		`{"age":true,"land":"DE"}`:     `column "age": want a number, a string or null`,
		`{"age":[1],"land":"DE"}`:      `column "age": want a number, a string or null`,
		`{"age":{"a":1},"land":"DE"}`:  `column "age": want a number, a string or null`,
		`{"age":1e999,"land":"DE"}`:    `column "age": want a number, a string or null`,
		`{"AGE":1,"land":"DE","x":[]}`: `column "age": the record doesn't have it`,
		`{"age":1,"age":2,"land":"D"}`: "record.age: twice",
		`[1]`:                          "record: want an object",
		`{"age":1,"land":"DE"`:         "record: not JSON",
	} {
		row, err := m.RowJSON([]byte(text))
		if err == nil {
			_, err = m.Score(row)
		}
		var told *score.RecordError
		if !errors.As(err, &told) {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	if _, err := m.Score([]score.Value{score.Number(math.Inf(1)), score.Text("DE")}); err == nil || !strings.Contains(err.Error(), "finite") {
		t.Error(err)
	}
	if row, err := m.RowJSON([]byte(` {"land":"FR","age":null,"other":[1,{}]} `)); err != nil || row[0] != (score.Value{}) || row[1] != score.Text("FR") {
		t.Error(row, err)
	}
	if _, err := m.Row(map[string]score.Value{"age": {}}); err == nil || !strings.Contains(err.Error(), `column "land": the record doesn't have it`) {
		t.Error(err)
	}
	if _, err := m.Score(nil); err == nil {
		t.Error("an empty row scores")
	}
	if _, err := m.Batch([][]score.Value{{score.Number(1), score.Text("DE")}, {score.Number(1), {}}}); err == nil || !strings.Contains(err.Error(), `row 2: column "land"`) {
		t.Error(err)
	}
}
