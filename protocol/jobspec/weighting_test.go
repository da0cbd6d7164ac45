package jobspec

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// weighedContract has columns to weigh and to shift by.
func weighedContract(t *testing.T) string {
	t.Helper()
	return edit(t, string(read(t, "shop-customers.yaml")), "columns:\n", "columns:\n  times: {type: number, min: 0, max: 12}\n  prior: {type: number, min: -5, max: 5}\n  lost: {type: number, min: 0, max: 1, nullable: true}\n  wide: {type: number, min: -1, max: 1e7}\n")
}

const weighedModel = `model: {type: logistic_regression, weight: times, offset: prior, class_weights: {"yes": 2.5}}`

func TestWeightsComeFromContractAndSpec(t *testing.T) {
	c := mustContract(t, weighedContract(t))
	text := averagingSpec(t, weighedModel)
	if err := validate(t, compile(t, SpecSchema()), text); err != nil {
		t.Error(err)
	}
	r, problems := Resolve(mustSpec(t, text), c, fourMembers())
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if want := `"weighting":{"classes":[1,2.5],"weight":{"name":"times","min":0,"max":12},"offset":{"name":"prior","min":-5,"max":5}}`; !strings.Contains(string(r.Program()), want) {
		t.Errorf("no %s in %s", want, r.Program())
	}
	again, err := ParseResolved(r.Canonical())
	if err != nil || !bytes.Equal(again.Canonical(), r.Canonical()) || again.Conforms(c) != nil {
		t.Errorf("%v, %v", err, again.Conforms(c))
	}
	if text := ApprovalText(ApprovalInput{Job: r, Cohort: []string{"a", "b", "c", "d"}}); !strings.Contains(text, "Weights     each row by its times (0…12), positive rows by 2.5, prior is added to each row's margin") {
		t.Error(text)
	}
	for _, edit := range [][2]string{
		{`"classes":[1,2.5]`, `"classes":[1]`}, {`"classes":[1,2.5]`, `"classes":[1,0]`}, {`"classes":[1,2.5],`, `"classes":[],`}, {`"min":0,"max":12`, `"min":-1,"max":12`},
		{`"min":-5,"max":5}}`, `"min":-5,"max":5000}}`}, {`"name":"prior"`, `"name":"times"`}, {`"name":"times"`, `"name":"age"`}, {`"solver":"newton"`, `"solver":"fedavg"`},
		{`{"classes":[1,2.5],"weight":{"name":"times","min":0,"max":12},"offset":{"name":"prior","min":-5,"max":5}}`, `{}`},
	} {
		edited := strings.Replace(string(r.Canonical()), edit[0], edit[1], 1)
		if _, err := ParseResolved([]byte(edited)); edited == string(r.Canonical()) || !errors.Is(err, ErrNotCanonical) {
			t.Errorf("%s → %s: %v", edit[0], edit[1], err)
		}
	}
	other := mustContract(t, edit(t, weighedContract(t), "max: 12", "max: 13"))
	again.ContractDigest = other.Digest()
	if err := again.Conforms(other); err == nil || !strings.Contains(err.Error(), "times") {
		t.Error(err)
	}
}

func TestWeightingProblemsNameTheirPlaceAndRemedy(t *testing.T) {
	c := mustContract(t, weighedContract(t))
	linear := "model: {type: logistic_regression, "
	for model, want := range map[string][3]string{
		linear + "weight: tims}":                              {"model.weight", "no column", "times"},
		linear + "weight: country}":                           {"model.weight", "not a number", "number"},
		linear + "weight: lost}":                              {"model.weight", "missing", "nullable"},
		linear + "weight: wide}":                              {"model.weight", "range", "contract"},
		linear + "weight: age}":                               {"model.weight", "feature", "take it off"},
		linear + "weight: churned}":                           {"model.weight", "label", "remove"},
		linear + "offset: fold}":                              {"model.offset", "split", "remove"},
		linear + "offset: times, weight: times}":              {"model.offset", "one column", ""},
		linear + "class_weights: {maybe: 2}}":                 {"model.class_weights.maybe", "no value", ""},
		linear + `class_weights: {"yes": 0}}`:                 {"model.class_weights.yes", "not within", ""},
		linear + "class_weights: {}}":                         {"model.class_weights", "no weights", "remove"},
		linear + "solver: fedavg, weight: times}":             {"model.weight", "newton and lbfgs", "remove"},
		"model: {type: factorization_machine, offset: prior}": {"model.offset", "newton and lbfgs", "remove"},
	} {
		s, problems := ParseSpec([]byte(averagingSpec(t, model)))
		if len(problems) == 0 {
			_, problems = Resolve(s, c, fourMembers())
		}
		if len(problems) != 1 || problems[0].Path != want[0] || !strings.Contains(problems[0].Message, want[1]) || !strings.Contains(problems[0].Hint, want[2]) {
			t.Errorf("%s: %v", model, problems)
		}
	}
	private := edit(t, string(read(t, "private.yaml")), "l2: 1.0", "weight: times")
	if _, problems := ParseSpec([]byte(private)); len(problems) != 1 || problems[0].Path != "model.weight" {
		t.Errorf("a private job: %v", problems)
	}
	if _, problems := ParseSpec([]byte(multinomialSpec(t, "model: {type: multinomial_logistic_regression, offset: prior}"))); len(problems) != 1 || problems[0].Path != "model.offset" {
		t.Errorf("several classes: %v", problems)
	}
}
