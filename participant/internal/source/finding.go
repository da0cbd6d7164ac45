package source

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"tributary/protocol/jobspec"
)

var (
	// ErrEmpty is wrapped when no row passes the filters.
	ErrEmpty = errors.New("there are no rows")
	// ErrInvalid is wrapped by a DataError.
	ErrInvalid = errors.New("the data don't fit the contract")
)

const (
	maxFindings  = 20 // told in one error
	maxShownCell = 40 // bytes of a cell that a message shows
)

// Finding is one thing that is wrong in a file.
type Finding struct {
	Row     int    // as a person counts, the header being row 1
	Column  string // as the source calls it; empty for the whole row
	Message string // what was found and what was expected
	Hint    string // may be empty
}

// DataError lists what is wrong in a file, at most the first 20 findings.
type DataError struct {
	File     string
	Findings []Finding
	More     int // findings that aren't listed
}

// Error tells every listed finding on its own line, a repeated hint only once.
func (e *DataError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %v", e.File, ErrInvalid)
	told := make(map[string]bool)
	for _, f := range e.Findings {
		fmt.Fprintf(&b, "\nrow %d", f.Row)
		if f.Column != "" {
			fmt.Fprintf(&b, ", column %s", f.Column)
		}
		b.WriteString(": " + f.Message)
		if f.Hint != "" && !told[f.Hint] {
			told[f.Hint] = true
			b.WriteString("\nhint: " + f.Hint)
		}
	}
	if e.More > 0 {
		fmt.Fprintf(&b, "\nand %d more", e.More)
	}
	return b.String()
}

// Unwrap returns ErrInvalid.
func (e *DataError) Unwrap() error { return ErrInvalid }

// Add adds a finding, or counts it.
func (e *DataError) Add(f Finding) {
	if len(e.Findings) == maxFindings {
		e.More++
		return
	}
	e.Findings = append(e.Findings, f)
}

// show quotes a cell, at most 40 bytes of it.
func show(s string) string {
	if len(s) <= maxShownCell {
		return strconv.Quote(s)
	}
	cut := maxShownCell
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return strconv.Quote(s[:cut]) + "…"
}

// near is the hint for a misspelt name.
func near(name string, names []string) string {
	if found := jobspec.Nearest(name, names); len(found) > 0 {
		return "\nhint: did you mean " + strings.Join(found, " or ") + "?"
	}
	if len(names) > 12 {
		return "\nhint: known are " + strings.Join(names[:12], ", ") + ", …"
	}
	return "\nhint: known are " + strings.Join(names, ", ")
}

// ordered ranges over a map in the order of its keys.
func ordered[K cmp.Ordered, V any](m map[K]V) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if !yield(k, m[k]) {
				return
			}
		}
	}
}
