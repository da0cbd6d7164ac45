package linear

import (
	"fmt"
	"runtime"
	"slices"

	"tributary/models/dataset"
	"tributary/models/optim"
	"tributary/models/pipeline/fit"
)

// Bound is a table that was found to be what a program's rounds are made of. Every row is checked, once; the table must not change
// afterwards.
type Bound struct {
	program *optim.Program
	table   *dataset.Table
	columns []*dataset.Column // of the pipeline's features
	groups  []*dataset.Column // of the program's groups
	numbers rowNumbers
	held    int // rows
}

// Bind checks a table for a program. Errors wrap fit.ErrTable.
func Bind(p *optim.Program, t *dataset.Table) (*Bound, error) {
	if int64(t.Rows) > p.MaxRows {
		return nil, fmt.Errorf("%w: %d rows, the contract allows %d\nhint: raise max_rows in the contract", fit.ErrTable, t.Rows, p.MaxRows)
	}
	columns, err := bind(p, t)
	if err != nil {
		return nil, err
	}
	b := &Bound{program: p, table: t, columns: columns}
	for _, held := range dataset.Runs(t.Memory, t.HeldOut) {
		for _, h := range held {
			if h {
				b.held++
			}
		}
	}
	if b.held > 0 && !p.Evaluate.HoldOut {
		return nil, fmt.Errorf("%w: %d held-out rows in a job without hold-out", fit.ErrTable, b.held)
	}
	if p.Groups() != nil {
		if b.groups, err = fit.Columns(p.Groups(), t); err != nil {
			return nil, err
		}
	}
	b.numbers, err = bindNumbers(p, t)
	return b, err
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
	return columns, bindTarget(p, t)
}

// Fit gives a participant's values for the FIT round of an exact program: see Sums.
func (b *Bound) Fit() ([][]float64, error) {
	if b.program.Private() {
		return nil, errPrivate
	}
	totals := fit.Totals(b.program.Pipeline(), b.table, b.columns)
	totals.Groups = b.countGroups()
	if p := b.program; p.Target != nil {
		totals.LabelSum, totals.LabelSquare = fit.Target(b.table, p.Target.Unit)
	}
	runtime.KeepAlive(b)
	return b.program.EncodeFit(totals), nil
}

// Prepare is the function of that name over a table that was bound.
func (b *Bound) Prepare(s *optim.State) (*Design, error) {
	if s.Fitted() == nil && !b.program.Private() {
		return nil, errUnfitted
	}
	p, t := b.program, b.table
	d := newDesign(p, s, t.Memory)
	train, held := d.encoder(b.columns, t, b.numbers, t.Rows-b.held), d.encoder(b.columns, t, rowNumbers{offset: b.numbers.offset}, b.held)
	held.unweighted = true // what is measured isn't weighted
	held.group(p, b.groups)
	d.encode(t, train, held)
	var err error
	if d.train, err = train.freeze(); err != nil {
		return nil, err
	}
	if d.held, err = held.freeze(); err != nil || !p.Private() {
		return d, err
	}
	unit := p.Privacy().Unit
	if d.train.units, err = unitsOf(unit, t, d.train.n, func(i int) bool { return !t.Held(i) }); err == nil {
		d.held.units, err = unitsOf(unit, t, d.held.n, t.Held)
	}
	return d, err
}
