package source

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"tributary/participant/internal/spill"
	"tributary/protocol/jobspec"
)

// Options of a read.
type Options struct {
	// Secret is the source's own, fixed for ever: it decides each key's tenth. It
	// never leaves the participant.
	Secret [32]byte

	// Dir is where the rows are kept, in a file without a name (see package spill); empty: in the heap.
	Dir string
}

// Read reads a source, maps it to its contract and freezes its rows. Errors wrap
// ErrBinding, ErrHeader, ErrEmpty or ErrInvalid (then it is a *DataError), or are
// those of the file or of ctx.
func Read(ctx context.Context, b Binding, c *jobspec.Contract, o Options) (*Rows, error) {
	if err := b.Check(c); err != nil {
		return nil, err
	}
	if b.Customers != nil {
		customers, err := readCustomers(ctx, b)
		if err != nil {
			return nil, err
		}
		if n := customers.counts; b.Customers.OutcomeDays > 0 && n.Outcome+n.Later == 0 {
			return nil, fmt.Errorf("%s: %w in the outcome's period, nor after it\nhint: the last transaction is of %s: choose an earlier until, so that the period is over", b.File, ErrEmpty, n.Last.Format(time.DateOnly))
		}
		b.Where = nil // it was the transactions'
		rows, err := readTable(ctx, customers, customers.header, int64(len(customers.list)), b, c, o)
		if err != nil {
			return nil, err
		}
		rows.Transactions = &customers.counts
		return rows, nil
	}
	in, err := openRecords(b)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return readTable(ctx, in.in, in.Header, in.most, b, c, o)
}

// table gives rows one by one, and says on which line of the file the last one starts, as *csv.Reader does.
type table interface {
	Read() ([]string, error)
	FieldPos(field int) (line, column int)
}

// readTable maps the rows below a header, at most so many, by a checked binding.
func readTable(ctx context.Context, in table, header []string, most int64, b Binding, c *jobspec.Contract, o Options) (*Rows, error) {
	p, err := newPlan(b, c, header)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.File, err)
	}
	r := &reader{plan: p, contract: c, in: in, width: len(header), data: &DataError{File: b.File}, folds: newFolds(o.Secret), digest: newDigest(c, b.Customers)}
	r.rows = &Rows{contract: c}
	if o.Dir != "" {
		if r.rows.memory, err = spill.New(o.Dir); err != nil {
			return nil, err
		}
	}
	if !c.HasLabel() {
		r.rows.secret = o.Secret
	}
	r.arrays = newArrays(r.rows.kept(), c, int(min(most, c.MaxRows, math.MaxInt)))
	if err := r.all(ctx); err != nil {
		return nil, err
	}
	if err := r.arrays.freeze(r.rows); err != nil {
		return nil, err
	}
	r.rows.Digest = r.digest.sum(r.rows.Count())
	return r.rows, nil
}

// reader turns records into rows.
type reader struct {
	*plan
	contract *jobspec.Contract
	in       table
	width    int // cells of the header
	data     *DataError
	folds    *folds
	digest   *digest
	rows     *Rows
	arrays   *arrays
	count    int64 // rows that passed the filters
	read     int64 // rows of the file
}

// all reads to the end, or to what can't be read past.
func (r *reader) all(ctx context.Context) error {
	for {
		if r.read%1024 == 0 {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("read %s: %w", r.data.File, err)
			}
			if err := r.arrays.err(); err != nil {
				return err
			}
		}
		record, err := r.in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		r.read++
		if errors.Is(err, csv.ErrFieldCount) {
			r.wrong(field{}, &wrong{fmt.Sprintf("the row has %d cells, the header has %d", len(record), r.width), "put cells that contain the separator in double quotes"})
			continue
		}
		var syntax *csv.ParseError
		if errors.As(err, &syntax) {
			r.data.Add(Finding{Row: syntax.StartLine, Message: "this is not CSV: " + syntax.Err.Error() + fmt.Sprintf(" (line %d, byte %d)", syntax.Line, syntax.Column),
				Hint: `put the cell in double quotes and write a quote in it as ""`})
			return r.data
		}
		if err != nil {
			return fmt.Errorf("read %s after row %d: %w\nhint: the file may be cut off or damaged", r.data.File, r.read, err)
		}
		if !r.filters.keep(record) {
			continue
		}
		if r.count++; r.count > r.contract.MaxRows {
			r.data.Add(Finding{Row: r.line(), Message: fmt.Sprintf("there are more than %d rows, the contract's max_rows", r.contract.MaxRows),
				Hint: "leave rows out with where, or agree on a larger max_rows"})
			return r.data
		}
		r.row(record)
	}
	switch {
	case len(r.data.Findings) > 0:
		return r.data
	case r.count == 0 && r.read > 0:
		return fmt.Errorf("%s: %w: none of %d pass the filters\nhint: check where in the binding", r.data.File, ErrEmpty, r.read)
	case r.count == 0:
		return fmt.Errorf("%s: %w below the header\nhint: check that the file is the right one and complete", r.data.File, ErrEmpty)
	}
	return nil
}

// row maps one record. After a finding, rows may be of unequal length: they are
// not returned then.
func (r *reader) row(record []string) {
	key := strings.TrimSpace(record[r.key.index])
	if key == "" {
		r.wrong(r.key, &wrong{"the key is empty", "every row needs its key: it decides the hold-out; leave such rows out with where"})
	}
	tag, id := r.folds.of(key)
	tenth, label := uint8(tag%10), int32(0)
	number, target := r.contract.Label.NumberLabel != nil, 0.0
	switch {
	case number:
		y, w := r.label.target(strings.TrimSpace(record[r.label.index]))
		if w != nil {
			r.wrong(r.label, w)
		}
		r.arrays.targets.Append(y)
		target = y
	case r.contract.HasLabel():
		var w *wrong
		if label, w = r.label.class(strings.TrimSpace(record[r.label.index]), r.contract.Label); w != nil {
			r.wrong(r.label, w)
		}
		r.arrays.label(label)
	}
	r.arrays.tenths.Append(tenth)
	r.digest.row(label, tenth)
	if number {
		r.digest.number(target)
	}
	if r.contract.HasLabel() {
		r.arrays.ids.Append(id)
	} else {
		user := r.folds.number(id)
		if int(user) == len(r.rows.keys) {
			r.rows.keys = append(r.rows.keys, strings.Clone(key)) // the record is reused
		}
		r.arrays.users.Append(user)
		r.digest.key(tag)
	}
	for i := range r.columns {
		f := &r.columns[i]
		cell := strings.TrimSpace(record[f.index])
		if f.column.Numeric() {
			v, w := f.number(cell)
			if w != nil {
				r.wrong(*f, w)
			}
			r.arrays.numbers[i].Append(v)
			r.digest.number(v)
			continue
		}
		code, w := f.code(cell)
		if w != nil {
			r.wrong(*f, w)
		}
		r.digest.code(code)
		r.arrays.codes[i].Append(code)
	}
}

// wrong adds what is wrong in the row that was read last.
func (r *reader) wrong(f field, w *wrong) {
	r.data.Add(Finding{Row: r.line(), Column: f.source, Message: w.message, Hint: w.hint})
}

// line is the line of the file on which the last record starts.
func (r *reader) line() int {
	line, _ := r.in.FieldPos(0)
	return line
}
