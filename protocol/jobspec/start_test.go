package jobspec

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

const anEarlierModel = "abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789"

// earlier gives options under which there is one model to start from.
func earlier(t *testing.T) Options {
	t.Helper()
	o := fourMembers()
	o.Start = func(model [32]byte, program []byte) ([]float64, error) {
		if model[0] != 0xab || bytes.Contains(program, []byte(`"start"`)) {
			return nil, errors.New("no such model")
		}
		out := make([]float64, 18)
		out[3] = -0.5
		return out, nil
	}
	return o
}

func TestWarmStartIsInTheJob(t *testing.T) {
	c := mustContract(t, string(read(t, "shop-customers.yaml")))
	text := averagingSpec(t, "model: {type: logistic_regression, warm_start: "+anEarlierModel+"}")
	if err := validate(t, compile(t, SpecSchema()), text); err != nil {
		t.Error(err)
	}
	plain, problems := Resolve(mustSpec(t, averagingSpec(t, "model: {type: logistic_regression}")), c, fourMembers())
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	o := earlier(t)
	find := o.Start
	o.Start = func(model [32]byte, program []byte) ([]float64, error) {
		got, err := find(model, program)
		return append(got, make([]float64, plain.Coefficients())...)[:plain.Coefficients()], err
	}
	r, problems := Resolve(mustSpec(t, text), c, o)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if !strings.Contains(string(r.Program()), `"start":{"model":"`+anEarlierModel+`","coefficients":[0,0,0,-0.5,0`) || r.Digest() == plain.Digest() {
		t.Errorf("%s", r.Program())
	}
	if again, err := ParseResolved(r.Canonical()); err != nil || !bytes.Equal(again.Canonical(), r.Canonical()) {
		t.Error(err)
	}
	if text := ApprovalText(ApprovalInput{Job: r, Cohort: []string{"a", "b", "c", "d"}}); !strings.Contains(text, "Start       at the coefficients of the model "+anEarlierModel) {
		t.Error(text)
	}
	for _, edit := range [][2]string{{`"coefficients":[0,`, `"coefficients":[`}, {`-0.5`, `-5e40`}, {`[0,0,0,-0.5`, `[0,0,-0,-0.5`}, {anEarlierModel, anEarlierModel[2:]}, {anEarlierModel, strings.ToUpper(anEarlierModel)}} {
		edited := strings.Replace(string(r.Canonical()), edit[0], edit[1], 1)
		if _, err := ParseResolved([]byte(edited)); edited == string(r.Canonical()) || !errors.Is(err, ErrNotCanonical) {
			t.Errorf("%s → %s: %v", edit[0], edit[1], err)
		}
	}
}

func TestWarmStartProblemsNameTheirPlace(t *testing.T) {
	c := mustContract(t, string(read(t, "shop-customers.yaml")))
	for _, e := range []struct {
		model, message string
		options        Options
	}{
		{"model: {type: logistic_regression, warm_start: abc}", "not the digest", earlier(t)},
		{"model: {type: logistic_regression, warm_start: " + anEarlierModel + "}", "no earlier models", fourMembers()},
		{"model: {type: logistic_regression, warm_start: \"00" + anEarlierModel[2:] + "\"}", "no such model", earlier(t)},
		{"model: {type: factorization_machine, warm_start: " + anEarlierModel + "}", "only linear", earlier(t)},
	} {
		s, problems := ParseSpec([]byte(averagingSpec(t, e.model)))
		if len(problems) == 0 {
			_, problems = Resolve(s, c, e.options)
		}
		if len(problems) != 1 || problems[0].Path != "model.warm_start" || !strings.Contains(problems[0].Message, e.message) {
			t.Errorf("%s: %v", e.model, problems)
		}
	}
	private := edit(t, string(read(t, "private.yaml")), "l2: 1.0", "warm_start: "+anEarlierModel)
	if _, problems := ParseSpec([]byte(private)); len(problems) != 1 || problems[0].Path != "model.warm_start" {
		t.Errorf("a private job: %v", problems)
	}
}
