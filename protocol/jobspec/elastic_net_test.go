package jobspec

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestElasticNetIsNewtonsInExactJobs(t *testing.T) {
	c := mustContract(t, string(read(t, "shop-customers.yaml")))
	text := averagingSpec(t, "model: {type: logistic_regression, l1: 2.5, l2: 0}")
	if err := validate(t, compile(t, SpecSchema()), text); err != nil {
		t.Error(err)
	}
	r, problems := Resolve(mustSpec(t, text), c, fourMembers())
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if r.Model.L1 != 2.5 || r.Model.L2 != 0 || !strings.Contains(string(r.Canonical()), `"l1":2.5,"l2":0,`) {
		t.Errorf("%s", r.Canonical())
	}
	if text := ApprovalText(ApprovalInput{Job: r, Cohort: []string{"a", "b", "c", "d"}}); !strings.Contains(text, "l1 2.5, l2 0, newton") {
		t.Error(text)
	}
	if again, err := ParseResolved(r.Canonical()); err != nil || !bytes.Equal(again.Canonical(), r.Canonical()) {
		t.Error(err)
	}
	for _, edit := range [][2]string{{`"l1":2.5`, `"l1":0`}, {`"l1":2.5`, `"l1":-1`}, {`"l1":2.5`, `"l1":1e13`}} {
		if _, err := ParseResolved([]byte(strings.Replace(string(r.Canonical()), edit[0], edit[1], 1))); !errors.Is(err, ErrNotCanonical) {
			t.Errorf("%s: %v", edit[1], err)
		}
	}
	for model, want := range map[string][2]string{
		"model: {type: logistic_regression, l1: 1, solver: fedadam}":                              {"model.l1", "no L1 penalty"},
		"model: {type: logistic_regression, l1: 1, solver: fedavg, averaging: {optimizer: ftrl}}": {"model.l1", "fedavg with the optimizer ftrl has no L1 penalty"},
		"model: {type: factorization_machine, l1: 1, averaging: {optimizer: sgd}}":                {"model.l1", "no L1 penalty"},
		"model: {type: factorization_machine, l1: 1}":                                             {"model.l1", "no L1 penalty"},
		"model: {type: logistic_regression, l1: -1}":                                              {"model.l1", "not within"},
		"model: {type: logistic_regression, l1: 1, l2: 1, l3: 1}":                                 {"model.l3", "unknown"},
		"model: {type: logistic_regression, l1: .inf, solver: newton}":                            {"model.l1", "finite"},
	} {
		if _, problems := ParseSpec([]byte(averagingSpec(t, model))); len(problems) != 1 || problems[0].Path != want[0] || !strings.Contains(problems[0].Message, want[1]) {
			t.Errorf("%s: %v", model, problems)
		}
	}
	private := edit(t, string(read(t, "private.yaml")), "l2: 1.0", "l1: 1.0")
	if _, problems := ParseSpec([]byte(private)); len(problems) != 1 || problems[0].Path != "model.l1" {
		t.Errorf("a private job: %v", problems)
	}
}

// Fedavg with the optimizer sgd takes an L1 penalty, of a number's label, too, and a resolved job with another optimizer or solver is none.
func TestL1OfAveragesIsForSGD(t *testing.T) {
	if _, problems := ParseSpec([]byte(averagingSpec(t, "model: {type: linear_regression, l1: 2.5, solver: fedavg, averaging: {batch: 8}}"))); len(problems) > 0 {
		t.Error(problems)
	}
	text := averagingSpec(t, "model: {type: logistic_regression, l1: 2.5, solver: fedavg, averaging: {patience: 2}}")
	if err := validate(t, compile(t, SpecSchema()), text); err != nil {
		t.Error(err)
	}
	r, problems := Resolve(mustSpec(t, text), mustContract(t, string(read(t, "shop-customers.yaml"))), fourMembers())
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	text = string(r.Canonical())
	if again, err := ParseResolved([]byte(text)); err != nil || again.Model.L1 != 2.5 || again.Model.Averaging.Optimizer != "sgd" {
		t.Error(err)
	}
	for _, edit := range [][2]string{{`"solver":"fedavg"`, `"solver":"fedadam"`}, {`"batch":32,"optimizer":"sgd"`, `"batch":1,"optimizer":"adagrad"`}} {
		changed := strings.ReplaceAll(text, edit[0], edit[1])
		if _, err := ParseResolved([]byte(changed)); changed == text || err == nil || !strings.Contains(err.Error(), "l1 2.5") {
			t.Errorf("%s: %v", edit[1], err)
		}
	}
}
