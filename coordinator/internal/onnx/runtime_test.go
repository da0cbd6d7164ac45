package onnx

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"tributary/models/score"
)

const checkedRows = 10_000

// kind is what sets models apart.
type kind struct {
	factors, classes int
	unitNorm, offset bool
	number           bool // the label is one
}

// drawn is a model of a kind with every kind of column, and fitted numbers of usual sizes.
func drawn(r *rand.Rand, k kind) []byte {
	var columns []map[string]any
	add := func(feature, role, suffix string, folded bool, more map[string]any) {
		c := map[string]any{"name": feature + suffix, "feature": feature, "role": role, "folded": folded}
		if k.classes > 0 {
			c["coefficients"] = normal(r, k.classes, 0.7)
		} else {
			c["coefficient"] = 0.7 * r.NormFloat64()
		}
		if role == "number" || role == "other" {
			c["nullable"] = true
		}
		if k.factors > 0 {
			c["factor"] = normal(r, k.factors, 0.3)
		}
		for k, v := range more {
			c[k] = v
		}
		columns = append(columns, c)
	}
	number := func(name string, low, high, mean, sd, clip float64, log1p, standardize, scale, folded bool) {
		add(name, "number", "", folded, map[string]any{"number": map[string]any{"min": low, "max": high, "mean": mean, "sd": sd, "clip": clip, "log1p": log1p, "standardize": standardize, "scale": scale}})
	}
	number("age", 16, 110, 47.3, 17.9, 64, false, true, false, false)
	number("basket", 0, 10000, 4.1, 1.3, 2, true, true, false, false)
	add("basket", "missing", ":missing", false, nil)
	number("share", -1, 1, 0, 1, 64, false, false, false, false)
	add("share", "missing", ":missing", true, nil)
	number("visits", 0, 300, 2.85, 2.85, 1, true, false, true, false)
	number("constant", 0, 1, 0.5, 1, 64, false, true, false, true)
	derived(add)
	for _, c := range []struct {
		name    string
		values  int
		missing string
	}{{"country", 40, ""}, {"v1", 3, "own"}, {"device", 3, "folded"}, {"straße", 1, ""}} {
		for i := range c.values {
			v := fmt.Sprintf("%s %d", c.name, i)
			add(c.name, "value", "="+v, i%7 == 2 || c.values == 1, map[string]any{"value": v})
		}
		add(c.name, "other", "=other", false, nil)
		if c.missing != "" {
			add(c.name, "missing", ":missing", c.missing == "folded", nil)
		}
	}
	crossed(r, k, &columns, "device*country", []string{"device", "country"}, 5*42, 3)
	crossed(r, k, &columns, "country*v1", []string{"country", "v1"}, 42*5, 1<<20) // all folded
	crossed(r, k, &columns, "debt*since.month", []string{"debt", "since.month"}, 7*13, 2)
	crossed(r, k, &columns, "device*v2*since.month", []string{"device", "v2", "since.month"}, 5*3*13, 2)
	m := map[string]any{"format": "tributary-model", "version": 1, "type": "logistic_regression", "l2": 1, "columns": columns, "training_rows": 9, "train_rounds": 1}
	if k.factors > 0 {
		m["type"], m["factors"] = "factorization_machine", k.factors
	}
	if k.classes > 0 {
		var classes []string
		for i := range k.classes {
			classes = append(classes, fmt.Sprintf("grade %d", k.classes-i))
		}
		m["type"], m["classes"], m["intercepts"] = "multinomial_logistic_regression", classes, normal(r, k.classes, 0.4)
	} else {
		m["intercept"] = -0.4
	}
	if k.number {
		if m["label"] = map[string]any{"min": -0.5, "max": 1.2, "mean": 0, "sd": 1}; k.factors == 0 {
			m["type"] = "linear_regression"
		}
	}
	if k.offset {
		m["offset"] = map[string]any{"name": "prior", "min": -2, "max": 3}
	}
	if k.unitNorm {
		m["private"], m["unit_norm"] = true, true
	}
	document, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return document
}

func normal(r *rand.Rand, n int, sd float64) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = sd * r.NormFloat64()
	}
	return out
}

// drawnRows are records with missing values, unlisted ones and numbers beyond the range.
func drawnRows(r *rand.Rand, m *score.Model) (columns map[string][]any, rows [][]score.Value) {
	columns = map[string][]any{}
	for range checkedRows {
		var row []score.Value
		for _, c := range m.Columns() {
			var v score.Value
			var cell any
			switch n := len(c.Values); {
			case c.Date:
				row = append(row, drawnDate(r, columns))
				continue
			case n > 0 && r.IntN(10) == 0:
				cell = ""
			case n > 0:
				text := "unlisted"
				if i := r.IntN(n + 1); i < n {
					text = c.Values[i]
				}
				v, cell = score.Text(text), text
			case !c.Nullable || r.IntN(10) > 0:
				x := c.Min + (1.1*r.Float64()-0.05)*(c.Max-c.Min)
				if r.IntN(2) == 0 {
					x = c.Min + (c.Max-c.Min)*math.Exp(-8*r.Float64())
				}
				v, cell = score.Number(x), x
			}
			row, columns[c.Name] = append(row, v), append(columns[c.Name], cell)
		}
		rows = append(rows, row)
	}
	return columns, rows
}

// python finds an interpreter that has onnxruntime: `make onnx-check` installs one.
func python(t *testing.T) string {
	t.Helper()
	path := os.Getenv("TRIBUTARY_ONNX_PYTHON")
	if path == "" {
		path = filepath.Join("..", "..", "..", "bin", "onnx", "bin", "python")
	}
	if out, err := exec.Command(path, "-c", "import numpy, onnxruntime").CombinedOutput(); err != nil {
		t.Skipf("no Python with onnxruntime at %s: run make onnx-check (%v %s)", path, err, out)
	}
	return path
}

// scored are rows with what package score says of them, for compare.py.
type scored struct {
	Columns     map[string][]any `json:"columns"`
	Probability [][]float64      `json:"probability"` // rows × classes; × 1 where the label has two values, or is a number
	Logit       [][]float64      `json:"logit"`
	Label       []string         `json:"label,omitempty"`
	Number      bool             `json:"number,omitempty"` // they are predictions and sums
}

func expect(t *testing.T, document []byte) scored {
	t.Helper()
	m, err := score.Parse(document)
	if err != nil {
		t.Fatal(err)
	}
	columns, rows := drawnRows(rand.New(rand.NewPCG(4, 1)), m)
	out := scored{Columns: columns, Number: m.Target != nil}
	low, high := 1.0, 0.0
	for _, row := range rows {
		var classes []score.Explanation
		if m.Target != nil {
			e, err := m.ExplainNumber(row)
			if err != nil {
				t.Fatal(err)
			}
			classes = []score.Explanation{{Probability: e.Prediction, Logit: e.Sum}}
		} else if m.Classes == nil {
			e, err := m.Explain(row)
			if err != nil {
				t.Fatal(err)
			}
			classes = []score.Explanation{*e}
		} else {
			all, predicted, err := m.ExplainClasses(row)
			if err != nil {
				t.Fatal(err)
			}
			classes, out.Label = all, append(out.Label, m.Classes[predicted])
		}
		var probability, logit []float64
		for _, e := range classes {
			probability, logit = append(probability, e.Probability), append(logit, e.Logit)
			low, high = min(low, e.Probability), max(high, e.Probability)
		}
		out.Probability, out.Logit = append(out.Probability, probability), append(out.Logit, logit)
	}
	if high-low < 0.5 {
		t.Errorf("probabilities from %g to %g: the rows say little", low, high)
	}
	return out
}

// found is what compare.py prints.
type found struct {
	Runtime, Type      string
	Checked            bool
	Rows               int
	Probability, Logit float64
	Labels             int     // rows with another label
	Margin             float64 // by how much the label's logit is above theirs, at most
}

func compare(t *testing.T, interpreter string, graph []byte, data scored) found {
	t.Helper()
	text, err := json.Marshal(data)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	model, expected := filepath.Join(dir, "model.onnx"), filepath.Join(dir, "rows.json")
	for path, content := range map[string][]byte{model: graph, expected: text} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command(interpreter, filepath.Join("testdata", "compare.py"), model, expected).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var f found
	if err := json.Unmarshal(out, &f); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return f
}

// TestRuntimeGivesTheSameScores: onnxruntime gives the probabilities of package score over 10,000 rows, and the labels, but where
// single precision can't tell two logits apart.
func TestRuntimeGivesTheSameScores(t *testing.T) {
	interpreter := python(t)
	for name, kind := range map[string]kind{"linear": {}, "unit norm": {unitNorm: true}, "machine": {factors: 8}, "two classes": {classes: 2}, "26 classes": {classes: 26}, "offset": {offset: true},
		"number": {number: true}, "machine of a number": {factors: 8, number: true},
		"private classes": {classes: 3, unitNorm: true}} {
		document := drawn(rand.New(rand.NewPCG(1, 1)), kind)
		data := expect(t, document)
		for precision, within := range map[Precision]float64{Double: 1e-6, Float32: 1e-5} {
			t.Run(fmt.Sprintf("%s %s", name, map[Precision]string{Double: "double", Float32: "float32"}[precision]), func(t *testing.T) {
				graph, err := Encode(document, precision)
				if err != nil {
					t.Fatal(err)
				}
				f := compare(t, interpreter, graph, data)
				t.Logf("onnxruntime %s, %d rows, %d bytes: probabilities differ by %.2g at most, logits by %.2g; %d other labels", f.Runtime, f.Rows, len(graph), f.Probability, f.Logit, f.Labels)
				if want := map[Precision]string{Double: "tensor(double)", Float32: "tensor(float)"}[precision]; f.Type != want || f.Rows != checkedRows {
					t.Errorf("%+v", f)
				}
				if !(f.Probability <= within) {
					t.Errorf("probabilities differ by %g, at most %g", f.Probability, within)
				}
				if precision == Double && f.Labels > 0 || !(f.Margin <= 2*f.Logit) {
					t.Errorf("%d rows have other labels, by a logit that is up to %g larger", f.Labels, f.Margin)
				}
			})
		}
	}
}
