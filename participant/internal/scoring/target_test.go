package scoring

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"tributary/participant/internal/source"
	"tributary/protocol/pb"
)

// spend is linear with a label that is a number, from 0 to 2.
var spend = strings.NewReplacer(`"type":"logistic_regression"`, `"type":"linear_regression","label":{"min":0,"max":2,"mean":1,"sd":1}`).Replace(linear)

func TestFileIsScoredByNumber(t *testing.T) {
	in, out := write(t, "land,age,id\nDE,50,a\nDE,42,b\nDE,20,c\n"), filepath.Join(t.TempDir(), "scores.csv")
	for _, c := range []struct {
		explain bool
		want    []string
	}{
		{false, []string{"id|prediction", "a|2", "b|1.15", "c|0"}},
		{true, []string{"id|prediction|sum|sum:(intercept)|sum:age|sum:land", "a|2|2.75|0.5|2|0.25", "b|1.15|1.15|0.5|0.4|0.25", "c|0|-3.25|0.5|-4|0.25"}},
	} {
		result, err := File{Rows: source.Binding{File: in}, Out: out, Keep: []string{"id"}, Explain: c.explain}.Score(t.Context(), parse(t, spend))
		if err != nil || result.Rows != 3 {
			t.Fatal(result, err)
		}
		for i, row := range read(t, out, ',') {
			if got := strings.Join(row, "|"); got != c.want[i] {
				t.Errorf("%s, want %s", got, c.want[i])
			}
		}
	}
	if _, err := (File{Rows: source.Binding{File: write(t, "age,land,prediction\n1,DE,2\n")}, Out: out}).Score(t.Context(), parse(t, spend)); err == nil || !strings.Contains(err.Error(), `there is a column "prediction" already`) {
		t.Error(err)
	}
}

func TestNumbersAreServedAndExplained(t *testing.T) {
	h := Handler(parse(t, spend), []byte(spend))
	if code, text := post(t, h, nil, `{"rows":[{"age":50,"land":"DE"}]}`); code != http.StatusOK || strings.TrimSpace(text) != `{"results":[{"prediction":2}]}` {
		t.Errorf("%d %s", code, text)
	}
	if code, text := post(t, h, nil, `{"row":{"age":50,"land":"DE"},"explain":true}`); code != http.StatusOK ||
		strings.TrimSpace(text) != `{"result":{"prediction":2,"sum":2.75,"intercept":0.5,"columns":[{"column":"age","value":2},{"column":"land","value":0.25}]}}` {
		t.Errorf("%d %s", code, text)
	}
	for _, body := range []string{`{"row":{"age":"old","land":"DE"}}`, `{"row":{"age":"old","land":"DE"},"explain":true}`} {
		if code, text := post(t, h, nil, body); code != http.StatusBadRequest || !strings.Contains(text, `"field":"row.age"`) {
			t.Errorf("%d %s", code, text)
		}
	}
}

func TestNumbersArePredictedByGRPC(t *testing.T) {
	c, _, _ := dial(t, spend)
	scoring := pb.NewScoringClient(c)
	rows := []*pb.ScoreRow{cells(t, `{"age":50,"land":"DE"}`), cells(t, `{"age":42,"land":"DE"}`)}
	for _, explain := range []bool{false, true} {
		reply, err := scoring.Score(t.Context(), &pb.ScoreRequest{Rows: rows, Explain: explain})
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []struct{ prediction, sum float64 }{{2, 2.75}, {1.15, 1.15}} {
			r := reply.Results[i]
			if r.Prediction != want.prediction || r.Probability != 0 || (r.Explanation != nil) != explain || explain && r.Explanation.Logit != want.sum {
				t.Errorf("row %d: %v, want %v", i, r, want)
			}
		}
	}
}
