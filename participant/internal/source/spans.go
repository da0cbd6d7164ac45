package source

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Aggregate is what is told of a customer's transactions in the last days before Until, by one column: for each of Of a column
// OF_COLUMN_DAYSd of the table, such as sum_Quantity_30d; without Days OF_COLUMN. Without Column, COLUMN is amount, and count, which
// counts the transactions, has none: count_30d.
type Aggregate struct {
	Column string   // of decimals, for distinct of any cells; missing cells don't count. Empty: the amount
	Of     []string // count, sum, mean, min, max, distinct
	Days   int64    // transactions in [Until - Days, Until); 0: all that the window has
}

// aggregateKinds are what an Aggregate may tell. Sums are exact. Of no cells count, sum and distinct are 0, the others missing.
var aggregateKinds = []string{"count", "sum", "mean", "min", "max", "distinct"}

// numbers tells whether the column's cells must be decimals.
func (g *Aggregate) numbers() bool {
	return slices.ContainsFunc(g.Of, func(of string) bool { return of == "sum" || of == "mean" || of == "min" || of == "max" })
}

// check tells what is wrong whatever the file holds.
func (g *Aggregate) check(c *Customers) error {
	if len(g.Of) == 0 {
		return errors.New("it asks for nothing\nhint: write of: [sum]; possible are " + strings.Join(aggregateKinds, ", "))
	}
	for _, of := range g.Of {
		switch {
		case !slices.Contains(aggregateKinds, of):
			return fmt.Errorf("%s is unknown%s", show(of), near(of, aggregateKinds))
		case g.Column == "" && of == "distinct":
			return errors.New("distinct needs a column\nhint: write column: NAME")
		case g.Column == "" && of != "count" && len(c.Amount) == 0:
			return fmt.Errorf("%s needs a column or an amount\nhint: write column: NAME, or say what the amount is", of)
		}
	}
	if c.WindowDays > 0 && g.Days > c.WindowDays {
		return fmt.Errorf("its %d days are more than the window's %d\nhint: widen the window, or leave last out", g.Days, c.WindowDays)
	}
	return nil
}

func (g *Aggregate) names() (out []string) {
	for _, of := range g.Of {
		name := of
		switch {
		case g.Column != "":
			name += "_" + g.Column
		case of != "count":
			name += "_amount"
		}
		if g.Days > 0 {
			name += "_" + strconv.FormatInt(g.Days, 10) + "d"
		}
		out = append(out, name)
	}
	return out
}

// span is an Aggregate while the file is read.
type span struct {
	*Aggregate
	at   int   // of the cell; -1: the amount
	from int64 // Unix seconds
}

// summed is what a customer's span has so far.
type summed struct {
	count, distinct int64
	sum, min, max   amount
}

// read gives a record's value for a span; ok: there is one.
func (a *aggregator) read(s *span, record []string, value amount) (_ amount, ok bool, w *wrong) {
	if s.at < 0 {
		return value, true, nil
	}
	cell := record[s.at]
	if cell == "" || a.missing[cell] {
		return 0, false, nil
	}
	if !s.numbers() {
		return 0, true, nil
	}
	d, w := parseDecimal(cell)
	if w != nil {
		return 0, false, w
	}
	value, w = d.amount()
	return value, w == nil, w
}

// readSpans reads a record's values for all spans, whichever days they are of, into a.values and a.has.
func (a *aggregator) readSpans(record []string, value amount) (column string, w *wrong) {
	for i := range a.spans {
		if a.values[i], a.has[i], w = a.read(&a.spans[i], record, value); w != nil {
			return a.spans[i].Column, w
		}
	}
	return "", nil
}

// sumSpans adds the values that were read last, of a transaction at t.
func (a *aggregator) sumSpans(c *customer, t int64, record []string) (column string, w *wrong) {
	for i := range a.spans {
		s, sum, v := &a.spans[i], &c.spans[i], a.values[i]
		if !a.has[i] || t < s.from {
			continue
		}
		if sum.count++; sum.count == 1 {
			sum.min, sum.max = v, v
		}
		sum.min, sum.max = min(sum.min, v), max(sum.max, v)
		var ok bool
		if sum.sum, ok = sum.sum.plus(v); !ok {
			return cmp.Or(s.Column, strings.Join(a.Amount, " × ")), errLarge
		}
		if slices.Contains(s.Of, "distinct") && a.isNew(c, len(a.unlike)+i, record[s.at]) {
			sum.distinct++
		}
	}
	return "", nil
}

// cells are a span's columns of one customer; none stands for a missing value.
func (g *Aggregate) cells(s *summed, none string) (out []string) {
	for _, of := range g.Of {
		cell := none
		switch {
		case of == "count":
			cell = strconv.FormatInt(s.count, 10)
		case of == "distinct":
			cell = strconv.FormatInt(s.distinct, 10)
		case of == "sum":
			cell = s.sum.String()
		case s.count == 0:
		case of == "mean":
			cell = strconv.FormatFloat(float64(s.sum)/amountUnit/float64(s.count), 'g', -1, 64)
		case of == "min":
			cell = s.min.String()
		case of == "max":
			cell = s.max.String()
		}
		out = append(out, cell)
	}
	return out
}
