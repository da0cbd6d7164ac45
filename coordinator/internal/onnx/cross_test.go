package onnx

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// crossed adds a cross of which every nth cell is kept.
func crossed(r *rand.Rand, k kind, columns *[]map[string]any, name string, of []string, count, every int) {
	kept := []int{}
	for i := every - 1; i < count; i += every {
		kept = append(kept, i)
	}
	b := map[string]any{"count": count, "cross": of, "kept": kept, "coefficients": normal(r, len(kept)*max(k.classes, 1), 0.7)}
	if k.factors > 0 {
		b["factors"] = normal(r, len(kept)*k.factors, 0.3)
	}
	other := map[string]any{"name": name + "=other", "feature": name, "role": "other", "folded": false}
	if k.classes > 0 {
		other["coefficients"] = normal(r, k.classes, 0.7)
	} else {
		other["coefficient"] = 0.5
	}
	if k.factors > 0 {
		other["factor"] = normal(r, k.factors, 0.3)
	}
	*columns = append(*columns, map[string]any{"name": name + "#", "feature": name, "role": "buckets", "folded": false, "buckets": b}, other)
}

// A graph can't hash: what is hashed is refused by name, with what to do.
func TestHashedColumnsHaveNoGraph(t *testing.T) {
	document := string(drawn(rand.New(rand.NewPCG(6, 1)), kind{}))
	for edit, want := range map[[2]string]string{
		{`"cross":["device","country"],`, ``}:                                        `column "device*country" is hashed`,
		{`"count":210,"cross":["device"`, `"count":128,"cross":["device"`}:           `the 210 combinations of "device*country" are hashed into 128 buckets`,
		{`"cross":["device","country"]`, `"cross":["device","age"]`}:                 `"device*country" crosses "age"`,
		{`"cross":["country","v1"]`, `"cross":["country","nothing of these names"]`}: `crosses "nothing of these names"`,
	} {
		text := strings.Replace(document, edit[0], edit[1], 1)
		if text == document {
			t.Fatalf("no %s in the document", edit[0])
		}
		if _, err := Encode([]byte(text), Double); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "hint: ") {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// agesByMonth is a model of which every encoded column has a coefficient of its own.
func agesByMonth(t *testing.T) []byte {
	t.Helper()
	var columns []string
	add := func(feature, suffix, role string, coefficient float64, more string) {
		columns = append(columns, fmt.Sprintf(`{"name":%q,"feature":%q,"role":%q,"folded":false,"coefficient":%g%s}`, feature+suffix, feature, role, coefficient, more))
	}
	add("age", "<30", "bucket", 0.1, `,"bucket":{"to":30}`)
	add("age", ">=30", "bucket", 0.2, `,"bucket":{"from":30}`)
	add("age", "=other", "other", 0.3, `,"range":{"min":16,"max":110}`)
	const date = `,"date":{"column":"since","part":"month","first":"2020-01-01","last":"2020-12-31"}`
	for m := 1; m <= 12; m++ {
		add("since.month", fmt.Sprintf("=%d", m), "value", float64(m), fmt.Sprintf(`,"value":"%d"`, m))
	}
	add("since.month", "=other", "other", 13, date)
	var kept, coefficients []string
	for i := range 24 {
		kept, coefficients = append(kept, fmt.Sprint(i)), append(coefficients, fmt.Sprint(100*(i+1)))
	}
	columns = append(columns, `{"name":"age*since.month#","feature":"age*since.month","role":"buckets","folded":false,"buckets":{"count":24,"cross":["age","since.month"],"kept":[`+strings.Join(kept, ",")+`],"coefficients":[`+strings.Join(coefficients, ",")+`]}}`)
	add("age*since.month", "=other", "other", 1e4, "")
	return []byte(`{"format":"tributary-model","version":1,"type":"logistic_regression","l2":1,"intercept":0,"columns":[` + strings.Join(columns, ",") + `],"training_rows":9,"train_rounds":1}`)
}

// What a graph is asked that a model refuses, such as a month 13, is no combination: it must not be taken for another's number.
func TestRuntimeCountsCombinationsThatThereArentAsOther(t *testing.T) {
	interpreter := python(t)
	graph, err := Encode(agesByMonth(t), Double)
	if err != nil {
		t.Fatal(err)
	}
	data := scored{Columns: map[string][]any{}}
	for _, row := range []struct {
		age   any
		month string
		logit float64
	}{
		{16.0, "1", 0.1 + 1 + 100}, {29.999, "12", 0.1 + 12 + 1200}, {30.0, "1", 0.2 + 1 + 1300}, {1e9, "12", 0.2 + 12 + 2400}, {-5.0, "2", 0.1 + 2 + 200},
		{nil, "1", 0.3 + 1 + 1e4}, {20.0, "13", 0.1 + 13 + 1e4}, {40.0, "", 0.2 + 13 + 1e4}, {nil, "march", 0.3 + 13 + 1e4},
	} {
		data.Columns["age"], data.Columns["since.month"] = append(data.Columns["age"], row.age), append(data.Columns["since.month"], row.month)
		data.Logit, data.Probability = append(data.Logit, []float64{row.logit}), append(data.Probability, []float64{1 / (1 + math.Exp(-row.logit))})
	}
	if f := compare(t, interpreter, graph, data); !(f.Logit < 1e-9) {
		t.Errorf("logits differ by %g", f.Logit)
	}
}
