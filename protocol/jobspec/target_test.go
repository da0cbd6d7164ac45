package jobspec

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// spendContract is the shop's contract with a label that is a number.
func spendContract(t *testing.T) string {
	t.Helper()
	return edit(t, string(read(t, "shop-customers.yaml")), `label: {column: churned, positive: "yes", negative: "no"}`, `label: {column: spend, type: number, min: 0, max: 5000}`)
}

func spendSpec(t *testing.T, model, metrics string) string {
	t.Helper()
	return edit(t, averagingSpec(t, model), "metrics: [auc, log_loss, accuracy]", metrics)
}

const linearModel = "model: {type: linear_regression, l2: 2.0}"

func TestContractWithANumberLabel(t *testing.T) {
	text := spendContract(t)
	if err := validate(t, compile(t, ContractSchema()), text); err != nil {
		t.Error(err)
	}
	c := mustContract(t, text)
	if n := c.Label.NumberLabel; n == nil || *n != (NumberLabel{Number, 0, 5000, OutsideClip}) || !strings.Contains(string(c.Canonical()), `"label":{"column":"spend","type":"number","min":0,"max":5000,"outside":"clip"}`) {
		t.Errorf("%+v %s", n, c.Canonical())
	}
	if again, err := ParseContractJSON(c.Canonical()); err != nil || again.Digest() != c.Digest() || len(Difference(c, again)) != 0 {
		t.Errorf("%v", err)
	}
	for _, e := range [][2]string{{`"outside":"clip"},"columns"`, `"outside":"drop"},"columns"`}, {`"min":0,"max":5000`, `"min":0,"max":0`}, {`"type":"number","min":0,"max":5000`, `"type":"category","min":0,"max":5000`}, {`"column":"spend",`, `"column":"spend","positive":"x",`}} {
		edited := strings.Replace(string(c.Canonical()), e[0], e[1], 1)
		if _, err := ParseContractJSON([]byte(edited)); edited == string(c.Canonical()) || !errors.Is(err, ErrNotCanonical) {
			t.Errorf("%s: %v", e[1], err)
		}
	}
	other := mustContract(t, edit(t, text, "max: 5000}", "max: 6000, outside: reject}"))
	if d := strings.Join(Difference(c, other), "\n"); strings.Count(d, "\n") != 1 || !strings.Contains(d, "max 5000, yours says 6000") || !strings.Contains(d, "outside") {
		t.Error(d)
	}
	if d := Difference(c, mustContract(t, string(read(t, "shop-customers.yaml")))); len(d) < 3 {
		t.Error(d)
	}
	for words, e := range map[string][2]string{
		"is missing":          {"min: 0, max: 5000}", "min: 0}"},
		`key "type"`:          {"type: number, min: 0, max: 5000", "min: 0, max: 5000"},
		"has no positive":     {"max: 5000}", `max: 5000, positive: "yes"}`},
		"has no classes":      {"max: 5000}", "max: 5000, classes: [a, b]}"},
		"not below max":       {"min: 0, max: 5000}", "min: 7, max: 7}"},
		"unknown key":         {"max: 5000}", "max: 5000, nullable: true}"},
		"can't be a column":   {"  age:  ", "  spend: {type: number, min: 0, max: 1}\n  age:  "},
		"the key are one":     {"column: spend", "column: customer_id"},
		"is not one of":       {"type: number, min: 0, max: 5000", "type: text, min: 0, max: 5000"},
		"is not a column":     {"column: spend", `column: "ä"`},
		"not within ±1e+18":   {"max: 5000}", "max: 1e30}"},
		"expected a number, ": {"min: 0, max: 5000}", `min: "0", max: 5000}`},
	} {
		_, problems := ParseContract([]byte(edit(t, text, e[0], e[1])))
		if len(problems) != 1 || !strings.Contains(problems[0].Message, words) {
			t.Errorf("%s: %v", words, problems)
		}
	}
}

func TestJobOfANumberLabelHasItsRange(t *testing.T) {
	c := mustContract(t, spendContract(t))
	for model, want := range map[string]string{
		linearModel: `"solver":"newton"`,
		"model: {type: linear_regression, solver: lbfgs}":           `"solver":"lbfgs"`,
		"model: {type: linear_regression, l1: 3, weight: age}":      `"weight":{"name":"age"`,
		"model: {type: linear_regression, solver: fedavg}":          `"optimizer":"sgd"`,
		"model: {type: factorization_machine, factors: 4, l2: 0.5}": `"factors":4`,
	} {
		metrics := "metrics: [rmse, mae, r2, calibration]"
		text := spendSpec(t, model, metrics)
		if strings.Contains(model, "weight: age") {
			text = edit(t, text, "[age, tenure_days]", "[tenure_days]")
		}
		if err := validate(t, compile(t, SpecSchema()), text); err != nil {
			t.Error(err)
		}
		r := mustResolve(t, mustSpec(t, text), c, fourMembers())
		if p := string(r.Program()); !strings.Contains(p, `"label":{"min":0,"max":5000}`) || !strings.Contains(p, want) {
			t.Errorf("%s", p)
		}
		again, err := ParseResolved(r.Canonical())
		if err != nil || !bytes.Equal(again.Canonical(), r.Canonical()) || again.Conforms(c) != nil {
			t.Errorf("%v, %v", err, again.Conforms(c))
		}
		page := ApprovalText(ApprovalInput{Job: r, Cohort: []string{"a", "b", "c", "d"}})
		if sums := "the sum of the labels in every category"; strings.Contains(page, sums) != (r.Model.Averaging == nil) {
			t.Errorf("%s\n%s", model, page)
		}
		for _, part := range []string{"a number from 0 to 5000", "the labels' mean and variance", "squared error, absolute error", "20 bins", "that row's"} {
			if !strings.Contains(page, part) {
				t.Errorf("no %q in\n%s", part, page)
			}
		}
	}
}

// Without a list, what a job measures doesn't include sums by bins.
func TestCalibrationOfANumberIsAskedFor(t *testing.T) {
	r := mustResolve(t, mustSpec(t, spendSpec(t, linearModel, "")), mustContract(t, spendContract(t)), fourMembers())
	if strings.Join(r.Metrics, " ") != "rmse mae r2" || strings.Contains(ApprovalText(ApprovalInput{Job: r, Cohort: []string{"a", "b", "c"}}), "bins") {
		t.Errorf("%v", r.Metrics)
	}
}

func TestResolvedNumberLabelsAreChecked(t *testing.T) {
	c := mustContract(t, spendContract(t))
	r := mustResolve(t, mustSpec(t, spendSpec(t, linearModel, "")), c, fourMembers())
	for _, e := range [][2]string{
		{`"label":{"min":0,"max":5000}`, `"label":{"min":0,"max":0}`}, {`"label":{"min":0,"max":5000}`, `"label":{"min":0}`},
		{`"label":{"min":0,"max":5000}`, `"label":{"classes":["a","b"],"min_rows":1,"min":0,"max":5000}`}, {`,"label":{"min":0,"max":5000}`, ""},
		{`"type":"linear_regression"`, `"type":"logistic_regression"`}, {`"metrics":["rmse"`, `"metrics":["auc","rmse"`},
		{`"label":{`, `"weighting":{"classes":[1,2]},"label":{`},
	} {
		edited := strings.Replace(string(r.Canonical()), e[0], e[1], 1)
		if _, err := ParseResolved([]byte(edited)); edited == string(r.Canonical()) || !errors.Is(err, ErrNotCanonical) {
			t.Errorf("%s → %s: %v", e[0], e[1], err)
		}
	}
	other := *r
	other.Target = &Target{0, 6000}
	if err := other.Conforms(c); err == nil || !strings.Contains(err.Error(), "6000") {
		t.Error(err)
	}
	other.Target = nil
	if other.Conforms(c) == nil {
		t.Error("a job of two values conforms to a number")
	}
}

func TestNumberLabelProblemsNameTheirPlaceAndRemedy(t *testing.T) {
	shop, spend := mustContract(t, string(read(t, "shop-customers.yaml"))), mustContract(t, spendContract(t))
	const standard = "metrics: [rmse, mae, r2]"
	for _, c := range []struct {
		contract          *Contract
		model, metrics    string
		path, words, hint string
	}{
		{shop, linearModel, "metrics: [auc, log_loss, accuracy]", "model.type", "has values", "logistic_regression"},
		{spend, "model: {type: logistic_regression}", standard, "model.type", "is a number", "linear_regression"},
		{spend, "model: {type: multinomial_logistic_regression}", standard, "model.type", "is a number", "linear_regression"},
		{spend, linearModel, "metrics: [auc]", "evaluate.metrics", "metric auc", "rmse, mae, r2, calibration"},
		{shop, "model: {type: logistic_regression}", "metrics: [r2]", "evaluate.metrics", "metric r2", "auc"},
		{spend, "model: {type: linear_regression, class_weights: {\"yes\": 2}}", standard, "model.class_weights", "not for numbers", "remove class_weights"},
		{spend, "model: {type: linear_regression, offset: age}", standard, "model.offset", "no offset", "remove offset"},
		{spend, "model: {type: linear_regression, factors: 3}", standard, "model.factors", "factorization", "remove factors"},
		{spend, linearModel, standard + "\n  groups: [country]", "evaluate.groups", "by groups", "remove groups"},
		{spend, "model: {type: linear_regression, solver: als}", standard, "model.solver", "not for a linear_regression", "newton"},
	} {
		text := spendSpec(t, c.model, c.metrics)
		if c.path == "model.offset" {
			text = edit(t, text, "[age, tenure_days]", "[tenure_days]")
		}
		s, problems := ParseSpec([]byte(text))
		if len(problems) == 0 {
			_, problems = Resolve(s, c.contract, fourMembers())
		}
		if len(problems) != 1 || problems[0].Path != c.path || !strings.Contains(problems[0].Message, c.words) || !strings.Contains(problems[0].Hint, c.hint) {
			t.Errorf("%s, %s: %v", c.model, c.metrics, problems)
		}
	}
}

// Trials of a linear regression are ranked by its error, unless another metric is named.
func TestSweepOfALinearRegressionIsRankedByItsError(t *testing.T) {
	text := spendSpec(t, linearModel, "metrics: [rmse, r2]")
	for tail, want := range map[string]string{"": "rmse", ", by: r2": "r2"} {
		s, problems := ParseSweep([]byte(text + "sweep: {folds: 5" + tail + "}\n"))
		if len(problems) > 0 || s.By != want || len(s.Trials) != 5 {
			t.Errorf("%q: %v %+v", tail, problems, s)
		}
	}
}
