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
	// label, the tenth and every mapped value, splits included. It depends on the
	// source's secret (through the tenths) and on no job. It is a fingerprint of
	// private rows and stays with the participant.
	Digest [32]byte

	contract *jobspec.Contract
	columns  []dataset.Column
	label    []bool
	tenths   []uint8            // 0 to 9, by the secret and the row's key
	splits   map[string][]int32 // by column, index into its values
}

// Count returns the number of rows.
func (r *Rows) Count() int { return len(r.label) }

// Table returns one job's table. It shares the rows' memory: it is to be read
// only. The error says why the contract has no such hold-out.
func (r *Rows) Table(h jobspec.Holdout) (*dataset.Table, error) {
	t := &dataset.Table{Rows: len(r.label), Columns: r.columns, Label: r.label}
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
