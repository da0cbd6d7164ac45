package score_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"tributary/models/dataset"
	"tributary/models/local"
	"tributary/models/optim"
	"tributary/models/score"
)

// spending is a generated table whose label is a number.
func spending(n int, seed uint64) *dataset.Table {
	t := generated(n, seed)
	age, _ := t.Column("age")
	raw, _ := t.Column("raw")
	t.Target = make([]float64, n)
	for i, positive := range t.Label {
		t.Target[i] = 100 + 5*(age.Numbers[i]-60) + 20*raw.Numbers[i]
		if positive {
			t.Target[i] += 30
		}
		t.Target[i] = min(max(t.Target[i], 0), 300) // as a contract clips
	}
	t.Label = nil
	return t
}

func numbers(t testing.TB, model string) *optim.Program {
	t.Helper()
	document, err := exact(t, newton).Document()
	if err != nil {
		t.Fatal(err)
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(document, &keys); err != nil {
		t.Fatal(err)
	}
	keys["model"], keys["evaluate"] = json.RawMessage(model), json.RawMessage(`{"holdout":true,"metrics":["rmse","mae","r2"]}`)
	keys["label"] = json.RawMessage(`{"min":0,"max":300}`)
	if document, err = json.Marshal(keys); err != nil {
		t.Fatal(err)
	}
	return program(t, string(document))
}

// The exported document predicts for raw records what the training code does for its table, in the label's unit and range, and
// explains it to the last bit that a sum keeps. The document's metrics are those of the predictions.
func TestNumbersAreTheParticipants(t *testing.T) {
	table := spending(6_000, 13)
	for _, model := range []string{strings.Replace(newton, "logistic", "linear", 1), machine} {
		p := numbers(t, model)
		s, m := trained(t, p, table)
		if m.Target == nil || *m.Target != (score.Range{Min: 0, Max: 300}) {
			t.Fatalf("%s: label %+v", m.Type, m.Target)
		}
		want, err := local.Score(p, s, table)
		if err != nil {
			t.Fatal(err)
		}
		worst, clamped, square, held := 0.0, 0, 0.0, 0.0
		for i := range table.Rows {
			row, err := m.Row(record(table, i))
			if err != nil {
				t.Fatal(err)
			}
			got, err := m.Score(row)
			e, explainErr := m.ExplainNumber(row)
			if errors.Join(err, explainErr) != nil || e.Prediction != got || got != min(max(e.Sum, 0), 300) {
				t.Fatalf("%g explained as %+v, %v, %v", got, e, err, explainErr)
			}
			worst = max(worst, math.Abs(got-want[i]))
			if got != e.Sum {
				clamped++
			}
			sum, size := e.Intercept, math.Abs(e.Intercept)
			for k, c := range e.Columns {
				if c.Column != m.Columns()[k].Name {
					t.Fatalf("column %d is %s", k, c.Column)
				}
				sum, size = sum+c.Value, size+math.Abs(c.Value)
			}
			for _, pair := range e.Pairs {
				sum, size = sum+pair.Value, size+math.Abs(pair.Value)
			}
			if math.Abs(sum-e.Sum) > 1e-13*size || (len(e.Pairs) > 0) != (m.Factors > 0) {
				t.Fatalf("contributions add up to %.17g, the sum is %.17g", sum, e.Sum)
			}
			if table.Held(i) {
				held, square = held+1, square+(got-table.Target[i])*(got-table.Target[i])
			}
		}
		if worst > 1e-9 || clamped == 0 || clamped > table.Rows/2 {
			t.Errorf("%s: differ by %g; %d clamped", m.Type, worst, clamped)
		}
		document, err := optim.Export(p, s)
		if err != nil {
			t.Fatal(err)
		}
		var told struct {
			Label   struct{ Min, Max, Mean, SD float64 }
			Metrics struct {
				RMSE, MAE, R2 float64
				Train         float64 `json:"train_loss"`
			}
		}
		if err := json.Unmarshal(document, &told); err != nil {
			t.Fatal(err)
		}
		if rmse := math.Sqrt(square / held); math.Abs(told.Metrics.RMSE-rmse) > 1e-6*rmse || !(told.Metrics.R2 > 0.8) || !(told.Metrics.MAE > 0 && told.Metrics.Train > 0) || strings.Contains(string(document), "log_loss") {
			t.Errorf("%s: %+v, of the rows %g", m.Type, told.Metrics, rmse)
		}
		if !(told.Label.Mean > 50 && told.Label.Mean < 250 && told.Label.SD > 10) {
			t.Errorf("label %+v", told.Label)
		}
	}
}

// A private model of a number is exported as any other of a number: its score is the sum of its columns' effects, in the label's unit
// and within its range, and its explanation adds up to it.
func TestPrivateNumbersAreTheParticipants(t *testing.T) {
	document, err := private(t).Document()
	if err != nil {
		t.Fatal(err)
	}
	table := spending(6_000, 13)
	for name, model := range map[string]string{
		"linear_regression":     `{"type":"linear_regression","l2":1,"solver":"dp_sgd","max_rounds":40,"sampling":{"rate_num":1,"rate_den":1,"learning_rate":2,"momentum":0.5}}`,
		"factorization_machine": `{"type":"factorization_machine","factors":3,"l2":1,"solver":"dp_sgd","max_rounds":40,"sampling":{"rate_num":1,"rate_den":1,"learning_rate":2,"momentum":0.5,"seed":"3"}}`,
	} {
		var keys map[string]json.RawMessage
		if err := json.Unmarshal(document, &keys); err != nil {
			t.Fatal(err)
		}
		keys["model"], keys["evaluate"] = json.RawMessage(model), json.RawMessage(`{"holdout":true,"metrics":["rmse","mae","r2"]}`)
		keys["label"] = json.RawMessage(`{"min":0,"max":300}`)
		text, err := json.Marshal(keys)
		if err != nil {
			t.Fatal(err)
		}
		p := program(t, string(text))
		s, m := trained(t, p, table)
		want, err := local.Score(p, s, table)
		if err != nil {
			t.Fatal(err)
		}
		if m.Type != name || !m.Private || m.Target == nil || *m.Target != (score.Range{Min: 0, Max: 300}) {
			t.Errorf("%s: %+v", name, m.Target)
		}
		for i := range table.Rows {
			row, err := m.Row(record(table, i))
			if err != nil {
				t.Fatal(err)
			}
			got, err := m.Score(row)
			e, explainErr := m.ExplainNumber(row)
			sum := e.Intercept
			for _, c := range e.Columns {
				sum += c.Value
			}
			for _, pair := range e.Pairs {
				sum += pair.Value
			}
			if errors.Join(err, explainErr) != nil || math.Abs(got-want[i]) > 1e-9 || math.Abs(sum-e.Sum) > 1e-9 || e.Prediction != got || got != min(max(e.Sum, 0), 300) {
				t.Fatalf("%s, row %d: %g, in training %g, explained as %+v", name, i, got, want[i], e)
			}
		}
		own, err := local.Evaluate(p, s, table)
		told, _ := s.Metrics()
		if err != nil || math.Abs(told.RMSE.V-own.Summary.RMSE.V) > 0.01*own.Summary.RMSE.V || math.Abs(told.R2.V-own.Summary.R2.V) > 0.02 || !(own.Summary.R2.V > 0.5) {
			t.Errorf("%s: %+v, told %+v (%v)", name, own.Summary, told, err)
		}
	}
}

func TestModelsOfNumbersAreReadStrictly(t *testing.T) {
	linear := strings.NewReplacer("logistic_regression", "linear_regression", `"l2":1`, `"l2":1,"label":{"min":0,"max":10,"mean":2,"sd":1}`).Replace(small)
	m, err := score.Parse([]byte(linear))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ age, sum, want float64 }{{50, 2.75, 2.75}, {20, -3.25, 0}} {
		e, err := m.ExplainNumber([]score.Value{score.Number(c.age), score.Text("DE")})
		if err != nil || e.Sum != c.sum || e.Prediction != c.want {
			t.Errorf("%+v, %v; want %+v", e, err, c)
		}
	}
	if _, err := m.Explain(nil); !errors.Is(err, score.ErrLabel) {
		t.Error(err)
	}
	if _, _, err := m.Classify(nil); !errors.Is(err, score.ErrLabel) {
		t.Error(err)
	}
	if _, err := small1(t).ExplainNumber(nil); !errors.Is(err, score.ErrLabel) {
		t.Error(err)
	}
	for name, c := range map[string][3]string{
		"no label":        {`"label":{"min":0,"max":10,"mean":2,"sd":1},`, "", "label: missing"},
		"no range":        {`"min":0,"max":10,"mean":2`, `"min":10,"max":10,"mean":2`, "label.min"},
		"half a range":    {`"min":0,"max":10,"mean":2`, `"min":0,"mean":2`, "label.max"},
		"a new key":       {`"mean":2,"sd":1}`, `"mean":2,"sd":1,"log1p":true}`, "label.log1p"},
		"unit norm":       {`"l2":1,`, `"l2":1,"unit_norm":true,`, "unit_norm"},
		"an offset":       {`"l2":1,`, `"l2":1,"offset":{"name":"prior","min":-1,"max":1},`, "offset"},
		"two values":      {"linear_regression", "logistic_regression", "label"},
		"classes":         {`"l2":1,`, `"l2":1,"classes":["a","b"],`, "classes"},
		"factors in line": {`"l2":1,`, `"l2":1,"factors":2,`, "factors"},
	} {
		text := strings.Replace(linear, c[0], c[1], 1)
		if _, err := score.Parse([]byte(text)); text == linear || !errors.Is(err, score.ErrModel) || !strings.Contains(err.Error(), c[2]) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
