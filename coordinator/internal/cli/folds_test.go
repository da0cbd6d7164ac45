package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
)

func TestFoldsAreAveragedBySpec(t *testing.T) {
	var jobs []*compared
	for i, loss := range []float64{0.50, 0.54, 0.40, 0.42} {
		model := "{type: logistic_regression, l2: 1}"
		if i >= 2 {
			model = "{type: logistic_regression, l2: 9}"
		}
		c := jobOf(t, fmt.Sprintf("j-%d", i+1), model, fmt.Sprintf(`{"log_loss":%g}`, loss))
		c.resolved.Holdout.From = i % 2 * 5
		jobs = append(jobs, c)
	}
	var out bytes.Buffer
	app := &app{Streams: Streams{Out: &out}, json: true}
	if err := app.showFolds(jobs, "log_loss"); err != nil {
		t.Fatal(err)
	}
	var document struct {
		Specs []struct {
			Jobs    []string
			Metrics map[string]average
		}
		Differences []struct{ Path string }
	}
	if err := json.Unmarshal(out.Bytes(), &document); err != nil {
		t.Fatal(err)
	}
	if len(document.Specs) != 2 || strings.Join(document.Specs[0].Jobs, " ") != "j-3 j-4" || len(document.Differences) != 1 || document.Differences[0].Path != "program.model.l2" {
		t.Fatalf("%s", out.String())
	}
	m := document.Specs[0].Metrics["log_loss"]
	if _, auc := document.Specs[0].Metrics["auc"]; auc || math.Abs(m.Mean-0.41) > 1e-12 || m.Folds != 2 || math.Abs(*m.SD-0.02/math.Sqrt2) > 1e-12 {
		t.Errorf("%+v", document.Specs[0].Metrics)
	}
	out.Reset()
	app.json = false
	if err := app.showFolds(append(jobs, jobOf(t, "alone", "{type: logistic_regression, l2: 3}", `{"log_loss":0.3}`)), ""); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"j-1 (2)", "alone (1)", "0.520000 ± 0.028284", "0.410000 ± 0.014142", "0.300000\n", "program.model.l2"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}
