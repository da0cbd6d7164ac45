package jobspec

import (
	"fmt"
	"math"
)

// check reports what is wrong with a contract whatever it was read from.
func (c *Contract) check(report report) {
	if !nameText.MatchString(c.Name) {
		report(show(c.Name)+" is not a name", "use "+nameRule, "name")
	}
	if c.Revision < 1 || c.Revision > maxRevision {
		report(fmt.Sprintf("revision %d is not within 1 to %d", c.Revision, maxRevision), "", "revision")
	}
	if c.MaxRows < 1 || c.MaxRows > maxRows {
		report(fmt.Sprintf("%d rows are not within 1 to %d", c.MaxRows, int64(maxRows)), "", "max_rows")
	}
	if !columnText.MatchString(c.Key) {
		report(show(c.Key)+" is not a column name", "use "+columnRule, "key")
	}
	if c.HasLabel() {
		c.checkLabel(report)
	}
	switch n := len(c.Columns); {
	case n == 0:
		report("there are no columns", "declare at least one", "columns")
	case n > maxColumns:
		report(fmt.Sprintf("%d columns are more than %d", n, maxColumns), "", "columns")
	}
	for i := range c.Columns {
		col := &c.Columns[i]
		path := child("columns", col.Name)
		if !columnText.MatchString(col.Name) {
			report(show(col.Name)+" is not a column name", "use "+columnRule+"; a participant maps it to any name it has", path)
		}
		if i > 0 && c.Columns[i-1].Name >= col.Name {
			report("column "+show(col.Name)+" is not in order", "", path)
		}
		if col.Name == c.Key {
			report("the key can't be a column", "remove it here; it identifies rows and is never learnt from", path, "key")
		}
		if c.HasLabel() && col.Name == c.Label.Column {
			report("the label can't be a column", "remove it here; it is declared under label", path, "label.column")
		}
		col.check(report, path)
	}
}

func (c *Contract) checkLabel(report report) {
	l := c.Label
	if !columnText.MatchString(l.Column) {
		report(show(l.Column)+" is not a column name", "use "+columnRule, "label.column")
	}
	if l.Column == c.Key {
		report("the label and the key are one column", "", "label.column", "key")
	}
	l.check(report)
}

func (c *Column) check(report report, path string) {
	switch c.Kind {
	case Number:
		// JSON and our YAML have no NaN or Inf, so both bounds are finite here.
		if negativeZero(c.Min) || negativeZero(c.Max) {
			report("a bound is -0", "write 0", child(path, "min"))
		}
		for _, bound := range [...]struct {
			key   string
			value float64
		}{{"min", c.Min}, {"max", c.Max}} {
			if math.Abs(bound.value) > maxMagnitude {
				report(fmt.Sprintf("%v is not within ±%v", bound.value, maxMagnitude), "declare the column in a larger unit", child(path, bound.key))
			}
		}
		switch {
		case !(c.Min < c.Max):
			report(fmt.Sprintf("min %v is not below max %v", c.Min, c.Max), "", child(path, "max"), child(path, "min"))
		case c.Max-c.Min < 1/maxMagnitude:
			report(fmt.Sprintf("the range from %v to %v is narrower than %v", c.Min, c.Max, 1/maxMagnitude), "declare the column in a smaller unit", child(path, "max"), child(path, "min"))
		}
		if c.Outside != OutsideClip && c.Outside != OutsideReject {
			report(show(c.Outside)+" is not one of clip, reject", "", child(path, "outside"))
		}
	case Date:
		c.checkDates(report, path)
	case Category:
		if c.Open() {
			c.checkOpen(report, path)
			return
		}
		if c.Other != OtherKeep && c.Other != OtherReject {
			report(show(c.Other)+" is not one of keep, reject", "", child(path, "other"))
		}
		c.checkValues(report, path)
	case Split:
		c.checkValues(report, path)
	default:
		report(show(string(c.Kind))+" is not one of number, date, category, split", "", child(path, "type"))
	}
}

func (c *Column) checkValues(report report, path string) {
	path = child(path, "values")
	if n := len(c.Values); n < 1 || n > maxValues {
		report(fmt.Sprintf("%d values are not within 1 to %d", n, maxValues), "", path)
		return
	}
	seen := make(map[string]int, len(c.Values))
	for i, v := range c.Values {
		checkValue(report, item(path, i), v)
		if c.Kind == Category && v == "other" {
			report(`the value "other" stands for unlisted and rare values`, "name it differently; a participant's binding can map it", item(path, i))
		}
		if first, twice := seen[v]; twice {
			report(fmt.Sprintf("value %s is listed twice, first as number %d", show(v), first+1), "remove one of them", item(path, i))
			continue
		}
		seen[v] = i
	}
}

// negativeZero reports a second encoding of 0.
func negativeZero(f float64) bool { return f == 0 && math.Signbit(f) }

func checkValue(report report, path, v string) {
	switch {
	case v == "":
		report("the value is empty", "an empty cell is a missing value: use nullable", path)
	case len(v) > maxValueBytes:
		report(fmt.Sprintf("value %s has %d bytes, at most %d are allowed", show(v), len(v), maxValueBytes), "", path)
	case !printable(v):
		report("value "+show(v)+" has control characters or is not UTF-8", "", path)
	}
}
