package report

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// A report of a number compares what was predicted with what was, and its losses aren't in nats.
func TestReportOfANumber(t *testing.T) {
	in := input()
	in.Job.MetricsJson = `{"rows":90,"number":true,"rmse":5,"label_bins":[{"rows":7,"predicted":12.5,"label":13.25},{"rows":11,"predicted":40,"label":38}]}`
	for _, e := range in.Events {
		e.MetricsJson = strings.Replace(e.MetricsJson, "train_log_loss", "train_loss", 1)
	}
	r := New(in)
	if got := names(r); !slices.Equal(got, []string{"loss", "calibration"}) {
		t.Error(got)
	}
	var page bytes.Buffer
	if err := r.WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Predicted and actual", "13.25", "MEAN LABEL", "half its squared deviations", "0.410000"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("no %q in\n%s", want, page.String())
		}
	}
	if strings.Contains(page.String(), "nats") || strings.Contains(page.String(), "there are no curves") {
		t.Errorf("told as of a label with two values:\n%s", page.String())
	}
	if files, err := r.WriteCurves(t.TempDir()); err != nil || len(files) != 4 {
		t.Error(files, err)
	}
}
