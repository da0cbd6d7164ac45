// Package dataset holds frozen rows after the data contract has been applied: numbers in the contract's units, categories as
// indices into the contract's values. Nothing of a Table is ever sent.
package dataset

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"math"
)

// ErrInvalid is wrapped by every error of Validate.
var ErrInvalid = errors.New("invalid table")

// Missing is the code of a missing category. A missing number is NaN.
const Missing int32 = -1

// Column is one contract column; exactly one of Numbers and Codes is set (both have the table's rows; a table without rows
// has an empty, non-nil slice).
type Column struct {
	Name    string
	Numbers []float64 // contract units; NaN: missing
	Codes   []int32   // index into Values; len(Values): a value that the contract doesn't list; or a bucket; Missing: missing
	Values  []string  // the contract's values in its order (categories only)
	Buckets int       // of a category whose values the contract doesn't list, in place of Values
}

// Table is an ordered set of rows. Its label has two values, in Label, or several, in Class and Classes, or is a number, in Target.
type Table struct {
	Rows    int
	Columns []Column
	Label   []bool    // true: the contract's positive value; nil with Class or Target, or if the contract has no label
	Class   []int32   // index into Classes; nil with Label or Target
	Classes []string  // the contract's, in its order
	Target  []float64 // contract units, never missing; nil with Label or Class
	HeldOut []bool    // true: evaluation only; nil: no row is held out

	// User numbers the rows' keys from 0 in the order in which they appear first. The numbers mean nothing to anybody else; nil:
	// not known.
	User []int32

	// Memory is where arrays as long as the table are kept, its own and those that are made of it; nil: in the heap.
	Memory Memory
}

// Column finds a column by its contract name.
func (t *Table) Column(name string) (*Column, bool) {
	for i := range t.Columns {
		if t.Columns[i].Name == name {
			return &t.Columns[i], true
		}
	}
	return nil, false
}

// Held tells whether a row is for evaluation only.
func (t *Table) Held(row int) bool { return t.HeldOut != nil && t.HeldOut[row] }

// Labelled tells whether the rows have labels, of whatever kind.
func (t *Table) Labelled() bool { return t.Label != nil || t.Class != nil || t.Target != nil }

// Done tells the table's memory that the labels, hold-out marks and users of some rows aren't needed for now.
func (t *Table) Done(from, to int) {
	done(t.Memory, t.Label, from, to)
	done(t.Memory, t.Class, from, to)
	done(t.Memory, t.Target, from, to)
	done(t.Memory, t.HeldOut, from, to)
	done(t.Memory, t.User, from, to)
}

// Done is that of a column's values.
func (c *Column) Done(m Memory, from, to int) {
	done(m, c.Numbers, from, to)
	done(m, c.Codes, from, to)
}

func done[T Value](m Memory, all []T, from, to int) {
	if len(all) > 0 {
		Done(m, all[from:to])
	}
}

// Validate checks shapes, codes and that no number is infinite. It doesn't know the contract's ranges.
func (t *Table) Validate() error {
	if t.Rows < 0 {
		return fmt.Errorf("%w: %d rows", ErrInvalid, t.Rows)
	}
	if err := t.validateClasses(); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err := t.validateTarget(); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if t.Label != nil && len(t.Label) != t.Rows || !t.Labelled() && t.User == nil && t.Rows > 0 {
		return fmt.Errorf("%w: %d labels for %d rows", ErrInvalid, len(t.Label), t.Rows)
	}
	if err := t.validateUsers(); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if t.HeldOut != nil && len(t.HeldOut) != t.Rows {
		return fmt.Errorf("%w: %d hold-out marks for %d rows", ErrInvalid, len(t.HeldOut), t.Rows)
	}
	seen := make(map[string]bool, len(t.Columns))
	for i := range t.Columns {
		c := &t.Columns[i]
		if c.Name == "" {
			return fmt.Errorf("%w: column %d has no name", ErrInvalid, i)
		}
		if seen[c.Name] {
			return fmt.Errorf("%w: column %q twice", ErrInvalid, c.Name)
		}
		seen[c.Name] = true
		if err := c.validate(t.Memory, t.Rows); err != nil {
			return fmt.Errorf("%w: column %q: %w", ErrInvalid, c.Name, err)
		}
	}
	return nil
}

func (t *Table) validateUsers() error {
	if t.User == nil {
		return nil
	}
	if len(t.User) != t.Rows {
		return fmt.Errorf("%d users for %d rows", len(t.User), t.Rows)
	}
	next := int32(0)
	for from, users := range Runs(t.Memory, t.User) {
		for i, u := range users {
			if u < 0 || u > next {
				return fmt.Errorf("row %d: user %d is outside 0..%d", from+i, u, next)
			}
			if u == next {
				next++
			}
		}
	}
	return nil
}

// validateClasses checks a label of several classes.
func (t *Table) validateClasses() error {
	switch {
	case t.Class == nil && t.Classes == nil:
		return nil
	case t.Class == nil || t.Label != nil:
		return errors.New("a label has two values or several classes, not both")
	case len(t.Class) != t.Rows:
		return fmt.Errorf("%d labels for %d rows", len(t.Class), t.Rows)
	}
	for from, codes := range Runs(t.Memory, t.Class) {
		for i, code := range codes {
			if code < 0 || int(code) >= len(t.Classes) {
				return fmt.Errorf("row %d: class %d is outside 0..%d", from+i, code, len(t.Classes)-1)
			}
		}
	}
	return nil
}

// validateTarget checks a label that is a number.
func (t *Table) validateTarget() error {
	switch {
	case t.Target == nil:
		return nil
	case t.Label != nil || t.Class != nil:
		return errors.New("a label is a number or has values, not both")
	case len(t.Target) != t.Rows:
		return fmt.Errorf("%d labels for %d rows", len(t.Target), t.Rows)
	}
	for from, labels := range Runs(t.Memory, t.Target) {
		for i, y := range labels {
			if math.IsNaN(y) || math.IsInf(y, 0) {
				return fmt.Errorf("row %d: the label is missing or infinite", from+i)
			}
		}
	}
	return nil
}

func (c *Column) validate(m Memory, rows int) error {
	if (c.Numbers == nil) == (c.Codes == nil) {
		return errors.New("exactly one of numbers and codes must be set")
	}
	if c.Numbers != nil {
		if len(c.Values) != 0 || c.Buckets != 0 {
			return errors.New("a column of numbers has no values or buckets")
		}
		if len(c.Numbers) != rows {
			return fmt.Errorf("%d numbers for %d rows", len(c.Numbers), rows)
		}
		for from, numbers := range Runs(m, c.Numbers) {
			for i, x := range numbers {
				if math.IsInf(x, 0) {
					return fmt.Errorf("row %d: the number is infinite", from+i)
				}
			}
		}
		return nil
	}
	if len(c.Codes) != rows {
		return fmt.Errorf("%d codes for %d rows", len(c.Codes), rows)
	}
	most := len(c.Values)
	if c.Buckets != 0 {
		if c.Buckets < 0 || len(c.Values) != 0 {
			return errors.New("a category has values, or buckets")
		}
		most = c.Buckets - 1
	}
	for from, codes := range Runs(m, c.Codes) {
		for i, code := range codes {
			if code < Missing || int(code) > most {
				return fmt.Errorf("row %d: code %d is outside -1..%d", from+i, code, most)
			}
		}
	}
	seen := make(map[string]bool, len(c.Values))
	for _, v := range c.Values {
		if seen[v] {
			return fmt.Errorf("value %q twice", v)
		}
		seen[v] = true
	}
	return nil
}

// Digest is SHA-256 over the names, values, rows, labels, folds and users in order: two tables with one digest give the same sums.
// It is a fingerprint of private rows and stays with the participant. The table must be valid.
func (t *Table) Digest() [sha256.Size]byte {
	w := digester{h: sha256.New()}
	w.text("tributary/v1/rows")
	w.number(uint64(t.Rows))
	w.number(uint64(len(t.Columns)))
	for i := range t.Columns {
		c := &t.Columns[i]
		w.text(c.Name)
		if c.Numbers != nil {
			w.number(1)
			for _, x := range c.Numbers {
				w.number(canonicalBits(x))
			}
			continue
		}
		if c.Buckets != 0 {
			w.number(4)
			w.number(uint64(c.Buckets))
		}
		w.number(2)
		w.number(uint64(len(c.Values)))
		for _, v := range c.Values {
			w.text(v)
		}
		for _, code := range c.Codes {
			w.number(uint64(int64(code)))
		}
	}
	if t.Class != nil {
		w.number(3)
		w.number(uint64(len(t.Classes)))
		for _, c := range t.Classes {
			w.text(c)
		}
		for i, code := range t.Class {
			w.number(uint64(code)<<1 | mark(t.Held(i)))
		}
		return w.sum()
	}
	if t.Target != nil {
		w.number(4)
		for i, y := range t.Target {
			w.number(canonicalBits(y))
			w.number(mark(t.Held(i)))
		}
		return w.sum()
	}
	for i := range t.Rows {
		w.number(mark(t.Label != nil && t.Label[i]) | mark(t.Held(i))<<1 | mark(t.Label == nil)<<2)
	}
	for _, users := range Runs(t.Memory, t.User) {
		for _, u := range users {
			w.number(uint64(u))
		}
	}
	return w.sum()
}

// canonicalBits gives every NaN one encoding, and -0 that of 0.
func canonicalBits(x float64) uint64 {
	switch {
	case math.IsNaN(x):
		return 0x7ff8000000000001
	case x == 0:
		return 0
	}
	return math.Float64bits(x)
}

func mark(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// digester buffers small writes to the hash: a call per number is several times slower.
type digester struct {
	h   hash.Hash
	buf []byte
}

func (d *digester) number(v uint64) {
	d.buf = binary.BigEndian.AppendUint64(d.buf, v)
	d.flush(32 << 10)
}

func (d *digester) text(s string) {
	d.number(uint64(len(s)))
	d.buf = append(d.buf, s...)
	d.flush(32 << 10)
}

func (d *digester) flush(atLeast int) {
	if len(d.buf) >= atLeast {
		d.h.Write(d.buf)
		d.buf = d.buf[:0]
	}
}

func (d *digester) sum() (out [sha256.Size]byte) {
	d.flush(0)
	d.h.Sum(out[:0])
	return out
}
