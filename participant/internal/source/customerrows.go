package source

import (
	"cmp"
	"io"
	"slices"
	"strconv"
	"time"
)

// Transactions counts the rows of a file of transactions, each under the first heading that fits.
type Transactions struct {
	Read        int64     `json:"read"`         // all rows of the file
	Where       int64     `json:"where"`        // left out by Binding.Where
	Blank       int64     `json:"blank"`        // without a customer
	NotPositive int64     `json:"not_positive"` // left out by Customers.Positive
	Before      int64     `json:"before"`       // the window
	Counted     int64     `json:"counted"`      // in the customers' features
	Outcome     int64     `json:"outcome"`      // in the outcome's period
	Later       int64     `json:"later"`        // than all that counts
	Absent      int64     `json:"absent"`       // customers, not transactions: those without one that counts, who are no rows
	First       time.Time `json:"first"`        // the earliest and the latest time of Before, Counted, Outcome and Later
	Last        time.Time `json:"last"`
}

// customer is what is kept of one while the file is read. Times are Unix seconds.
type customer struct {
	key             string
	number          int // in the order of the file
	line            int // on which it first appears
	first, last     int64
	frequency       int64
	monetary, spent amount
	distinct        []int64
	returned        bool

	earliest, latest []mark    // by column of First and Last
	tallies          [][]tally // by column of MostFrequent, sorted by cell
	spans            []summed  // by Aggregate
}

// customerRows gives the customers as a table whose header is Customers.header.
type customerRows struct {
	*Customers
	header []string
	list   []*customer
	next   int
	none   string // the cell of a missing value
	until  int64
	counts Transactions
}

// Read gives the next customer's cells, and io.EOF after the last.
func (r *customerRows) Read() ([]string, error) {
	if r.next == len(r.list) {
		return nil, io.EOF
	}
	c := r.list[r.next]
	r.next++
	days := func(t int64) string { return strconv.FormatInt(day(r.until)-day(t), 10) }
	record := []string{c.key, days(c.last), strconv.FormatInt(c.frequency, 10), days(c.first)}
	if len(r.Amount) > 0 {
		mean := float64(c.monetary) / amountUnit / float64(c.frequency)
		record = append(record, c.monetary.String(), strconv.FormatFloat(mean, 'g', -1, 64))
	}
	for _, n := range c.distinct {
		record = append(record, strconv.FormatInt(n, 10))
	}
	for _, m := range append(slices.Clone(c.earliest), c.latest...) {
		record = append(record, cmp.Or(m.cell, r.none))
	}
	for _, t := range c.tallies {
		record = append(record, cmp.Or(mostFrequent(t), r.none))
	}
	for i := range c.spans {
		record = append(record, r.Aggregates[i].cells(&c.spans[i], r.none)...)
	}
	if r.OutcomeDays > 0 {
		record = append(record, map[bool]string{true: "yes", false: "no"}[c.returned])
		if len(r.Amount) > 0 {
			record = append(record, c.spent.String())
		}
	}
	return record, nil
}

// FieldPos gives the line on which the last customer first appears.
func (r *customerRows) FieldPos(int) (line, column int) { return r.list[r.next-1].line, 1 }
