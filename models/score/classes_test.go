package score_test

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
	"tributary/models/score"
)

const lbfgs = `{"type":"multinomial_logistic_regression","l2":1,"solver":"lbfgs","max_rounds":60,"tolerance":1e-8}`

// graded is a generated table whose label has three classes.
func graded(n int, seed uint64) *dataset.Table {
	t := generated(n, seed)
	age, _ := t.Column("age")
	t.Classes = []string{"bronze", "silver", "gold"}
	for i, positive := range t.Label {
		class := int32(0)
		switch {
		case positive && i%4 > 0:
			class = 2
		case age.Numbers[i] > 60:
			class = 1
		}
		t.Class = append(t.Class, class)
	}
	t.Label = nil
	return t
}

func multinomial(t testing.TB) *optim.Program {
	t.Helper()
	document, err := exact(t, newton).Document()
	if err != nil {
		t.Fatal(err)
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(document, &keys); err != nil {
		t.Fatal(err)
	}
	keys["model"], keys["evaluate"] = json.RawMessage(lbfgs), json.RawMessage(`{"holdout":true,"metrics":["log_loss","accuracy"]}`)
	keys["label"] = json.RawMessage(`{"classes":["bronze","silver","gold"],"min_rows":20}`)
	if document, err = json.Marshal(keys); err != nil {
		t.Fatal(err)
	}
	return program(t, string(document))
}

// The exported document gives raw records the probabilities that the training code gives its table, and predicts for the held-out
// rows what their evaluation counted.
func TestClassScoresAreTheParticipants(t *testing.T) {
	table, p := graded(6_000, 11), multinomial(t)
	s, m := trained(t, p, table)
	if !slices.Equal(m.Classes, table.Classes) {
		t.Fatalf("classes %q", m.Classes)
	}
	want, err := linear.ClassScores(p, s, table)
	if err != nil {
		t.Fatal(err)
	}
	worst, confusion := 0.0, make([]int64, 9)
	for i := range table.Rows {
		row, err := m.Row(record(table, i))
		if err != nil {
			t.Fatal(err)
		}
		got, predicted := classified(t, m, row)
		for k, p := range got {
			worst = max(worst, math.Abs(p-want[i][k]))
		}
		if table.Held(i) {
			confusion[3*int(table.Class[i])+predicted]++
		}
	}
	t.Logf("probabilities differ by %.2g at most; held-out rows by class and predicted class %v", worst, confusion)
	if worst > 1e-12 || !slices.Equal(confusion, s.Confusion()) || slices.Max(confusion) == slices.Min(confusion) {
		t.Errorf("differ by %g; confusion %v, evaluation counted %v", worst, confusion, s.Confusion())
	}
}

// The document of a private model of classes scales rows to norm 1, as its training did.
func TestPrivateClassScoresAreTheParticipants(t *testing.T) {
	document, err := private(t).Document()
	if err != nil {
		t.Fatal(err)
	}
	p := program(t, strings.NewReplacer(`"version":1`, `"version":1,"label":{"classes":["bronze","silver","gold"],"min_rows":1}`, `"metrics":["auc"]`, `"metrics":["accuracy"]`, `"type":"logistic_regression"`, `"type":"multinomial_logistic_regression"`,
		`"solver":"dp_gradient_descent"`, `"solver":"dp_sgd","sampling":{"rate_num":1,"rate_den":1,"learning_rate":2,"momentum":0.5}`).Replace(string(document)))
	table := graded(2_000, 12)
	s, m := trained(t, p, table)
	want, err := linear.ClassScores(p, s, table)
	if err != nil || !m.Private {
		t.Fatal(err)
	}
	worst := 0.0
	for i := range table.Rows {
		row, err := m.Row(record(table, i))
		if err != nil {
			t.Fatal(err)
		}
		got, _ := classified(t, m, row)
		for k, p := range got {
			worst = max(worst, math.Abs(p-want[i][k]))
		}
	}
	if t.Logf("probabilities differ by %.2g at most", worst); !(worst <= 1e-14) {
		t.Errorf("probabilities differ by %g", worst)
	}
}

// privateMachine is private as a factorization machine, all rows in each batch.
func privateMachine(t testing.TB) *optim.Program {
	t.Helper()
	document, err := private(t).Document()
	if err != nil {
		t.Fatal(err)
	}
	return program(t, strings.NewReplacer(`"type":"logistic_regression"`, `"type":"factorization_machine"`, `"max_rounds":4`, `"max_rounds":40,"factors":3`,
		`"solver":"dp_gradient_descent"`, `"solver":"dp_sgd","sampling":{"rate_num":1,"rate_den":1,"learning_rate":4,"momentum":0.5,"seed":"3"}`).Replace(string(document)))
}

// classified classifies a row, and holds the result to its explanation.
func classified(t *testing.T, m *score.Model, row []score.Value) ([]float64, int) {
	t.Helper()
	got, predicted, err := m.Classify(row)
	if err != nil {
		t.Fatal(err)
	}
	classes, explained, err := m.ExplainClasses(row)
	if err != nil || explained != predicted || len(classes) != len(got) || len(got) != len(m.Classes) {
		t.Fatalf("%d classes explained as %d, %v", len(got), len(classes), err)
	}
	total, largest := 0.0, 0
	for k, e := range classes {
		sum, size := e.Intercept, math.Abs(e.Intercept)
		for i, c := range e.Columns {
			if c.Column != m.Columns()[i].Name {
				t.Fatalf("column %d is %s", i, c.Column)
			}
			sum, size = sum+c.Logit, size+math.Abs(c.Logit)
		}
		if math.Abs(sum-e.Logit) > 1e-14*(1+size) || e.Probability != got[k] || len(e.Pairs) > 0 {
			t.Fatalf("class %d: contributions add up to %.17g, the logit is %.17g; probability %g explained as %g", k, sum, e.Logit, got[k], e.Probability)
		}
		if e.Logit > classes[largest].Logit {
			largest = k
		}
		total += e.Probability
	}
	if math.Abs(total-1) > 1e-12 || predicted != largest {
		t.Fatalf("probabilities %v add up to %g; predicted %d", got, total, predicted)
	}
	return got, predicted
}

// classed is small with three classes.
var classed = strings.NewReplacer(
	`"type":"logistic_regression"`, `"type":"multinomial_logistic_regression","classes":["a","b","c"]`, `"intercept":0.5`, `"intercepts":[0.5,0,0.5]`,
	`"coefficient":2`, `"coefficients":[2,0,2]`, `"coefficient":-1`, `"coefficients":[-1,1,-1]`, `"coefficient":0.25`, `"coefficients":[0.25,0.5,0.25]`,
	`"coefficient":0,`, `"coefficients":[0,0,0],`, `"coefficient":0}`, `"coefficients":[0,0,0]}`, `"coefficient":0.75`, `"coefficients":[0.75,1,0.75]`).Replace(small)

func TestClassesByHand(t *testing.T) {
	m, err := score.Parse([]byte(classed))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		age, land score.Value
		logits    []float64
		predicted int // the first of equal ones
	}{
		{score.Number(50), score.Text("DE"), []float64{2.75, 0.5, 2.75}, 0}, {score.Value{}, score.Text("FR"), []float64{0.25, 2, 0.25}, 1}, {score.Number(40), score.Text("x"), []float64{1.25, 1, 1.25}, 0},
	} {
		got, predicted := classified(t, m, []score.Value{c.age, c.land})
		total := 0.0
		for _, l := range c.logits {
			total += math.Exp(l)
		}
		for k, l := range c.logits {
			if math.Abs(got[k]-math.Exp(l)/total) > 1e-15 {
				t.Errorf("%v %v: %v, want the logits %v", c.age, c.land, got, c.logits)
			}
		}
		if predicted != c.predicted {
			t.Errorf("%v %v: predicted %d", c.age, c.land, predicted)
		}
	}
	row := []score.Value{score.Number(1), score.Text("DE")}
	_, scored := m.Score(row)
	_, explained := m.Explain(row)
	_, batch := m.Batch([][]score.Value{row})
	_, _, classes := small1(t).Classify(row)
	_, _, explainedClasses := small1(t).ExplainClasses(row)
	for i, err := range []error{scored, explained, batch, classes, explainedClasses} {
		if !errors.Is(err, score.ErrLabel) {
			t.Errorf("%d: %v", i, err)
		}
	}
	var told *score.RecordError
	if _, _, err := m.Classify([]score.Value{score.Text("old"), score.Text("DE")}); !errors.As(err, &told) || told.Column != "age" {
		t.Error(err)
	}
	if _, _, err := m.ExplainClasses([]score.Value{score.Number(1), {}}); !errors.As(err, &told) || told.Column != "land" {
		t.Error(err)
	}
}

func TestHostileClassesNameTheField(t *testing.T) {
	const list = `"classes":["a","b","c"]`
	for _, c := range []struct{ old, new, want string }{
		{list + ",", "", "classes: missing"}, {list, `"classes":null`, "classes: want a list"}, {list, `"classes":{"a":1}`, "classes: want a list"},
		{list, `"classes":["a"]`, "classes: 1 classes, want 2 to 256"}, {list, `"classes":["a"` + strings.Repeat(`,"a"`, 256) + `]`, "classes: 257 classes"},
		{list, `"classes":["a","b"]`, "intercepts: 3 numbers, want 2"}, {list, `"classes":["a","b","a"]`, "classes[2]: "}, {list, `"classes":["a","","c"]`, "classes[1]: "},
		{list, `"classes":["a",null,"c"]`, "classes[1]: "}, {list, `"classes":["a",2,"c"]`, "classes[1]: "}, {list, `"classes":["a\u0000","b","c"]`, "classes[0]: "},
		{`multinomial_`, ``, "classes: not of this type"}, {list, list + `,"factors":2`, "factors: not of this type"},
		{list, list + `,"intercept":1`, "intercept: not of this type"}, {`"intercepts":[0.5,0,0.5]`, `"intercept":1`, "intercept: not of this type"},
		{`[0.5,0,0.5]`, `[0.5,0,0.5,1]`, "intercepts: 4 numbers, want 3"}, {`[0.5,0,0.5]`, `[0.5,null,0.5]`, "intercepts[1]: want a number"}, {`[0.5,0,0.5]`, `[0.5,0,1e101]`, "intercepts[2]: want a number"},
		{`"coefficients":[2,0,2]`, `"coefficients":[2,0]`, "columns[0].coefficients: 2 numbers, want 3"}, {`"coefficients":[2,0,2]`, `"coefficient":2`, "columns[0].coefficients: missing"},
		{`"coefficients":[2,0,2]`, `"coefficients":[2,0,2],"coefficient":2`, "columns[0].coefficient: unknown key"}, {`"coefficients":[2,0,2]`, `"coefficients":[2,"0",2]`, "columns[0].coefficients[1]: want a number"},
		{`"coefficients":[-1,1,-1]`, `"coefficients":7`, "columns[1].coefficients: want a list"},
	} {
		refused(t, classed, c.old, c.new, c.want)
	}
}
