package cli

import (
	"bytes"
	"strings"
	"testing"

	"tributary/protocol/pb"
)

func predicted() *pb.JobInfo {
	return &pb.JobInfo{Job: []byte{1, 2, 3, 4, 5, 6}, Name: "spend", Status: "completed", Objective: 9, MetricsJson: `{"rows":90,"objective":9,"number":true,"train_loss":0.1,"train_rmse":44.7,"held_out_rows":18,"rmse":50.5,"mae":30.25,"r2":0.75,
		"train_rounds":2,"label_bins":[{"rows":7,"predicted":12.5,"label":13.25},{"rows":11,"predicted":40,"label":38}]}`}
}

// A model of a number is shown by its errors in the label's unit: nothing of it is called a probability, or counted in nats.
func TestModelsOfNumbersAreShownInTheirUnit(t *testing.T) {
	var shown, listed bytes.Buffer
	m := exported{Type: "linear_regression", L2: 1, Intercept: 20, Test: &wald{2, 10, 0.001}, TestNote: "asymptotic (Wald)"}
	m.show(&shown, predicted(), nil)
	a := &app{Streams: Streams{Out: &listed}}
	if err := a.showJob(predicted(), nil, 0.5); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"RMSE", "50.500000", "MAE", "30.250000", "R²", "0.750000", "training RMSE", "44.700000", "the label's deviations", "did not converge in 2 rounds; raise model.max_rounds\n"} {
		if !strings.Contains(shown.String(), want) {
			t.Errorf("no %q in\n%s", want, shown.String())
		}
	}
	for _, want := range []string{"MEAN PREDICTED", "13.25", "STD ERROR"} {
		if !strings.Contains(shown.String(), want) {
			t.Errorf("no %q in\n%s", want, shown.String())
		}
	}
	if !strings.Contains(listed.String(), "50.500000") {
		t.Errorf("no RMSE in\n%s", listed.String())
	}
	for _, text := range []string{shown.String(), listed.String()} {
		if strings.Contains(text, "nats") || strings.Contains(text, "log loss") || strings.Contains(text, "separated") {
			t.Errorf("told as of a label with two values:\n%s", text)
		}
	}
}

// A private model's errors are shown with what the noise moves them by; nothing is told of the training rows' errors.
func TestPrivateModelsOfNumbersAreShownWithTheirNoise(t *testing.T) {
	j := predicted()
	j.Objective = 0
	j.MetricsJson = `{"rows":90,"number":true,"held_out_rows":18,"rmse":50.5,"mae":30.25,"train_rounds":100,"noised":true,"note":"metrics are noisy; the noise alone moves rmse by about 3; r2 is unknown"}`
	var shown bytes.Buffer
	m := exported{Type: "linear_regression", L2: 1, Intercept: 20}
	m.show(&shown, j, nil)
	for _, want := range []string{"100 noisy rounds", "about 90", "RMSE", "50.500000", "moves rmse by about 3", "R²"} {
		if !strings.Contains(shown.String(), want) {
			t.Errorf("no %q in\n%s", want, shown.String())
		}
	}
	if strings.Contains(shown.String(), "training RMSE") || strings.Contains(shown.String(), "nats") {
		t.Errorf("told of training rows:\n%s", shown.String())
	}
	a := jobOf(t, "first", "{type: logistic_regression}", `{"rows":80,"held_out_rows":18,"number":true,"rmse":5,"noised":true}`)
	b := jobOf(t, "second", "{type: logistic_regression, l2: 2}", `{"rows":80,"held_out_rows":19,"number":true,"rmse":4,"r2":0.6,"noised":true}`)
	var out bytes.Buffer
	app := &app{Streams: Streams{Out: &out}}
	if err := app.showComparison([]*compared{a, b}, "r2"); err != nil || !strings.Contains(strings.Join(strings.Fields(out.String()), " "), "second first") || !strings.Contains(out.String(), "metrics of private jobs are noisy") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestJobsAreRankedByErrorsOfNumbers(t *testing.T) {
	a := jobOf(t, "first", "{type: logistic_regression}", `{"rows":80,"held_out_rows":18,"number":true,"rmse":5,"mae":3,"r2":0.5}`)
	b := jobOf(t, "second", "{type: logistic_regression, l2: 2}", `{"rows":80,"held_out_rows":18,"number":true,"rmse":4,"mae":3.5,"r2":0.6}`)
	for by, want := range map[string]string{"rmse": "second first", "mae": "first second", "r2": "second first"} {
		var out bytes.Buffer
		app := &app{Streams: Streams{Out: &out}}
		if err := app.showComparison([]*compared{a, b}, by); err != nil || !strings.Contains(strings.Join(strings.Fields(out.String()), " "), want) {
			t.Errorf("%s: %v, no %q in\n%s", by, err, want, out.String())
		}
	}
}
