package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tributary/models/local"
	"tributary/models/metrics"
	"tributary/participant/internal/engine"
	"tributary/participant/internal/store"
	"tributary/protocol/wire"
)

func TestEvaluationIsShownAndWrittenForThisUserAlone(t *testing.T) {
	config := finished(t)
	dir := filepath.Dir(config)
	run(t, config, "evaluation", "recommend").expect(t, exitRefused, "has no evaluation on this node's rows", "hint: ")
	s, err := store.Open(filepath.Join(dir, "state"))
	if err != nil {
		t.Fatal(err)
	}
	own := &local.Evaluation{Summary: metrics.Summary{HeldOut: 4, Positives: 2, AUC: metrics.Value{Known: true, V: 1}}, Scores: &metrics.Histogram{Positive: []float64{0, 2}, Negative: []float64{2, 0}}}
	data, err := json.Marshal(engine.Evaluation{Type: "logistic_regression", Own: own, Measured: true, All: metrics.Summary{HeldOut: 900, AUC: metrics.Value{Known: true, V: 0.75}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SaveEvaluation(wire.Digest{1, 2, 3, 4}, data); err != nil {
		t.Fatal(err)
	}
	s.Close()
	run(t, config, "evaluation", "recommend").expect(t, exitOK, "recommend (010203040000), logistic_regression", "OWN ROWS", "1.0000", "0.7500", "At threshold 0.5", "Don't pass them on")
	run(t, config, "evaluation", "recommend", "--threshold", "2").expect(t, exitUsage, "--threshold 2 is not within 0 to 1")
	run(t, config, "evaluation", "nothing").expect(t, exitUsage, `there is no job "nothing" here`)
	var view struct {
		Name, Notice string
		Own, All     struct{ AUC float64 }
		Decision     struct {
			TruePositive float64 `json:"true_positive"`
		}
	}
	a := run(t, config, "--output", "json", "evaluation", "010203", "--threshold", "0.25")
	if err := json.Unmarshal([]byte(a.out), &view); err != nil || view.Own.AUC != 1 || view.All.AUC != 0.75 || view.Decision.TruePositive != 2 || view.Notice == "" {
		t.Errorf("%s (%v)", a.out, err)
	}
	page := filepath.Join(dir, "own.html")
	if err := os.WriteFile(page, []byte("earlier"), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, config, "evaluation", "recommend", "--report", page).expect(t, exitOK, "Wrote "+page)
	text, err := os.ReadFile(page)
	info, _ := os.Stat(page)
	if err != nil || !strings.Contains(string(text), "<polyline") || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, mode %v", err, info.Mode())
	}
	run(t, config, "evaluation", "recommend", "--report", filepath.Join(dir, "none", "own.html")).expect(t, exitUsage, "hint: --report must be in a folder")
}
