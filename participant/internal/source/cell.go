package source

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"tributary/models/dataset"
	"tributary/protocol/jobspec"
)

// wrong is what is to be told of a cell.
type wrong struct{ message, hint string }

// number reads a cell of a number column: NaN if it is missing, within the
// contract's range otherwise. The rest is filled in if the cell is wrong.
func (f *field) number(cell string) (float64, *wrong) {
	if f.absent.has(cell) {
		if !f.column.Nullable {
			return 0, f.notNullable(cell)
		}
		return math.NaN(), nil
	}
	if f.column.Kind == jobspec.Date {
		return f.date(cell)
	}
	if !numeral(cell) {
		return 0, f.notNumber(cell)
	}
	v, err := strconv.ParseFloat(cell, 64)
	if math.IsInf(v, 0) {
		return 0, &wrong{fmt.Sprintf("%s is too large for a 64-bit number", show(cell)), "correct it in the source"}
	}
	if err != nil {
		return 0, f.notNumber(cell)
	}
	if low, high := f.column.Min, f.column.Max; v < low || v > high {
		if f.column.Outside == jobspec.OutsideReject {
			return 0, &wrong{fmt.Sprintf("%s is outside the contract's range from %v to %v", show(cell), low, high),
				"the contract rejects such rows (outside: reject); correct the value or leave the row out with where"}
		}
		v = min(max(v, low), high)
	}
	return v + 0, nil // -0 becomes 0
}

// numeral reports whether a cell has only what decimal numbers are written with:
// ParseFloat alone would read inf, nan and hexadecimal.
func numeral(cell string) bool {
	for i := 0; i < len(cell); i++ {
		switch c := cell[i]; {
		case c >= '0' && c <= '9', c == '.', c == '-', c == '+', c == 'e', c == 'E':
		default:
			return false
		}
	}
	return cell != ""
}

func (f *field) notNumber(cell string) *wrong {
	w := &wrong{"expected a number, found " + show(cell), "correct it in the source, or list it under missing if it stands for a missing value"}
	switch lower := strings.ToLower(strings.TrimLeft(cell, "+-")); {
	case cell == "":
		w.hint = `list "" under missing if an empty cell stands for a missing value`
	case lower == "nan" || lower == "inf" || lower == "infinity":
		w.message = "expected a finite number, found " + show(cell)
	case strings.Count(cell, ",") == 1 && numeral(strings.Replace(cell, ",", ".", 1)):
		w.hint = "write numbers with a decimal point and without separators of thousands"
	}
	return w
}

func (f *field) notNullable(cell string) *wrong {
	return &wrong{"the value is missing (" + show(cell) + "), but the contract's column is not nullable",
		"fill it in, leave the row out with where, or agree on nullable: true in the contract"}
}

// code reads a cell of a category or a split.
func (f *field) code(cell string) (int32, *wrong) {
	code, ok := f.codes[cell]
	if !ok && f.column.Open() {
		return f.bucket(cell)
	}
	if !ok {
		code = f.other
	}
	switch {
	case code == unlisted:
		hint := fmt.Sprintf("map it in the binding: values: {%s: {%s: %s}}", f.name, show(cell), show(f.column.Values[0]))
		if f.column.Kind == jobspec.Category {
			hint += ", or agree on other: keep in the contract"
		}
		return 0, &wrong{fmt.Sprintf("%s is not a value of the contract's column %s (%s)", show(cell), f.name, listed(f.column.Values)), hint}
	case code == dataset.Missing && f.column.Kind == jobspec.Split:
		return 0, &wrong{"the split is missing (" + show(cell) + ")", "every row belongs to one of " + listed(f.column.Values)}
	case code == dataset.Missing && !f.column.Nullable:
		return 0, f.notNullable(cell)
	}
	return code, nil
}

// target reads a label that is a number, which is never missing.
func (f *field) target(cell string) (float64, *wrong) {
	if f.absent.has(cell) {
		return 0, &wrong{"the label is missing (" + show(cell) + ")", "leave rows without a label out with where"}
	}
	return f.number(cell)
}

// class reads the label: the index of its value among the contract's.
func (f *field) class(cell string, l jobspec.Label) (int32, *wrong) {
	code, ok := f.codes[cell]
	switch {
	case ok && code == dataset.Missing:
		return 0, &wrong{"the label is missing (" + show(cell) + ")", "leave rows without a label out with where"}
	case !ok && l.Classes != nil:
		return 0, &wrong{fmt.Sprintf("the label is %s, none of the contract's classes (%s)", show(cell), listed(l.Classes)),
			fmt.Sprintf("map it in the binding: values: {%s: {%s: %s}}", f.name, show(cell), show(l.Classes[0]))}
	case !ok:
		return 0, &wrong{fmt.Sprintf("the label is %s, neither %s nor %s", show(cell), show(l.Positive), show(l.Negative)),
			fmt.Sprintf("map it in the binding: values: {%s: {%s: %s}}", f.name, show(cell), show(l.Positive))}
	}
	return code, nil
}

func listed(values []string) string {
	if len(values) > 8 {
		return strings.Join(values[:8], ", ") + ", …"
	}
	return strings.Join(values, ", ")
}
