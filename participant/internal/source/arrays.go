package source

import (
	"errors"

	"tributary/models/dataset"
	"tributary/protocol/jobspec"
)

// arrays are the rows' columns while they are read.
type arrays struct {
	contract *jobspec.Contract
	labels   *dataset.Builder[bool]
	classes  *dataset.Builder[int32]
	targets  *dataset.Builder[float64]
	tenths   *dataset.Builder[uint8]
	users    *dataset.Builder[int32]    // of a contract without a label
	ids      *dataset.Builder[[16]byte] // of any other
	// By the contract's column; one of both is nil.
	numbers []*dataset.Builder[float64]
	codes   []*dataset.Builder[int32]
}

// newArrays begins arrays of at most so many rows.
func newArrays(m dataset.Memory, c *jobspec.Contract, rows int) *arrays {
	a := &arrays{contract: c, tenths: dataset.Build[uint8](m, rows)}
	switch {
	case !c.HasLabel():
		a.users = dataset.Build[int32](m, rows)
	case c.Label.Classes != nil:
		a.classes = dataset.Build[int32](m, rows)
	case c.Label.NumberLabel != nil:
		a.targets = dataset.Build[float64](m, rows)
	default:
		a.labels = dataset.Build[bool](m, rows)
	}
	if c.HasLabel() {
		a.ids = dataset.Build[[16]byte](m, rows)
	}
	a.numbers, a.codes = make([]*dataset.Builder[float64], len(c.Columns)), make([]*dataset.Builder[int32], len(c.Columns))
	for i := range c.Columns {
		if c.Columns[i].Kind == jobspec.Number || c.Columns[i].Kind == jobspec.Date {
			a.numbers[i] = dataset.Build[float64](m, rows)
		} else {
			a.codes[i] = dataset.Build[int32](m, rows)
		}
	}
	return a
}

// label adds a row's label: an index into the contract's values.
func (a *arrays) label(label int32) {
	if a.classes != nil {
		a.classes.Append(label)
		return
	}
	a.labels.Append(label == 1)
}

// err tells early that the rows can't be kept.
func (a *arrays) err() error {
	for i := range a.numbers {
		if n := a.numbers[i]; n != nil && n.Err() != nil {
			return n.Err()
		}
		if c := a.codes[i]; c != nil && c.Err() != nil {
			return c.Err()
		}
	}
	return nil
}

// freeze ends the arrays and gives them to the rows.
func (a *arrays) freeze(r *Rows) error {
	errs := []error{freeze(&r.tenths, a.tenths), freeze(&r.label, a.labels), freeze(&r.class, a.classes), freeze(&r.target, a.targets), freeze(&r.users, a.users), freeze(&r.ids, a.ids)}
	r.splits = map[string][]int32{}
	for i := range a.contract.Columns {
		switch c := &a.contract.Columns[i]; c.Kind {
		case jobspec.Number, jobspec.Date:
			column := dataset.Column{Name: c.Name}
			errs = append(errs, freeze(&column.Numbers, a.numbers[i]))
			r.columns = append(r.columns, column)
		case jobspec.Category:
			column := dataset.Column{Name: c.Name, Values: c.Values, Buckets: int(c.Buckets)}
			errs = append(errs, freeze(&column.Codes, a.codes[i]))
			r.columns = append(r.columns, column)
		case jobspec.Split:
			var codes []int32
			errs = append(errs, freeze(&codes, a.codes[i]))
			r.splits[c.Name] = codes
		}
	}
	return errors.Join(errs...)
}

func freeze[T dataset.Value](to *[]T, b *dataset.Builder[T]) (err error) {
	if b != nil {
		*to, err = b.Freeze()
	}
	return err
}
