package source

import (
	"fmt"
	"slices"

	"tributary/models/dataset"
	"tributary/protocol/jobspec"
)

// Rows are a source's frozen rows in the order of the file. They don't change;
// every method may be called concurrently.
type Rows struct {
	// Digest is SHA-256 over the contract's digest and, row by row in order, the
	// label (or, in a contract without one, whose the row is), the tenth and every
	// mapped value, splits included. It depends on the
	// source's secret (through the tenths) and on no job. It is a fingerprint of
	// private rows and stays with the participant.
	// Where rows are customers, it covers how they were made, too.
	Digest [32]byte

	// Transactions counts what the rows were made of; nil if they are the file's own.
	Transactions *Transactions

	contract *jobspec.Contract
	columns  []dataset.Column
	label    []bool             // nil: the contract has none, or has classes or a number
	class    []int32            // in place of label, if the contract has classes
	target   []float64          // in place of label, if it is a number
	tenths   []uint8            // 0 to 9, by the secret and the row's key
	users    []int32            // numbered by key
	splits   map[string][]int32 // by column, index into its values

	// Of a contract without a label.
	keys   []string // by number
	secret [32]byte
}

// Count returns the number of rows.
func (r *Rows) Count() int { return len(r.tenths) }

// Users returns the keys that a table's users stand for, by their number; nil
// where the contract has a label. They are to be read only.
func (r *Rows) Users() []string { return r.keys }

// PairTable is Table for a job that recommends the values of a category to users:
// tenths are of pairs of a user and an item, so that most users have some of their
// items held out, and all rows of a pair are alike.
func (r *Rows) PairTable(h jobspec.Holdout, item string) (*dataset.Table, error) {
	t, err := r.Table(h)
	if err != nil || h.Tenths == 0 {
		return t, err
	}
	column, ok := t.Column(item)
	if !ok || column.Codes == nil || r.contract.HasLabel() {
		return nil, fmt.Errorf("contract %s has no items in %s, or no users", r.contract.ID(), show(item))
	}
	folds := newFolds(r.secret)
	for i, code := range column.Codes {
		value := "" // missing or unlisted: no job learns from it
		if code >= 0 && int(code) < len(column.Values) {
			value = column.Values[code]
		}
		t.HeldOut[i] = int(folds.tenth(r.keys[r.users[i]], value)) < h.Tenths
	}
	return t, nil
}

// add appends a row's label: an index into the contract's values.
func (r *Rows) add(label int32) {
	if r.contract.Label.Classes != nil {
		r.class = append(r.class, label)
		return
	}
	r.label = append(r.label, label == 1)
}

// Table returns one job's table. It shares the rows' memory: it is to be read
// only. The error says why the contract has no such hold-out.
func (r *Rows) Table(h jobspec.Holdout) (*dataset.Table, error) {
	t := &dataset.Table{Rows: r.Count(), Columns: r.columns, Label: r.label, Class: r.class, Target: r.target, Classes: r.contract.Label.Classes, User: r.users}
	switch {
	case h.None():
		return t, nil
	case h.Tenths < 0 || h.Tenths > 9 || h.From < 0 || h.From > 10-h.Tenths || (h.Tenths == 0 && h.From > 0) || (h.Tenths > 0 && (h.Column != "" || h.Equals != "")):
		return nil, fmt.Errorf("hold-out of %d tenths from number %d is not within 1 to 9, or beside a column", h.Tenths, h.From)
	}
	t.HeldOut = make([]bool, t.Rows)
	if h.Tenths > 0 {
		for i, tenth := range r.tenths {
			t.HeldOut[i] = int(tenth) >= h.From && int(tenth) < h.From+h.Tenths
		}
		return t, nil
	}
	col, ok := r.contract.Column(h.Column)
	if !ok || col.Kind != jobspec.Split {
		return nil, fmt.Errorf("contract %s has no split %s", r.contract.ID(), show(h.Column))
	}
	held := slices.Index(col.Values, h.Equals)
	if held < 0 {
		return nil, fmt.Errorf("split %s has no value %s\nhint: it has %s", h.Column, show(h.Equals), listed(col.Values))
	}
	for i, code := range r.splits[h.Column] {
		t.HeldOut[i] = int(code) == held
	}
	return t, nil
}
