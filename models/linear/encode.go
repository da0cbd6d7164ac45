package linear

import (
	"errors"

	"tributary/models/dataset"
	"tributary/models/optim"
)

// encoder encodes rows of a table one after another: those of training, those held out, or all.
type encoder struct {
	*Design
	table      *dataset.Table
	columns    []*dataset.Column
	active     [][]int // by category, the column of each code
	groupOf    [][]int // by group column, the group of each code
	groups     []*dataset.Column
	numbers    rowNumbers
	unweighted bool

	// A block of rows: column after column, but few rows at a time, what is written lies row after row, and stays in the cache
	// meanwhile.
	kept  []int // numbers of the table's rows
	dense []float64
	slots []int32 // of a run, a slot after another
	runs  int     // rows of the run that are encoded

	out *rows
	to  arrays
}

// arrays are rows that are being written.
type arrays struct {
	label          *dataset.Builder[bool]
	class          *dataset.Builder[int32]
	target         *dataset.Builder[float64]
	weight, offset *dataset.Builder[float64]
	dense          *dataset.Builder[float64]
	slots, groups  *dataset.Builder[int32]
}

// encoder begins n rows.
func (d *Design) encoder(columns []*dataset.Column, t *dataset.Table, numbers rowNumbers, n int) *encoder {
	m, k := t.Memory, len(d.dense)
	e := &encoder{Design: d, table: t, columns: columns, numbers: numbers, active: make([][]int, len(columns)), out: &rows{n: n}}
	e.kept, e.dense, e.slots = make([]int, 0, blockRows), make([]float64, blockRows*k), make([]int32, d.run*d.slots)
	for feature, c := range columns {
		if c.Codes != nil && !d.sketchDesign() {
			e.active[feature] = d.program.Pipeline().CategoryColumns(d.fitted, feature)
		}
	}
	e.to.dense, e.to.slots = dataset.Build[float64](m, n*k).Grow(n*k), dataset.Build[int32](m, n*d.slots).Grow(n*d.slots)
	switch {
	case d.sketchDesign(): // rows are counted whatever their labels are, and nothing says yet how a number is scaled
	case t.Class != nil:
		e.to.class = dataset.Build[int32](m, n).Grow(n)
	case d.program.Target != nil:
		e.to.target = dataset.Build[float64](m, n).Grow(n)
	default:
		e.to.label = dataset.Build[bool](m, n).Grow(n)
	}
	e.to.weight, e.to.offset = dataset.Build[float64](m, n), dataset.Build[float64](m, n)
	return e
}

// group makes the encoder keep each row's groups, too.
func (e *encoder) group(p *optim.Program, columns []*dataset.Column) {
	if columns == nil {
		return
	}
	e.groups, e.groupOf = columns, groupsOf(p)
	e.to.groups = dataset.Build[int32](e.table.Memory, e.out.n*len(columns)).Grow(e.out.n * len(columns))
}

// encode gives each row of a table to one of two encoders.
func (d *Design) encode(t *dataset.Table, train, held *encoder) {
	done := 0
	for i := range t.Rows {
		e := train
		if t.Held(i) {
			e = held
		}
		if e.kept = append(e.kept, i); len(e.kept) == min(blockRows, d.run-e.runs) {
			e.flush()
		}
		if i-done >= d.run || i == t.Rows-1 {
			train.flush()
			held.flush()
			for _, e := range []*encoder{train, held} {
				e.done(done, i+1)
			}
			done = i + 1
		}
	}
}

// done is done with rows of the table.
func (e *encoder) done(from, to int) {
	e.table.Done(from, to)
	for _, c := range e.columns {
		c.Done(e.memory, from, to)
	}
	for _, c := range e.groups {
		c.Done(e.memory, from, to)
	}
	for _, numbers := range [][]float64{e.numbers.weight, e.numbers.offset} {
		if numbers != nil {
			dataset.Done(e.memory, numbers[from:to])
		}
	}
}

// flush encodes the block.
func (e *encoder) flush() {
	n, k := len(e.kept), len(e.Design.dense)
	if n == 0 {
		return
	}
	e.block()
	e.to.dense.Append(e.dense[:n*k]...)
	if e.runs += n; e.runs == e.run {
		e.endRun()
	}
	for _, i := range e.kept {
		switch {
		case e.to.class != nil:
			e.to.class.Append(e.table.Class[i])
		case e.to.target != nil:
			e.to.target.Append(e.program.Standardised(e.fitted, e.table.Target[i]))
		case e.to.label != nil:
			e.to.label.Append(e.table.Label[i])
		}
		for feature, c := range e.groups {
			e.to.groups.Append(int32(e.groupOf[feature][c.Codes[i]+1]))
		}
	}
	e.weigh()
	e.kept = e.kept[:0]
}

// endRun writes the run's slots.
func (e *encoder) endRun() {
	for slot := range e.Design.slots {
		e.to.slots.Append(e.slots[slot*e.run:][:e.runs]...)
	}
	e.runs = 0
}

// block encodes the block's features.
func (e *encoder) block() {
	if e.sketchDesign() {
		e.sketchBlock()
		return
	}
	spec, k := e.program.Pipeline(), len(e.Design.dense)
	value, slot := 0, 0
	for feature, c := range e.columns {
		if c.Codes != nil {
			for at, i := range e.kept {
				e.slots[slot*e.run+e.runs+at] = int32(e.active[feature][c.Codes[i]+1])
			}
			slot++
			continue
		}
		for at, i := range e.kept {
			e.dense[at*k+value] = spec.Number(e.fitted, feature, c.Numbers[i])
		}
		value++
		missing := spec.MissingColumn(feature)
		if missing < 0 {
			continue
		}
		for at, i := range e.kept {
			indicator := none
			if c.Numbers[i] != c.Numbers[i] && !e.fitted.Folded[missing] {
				indicator = int32(missing)
			}
			e.slots[slot*e.run+e.runs+at] = indicator
		}
		slot++
	}
}

// freeze ends the rows.
func (e *encoder) freeze() (*rows, error) {
	r := e.out
	e.endRun()
	r.slots = slots{rows: r.n, each: e.Design.slots, size: e.run}
	err := errors.Join(
		freeze(&r.dense, e.to.dense), freeze(&r.slots.columns, e.to.slots), freeze(&r.groups, e.to.groups),
		freeze(&r.label, e.to.label), freeze(&r.class, e.to.class), freeze(&r.target, e.to.target),
		freeze(&r.weight, e.to.weight), freeze(&r.offset, e.to.offset),
	)
	return r, err
}

// freeze ends an array; one that nothing was added to stays nil.
func freeze[T dataset.Value](to *[]T, b *dataset.Builder[T]) error {
	if b == nil {
		return nil
	}
	values, err := b.Freeze()
	if len(values) > 0 {
		*to = values
	}
	return err
}
