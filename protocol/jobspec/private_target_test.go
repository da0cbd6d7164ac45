package jobspec

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"tributary/crypto/dp"
	"tributary/crypto/dp/accountant"
)

// privateSpend is the example's private job with a label that is a number, and another model.
func privateSpend(t *testing.T, model string) string {
	t.Helper()
	text := edit(t, string(read(t, "private.yaml")), "metrics: [auc, log_loss, accuracy]", "metrics: [rmse, mae, r2]")
	return edit(t, text, `  type: logistic_regression
  l2: 1.0
  solver: dp_gradient_descent
  max_rounds: 12                      # all of them are run
`, "  "+model+"\n")
}

// A private job of a number has its range and its metrics' lanes; what a unit adds, and what training costs, is that of two values.
func TestPrivateJobsOfANumber(t *testing.T) {
	c := mustContract(t, spendContract(t))
	for model, rate := range map[string]float64{
		"type: linear_regression": 1,
		"type: linear_regression\n  solver: dp_sgd\n  sampling: {learning_rate: 3.8}":            3.8,
		"type: factorization_machine\n  factors: 4":                                              3,
		"type: factorization_machine\n  factors: 4\n  sampling: {momentum: 0}":                   2,
		"type: factorization_machine\n  factors: 4\n  sampling: {learning_rate: 2, momentum: 0}": 2,
	} {
		for _, unit := range []string{"unit: record", "unit: user", "unit: silo"} {
			for _, mode := range []string{"sealed", "noised"} {
				text := edit(t, privateSpend(t, model), "unit: record", unit)
				if mode == "noised" {
					text = edit(t, edit(t, text, "mode: sealed", "mode: noised"), "  committee: {threshold: 5, of: 7}    # tolerates f = 2\n", "")
				}
				if err := validate(t, compile(t, SpecSchema()), text); err != nil {
					t.Error(err)
				}
				r := mustResolve(t, mustSpec(t, text), c, tenMembers())
				if p := string(r.Program()); !strings.Contains(p, `"label":{"min":0,"max":5000}`) || r.Model.Solver != "dp_sgd" || r.Model.MaxRounds != 100 || r.Model.Sampling.LearningRate != rate {
					t.Errorf("%s: rate %v\n%s", model, r.Model.Sampling.LearningRate, p)
				}
				again, err := ParseResolved(r.Canonical())
				if err != nil || !bytes.Equal(again.Canonical(), r.Canonical()) || again.Conforms(c) != nil {
					t.Fatalf("%v, %v", err, again.Conforms(c))
				}
				if mode == "sealed" && unit == "unit: record" {
					checkBudget(t, r)
				}
				for kind, want := range map[uint8]dp.Segment{
					kindFit:      {Name: "count", Length: 1, Clip: r.Private.Scale, Rounding: dp.TowardZero},
					kindTrain:    {Name: "gradient", Length: r.Coefficients(), Clip: r.Private.Scale, Rounding: dp.Stochastic},
					kindEvaluate: {Name: "errors", Length: 6, Clip: r.Private.Scale, Rounding: dp.Stochastic},
				} {
					if o, _, ok := r.Noise(kind); !ok || len(o.Segments) != 2 || o.Segments[0] != want {
						t.Errorf("%s: %+v, want %+v", model, o.Segments, want)
					}
				}
			}
		}
	}
}

// The metrics of a number have a fifth of the budget.
func TestMetricsOfANumberHaveAFifthOfTheBudget(t *testing.T) {
	r := mustResolve(t, mustSpec(t, privateSpend(t, "type: linear_regression")), mustContract(t, spendContract(t)), tenMembers())
	limit, _ := r.Cap()
	budget, _ := limit.BudgetAt(r.Private.Order)
	for kind, share := range map[uint8]float64{kindFit: 0.02, kindTrain: 0.78, kindEvaluate: 0.20} {
		k, _ := r.Private.Kind(kind)
		c, err := accountant.ChargeFor(k.Charged(), r.Private.Order)
		if got := float64(c.Units()) * float64(k.Rounds) / float64(budget); err != nil || got > share || got < share*0.999 {
			t.Errorf("kind %d has %.4f of the budget, want %.2f (%v)", kind, got, share, err)
		}
	}
}

func TestLanesOfANumbersMetrics(t *testing.T) {
	c := mustContract(t, spendContract(t))
	for metrics, want := range map[string]int{"rmse": 3, "mae": 2, "r2": 5, "rmse, mae": 4, "mae, r2": 6, "rmse, r2": 5, "rmse, mae, r2": 6} {
		text := edit(t, privateSpend(t, "type: linear_regression"), "rmse, mae, r2", metrics)
		r := mustResolve(t, mustSpec(t, text), c, tenMembers())
		if o, _, _ := r.Noise(kindEvaluate); o.Segments[0].Length != want {
			t.Errorf("%s: %d lanes, want %d", metrics, o.Segments[0].Length, want)
		}
		page := ApprovalText(ApprovalInput{Job: r, Cohort: r.Participants, F: 2})
		for part, told := range map[string]bool{
			"their squared errors": strings.Contains(metrics, "r"), "their absolute errors": strings.Contains(metrics, "mae"), "the labels' squares": strings.Contains(metrics, "r2"),
			"a number from 0 to 5000": true, "how many they are": true, "by label and score": false,
		} {
			if strings.Contains(page, part) != (told && (part != "their squared errors" || metrics != "mae")) {
				t.Errorf("%s: %q\n%s", metrics, part, page)
			}
		}
	}
	// Without a list, and without a hold-out.
	r := mustResolve(t, mustSpec(t, edit(t, privateSpend(t, "type: linear_regression"), "  metrics: [rmse, mae, r2]\n", "")), c, tenMembers())
	if strings.Join(r.Metrics, " ") != "rmse mae r2" {
		t.Errorf("%v", r.Metrics)
	}
	r = mustResolve(t, mustSpec(t, edit(t, privateSpend(t, "type: linear_regression"), "evaluate:\n  holdout: 0.2\n  metrics: [rmse, mae, r2]\n", "")), c, tenMembers())
	if _, _, ok := r.Noise(kindEvaluate); ok || len(r.Metrics) > 0 {
		t.Errorf("%v without a hold-out", r.Metrics)
	}
}

func TestPrivateNumberProblemsNameTheirPlaceAndRemedy(t *testing.T) {
	shop, spend := mustContract(t, string(read(t, "shop-customers.yaml"))), mustContract(t, spendContract(t))
	const linear, machine = "type: linear_regression", "type: factorization_machine\n  factors: 4"
	for name, c := range map[string]struct {
		contract *Contract
		model    string
		old, new string
		problem  problemTest
	}{
		"two values":  {shop, linear, "  metrics: [rmse, mae, r2]\n", "", problemTest{path: "model.type", at: "linear_regression", message: "has values", hint: "logistic_regression"}},
		"a number":    {spend, "type: logistic_regression", "", "", problemTest{path: "model.type", at: "logistic_regression", message: "is a number", hint: "linear_regression, or factorization_machine"}},
		"gram":        {spend, linear + "\n  solver: dp_gradient_descent", "", "", problemTest{path: "model.solver", at: "dp_gradient_descent", message: "has the solver dp_sgd", hint: "dp_sgd"}},
		"newton":      {spend, linear + "\n  solver: newton", "", "", problemTest{path: "model.solver", at: "newton", message: "for exact jobs", hint: "write solver: dp_sgd, or leave it out"}},
		"calibration": {spend, linear, "mae, r2]", "mae, calibration]", problemTest{path: "evaluate.metrics", at: "[rmse, mae, calib", message: "20 bins", hint: "remove calibration"}},
		"auc":         {spend, linear, "mae, r2]", "auc]", problemTest{path: "evaluate.metrics", at: "[rmse, auc", message: "metric auc", hint: "choose of rmse, mae, r2"}},
		"groups":      {spend, machine, "mae, r2]", "mae, r2]\n  groups: [country]", problemTest{path: "evaluate.groups", at: "[country]\n", message: "isn't evaluated by groups", hint: "remove groups"}},
		"rate":        {spend, linear + "\n  sampling: {learning_rate: 4}", "", "", problemTest{path: "model.sampling.learning_rate", at: "4}\nev", message: "learning_rate 4 is above 3.8", hint: "leave it out"}},
		"plain rate":  {spend, machine + "\n  sampling: {learning_rate: 3, momentum: 0}", "", "", problemTest{path: "model.sampling.learning_rate", at: "3, mo", message: "learning_rate 3 is above 2", hint: "leave it out"}},
		"l1":          {spend, linear + "\n  l1: 1", "", "", problemTest{path: "model.l1", at: "1\nev", message: "no L1 penalty", hint: "remove l1"}},
		"factors":     {spend, linear + "\n  factors: 2", "", "", problemTest{path: "model.factors", at: "2\nev", message: "factorization", hint: "remove factors"}},
		"tolerance":   {spend, linear + "\n  tolerance: 0.1", "", "", problemTest{path: "model.tolerance", at: "0.1\n", message: "runs all of its rounds", hint: "remove tolerance"}},
	} {
		t.Run(name, func(t *testing.T) {
			text := privateSpend(t, c.model)
			if c.old != "" {
				text = edit(t, text, c.old, c.new)
			}
			s, problems := ParseSpec([]byte(text))
			if len(problems) == 0 {
				_, problems = Resolve(s, c.contract, tenMembers())
			}
			expectOne(t, text, problems, c.problem)
		})
	}
}

// A job from JSON that the spec's checks would have refused is refused, and so is one whose noise is another's.
func TestResolvedPrivateNumbersAreChecked(t *testing.T) {
	r := mustResolve(t, mustSpec(t, privateSpend(t, "type: linear_regression")), mustContract(t, spendContract(t)), tenMembers())
	for _, e := range [][2]string{
		{`"learning_rate":1,`, `"learning_rate":3.9,`}, {`"metrics":["rmse","mae","r2"]`, `"metrics":["rmse","mae","r2","calibration"]`},
		{`"metrics":["rmse","mae","r2"]`, `"metrics":["rmse"]`}, {`,"label":{"min":0,"max":5000}`, ""}, {`"type":"linear_regression"`, `"type":"logistic_regression"`},
		{`"solver":"dp_sgd"`, `"solver":"dp_gradient_descent"`}, {`"label":{"min":0,"max":5000}`, `"label":{"min":0,"max":0}`},
	} {
		edited := strings.Replace(string(r.Canonical()), e[0], e[1], 1)
		if _, err := ParseResolved([]byte(edited)); edited == string(r.Canonical()) || !errors.Is(err, ErrNotCanonical) {
			t.Errorf("%s → %s: %v", e[0], e[1], err)
		}
	}
}
