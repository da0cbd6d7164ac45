package jobspec

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// Folds are the ten tenths in equal parts, each held out once for each combination.
func TestFoldsPartTheTenths(t *testing.T) {
	for folds, want := range map[int]string{2: "5@0 5@5", 5: "2@0 2@2 2@4 2@6 2@8", 10: "1@0 1@1 1@2 1@3 1@4 1@5 1@6 1@7 1@8 1@9"} {
		text := sweeping(t, fmt.Sprintf("sweep: {folds: %d}\n", folds))
		if err := validate(t, compile(t, SpecSchema()), text); err != nil {
			t.Error(err)
		}
		s := trialsOf(t, text)
		var got []string
		for _, trial := range s.Trials {
			h := mustSpec(t, string(trial.Spec)).Holdout
			got = append(got, fmt.Sprintf("%d@%d", h.Tenths, h.From))
		}
		if strings.Join(got, " ") != want || s.Folds != folds {
			t.Errorf("%d folds: %v", folds, got)
		}
	}
	s := trialsOf(t, sweeping(t, "sweep: {folds: 5, search: grid, values: {model.l2: [1, 2]}}\n"))
	if len(s.Trials) != 10 || fmt.Sprint(s.Trials[6].Values) != "[{model.l2 2} {evaluate.holdout {tenths: 2, from: 2}}]" {
		t.Errorf("%v", s.Trials)
	}
	for _, c := range [][2]string{
		{"{folds: 3}", "don't divide ten"}, {"{folds: 11}", "not within 2 to 10"}, {"{folds: 5, search: grid}", `"values" is missing`},
		{"{folds: 10, search: grid, values: {model.l2: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]}}", "110 trials"},
	} {
		if s, problems := ParseSweep([]byte(sweeping(t, "sweep: "+c[0]+"\n"))); s != nil || len(problems) != 1 || !strings.Contains(problems[0].String(), c[1]) {
			t.Errorf("%s: %v", c[0], problems)
		}
	}
	split := edit(t, sweeping(t, "sweep: {folds: 5}\n"), "holdout: 0.2 ", "holdout: {column: fold, equals: test} ")
	if s, problems := ParseSweep([]byte(split)); s != nil || len(problems) != 1 || !strings.Contains(problems[0].Message, "no plain value at evaluate.holdout") {
		t.Errorf("%v", problems)
	}
}

func TestFoldsOfASpec(t *testing.T) {
	text := string(read(t, "churn.yaml"))
	fold := edit(t, text, "holdout: 0.2 ", "holdout: {tenths: 2, from: 4} ")
	plain, c := example(t)
	options := Options{F: 1, Members: plain.Participants, Seats: 4}
	r := mustResolve(t, mustSpec(t, fold), c, options)
	if r.Holdout != (Holdout{Tenths: 2, From: 4}) || !strings.Contains(string(r.Canonical()), `"holdout":{"tenths":2,"from":4,"column":""`) {
		t.Errorf("%s", r.Canonical())
	}
	if again, err := ParseResolved(r.Canonical()); err != nil || again.Holdout != r.Holdout {
		t.Error(err)
	}
	for name, new := range map[string]string{"beyond": `"tenths":2,"from":9,`, "negative": `"tenths":2,"from":-1,`, "zero": `"tenths":2,"from":0,`, "alone": `"tenths":0,"from":4,`} {
		if _, err := ParseResolved([]byte(edit(t, string(r.Canonical()), `"tenths":2,"from":4,`, new))); !errors.Is(err, ErrNotCanonical) {
			t.Errorf("%s: %v", name, err)
		}
	}
	told := ApprovalText(ApprovalInput{Job: r, Cohort: []string{"A", "B", "C"}, F: 1})
	if !strings.Contains(told, "2 tenths of the rows from number 4") || !strings.Contains(told, "follow by difference") {
		t.Error(told)
	}
	for new, want := range map[string]string{
		"{tenths: 2, from: 9} ":      "more than there are",
		"{tenths: 10} ":              "not within 1 to 9",
		"{tenths: 2, column: fold} ": "can't stand beside tenths",
		"{from: 2} ":                 "is missing",
	} {
		if _, problems := ParseSpec([]byte(edit(t, text, "holdout: 0.2 ", "holdout: "+new))); len(problems) == 0 || !strings.Contains(problems[0].Message, want) {
			t.Errorf("%s: %v", new, problems)
		}
	}
}
