// Package linear computes a participant's sums for a linear model: rows are encoded once into a block of numbers and lists of
// active indicator columns, and never densified. The sums of given rows and a given state are the same bits whatever GOMAXPROCS
// is: rows are cut into shards by their number alone, and shards are added in order.
package linear

import (
	"errors"
	"fmt"
	"slices"

	"tributary/models/dataset"
	"tributary/models/optim"
	"tributary/models/pipeline"
	"tributary/models/pipeline/fit"
)

// ErrState is returned for a state that a design can't serve.
var ErrState = errors.New("state doesn't fit the rows' encoding")

// Design is a table encoded for one fitted pipeline. It is immutable.
type Design struct {
	program *optim.Program
	fitted  *pipeline.Fitted
	columns int // output columns with the intercept
	dense   []int
	slots   int
	train   *rows
	held    *rows
	groups  []int32 // held-out rows × group columns: see groupsOf
}

// rows are encoded rows in the table's order.
type rows struct {
	n      int
	units  units // of a private program
	label  []bool
	class  []int32   // in place of label, if it has several classes
	weight []float64 // nil: 1 each; held-out rows have none
	offset []float64 // nil: 0 each
	dense  []float64 // n × len(Design.dense): value columns
	slots  slots
}

// Prepare encodes a table's rows with the state's fitted pipeline. The design serves all later states of the job; that of a
// private program, which fits no pipeline, serves all states.
func Prepare(p *optim.Program, s *optim.State, t *dataset.Table) (*Design, error) {
	if s.Fitted() == nil && !p.Private() {
		return nil, fmt.Errorf("%w: the pipeline isn't fitted before FIT", ErrState)
	}
	columns, err := bind(p, t)
	if err != nil {
		return nil, err
	}
	d := newDesign(p, s)
	held := 0
	for i := range t.Rows {
		if t.Held(i) {
			held++
		}
	}
	if held > 0 && !p.Evaluate.HoldOut {
		return nil, fmt.Errorf("%w: %d held-out rows in a job without hold-out", fit.ErrTable, held)
	}
	if int64(t.Rows) > p.MaxRows {
		return nil, fmt.Errorf("%w: %d rows, the contract allows %d\nhint: raise max_rows in the contract", fit.ErrTable, t.Rows, p.MaxRows)
	}
	numbers, err := bindNumbers(p, t)
	if err != nil {
		return nil, err
	}
	training := func(i int) bool { return !t.Held(i) }
	d.train, d.held = d.encode(columns, t, numbers, t.Rows-held, training), d.encode(columns, t, numbers, held, t.Held)
	d.held.weight = nil // what is measured isn't weighted
	if p.Private() {
		unit := p.Privacy().Unit
		if d.train.units, err = unitsOf(unit, t, d.train.n, training); err == nil {
			d.held.units, err = unitsOf(unit, t, d.held.n, t.Held)
		}
		return d, err
	}
	d.groups, err = groupsOf(p, t)
	return d, err
}

// bind is fit.Bind, and checks that the label has the program's classes.
func bind(p *optim.Program, t *dataset.Table) ([]*dataset.Column, error) {
	columns, err := fit.Bind(p.Pipeline(), t)
	if err != nil {
		return nil, err
	}
	var want []string
	if p.Label != nil {
		want = p.Label.Classes
	}
	if !slices.Equal(t.Classes, want) {
		return nil, fmt.Errorf("%w: the label's classes are %q, the job has %q\nhint: the contract differs from the job's", fit.ErrTable, t.Classes, want)
	}
	return columns, nil
}

func newDesign(p *optim.Program, s *optim.State) *Design {
	d := &Design{program: p, fitted: s.Fitted(), columns: len(p.Pipeline().Columns()) + 1}
	if p.Private() {
		d.fitted = p.Pipeline().Plain()
	}
	for i, c := range p.Pipeline().Columns() {
		if c.Role == pipeline.ValueRole {
			d.dense = append(d.dense, i)
		}
	}
	for _, f := range p.Pipeline().Features() {
		if f.Kind == pipeline.Category || f.MissingIndicator {
			d.slots++
		}
	}
	return d
}

// encode takes the n rows for which keep holds.
func (d *Design) encode(columns []*dataset.Column, t *dataset.Table, numbers rowNumbers, n int, keep func(int) bool) *rows {
	out := &rows{n: n, dense: make([]float64, n*len(d.dense)), slots: newSlots(n, d.slots)}
	kept := make([]int, 0, n)
	for i := range t.Rows {
		if keep(i) {
			kept = append(kept, i)
			if t.Class != nil {
				out.class = append(out.class, t.Class[i])
			} else {
				out.label = append(out.label, t.Label[i])
			}
		}
	}
	d.weigh(out, kept, numbers)
	active := make([][]int, len(columns)) // by category
	for feature, c := range columns {
		if c.Codes != nil {
			active[feature] = d.program.Pipeline().CategoryColumns(d.fitted, feature)
		}
	}
	// Column after column, but few rows at a time: what is written lies row after row, and stays in the cache meanwhile.
	for from := 0; from < n; from += blockRows {
		d.encodeBlock(out, columns, active, kept[from:min(from+blockRows, n)], from) // of one run
	}
	return out
}

// encodeBlock encodes the kept rows as those that begin with row from.
func (d *Design) encodeBlock(out *rows, columns []*dataset.Column, active [][]int, kept []int, from int) {
	spec := d.program.Pipeline()
	dense := out.dense[from*len(d.dense):]
	value, slot := 0, 0
	for feature, c := range columns {
		if c.Codes != nil {
			slots := out.slots.run(from, from+len(kept), slot)
			for at, i := range kept {
				slots[at] = int32(active[feature][c.Codes[i]+1])
			}
			slot++
			continue
		}
		for at, i := range kept {
			dense[at*len(d.dense)+value] = spec.Number(d.fitted, feature, c.Numbers[i])
		}
		value++
		missing := spec.MissingColumn(feature)
		if missing < 0 {
			continue
		}
		slots := out.slots.run(from, from+len(kept), slot)
		for at, i := range kept {
			indicator := none
			if c.Numbers[i] != c.Numbers[i] && !d.fitted.Folded[missing] {
				indicator = int32(missing)
			}
			slots[at] = indicator
		}
		slot++
	}
}

// Serves tells whether the state has the pipeline that the design was encoded with.
func (d *Design) Serves(s *optim.State) bool {
	f := s.Fitted()
	return f == d.fitted || f != nil && f.Equal(d.fitted)
}

// Columns counts the output columns, without the intercept.
func (d *Design) Columns() int { return d.columns - 1 }

// Each gives the encoded rows of one kind, training or held out, in the table's order: the label, and the columns that aren't
// zero with their values, without the intercept. Both slices are reused.
func (d *Design) Each(held bool, f func(positive bool, columns []int32, values []float64)) {
	r := d.train
	if held {
		r = d.held
	}
	var columns, active []int32
	var values []float64
	for i := range r.n {
		columns, values = columns[:0], values[:0]
		for k, c := range d.dense {
			if v := r.dense[i*len(d.dense)+k]; v != 0 {
				columns, values = append(columns, int32(c)), append(values, v)
			}
		}
		active = r.slots.row(i, active[:0])
		for _, c := range active {
			columns, values = append(columns, c), append(values, 1)
		}
		f(r.label[i], columns, values)
	}
}
