package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"

	"google.golang.org/grpc"

	"tributary/coordinator/internal/evaluation"
	"tributary/protocol/pb"
)

func evaluated() *pb.JobInfo {
	return &pb.JobInfo{Job: []byte{1, 2, 3, 4, 5, 6}, Name: "churn", Status: "completed", Converged: true, Objective: 9,
		MetricsJson: `{"rows":90,"held_out_rows":18,"log_loss":0.4,"converged":true,"train_rounds":3,"scores":{"positive":[0,1,2,5],"negative":[6,3,1,0]}}`}
}

func TestJobShowEvaluates(t *testing.T) {
	var b bytes.Buffer
	a := &app{Streams: Streams{Out: &b}}
	if err := a.showJob(evaluated(), nil, 0.75); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"0.956250 (95 %", "average precision", "at threshold 0.75", "5 positives found, 3 missed"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	b.Reset()
	a.json = true
	if err := a.showJob(evaluated(), nil, 0.5); err != nil {
		t.Fatal(err)
	}
	var document struct {
		Metrics    map[string]any
		Evaluation evaluation.Evaluation
	}
	if err := json.Unmarshal(b.Bytes(), &document); err != nil || document.Metrics["rows"] != 90.0 || document.Metrics["scores"] != nil ||
		document.Evaluation.AUC == nil || document.Evaluation.Confusion.TruePositive != 7 || len(document.Evaluation.Lift) != 10 {
		t.Errorf("%v: %s", err, b.String())
	}
}

func TestModelShowEvaluates(t *testing.T) {
	j, m := evaluated(), exported{Type: "logistic_regression", L2: 1}
	_, scores := evaluation.Split(j.GetMetricsJson())
	var b bytes.Buffer
	m.show(&b, j, evaluation.Of(scores, 0.5))
	for _, want := range []string{"log loss", "0.400000", "Brier score", "MEAN PREDICTED", "POSITIVES FOUND", "(intercept)"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if strings.Count(b.String(), "AUC") != 1 {
		t.Errorf("the AUC isn't told once:\n%s", b.String())
	}
}

func TestThresholdsAreProbabilities(t *testing.T) {
	for _, line := range []string{"job show x --threshold 1.5", "model show x --threshold -0.1", "job show x --threshold NaN"} {
		if r := run(t, append(strings.Fields(line), "--home", t.TempDir())...); r.code != exitUsage || !strings.Contains(r.err, "is not within 0 to 1") {
			t.Errorf("%s: exit %d, %s", line, r.code, r.err)
		}
	}
}

// oneJob answers with a job that isn't over.
type oneJob struct{ pb.OperatorClient }

func (oneJob) GetJob(context.Context, *pb.GetJobRequest, ...grpc.CallOption) (*pb.JobInfo, error) {
	return &pb.JobInfo{Job: []byte{1}, Name: "churn", Status: "running"}, nil
}

func TestOpenJobsHaveNoReport(t *testing.T) {
	_, err := readReport(t.Context(), oneJob{}, "churn", 0.5)
	if f := explain(err); f.exit != exitRefused || !strings.Contains(f.Message, "churn is running") || !strings.Contains(f.Hint, "job watch") {
		t.Errorf("%+v", f)
	}
}
