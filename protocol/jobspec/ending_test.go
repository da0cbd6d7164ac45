package jobspec

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// An L1 penalty, a patience and standard errors go with L-BFGS, as far as they go together, and the approval says what they open.
func TestEndingOfLBFGSJobs(t *testing.T) {
	c := mustContract(t, string(read(t, "shop-customers.yaml")))
	for _, test := range []struct{ model, program, approval string }{
		{"{type: logistic_regression, solver: lbfgs, l1: 2.5, l2: 0, patience: 3}", `"l1":2.5,"l2":0,"solver":"lbfgs","max_rounds":200,"tolerance":1e-8,"patience":3`, "the held-out rows' loss in each round"},
		{"{type: logistic_regression, solver: lbfgs, standard_errors: true}", `"standard_errors":true`, "second derivatives by every pair of coefficients at the end"},
		{"{type: logistic_regression, patience: 2}", `"solver":"newton","max_rounds":10,"tolerance":1e-8,"patience":2`, "the held-out rows' loss in each round"},
		{"{type: logistic_regression, patience: 0, standard_errors: false}", `"tolerance":1e-8}`, "newton"},
	} {
		text := averagingSpec(t, "model: "+test.model)
		if err := validate(t, compile(t, SpecSchema()), text); err != nil {
			t.Error(err)
		}
		r, problems := Resolve(mustSpec(t, text), c, fourMembers())
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		if !strings.Contains(string(r.Program()), test.program) {
			t.Errorf("%s: %s", test.model, r.Program())
		}
		if text := ApprovalText(ApprovalInput{Job: r, Cohort: []string{"a", "b", "c", "d"}}); !strings.Contains(text, test.approval) {
			t.Errorf("%s: %s", test.model, text)
		}
		if again, err := ParseResolved(r.Canonical()); err != nil || !bytes.Equal(again.Canonical(), r.Canonical()) {
			t.Error(err)
		}
		for _, edit := range [][2]string{{`"patience":3`, `"patience":-1`}, {`"patience":3`, `"patience":0`}, {`"patience":3`, `"patience":3,"standard_errors":true`}, {`"standard_errors":true`, `"standard_errors":false`}, {`"standard_errors":true`, `"standard_errors":true,"averaging":null`}} {
			edited := strings.Replace(string(r.Canonical()), edit[0], edit[1], 1)
			if _, err := ParseResolved([]byte(edited)); edited != string(r.Canonical()) && !errors.Is(err, ErrNotCanonical) {
				t.Errorf("%s: %v", edit[1], err)
			}
		}
	}
}

// What averaging opens is told as such: no counts of pairs, which only second derivatives give, but the mean of what training changed.
func TestApprovalsSayWhatAveragingOpens(t *testing.T) {
	c := mustContract(t, string(read(t, "shop-customers.yaml")))
	for model, want := range map[string]string{
		"{type: logistic_regression, solver: fedavg}":                                                "the count of every category, the mean change of every coefficient in each round, held-out scores",
		"{type: logistic_regression, solver: fedavg, l1: 2, averaging: {epochs: 2}}":                 "the count of every category, the mean change of every coefficient, before the L1 penalty, in each round",
		"{type: factorization_machine, averaging: {patience: 3}}":                                    "the held-out rows' loss in each round",
		"{type: logistic_regression, solver: fedprox, averaging: {patience: 0}}":                     "each participant passes once over its rows",
		"{type: logistic_regression, solver: fedavg, l1: 2, averaging: {epochs: 2, optimizer: sgd}}": "passes 2 times over its rows; the mean of the coefficients' changes before the L1 penalty is added",
	} {
		r, problems := Resolve(mustSpec(t, averagingSpec(t, "model: "+model)), c, fourMembers())
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		text := ApprovalText(ApprovalInput{Job: r, Cohort: []string{"a", "b", "c", "d"}})
		if !strings.Contains(text, want) || strings.Contains(text, "pair of categories") || strings.Contains(text, "loss in each round") != (r.Model.Averaging.Patience > 0) {
			t.Errorf("%s: %s", model, text)
		}
	}
}

// A remedy works for the model that it is told for.
func TestRemediesFitTheModel(t *testing.T) {
	recommender := string(read(t, "recommend.yaml"))
	for text, want := range map[string]string{
		averagingSpec(t, "model: {type: factorization_machine, l1: 1}"):           "remove l1",
		averagingSpec(t, "model: {type: factorization_machine, solver: dp_sgd}"):  "write solver: fedavg, or leave it out",
		strings.Replace(recommender, "factors: ", "solver: dp_als, factors: ", 1): "write solver: als, or leave it out",
		strings.Replace(recommender, "factors: ", "l1: 1, factors: ", 1):          "remove l1",
	} {
		if _, problems := ParseSpec([]byte(text)); len(problems) != 1 || problems[0].Hint != want {
			t.Errorf("%v, want the hint %q", problems, want)
		}
	}
}

func TestEndingsThatDontGoTogether(t *testing.T) {
	for model, want := range map[string][2]string{
		"{type: logistic_regression, standard_errors: true}":                                                 {"model.standard_errors", "by itself"},
		"{type: logistic_regression, solver: lbfgs, l1: 1, standard_errors: true}":                           {"model.standard_errors", "no standard errors"},
		"{type: logistic_regression, solver: fedavg, standard_errors: true}":                                 {"model.standard_errors", "lbfgs"},
		"{type: logistic_regression, solver: lbfgs, standard_errors: perhaps}":                               {"model.standard_errors", "true or false"},
		"{type: logistic_regression, solver: fedavg, patience: 3}":                                           {"model.patience", "of their own"},
		"{type: factorization_machine, patience: 3}":                                                         {"model.patience", "of their own"},
		"{type: logistic_regression, patience: -1}":                                                          {"model.patience", "not within"},
		"{type: factorization_machine, l1: 1}":                                                               {"model.l1", "no L1 penalty"},
		"{type: logistic_regression, solver: fedprox, l1: 1}":                                                {"model.l1", "no L1 penalty"},
		"{type: multinomial_logistic_regression, offset: age, l2: 1, tolerance: 1e-8, solver: lbfgs, l1: 1}": {"model.offset", "changes no probability"},
	} {
		if _, problems := ParseSpec([]byte(averagingSpec(t, "model: "+model))); len(problems) == 0 || problems[len(problems)-1].Path != want[0] && problems[0].Path != want[0] || !strings.Contains(problems[len(problems)-1].Message+problems[0].Message, want[1]) {
			t.Errorf("%s: %v", model, problems)
		}
	}
	text := averagingSpec(t, "model: {type: logistic_regression, patience: 3}")
	bare := text[:strings.Index(text, "evaluate:")] + text[strings.Index(text, "privacy:"):]
	if _, problems := ParseSpec([]byte(bare)); len(problems) != 1 || problems[0].Path != "model.patience" {
		t.Error(problems)
	}
	private := edit(t, string(read(t, "private.yaml")), "l2: 1.0", "l2: 1.0\n  patience: 3")
	if _, problems := ParseSpec([]byte(private)); len(problems) != 1 || problems[0].Path != "model.patience" {
		t.Errorf("a private job: %v", problems)
	}
}

// A model may be as wide as the solver takes, and no wider; its Hessian is narrower.
func TestBoundsOfLBFGSModels(t *testing.T) {
	r := &Resolved{Model: Model{Type: typeLogistic, Solver: solverLBFGS}}
	for _, test := range []struct {
		columns  int
		errors   bool
		problems int
	}{{1<<19 - 2, false, 0}, {1<<19 - 1, false, 1}, {1998, true, 0}, {1999, true, 1}} {
		r.Features = []Feature{{Name: "x", Kind: Category, Values: make([]string, test.columns)}}
		r.Model.StandardErrors = test.errors
		found := 0
		r.checkSize(func(string, string, ...string) { found++ }, "model")
		if found != test.problems || !test.errors && (r.Outputs() <= r.maxOutputs()) != (found == 0) {
			t.Errorf("%d columns, standard errors %t: %d problems", test.columns, test.errors, found)
		}
	}
}
