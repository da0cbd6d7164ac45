package jobspec

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

const averagingModel = "model: {type: factorization_machine, factors: 4, solver: fedavg, averaging: {optimizer: adagrad, patience: 2}}"

// averagingSpec is the churn job with another model.
func averagingSpec(t *testing.T, model string) string {
	t.Helper()
	text := string(read(t, "churn.yaml"))
	from := strings.Index(text, "model:")
	to := from + strings.Index(text[from:], "\nevaluate:")
	return text[:from] + model + text[to:]
}

// Defaults follow the model and the solver, and the resolved job reads back as it was written.
func TestAveragingDefaultsFollowModelAndSolver(t *testing.T) {
	c := mustContract(t, string(read(t, "shop-customers.yaml")))
	for model, want := range map[string]Model{
		"model: {type: factorization_machine}": {Type: "factorization_machine", L2: 1, Solver: "fedavg", MaxRounds: 20, Tolerance: 1e-5, Factors: 8,
			Averaging: &Averaging{Epochs: 1, Batch: 1, Optimizer: "adagrad", LearningRate: 0.1, ServerRate: 1}},
		"model: {type: logistic_regression, solver: fedprox}": {Type: "logistic_regression", L2: 1, Solver: "fedprox", MaxRounds: 20, Tolerance: 1e-5,
			Averaging: &Averaging{Epochs: 1, Batch: 32, Optimizer: "sgd", LearningRate: 0.1, Proximal: 0.01, ServerRate: 1}},
		"model: {type: logistic_regression, solver: fedadam, averaging: {epochs: 3, optimizer: ftrl, patience: 4}}": {Type: "logistic_regression", L2: 1, Solver: "fedadam", MaxRounds: 20, Tolerance: 1e-5,
			Averaging: &Averaging{Epochs: 3, Batch: 1, Optimizer: "ftrl", LearningRate: 0.1, ServerRate: 0.02, Patience: 4}},
	} {
		r, problems := Resolve(mustSpec(t, averagingSpec(t, model)), c, fourMembers())
		if len(problems) > 0 {
			t.Fatalf("%s: %v", model, problems)
		}
		got, options := r.Model, *r.Model.Averaging
		got.Averaging = want.Averaging
		if got != want || options != *want.Averaging {
			t.Errorf("%s: %+v, %+v", model, got, options)
		}
		again, err := ParseResolved(r.Canonical())
		if err != nil || !bytes.Equal(again.Canonical(), r.Canonical()) {
			t.Errorf("%s: %v", model, err)
		}
	}
}

func TestAveragingProblemsNameTheirPlaceAndRemedy(t *testing.T) {
	linear := "model: {type: logistic_regression, "
	for model, want := range map[string][3]string{
		linear + "factors: 4}":                                                 {"model.factors", "for a factorization_machine", "remove factors"},
		linear + "solver: newton, averaging: {epochs: 2}}":                     {"model.averaging", "for the solvers", "choose one"},
		linear + "solver: fedavg, averaging: {proximal: 0.1}}":                 {"model.averaging.proximal", "for the solver fedprox", "write solver: fedprox"},
		linear + "solver: fedavg, averaging: {optimizer: adagrad, batch: 32}}": {"model.averaging.batch", "row by row", "optimizer: sgd"},
		linear + "solver: fedavg, averaging: {learning_rate: 0}}":              {"model.averaging.learning_rate", "not above 0", ""},
		linear + "solver: fedavg, averaging: {epoch: 2}}":                      {"model.averaging.epoch", "unknown", "epochs"},
		"model: {type: factorization_machine, solver: newton}":                 {"model.solver", "not for a factorization_machine", "fedavg"},
		"model: {type: factorization_machine, factors: 257}":                   {"model.factors", "257", ""},
	} {
		_, problems := ParseSpec([]byte(averagingSpec(t, model)))
		if len(problems) != 1 || problems[0].Path != want[0] || !strings.Contains(problems[0].Message, want[1]) || !strings.Contains(problems[0].Hint, want[2]) {
			t.Errorf("%s: %v", model, problems)
		}
	}
	text := strings.Replace(averagingSpec(t, averagingModel), "holdout: 0.2 ", "", 1)
	text = strings.Replace(text, "metrics: [auc, log_loss, accuracy]", "", 1)
	if _, problems := ParseSpec([]byte(text)); len(problems) == 0 || !strings.Contains(problems[0].Message, "nothing is held out") {
		t.Errorf("patience without a hold-out: %v", problems)
	}
	text = strings.Replace(averagingSpec(t, averagingModel), "privacy: exact", `privacy: {unit: record, epsilon: "1", delta: "1e-5"}`, 1)
	if _, problems := ParseSpec([]byte(text)); len(problems) == 0 {
		t.Error("averaging in a private job")
	}
}

// A job whose document was edited after it was resolved is refused.
func TestEditedAveragingJobIsRefused(t *testing.T) {
	c := mustContract(t, string(read(t, "shop-customers.yaml")))
	r, problems := Resolve(mustSpec(t, averagingSpec(t, averagingModel)), c, fourMembers())
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	text := string(r.Canonical())
	for _, edit := range [][2]string{
		{`"seed":"7"`, `"seed":"8"`}, {`"factors":4`, `"factors":0`}, {`"epochs":1`, `"epochs":0`}, {`"batch":1`, `"batch":2`}, {`"optimizer":"adagrad"`, `"optimizer":"sdg"`},
		{`"server_rate":1`, `"server_rate":0`}, {`"patience":2`, `"patience":-1`}, {`"solver":"fedavg"`, `"solver":"newton"`}, {`"solver":"fedavg"`, `"solver":"fedprox"`},
		{`"type":"factorization_machine"`, `"type":"logistic_regression"`},
	} {
		edited := strings.Replace(text, edit[0], edit[1], 1)
		if edited == text {
			t.Fatalf("no %s in %s", edit[0], text)
		}
		if _, err := ParseResolved([]byte(edited)); !errors.Is(err, ErrNotCanonical) {
			t.Errorf("%s → %s: %v", edit[0], edit[1], err)
		}
	}
}

// A private factorization machine is trained by dp_sgd from the job's seed; what it can't have is named.
func TestPrivateMachineResolves(t *testing.T) {
	private := string(read(t, "private.yaml"))
	text := edit(t, edit(t, private, "  solver: dp_gradient_descent\n", ""), "type: logistic_regression", "type: factorization_machine")
	if err := validate(t, compile(t, SpecSchema()), text); err != nil {
		t.Error(err)
	}
	c := mustContract(t, string(read(t, "shop-customers.yaml")))
	r := mustResolve(t, mustSpec(t, text), c, tenMembers())
	if m := r.Model; m.Solver != "dp_sgd" || m.Factors != 8 || m.Sampling == nil || m.Sampling.LearningRate != 10 || m.MaxRounds != 12 { // private.yaml's
		t.Errorf("%+v, %+v", m, m.Sampling)
	}
	if n := 9*(r.Outputs()-1) + 1; r.Coefficients() != n {
		t.Errorf("%d coefficients, want %d", r.Coefficients(), n)
	}
	checkBudget(t, r)
	if o, s, ok := r.Noise(kindTrain); !ok || o.Segments[0].Length != r.Coefficients() || s.Rate.Den() != 20 {
		t.Errorf("%+v %+v", o, s)
	}
	seed := fmt.Sprintf(`"momentum":0.9,"seed":"%d"}`, r.Seed)
	if !strings.Contains(string(r.Program()), seed) {
		t.Errorf("no %s in %s", seed, r.Program())
	}
	again, err := ParseResolved(r.Canonical())
	if err != nil || string(again.Canonical()) != string(r.Canonical()) {
		t.Fatal(err)
	}
	for old, new := range map[string]string{seed: `"momentum":0.9}`, `"factors":8`: `"factors":9`, `"solver":"dp_sgd"`: `"solver":"dp_gradient_descent"`} {
		if _, err := ParseResolved([]byte(edit(t, string(r.Canonical()), old, new))); !errors.Is(err, ErrNotCanonical) {
			t.Errorf("%s → %s: %v", old, new, err)
		}
	}
	if text := ApprovalText(ApprovalInput{Job: r, Cohort: make([]string, 10)}); !strings.Contains(text, "factorization machine of 8 factors") {
		t.Errorf("%s", text)
	}
	for _, e := range []struct{ model, path, says string }{
		{"type: factorization_machine\n  solver: dp_gradient_descent", "model.solver", "a private factorization_machine has the solver dp_sgd"},
		{"type: factorization_machine\n  solver: fedavg", "model.solver", "for exact jobs"},
		{"type: factorization_machine\n  averaging: {epochs: 2}", "model", "for exact jobs"},
		{"type: factorization_machine\n  tolerance: 0.1", "model.tolerance", "runs all of its rounds"},
		{"type: logistic_regression\n  factors: 4", "model.factors", "for a factorization_machine"},
	} {
		edited := edit(t, edit(t, private, "  solver: dp_gradient_descent\n", ""), "type: logistic_regression", e.model)
		_, problems := ParseSpec([]byte(edited))
		if len(problems) == 0 || problems[0].Path != e.path || !strings.Contains(problems[0].Message, e.says) {
			t.Errorf("%s: %v", e.model, problems)
		}
	}
	wide := strings.Replace(text, "factorization_machine", "factorization_machine\n  factors: 256", 1)
	var values []string
	for i := range 1400 {
		values = append(values, fmt.Sprint("v", i))
	}
	_, problems := Resolve(mustSpec(t, wide), mustContract(t, edit(t, string(read(t, "shop-customers.yaml")), "values: [mobile, desktop, tablet]", "values: ["+strings.Join(values, ", ")+"]")), tenMembers())
	if len(problems) != 1 || !strings.Contains(problems[0].Message, "dp_sgd has at most 327680") || !strings.Contains(problems[0].Hint, "fewer factors") {
		t.Errorf("%v", problems)
	}
}

// A machine's columns may be far more than Newton's, and its coefficients as many as can be averaged; more are refused where the job is
// submitted, by a message that names the field and what to change.
func TestAMachinesSizeIsBounded(t *testing.T) {
	contract := func(buckets int) *Contract {
		return mustContract(t, fmt.Sprintf("{version: 1, name: c, revision: 1, key: id, max_rows: 9, label: {column: y, positive: 1, negative: 0}, columns: {k: {type: category, buckets: %d}}}", buckets))
	}
	spec := func(model string) *Spec {
		return mustSpec(t, "version: 1\nname: j\ncontract: c@1\nfeatures: [{columns: [k], transform: one_hot}]\nmodel: "+model+"\nprivacy: exact\nrun: {mode: sealed}\n")
	}
	c := contract(1 << 18)
	r := mustResolve(t, spec("{type: factorization_machine, factors: 78}"), c, Options{F: 1, Contributors: 4})
	if n := r.Coefficients(); n != (1<<18+1)*79+1 || n > maxAveraged {
		t.Errorf("%d coefficients", n)
	}
	for model, want := range map[string][2]string{
		"{type: factorization_machine, factors: 79}": {"the model has 20971601 coefficients, (factors + 1) for each column; fedavg has at most 20971520", "fewer factors or buckets"},
		"{type: logistic_regression}":                {"262146 output columns with the intercept, newton takes at most 2000", "fewer"},
	} {
		_, problems := Resolve(spec(model), c, Options{F: 1, Contributors: 4})
		if len(problems) != 1 || problems[0].Path != "model" && problems[0].Path != "features" || !strings.Contains(problems[0].Message, want[0]) || !strings.Contains(problems[0].Hint, want[1]) {
			t.Errorf("%s: %v", model, problems)
		}
	}
}
