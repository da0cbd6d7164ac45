package source

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"tributary/models/optim"
	"tributary/models/pipeline"
	"tributary/models/pipeline/fit"
	"tributary/protocol/jobspec"
)

const datesContract = `
version: 1
name: shop
revision: 1
key: id
max_rows: 100
label: {column: churned, positive: "yes", negative: "no"}
columns:
  age:   {type: number, min: 16, max: 110}
  since: {type: date, min: 2015-03-01, max: 2020-12-31, nullable: true}
`

func datesOf(t *testing.T, contractText, rows string) (*jobspec.Contract, *Rows, error) {
	t.Helper()
	c, problems := jobspec.ParseContract([]byte(contractText))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	b := Binding{Contract: "shop@1", ID: "customers", File: write(t, "rows.csv", []byte(rows))}
	read, err := Read(context.Background(), b, c, secret())
	return c, read, err
}

// Dates and times in the usual forms become Unix seconds in UTC; those beyond the contract count as its first or last.
func TestDatesBecomeSeconds(t *testing.T) {
	_, rows, err := datesOf(t, datesContract, "id,age,since,churned\na,30,2016-02-29,yes\nb,30,2016-02-29T12:30:00+01:00,no\nc,30,,no\nd,30,1999-01-01,yes\ne,30,2050-01-01 10:00,no\n")
	if err != nil {
		t.Fatal(err)
	}
	table, err := rows.Table(jobspec.Holdout{})
	if err != nil {
		t.Fatal(err)
	}
	since, _ := table.Column("since")
	want := []float64{1456704000, 1456704000 + 11*3600 + 1800, math.NaN(), 1425168000, 1609459199}
	if !slices.EqualFunc(since.Numbers, want, func(a, b float64) bool { return a == b || a != a && b != b }) {
		t.Errorf("%v, want %v", since.Numbers, want)
	}
}

func TestWrongDatesAreTold(t *testing.T) {
	for cell, message := range map[string]string{"29.02.2016": "expected a date", "2015-02-29": "expected a date", "20160229": "expected a date", "2014-01-01": "outside the contract's dates from 2015-03-01 to 2020-12-31"} {
		_, _, err := datesOf(t, strings.Replace(datesContract, "nullable: true", "outside: reject", 1), "id,age,since,churned\na,30,"+cell+",yes\n")
		var data *DataError
		if !errors.As(err, &data) || data.Findings[0].Column != "since" || !strings.Contains(data.Findings[0].Message, message) {
			t.Errorf("%s: %v", cell, err)
		}
	}
}

// What a spec resolves to is a program that the models read, and rows by the contract fit it.
func TestResolvedTransformsFitTheirRows(t *testing.T) {
	if jobspec.SketchGroup != pipeline.SketchGroup {
		t.Errorf("approvals tell of groups of %d rows, sums have %d", jobspec.SketchGroup, pipeline.SketchGroup)
	}
	c, rows, err := datesOf(t, datesContract, "id,age,since,churned\na,30,2016-02-29,yes\nb,40,2017-05-01,no\nc,50,,no\n")
	if err != nil {
		t.Fatal(err)
	}
	for name, rest := range map[string]string{
		"exact": `features:
  - {columns: [since], date_parts: [year, month, day, weekday, hour], missing: indicator}
  - {columns: [since], transform: [days, log1p, standardize], clip: {quantiles: [0.01, 0.99]}}
  - {columns: [age], buckets: {quantiles: 10}}
privacy: exact
`,
		"private": `features:
  - {columns: [since], date_parts: [year, month, day, weekday, hour], missing: indicator}
  - {columns: [since], transform: days, buckets: {edges: [30, 365.5]}}
  - {columns: [age], buckets: {edges: [18, 30]}}
privacy: {unit: record, epsilon: "5", delta: "1e-5"}
`} {
		spec, problems := jobspec.ParseSpec([]byte("version: 1\nname: j\ncontract: shop@1\nmodel: {type: logistic_regression}\nrun: {mode: sealed}\n" + rest))
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		r, problems := jobspec.Resolve(spec, c, jobspec.Options{F: 1, Contributors: 4})
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		p, err := optim.ParseProgram(r.Program())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		document, err := p.Document()
		if err != nil || string(document) != string(r.Program()) {
			t.Errorf("%s: %v, the program's document is\n%s\nwant\n%s", name, err, document, r.Program())
		}
		table, err := rows.Table(jobspec.Holdout{})
		if err != nil {
			t.Fatal(err)
		}
		if columns, err := fit.Bind(p.Pipeline(), table); err != nil || len(columns) != len(r.Features) {
			t.Errorf("%s: %v", name, err)
		}
		if len(p.Pipeline().Columns())+1 != r.Outputs() {
			t.Errorf("%s: %d outputs, the program has %d", name, r.Outputs(), len(p.Pipeline().Columns())+1)
		}
	}
}
