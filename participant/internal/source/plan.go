package source

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"tributary/models/dataset"
	"tributary/models/hashing"
	"tributary/protocol/jobspec"
)

// unlisted is the code of a cell that the contract doesn't know.
const unlisted int32 = -2

// plan says for one file where each of the contract's columns is and how its
// cells are read.
type plan struct {
	key     field
	label   field   // if the contract has one
	columns []field // in the contract's order
	filters filters
}

// field reads one column of the contract.
type field struct {
	name   string // the contract's
	source string // the file's
	index  int    // of the cell in a row
	column *jobspec.Column
	codes  map[string]int32 // cells of the label, a category or a split
	other  int32            // the code of an unlisted cell
	absent absent           // cells of a number that stand for a missing value
	hash   hashing.Function // of an open category, for cells that aren't in codes
}

type filter struct {
	index int
	in    map[string]bool
}

type filters []filter

// newFilter looks for one of b.Where in the cell at index.
func newFilter(w Filter, index int) filter {
	f := filter{index: index, in: make(map[string]bool)}
	for _, v := range w.In {
		f.in[strings.TrimSpace(v)] = true
	}
	return f
}

// absent is the set of missing cells. Most cells are ruled out by their first
// byte, without a look-up.
type absent struct {
	cells map[string]bool
	first [256]bool
	empty bool
}

func newAbsent(cells map[string]bool) absent {
	a := absent{cells: cells, empty: cells[""]}
	for c := range cells {
		if c != "" {
			a.first[c[0]] = true
		}
	}
	return a
}

func (a *absent) has(cell string) bool {
	if cell == "" {
		return a.empty
	}
	return a.first[cell[0]] && a.cells[cell]
}

// newPlan finds every column in the header. The error wraps ErrHeader and names
// all that are missing, with names that look alike.
func newPlan(b Binding, c *jobspec.Contract, header []string) (*plan, error) {
	var wrong []error
	locate := func(contractName string) int {
		name := b.sourceName(contractName)
		i := slices.Index(header, name)
		if i < 0 {
			what := show(name)
			if name != contractName {
				what += " (for " + contractName + ")"
			}
			hint := near(name, header)
			if len(header) == 1 && strings.ContainsAny(header[0], ",;|\t") {
				hint = "\nhint: the header is one column; is the separator right?"
			}
			wrong = append(wrong, fmt.Errorf("row 1: there is no column %s%s", what, hint))
		}
		return i
	}
	missing := b.missing()
	p := &plan{
		key: field{name: c.Key, source: b.sourceName(c.Key), index: locate(c.Key)},
	}
	if c.HasLabel() {
		p.label = field{name: c.Label.Column, source: b.sourceName(c.Label.Column), index: locate(c.Label.Column), other: unlisted}
		if n := c.Label.NumberLabel; n != nil {
			p.label.column = &jobspec.Column{Name: c.Label.Column, Kind: jobspec.Number, Min: n.Min, Max: n.Max, Outside: n.Outside}
			p.label.absent = newAbsent(missing)
		} else {
			p.label.codes = codes(c.Label.Values(), b.Values[c.Label.Column], missing)
		}
	}
	for i := range c.Columns {
		col := &c.Columns[i]
		f := field{name: col.Name, source: b.sourceName(col.Name), index: locate(col.Name), column: col, other: unlisted}
		if col.Numeric() {
			f.absent = newAbsent(missing)
		} else if col.Open() {
			f.hash = hashing.New(col.Name, int(col.Buckets))
			f.codes = openCodes(f.hash, b.Values[col.Name], missing)
		} else {
			f.codes = codes(col.Values, b.Values[col.Name], missing)
			if col.Other == jobspec.OtherKeep {
				f.other = int32(len(col.Values))
			}
		}
		p.columns = append(p.columns, f)
	}
	for i, w := range b.Where {
		index := slices.Index(header, strings.TrimSpace(w.Column))
		if index < 0 && slices.Contains(contractNames(c), w.Column) {
			index = slices.Index(header, b.sourceName(w.Column))
		}
		if index < 0 {
			wrong = append(wrong, fmt.Errorf("row 1: there is no column %s, by which where[%d] filters%s", show(w.Column), i, near(w.Column, header)))
			continue
		}
		p.filters = append(p.filters, newFilter(w, index))
	}
	if len(wrong) > 0 {
		return nil, fmt.Errorf("%w:\n%w", ErrHeader, errors.Join(wrong...))
	}
	return p, nil
}

// codes maps a file's cells to the index of a contract's value: by name, then
// missing cells, then the binding's mapping, the later the stronger.
func codes(values []string, mapping map[string]string, missing map[string]bool) map[string]int32 {
	m := make(map[string]int32, len(values)+len(mapping)+len(missing))
	for i, v := range values {
		m[v] = int32(i)
	}
	for cell := range missing {
		m[cell] = dataset.Missing
	}
	for cell, v := range mapping {
		i := slices.Index(values, v)
		if i < 0 {
			i = len(values) // "other": Binding.Check allows nothing else
		}
		m[strings.TrimSpace(cell)] = int32(i)
	}
	return m
}

// keep reports whether a row passes all filters.
func (all filters) keep(record []string) bool {
	for i := range all {
		f := &all[i]
		if f.index >= len(record) || !f.in[strings.TrimSpace(record[f.index])] {
			return false
		}
	}
	return true
}
