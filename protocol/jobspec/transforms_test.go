package jobspec

import (
	"strings"
	"testing"
)

const transformsContract = `version: 1
name: shop
revision: 1
key: id
max_rows: 1000000
label: {column: churned, positive: "yes", negative: "no"}
columns:
  age: {type: number, min: 16, max: 110}
  income: {type: number, min: 0, max: 1e7, nullable: true}
  country: {type: category, values: [DE, FR]}
  since: {type: date, min: 2015-03-01, max: 2020-12-31, nullable: true, outside: reject}
  born: {type: date, min: 1920-01-01, max: 1920-01-01}
`

const transformsSpec = `version: 1
name: transforms
contract: shop@1
features:
  - {columns: [income], transform: [log1p, standardize], clip: {quantiles: [0.01, 0.99], deviations: 8}, missing: indicator}
  - {columns: [age], buckets: {edges: [18, 30, 45, 65]}, min_count: 50}
  - {columns: [since], date_parts: [year, month, weekday], missing: indicator}
  - {columns: [since], transform: days, buckets: {quantiles: 10}}
model: {type: logistic_regression}
privacy: exact
run: {mode: sealed}
`

const transformsPrivate = `version: 1
name: transforms
contract: shop@1
features:
  - {columns: [age], buckets: {edges: [18, 30, 45, 65]}}
  - {columns: [since], date_parts: [weekday, hour], transform: [days, scale], missing: indicator}
model: {type: logistic_regression}
evaluate: {holdout: 0.2}
privacy: {unit: record, epsilon: "1.0", delta: "1e-5"}
run: {mode: sealed}
`

var four = Options{F: 1, Contributors: 4}

func TestTransformsAreResolved(t *testing.T) {
	c := mustContract(t, transformsContract)
	r := mustResolve(t, mustSpec(t, transformsSpec), c, four)
	// 1 + income 2, age 6, year 6+2, month 14, weekday 9, days 11, intercept
	if want := 2 + 6 + 8 + 14 + 9 + 11 + 1; r.Outputs() != want {
		t.Errorf("%d outputs, want %d", r.Outputs(), want)
	}
	again, err := ParseResolved(r.Canonical())
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Conforms(c); err != nil || string(again.Canonical()) != string(r.Canonical()) {
		t.Errorf("%v", err)
	}
	text := string(r.Program())
	for _, part := range []string{
		`"clip":8,"missing_indicator":true,"clip_quantiles":[0.01,0.99]}`,
		`{"name":"age","kind":"buckets","min":16,"max":110,"nullable":false,"missing_indicator":false,"min_count":50,"edges":[18,30,45,65]}`,
		`{"name":"since.year","kind":"date_part","nullable":true,"missing_indicator":true,"min_count":20,"date":{"column":"since","part":"year","first":"2015-03-01","last":"2020-12-31"}}`,
		`{"name":"since.days","kind":"buckets","min":0,"max":2132,"nullable":true,"missing_indicator":false,"min_count":20,"quantiles":10,"date":{"column":"since","part":"days"`,
	} {
		if !strings.Contains(text, part) {
			t.Errorf("%s isn't in\n%s", part, text)
		}
	}
	approval := ApprovalText(ApprovalInput{Job: r, Cohort: []string{"a", "b", "c", "d"}, F: 1})
	for _, line := range []string{
		"income: clamped to its quantiles 0.01 and 0.99, which are fitted, log1p, standardised, clamped at ±8 deviations, with an indicator for missing\n",
		"age: 5 buckets between 18, 30, 45, 65, fewer than 50 rows fold into other\n",
		"since.weekday: the date's weekday in UTC, one-hot over 7 values, fewer than 20 rows fold into other, with an indicator for missing\n",
		"since.days: days since 2015-03-01, 10 buckets of about as many rows, whose edges are fitted, fewer than 20 rows fold into other\n",
		"Also, for quantiles of income, since.days: how many training rows lie in each of up to 512 bins",
	} {
		if !strings.Contains(approval, line) {
			t.Errorf("the approval lacks %q:\n%s", line, approval)
		}
	}
}

// A private job has public buckets and parts of dates at no cost but their columns.
func TestPrivateTransformsNeedNoFit(t *testing.T) {
	c := mustContract(t, transformsContract)
	r := mustResolve(t, mustSpec(t, transformsPrivate), c, four)
	if again, err := ParseResolved(r.Canonical()); err != nil || again.Conforms(c) != nil {
		t.Errorf("%v", err)
	}
	if r.Outputs() != 6+9+26+2+1 || len(r.Sketched()) != 0 {
		t.Errorf("%d outputs, sketches of %v", r.Outputs(), r.Sketched())
	}
	approval := ApprovalText(ApprovalInput{Job: r, Cohort: []string{"a", "b", "c", "d"}, F: 1})
	if !strings.Contains(approval, "since.days: days since 2015-03-01, scaled from 0…2132 to ±1, with an indicator for missing\n") || strings.Contains(approval, "quantiles") {
		t.Errorf("approval:\n%s", approval)
	}
}

func TestTransformProblems(t *testing.T) {
	c := mustContract(t, transformsContract)
	for _, test := range []struct{ text, old, new, path, message string }{
		{transformsSpec, "edges: [18, 30, 45, 65]", "edges: [18, 18]", "features[1].buckets.edges[1]", "not above the one before"},
		{transformsSpec, "edges: [18, 30, 45, 65]", "edges: []", "features[1].buckets.edges", "0 edges"},
		{transformsSpec, "edges: [18, 30, 45, 65]", "edges: [16, 30]", "features[1].columns[0]", "edge 16 is not above 16"},
		{transformsSpec, "edges: [18, 30, 45, 65]", "edges: [18, 111]", "features[1].columns[0]", "edge 111"},
		{transformsSpec, "edges: [18, 30, 45, 65]", "edges: [18], quantiles: 2", "features[1].buckets", "edges, or a number"},
		{transformsSpec, "{quantiles: 10}", "{quantiles: 1}", "features[3].buckets.quantiles", "not within 2 to 200"},
		{transformsSpec, "[0.01, 0.99]", "[0.99, 0.01]", "features[0].clip.quantiles", "two ascending quantiles"},
		{transformsSpec, "[0.01, 0.99]", "[0, 1]", "features[0].clip.quantiles", "two ascending quantiles"},
		{transformsSpec, "quantiles: [0.01, 0.99], deviations: 8", "deviations: 8", "features[0].clip.quantiles", "missing"},
		{transformsSpec, "transform: days, buckets", "transform: [days, standardize], buckets", "features[3].columns[0]", "buckets take a number as it is"},
		{transformsSpec, "transform: days, buckets: {quantiles: 10}", "transform: standardize", "features[3].columns[0]", "is a date"},
		{transformsSpec, "transform: days, buckets: {quantiles: 10}", "transform: [standardize, days]", "features[3].transform", "don't go together"},
		{transformsSpec, "transform: days, buckets: {quantiles: 10}", "missing: none", "features[3].columns[0]", "needs days or date_parts"},
		{transformsSpec, "transform: days, buckets: {quantiles: 10}", "date_parts: [month]", "features[3].columns[0]", "already a feature"},
		{transformsSpec, "[year, month, weekday]", "[year, week]", "features[2].date_parts[1]", "is not one of"},
		{transformsSpec, "[year, month, weekday]", "[year, year]", "features[2].date_parts[1]", "twice"},
		{transformsSpec, "columns: [age], buckets", "columns: [country], buckets", "features[1].columns[0]", "buckets are for numbers"},
		{transformsSpec, "columns: [age], buckets: {edges: [18, 30, 45, 65]}, min_count: 50", "columns: [age], date_parts: [month]", "features[1].columns[0]", "are for dates"},
		{transformsSpec, "columns: [since], transform: days", "columns: [born], transform: days", "features[3].columns[0]", "one day only"},
		{transformsPrivate, "[days, scale]", "[days, scale], clip: {quantiles: [0.9, 0.1]}", "features[1].clip.quantiles", "two ascending quantiles"},
		{transformsPrivate, "[days, scale]", "[days, scale], clip: {quantiles: [0, 0.9], deviations: 3}", "features[1].clip", "needs standardize"},
		{transformsPrivate, "[days, scale]", "days", "features[1].columns[0]", "needs scale or standardize in a private job"},
	} {
		text := edit(t, test.text, test.old, test.new)
		s, problems := ParseSpec([]byte(text))
		if problems == nil {
			_, problems = Resolve(s, c, four)
		}
		if len(problems) != 1 || problems[0].Path != test.path || !strings.Contains(problems[0].Message, test.message) {
			t.Errorf("%s: %v", test.new, problems)
		}
	}
	for _, test := range []struct{ old, new, message string }{
		{"min: 2015-03-01", "min: 01.03.2015", "is not a date"},
		{"min: 2015-03-01", "min: 2021-03-01", "is after max"},
		{"min: 2015-03-01, ", "", `"min" is missing`},
		{"min: 2015-03-01", "values: [a], min: 2015-03-01", "has no"},
	} {
		if _, problems := ParseContract([]byte(edit(t, transformsContract, test.old, test.new))); len(problems) != 1 || !strings.Contains(problems[0].Message, test.message) {
			t.Errorf("%s: %v", test.new, problems)
		}
	}
}

// A program that a hostile coordinator writes by hand is held to what a spec can say, and to the contract.
func TestResolvedTransformsAreChecked(t *testing.T) {
	c := mustContract(t, transformsContract)
	text := string(mustResolve(t, mustSpec(t, transformsSpec), c, four).Canonical())
	for _, change := range [][2]string{
		{`"edges":[18,30,45,65]`, `"edges":[18,30,45,111]`},
		{`"edges":[18,30,45,65]`, `"edges":[18,30,30,65]`},
		{`"edges":[18,30,45,65]`, `"edges":[18],"quantiles":4`},
		{`,"edges":[18,30,45,65]`, ``},
		{`"quantiles":10`, `"quantiles":1000`},
		{`"clip_quantiles":[0.01,0.99]`, `"clip_quantiles":[0.01]`},
		{`"clip_quantiles":[0.01,0.99]`, `"clip_quantiles":[0.99,0.01]`},
		{`"min_count":50`, `"min_count":0`},
		{`,"date":{"column":"since","part":"year","first":"2015-03-01","last":"2020-12-31"}`, ``},
		{`"quantiles":10`, `"quantiles":9223372036854775807`},
		{`"quantiles":10`, `"quantiles":-1`},
		{`"kind":"buckets"`, `"kind":"number"`},
		{`"part":"month"`, `"part":"week"`},
		{`"part":"month"`, `"part":"day"`},
		{`"kind":"date_part"`, `"kind":"buckets"`},
		{`"max":2132`, `"max":2133`},
		{`"name":"since.year"`, `"name":"year"`},
		{`"first":"2015-03-01"`, `"first":"2015-02-30"`},
	} {
		hostile := strings.Replace(text, change[0], change[1], 1)
		if hostile == text {
			t.Errorf("%s isn't there", change[0])
		}
		if _, err := ParseResolved([]byte(hostile)); err == nil {
			t.Errorf("%s: accepted", change[1])
		}
	}
	for _, change := range [][2]string{
		{`"min":16,"max":110`, `"min":16,"max":111`},
		{`"column":"since","part":"year","first":"2015-03-01"`, `"column":"since","part":"year","first":"2015-03-02"`},
	} {
		r, err := ParseResolved([]byte(strings.Replace(text, change[0], change[1], 1)))
		if err != nil {
			t.Fatal(err)
		}
		if r.Conforms(c) == nil {
			t.Errorf("%s: conforms", change[1])
		}
	}
}

func TestSchemaKnowsTransforms(t *testing.T) {
	spec, contract := compile(t, SpecSchema()), compile(t, ContractSchema())
	for _, text := range []string{transformsSpec, transformsPrivate} {
		if err := validate(t, spec, text); err != nil {
			t.Error(err)
		}
	}
	if err := validate(t, contract, transformsContract); err != nil {
		t.Error(err)
	}
	for _, change := range [][2]string{{"edges: [18, 30, 45, 65]", "edges: []"}, {"{quantiles: 10}", "{quantiles: 1}"}, {"[0.01, 0.99]", "[0.01]"}, {"[year, month, weekday]", "[week]"}, {"transform: days", "transform: [standardize, days]"}} {
		if validate(t, spec, edit(t, transformsSpec, change[0], change[1])) == nil {
			t.Errorf("%s: accepted", change[1])
		}
	}
	if validate(t, contract, edit(t, transformsContract, "min: 2015-03-01", "min: 5")) == nil {
		t.Error("a number as a date: accepted")
	}
}

func TestContractOfDatesHasOneEncoding(t *testing.T) {
	c := mustContract(t, transformsContract)
	again, err := ParseContractJSON(c.Canonical())
	if err != nil || string(again.Canonical()) != string(c.Canonical()) {
		t.Fatal(err)
	}
	since, _ := again.Column("since")
	if since.Min != 1425168000 || since.Max != 1609459199 || !strings.Contains(string(c.Canonical()), `{"name":"since","type":"date","min":"2015-03-01","max":"2020-12-31","outside":"reject","nullable":true}`) {
		t.Errorf("%+v\n%s", since, c.Canonical())
	}
	for _, change := range [][2]string{{`"min":"2015-03-01"`, `"min":"2015-3-1"`}, {`"min":"2015-03-01"`, `"min":1425168000`}, {`"min":16`, `"min":"2015-03-01"`}} {
		if _, err := ParseContractJSON([]byte(strings.Replace(string(c.Canonical()), change[0], change[1], 1))); err == nil {
			t.Errorf("%s: accepted", change[1])
		}
	}
	other := mustContract(t, strings.Replace(transformsContract, "2015-03-01", "2015-03-02", 1))
	if d := Difference(c, other); len(d) != 1 || !strings.Contains(d[0], "min 2015-03-01, yours says min 2015-03-02") && !strings.Contains(d[0], "2015-03-01") {
		t.Errorf("%q", d)
	}
}
