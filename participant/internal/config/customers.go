package config

import (
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"tributary/participant/internal/source"
)

// customers reads how transactions become customers: source: {csv: FILE, customers: {…}}.
func (t *tree) customers(v value) *source.Customers {
	c := &source.Customers{}
	_, keys := t.fields(v, "key", "blank_keys", "time", "until", "window", "outcome", "order", "amount", "positive", "distinct", "first", "last", "most_frequent", "aggregates", "grouped")
	t.require(v, keys, "key", "the column that says whose a transaction is")
	t.require(v, keys, "time", "the column of the time, or {column: NAME, format: \"02.01.2006 15:04\"}")
	t.require(v, keys, "until", "the day to which recency is measured, such as 2011-12-10; later transactions don't count")
	if v, ok := keys["key"]; ok {
		c.Key = t.column(v)
	}
	if v, ok := keys["blank_keys"]; ok {
		if s := t.text(v); s != "skip" {
			t.problem(v, "write skip, or leave blank_keys out: then each is told as an error", "%q is not skip", s)
		}
		c.SkipBlank = true
	}
	if v, ok := keys["time"]; ok {
		c.Time, c.Format = t.time(v)
	}
	if v, ok := keys["until"]; ok {
		var err error
		if c.Until, err = source.ParseTime("", t.text(v)); err != nil {
			t.problem(v, "write a day, such as 2011-12-10, which is its first moment in UTC", "%v", err)
		}
	}
	if v, ok := keys["window"]; ok {
		c.WindowDays = t.days(v)
	}
	if v, ok := keys["outcome"]; ok {
		c.OutcomeDays = t.days(v)
	}
	if v, ok := keys["order"]; ok {
		c.Order = t.column(v)
	}
	if v, ok := keys["amount"]; ok {
		c.Amount = t.amount(v)
	}
	if v, ok := keys["positive"]; ok {
		c.Positive = t.columns(v)
	}
	for key, list := range map[string]*[]string{"distinct": &c.Distinct, "first": &c.First, "last": &c.Last, "most_frequent": &c.MostFrequent} {
		if v, ok := keys[key]; ok {
			*list = t.columns(v)
		}
	}
	if v, ok := keys["aggregates"]; ok {
		for _, e := range t.items(v) {
			c.Aggregates = append(c.Aggregates, t.aggregate(e))
		}
	}
	if v, ok := keys["grouped"]; ok {
		switch s := t.text(v); s {
		case "true":
			c.Grouped = true
		case "false":
		default:
			t.problem(v, "write true where the file has each customer's transactions together: fewer of them are kept in memory then", "%q is neither true nor false", s)
		}
	}
	return c
}

// aggregate reads {column: NAME, of: [sum, mean], last: 30d}; without column it is of the amount.
func (t *tree) aggregate(v value) (g source.Aggregate) {
	_, keys := t.fields(v, "column", "of", "last")
	t.require(v, keys, "of", "what is told: a list of count, sum, mean, min, max, distinct")
	if v, ok := keys["column"]; ok {
		g.Column = t.column(v)
	}
	if v, ok := keys["of"]; ok {
		g.Of = t.columns(v)
	}
	if v, ok := keys["last"]; ok {
		g.Days = t.days(v)
	}
	return g
}

// column is a name, as the file's header has it once trimmed.
func (t *tree) column(v value) string { return strings.TrimSpace(t.filled(v)) }

func (t *tree) columns(v value) []string {
	out := []string{}
	for _, e := range t.items(v) {
		out = append(out, t.column(e))
	}
	return out
}

// time is a column, or a column and its format.
func (t *tree) time(v value) (column, format string) {
	if _, ok := scalar(v.node); ok {
		return t.column(v), ""
	}
	_, keys := t.fields(v, "column", "format")
	t.require(v, keys, "column", "the column of the time")
	if v, ok := keys["column"]; ok {
		column = t.column(v)
	}
	if v, ok := keys["format"]; ok {
		format = t.filled(v)
		if err := source.CheckFormat(format); err != nil {
			t.problem(v, "write 2 January 2006, 15:04:05 as your file would, such as 02.01.2006 15:04", "%v", err)
		}
	}
	return column, format
}

// days is a number of days, written 90d.
func (t *tree) days(v value) int64 {
	s := t.text(v)
	number, ok := strings.CutSuffix(s, "d")
	n, err := strconv.ParseInt(number, 10, 64)
	if !ok || err != nil || n < 1 || n > 36525 {
		t.problem(v, "write days, such as 90d", "%q is not 1d to 36525d", s)
	}
	return n
}

// amount is a column, or the product of two.
func (t *tree) amount(v value) []string {
	if _, ok := v.node.(*ast.SequenceNode); ok {
		t.problem(v, "write amount: COLUMN, or amount: {product: [QUANTITY, PRICE]}", "a list is no amount")
		return nil
	}
	if _, ok := scalar(v.node); ok {
		return []string{t.column(v)}
	}
	_, keys := t.fields(v, "product")
	t.require(v, keys, "product", "two columns, such as [Quantity, UnitPrice]")
	product, ok := keys["product"]
	if !ok {
		return nil
	}
	columns := t.columns(product)
	if len(columns) != 2 {
		t.problem(product, "write amount: {product: [QUANTITY, PRICE]}", "%d columns, want two", len(columns))
	}
	return columns
}
