package jobspec

import (
	"errors"
	"strings"
	"testing"
)

// grouped is the example, evaluated by group.
func grouped(t *testing.T, evaluate string) (string, *Contract) {
	t.Helper()
	_, c := example(t)
	return edit(t, string(read(t, "churn.yaml")), "metrics: [auc, log_loss, accuracy]", "metrics: [auc, log_loss, accuracy]\n  "+evaluate), c
}

func TestGroupsAreResolvedFromTheContract(t *testing.T) {
	text, c := grouped(t, "groups: [device, country]\n  min_count: 50")
	if err := validate(t, compile(t, SpecSchema()), text); err != nil {
		t.Error(err)
	}
	plain, _ := example(t)
	options := Options{F: 1, Members: plain.Participants, Seats: 4}
	r := mustResolve(t, mustSpec(t, text), c, options)
	if len(r.Groups) != 2 || r.Groups[0].Name != "device" || len(r.Groups[0].Values) != 3 || r.MinGroup != 50 {
		t.Errorf("%+v, %d", r.Groups, r.MinGroup)
	}
	if got := string(r.Program()); !strings.Contains(got, `"accuracy"],"groups":[{"name":"device","values":["mobile","desktop","tablet"],"nullable":`) || !strings.HasSuffix(got, `],"min_count":50}}`) {
		t.Error(got)
	}
	again, err := ParseResolved(r.Canonical())
	if err != nil || string(again.Canonical()) != string(r.Canonical()) {
		t.Fatal(err)
	}
	if err := again.Conforms(c); err != nil {
		t.Error(err)
	}
	again.Groups[0].Values[0] = "phone"
	if err := again.Conforms(c); err == nil || !strings.Contains(err.Error(), "device") {
		t.Errorf("another contract's values: %v", err)
	}
	text, _ = grouped(t, "groups: [country]")
	if r := mustResolve(t, mustSpec(t, text), c, options); r.MinGroup != 20 {
		t.Errorf("min_count %d by default", r.MinGroup)
	}
	if strings.Contains(string(plain.Canonical()), "groups") {
		t.Error("a job without groups names them")
	}
}

func TestApprovalSaysWhatGroupsTell(t *testing.T) {
	text, c := grouped(t, "groups: [country]\n  min_count: 50")
	plain, _ := example(t)
	r := mustResolve(t, mustSpec(t, text), c, Options{F: 1, Members: plain.Participants, Seats: 4})
	in := ApprovalInput{Job: r, Cohort: []string{"A", "B", "C", "D"}, F: 1}
	for _, want := range []string{"own secret; by group of country", "by group of country: how many held-out rows each group has and, for groups of 50 or more, their held-out scores by label in 64 bins"} {
		if !strings.Contains(ApprovalText(in), want) {
			t.Errorf("no %q in\n%s", want, ApprovalText(in))
		}
	}
	in.Job = plain
	if strings.Contains(ApprovalText(in), "by group") {
		t.Error("a job without groups tells of some")
	}
}

func TestGroupProblemsNameTheirPlaceAndRemedy(t *testing.T) {
	for name, test := range map[string]problemTest{
		"none":        {"groups: [country]", "groups: []", "evaluate.groups", "[]\n", "there are none", ""},
		"count alone": {"groups: [country]", "min_count: 30", "evaluate.min_count", "30\nprivacy", "is for groups", "add groups"},
		"zero":        {"groups: [country]", "groups: [country]\n  min_count: 0", "evaluate.min_count", "0\nprivacy", "0 is not within 1", ""},
		"unknown":     {"groups: [country]", "groups: [contry]", "evaluate.groups[0]", "contry", "has no column", "did you mean country?"},
		"number":      {"groups: [country]", "groups: [age]", "evaluate.groups[0]", "age]\nprivacy", "is a number", "declare a category"},
		"split":       {"groups: [country]", "groups: [fold]", "evaluate.groups[0]", "fold]\nprivacy", "is a split", ""},
		"label":       {"groups: [country]", "groups: [churned]", "evaluate.groups[0]", "churned", "label or key", "remove"},
		"twice":       {"groups: [country]", "groups: [country, country]", "evaluate.groups[1]", "country]\nprivacy", "listed twice", "remove"},
	} {
		t.Run(name, func(t *testing.T) {
			text, c := grouped(t, "groups: [country]")
			text = edit(t, text, test.old, test.new)
			s, problems := ParseSpec([]byte(text))
			if problems == nil {
				plain, _ := example(t)
				_, problems = Resolve(s, c, Options{F: 1, Members: plain.Participants, Seats: 4})
			}
			expectOne(t, text, problems, test)
		})
	}
	text, c := grouped(t, "groups: [country]")
	plain, _ := example(t)
	for _, e := range [][3]string{{"[auc, log_loss, accuracy]", "[log_loss]", "auc"}, {"  holdout: 0.2 ", "  # ", "hold-out"}} {
		_, problems := Resolve(mustSpec(t, edit(t, text, e[0], e[1])), c, Options{F: 1, Members: plain.Participants, Seats: 4})
		told := false
		for _, p := range problems {
			told = told || p.Path == "evaluate.groups" && strings.Contains(p.Message, e[2])
		}
		if !told {
			t.Errorf("%s: %v", e[1], problems)
		}
	}
}

// A private job's groups are counted in the evaluation's sum, whose noise covers a row's 1 among all rows and in a group of each column.
func TestPrivateGroupsAreNoisedWithAllRows(t *testing.T) {
	c := mustContract(t, string(read(t, "shop-customers.yaml")))
	text := edit(t, string(read(t, "private.yaml")), "metrics: [", "groups: [country, device]\n  metrics: [")
	r, plain := mustResolve(t, mustSpec(t, text), c, tenMembers()), mustResolve(t, mustSpec(t, string(read(t, "private.yaml"))), c, tenMembers())
	again, err := ParseResolved(r.Canonical())
	if err != nil || again.Conforms(c) != nil || string(again.Canonical()) != string(r.Canonical()) {
		t.Fatalf("%v", err)
	}
	o, charged, _ := r.Noise(kindEvaluate)
	groups := countGroups(r.Groups)
	if s := o.Segments[0]; groups != 9 || s.Length != 100+20*groups || s.Clip != rootClip(3, r.Private.Scale) || charged.Sensitivity2 != s.Clip*s.Clip {
		t.Errorf("%d groups, %+v", groups, s)
	}
	// Twice the share, three times Δ²: σ² grows by half.
	if ratio := float64(r.Private.Evaluate.SumSigma2) / float64(plain.Private.Evaluate.SumSigma2); ratio < 1.45 || ratio > 1.55 {
		t.Errorf("the metrics' variance grows by %g", ratio)
	}
	approval := ApprovalText(ApprovalInput{Job: r, Cohort: r.Participants, F: 2})
	for _, want := range []string{"by label and score, among all rows and by group of country, device. Whoever", "one record adds 1.74 at most", "; by group of country, device"} {
		if !strings.Contains(approval, want) {
			t.Errorf("the approval lacks %q:\n%s", want, approval)
		}
	}
	text = string(r.Canonical())
	for _, e := range [][2]string{{`{"name":"device"`, `{"name":"devices"`}, {`"groups":[{`, `"groups":[{"name":"age","values":["1"],"nullable":false},{`}} {
		if edited := strings.Replace(text, e[0], e[1], -1); edited == text {
			t.Fatal(e[0])
		} else if other, err := ParseResolved([]byte(edited)); err == nil && other.Conforms(c) == nil {
			t.Errorf("%s: accepted", e[1])
		}
	}
}

func TestParseResolvedChecksGroups(t *testing.T) {
	text, c := grouped(t, "groups: [country]")
	plain, _ := example(t)
	canonical := string(mustResolve(t, mustSpec(t, text), c, Options{F: 1, Members: plain.Participants, Seats: 4}).Canonical())
	for name, e := range map[string][2]string{
		"count zero":  {`"min_count":20}}}`, `"min_count":0}}}`},
		"no count":    {`,"min_count":20}}}`, `}}}`},
		"no groups":   {canonical[strings.Index(canonical, `,"groups"`):], `,"min_count":20}}}`},
		"no auc":      {`"metrics":["auc",`, `"metrics":[`},
		"no hold-out": {`"tenths":2`, `"tenths":0`},
		"value twice": {`"groups":[{"name":"country","values":["DE",`, `"groups":[{"name":"country","values":["FR",`},
		"name":        {`"groups":[{"name":"country"`, `"groups":[{"name":"a b"`},
	} {
		if _, err := ParseResolved([]byte(edit(t, canonical, e[0], e[1]))); !errors.Is(err, ErrNotCanonical) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
