package server

import (
	"errors"
	"io"
	"strings"
	"testing"

	"tributary/coordinator/internal/evaluation"
	"tributary/protocol/pb"
)

// scoresAreOfTheJobAlone: the opened scores, a long list, are told of one job when asked, and not in lists or events.
func (s *shops) scoresAreOfTheJobAlone(t *testing.T, info *pb.JobInfo) {
	t.Helper()
	_, scores := evaluation.Split(info.GetMetricsJson())
	if scores == nil || len(scores.Positive) != 50 || !(scores.Deviation > 0) {
		t.Fatalf("scores %v of %s", scores, info.GetMetricsJson())
	}
	jobs, err := s.operator.ListJobs(t.Context(), &pb.ListRequest{})
	if err != nil {
		t.Fatal(err)
	}
	models, err := s.operator.ListModels(t.Context(), &pb.ListRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{jobs.GetJobs()[0].GetMetricsJson(), models.GetModels()[0].GetMetricsJson()} {
		if strings.Contains(text, "scores") || !strings.Contains(text, `"auc"`) {
			t.Errorf("a list has %s", text)
		}
	}
	events, err := s.operator.WatchJob(t.Context(), &pb.WatchRequest{Job: info.GetName()})
	if err != nil {
		t.Fatal(err)
	}
	told := false
	for {
		e, err := events.Recv()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		told = told || strings.Contains(e.GetMetricsJson(), `"auc"`)
		if strings.Contains(e.GetMetricsJson(), "scores") {
			t.Errorf("an event has %s", e.GetMetricsJson())
		}
	}
	if !told {
		t.Error("no event tells the AUC")
	}
}
