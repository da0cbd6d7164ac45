package quality

import (
	"strings"
	"testing"
	"time"

	"tributary/models/local"
	"tributary/models/metrics"
	"tributary/models/optim"
	"tributary/participant/internal/engine"
)

func binary() *engine.Evaluation {
	known := func(v float64) metrics.Value { return metrics.Value{Known: true, V: v} }
	h := &metrics.Histogram{Positive: []float64{0, 1, 2, 5}, Negative: []float64{6, 3, 1, 0}}
	return &engine.Evaluation{Type: "logistic_regression", Measured: true, All: metrics.Summary{HeldOut: 900, Positives: 400, AUC: known(0.75), LogLoss: known(0.5)},
		Own: &local.Evaluation{Summary: metrics.Summary{HeldOut: 18, Positives: 8, AUC: known(76.5 / 80), LogLoss: known(0.25), Accuracy: known(16.0 / 18)}, Scores: h, MinGroup: 5,
			Groups: []optim.GroupScores{{Name: "country=DE", Column: "country", Rows: 16, Scores: h}, {Name: "country=<FR>", Column: "country", Rows: 2}}}}
}

// Own numbers stand beside the job's; small groups are counted and no more; every form says whose the numbers are.
func TestOwnNumbersStandBesideTheJobs(t *testing.T) {
	v := Of(binary(), 0.5)
	if v.Decision.TruePositive != 7 || *v.Decision.Precision != 7.0/8 || v.Groups[0].AUC == nil || v.Groups[1].AUC != nil || v.Groups[1].Rows != 2 || v.Groups[1].Shown {
		t.Errorf("%+v", v)
	}
	var text, html strings.Builder
	v.Text(&text)
	if err := v.WriteReport(&html, Job{"churn <1>", "abcd", time.Unix(0, 0)}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"OWN ROWS", "AUC                0.9563 (95 %: ", "0.7500", "log loss           0.2500", "7 positives found, 1 missed", "country=<FR>  2     -", Notice} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
	for _, want := range []string{"churn &lt;1&gt;", "<td>0.7500</td>", "<polyline", "country=&lt;FR&gt;", "Don&#39;t pass them on", "1970-01-01 00:00:00 UTC"} {
		if !strings.Contains(html.String(), want) {
			t.Errorf("no %q in the report", want)
		}
	}
	for _, foreign := range []string{"http:", "https:", "<script"} {
		if strings.Contains(html.String(), foreign) {
			t.Errorf("the report has %q", foreign)
		}
	}
}

func TestEachKindOfModelHasItsTable(t *testing.T) {
	e := binary()
	e.Measured, e.Noised = false, true
	classes := &engine.Evaluation{Type: "multinomial_logistic_regression", Measured: true,
		Own: &local.Evaluation{Classes: []string{"gold", "silver"}, Confusion: [][]int64{{7, 1}, {2, 8}}}}
	items := &engine.Evaluation{Type: "matrix_factorization", Measured: true, Own: &local.Evaluation{Summary: metrics.Summary{TopK: 5, Users: 30, Recall: metrics.Value{Known: true, V: 0.5}}}}
	half := metrics.Value{Known: true, V: 0.5}
	numbers := &engine.Evaluation{Type: "linear_regression", Measured: true, All: metrics.Summary{RMSE: half}, Own: &local.Evaluation{Summary: metrics.Summary{HeldOut: 7, RMSE: half, MAE: metrics.Value{Known: true, V: 0.25}}}}
	for want, e := range map[string]*engine.Evaluation{"ALL PARTICIPANTS (NOISY)\nheld-out rows      18                               -": e, "gold    7     1": classes, "recall@5        0.5000    -": items, "mean absolute error  0.2500    -": numbers} {
		var text, html strings.Builder
		v := Of(e, 0.5)
		v.Text(&text)
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
		if err := v.WriteReport(&html, Job{}); err != nil || !strings.Contains(html.String(), "</html>") {
			t.Error(err)
		}
	}
}
