package jobspec

import (
	"strings"
	"testing"
)

// crossing is the example with an open category and crosses.
func crossing(t *testing.T) (string, *Contract) {
	t.Helper()
	return string(read(t, "crosses.yaml")), mustContract(t, string(read(t, "open.yaml")))
}

func TestOpenCategoriesAndCrossesAreResolved(t *testing.T) {
	text, c := crossing(t)
	if err := validate(t, compile(t, SpecSchema()), text); err != nil {
		t.Error(err)
	}
	if err := validate(t, compile(t, ContractSchema()), string(read(t, "open.yaml"))); err != nil {
		t.Error(err)
	}
	if col, _ := c.Column("city"); !col.Open() || col.Buckets != 4096 || col.Other != "" {
		t.Errorf("%+v", col)
	}
	again, err := ParseContractJSON(c.Canonical())
	if err != nil || again.Digest() != c.Digest() || !strings.Contains(string(c.Canonical()), `{"name":"city","type":"category","buckets":4096,"nullable":true}`) {
		t.Errorf("%v: %s", err, c.Canonical())
	}
	r := mustResolve(t, mustSpec(t, text), c, fourMembers())
	// 5 countries with other, 5 devices with other and missing; 4,097 cities with missing ones are hashed.
	for _, want := range []string{
		`{"name":"city","kind":"category","buckets":4096,"nullable":true,"missing_indicator":false,"min_count":20}`,
		`"min_count":20},{"name":"country*device","kind":"cross","of":["country","device"],"buckets":25,"nullable":false,"missing_indicator":false,"min_count":20},` +
			`{"name":"city*device","kind":"cross","of":["city","device"],"buckets":1024,"nullable":false,"missing_indicator":false,"min_count":50}]`,
	} {
		if !strings.Contains(string(r.Program()), want) {
			t.Errorf("no %s in %s", want, r.Program())
		}
	}
	if n := r.Outputs(); n != 1+1+4097+5+4+26+1025 {
		t.Errorf("%d output columns", n)
	}
	parsed, err := ParseResolved(r.Canonical())
	if err != nil || string(parsed.Canonical()) != string(r.Canonical()) {
		t.Fatal(err)
	}
	if err := parsed.Conforms(c); err != nil {
		t.Error(err)
	}
	other := mustContract(t, edit(t, string(read(t, "open.yaml")), "buckets: 4096", "buckets: 8192"))
	if d := Difference(c, other); len(d) != 1 || d[0] != "column city: the job's contract says buckets 4096, yours says 8192" {
		t.Errorf("%q", d)
	}
	parsed.ContractDigest = other.Digest()
	if err := parsed.Conforms(other); err == nil || !strings.Contains(err.Error(), "column city otherwise") {
		t.Errorf("other buckets: %v", err)
	}
	// By default a cross of more than 16,384 combinations is hashed into so many.
	wide := mustResolve(t, mustSpec(t, edit(t, text, ", buckets: 1024", "")), c, fourMembers())
	if f := wide.Features[len(wide.Features)-1]; f.HashBuckets != 16384 {
		t.Errorf("%d buckets by default", f.HashBuckets)
	}
	if v := Variations(r, wide); len(v) != 1 || v[0].Path != "program.features[city*device].buckets" {
		t.Errorf("%+v", v)
	}
}

// What a partner approves says which sums a guess could be held against.
func TestApprovalSaysThatBucketsCanBeGuessed(t *testing.T) {
	text, c := crossing(t)
	in := ApprovalInput{Job: mustResolve(t, mustSpec(t, text), c, fourMembers()), Cohort: []string{"A", "B", "C", "D"}, F: 1}
	for _, want := range []string{
		"city: one-hot over 4096 buckets of a public hash, fewer than 20 rows fold into other\n",
		"country*device: each combination by itself, in 25 columns, fewer than 20 rows fold into other\n",
		"city*device: combinations, hashed into 1024 columns, fewer than 50 rows fold into other\n",
		"The values of city stay here and count by buckets of a public hash. Whoever guesses a value can compute its bucket and read that bucket's count",
		"the count of every category and combination",
	} {
		if !strings.Contains(ApprovalText(in), want) {
			t.Errorf("no %q in\n%s", want, ApprovalText(in))
		}
	}
	in.Job, _ = example(t)
	if text := ApprovalText(in); strings.Contains(text, "guesses") || strings.Contains(text, "combination") {
		t.Errorf("without buckets:\n%s", text)
	}
}

// A private job hashes and crosses too: nothing is fitted for either, and noise covers every count.
func TestPrivateJobsHashAndCross(t *testing.T) {
	text, c := crossing(t)
	text = edit(t, text, "transform: standardize", "transform: scale")
	text = edit(t, text, "solver: lbfgs", "solver: dp_sgd")
	text = edit(t, text, ", min_count: 50", "")
	text = edit(t, text, "privacy: exact", `privacy: {unit: record, epsilon: "2.0", delta: "1e-6"}`)
	r := mustResolve(t, mustSpec(t, text), c, fourMembers())
	if n := r.Outputs(); n != 1+1+4097+5+4+26+1025 {
		t.Errorf("%d output columns", n)
	}
	if strings.Contains(string(r.Program()), "min_count") {
		t.Error(string(r.Program()))
	}
	again, err := ParseResolved(r.Canonical())
	if err != nil || again.Digest() != r.Digest() {
		t.Error(err)
	}
	approval := ApprovalText(ApprovalInput{Job: r, Cohort: []string{"A", "B", "C", "D"}, F: 1})
	if !strings.Contains(approval, "city*device: combinations, hashed into 1024 columns\n") || !strings.Contains(approval, "gradient: σ") || !strings.Contains(approval, "each of 5159 values") {
		t.Error(approval)
	}
}

func TestProblemsOfOpenCategories(t *testing.T) {
	for name, want := range map[string]problemTest{
		"not a power":     {"buckets: 4096", "buckets: 4000", "columns.city.buckets", "4000", "4000 buckets are not a power of two", "ten times"},
		"too many":        {"buckets: 4096", "buckets: 524288", "columns.city.buckets", "524288", "not within 2 to 262144", ""},
		"with values":     {"buckets: 4096", "buckets: 4096, values: [a]", "columns.city.buckets", "4096", "a category has values, or buckets", "remove one"},
		"with other":      {"buckets: 4096", "buckets: 4096, other: keep", "columns.city.other", "keep}", "has no other", "remove other"},
		"neither":         {"buckets: 4096, ", "", "columns.city.values", "{type: category, nullable: true}", `key "values" is missing`, "write buckets"},
		"buckets, number": {"max: 110", "max: 110, buckets: 2", "columns.age.buckets", "2}", "a number column has no \"buckets\"", "remove"},
	} {
		t.Run(name, func(t *testing.T) {
			want.at = strings.Replace(want.at, "keep}", "keep, nullable: true}\n  country", 1)
			text := edit(t, string(read(t, "open.yaml")), want.old, want.new)
			_, problems := ParseContract([]byte(text))
			expectOne(t, text, problems, want)
			if validate(t, compile(t, ContractSchema()), text) == nil {
				t.Error("the schema accepts it")
			}
		})
	}
}

func TestProblemsOfCrosses(t *testing.T) {
	const cross = "{cross: [country, device]}"
	base, c := crossing(t)
	for name, want := range map[string]problemTest{
		"one column":       {cross, "{cross: [country]}", "features[0].cross", "[country]}", "a cross of 1 features", "cross: ["},
		"four columns":     {cross, "{cross: [a, b, c, d]}", "features[0].cross", "[a,", "a cross of 4 features", ""},
		"twice":            {cross, "{cross: [country, country]}", "features[0].cross[1]", "country]", "listed twice", "remove"},
		"unknown":          {cross, "{cross: [country, devce]}", "features[0].cross[1]", "devce", "has no column", "did you mean device?"},
		"the label":        {cross, "{cross: [country, churned]}", "features[0].cross[1]", "churned", "is the label", ""},
		"a number":         {cross, "{cross: [country, age]}", "features[0].cross[1]", "age]", "age is a number: it has no values to combine", "buckets: {edges: ["},
		"no feature":       {"[city, country, device]", "[city, country]", "features[0].cross[1]", "device]}", "crossed and not a feature by itself", "{columns: [device], transform: one_hot}"},
		"the other way":    {cross, "{cross: [device, city]}", "features[1].cross", "[city, device]", "crossed already, as device*city", "remove"},
		"with a transform": {cross, "{cross: [country, device], transform: one_hot}", "features[0].transform", "one_hot}", "a cross has no transform", "remove it"},
		"with columns":     {cross, "{cross: [country, device], columns: [age]}", "features[0].columns", "[age]}", "a cross has no columns", "remove it"},
		"odd buckets":      {"buckets: 1024", "buckets: 1000", "features[1].buckets", "1000", "1000 buckets are not a power of two", ""},
		"of columns":       {"transform: standardize", "transform: standardize, buckets: 16", "features[2].buckets", "16", "buckets are a cross's", "remove"},
		"too wide":         {"solver: lbfgs", "solver: newton", "features", "- {cross: [country", "5159 output columns", "buckets"},
	} {
		t.Run(name, func(t *testing.T) {
			text := edit(t, base, want.old, want.new)
			s, problems := ParseSpec([]byte(text))
			if s != nil {
				_, problems = Resolve(s, c, fourMembers())
			} else if validate(t, compile(t, SpecSchema()), text) == nil {
				t.Error("the schema accepts it")
			}
			if name == "no feature" { // both crosses lack it
				if len(problems) != 2 {
					t.Fatalf("%d problems", len(problems))
				}
				problems = problems[:1]
			}
			expectOne(t, text, problems, want)
		})
	}
}

// A resolved job is read strictly: a cross that means something else at another participant is none.
func TestForgedCrossesAreRefused(t *testing.T) {
	text, c := crossing(t)
	r := mustResolve(t, mustSpec(t, text), c, fourMembers())
	for old, replacement := range map[string]string{
		`"of":["country","device"],"buckets":25`: `"of":["country","device"],"buckets":24`,
		`"name":"country*device"`:                `"name":"country-device"`,
		`"of":["city","device"]`:                 `"of":["city","age"]`,
		`"of":["country","device"]`:              `"of":["country","city*device"]`,
		`"buckets":1024,"nullable":false`:        `"buckets":1024,"nullable":true`,
		`"buckets":1024`:                         `"buckets":4611686018427387904`,
		`"buckets":4096`:                         `"buckets":4095`,
		`"min_count":50`:                         `"min_count":0`,
	} {
		if _, err := ParseResolved([]byte(edit(t, string(r.Canonical()), old, replacement))); err == nil {
			t.Errorf("%s is accepted", replacement)
		}
	}
}

// Groups and recommended items are told by name, which buckets don't have.
func TestOpenCategoriesAreNeitherGroupsNorItems(t *testing.T) {
	text, c := crossing(t)
	_, problems := Resolve(mustSpec(t, edit(t, text, "holdout: 0.2", "holdout: 0.2, groups: [city]")), c, fourMembers())
	if len(problems) != 1 || !strings.Contains(problems[0].Message, "no groups") {
		t.Errorf("%v", problems)
	}
	items := mustContract(t, edit(t, string(read(t, "purchases.yaml")), "values: [A1, A2, A3, A4, A5], other: keep", "buckets: 64"))
	_, problems = Resolve(mustSpec(t, string(read(t, "recommend.yaml"))), items, fourMembers())
	if len(problems) != 1 || !strings.Contains(problems[0].Message, "needs a name") {
		t.Errorf("%v", problems)
	}
}

// crossingDates is the example with crosses of buckets and of parts of a date.
func crossingDates(t testing.TB) (string, *Contract) {
	t.Helper()
	contract := edit(t, string(read(t, "open.yaml")), "  city:", "  since:   {type: date, min: 2019-03-01, max: 2021-12-31, nullable: true}\n  city:")
	text := edit(t, string(read(t, "crosses.yaml")), "{columns: [age], transform: standardize}", "{columns: [age], buckets: {edges: [18, 30, 45]}}\n  - {columns: [since], date_parts: [year, weekday, hour]}")
	text = edit(t, text, "{cross: [country, device]}", "{cross: [age, country]}\n  - {cross: [since.weekday, since.hour]}\n  - {cross: [since.year, age, device]}")
	return text, mustContract(t, contract)
}

// Buckets and parts of dates are crossed by the names that the resolved features have, and have no other.
func TestBucketsAndDatesAreCrossed(t *testing.T) {
	text, c := crossingDates(t)
	if err := validate(t, compile(t, SpecSchema()), text); err != nil {
		t.Error(err)
	}
	r := mustResolve(t, mustSpec(t, text), c, fourMembers())
	// 4 buckets and 5 countries with other; 7 weekdays and 24 hours, and none of either; 3 years and none, 4 buckets, 5 devices with other and none.
	const want = `{"name":"age*country","kind":"cross","of":["age","country"],"buckets":20,"nullable":false,"missing_indicator":false,"min_count":20},` +
		`{"name":"since.weekday*since.hour","kind":"cross","of":["since.weekday","since.hour"],"buckets":200,"nullable":false,"missing_indicator":false,"min_count":20},` +
		`{"name":"since.year*age*device","kind":"cross","of":["since.year","age","device"],"buckets":80,"nullable":false,"missing_indicator":false,"min_count":20}`
	if !strings.Contains(string(r.Program()), want) {
		t.Errorf("no %s in %s", want, r.Program())
	}
	again, err := ParseResolved(r.Canonical())
	if err != nil || again.Digest() != r.Digest() {
		t.Fatal(err)
	}
	if err := again.Conforms(c); err != nil {
		t.Error(err)
	}
	approval := ApprovalText(ApprovalInput{Job: r, Cohort: []string{"A", "B", "C", "D"}, F: 1})
	for _, want := range []string{"since.weekday*since.hour: each combination by itself, in 200 columns, fewer than 20 rows fold into other\n", "the count of every category and combination"} {
		if !strings.Contains(approval, want) {
			t.Errorf("no %q in\n%s", want, approval)
		}
	}
	for old, replacement := range map[string]string{
		`"of":["age","country"],"buckets":20`:               `"of":["age","country"],"buckets":25`, // with an other of age
		`"of":["since.weekday","since.hour"],"buckets":200`: `"of":["since.weekday","since.hour"],"buckets":168`,
		`"edges":[18,30,45]`:                                `"quantiles":4`,
		`"of":["since.year","age","device"]`:                `"of":["since.year","age","age"]`,
		`"name":"since.hour"`:                               `"name":"since.minute"`,
	} {
		if _, err := ParseResolved([]byte(edit(t, string(r.Canonical()), old, replacement))); err == nil {
			t.Errorf("%s is accepted", replacement)
		}
	}
	private := edit(t, text, "solver: lbfgs", "solver: dp_sgd")
	private = edit(t, private, ", min_count: 50", "")
	private = edit(t, private, "privacy: exact", `privacy: {unit: record, epsilon: "2.0", delta: "1e-6"}`)
	p := mustResolve(t, mustSpec(t, private), c, fourMembers())
	if again, err := ParseResolved(p.Canonical()); err != nil || again.Digest() != p.Digest() || p.Outputs() != r.Outputs() {
		t.Error(err)
	}
}

func TestProblemsOfCrossedBucketsAndDates(t *testing.T) {
	const cross = "{cross: [age, country]}"
	base, c := crossingDates(t)
	for name, want := range map[string]problemTest{
		"the date":      {cross, "{cross: [country, since]}", "features[0].cross[1]", "since]}\n  - {cross: [since.w", "column since is a date; a cross is of its parts", "since.weekday"},
		"no such part":  {cross, "{cross: [country, since.month]}", "features[0].cross[1]", "since.month]}", "the date_parts of since have no month", "add month to them"},
		"part of what":  {cross, "{cross: [country, age.month]}", "features[0].cross[1]", "age.month]}", "has no column \"age.month\"", ""},
		"no such day":   {cross, "{cross: [country, since.minute]}", "features[0].cross[1]", "since.minute]}", "\"minute\" is no part of a date", "weekday"},
		"no days":       {cross, "{cross: [country, since.days]}", "features[0].cross[1]", "since.days]}", "there is no feature since.days", "transform: days, buckets: {edges: ["},
		"part twice":    {cross, "{cross: [since.hour, since.hour]}", "features[0].cross[1]", "since.hour]}\n  - {cross: [since.w", "since.hour is listed twice", "remove"},
		"a cross":       {cross, `{cross: [country, "city*device"]}`, "features[0].cross[1]", `"city*device"`, "has no column", ""},
		"of itself":     {cross, `{cross: [country, "country*device"]}`, "features[0].cross[1]", `"country*device"`, "has no column", ""},
		"days":          {"date_parts: [year", "transform: [days, standardize], date_parts: [year", "features[0].cross[1]", "since.days]}", "since.days is a number", "buckets: {edges: ["},
		"other order":   {cross, "{cross: [since.hour, since.weekday]}", "features[1].cross", "[since.weekday, since.hour]}", "crossed already, as since.hour*since.weekday", "remove"},
		"date unlisted": {"  - {columns: [since], date_parts: [year, weekday, hour]}\n", "", "features[1].cross[0]", "since.weekday, since.hour]}", "column since is crossed and not a feature by itself", "{columns: [since], date_parts: [weekday]}"},
		"quantiles":     {"edges: [18, 30, 45]", "quantiles: 4", "features[0].cross[0]", "age, country]}", "age is in buckets whose edges are fitted", "list edges"},
	} {
		t.Run(name, func(t *testing.T) {
			text := edit(t, base, want.old, want.new)
			if name == "days" {
				text = edit(t, text, cross, "{cross: [country, since.days]}")
			}
			s, problems := ParseSpec([]byte(text))
			if s != nil {
				_, problems = Resolve(s, c, fourMembers())
			}
			if name == "date unlisted" || name == "quantiles" { // each cross of them has the problem
				if len(problems) < 2 {
					t.Fatalf("%v", problems)
				}
				problems = problems[:1]
			}
			expectOne(t, text, problems, want)
		})
	}
	// Days in listed buckets are crossed as other numbers in buckets are.
	text := edit(t, base, "  - {columns: [since]", "  - {columns: [since], transform: [days], buckets: {edges: [365]}}\n  - {columns: [since]")
	text = edit(t, edit(t, text, "\n  - {columns: [since], date_parts: [year, weekday, hour]}", ""), "transform: [days], buckets: {edges: [365]}}", "transform: [days], buckets: {edges: [365]}, date_parts: [year, weekday, hour]}")
	r := mustResolve(t, mustSpec(t, edit(t, text, cross, "{cross: [since.days, country]}")), c, fourMembers())
	if !strings.Contains(string(r.Program()), `"of":["since.days","country"],"buckets":15`) {
		t.Errorf("%s", r.Program())
	}
}
