package cli

import (
	"fmt"
	"strings"
	"testing"
)

// Of thousands of buckets the largest coefficients are shown, and how many there are.
func TestShownModelHasItsLargestBuckets(t *testing.T) {
	var kept, coefficients []string
	for i := range 40 {
		kept, coefficients = append(kept, fmt.Sprint(100+i)), append(coefficients, fmt.Sprint(0.01*float64(i)))
	}
	coefficients[3] = "-7"
	column := `{"name":"city#","feature":"city","role":"buckets","folded":false,"buckets":{"count":4096,"kept":[` + strings.Join(kept, ",") + `],"coefficients":[` + strings.Join(coefficients, ",") + `]}}`
	got := shown(t, `{"type":"logistic_regression","l2":1,"intercept":-1,"columns":[`+column+`]}`)
	for _, want := range []string{"city#103 -7 city#121 0.21", "city#139 0.39", "city: 40 of 4096 buckets, 20 shown, 4056 too rare"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %s", want, got)
		}
	}
	if strings.Contains(got, "city#120 ") {
		t.Error(got)
	}
	got = shown(t, `{"type":"logistic_regression","l2":1,"intercept":-1,"tests":"asymptotic (Wald)","intercept_test":{"standard_error":0.5,"z":-2,"p_value":0.0455},"columns":[
		{"name":"a*b#","feature":"a*b","role":"buckets","folded":false,"buckets":{"count":2,"cross":["a","b"],"kept":[0,1],"coefficients":[1,2],"tests":[{"standard_error":0.25,"z":4,"p_value":6e-5},null]}},
		{"name":"c#","feature":"c","role":"buckets","folded":false,"buckets":{"count":4,"kept":[],"coefficients":[]}}]}`)
	for _, want := range []string{"a*b#0 1 0.25 4.000 6e-05 a*b#1 2", "all 4 of c are too rare"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %s", want, got)
		}
	}
	if strings.Contains(got, "a*b: ") {
		t.Error(got)
	}
	got = shown(t, `{"type":"logistic_regression","l2":1,"intercept":0,"columns":[
		{"name":"land=DE","feature":"land","role":"value","value":"DE"},{"name":"land=FR","feature":"land","role":"value","value":"FR","folded":true},{"name":"land=other","feature":"land","role":"other"},
		{"name":"device=phone","feature":"device","role":"value","value":"phone"},{"name":"device=other","feature":"device","role":"other","nullable":true},
		{"name":"land*device#","feature":"land*device","role":"buckets","buckets":{"count":9,"cross":["land","device"],"kept":[0,3,8],"coefficients":[1,2,3]}}]}`)
	for _, want := range []string{"land*device#0 (DE × phone) 1", "land*device#3 (FR × phone) 2", "land*device#8 (other × missing) 3"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %s", want, got)
		}
	}
	// Neither a number in buckets nor a date has another value, but it may lack one.
	got = shown(t, `{"type":"logistic_regression","l2":1,"intercept":0,"columns":[
		{"name":"age<30","feature":"age","role":"bucket","bucket":{"to":30}},{"name":"30<=age","feature":"age","role":"bucket","bucket":{"from":30},"folded":true},{"name":"age=other","feature":"age","role":"other","nullable":true,"range":{"min":0,"max":90}},
		{"name":"since.year=2020","feature":"since.year","role":"value","value":"2020"},{"name":"since.year=2021","feature":"since.year","role":"value","value":"2021"},
		{"name":"since.year=other","feature":"since.year","role":"other","date":{"column":"since","part":"year","first":"2020-01-01","last":"2021-01-01"}},
		{"name":"age*since.year#","feature":"age*since.year","role":"buckets","buckets":{"count":6,"cross":["age","since.year"],"kept":[0,3,4],"coefficients":[1,2,3]}}]}`)
	for _, want := range []string{"age*since.year#0 (age<30 × 2020) 1", "age*since.year#3 (30<=age × 2021) 2", "age*since.year#4 (missing × 2020) 3"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %s", want, got)
		}
	}
	got = shown(t, `{"type":"multinomial_logistic_regression","l2":1,"classes":["a","b"],"intercepts":[0.5,-0.5],"columns":[
		{"name":"c#","feature":"c","role":"buckets","folded":false,"buckets":{"count":4,"kept":[2],"coefficients":[1.5,-1.5]}}]}`)
	if !strings.Contains(got, "c#2 1.5 -1.5 c: 1 of 4 buckets, 1 shown, 3 too rare") {
		t.Error(got)
	}
}
