package source

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

const (
	daySeconds  = 24 * 60 * 60
	maxKeyBytes = 1024
)

// sight is one customer's first sight of a cell: 128 bits of the SHA-256 of the customer's number, the column's and the cell. Among 2³⁰
// of them two agree with a probability below 2⁻⁶⁸.
type sight [16]byte

// aggregator adds transactions to their customers. It keeps a customer once, and each of its different orders and cells of Distinct
// by their hashes; rows aren't kept.
type aggregator struct {
	*Customers
	in                       *Records
	key, time, order         int // cells
	amount, positive, unlike []int
	filters                  filters
	missing                  map[string]bool
	from, until, end         int64 // of the window and the outcome, Unix seconds
	customers                map[string]*customer
	list                     []*customer
	seen                     map[sight]struct{}
	takes                    takes
	spans                    []span
	values                   []amount // of the record that is read, by span
	has                      []bool   // whether there is one
	current                  *customer
	buf                      []byte
	counts                   Transactions
	data                     *DataError
}

// readCustomers reads a file of transactions to its end. Errors are as those of Read.
func readCustomers(ctx context.Context, b Binding) (*customerRows, error) {
	in, err := openRecords(b)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	a := &aggregator{Customers: b.Customers, in: in, missing: b.missing(), customers: map[string]*customer{}, seen: map[sight]struct{}{}, data: &DataError{File: b.File}}
	a.until = b.Customers.Until.Unix()
	a.from, a.end = a.until-b.Customers.WindowDays*daySeconds, a.until+b.Customers.OutcomeDays*daySeconds
	if err := a.locate(b); err != nil {
		return nil, fmt.Errorf("%s: %w", b.File, err)
	}
	if err := a.all(ctx); err != nil {
		return nil, err
	}
	list := slices.DeleteFunc(a.list, func(c *customer) bool { return c.frequency == 0 })
	if a.counts.Absent = int64(len(a.customers) - len(list)); len(list) == 0 {
		return nil, fmt.Errorf("%s: %w: of %d transactions none counts\nhint: check until, window, positive and where in the binding", b.File, ErrEmpty, a.counts.Read)
	}
	return &customerRows{Customers: b.Customers, header: b.Customers.header(), list: list, none: b.null(), until: a.until, counts: a.counts}, nil
}

// locate finds the columns. The error wraps ErrHeader and names all that are missing.
func (a *aggregator) locate(b Binding) error {
	var wrong []error
	find := func(name, why string) int {
		i := slices.Index(a.in.Header, strings.TrimSpace(name))
		if i < 0 {
			wrong = append(wrong, fmt.Errorf("row 1: there is no column %s%s%s", show(name), why, near(name, a.in.Header)))
		}
		return i
	}
	several := func(names []string, why string) (at []int) {
		for _, name := range names {
			at = append(at, find(name, why))
		}
		return at
	}
	a.key, a.time, a.order = find(a.Key, ", the customers' key"), find(a.Time, ", the time"), -1
	if a.Order != "" {
		a.order = find(a.Order, ", the order")
	}
	a.amount = several(a.Amount, ", of the amount")
	a.positive = several(a.Positive, ", which is to be positive")
	a.unlike = several(a.Distinct, ", whose cells are counted")
	a.takes = takes{first: several(a.First, ", whose first cell is taken"), last: several(a.Last, ", whose last cell is taken"),
		frequent: several(a.MostFrequent, ", whose most frequent cell is taken"), words: map[string]string{}}
	for i := range a.Aggregates {
		s := span{Aggregate: &a.Aggregates[i], at: -1, from: a.from}
		if s.Column != "" {
			s.at = find(s.Column, fmt.Sprintf(", of aggregates[%d]", i))
		}
		if s.Days > 0 {
			s.from = a.until - s.Days*daySeconds
		}
		a.spans = append(a.spans, s)
	}
	a.values, a.has = make([]amount, len(a.spans)), make([]bool, len(a.spans))
	for i, w := range b.Where {
		a.filters = append(a.filters, newFilter(w, find(w.Column, fmt.Sprintf(", by which where[%d] filters", i))))
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%w:\n%w", ErrHeader, errors.Join(wrong...))
	}
	return nil
}

// all reads to the end, or to what can't be read past.
func (a *aggregator) all(ctx context.Context) error {
	for {
		if a.counts.Read%1024 == 0 && ctx.Err() != nil {
			return fmt.Errorf("read %s: %w", a.data.File, ctx.Err())
		}
		record, err := a.in.Next()
		var data *DataError
		switch {
		case errors.As(err, &data):
			a.data.Add(data.Findings[0])
			return a.data
		case errors.Is(err, io.EOF) && len(a.data.Findings) > 0:
			return a.data
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		a.counts.Read++
		if column, w := a.row(record); w != nil {
			a.data.Add(Finding{Row: a.in.Line(), Column: column, Message: w.message, Hint: w.hint})
		}
	}
}

// row adds one transaction, or tells the first thing that is wrong with it and where.
func (a *aggregator) row(record []string) (column string, w *wrong) {
	key := record[a.key]
	switch {
	case !a.filters.keep(record):
		a.counts.Where++
		return "", nil
	case (key == "" || a.missing[key]) && a.SkipBlank:
		a.counts.Blank++
		return "", nil
	case key == "" || a.missing[key]:
		return a.Key, &wrong{"the customer is missing (" + show(key) + ")", "write blank_keys: skip to leave such transactions out"}
	case len(key) > maxKeyBytes:
		return a.Key, &wrong{fmt.Sprintf("the key has %d bytes, at most %d", len(key), maxKeyBytes), "is this the right column, and are all quotes closed?"}
	}
	for i, at := range a.positive {
		d, w := parseDecimal(record[at])
		if w != nil {
			return a.Positive[i], w
		}
		if d.coefficient <= 0 {
			a.counts.NotPositive++
			return "", nil
		}
	}
	if a.order >= 0 && record[a.order] == "" {
		return a.Order, &wrong{"the order is missing", "every transaction belongs to an order; leave order out to count transactions"}
	}
	value, column, w := a.value(record)
	if w != nil {
		return column, w
	}
	if column, w = a.readSpans(record, value); w != nil {
		return column, w
	}
	if column, w = a.checkTaken(record); w != nil {
		return column, w
	}
	t, err := ParseTime(a.Format, record[a.time])
	if err != nil {
		return a.Time, &wrong{err.Error(), "correct it in the source, or say its format: time: {column: …, format: …}"}
	}
	if a.counts.First.IsZero() || t.Before(a.counts.First) {
		a.counts.First = t
	}
	if t.After(a.counts.Last) {
		a.counts.Last = t
	}
	return a.add(key, t.Unix(), value, record)
}

// value is the transaction's amount, 0 if none is asked for.
func (a *aggregator) value(record []string) (amount, string, *wrong) {
	product := decimal{1, 0}
	for i, at := range a.amount {
		d, w := parseDecimal(record[at])
		if w == nil {
			product, w = product.times(d)
		}
		if w != nil {
			return 0, a.Amount[i], w
		}
	}
	value, w := product.amount()
	return value, strings.Join(a.Amount, " × "), w
}

// add counts a transaction for its customer, or tells why it can't.
func (a *aggregator) add(key string, t int64, value amount, record []string) (column string, w *wrong) {
	if t >= a.until && t >= a.end {
		a.counts.Later++
		return "", nil
	}
	c := a.customers[key]
	if c == nil {
		c = a.newCustomer(key, t)
	}
	if a.Grouped && c != a.current {
		if a.current != nil && c.line != a.in.Line() {
			return a.Key, &wrong{"transactions of " + show(key) + " began in row " + strconv.Itoa(c.line) + ", and other customers' are between", "sort the file by customer, or leave grouped out"}
		}
		clear(a.seen)
		a.current = c
	}
	c.first = min(c.first, t)
	ok := true
	switch {
	case t >= a.until:
		a.counts.Outcome++
		c.returned = true
		if c.spent, ok = c.spent.plus(value); !ok {
			return strings.Join(a.Amount, " × "), errLarge
		}
		return "", nil
	case a.WindowDays > 0 && t < a.from:
		a.counts.Before++
		return "", nil
	}
	a.counts.Counted++
	if c.frequency == 0 || t > c.last {
		c.last = t
	}
	if a.order < 0 || a.isNew(c, -1, record[a.order]) {
		c.frequency++
	}
	for i, at := range a.unlike {
		if a.isNew(c, i, record[at]) {
			c.distinct[i]++
		}
	}
	a.take(c, t, record)
	if c.monetary, ok = c.monetary.plus(value); !ok {
		return strings.Join(a.Amount, " × "), errLarge
	}
	return a.sumSpans(c, t, record)
}

func (a *aggregator) newCustomer(key string, t int64) *customer {
	c := &customer{key: strings.Clone(key), number: len(a.list), line: a.in.Line(), first: t, distinct: make([]int64, len(a.unlike)),
		earliest: make([]mark, len(a.takes.first)), latest: make([]mark, len(a.takes.last)), tallies: make([][]tally, len(a.takes.frequent)), spans: make([]summed, len(a.spans))}
	a.customers[c.key] = c
	a.list = append(a.list, c)
	return c
}

// isNew tells whether a customer hasn't had a cell yet: in the order's column (-1), one of Distinct, or one of the spans, which
// follow these.
func (a *aggregator) isNew(c *customer, column int, cell string) bool {
	a.buf = binary.BigEndian.AppendUint64(a.buf[:0], uint64(c.number))
	a.buf = binary.BigEndian.AppendUint64(a.buf, uint64(column))
	a.buf = append(a.buf, cell...)
	sum := sha256.Sum256(a.buf)
	s := sight(sum[:16])
	_, had := a.seen[s]
	a.seen[s] = struct{}{}
	return !had
}
