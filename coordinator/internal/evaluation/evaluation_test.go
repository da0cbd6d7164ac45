package evaluation

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
)

// four bins, of 18 rows.
func scores() *Scores {
	return &Scores{Positive: []float64{0, 1, 2, 5}, Negative: []float64{6, 3, 1, 0}}
}

func TestEvaluationOfKnownScores(t *testing.T) {
	e := Of(scores(), 0.5)
	c := e.Confusion
	if c.TruePositive != 7 || c.FalsePositive != 1 || c.FalseNegative != 1 || c.TrueNegative != 9 || c.Threshold != 0.5 {
		t.Errorf("%+v", c)
	}
	if *c.Precision != 7.0/8 || *c.Recall != 7.0/8 || *c.Accuracy != 16.0/18 || *c.Specificity != 0.9 || *c.F1 != 7.0/8 {
		t.Error("rates of the threshold")
	}
	// Pairs in order: 10·5 + 9.5·2 + 7.5·1 of 80.
	if math.Abs(*e.AUC-76.5/80) > 1e-15 || !(*e.AUCLow < *e.AUC && *e.AUC < *e.AUCHigh && *e.AUCHigh <= 1) || e.Noised {
		t.Errorf("AUC %g in %g to %g", *e.AUC, *e.AUCLow, *e.AUCHigh)
	}
	var text strings.Builder
	for _, row := range e.Rows() {
		text.WriteString(strings.Join(row, ": ") + "\n")
	}
	e.WriteTables(&text)
	for _, want := range []string{"AUC: 0.956250 (95 %: ", "7 positives found, 1 missed; 9 negatives right, 1 false alarms", "MEAN PREDICTED", "POSITIVES FOUND", "100 %"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
	if noisy := Of(&Scores{Positive: scores().Positive, Negative: scores().Negative, Deviation: 1}, 0.5); !noisy.Noised || !(*noisy.AUCLow < *e.AUCLow) {
		t.Error("noise doesn't widen the interval")
	}
	if Of(nil, 0.5) != nil {
		t.Error("an evaluation of nothing")
	}
}

// One class gives no AUC, and JSON that says so.
func TestEvaluationOfOneClass(t *testing.T) {
	e := Of(&Scores{Positive: make([]float64, 4), Negative: []float64{1, 2, 0, 0}}, 0.5)
	text, err := json.Marshal(e)
	if err != nil || !strings.Contains(string(text), `"auc":null`) || !strings.Contains(string(text), `"recall":null`) {
		t.Errorf("%s, %v", text, err)
	}
	e.WriteTables(&strings.Builder{})
	if e.Rows()[0][1] != "-" {
		t.Error(e.Rows())
	}
}

func TestSplitTakesTheScoresOut(t *testing.T) {
	for _, c := range []struct {
		text, rest string
		scores     bool
	}{
		{"", "", false},
		{`{"auc":0.9,"rows":3}`, `{"auc":0.9,"rows":3}`, false},
		{`{"rows":3,"scores":{"positive":[1,2],"negative":[0,1]},"auc":0.9}`, `{"auc":0.9,"rows":3}`, true},
		{`{"rows":3,"scores":{"positive":[1,2],"negative":[0]}}`, `{"rows":3}`, false},
		{`{"rows":3,"scores":{"positive":[],"negative":[]}}`, `{"rows":3}`, false},
		{`{"rows":3,"scores":7}`, `{"rows":3}`, false},
		{`not JSON`, `not JSON`, false},
	} {
		rest, s := Split(c.text)
		if string(rest) != c.rest || (s != nil) != c.scores {
			t.Errorf("%s: %s, %v", c.text, rest, s)
		}
	}
}
