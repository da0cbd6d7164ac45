// Package linear computes a participant's sums for a linear model: rows are encoded once into a block of numbers and lists of
// active indicator columns, and never densified. The sums of given rows and a given state are the same bits whatever GOMAXPROCS
// is: rows are cut into shards by their number alone, and shards are added in order.
package linear

import (
	"errors"
	"fmt"

	"tributary/models/dataset"
	"tributary/models/optim"
	"tributary/models/pipeline"
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
	memory  dataset.Memory // that the rows are in
	run     int            // rows that are passed over before they are done with
}

// rows are encoded rows in the table's order.
type rows struct {
	n      int
	units  units // of a private program
	label  []bool
	class  []int32   // in place of label, if it has several classes
	target []float64 // in place of label, if it is a number: deviations from its mean
	weight []float64 // nil: 1 each; held-out rows have none
	offset []float64 // nil: 0 each
	dense  []float64 // n × len(Design.dense): value columns
	slots  slots
	groups []int32 // of held-out rows, n × group columns: see groupsOf; nil if the program has none
}

var errUnfitted = fmt.Errorf("%w: the pipeline isn't fitted before FIT", ErrState)

// Prepare encodes a table's rows with the state's fitted pipeline. The design serves all later states of the job; that of a
// private program, which fits no pipeline, serves all states. It is kept in the table's memory.
func Prepare(p *optim.Program, s *optim.State, t *dataset.Table) (*Design, error) {
	if s.Fitted() == nil && !p.Private() {
		return nil, errUnfitted
	}
	b, err := Bind(p, t)
	if err != nil {
		return nil, err
	}
	return b.Prepare(s)
}

func newDesign(p *optim.Program, s *optim.State, m dataset.Memory) *Design {
	d := &Design{program: p, fitted: s.Fitted(), columns: len(p.Pipeline().Columns()) + 1, memory: m}
	if p.Private() {
		d.fitted = p.Plain()
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
	d.run = runSize(len(d.dense), d.slots)
	return d
}

// Serves tells whether the state has the pipeline that the design was encoded with.
func (d *Design) Serves(s *optim.State) bool {
	f := s.Fitted()
	return f == d.fitted || f != nil && f.Equal(d.fitted)
}

// Columns counts the output columns, without the intercept.
func (d *Design) Columns() int { return d.columns - 1 }

// Rows counts the encoded rows of one kind, training or held out.
func (d *Design) Rows(held bool) int { return d.kind(held).n }

func (d *Design) kind(held bool) *rows {
	if held {
		return d.held
	}
	return d.train
}

// Width is how many numbers an encoded row is, at most.
func (d *Design) Width() int { return len(d.dense) + d.slots }

// Label is an encoded row's label: one of two values, or a number in deviations from the label's mean.
type Label struct {
	Positive bool
	Number   float64
}

func (r *rows) labelOf(i int) Label {
	if r.target != nil {
		return Label{Number: r.target[i]}
	}
	return Label{Positive: r.label[i]}
}

// row appends an encoded row's columns that aren't zero, and their values, without the intercept, and tells its label.
func (d *Design) row(r *rows, i int, columns []int32, values []float64) (label Label, _ []int32, _ []float64) {
	columns, values = d.numbers(r, i, columns, values)
	columns = r.slots.row(i, columns)
	for len(values) < len(columns) {
		values = append(values, 1)
	}
	return r.labelOf(i), columns, values
}

// numbers appends a row's dense columns that aren't zero, and their values.
func (d *Design) numbers(r *rows, i int, columns []int32, values []float64) ([]int32, []float64) {
	for k, c := range d.dense {
		if v := r.dense[i*len(d.dense)+k]; v != 0 {
			columns, values = append(columns, int32(c)), append(values, v)
		}
	}
	return columns, values
}

// Each gives the encoded rows of one kind in the table's order: the label, and the columns that aren't zero with their values,
// without the intercept. Both slices are reused.
func (d *Design) Each(held bool, f func(label Label, columns []int32, values []float64)) {
	var label Label
	var columns []int32
	var values []float64
	r := d.kind(held)
	d.runs(r, 0, r.n, func(from, to int) {
		for i := from; i < to; i++ {
			label, columns, values = d.row(r, i, columns[:0], values[:0])
			f(label, columns, values)
		}
	})
}

// Batch is training rows that were copied out of a design, to be read in any order.
type Batch struct {
	design *Design
	rows   rows    // without slots
	active []int32 // × Design.slots
}

// Batch makes an empty one with room for n rows.
func (d *Design) Batch(n int) *Batch {
	b := &Batch{design: d, rows: rows{dense: make([]float64, 0, n*len(d.dense))}, active: make([]int32, 0, n*d.slots)}
	if d.program.Target != nil {
		b.rows.target = make([]float64, 0, n)
	} else {
		b.rows.label = make([]bool, 0, n)
	}
	return b
}

// Reset empties it.
func (b *Batch) Reset() {
	b.rows.label, b.rows.target, b.rows.dense, b.active = b.rows.label[:0], b.rows.target[:0], b.rows.dense[:0], b.active[:0]
}

// Add copies training rows from..to. They are numbered in the order of being added.
func (b *Batch) Add(from, to int) {
	d, r := b.design, b.design.train
	if r.target != nil {
		b.rows.target = append(b.rows.target, r.target[from:to]...)
	} else {
		b.rows.label = append(b.rows.label, r.label[from:to]...)
	}
	b.rows.dense = append(b.rows.dense, r.dense[from*len(d.dense):to*len(d.dense)]...)
	for start := from; start < to && d.slots > 0; {
		end := r.slots.end(start, to)
		at := len(b.active)
		b.active = b.active[:at+(end-start)*d.slots]
		for slot := range d.slots {
			for i, c := range r.slots.run(start, end, slot) {
				b.active[at+i*d.slots+slot] = c
			}
		}
		start = end
	}
	d.done(r, from, to)
}

// Row appends a row's columns and values, and tells its label, as Design.Each does.
func (b *Batch) Row(i int, columns []int32, values []float64) (label Label, _ []int32, _ []float64) {
	d := b.design
	columns, values = d.numbers(&b.rows, i, columns, values)
	for _, c := range b.active[i*d.slots : (i+1)*d.slots] {
		if c != none {
			columns, values = append(columns, c), append(values, 1)
		}
	}
	return b.rows.labelOf(i), columns, values
}

// runs passes over rows run by run, and is done with each behind it.
func (d *Design) runs(r *rows, from, to int, f func(from, to int)) {
	for from < to {
		end := r.slots.end(from, to)
		f(from, end)
		d.done(r, from, end)
		from = end
	}
}

// blocks passes over rows of few rows each, which are of one run.
func (d *Design) blocks(r *rows, from, to int, f func(from, to int)) {
	d.runs(r, from, to, func(from, to int) {
		for at := from; at < to; at += blockRows {
			f(at, min(at+blockRows, to))
		}
	})
}

// done is done with some rows.
func (d *Design) done(r *rows, from, to int) {
	if d.memory == nil {
		return
	}
	k := len(d.dense)
	dataset.Done(d.memory, r.dense[from*k:to*k])
	if from == 0 && to == r.n { // the runs lie one after another
		dataset.Done(d.memory, r.slots.columns)
	} else {
		r.slots.visit(from, to, func(_ int, columns []int32) { dataset.Done(d.memory, columns) })
	}
	for _, numbers := range [][]float64{r.weight, r.offset, r.target} {
		if numbers != nil {
			dataset.Done(d.memory, numbers[from:to])
		}
	}
	if r.label != nil {
		dataset.Done(d.memory, r.label[from:to])
	}
	if r.class != nil {
		dataset.Done(d.memory, r.class[from:to])
	}
	if r.groups != nil {
		each := len(r.groups) / r.n
		dataset.Done(d.memory, r.groups[from*each:to*each])
	}
}
