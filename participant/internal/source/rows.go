package source

import (
	"fmt"
	"slices"

	"tributary/models/dataset"
	"tributary/participant/internal/spill"
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
	splits   map[string][]int32 // by column, index into its values
	memory   *spill.Spill       // what all arrays are in; nil: the heap

	// Of a contract with a label: whose each row is, by a part of its key's HMAC.
	ids [][16]byte

	// Of a contract without a label.
	users  []int32  // numbered by key
	keys   []string // by number
	secret [32]byte
}

// kept is where the arrays are: a nil interface for the heap.
func (r *Rows) kept() dataset.Memory {
	if r.memory == nil {
		return nil
	}
	return r.memory
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
	folds, held := newFolds(r.secret), dataset.Build[bool](t.Memory, t.Rows).Grow(t.Rows)
	for i, code := range column.Codes {
		value := "" // missing or unlisted: no job learns from it
		if code >= 0 && int(code) < len(column.Values) {
			value = column.Values[code]
		}
		tenth := int(folds.tenth(r.keys[r.users[i]], value))
		held.Append(tenth >= h.From && tenth < h.From+h.Tenths)
	}
	t.HeldOut, err = held.Freeze()
	return t, err
}

// UserTable is Table for a job that must know whose the rows are. Where the contract has a label, they are numbered now, by a map
// as large as there are users.
func (r *Rows) UserTable(h jobspec.Holdout) (*dataset.Table, error) {
	t, err := r.Table(h)
	if err != nil || t.User != nil {
		return t, err
	}
	folds, users := newFolds([32]byte{}), dataset.Build[int32](t.Memory, t.Rows).Grow(t.Rows)
	for _, ids := range dataset.Runs(r.kept(), r.ids) {
		for _, id := range ids {
			users.Append(folds.number(id))
		}
	}
	t.User, err = users.Freeze()
	return t, err
}

// Table returns one job's table, with a memory of its own for what the job makes of it. It shares the rows' arrays: it is to be read
// only. Where the contract has a label, it doesn't say whose the rows are. The error says why the contract has no such hold-out.
func (r *Rows) Table(h jobspec.Holdout) (*dataset.Table, error) {
	t := &dataset.Table{Rows: r.Count(), Columns: r.columns, Label: r.label, Class: r.class, Target: r.target, Classes: r.contract.Label.Classes, User: r.users}
	if r.memory != nil {
		own, err := r.memory.Beside()
		if err != nil {
			return nil, err
		}
		t.Memory = own
	}
	held := dataset.Build[bool](t.Memory, t.Rows)
	switch {
	case h.None():
		return t, nil
	case h.Tenths < 0 || h.Tenths > 9 || h.From < 0 || h.From > 10-h.Tenths || (h.Tenths == 0 && h.From > 0) || (h.Tenths > 0 && (h.Column != "" || h.Equals != "")):
		return nil, fmt.Errorf("hold-out of %d tenths from number %d is not within 1 to 9, or beside a column", h.Tenths, h.From)
	case h.Tenths > 0:
		for _, tenths := range dataset.Runs(r.kept(), r.tenths) {
			for _, tenth := range tenths {
				held.Append(int(tenth) >= h.From && int(tenth) < h.From+h.Tenths)
			}
		}
	default:
		col, ok := r.contract.Column(h.Column)
		if !ok || col.Kind != jobspec.Split {
			return nil, fmt.Errorf("contract %s has no split %s", r.contract.ID(), show(h.Column))
		}
		value := slices.Index(col.Values, h.Equals)
		if value < 0 {
			return nil, fmt.Errorf("split %s has no value %s\nhint: it has %s", h.Column, show(h.Equals), listed(col.Values))
		}
		for _, codes := range dataset.Runs(r.kept(), r.splits[h.Column]) {
			for _, code := range codes {
				held.Append(int(code) == value)
			}
		}
	}
	var err error
	t.HeldOut, err = held.Freeze()
	return t, err
}
