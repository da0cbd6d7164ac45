package jobspec

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// gradesContract is the shop's contract with a label of three classes.
func gradesContract(t *testing.T) string {
	t.Helper()
	return edit(t, string(read(t, "shop-customers.yaml")), `label: {column: churned, positive: "yes", negative: "no"}`, `label: {column: grade, classes: [gold, silver, "3"]}`)
}

func multinomialSpec(t *testing.T, model string) string {
	t.Helper()
	return edit(t, averagingSpec(t, model), "metrics: [auc, log_loss, accuracy]", "metrics: [log_loss, accuracy]")
}

// privateClassesSpec asks for what a private multinomial model hasn't: dp_gradient_descent and auc.
func privateClassesSpec(t *testing.T) string {
	t.Helper()
	return edit(t, string(read(t, "private.yaml")), "type: logistic_regression", "type: multinomial_logistic_regression")
}

// A private model of several classes is trained by dp_sgd: its sums have a lane for each coefficient of each class.
func TestPrivateMultinomialJobResolves(t *testing.T) {
	text := edit(t, edit(t, privateClassesSpec(t), "  solver: dp_gradient_descent\n", ""), "metrics: [auc, ", "metrics: [")
	if err := validate(t, compile(t, SpecSchema()), text); err != nil {
		t.Error(err)
	}
	r, problems := Resolve(mustSpec(t, text), mustContract(t, gradesContract(t)), tenMembers())
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if r.Model.Solver != "dp_sgd" || r.Model.Sampling == nil || r.Model.MinClassRows != 1 || r.Coefficients() != 3*r.Outputs() {
		t.Errorf("%+v", r.Model)
	}
	if o, _, ok := r.Noise(kindTrain); !ok || o.Segments[0].Length != r.Coefficients() {
		t.Errorf("%+v", o)
	}
	again, err := ParseResolved(r.Canonical())
	if err != nil || !bytes.Equal(again.Canonical(), r.Canonical()) {
		t.Fatal(err)
	}
	edited := strings.Replace(string(r.Canonical()), `"min_rows":1`, `"min_rows":2`, 1)
	if _, err := ParseResolved([]byte(edited)); !errors.Is(err, ErrNotCanonical) {
		t.Errorf("counts of classes, which no private sum has: %v", err)
	}
	if text := ApprovalText(ApprovalInput{Job: r, Cohort: make([]string, 10)}); !strings.Contains(text, "whether the model is right") {
		t.Errorf("%s", text)
	}
}

const multinomialModel = "model: {type: multinomial_logistic_regression, l2: 2.0, min_class_rows: 5}"

func TestMultinomialJobHasTheContractsClasses(t *testing.T) {
	c := mustContract(t, gradesContract(t))
	if err := validate(t, compile(t, ContractSchema()), gradesContract(t)); err != nil {
		t.Error(err)
	}
	if again, err := ParseContractJSON(c.Canonical()); err != nil || again.Digest() != c.Digest() || strings.Join(again.Label.Values(), " ") != "gold silver 3" {
		t.Errorf("%v %s", err, c.Canonical())
	}
	text := multinomialSpec(t, multinomialModel)
	if err := validate(t, compile(t, SpecSchema()), text); err != nil {
		t.Error(err)
	}
	r, problems := Resolve(mustSpec(t, text), c, fourMembers())
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	want := Model{Type: typeMultinomial, L2: 2, Solver: "lbfgs", MaxRounds: 200, Tolerance: 1e-8, MinClassRows: 5}
	if r.Model != want || !strings.Contains(string(r.Program()), `"label":{"classes":["gold","silver","3"],"min_rows":5}`) || r.Coefficients() != 3*r.Outputs() {
		t.Errorf("%+v %s", r.Model, r.Program())
	}
	again, err := ParseResolved(r.Canonical())
	if err != nil || !bytes.Equal(again.Canonical(), r.Canonical()) || again.Conforms(c) != nil {
		t.Errorf("%v, %v", err, again.Conforms(c))
	}
	for _, part := range []string{"multinomial logistic regression, l2 2, lbfgs", "each of 3 classes", "fewer than 5", "against the predicted ones"} {
		if text := ApprovalText(ApprovalInput{Job: r, Cohort: []string{"a", "b", "c", "d"}}); !strings.Contains(text, part) {
			t.Errorf("no %q in\n%s", part, text)
		}
	}
	other := mustContract(t, edit(t, gradesContract(t), "[gold, silver,", "[silver, gold,"))
	if len(Difference(c, other)) != 1 {
		t.Errorf("%v", Difference(c, other))
	}
	for _, edit := range [][2]string{
		{`"min_rows":5`, `"min_rows":0`}, {`"gold","silver","3"`, `"gold"`}, {`"gold","silver"`, `"gold","gold"`}, {`"label":{"classes":["gold","silver","3"],"min_rows":5}`, `"label":null`},
		{`"metrics":["log_loss"`, `"metrics":["auc","log_loss"`}, {`"solver":"lbfgs"`, `"solver":"newton"`}, {`"type":"multinomial_`, `"type":"`},
	} {
		edited := strings.Replace(string(r.Canonical()), edit[0], edit[1], 1)
		if _, err := ParseResolved([]byte(edited)); edited == string(r.Canonical()) || !errors.Is(err, ErrNotCanonical) {
			t.Errorf("%s → %s: %v", edit[0], edit[1], err)
		}
	}
}

func TestClassProblemsNameTheirPlaceAndRemedy(t *testing.T) {
	shop, grades := mustContract(t, string(read(t, "shop-customers.yaml"))), mustContract(t, gradesContract(t))
	for _, c := range []struct {
		contract          *Contract
		model             string
		path, words, hint string
	}{
		{shop, multinomialModel, "model.type", "two values", "logistic_regression"},
		{grades, "model: {type: logistic_regression}", "model.type", "3 classes", "multinomial"},
		{grades, "model: {type: multinomial_logistic_regression, solver: newton}", "model.solver", "not for a multinomial", "lbfgs"},
		{grades, "model: {type: multinomial_logistic_regression, l1: 1, standard_errors: true}", "model.standard_errors", "an L1 penalty", "remove"},
		{grades, "model: {type: multinomial_logistic_regression, factors: 2}", "model.factors", "factorization", "remove"},
		{shop, "model: {type: logistic_regression, min_class_rows: 2}", "model.min_class_rows", "multinomial", "remove"},
	} {
		s, problems := ParseSpec([]byte(multinomialSpec(t, c.model)))
		if len(problems) == 0 {
			_, problems = Resolve(s, c.contract, fourMembers())
		}
		if len(problems) != 1 || problems[0].Path != c.path || !strings.Contains(problems[0].Message, c.words) || !strings.Contains(problems[0].Hint, c.hint) {
			t.Errorf("%s: %v", c.model, problems)
		}
	}
	if _, problems := ParseSpec([]byte(averagingSpec(t, multinomialModel))); len(problems) != 1 || problems[0].Path != "evaluate.metrics" {
		t.Errorf("auc: %v", problems)
	}
	for path, change := range map[string][2]string{
		"model.solver":     {"metrics: [auc, ", "metrics: ["},
		"evaluate.metrics": {"  solver: dp_gradient_descent\n", ""},
		"model":            {"solver: dp_gradient_descent", "min_class_rows: 5"},
	} {
		text := edit(t, privateClassesSpec(t), change[0], change[1])
		if path == "model" {
			text = edit(t, text, "metrics: [auc, ", "metrics: [")
		}
		if _, problems := ParseSpec([]byte(text)); len(problems) != 1 || problems[0].Path != path {
			t.Errorf("a private job, %s: %v", path, problems)
		}
	}
	for label, path := range map[string]string{
		`{column: grade, classes: [a]}`:                 "label.classes",
		`{column: grade, classes: []}`:                  "label.classes",
		`{column: grade, classes: [a, a]}`:              "label.classes[1]",
		`{column: grade, classes: [a, ""]}`:             "label.classes[1]",
		`{column: grade, classes: a}`:                   "label.classes",
		`{column: grade, classes: [a, b], positive: a}`: "label.positive",
		`{classes: [a, b]}`:                             "label.column",
		`{column: grade}`:                               "label.positive",
	} {
		text := edit(t, gradesContract(t), `{column: grade, classes: [gold, silver, "3"]}`, label)
		if _, problems := ParseContract([]byte(text)); len(problems) == 0 || problems[0].Path != path {
			t.Errorf("%s: %v", label, problems)
		}
		if validate(t, compile(t, ContractSchema()), text) == nil {
			t.Errorf("%s: the schema accepts it", label)
		}
	}
}

// L-BFGS is a solver of two classes, too.
func TestLBFGSOpensNoPairs(t *testing.T) {
	c := mustContract(t, string(read(t, "shop-customers.yaml")))
	r, problems := Resolve(mustSpec(t, averagingSpec(t, "model: {type: logistic_regression, solver: lbfgs}")), c, fourMembers())
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	text := ApprovalText(ApprovalInput{Job: r, Cohort: []string{"a", "b", "c", "d"}})
	if r.Model.MaxRounds != 200 || strings.Contains(text, "pair of categories") || !strings.Contains(text, "derivative") {
		t.Error(text)
	}
}
