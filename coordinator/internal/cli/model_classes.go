package cli

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

const (
	mostShown  = 12 // classes that have a place in a table on a terminal
	mostSurest = 20 // coefficients that are shown of more classes
)

// byClass is a column's coefficients, one without classes, and their tests where there are any.
type byClass struct {
	name   string
	values []float64
	tests  []*wald // by class; nil: none
}

// test is of a model without classes.
func (c byClass) test() *wald {
	if len(c.tests) != 1 {
		return nil
	}
	return c.tests[0]
}

// showClasses prints a table of coefficients, a column for each class, with the tests below each line. Of many classes it
// prints the surest coefficients, one a line.
func (m *exported) showClasses(w io.Writer) {
	if len(m.Classes) > mostShown {
		if m.TestNote != "" {
			m.showSurest(w)
		}
		fmt.Fprintf(w, "Coefficients and confusion matrix of %d classes: tributary model export.\n", len(m.Classes))
		return
	}
	head := strings.Join(m.Classes, " | ")
	if len(m.Metrics.Confusion) > 0 {
		var rows [][]string
		for i, counts := range m.Metrics.Confusion {
			row := []string{m.Classes[i]}
			for _, n := range counts {
				row = append(row, fmt.Sprint(n))
			}
			rows = append(rows, row)
		}
		table(w, "HELD OUT \\ PREDICTED | "+head, rows)
		fmt.Fprintln(w)
	}
	rows := byClass{"(intercept)", m.Intercepts, m.Tests}.rows()
	var rest []string
	for _, c := range m.Columns {
		if c.Buckets != nil {
			shown, more := m.largest(c.Buckets, c.Feature)
			for _, b := range shown {
				rows = append(rows, b.rows()...)
			}
			rest = append(rest, more)
			continue
		}
		rows = append(rows, byClass{c.Name, c.ByClass, c.Tests}.rows()...)
	}
	table(w, "COLUMN | "+head, rows)
	note(w, rest)
}

// rows are the coefficients, and with tests a line each for errors, z and p values; empty where a class has none.
func (c byClass) rows() [][]string {
	line := []string{c.name}
	for _, v := range c.values {
		line = append(line, fmt.Sprintf("%.6g", v))
	}
	rows := [][]string{line}
	if len(c.tests) == 0 {
		return rows
	}
	for i, name := range []string{"  std error", "  z", "  p"} {
		line := []string{name}
		for _, t := range c.tests {
			line = append(line, t.cells()[i])
		}
		rows = append(rows, line)
	}
	return rows
}

// showSurest prints the coefficients with the largest |z| of all columns and classes.
func (m *exported) showSurest(w io.Writer) {
	type cell struct {
		column, class string
		value         float64
		test          *wald
	}
	var cells []cell
	add := func(c byClass) {
		for k, t := range c.tests {
			if t != nil && k < len(c.values) && k < len(m.Classes) {
				cells = append(cells, cell{c.name, m.Classes[k], c.values[k], t})
			}
		}
	}
	for _, c := range m.Columns {
		add(byClass{c.Name, c.ByClass, c.Tests})
		if c.Buckets != nil {
			for i := range c.Buckets.Kept {
				add(m.bucket(c.Buckets, c.Feature, i))
			}
		}
	}
	slices.SortStableFunc(cells, func(a, b cell) int { return cmp.Compare(math.Abs(b.test.Z), math.Abs(a.test.Z)) })
	var rows [][]string
	for _, c := range cells[:min(len(cells), mostSurest)] {
		rows = append(rows, append([]string{c.column, c.class, fmt.Sprintf("%.6g", c.value)}, c.test.cells()...))
	}
	table(w, "COLUMN | CLASS | COEFFICIENT | STD ERROR | Z | P", rows)
	fmt.Fprintf(w, "The %d largest |z| of %d coefficients with a test. ", len(rows), len(cells))
}
