package linear

import (
	"fmt"
	"math"

	"tributary/models/dataset"
	"tributary/models/optim"
	"tributary/models/pipeline/fit"
)

// rowNumbers are what a program's weighting needs of a table's rows: their own weights and their offsets; nil where there is none.
type rowNumbers struct{ weight, offset []float64 }

// bindNumbers finds the columns of weights and offsets, and holds them to their declared ranges. Training rows that all weigh
// nothing are an error.
func bindNumbers(p *optim.Program, t *dataset.Table) (out rowNumbers, err error) {
	w := p.Weighting
	if w == nil {
		return out, nil
	}
	if out.weight, err = numbers(t, w.Weight, "weight"); err != nil {
		return out, err
	}
	if out.offset, err = numbers(t, w.Offset, "offset"); err != nil {
		return out, err
	}
	train, heavy := 0, false
	for from, weights := range dataset.Runs(t.Memory, out.weight) {
		for i, v := range weights {
			if !t.Held(from + i) {
				train++
				heavy = heavy || v > 0
			}
		}
		t.Done(from, from+len(weights))
	}
	if train > 0 && !heavy {
		return out, fmt.Errorf("%w: column %q: all %d training rows have weight 0\nhint: check the column, or leave the participant out", fit.ErrTable, w.Weight.Name, train)
	}
	return out, nil
}

// bindOffset is bindNumbers for scoring, which weighs nothing.
func bindOffset(p *optim.Program, t *dataset.Table) (out rowNumbers, err error) {
	if p.Weighting != nil {
		out.offset, err = numbers(t, p.Weighting.Offset, "offset")
	}
	return out, err
}

func numbers(t *dataset.Table, r *optim.NumberRange, what string) ([]float64, error) {
	if r == nil {
		return nil, nil
	}
	c, ok := t.Column(r.Name)
	if !ok || c.Numbers == nil {
		return nil, fmt.Errorf("%w: no column %q of numbers, the rows' %s\nhint: add it to the binding's columns", fit.ErrTable, r.Name, what)
	}
	for from, values := range dataset.Runs(t.Memory, c.Numbers) {
		for i, v := range values {
			if math.IsNaN(v) {
				return nil, fmt.Errorf("%w: column %q: row %d: the %s is missing\nhint: fill or filter such rows", fit.ErrTable, r.Name, from+i+1, what)
			}
			if !(v >= r.Min && v <= r.Max) {
				return nil, fmt.Errorf("%w: column %q: row %d: a number outside %g..%g\nhint: widen the contract's range, or let the contract clip", fit.ErrTable, r.Name, from+i+1, r.Min, r.Max)
			}
		}
	}
	return c.Numbers, nil
}

// weigh gives the block's rows their offsets and weights, those of their classes counted in.
func (e *encoder) weigh() {
	w := e.program.Weighting
	if w == nil {
		return
	}
	if e.numbers.offset != nil {
		for _, i := range e.kept {
			e.to.offset.Append(e.numbers.offset[i])
		}
	}
	if e.unweighted || e.numbers.weight == nil && w.Classes == nil {
		return
	}
	for _, i := range e.kept {
		own, class := 1.0, 0
		if e.numbers.weight != nil {
			own = e.numbers.weight[i]
		}
		switch {
		case e.table.Class != nil:
			class = int(e.table.Class[i])
		case e.table.Target != nil:
		case e.table.Label[i]:
			class = 1
		}
		e.to.weight.Append(w.RowWeight(own, class))
	}
}

// weightOf is a row's weight.
func (r *rows) weightOf(i int) float64 {
	if r.weight == nil {
		return 1
	}
	return r.weight[i]
}
