package score

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"tributary/models/pipeline"
)

// Value is a raw value: a number, a text, or missing (the zero Value).
type Value struct {
	text   string
	number float64
	kind   valueKind
}

type valueKind uint8

const (
	missingValue valueKind = iota
	textValue
	numberValue
	timeValue // a date that is read, in Unix seconds: see datesRead
)

// Text is a category's value, or a number as it is written with a decimal point; "" is missing.
func Text(s string) Value {
	if s == "" {
		return Value{}
	}
	return Value{text: s, kind: textValue}
}

// Number is a number; NaN is missing.
func Number(x float64) Value {
	if math.IsNaN(x) {
		return Value{}
	}
	return Value{number: x, kind: numberValue}
}

// UnmarshalJSON reads a number, a string or null.
func (v *Value) UnmarshalJSON(data []byte) error {
	switch {
	case string(data) == "null":
		*v = Value{}
		return nil
	case len(data) > 0 && data[0] == '"':
		var s string
		if err := json.Unmarshal(data, &s); err != nil {
			return err
		}
		*v = Text(s)
		return nil
	}
	x, err := strconv.ParseFloat(string(data), 64)
	if err != nil || len(data) > 0 && data[0] != '-' && (data[0] < '0' || data[0] > '9') {
		return fmt.Errorf("want a number, a string or null, not %s", shown(string(data)))
	}
	*v = Number(x)
	return nil
}

// RecordError says what is wrong with one value of a record, or with the whole record.
type RecordError struct {
	Column        string // empty: the record
	Message, Hint string
}

func (e *RecordError) Error() string {
	text := e.Message
	if e.Column != "" {
		text = fmt.Sprintf("column %q: %s", e.Column, e.Message)
	}
	if e.Hint != "" {
		text += "\nhint: " + e.Hint
	}
	return text
}

// encode gives the encoded column that isn't zero and its value; column none: all are zero. A record's column never has two.
func (c *column) encode(v Value) (at int, x float64, err error) {
	if v.kind == missingValue {
		switch {
		case !c.Nullable:
			return none, 0, &RecordError{c.input(), "the value is missing", "the model was trained on a column that is never missing; fill it in, or leave the record out"}
		case c.Kind == pipeline.Category && c.missing == none:
			return c.other, 1, nil
		}
		return c.missing, 1, nil
	}
	switch {
	case c.date != nil && c.date.Part != pipeline.Days:
		return c.encodePart(v)
	case c.date != nil:
		if x, err = c.seconds(v); err != nil {
			return none, 0, err
		}
		v = Number(c.days(x))
	case c.Kind == pipeline.Category && !c.bucketed:
		if v.kind == numberValue {
			return none, 0, &RecordError{c.Name, "want a category, got a number", "write it in quotes if it is one of the model's values"}
		}
		if c.buckets != nil {
			return c.buckets.encode(c, v)
		}
		if at, known := c.codes[v.text]; known && at != none {
			return at, 1, nil
		}
		return c.other, 1, nil
	}
	if x, err = c.read(v); err != nil {
		return none, 0, err
	}
	if c.bucketed {
		return c.bucket(x), 1, nil
	}
	x = min(max(x, c.lo), c.hi)
	if c.log1p {
		x = pipeline.Log1p(x)
	}
	if c.centred {
		x = min(max((x-c.mean)/c.sd, -c.clip), c.clip)
	}
	return c.number, x, nil
}

// read gives a number within its range.
func (c *column) read(v Value) (x float64, err error) {
	if x = v.number; v.kind == textValue {
		if x, err = strconv.ParseFloat(v.text, 64); err != nil || !numeral(v.text) {
			return 0, &RecordError{c.Name, "want a number, got " + shown(v.text), "write numbers with a decimal point, and nothing for a missing one"}
		}
	}
	if math.IsInf(x, 0) {
		return 0, &RecordError{c.Name, "the number isn't finite", ""}
	}
	return min(max(x, c.Min), c.Max), nil
}

// input is the record's column that a feature is made of.
func (c *column) input() string {
	if c.date != nil {
		return c.date.Column
	}
	return c.Name
}

// Beyond reports whether a value of the column of that index is scored as another: a category that the model doesn't list as
// "other", a number outside its range as the bound.
func (m *Model) Beyond(column int, v Value) bool {
	in := &m.inputs[column]
	c := &m.columns[in.feature]
	switch {
	case v.kind == missingValue:
		return false
	case in.Date:
		at, err := c.seconds(v)
		return err == nil && (at < in.Min || at > in.Max)
	case in.Kind == pipeline.Category:
		_, known := c.codes[v.text]
		return !known && c.buckets == nil
	case v.kind == textValue:
		x, err := strconv.ParseFloat(v.text, 64)
		return err == nil && (x < c.Min || x > c.Max)
	}
	return v.number < c.Min || v.number > c.Max
}

// numeral reports whether a text has only what decimal numbers are written with: ParseFloat alone would read inf, nan and
// hexadecimal.
func numeral(s string) bool { return strings.Trim(s, "0123456789.-+eE") == "" }

// shown quotes at most 40 bytes of a value.
func shown(s string) string {
	if len(s) <= 40 {
		return strconv.Quote(s)
	}
	return strconv.Quote(strings.ToValidUTF8(s[:40], "")) + "…"
}
