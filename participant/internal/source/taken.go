package source

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// mark is the cell of a customer's earliest or latest transaction so far; of two at one time, the first by its bytes.
type mark struct {
	at    int64
	cell  string
	known bool
}

// tally counts a customer's transactions with one cell.
type tally struct {
	cell string
	rows int64
}

// takes are the columns of which a customer keeps a cell, and where they are in a record.
type takes struct {
	first, last, frequent []int
	words                 map[string]string // each different cell once
}

// cell is a record's cell as it is kept; "" if it is missing.
func (a *aggregator) cell(record []string, at int) string {
	text := record[at]
	if text == "" || a.missing[text] {
		return ""
	}
	kept, ok := a.takes.words[text]
	if !ok {
		kept = strings.Clone(text)
		a.takes.words[kept] = kept
	}
	return kept
}

// checkTaken refuses a cell that is too long to be a value.
func (a *aggregator) checkTaken(record []string) (column string, w *wrong) {
	for _, list := range [][]int{a.takes.first, a.takes.last, a.takes.frequent} {
		for _, at := range list {
			if n := len(record[at]); n > maxKeyBytes {
				return a.in.Header[at], &wrong{fmt.Sprintf("the value has %d bytes, at most %d", n, maxKeyBytes), "is this the right column, and are all quotes closed?"}
			}
		}
	}
	return "", nil
}

// take keeps a counted transaction's cells.
func (a *aggregator) take(c *customer, t int64, record []string) {
	for i, at := range a.takes.first {
		c.earliest[i].put(a.cell(record, at), t, -1)
	}
	for i, at := range a.takes.last {
		c.latest[i].put(a.cell(record, at), t, 1)
	}
	for i, at := range a.takes.frequent {
		cell := a.cell(record, at)
		if cell == "" {
			continue
		}
		k, ok := slices.BinarySearchFunc(c.tallies[i], cell, func(t tally, cell string) int { return strings.Compare(t.cell, cell) })
		if !ok {
			c.tallies[i] = slices.Insert(c.tallies[i], k, tally{cell: cell})
		}
		c.tallies[i][k].rows++
	}
}

// put replaces the mark by a cell of a time that is earlier (direction -1) or later (1).
func (m *mark) put(cell string, t int64, direction int) {
	if cell == "" {
		return
	}
	order := cmp.Compare(t, m.at) * direction
	if !m.known || order > 0 || order == 0 && cell < m.cell {
		*m = mark{t, cell, true}
	}
}

// mostFrequent is the cell with the most transactions, the first by its bytes if several have as many; "" if there is none.
func mostFrequent(sorted []tally) string {
	best := tally{}
	for _, t := range sorted {
		if t.rows > best.rows {
			best = t
		}
	}
	return best.cell
}
