package main

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"

	"tributary/models/dataset"
	"tributary/models/linear"
	"tributary/models/optim"
)

const (
	numbers    = 100
	categories = 40
	values     = 6553 // a category; with its "other" 262,160 columns: 2^18 and few more
	l2         = 1.0
)

// dense is logistic regression on numbers.
func dense(dir string, rows int) (*task, error) {
	r := rand.New(rand.NewPCG(1, 2))
	table, margin := &dataset.Table{Rows: rows}, make([]float64, rows)
	var features []map[string]any
	for c := range numbers {
		name, weight := fmt.Sprintf("x%d", c), 0.3*r.NormFloat64()
		column := dataset.Column{Name: name, Numbers: make([]float64, rows)}
		for i := range column.Numbers {
			v := min(max(r.NormFloat64(), -8), 8)
			column.Numbers[i], margin[i] = v, margin[i]+weight*v
		}
		table.Columns = append(table.Columns, column)
		features = append(features, map[string]any{"name": name, "kind": "number", "min": -8, "max": 8, "nullable": false, "log1p": false, "standardize": true, "clip": 64, "missing_indicator": false})
	}
	title := fmt.Sprintf("Logistic regression, %d rows × %d numbers, to within %g of the least objective:", rows, numbers, within)
	return regression(dir, title, label(table, margin, r), features, []string{optim.Newton, optim.LBFGS})
}

// sparse is logistic regression on one-hot categories.
func sparse(dir string, rows int) (*task, error) {
	r := rand.New(rand.NewPCG(3, 4))
	table, margin := &dataset.Table{Rows: rows}, make([]float64, rows)
	var listed []string
	for v := range values {
		listed = append(listed, fmt.Sprint(v))
	}
	var features []map[string]any
	for c := range categories {
		name, weights := fmt.Sprintf("c%d", c), make([]float64, values)
		for v := range weights {
			weights[v] = 0.3 * r.NormFloat64()
		}
		column := dataset.Column{Name: name, Values: listed, Codes: make([]int32, rows)}
		for i := range column.Codes {
			u := r.Float64()
			code := int(u * u * values) // some are common, most are rare
			column.Codes[i], margin[i] = int32(code), margin[i]+weights[code]
		}
		table.Columns = append(table.Columns, column)
		features = append(features, map[string]any{"name": name, "kind": "category", "values": listed, "nullable": false, "missing_indicator": false, "min_count": 0})
	}
	title := fmt.Sprintf("Logistic regression, %d rows × %d categories of %d values, one-hot, to within %g of the least objective:", rows, categories, values, within)
	return regression(dir, title, label(table, margin, r), features, []string{optim.LBFGS})
}

func label(t *dataset.Table, margin []float64, r *rand.Rand) *dataset.Table {
	for _, m := range margin {
		t.Label = append(t.Label, r.Float64() < 1/(1+math.Exp(-m)))
	}
	return t
}

// regression writes the encoded rows for others, and looks for the least objective: that of our own solver, run on.
func regression(dir, title string, table *dataset.Table, features []map[string]any, solvers []string) (*task, error) {
	t := &task{title: title, seconds: "solve, s"}
	programs := map[string]*optim.Program{}
	for _, solver := range solvers {
		p, err := program(table.Rows, features, map[string]any{"type": optim.LogisticRegression, "l2": l2, "solver": solver, "max_rounds": 500, "tolerance": 1e-9})
		if err != nil {
			return nil, err
		}
		programs[solver] = p
	}
	exact, err := prepare(programs[solvers[0]], table)
	if err != nil {
		return nil, err
	}
	if err := writeRows(dir, exact.design); err != nil {
		return nil, err
	}
	best, err := exact.solve(0)
	if err != nil {
		return nil, err
	}
	t.ours = func() ([]fit, error) {
		var out []fit
		for _, solver := range solvers {
			start := processor()
			j, err := prepare(programs[solver], table)
			if err != nil {
				return nil, err
			}
			seconds := processor() - start
			f, err := j.solve(best.Objective * (1 + within))
			if err != nil {
				return nil, err
			}
			f.Tool, f.Prepare, f.preparable = "tributary "+solver, seconds, true
			out = append(out, f)
		}
		return out, nil
	}
	name := "sparse"
	if table.Columns[0].Codes == nil {
		name = "dense"
	}
	t.ask = map[string]any{"task": name, "dir": dir, "rows": table.Rows, "columns": exact.design.Columns(), "active": len(features), "l2": l2, "best": best.Objective, "within": within}
	return t, nil
}

func program(rows int, features []map[string]any, model map[string]any) (*optim.Program, error) {
	evaluate := map[string]any{"holdout": false, "metrics": []string{"log_loss"}}
	if model["type"] == optim.MatrixFactorization {
		evaluate["metrics"] = []string{}
	}
	if model["type"] == optim.FactorizationMachine {
		evaluate["holdout"] = true
	}
	doc, err := json.Marshal(map[string]any{"version": 1, "contributors": 1, "bits": 40, "max_rows": rows, "features": features, "model": model, "evaluate": evaluate})
	if err != nil {
		return nil, err
	}
	return optim.ParseProgram(doc)
}

// job is a job of one participant in one process, without the seal.
type job struct {
	program *optim.Program
	design  *linear.Design
	state   *optim.State // after FIT
}

// prepare is the check of the rows, FIT, and their encoding.
func prepare(p *optim.Program, table *dataset.Table) (*job, error) {
	b, err := linear.Bind(p, table)
	if err != nil {
		return nil, err
	}
	sums, err := b.Fit()
	if err != nil {
		return nil, err
	}
	s, _, err := p.Apply(p.Initial(), sums)
	if err != nil {
		return nil, err
	}
	d, err := b.Prepare(s)
	return &job{p, d, s}, err
}

// solve trains until the objective is low enough, or the job converges. The round that only finds that out isn't counted.
func (j *job) solve(enough float64) (fit, error) {
	start, s := processor(), j.state
	for passes := 0; ; passes++ {
		seconds := processor() - start
		sums, err := j.design.Sums(s)
		if err != nil {
			return fit{}, err
		}
		next, report, err := j.program.Apply(s, sums)
		if err != nil {
			return fit{}, err
		}
		if report.Objective <= enough || next.Kind() != optim.Train {
			return fit{Seconds: seconds, Passes: passes, Objective: report.Objective}, nil
		}
		s = next
	}
}
