package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const threeTested = `{"type":"multinomial_logistic_regression","l1":0,"l2":1,"tests":"approximate","classes":["low","middle","high"],
	"intercepts":[0.5,-0.25,-0.25],"intercept_tests":[{"standard_error":0.125,"z":4,"p_value":6.33e-5},{"standard_error":0.25,"z":-1,"p_value":0.317},{"standard_error":0.5,"z":-0.5,"p_value":0.617}],
	"columns":[
		{"name":"age","coefficients":[1,-2,1],"tests":[{"standard_error":0.5,"z":2,"p_value":0.0455},{"standard_error":0.25,"z":-8,"p_value":1.2e-15},null]},
		{"name":"rare","folded":true,"coefficients":[0,0,0]},
		{"name":"city#","feature":"city","role":"buckets","buckets":{"count":4,"kept":[1,2],"coefficients":[0.1,0.2,-0.3,7,-3,-4],
			"tests":[{"standard_error":1,"z":0.1,"p_value":0.92},{"standard_error":1,"z":0.2,"p_value":0.841},{"standard_error":1,"z":-0.3,"p_value":0.764},{"standard_error":0.7,"z":10,"p_value":1.5e-23},{"standard_error":1,"z":-3,"p_value":0.0027},{"standard_error":1,"z":-4,"p_value":6.33e-5}]}}],
	"metrics":{"confusion":[[2,1,0],[0,1,0],[0,0,5]]}}`

// Errors, z and p values of classes stand below each coefficient, those of buckets too; a class without a test has an empty place.
func TestShownClassesHaveTestsOfTheirCoefficients(t *testing.T) {
	got := printed(t, threeTested)
	file := filepath.Join("testdata", "classes.txt")
	if *write {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("it differs from %s; look at it and run the test with -write\n%s", file, got)
	}
}

// Too many classes for a table have the coefficients that are surest, from columns and buckets.
func TestManyShownClassesHaveTheirSurestCoefficients(t *testing.T) {
	const n = mostShown + 1
	var classes, zero, tests, coefficients, bucketTests []string
	for k := range n {
		classes, zero = append(classes, fmt.Sprintf(`"c%d"`, k)), append(zero, "0")
		tests = append(tests, fmt.Sprintf(`{"standard_error":2,"z":%d.5,"p_value":0.5}`, k))
		coefficients, bucketTests = append(coefficients, fmt.Sprint(-k)), append(bucketTests, fmt.Sprintf(`{"standard_error":1,"z":-%d,"p_value":0.25}`, k))
	}
	tests[n-1] = "null"
	list := func(of []string) string { return "[" + strings.Join(of, ",") + "]" }
	document := func(note, tests, buckets string) string {
		return `{"type":"multinomial_logistic_regression","l2":1,` + note + `"classes":` + list(classes) + `,"intercepts":` + list(zero) + `,"columns":[{"name":"x","coefficients":` + list(zero) + tests + `},
			{"name":"city#","feature":"city","role":"buckets","buckets":{"count":4,"kept":[3],"coefficients":` + list(coefficients) + buckets + `}}]}`
	}
	got := shown(t, document(`"tests":"approximate",`, `,"tests":`+list(tests), `,"tests":`+list(bucketTests)))
	if want := "COLUMN CLASS COEFFICIENT STD ERROR Z P city#3 c12 -12 1 -12.000 0.25 x c11 0 2 11.500 0.5 city#3 c11 -11 1 -11.000 0.25 x c10 0 2 10.500 0.5"; !strings.Contains(got, want) {
		t.Errorf("no %q in %s", want, got)
	}
	for want, is := range map[string]bool{"The 20 largest |z| of 25 coefficients with a test.": true, "of 13 classes: tributary model export.": true, "x c3 ": true, "city#3 c3 -3": true, "x c2 ": true, "city#3 c2 ": false} {
		if strings.Contains(got, want) != is {
			t.Errorf("%q: not %v in %s", want, is, got)
		}
	}
	if got := printed(t, document("", "", "")); strings.Contains(got, "STD ERROR") || !strings.Contains(got, "of 13 classes") {
		t.Error(got)
	}
}
