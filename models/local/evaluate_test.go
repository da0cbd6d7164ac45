package local_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"tributary/models/dataset"
	"tributary/models/linear"
	"tributary/models/local"
	"tributary/models/metrics"
	"tributary/models/optim"
)

const evaluated = `{"version":1,"contributors":2,"bits":40,"max_rows":5000,
"features":[{"name":"age","kind":"number","min":0,"max":100,"nullable":false,"log1p":false,"standardize":true,"clip":64,"missing_indicator":false},
{"name":"country","kind":"category","values":["DE","FR"],"nullable":false,"missing_indicator":false,"min_count":5}],
"model":{"type":"logistic_regression","l2":1,"solver":"newton","max_rounds":5,"tolerance":1e-8},
"evaluate":{"holdout":true,"metrics":["auc","log_loss","accuracy"]}}`

// participants makes the tables of two participants; the second one has hardly any held-out rows of FR.
func participants(classes []string) [2]*dataset.Table {
	var out [2]*dataset.Table
	for n := range out {
		r := rand.New(rand.NewPCG(7, uint64(n)))
		t := &dataset.Table{Rows: 1500, Columns: []dataset.Column{{Name: "age"}, {Name: "country", Values: []string{"DE", "FR"}}}, HeldOut: make([]bool, 1500), Classes: classes}
		for i := range t.Rows {
			age, code := r.Float64()*100, int32(r.IntN(3))
			if t.HeldOut[i] = r.IntN(4) == 0; t.HeldOut[i] && n == 1 && i > 40 {
				code = 0
			}
			t.Columns[0].Numbers, t.Columns[1].Codes = append(t.Columns[0].Numbers, age), append(t.Columns[1].Codes, code)
			if classes != nil {
				t.Class = append(t.Class, int32(min(int(age/40+r.Float64()), 2)))
			} else {
				t.Label = append(t.Label, r.Float64() < age/100)
			}
			t.User = append(t.User, int32(i/5))
		}
		out[n] = t
	}
	return out
}

// finish trains a program on two participants' tables.
func finish(t *testing.T, p *optim.Program, tables [2]*dataset.Table) (*optim.State, optim.Report) {
	t.Helper()
	var rounds [2]local.Rounds
	for n := range rounds {
		var err error
		if rounds[n], err = local.New(p, tables[n]); err != nil {
			t.Fatal(err)
		}
	}
	s, report := p.Initial(), optim.Report{}
	for s.Kind() != optim.Done {
		sum, err := rounds[0].Sums(s)
		if err != nil {
			t.Fatal(err)
		}
		sum = slices.Clone(sum)
		second, err := rounds[1].Sums(s)
		if err != nil {
			t.Fatal(err)
		}
		for i := range sum {
			sum[i] = slices.Clone(sum[i])
			for k := range sum[i] {
				sum[i][k] += second[i][k]
			}
		}
		if s, report, err = p.Apply(s, sum); err != nil {
			t.Fatal(err)
		}
	}
	return s, report
}

func parse(t *testing.T, document string) *optim.Program {
	t.Helper()
	p, err := optim.ParseProgram([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// What participants measure by themselves adds up to what the job measured over all of them.
func TestOwnEvaluationsAddUpToTheJobs(t *testing.T) {
	withGroups := strings.Replace(evaluated, `"evaluate":{`, `"evaluate":{"groups":[{"name":"country","values":["DE","FR"],"nullable":false}],"min_count":30,`, 1)
	for name, document := range map[string]string{
		"newton": withGroups,
		"fm": strings.Replace(evaluated, `{"type":"logistic_regression","l2":1,"solver":"newton","max_rounds":5,"tolerance":1e-8}`,
			`{"type":"factorization_machine","l2":1,"solver":"fedavg","max_rounds":3,"tolerance":0,"factors":2,"averaging":{"epochs":1,"batch":1,"optimizer":"adagrad","learning_rate":0.1,"server_rate":1,"patience":0,"seed":"1"}}`, 1),
		"classes": strings.NewReplacer(`"model":{"type":"logistic_regression","l2":1,"solver":"newton"`, `"label":{"classes":["a","b","c"],"min_rows":20},"model":{"type":"multinomial_logistic_regression","l2":1,"solver":"lbfgs"`,
			`"auc",`, ``).Replace(evaluated),
	} {
		t.Run(name, func(t *testing.T) {
			p := parse(t, document)
			var classes []string
			if p.Label != nil {
				classes = p.Label.Classes
			}
			tables := participants(classes)
			s, report := finish(t, p, tables)
			var own [2]*local.Evaluation
			for n := range own {
				var err error
				if own[n], err = local.Evaluate(p, s, tables[n]); err != nil {
					t.Fatal(err)
				}
			}
			all, a, b := report.Metrics, own[0].Summary, own[1].Summary
			mean := func(x, y metrics.Value) float64 {
				return (x.V*float64(a.HeldOut) + y.V*float64(b.HeldOut)) / float64(all.HeldOut)
			}
			if a.HeldOut+b.HeldOut != all.HeldOut || a.Positives+b.Positives != all.Positives || a.Rows+b.Rows != all.Rows {
				t.Errorf("%+v and %+v, all %+v", a, b, all)
			}
			if math.Abs(mean(a.LogLoss, b.LogLoss)-all.LogLoss.V) > 1e-6 || math.Abs(mean(a.Accuracy, b.Accuracy)-all.Accuracy.V) > 1e-12 {
				t.Errorf("log loss %g and %g, all %g; accuracy %g and %g, all %g", a.LogLoss.V, b.LogLoss.V, all.LogLoss.V, a.Accuracy.V, b.Accuracy.V, all.Accuracy.V)
			}
			if classes != nil {
				for i, want := range s.Confusion() {
					if got := own[0].Confusion[i/3][i%3] + own[1].Confusion[i/3][i%3]; got != want {
						t.Errorf("class %d taken for %d: %d times, all %d", i/3, i%3, got, want)
					}
				}
				return
			}
			for i := range report.Scores.Positive {
				if own[0].Scores.Positive[i]+own[1].Scores.Positive[i] != report.Scores.Positive[i] || own[0].Scores.Negative[i]+own[1].Scores.Negative[i] != report.Scores.Negative[i] {
					t.Fatalf("bin %d of the scores", i)
				}
			}
			for i, g := range report.Groups {
				if got := own[0].Groups[i].Rows + own[1].Groups[i].Rows; got != g.Rows || own[0].Groups[i].Name != g.Name {
					t.Errorf("%s has %d rows, all %d", g.Name, got, g.Rows)
				}
			}
			if name == "newton" && (own[0].Groups[1].Scores == nil || own[1].Groups[1].Scores != nil || own[1].Groups[0].Scores == nil) {
				t.Errorf("FR has %d and %d rows", own[0].Groups[1].Rows, own[1].Groups[1].Rows)
			}
		})
	}
}

// Errors of predicted numbers, too, add up, in the label's unit.
func TestOwnErrorsOfNumbersAddUp(t *testing.T) {
	p := parse(t, strings.NewReplacer(`"model":{"type":"logistic_regression"`, `"label":{"min":0,"max":50},"model":{"type":"linear_regression"`, `["auc","log_loss","accuracy"]`, `["rmse","mae","r2"]`).Replace(evaluated))
	tables := participants(nil)
	for n, table := range tables {
		r := rand.New(rand.NewPCG(9, uint64(n)))
		for i := range table.Rows {
			table.Target = append(table.Target, min(table.Columns[0].Numbers[i]/3+10*r.Float64(), 50))
		}
		table.Label = nil
	}
	s, report := finish(t, p, tables)
	all, square, absolute := report.Metrics, 0.0, 0.0
	for _, table := range tables {
		e, err := local.Evaluate(p, s, table)
		if err != nil {
			t.Fatal(err)
		}
		if !e.Summary.R2.Known || !(e.Summary.R2.V > 0.5) || e.Summary.AUC.Known || e.Scores != nil {
			t.Errorf("%+v", e)
		}
		square += e.Summary.RMSE.V * e.Summary.RMSE.V * float64(e.Summary.HeldOut)
		absolute += e.Summary.MAE.V * float64(e.Summary.HeldOut)
	}
	n := float64(all.HeldOut)
	if rmse := math.Sqrt(square / n); math.Abs(rmse-all.RMSE.V) > 1e-5 || math.Abs(absolute/n-all.MAE.V) > 1e-5 || !(all.RMSE.V > 1) {
		t.Errorf("RMSE %g, MAE %g; all %+v", rmse, absolute/n, all)
	}
}

// A recommender's users are measured where they are; their sums are the job's.
func TestOwnUsersAreMeasured(t *testing.T) {
	for _, explicit := range []bool{false, true} {
		model, features, ask := `"explicit":false,"alpha":4,`, "", ""
		if explicit {
			model, ask = `"explicit":true,`, `,"rmse"`
			features = `,{"name":"age","kind":"number","min":0,"max":100,"nullable":false,"log1p":false,"standardize":false,"clip":64,"missing_indicator":false}`
		}
		var items, values []string
		for i := range 12 {
			values = append(values, fmt.Sprint("i", i))
			items = append(items, fmt.Sprintf("%q", values[i]))
		}
		p := parse(t, `{"version":1,"contributors":2,"bits":40,"max_rows":5000,"features":[{"name":"item","kind":"category","values":[`+strings.Join(items, ",")+`],"nullable":false,"missing_indicator":false,"min_count":20}`+features+`],
"model":{"type":"matrix_factorization","l2":1,"solver":"als","max_rounds":3,"tolerance":0,"factors":2,"recommendation":{`+model+`"top_k":3,"patience":0,"seed":"0"}},"evaluate":{"holdout":true,"metrics":["recall","ndcg","map","coverage"`+ask+`]}}`)
		tables := participants(nil)
		for n, table := range tables {
			r := rand.New(rand.NewPCG(3, uint64(n)))
			codes := make([]int32, table.Rows)
			for i := range codes {
				codes[i] = int32(r.IntN(6))*2 + table.User[i]%2
			}
			table.Label, table.Columns = nil, []dataset.Column{{Name: "item", Values: values, Codes: codes}, table.Columns[0]}
		}
		s, report := finish(t, p, tables)
		a, err := local.Evaluate(p, s, tables[0])
		if err != nil {
			t.Fatal(err)
		}
		b, err := local.Evaluate(p, s, tables[1])
		if err != nil {
			t.Fatal(err)
		}
		all := report.Metrics
		if a.Summary.Users+b.Summary.Users != all.Users || a.Summary.HeldOut+b.Summary.HeldOut != all.HeldOut || all.Users < 100 {
			t.Errorf("%+v and %+v, all %+v", a.Summary, b.Summary, all)
		}
		mean := func(x, y metrics.Value, n, m int64) float64 {
			return (x.V*float64(n) + y.V*float64(m)) / float64(n+m)
		}
		for _, v := range [][3]metrics.Value{{a.Summary.Recall, b.Summary.Recall, all.Recall}, {a.Summary.NDCG, b.Summary.NDCG, all.NDCG}, {a.Summary.MAP, b.Summary.MAP, all.MAP}} {
			if got := mean(v[0], v[1], a.Summary.Users, b.Summary.Users); !v[2].Known || math.Abs(got-v[2].V) > 1e-6 {
				t.Errorf("%g and %g, all %g", v[0].V, v[1].V, v[2].V)
			}
		}
		if all.RMSE.Known != explicit || a.Summary.RMSE.Known != explicit {
			t.Error("RMSE")
		}
		square := func(v metrics.Value) metrics.Value { return metrics.Value{Known: true, V: v.V * v.V} }
		if got := mean(square(a.Summary.RMSE), square(b.Summary.RMSE), a.Summary.HeldOut, b.Summary.HeldOut); explicit && math.Abs(math.Sqrt(got)-all.RMSE.V) > 1e-4 {
			t.Errorf("RMSE %g and %g, all %g", a.Summary.RMSE.V, b.Summary.RMSE.V, all.RMSE.V)
		}
	}
}

func TestUnfinishedModelsAreNotEvaluated(t *testing.T) {
	p := parse(t, evaluated)
	if _, err := local.Evaluate(p, p.Initial(), participants(nil)[0]); !errors.Is(err, linear.ErrState) {
		t.Error(err)
	}
	tables := participants(nil)
	s, _ := finish(t, p, tables)
	tables[0].HeldOut = nil
	e, err := local.Evaluate(p, s, tables[0])
	if err != nil || e.Summary.HeldOut != 0 || e.Summary.AUC.Known || e.Summary.LogLoss.Known || e.Summary.Accuracy.Known {
		t.Errorf("without held-out rows: %+v, %v", e, err)
	}
}
