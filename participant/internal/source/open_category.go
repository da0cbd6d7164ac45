package source

import (
	"fmt"
	"strings"

	"tributary/models/dataset"
	"tributary/models/hashing"
	"tributary/protocol/jobspec"
)

// Cells of open categories are hashed where they are read: from here on a row has a bucket's number, and no text.

// maxOpenBytes bounds a value of an open category, as the contract's listed ones are.
const maxOpenBytes = 256

// openCodes maps the cells that stand for a missing value, and those that the binding maps to another value; all others are
// hashed as they are.
func openCodes(f hashing.Function, mapping map[string]string, missing map[string]bool) map[string]int32 {
	m := map[string]int32{"": dataset.Missing}
	for cell := range missing {
		m[cell] = dataset.Missing
	}
	for cell, v := range mapping {
		m[strings.TrimSpace(cell)] = f.Text(strings.TrimSpace(v))
	}
	return m
}

// bucket reads a cell of an open category that isn't in codes.
func (f *field) bucket(cell string) (int32, *wrong) {
	switch {
	case !hashing.Hashable(cell):
		return 0, &wrong{show(cell) + " is not UTF-8", "save the file as UTF-8: in another encoding the value would have another bucket than at other participants"}
	case len(cell) > maxOpenBytes:
		return 0, &wrong{fmt.Sprintf("%s has %d bytes, at most %d are allowed", show(cell), len(cell), maxOpenBytes), "is this the right column? Free text is no category"}
	}
	return f.hash.Text(cell), nil
}

// checkOpenMapping checks what a binding maps an open category's cells to.
func checkOpenMapping(column, to string) error {
	if v := strings.TrimSpace(to); !hashing.Hashable(v) || len(v) > maxOpenBytes {
		return fmt.Errorf("values: column %s: %s is no value of 1 to %d bytes of UTF-8", column, show(to), maxOpenBytes)
	}
	return nil
}

// openColumn is a contract's column if it is an open category.
func openColumn(c *jobspec.Contract, name string) bool {
	col, ok := c.Column(name)
	return ok && col.Open()
}
