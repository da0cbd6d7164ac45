package cli

import (
	"encoding/json"
	"strings"
	"testing"

	"tributary/protocol/pb"
)

// printed is what model show prints of an exported document.
func printed(t *testing.T, document string) string {
	t.Helper()
	var m exported
	if err := json.Unmarshal([]byte(document), &m); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	m.show(&b, &pb.JobInfo{Status: "completed", MetricsJson: `{"rows":10,"converged":true,"train_rounds":3,"held_out_rows":9,"accuracy":0.75,"log_loss":0.5}`}, nil)
	return b.String()
}

// shown is the same with one space between words.
func shown(t *testing.T, document string) string {
	t.Helper()
	return strings.Join(strings.Fields(printed(t, document)), " ")
}

func TestShownModelHasTestsOfItsCoefficients(t *testing.T) {
	got := shown(t, `{"type":"logistic_regression","l1":0,"l2":1,"intercept":-1,"intercept_test":{"standard_error":0.5,"z":-2,"p_value":0.0455},"tests":"approximate",
		"columns":[{"name":"age","coefficient":2,"test":{"standard_error":0.25,"z":8,"p_value":1.2e-15},"number":{"mean":40,"sd":10}},{"name":"rare","folded":true,"coefficient":0}]}`)
	for _, want := range []string{"errors and p values approximate", "COLUMN COEFFICIENT STD ERROR Z P MEAN SD", "(intercept) -1 0.5 -2.000 0.0455", "age 2 0.25 8.000 1.2e-15 40 10", "rare 0 too rare"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %s", want, got)
		}
	}
	got = shown(t, `{"type":"logistic_regression","l1":2,"l2":0,"intercept":-1,"columns":[]}`)
	if !strings.Contains(got, "l1 2, l2 0") || strings.Contains(got, "STD ERROR") {
		t.Error(got)
	}
}

// A private job's numbers aren't told with means and deviations: what they are divided by is where they are cut off.
func TestShownPrivateModelTellsItsScale(t *testing.T) {
	got := shown(t, `{"type":"logistic_regression","private":true,"l2":1,"intercept":-1,"columns":[{"name":"age","coefficient":2,"number":{"mean":40,"sd":30}}]}`)
	if !strings.Contains(got, "COLUMN COEFFICIENT CENTRE REACH (intercept) -1 age 2 40 30") || !strings.Contains(got, "from -1 to 1") {
		t.Error(got)
	}
}

func TestShownModelHasItsClasses(t *testing.T) {
	got := shown(t, `{"type":"multinomial_logistic_regression","l2":1,"classes":["a","b"],"intercepts":[0.5,-0.5],"columns":[{"name":"x","coefficients":[1,-1]}],"metrics":{"confusion":[[2,1],[0,1]]}}`)
	for _, want := range []string{"HELD OUT \\ PREDICTED a b a 2 1 b 0 1", "(intercept) 0.5 -0.5", "x 1 -1", "accuracy 0.750000"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %s", want, got)
		}
	}
	if strings.Contains(got, "AUC") {
		t.Error(got)
	}
}

func TestShownModelTellsFittedBoundsAndBuckets(t *testing.T) {
	got := shown(t, `{"type":"logistic_regression","l2":1,"intercept":-1,"columns":[{"name":"income","coefficient":2,"number":{"mean":40,"sd":10,"lowest":1008,"highest":18944}},
		{"name":"age:q1","coefficient":1,"bucket":{"to":31.5}},{"name":"age:q2","coefficient":1,"bucket":{"from":31.5,"to":45.25}},{"name":"age:q3","coefficient":1,"bucket":{"from":45.25}},{"name":"age:q4","folded":true,"coefficient":0,"bucket":{"from":45.25}}]}`)
	for _, want := range []string{"income 2 40 10 clamped to 1008..18944", "age:q1 1 below 31.5", "age:q2 1 31.5 to below 45.25", "age:q3 1 45.25 or more", "age:q4 0 too rare"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %s", want, got)
		}
	}
}
