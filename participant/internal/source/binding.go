package source

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"tributary/protocol/jobspec"
)

// Binding says how a source's columns and values become the contract's.
type Binding struct {
	Contract  string                       // NAME@REVISION
	ID        string                       // the source's stable name
	File      string                       // path of a CSV file, gzipped or not, or of a Parquet file
	Separator rune                         // 0: a comma
	Missing   []string                     // cells that stand for a missing value; nil: the empty cell
	Columns   map[string]string            // contract name → source name, where they differ
	Values    map[string]map[string]string // contract column → source value → contract value; for the label, categories and splits
	Where     []Filter                     // only rows that pass all of these are read
	Customers *Customers                   // nil: the file's rows are the contract's; otherwise they are transactions
}

// Filter keeps the rows whose cell is one of a few values, as the source writes
// them.
type Filter struct {
	Column string // a source name, or a contract name where there are no Customers
	In     []string
}

// ErrBinding is wrapped by every error of a binding that doesn't fit its
// contract, whatever the file holds.
var ErrBinding = errors.New("the binding doesn't fit the contract")

// sourceName returns what the source calls a contract's column.
func (b Binding) sourceName(contractName string) string {
	if name, ok := b.Columns[contractName]; ok {
		return strings.TrimSpace(name)
	}
	return contractName
}

// missing returns the cells that stand for a missing value.
func (b Binding) missing() map[string]bool {
	if b.Missing == nil {
		return map[string]bool{"": true}
	}
	tokens := make(map[string]bool, len(b.Missing))
	for _, m := range b.Missing {
		tokens[strings.TrimSpace(m)] = true
	}
	return tokens
}

// Check reports all that is wrong with a binding without reading the source. The
// error wraps ErrBinding.
func (b Binding) Check(c *jobspec.Contract) error {
	var wrong []error
	add := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	if b.Contract != c.ID() {
		add("binding %s is for contract %s, not for %s", b.ID, b.Contract, c.ID())
	}
	if b.File == "" {
		add("no file is named\nhint: write source: {csv: PATH}")
	}
	switch s := b.Separator; {
	case s == 0:
	case s == '"' || s == '\r' || s == '\n' || s == utf8.RuneError || !utf8.ValidRune(s):
		add("%q can't separate columns\nhint: use \",\", \";\", \"|\" or a tab", s)
	}
	names := contractNames(c)
	for name, from := range ordered(b.Columns) {
		if !slices.Contains(names, name) {
			add("columns: contract %s has no column %s%s", c.ID(), show(name), near(name, names))
		}
		if strings.TrimSpace(from) == "" {
			add("columns: the source's name for %s is empty", name)
		}
	}
	for column, mapping := range ordered(b.Values) {
		allowed, mappable := mappedValues(c, column)
		switch {
		case !slices.Contains(names, column):
			add("values: contract %s has no column %s%s", c.ID(), show(column), near(column, names))
			continue
		case !mappable:
			add("values: column %s is neither the label nor a category nor a split\nhint: prepare numbers, dates and keys in the source itself", column)
			continue
		}
		for from, to := range ordered(mapping) {
			if openColumn(c, column) {
				if err := checkOpenMapping(column, to); err != nil {
					wrong = append(wrong, err)
				}
				continue
			}
			if !slices.Contains(allowed, to) {
				add("values: column %s: %s is mapped to %s, which the contract doesn't list%s", column, show(from), show(to), near(to, allowed))
			}
		}
	}
	if b.Customers != nil {
		wrong = append(wrong, b.Customers.check(b, c)...)
	}
	for i, f := range b.Where {
		if f.Column == "" || len(f.In) == 0 {
			add("where[%d]: a filter needs a column and at least one value\nhint: write {column: NAME, in: [VALUE]}", i)
		}
	}
	from := make(map[string]string)
	for _, name := range names {
		if first, twice := from[b.sourceName(name)]; twice {
			add("columns: %s and %s are both read from the source's column %s\nhint: the key and the label must not come back as features", first, name, show(b.sourceName(name)))
		}
		from[b.sourceName(name)] = name
	}
	wrong = append(wrong, b.ambiguous(c)...)
	if len(wrong) > 0 {
		return fmt.Errorf("%w:\n%w", ErrBinding, errors.Join(wrong...))
	}
	return nil
}

// ambiguous finds cells that would stand both for a missing value and for a value
// that the contract lists, such as NA for Namibia.
func (b Binding) ambiguous(c *jobspec.Contract) (wrong []error) {
	missing := b.missing()
	for _, name := range contractNames(c) {
		allowed, _ := mappedValues(c, name)
		for _, v := range allowed {
			if _, explicit := b.Values[name][v]; missing[v] && !explicit {
				wrong = append(wrong, fmt.Errorf("missing: %s is also a value of column %s\nhint: take it off the list, or map it: values: {%s: {%s: %s}}", show(v), name, name, v, v))
			}
		}
	}
	return wrong
}

// contractNames returns the key's, all columns' and, if there is one, the label's names.
func contractNames(c *jobspec.Contract) []string {
	names := []string{c.Key}
	if c.HasLabel() {
		names = append(names, c.Label.Column)
	}
	for _, col := range c.Columns {
		names = append(names, col.Name)
	}
	return names
}

// mappedValues returns the contract's values of a column that may be mapped.
func mappedValues(c *jobspec.Contract, column string) ([]string, bool) {
	if c.HasLabel() && column == c.Label.Column && c.Label.NumberLabel == nil {
		return c.Label.Values(), true
	}
	if col, ok := c.Column(column); ok && !col.Numeric() {
		if col.Kind == jobspec.Category && col.Other == jobspec.OtherKeep {
			return append(slices.Clone(col.Values), "other"), true
		}
		return col.Values, true
	}
	return nil, false
}
