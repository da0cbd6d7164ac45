package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"tributary/protocol/pb"
)

func TestModelShowTellsOfARecommender(t *testing.T) {
	var m exported
	document := `{"type":"matrix_factorization","feedback":"explicit","l2":1,"factors":2,"item":"article","rating":"stars","training_pairs":500,"training_users":90,
		"items":[{"value":"A","users":30,"factor":[1,2],"bias":0.25},{"value":"B","users":3},{"value":"C","users":60,"factor":[1,2],"bias":-0.5}]}`
	if err := json.Unmarshal([]byte(document), &m); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	m.show(&b, &pb.JobInfo{Name: "recommend", Status: "completed", Objective: 12.5,
		MetricsJson: `{"converged":false,"train_rounds":10,"held_out_rows":40,"held_out_users":33,"top_k":20,"recall":0.25,"ndcg":0.125,"map":0.0625,"coverage":0.5,"rmse":0.75}`}, nil)
	got := b.String()
	for _, want := range []string{"matrix_factorization, 2 factors, l2 1", "explicit, ratings stars", "stopped after 10 rounds", "500 of 90 users", "2 of 3 values of article", "40; 33 users",
		"recall@20", "0.250000", "NDCG@20", "0.125000", "MAP@20", "0.062500", "coverage", "0.500000", "RMSE", "0.750000", "too few users"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q isn't in\n%s", want, got)
		}
	}
	if strings.Contains(got, "nats") || strings.Contains(got, "AUC") || strings.Index(got, "\nC ") > strings.Index(got, "\nA ") {
		t.Errorf("%s", got)
	}
}

// A ranking by comparisons has no alpha.
func TestModelShowNamesBPR(t *testing.T) {
	var m exported
	if err := json.Unmarshal([]byte(`{"type":"matrix_factorization","feedback":"implicit","solver":"bpr","factors":2,"item":"article","items":[]}`), &m); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	m.show(&b, &pb.JobInfo{Status: "completed", MetricsJson: `{}`}, nil)
	if got := b.String(); !strings.Contains(got, "implicit, by bpr") || strings.Contains(got, "alpha") {
		t.Errorf("%s", got)
	}
}

// Of a private one nothing is exact, and there is no loss.
func TestModelShowTellsOfAPrivateRecommender(t *testing.T) {
	var m exported
	if err := json.Unmarshal([]byte(`{"type":"matrix_factorization","feedback":"implicit","private":true,"factors":2,"item":"article","training_pairs":500,"training_users":90,"items":[]}`), &m); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	m.show(&b, &pb.JobInfo{Status: "completed", MetricsJson: `{"held_out_users":33,"top_k":20,"recall":0.25}`}, nil)
	got := b.String()
	for _, want := range []string{"all pairs alike", "noised: about 500 of 90 users", "noised: about 33", "recall@20", "0.250000"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q isn't in\n%s", want, got)
		}
	}
	if strings.Contains(got, "objective") {
		t.Errorf("%s", got)
	}
	j := &pb.JobInfo{Status: "completed", Objective: 9, MetricsJson: `{"rows":500,"held_out_rows":40,"held_out_users":33,"top_k":20,"recall":0.25}`}
	var listed bytes.Buffer
	if err := (&app{Streams: Streams{Out: &listed}}).showJob(j, nil, 0.5); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{listed.String(), fmt.Sprint(qualityRows(j, nil))} {
		if !strings.Contains(text, "recall@20") || !strings.Contains(text, "40; 33 users") || strings.Contains(text, "nats") || strings.Contains(text, "log loss") {
			t.Errorf("%s", text)
		}
	}
}

// With ratings, a private one tells of its biases and its error.
func TestModelShowTellsOfPrivateRatings(t *testing.T) {
	var m exported
	document := `{"type":"matrix_factorization","feedback":"explicit","private":true,"factors":2,"item":"article","rating":"stars","mean":3.4,"half_range":2,"training_pairs":500,"training_users":90,
		"items":[{"value":"A","users":30,"factor":[1,2],"bias":0.25}]}`
	if err := json.Unmarshal([]byte(document), &m); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	m.show(&b, &pb.JobInfo{Status: "completed", MetricsJson: `{"held_out_users":33,"top_k":20,"rmse":0.75}`}, nil)
	for _, want := range []string{"explicit, ratings stars", "noised: about 500 of 90 users", "noised: about 33", "RMSE", "0.750000", "0.25"} {
		if got := b.String(); !strings.Contains(got, want) || strings.Contains(got, "alike") {
			t.Errorf("%q isn't in\n%s", want, got)
		}
	}
}

func TestWatchShowsRankingMetrics(t *testing.T) {
	e := &pb.Event{Phase: "apply", Round: 12, Kind: "evaluate", Step: 12, MaxRounds: 10, Message: "recall@20 0.2144, NDCG@20 0.2003"}
	var piped, terminal bytes.Buffer
	(&lines{w: &piped}).event(e)
	view := newBar(&terminal)
	view.event(e)
	view.close()
	for _, got := range []string{piped.String(), terminal.String()} {
		if !strings.Contains(got, "recall@20 0.2144, NDCG@20 0.2003") {
			t.Errorf("%q", got)
		}
	}
}
