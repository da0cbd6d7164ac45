package jobspec

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// sweeping is the averaging example with a sweep.
func sweeping(t *testing.T, sweep string) string {
	t.Helper()
	text := string(read(t, "churn.yaml"))
	text = edit(t, text, "  solver: newton\n", "  solver: fedavg\n  averaging: {learning_rate: 0.1, epochs: 1}\n")
	return edit(t, text, "evaluate:\n", sweep+"evaluate:\n")
}

func trialsOf(t *testing.T, text string) *Sweep {
	t.Helper()
	s, problems := ParseSweep([]byte(text))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return s
}

func TestGridIsEveryCombination(t *testing.T) {
	text := sweeping(t, "sweep:                 # all of six\n  search: grid\n  by: auc\n  values:\n    model.l2: [0.1, 1, 10]\n\n    model.averaging.learning_rate: [0.05, 2.0e-1]\n# the end\n")
	if err := validate(t, compile(t, SpecSchema()), text); err != nil {
		t.Error(err)
	}
	s := trialsOf(t, text)
	var got []string
	for i, trial := range s.Trials {
		spec := mustSpec(t, string(trial.Spec))
		got = append(got, fmt.Sprintf("%s %v %v", spec.Name, spec.Model.L2, spec.Model.Averaging.LearningRate))
		if spec.Name != trial.Name || trial.Values[0].Field != "model.l2" || trial.Values[1] != (Setting{"model.averaging.learning_rate", []string{"0.05", "2.0e-1"}[i%2]}) {
			t.Errorf("%+v", trial)
		}
		// A problem found later is told at the line where the author wrote it.
		if n := strings.Count(string(trial.Spec), "\n"); n != strings.Count(text, "\n") || strings.Contains(string(trial.Spec), "sweep") {
			t.Errorf("%d lines in\n%s", n, trial.Spec)
		}
		if spec.places["run.mode"] != (place{line(text, "mode: sealed"), 9}) {
			t.Errorf("run.mode at %v", spec.places["run.mode"])
		}
	}
	want := "churn-2026q4-1 0.1 0.05, churn-2026q4-2 0.1 0.2, churn-2026q4-3 1 0.05, churn-2026q4-4 1 0.2, churn-2026q4-5 10 0.05, churn-2026q4-6 10 0.2"
	if strings.Join(got, ", ") != want || s.By != "auc" {
		t.Errorf("%s, by %s", strings.Join(got, ", "), s.By)
	}
}

func line(text, of string) int { return 1 + strings.Count(text[:strings.Index(text, of)], "\n") }

func TestRandomTrialsFollowTheSeed(t *testing.T) {
	const values = "  values:\n    model.l2: {min: 0.01, max: 100, scale: log}\n    model.averaging.epochs: [1, 2, 4]\n"
	sweep := "sweep:\n  search: random\n  trials: 40\n  seed: 5\n" + values
	s := trialsOf(t, sweeping(t, sweep))
	if len(s.Trials) != 40 || s.By != "log_loss" {
		t.Fatalf("%d trials by %s", len(s.Trials), s.By)
	}
	below, epochs := 0, map[string]int{}
	for i, trial := range s.Trials {
		l2, err := strconv.ParseFloat(trial.Values[0].Value, 64)
		if err != nil || l2 < 0.01 || l2 > 100 {
			t.Errorf("l2 %s", trial.Values[0].Value)
		}
		if l2 < 1 { // half of a logarithmic range
			below++
		}
		epochs[trial.Values[1].Value]++
		for _, other := range s.Trials[:i] {
			if fmt.Sprint(other.Values) == fmt.Sprint(trial.Values) {
				t.Errorf("trials are equal: %v", trial.Values)
			}
		}
	}
	if below < 10 || below > 30 || len(epochs) != 3 {
		t.Errorf("%d of 40 below 1, epochs %v", below, epochs)
	}
	again, other := trialsOf(t, sweeping(t, sweep)), trialsOf(t, sweeping(t, strings.Replace(sweep, "seed: 5", "seed: 6", 1)))
	if fmt.Sprint(again) != fmt.Sprint(s) || fmt.Sprint(other) == fmt.Sprint(s) {
		t.Error("trials don't follow the seed")
	}
	// Of three choices there are three trials, however many are asked for.
	few := trialsOf(t, sweeping(t, "sweep: {search: random, trials: 9, values: {model.averaging.epochs: [1, 2, 4]}}\n"))
	if len(few.Trials) != 3 {
		t.Errorf("%d trials of three choices", len(few.Trials))
	}
}

func TestSpecsWithoutASweepHaveNone(t *testing.T) {
	for _, text := range []string{string(read(t, "churn.yaml")), "", "a: [", "just text"} {
		if s, problems := ParseSweep([]byte(text)); s != nil || problems != nil {
			t.Errorf("%.20s: %v, %v", text, s, problems)
		}
	}
	if _, problems := ParseSpec([]byte(sweeping(t, "sweep: {search: grid, values: {model.l2: [1]}}\n"))); len(problems) != 1 || problems[0].Path != "sweep" {
		t.Errorf("a coordinator takes a sweep for a job: %v", problems)
	}
}

func TestSweepProblemsNameTheirPlaceAndRemedy(t *testing.T) {
	for name, c := range map[string][3]string{ // sweep; path; message and hint
		"no search":     {"{values: {model.l2: [1]}}", "sweep.search", "missing"},
		"no values":     {"{search: grid}", "sweep.values", "missing"},
		"search":        {"{search: bayes, values: {model.l2: [1]}}", "sweep.search", "not one of grid, random"},
		"by":            {"{search: grid, by: loss, values: {model.l2: [1]}}", "sweep.by", "not one of"},
		"grid's trials": {"{search: grid, trials: 3, values: {model.l2: [1]}}", "sweep.trials", "remove trials"},
		"no trials":     {"{search: random, values: {model.l2: [1]}}", "", "needs a number of trials"},
		"many trials":   {"{search: random, trials: 101, values: {model.l2: [1]}}", "sweep.trials", "not within 1 to 100"},
		"no field":      {"{search: grid, values: {}}", "sweep.values", "0 fields"},
		"not the model": {"{search: grid, values: {run.seed: [1]}}", "sweep.values.run.seed", "only the model's fields"},
		"type":          {"{search: grid, values: {model.type: [logistic_regression]}}", "sweep.values.model.type", "only the model's fields"},
		"not written":   {"{search: grid, values: {model.averaging.patience: [1]}}", "sweep.values.model.averaging.patience", "write model.averaging.patience out"},
		"no such field": {"{search: grid, values: {model.l2.more: [1]}}", "sweep.values.model.l2.more", "no plain value"},
		"no value":      {"{search: grid, values: {model.l2: []}}", "sweep.values.model.l2", "0 values"},
		"twice":         {"{search: grid, values: {model.l2: [1, 1]}}", "sweep.values.model.l2[1]", "listed twice"},
		"injection":     {`{search: grid, values: {model.l2: ["1, type: x"]}}`, "sweep.values.model.l2[0]", "a number or a word"},
		"grid's range":  {"{search: grid, values: {model.l2: {min: 1, max: 2}}}", "sweep.values.model.l2", "expected a list"},
		"no range":      {"{search: random, trials: 2, values: {model.l2: {min: 2, max: 2}}}", "sweep.values.model.l2", "no range"},
		"log of zero":   {"{search: random, trials: 2, values: {model.l2: {min: 0, max: 2, scale: log}}}", "sweep.values.model.l2", "above 0 for scale: log"},
		"trial's own":   {"{search: grid, values: {model.l2: [1, -1]}}", "model.l2", "trial 2: l2 -1 is not within"},
		"too many": {"{search: grid, values: {model.l2: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], model.max_rounds: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]}}",
			"sweep.values", "more than 100 trials"},
	} {
		text := sweeping(t, "sweep: "+c[0]+"\n")
		s, problems := ParseSweep([]byte(text))
		if s != nil || len(problems) != 1 || c[1] != "" && problems[0].Path != c[1] || !strings.Contains(problems[0].String(), c[2]) {
			t.Errorf("%s: %v", name, problems)
		}
	}
	if _, problems := ParseSweep([]byte("{name: a, sweep: {search: grid, values: {model.l2: [1]}}}")); len(problems) == 0 || !strings.Contains(problems[0].Message, "between braces") {
		t.Errorf("%v", problems)
	}
	if _, problems := ParseSweep([]byte("sweep: {search: grid, values: {model.l2: [1]}}\nmodel:\n  l2: 3\n")); len(problems) == 0 || problems[0].Path != "name" {
		t.Errorf("%v", problems)
	}
}
