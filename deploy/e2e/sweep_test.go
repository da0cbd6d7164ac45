package e2e

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"tributary/deploy/shop"
)

// swept is what this test reads of a sweep's answers.
type swept struct {
	Trials []struct {
		Name     string `json:"name"`
		Job      string `json:"job"`
		Existing bool   `json:"existing"`
		Values   []struct{ Field, Value string }
		Forecast struct {
			Total string `json:"total"`
		} `json:"forecast"`
	} `json:"trials"`
	Total struct {
		Trials  int     `json:"trials"`
		Epsilon float64 `json:"epsilon_filter"`
	} `json:"total"`
}

// A sweep's trials are jobs of their own, submitted once however often the token is sent, and ranked afterwards; a private
// sweep's forecast says what all of them cost together.
func TestSweepRunsEachTrialAsAJob(t *testing.T) {
	c, spec := small(t, release)
	contract := write(t, filepath.Join(c.Dir, "terms.yaml"), shop.Contract)
	ask := func(args ...string) (out swept) {
		t.Helper()
		r, err := c.Tributary(t.Context(), append(args, "--contract", contract, "--output", "json")...)
		if err != nil || r.Code != 0 || json.Unmarshal([]byte(r.Out), &out) != nil {
			t.Fatalf("%v: %v, exit %d, %s%s", args, err, r.Code, r.Out, r.Err)
		}
		return out
	}
	file := write(t, filepath.Join(c.Dir, "sweep.yaml"), spec+"sweep:\n  search: grid\n  values: {model.l2: [1, 3000]}\n")
	if s := ask("job", "validate", file); len(s.Trials) != 2 || s.Trials[1].Name != "churn-2" || s.Trials[1].Values[0].Value != "3000" {
		t.Errorf("%+v", s)
	}
	first := ask("job", "submit", file, "--token", "one-sweep")
	again := ask("job", "submit", file, "--token", "one-sweep")
	args := []string{"job", "compare", "--by", "log_loss"}
	for i, trial := range first.Trials {
		if trial.Existing || !again.Trials[i].Existing || again.Trials[i].Job != trial.Job {
			t.Errorf("trial %d: %+v, then %+v", i, trial, again.Trials[i])
		}
		if end, err := c.Watch(t.Context(), trial.Job); err != nil || end.Status != "completed" {
			t.Fatalf("%+v, %v", end, err)
		}
		args = append([]string{args[0], args[1], trial.Job}, args[2:]...) // the worse one first
	}
	ranked, err := c.JSON(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	if best := ranked["jobs"].([]any)[0].(map[string]any); best["name"] != "churn-1" {
		t.Errorf("the best is %v", best["name"])
	}

	// Two folds, by the participants' own secrets.
	text := strings.Replace(spec, "holdout: {column: fold, equals: test}", "holdout: 0.5", 1) + "sweep: {folds: 2}\n"
	halves := ask("job", "submit", write(t, filepath.Join(c.Dir, "folds.yaml"), strings.Replace(text, "name: churn", "name: halves", 1)))
	args = []string{"job", "compare", "--folds"}
	for _, trial := range halves.Trials {
		if end, err := c.Watch(t.Context(), trial.Job); err != nil || end.Status != "completed" {
			t.Fatalf("%+v, %v", end, err)
		}
		args = append(args, trial.Job)
	}
	averaged, err := c.JSON(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	specs := averaged["specs"].([]any)
	loss := specs[0].(map[string]any)["metrics"].(map[string]any)["log_loss"].(map[string]any)
	if len(specs) != 1 || loss["folds"] != 2.0 || !(loss["mean"].(float64) > 0.3 && loss["mean"].(float64) < 0.7) || loss["sd"] == nil {
		t.Errorf("%v", averaged)
	}
	t.Logf("log loss over two folds: %v", loss)

	private := shop.PrivateSpec("quiet", "1.0", 3, 3, 4, "2m") + "sweep: {search: grid, values: {model.max_rounds: [6, 12]}}\n"
	cost := ask("job", "forecast", write(t, filepath.Join(c.Dir, "private.yaml"), private))
	if cost.Total.Trials != 2 || len(cost.Trials) != 2 || cost.Trials[0].Forecast.Total == "" || !(cost.Total.Epsilon > 1.2 && cost.Total.Epsilon < 2) {
		t.Errorf("%+v", cost)
	}
	r, err := c.Tributary(t.Context(), "job", "submit", file, "--contract", contract, "--watch")
	says(t, r, err, 2, "a sweep of 2")
	bad := strings.Replace(spec, "solver: newton", "solver: newton\nsweep: {search: grid, values: {model.l2: [1, -1]}}", 1)
	bad = strings.Replace(bad, "\nsweep", "\n  sweep", 1) // within the model
	r, err = c.Tributary(t.Context(), "job", "validate", write(t, filepath.Join(c.Dir, "bad.yaml"), bad), "--contract", contract)
	if err != nil || r.Code != 2 || !strings.Contains(r.Err, `unknown key "sweep"`) {
		t.Errorf("%v, exit %d, %s", err, r.Code, r.Err)
	}
}
