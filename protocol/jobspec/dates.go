package jobspec

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// transformDays makes a number of a date: the days since the contract's first.
const transformDays = "days"

const dateLayout = "2006-01-02"

// dateParts are the parts of a date that are categories, with how many values each has; 0: by the contract's years.
var dateParts = []struct {
	name   string
	values int
}{{"year", 0}, {"month", 12}, {"day", 31}, {"weekday", 7}, {"hour", 24}}

func datePartNames() (names []string) {
	for _, p := range dateParts {
		names = append(names, p.name)
	}
	return names
}

// DatePart says which part of which column of dates a feature is, and which dates the contract allows.
type DatePart struct {
	Column string `json:"column"`
	Part   string `json:"part"`
	First  string `json:"first"`
	Last   string `json:"last"`
}

// count is the number of values of a part that is a category.
func (d *DatePart) count() int {
	for _, p := range dateParts {
		if p.name == d.Part && p.values > 0 {
			return p.values
		}
	}
	first, _ := parseDate(d.First)
	last, _ := parseDate(d.Last)
	return max(last.Year()-first.Year()+1, 0)
}

// parseDate reads a date of years 1 to 9999.
func parseDate(s string) (time.Time, bool) {
	t, err := time.Parse(dateLayout, s)
	return t, err == nil && t.Year() >= 1
}

// daysBetween is the number of days from the first date to the last.
func daysBetween(first, last string) float64 {
	a, _ := parseDate(first)
	b, _ := parseDate(last)
	return float64((b.Unix() - a.Unix()) / 86400)
}

// dates sets the range of a column of dates, in Unix seconds, to the whole of its first and last day.
func (c *Column) dates(first, last string) {
	c.First, c.Last = first, last
	a, _ := parseDate(first)
	b, _ := parseDate(last)
	c.Min, c.Max = float64(a.Unix()), float64(b.Unix()+86400-1)
}

// date reads a contract's date.
func (d *document) date(v value) string {
	s, ok := d.text(v)
	if _, valid := parseDate(s); ok && !valid {
		d.at(v.path, v.at, show(s)+" is not a date", "write it like 2024-02-29")
		return ""
	}
	return s
}

func (c *Column) checkDates(report report, path string) {
	_, okFirst := parseDate(c.First)
	_, okLast := parseDate(c.Last)
	switch {
	case !okFirst || !okLast:
		report(fmt.Sprintf("%s and %s are not two dates", show(c.First), show(c.Last)), "write them like 2024-02-29", child(path, "min"))
	case c.First > c.Last: // as texts: years have four digits
		report(fmt.Sprintf("min %s is after max %s", c.First, c.Last), "", child(path, "max"), child(path, "min"))
	}
	if c.Outside != OutsideClip && c.Outside != OutsideReject {
		report(show(c.Outside)+" is not one of clip, reject", "", child(path, "outside"))
	}
}

// Numeric reports whether a table has the column as numbers: those of dates are Unix seconds.
func (c *Column) Numeric() bool { return c.Kind == Number || c.Kind == Date }

// bound is a column's least or largest value in JSON: a number, or a date in quotes.
type bound struct {
	number float64
	date   string
}

func numberBound(x *float64) *bound { return &bound{number: *x} }
func dateBound(s string) *bound     { return &bound{date: s} }

func (b bound) MarshalJSON() ([]byte, error) {
	if b.date != "" {
		return json.Marshal(b.date)
	}
	return json.Marshal(b.number)
}

func (b *bound) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		return json.Unmarshal(data, &b.date)
	}
	return json.Unmarshal(data, &b.number)
}

// bounds gives a column what its JSON says of its range.
func (c *Column) bounds(low, high bound) {
	if c.Kind == Date {
		c.dates(low.date, high.date)
		return
	}
	c.Min, c.Max = low.number, high.number
}

// dateParts reads the parts of a date that a group asks for.
func (d *document) dateParts(v value) (out []string) {
	list, ok := d.items(v)
	if ok && len(list) == 0 {
		d.at(v.path, v.at, "there are no parts", "list some of "+strings.Join(datePartNames(), ", "))
	}
	for _, e := range list {
		part, ok := d.choice(e, datePartNames()...)
		if ok && slices.Contains(out, part) {
			d.at(e.path, e.at, part+" is listed twice", "remove one of them")
		}
		out = append(out, part)
	}
	return out
}

// dateFeatures are the parts and the days of a column of dates.
func dateFeatures(kind string, g FeatureSpec, col *Column, group, path string, report report) (out []Feature) {
	days := len(g.Transforms) > 0 && g.Transforms[0] == transformDays
	const hint = "write date_parts: [year, month, weekday], or a transform that begins with days, such as [days, standardize]"
	switch {
	case !days && (len(g.Transforms) > 0 || g.Buckets != nil || g.Quantiles != nil):
		report("column "+col.Name+" is a date; numbers are made of it by days", hint, path, child(group, "transform"))
		return nil
	case !days && len(g.DateParts) == 0:
		report("column "+col.Name+" is a date and needs days or date_parts", hint, path)
		return nil
	}
	name := func(part string) (string, bool) {
		s := col.Name + "." + part
		if !columnText.MatchString(s) {
			report("the feature "+show(s)+" has too long a name", "rename the column in the contract", path)
			return s, false
		}
		return s, true
	}
	for _, part := range g.DateParts {
		if s, ok := name(part); ok {
			out = append(out, Feature{Name: s, Kind: kindDatePart, Nullable: col.Nullable, MissingIndicator: g.MissingIndicator && col.Nullable, MinCount: g.MinCount,
				Date: &DatePart{col.Name, part, col.First, col.Last}})
		}
	}
	s, ok := name(transformDays)
	if !days || !ok {
		return out
	}
	if col.First == col.Last {
		report("the contract allows "+col.Name+" one day only: there are no days to count", "remove days, or widen the contract's range", path)
		return out
	}
	g.Transforms = g.Transforms[1:]
	number := &Column{Name: s, Kind: Number, Max: daysBetween(col.First, col.Last), Outside: OutsideClip, Nullable: col.Nullable}
	for _, f := range oneFeature(kind, g, number, group, path, report) {
		f.Date = &DatePart{col.Name, transformDays, col.First, col.Last}
		out = append(out, f)
	}
	return out
}

// check checks a date that was read from JSON against its feature.
func (d *DatePart) check(report report, path string, f *Feature) {
	path = child(path, "date")
	col := Column{Kind: Date, First: d.First, Last: d.Last, Outside: OutsideClip}
	before := true
	col.check(func(message, hint string, paths ...string) { before = false; report(message, hint, path) }, path)
	if !before {
		return
	}
	switch {
	case !columnText.MatchString(d.Column) || f.Name != d.Column+"."+d.Part:
		report(fmt.Sprintf("the %s of %s is not called %s", d.Part, show(d.Column), show(f.Name)), "", path)
	case d.Part == transformDays && (f.Kind == Number || f.Kind == kindBuckets):
		if days := daysBetween(d.First, d.Last); f.Min != 0 || f.Max != days {
			report(fmt.Sprintf("days from %s to %s are 0 to %v, not %v to %v", d.First, d.Last, days, f.Min, f.Max), "", path)
		}
	case !slices.Contains(datePartNames(), d.Part) || f.Kind != kindDatePart:
		report(show(d.Part)+" is no part of a date for such a feature", "", child(path, "part"))
	}
}
