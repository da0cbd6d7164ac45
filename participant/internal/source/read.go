package source

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"tributary/models/dataset"
	"tributary/protocol/jobspec"
)

// Options of a read.
type Options struct {
	// Secret is the source's own, fixed for ever: it decides each key's tenth. It
	// never leaves the participant.
	Secret [32]byte
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
		rows, err := readTable(ctx, customers, customers.header, b, c, o)
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
	return readTable(ctx, in.in, in.Header, b, c, o)
}

// table gives rows one by one, and says on which line of the file the last one starts, as *csv.Reader does.
type table interface {
	Read() ([]string, error)
	FieldPos(field int) (line, column int)
}

// readTable maps the rows below a header by a checked binding.
func readTable(ctx context.Context, in table, header []string, b Binding, c *jobspec.Contract, o Options) (*Rows, error) {
	p, err := newPlan(b, c, header)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.File, err)
	}
	r := &reader{plan: p, contract: c, in: in, width: len(header), data: &DataError{File: b.File}, folds: newFolds(o.Secret), digest: newDigest(c, b.Customers)}
	r.rows = &Rows{contract: c, splits: make(map[string][]int32)}
	if !c.HasLabel() {
		r.rows.secret = o.Secret
	}
	for i := range c.Columns {
		switch col := &c.Columns[i]; col.Kind {
		case jobspec.Number, jobspec.Date:
			r.rows.columns = append(r.rows.columns, dataset.Column{Name: col.Name, Numbers: []float64{}})
		case jobspec.Category:
			r.rows.columns = append(r.rows.columns, dataset.Column{Name: col.Name, Codes: []int32{}, Values: col.Values})
		}
	}
	if err := r.all(ctx); err != nil {
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
	tag, user := r.folds.of(key)
	tenth, label := uint8(tag%10), int32(0)
	if r.contract.HasLabel() {
		var w *wrong
		if label, w = r.label.class(strings.TrimSpace(record[r.label.index]), r.contract.Label); w != nil {
			r.wrong(r.label, w)
		}
		r.rows.add(label)
	}
	r.rows.tenths, r.rows.users = append(r.rows.tenths, tenth), append(r.rows.users, user)
	r.digest.row(label, tenth)
	if !r.contract.HasLabel() {
		if int(user) == len(r.rows.keys) {
			r.rows.keys = append(r.rows.keys, strings.Clone(key)) // the record is reused
		}
		r.digest.key(tag)
	}
	next := 0
	for i := range r.columns {
		f := &r.columns[i]
		cell := strings.TrimSpace(record[f.index])
		if f.column.Numeric() {
			v, w := f.number(cell)
			if w != nil {
				r.wrong(*f, w)
			}
			col := &r.rows.columns[next]
			next++
			col.Numbers = append(col.Numbers, v)
			r.digest.number(v)
			continue
		}
		code, w := f.code(cell)
		if w != nil {
			r.wrong(*f, w)
		}
		r.digest.code(code)
		if f.column.Kind == jobspec.Split {
			r.rows.splits[f.name] = append(r.rows.splits[f.name], code)
			continue
		}
		col := &r.rows.columns[next]
		next++
		col.Codes = append(col.Codes, code)
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
