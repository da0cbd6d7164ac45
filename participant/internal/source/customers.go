package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"tributary/models/pipeline"
	"tributary/protocol/jobspec"
)

// Customers makes one row a customer of a file whose rows are transactions. The contract and Binding.Columns then know these columns
// in place of the file's own; days are those between two dates in UTC, so that yesterday's transaction is one day old at midnight:
//
//	KEY                   the customer, by the file's name of the column
//	recency_days          from the last transaction to Until
//	frequency             distinct orders, or transactions if no order is named
//	tenure_days           from the first transaction, before the window too, to Until
//	monetary              the sum of the amounts, exact (with Amount)
//	average_order_value   monetary / frequency (with Amount)
//	distinct_COLUMN       different cells in a column, for each of Distinct
//	first_COLUMN          the cell of the first transaction, for each of First; of several at one second the first by its bytes
//	last_COLUMN           the cell of the last one, for each of Last; likewise
//	most_frequent_COLUMN  the cell of the most transactions, for each of MostFrequent; of several the first by its bytes
//	OF_COLUMN_DAYSd       what Aggregates ask for; see there
//	returned              yes or no: was there a transaction in [Until, Until + OutcomeDays)? (with OutcomeDays)
//	spent                 the sum of the amounts in that period (with OutcomeDays and Amount)
//
// All but the last two are of transactions in [Until - WindowDays, Until); who has none in it is no row. Rows are in the order in which
// customers first appear in the file. Binding.Where filters transactions, by the file's names. Missing cells are no cells: a customer
// without any has a missing value in first_, last_ and most_frequent_.
//
// What is kept in memory: each customer, its cells of MostFrequent, and a hash of 16 bytes for each of its different orders and
// cells that are counted; with Grouped the latter of one customer at a time.
type Customers struct {
	Key         string    // column of the customer
	SkipBlank   bool      // leave transactions without a customer out; otherwise they are findings
	Time        string    // column of the time
	Format      string    // of the time, as Go's package time lays it out; empty: RFC 3339, or 2006-01-02 with or without 15:04[:05]
	Until       time.Time // to which recency is measured, exclusive; times without a zone are UTC
	WindowDays  int64     // 0: all that is before Until
	OutcomeDays int64     // 0: no outcome
	Order       string    // column of the order, or empty
	Amount      []string  // column of the amount, or two whose product it is; empty: no amounts
	Positive    []string  // transactions that aren't above 0 in all of these columns are left out: cancellations, returns, gifts
	Distinct    []string  // columns whose different cells are counted

	First        []string    `json:",omitempty"` // columns of which a cell is kept: categories
	Last         []string    `json:",omitempty"`
	MostFrequent []string    `json:",omitempty"`
	Aggregates   []Aggregate `json:",omitempty"`

	// Grouped: all transactions of a customer that count stand together in the file, or it is refused. The rows are the same.
	Grouped bool `json:"-"`
}

// header names the columns of the rows that are made.
func (c *Customers) header() []string {
	names := []string{c.Key, "recency_days", "frequency", "tenure_days"}
	if len(c.Amount) > 0 {
		names = append(names, "monetary", "average_order_value")
	}
	for _, column := range c.Distinct {
		names = append(names, "distinct_"+column)
	}
	for _, take := range []struct {
		prefix  string
		columns []string
	}{{"first_", c.First}, {"last_", c.Last}, {"most_frequent_", c.MostFrequent}} {
		for _, column := range take.columns {
			names = append(names, take.prefix+column)
		}
	}
	for i := range c.Aggregates {
		names = append(names, c.Aggregates[i].names()...)
	}
	if c.OutcomeDays > 0 {
		names = append(names, "returned")
		if len(c.Amount) > 0 {
			names = append(names, "spent")
		}
	}
	return names
}

// check tells what is wrong whatever the file holds.
func (c *Customers) check(b Binding, contract *jobspec.Contract) (wrong []error) {
	if name := b.sourceName(contract.Key); name != c.Key {
		wrong = append(wrong, fmt.Errorf("customers: the contract's key %s is read from %s, the customers' key is %s\nhint: write columns: {%s: %s}",
			contract.Key, show(name), show(c.Key), contract.Key, show(c.Key)))
	}
	for i := range c.Aggregates {
		if err := c.Aggregates[i].check(c); err != nil {
			wrong = append(wrong, fmt.Errorf("customers: aggregates[%d]: %w", i, err))
		}
	}
	first := map[string]bool{}
	for _, name := range c.header() {
		if first[name] {
			wrong = append(wrong, fmt.Errorf("customers: there would be two columns %s\nhint: rename the column in the file, or list it once", show(name)))
		}
		first[name] = true
	}
	return wrong
}

// canonical is what the digest of rows covers of how they were made.
func (c *Customers) canonical() []byte {
	text, err := json.Marshal(c)
	if err != nil {
		panic("source: customers can't be encoded: " + err.Error()) // texts, numbers and a time of years 1 to 9999
	}
	return text
}

// day numbers the date of a time in UTC; Unix seconds.
func day(t int64) int64 {
	if t < 0 {
		return (t+1)/daySeconds - 1
	}
	return t / daySeconds
}

// ParseTime reads a time, by the given layout or, if it is empty, in one of the forms that Customers.Format lists.
func ParseTime(format, text string) (time.Time, error) {
	layouts := pipeline.TimeLayouts()
	if format != "" {
		layouts = []string{format}
	}
	if len(text) <= 64 {
		for _, layout := range layouts {
			t, err := time.Parse(layout, text)
			if t = t.UTC(); err == nil && t.Year() >= 1 && t.Year() <= 9999 {
				return t, nil
			}
		}
	}
	if format != "" {
		return time.Time{}, fmt.Errorf("expected a time such as %s, found %s", show(format), show(text))
	}
	return time.Time{}, fmt.Errorf("expected a time such as 2011-12-09, 2011-12-09 12:50:00 or 2011-12-09T12:50:00Z, found %s", show(text))
}

// CheckFormat checks that a layout says the day, so that times written by it can be read back.
func CheckFormat(format string) error {
	sample := time.Date(2011, 12, 9, 0, 0, 0, 0, time.UTC)
	back, err := time.Parse(format, sample.Format(format))
	if err != nil || !slices.Equal([]int{back.Year(), int(back.Month()), back.Day()}, []int{2011, 12, 9}) {
		return errors.New("the format doesn't say year, month and day")
	}
	return nil
}
