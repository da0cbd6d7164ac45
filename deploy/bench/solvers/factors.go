package main

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"

	"tributary/models/dataset"
	"tributary/models/local"
	"tributary/models/optim"
)

const (
	items     = 2000
	length    = 32 // of a factor
	sweeps    = 5
	alpha     = 5.0
	perUser   = 50
	groups    = 10
	factorsL2 = 1.0
)

// factors is implicit alternating least squares. Users take mostly items of a group of their own.
func factors(dir string, rows int) (*task, error) {
	r := rand.New(rand.NewPCG(5, 6))
	table := &dataset.Table{Rows: rows}
	item := dataset.Column{Name: "item"}
	for i := range items {
		item.Values = append(item.Values, fmt.Sprint(i))
	}
	for i := range rows {
		user, u := i/perUser, r.Float64()
		code := int(u * u * items)
		if r.Float64() < 0.7 {
			code = code/groups*groups + user%groups
		}
		item.Codes, table.User = append(item.Codes, int32(code)), append(table.User, int32(user))
	}
	table.Columns = []dataset.Column{item}
	p, err := program(rows, []map[string]any{{"name": "item", "kind": "category", "values": item.Values, "nullable": false, "missing_indicator": false, "min_count": 1}},
		map[string]any{"type": optim.MatrixFactorization, "l2": factorsL2, "solver": optim.ALS, "max_rounds": sweeps + 1, "tolerance": 0, "factors": length,
			"recommendation": map[string]any{"explicit": false, "alpha": alpha, "top_k": 10, "patience": 0, "seed": "3"}})
	if err != nil {
		return nil, err
	}
	if err := writePairs(dir, table); err != nil {
		return nil, err
	}
	t := &task{
		title:   fmt.Sprintf("Implicit ALS, %d rows of %d users and %d items, %d factors, %d sweeps from the same start:", rows, int(table.User[rows-1])+1, items, length, sweeps),
		seconds: "a sweep, s",
		ask: map[string]any{"task": "als", "dir": dir, "users": int(table.User[rows-1]) + 1, "items": items, "length": length, "alpha": alpha,
			"most": optim.MaxConfidence, "l2": factorsL2, "sweeps": sweeps},
	}
	t.ours = func() ([]fit, error) {
		f, err := alternate(dir, p, table)
		return []fit{f}, err
	}
	return t, nil
}

// alternate writes the items' factors before the first sweep, and measures the sweeps. The round after them tells the objective.
func alternate(dir string, p *optim.Program, table *dataset.Table) (fit, error) {
	start := processor()
	rounds, err := local.New(p, table)
	if err != nil {
		return fit{}, err
	}
	step := func(s *optim.State) (*optim.State, float64, error) {
		sums, err := rounds.Sums(s)
		if err != nil {
			return nil, 0, err
		}
		next, report, err := p.Apply(s, sums)
		return next, report.Objective, err
	}
	s, _, err := step(p.Initial())
	if err != nil {
		return fit{}, err
	}
	out := fit{Tool: "tributary als", Prepare: processor() - start, preparable: true, Passes: sweeps}
	if err := writeNumbers(filepath.Join(dir, "start"), s.Coefficients()); err != nil {
		return fit{}, err
	}
	start = processor()
	for range sweeps {
		if s, _, err = step(s); err != nil {
			return fit{}, err
		}
	}
	out.Seconds = (processor() - start) / sweeps
	_, out.Objective, err = step(s)
	return out, err
}
