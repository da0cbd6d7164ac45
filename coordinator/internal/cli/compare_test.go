package cli

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"tributary/protocol/jobspec"
	"tributary/protocol/pb"
)

// jobOf is a finished job of a spec whose model and metrics are given.
func jobOf(t *testing.T, name, model, metrics string) *compared {
	t.Helper()
	c, problems := jobspec.ParseContract([]byte("version: 1\nname: shop\nrevision: 1\nkey: id\nmax_rows: 1000\nlabel: {column: y, positive: \"1\", negative: \"0\"}\ncolumns:\n  age: {type: number, min: 0, max: 100}\n"))
	if problems != nil {
		t.Fatal(problems)
	}
	s, problems := jobspec.ParseSpec([]byte("version: 1\nname: " + name + "\ncontract: shop@1\nfeatures:\n  - {columns: [age], transform: standardize}\nmodel: " + model +
		"\nevaluate: {holdout: 0.2}\nprivacy: exact\nrun: {mode: sealed}\n"))
	if problems != nil {
		t.Fatal(problems)
	}
	r, problems := jobspec.Resolve(s, c, jobspec.Options{F: 1, Members: []string{"a", "b", "c", "d"}, Seats: 4})
	if problems != nil {
		t.Fatal(problems)
	}
	out, err := compareOne(&pb.JobInfo{Job: []byte(name), Name: name, Status: "completed", ResolvedJson: r.Canonical(), MetricsJson: metrics}, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Metrics that no job has aren't told, those of recommenders are; nor is noise that follows from ε and δ.
func TestCompareTellsWhatTheJobsHave(t *testing.T) {
	a := jobOf(t, "first", "{type: logistic_regression}", `{"rows":80,"held_out_rows":18,"top_k":20,"recall":0.25,"ndcg":0.125}`)
	b := jobOf(t, "second", "{type: logistic_regression}", `{"rows":80,"held_out_rows":18,"top_k":20,"recall":0.5}`)
	var out bytes.Buffer
	if err := (&app{Streams: Streams{Out: &out}}).showComparison([]*compared{a, b}, "recall"); err != nil {
		t.Fatal(err)
	}
	for want, told := range map[string]bool{"METRIC second first": true, "recall 0.500000 0.250000 -0.25": true, "NDCG - 0.125000": true, "AUC": false, "R²": false} {
		if strings.Contains(strings.Join(strings.Fields(out.String()), " "), want) != told {
			t.Errorf("%q: told is %t in\n%s", want, !told, out.String())
		}
	}
	for path, want := range map[string]bool{"private.kinds.train.rounds": true, "program.private.sigma2_fit": true, "private.epsilon": false, "private.unit": false, "program.model.l2": false} {
		if derived(path) != want {
			t.Errorf("%s follows from others: %t", path, !want)
		}
	}
}

func TestCompareShowsMetricsAndDifferences(t *testing.T) {
	const newton, fedavg = "{type: logistic_regression}", "{type: logistic_regression, solver: fedavg}"
	a := jobOf(t, "first", newton, `{"rows":80,"held_out_rows":18,"log_loss":0.5,"scores":{"positive":[0,1,2,5],"negative":[6,3,1,0]}}`)
	b := jobOf(t, "second", fedavg, `{"rows":80,"held_out_rows":18,"log_loss":0.4,"scores":{"positive":[1,1,2,4],"negative":[6,3,1,0],"min_count":4,
		"groups":[{"column":"sex","group":"sex=f","rows":8,"positive":[0,0,0,4],"negative":[3,1,0,0]},{"column":"sex","group":"sex=m","rows":10,"positive":[1,1,2,0],"negative":[3,2,1,0]}]}}`)
	running := jobOf(t, "third", newton, "")
	var out bytes.Buffer
	app := &app{Streams: Streams{Out: &out}}
	if err := app.showComparison([]*compared{a, b}, ""); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"METRIC", "first", "second", "DIFFERENCE", "0.956250", "-0.1\n", "program.model.solver", `"newton"`, `"fedavg"`, "SPEC", "parity difference by sex       -           0.200000", "opportunity difference by sex  -           0.500000"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "Note:") {
		t.Errorf("a note on jobs of the same rows:\n%s", out.String())
	}
	for by, want := range map[string]string{"log_loss": "second first third", "auc": "first second third", "": "third first second"} {
		out.Reset()
		app.json = true
		if err := app.showComparison([]*compared{running, a, b}, by); err != nil {
			t.Fatal(err)
		}
		var document struct {
			Jobs []struct {
				Name       string
				Metrics    map[string]any
				Evaluation map[string]any
			}
			Differences []jobspec.Variation
			RankedBy    string `json:"ranked_by"`
		}
		if err := json.Unmarshal(out.Bytes(), &document); err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, j := range document.Jobs {
			names = append(names, j.Name)
			if (j.Evaluation == nil) != (j.Name == "third") {
				t.Errorf("evaluation of %s: %v", j.Name, j.Evaluation)
			}
		}
		if strings.Join(names, " ") != want || document.RankedBy != by || len(document.Differences) == 0 || len(document.Differences[0].Values) != 3 {
			t.Errorf("by %q: %v", by, names)
		}
	}
}

func TestCompareSaysWhatCannotBeCompared(t *testing.T) {
	const model = "{type: logistic_regression}"
	a := jobOf(t, "first", model, `{"rows":80,"held_out_rows":18}`)
	b := jobOf(t, "second", model, `{"rows":81,"held_out_rows":18}`)
	if notes := incomparable([]*compared{a, b}); len(notes) != 1 || !strings.Contains(notes[0], "rows changed") {
		t.Error(notes)
	}
	b.resolved.Holdout.Tenths, b.resolved.Participants, b.Quality.Noised = 3, []string{"a"}, true
	b.resolved.ContractDigest[0]++
	notes := strings.Join(incomparable([]*compared{a, b}), " ")
	for _, want := range []string{"different contracts", "different participants", "hold out different rows", "noisy"} {
		if !strings.Contains(notes, want) {
			t.Errorf("no %q in %s", want, notes)
		}
	}
}

func TestCompareWrongUse(t *testing.T) {
	for line, want := range map[string]string{
		"job compare a":                "two JOBs at least",
		"job compare a b --by nothing": "it is one of auc",
		"job report a":                 "--out is missing",
	} {
		if r := run(t, append(strings.Fields(line), "--home", t.TempDir())...); r.code != exitUsage || !strings.Contains(r.err, want) || !strings.Contains(r.err, "hint: ") {
			t.Errorf("%s: exit %d, %s", line, r.code, r.err)
		}
	}
	s := serve(t)
	for _, line := range []string{"job compare abcdef 123456", "job report abcdef --out " + t.TempDir() + "/x.html"} {
		if r := s.run(strings.Fields(line)...); r.code != exitUsage || !strings.Contains(r.err, "not found") {
			t.Errorf("%s: exit %d, %s", line, r.code, r.err)
		}
	}
}
