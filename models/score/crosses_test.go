package score_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"tributary/models/local"
	"tributary/models/optim"
	"tributary/models/score"
)

// derivedCrosses crosses buckets, days in buckets and parts of dates, with all their cells and hashed.
func derivedCrosses(t testing.TB, model string, private bool) *optim.Program {
	t.Helper()
	features := []string{
		`{"name":"visits","kind":"buckets","min":-5,"max":1000,"nullable":true,"missing_indicator":true,"min_count":20,"edges":[0,1,10,999]}`,
		`{"name":"age","kind":"buckets","min":16,"max":110,"nullable":false,"missing_indicator":false,"min_count":20,"edges":[30,60]}`,
		`{"name":"since.days","kind":"buckets","min":0,"max":2132,"nullable":true,"missing_indicator":false,"min_count":20,"edges":[365,1000],` + fmt.Sprintf(sinceDate, "days") + `}`,
		fmt.Sprintf(dateOf, "weekday", true, 20, "weekday"), fmt.Sprintf(dateOf, "hour", false, 20, "hour"),
		fmt.Sprintf(cross, "visits*age", `"visits","age"`, 6*3),
		fmt.Sprintf(cross, "since.weekday*since.hour", `"since.weekday","since.hour"`, 8*25),
		fmt.Sprintf(cross, "age*since.days*since.weekday", `"age","since.days","since.weekday"`, 3*4*8),
		fmt.Sprintf(cross, "since.hour*visits*since.days", `"since.hour","visits","since.days"`, 128),
	}
	more := `"evaluate":{"holdout":true,"metrics":["auc"]}}`
	if private {
		for i := range features {
			features[i] = strings.Replace(features[i], `"min_count":20,`, "", 1)
			features[i] = strings.Replace(features[i], `,"min_count":20`, "", 1)
		}
		more = `"private":{"unit":"record","clip":1,"scale":16384,"sigma2_fit":"26843545600","sigma2_train":"85899345920","sigma2_evaluate":"107374182400","bins":50},` + more
	}
	return program(t, `{"version":1,"contributors":1,"bits":40,"max_rows":100000,"features":[`+strings.Join(features, ",")+`],"model":`+model+`,`+more)
}

const (
	cross     = `{"name":%q,"kind":"cross","of":[%s],"buckets":%d,"nullable":false,"missing_indicator":false,"min_count":20}`
	noisedOne = `{"type":"logistic_regression","l2":1,"solver":"dp_gradient_descent","max_rounds":4}`
)

// An exported model finds the cells of raw numbers and dates that the participants trained on: at edges, beyond the range and missing.
func TestCrossedBucketsAndDatesScoreAsTheyAreTrained(t *testing.T) {
	table := dated(6_000, 11)
	for name, p := range map[string]*optim.Program{"newton": derivedCrosses(t, newton, false), "machine": derivedCrosses(t, machine, false), "private": derivedCrosses(t, noisedOne, true)} {
		t.Run(name, func(t *testing.T) {
			s, m := trained(t, p, table)
			if want := []string{"visits*age", "since.weekday*since.hour", "age*since.days*since.weekday", "since.hour*visits*since.days"}; !slices.Equal(m.Terms()[5:], want) || len(m.Columns()) != 3 {
				t.Fatalf("terms %q, %d columns", m.Terms(), len(m.Columns()))
			}
			want, err := local.Score(p, s, table)
			if err != nil {
				t.Fatal(err)
			}
			worst, crossed := 0.0, 0.0
			for i := range table.Rows {
				r := datedRecord(table, i)
				if i%3 == 0 && r["visits"] != (score.Value{}) {
					r["visits"] = score.Text(r["visits"].String()) // as CSV has it
				}
				row, err := m.Row(r)
				if err != nil {
					t.Fatal(err)
				}
				got, err := m.Score(row)
				if err != nil {
					t.Fatal(err)
				}
				worst = max(worst, math.Abs(got-want[i]))
				e, err := m.Explain(row)
				if err != nil {
					t.Fatal(err)
				}
				crossed = max(crossed, math.Abs(e.Columns[5].Logit)+math.Abs(e.Columns[6].Logit))
				if i%100 == 0 {
					explained(t, m, row)
				}
			}
			if worst > 1e-12 || crossed < 0.01 {
				t.Errorf("differ by %g; crosses add %g at most", worst, crossed)
			}
			// What is beyond the range is in the outer bucket, or of the nearest date.
			for _, beyond := range [][2]score.Value{{score.Number(-1e9), score.Number(-5)}, {score.Number(1e9), score.Number(1000)}} {
				compare(t, m, datedRecord(table, 1), "visits", beyond[0], beyond[1])
			}
			compare(t, m, datedRecord(table, 1), "since", score.Text("1999-07-07"), score.Text("2015-03-01"))
			compare(t, m, datedRecord(table, 1), "since", score.Text("2031-07-07"), score.Text("2020-12-31 23:59:59"))
		})
	}
}

// compare wants the same score of a record with one or another value.
func compare(t *testing.T, m *score.Model, record map[string]score.Value, column string, a, b score.Value) {
	t.Helper()
	var scores [2]float64
	for i, v := range []score.Value{a, b} {
		record[column] = v
		row, err := m.Row(record)
		if err == nil {
			scores[i], err = m.Score(row)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if scores[0] != scores[1] {
		t.Errorf("%s %v scores %g, %v %g", column, a, scores[0], b, scores[1])
	}
}

const crossedByHand = `{"format":"tributary-model","version":1,"type":"logistic_regression","l2":1,"intercept":0,"columns":[
{"name":"age<30","feature":"age","role":"bucket","bucket":{"to":30},"folded":true,"coefficient":0},
{"name":"30<=age","feature":"age","role":"bucket","bucket":{"from":30},"folded":false,"coefficient":1},
{"name":"age=other","feature":"age","role":"other","range":{"min":16,"max":110},"nullable":true,"folded":false,"coefficient":2},
{"name":"at.year=2020","feature":"at.year","role":"value","value":"2020","folded":false,"coefficient":4},
{"name":"at.year=2021","feature":"at.year","role":"value","value":"2021","folded":false,"coefficient":8},
{"name":"at.year=other","feature":"at.year","role":"other","date":{"column":"at","part":"year","first":"2020-02-01","last":"2021-03-31"},"folded":false,"coefficient":16},
{"name":"age*at.year#","feature":"age*at.year","role":"buckets","folded":false,"buckets":{"count":6,"cross":["age","at.year"],"kept":[0,1,3,4],"coefficients":[32,64,128,256]}},
{"name":"age*at.year=other","feature":"age*at.year","role":"other","folded":false,"coefficient":512}],
"training_rows":10,"train_rounds":1,"converged":true}`

// Cells are the bucket's number times the years, and the year's; a bucket that is folded by itself has its own cells.
func TestCrossedBucketsByHand(t *testing.T) {
	m, err := score.Parse([]byte(crossedByHand))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		age     score.Value
		at      string
		want    float64
		encoded string
		parts   string
	}{
		{score.Number(29.9), "2020-05-01", 2 + 4 + 32, "age*at.year#0", "<30 2020"},
		{score.Number(3), "2021-01-01T00:59:00+01:00", 2 + 4 + 32, "age*at.year#0", "<30 2020"},
		{score.Text("16"), "2022-05-01", 2 + 8 + 64, "age*at.year#1", "<30 2021"},
		{score.Number(30), "1999-05-01", 1 + 4 + 512, "age*at.year=other", ">=30 2020"},
		{score.Text("3e1"), "2021-01-01 00:00", 1 + 8 + 128, "age*at.year#3", ">=30 2021"},
		{score.Number(200), "2021-01-01", 1 + 8 + 128, "age*at.year#3", ">=30 2021"},
		{score.Value{}, "2020-05-01", 2 + 4 + 256, "age*at.year#4", " 2020"},
		{score.Number(math.NaN()), "2021-05-01", 2 + 8 + 512, "age*at.year=other", " 2021"},
	} {
		row := []score.Value{c.age, score.Text(c.at)}
		e, err := m.Explain(row)
		if err != nil || e.Logit != c.want || e.Columns[2].Encoded != c.encoded {
			t.Errorf("%v, %s: %+v, want %g: %v", c.age, c.at, e, c.want, err)
		}
		if got := strings.Join(m.Parts(2, row), " "); got != c.parts || !m.Bucketed(2) || m.Bucketed(1) {
			t.Errorf("%v, %s: parts %q, want %q", c.age, c.at, got, c.parts)
		}
	}
	for _, c := range [][2]score.Value{{score.Number(20), {}}, {score.Number(20), score.Text("tomorrow")}, {score.Text("young"), score.Text("2020-05-01")}, {score.Number(math.Inf(1)), score.Text("2020-05-01")}} {
		if _, err := m.Score(c[:]); err == nil {
			t.Errorf("%v is scored", c)
		}
	}
	for _, c := range []struct{ old, new, want string }{
		{`"count":6`, `"count":12`, `columns: cross "age*at.year" has 12 buckets for 6 cells`}, // 4·3 with others
		{`["age","at.year"]`, `["age","at"]`, "columns[6].buckets.cross: item 1: "},
		{`["age","at.year"]`, `["age","age"]`, "columns[6].buckets.cross: item 1: "},
		{`["age","at.year"]`, `["age","age*at.year"]`, "columns[6].buckets.cross: item 1: "},
		{`"feature":"age*at.year","role":"buckets"`, `"feature":"at.year*age","role":"buckets"`, "columns[6].name: "},
		{`"nullable":true,`, ``, `columns: cross "age*at.year" has 6 buckets for 4 cells`},
	} {
		refused(t, crossedByHand, c.old, c.new, c.want)
	}
}

// A record's date is read once, whatever features and crosses are made of it.
func BenchmarkCrossedDates(b *testing.B) {
	table := dated(3_000, 12)
	_, m := trained(b, derivedCrosses(b, newton, false), table)
	r := datedRecord(table, 1)
	r["since"] = score.Text(time.Unix(1_500_000_000, 0).UTC().Format(time.DateTime))
	row, err := m.Row(r)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := m.Score(row); err != nil {
			b.Fatal(err)
		}
	}
}
