package source

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"tributary/models/dataset"
	"tributary/models/local"
	"tributary/models/optim"
	"tributary/protocol/jobspec"
)

const spendContract = `
version: 1
name: spend
revision: 1
key: id
max_rows: 100
label: {column: spend, type: number, min: 0, max: 500}
columns:
  age: {type: number, min: 16, max: 110}
`

func readSpend(t *testing.T, contract, text string) (*Rows, error) {
	t.Helper()
	b := Binding{Contract: "spend@1", ID: "customers", File: write(t, "spend.csv", []byte(text)), Columns: map[string]string{"spend": "EUR"}, Missing: []string{"", "NA"}}
	return Read(context.Background(), b, parseContract(t, contract), secret())
}

func TestLabelThatIsANumberIsRead(t *testing.T) {
	rows, err := readSpend(t, spendContract, "id,age,EUR\na,30,12.5\nb,40,-3\nc,50,1e9\nd,60,0\n")
	if err != nil {
		t.Fatal(err)
	}
	table, err := rows.Table(jobspec.Holdout{})
	if err != nil || table.Validate() != nil || table.Label != nil {
		t.Fatal(err, table.Validate())
	}
	equal(t, "labels, clipped", table.Target, []float64{12.5, 0, 500, 0})
	other, err := readSpend(t, spendContract, "id,age,EUR\na,30,12.5\nb,40,-3\nc,50,1e9\nd,60,1\n")
	if err != nil || other.Digest == rows.Digest {
		t.Errorf("%v: another label, the same digest", err)
	}
	same, err := readSpend(t, spendContract, "id,age,EUR\na,30,1.25e1\nb,40,-5\nc,50,501\nd,60,-0\n")
	if err != nil || same.Digest != rows.Digest {
		t.Errorf("%v: the same labels, another digest", err)
	}
}

func TestWrongLabelsThatAreNumbersNameTheRowAndRemedy(t *testing.T) {
	reject := strings.Replace(spendContract, "max: 500}", "max: 500, outside: reject}", 1)
	for name, c := range map[string]struct{ contract, cell, message, hint string }{
		"missing":  {spendContract, "NA", "the label is missing", "where"},
		"empty":    {spendContract, "", "the label is missing", "where"},
		"a word":   {spendContract, "much", "expected a number", "source"},
		"a comma":  {spendContract, `"1,5"`, "expected a number", "decimal point"},
		"infinite": {spendContract, "inf", "finite", ""},
		"rejected": {reject, "501", "outside the contract's range from 0 to 500", "outside: reject"},
	} {
		_, err := readSpend(t, c.contract, "id,age,EUR\na,30,1\nb,40,"+c.cell+"\n")
		var data *DataError
		if !errors.As(err, &data) || len(data.Findings) != 1 {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if f := data.Findings[0]; f.Row != 3 || f.Column != "EUR" || !strings.Contains(f.Message, c.message) || !strings.Contains(f.Hint, c.hint) {
			t.Errorf("%s: %+v", name, f)
		}
	}
	b := Binding{Contract: "spend@1", ID: "customers", File: "x", Values: map[string]map[string]string{"spend": {"much": "500"}}}
	if err := b.Check(parseContract(t, spendContract)); !errors.Is(err, ErrBinding) || !strings.Contains(err.Error(), "values: column spend") {
		t.Errorf("a number is mapped: %v", err)
	}
}

const lifetimeContract = `
version: 1
name: retail-customers
revision: 1
key: customer
max_rows: 5000
label: {column: spent, type: number, min: 0, max: 3000}
columns:
  recency_days: {type: number, min: 0, max: 400}
  tenure_days:  {type: number, min: 0, max: 400}
  frequency:    {type: number, min: 1, max: 1000}
  monetary:     {type: number, min: 0, max: 1000000}
  articles:     {type: number, min: 1, max: 5000}
`

// lifetimeJob is what four shops run to predict what a customer spends in the 90 days that follow.
func lifetimeJob(t *testing.T, c *jobspec.Contract, model string) *optim.Program {
	t.Helper()
	s, problems := jobspec.ParseSpec([]byte(`version: 1
name: lifetime-value
contract: retail-customers@1
features:
  - {columns: [recency_days, tenure_days], transform: standardize}
  - {columns: [frequency, monetary, articles], transform: [log1p, standardize]}
model: ` + model + `
evaluate: {holdout: 0.3, metrics: [rmse, mae, r2, calibration]}
privacy: exact
run: {mode: sealed}
`))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	r, problems := jobspec.Resolve(s, c, jobspec.Options{F: 1, Members: []string{"a", "b", "c", "d"}})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	p, err := optim.ParseProgram(r.Program())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Lifetime value from raw transactions: what a customer of online_retail spends in the 90 days after 10 September 2011, by what the
// lines before it tell. Four participants' sums, without the seal. What is predicted for held-out customers explains a good part of
// what they spend, and a linear model gets the same from each solver.
func TestLifetimeValueFromTransactions(t *testing.T) {
	c := parseContract(t, lifetimeContract)
	var tables []*dataset.Table
	for _, b := range onlineRetail(t, 4) {
		b.Customers.Until, b.Customers.OutcomeDays = time.Date(2011, 9, 10, 0, 0, 0, 0, time.UTC), 90
		rows, err := Read(context.Background(), b, c, secret())
		if err != nil {
			t.Fatal(err)
		}
		table, err := rows.Table(jobspec.Holdout{Tenths: 3})
		if err != nil {
			t.Fatal(err)
		}
		tables = append(tables, table)
	}
	errorOf := map[string]float64{}
	for name, model := range map[string]string{
		"newton":  "{type: linear_regression}",
		"lbfgs":   "{type: linear_regression, solver: lbfgs}",
		"machine": "{type: factorization_machine, factors: 4, averaging: {patience: 3}}",
	} {
		p := lifetimeJob(t, c, model)
		s := p.Initial()
		var members []local.Rounds
		for _, table := range tables {
			m, err := local.New(p, table)
			if err != nil {
				t.Fatal(err)
			}
			members = append(members, m)
		}
		var report optim.Report
		for s.Kind() != optim.Done {
			var sum [][]float64
			for _, m := range members {
				part, err := m.Sums(s)
				if err != nil {
					t.Fatalf("%s, %s: %v", name, s.Kind(), err)
				}
				if sum == nil {
					sum = part
					continue
				}
				for i := range part {
					for j, v := range part[i] {
						sum[i][j] += v
					}
				}
			}
			var err error
			if s, report, err = p.Apply(s, sum); err != nil {
				t.Fatal(err)
			}
		}
		m := report.Metrics
		t.Logf("%s: %d and %d customers, RMSE %.2f, MAE %.2f, R² %.4f", name, m.Rows, m.HeldOut, m.RMSE.V, m.MAE.V, m.R2.V)
		for _, bin := range report.LabelBins {
			t.Logf("  %4d predicted %8.2f, spent %8.2f", bin.Rows, bin.Predicted, bin.Label)
		}
		errorOf[name] = m.RMSE.V
		if !(m.R2.V > 0.25) {
			t.Errorf("%s: R² %.4f", name, m.R2.V)
		}
	}
	if math.Abs(errorOf["newton"]-errorOf["lbfgs"]) > 1e-3*errorOf["newton"] {
		t.Errorf("RMSE %.4f by newton, %.4f by lbfgs", errorOf["newton"], errorOf["lbfgs"])
	}
}
