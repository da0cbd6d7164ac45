package pipeline

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Parts of a date, in UTC.
const (
	Days    = "days" // since the contract's first date: a number
	Year    = "year"
	Month   = "month"
	Day     = "day"
	Weekday = "weekday"
	Hour    = "hour"
)

// DateParts lists the parts that are categories.
func DateParts() []string { return []string{Year, Month, Day, Weekday, Hour} }

// Date makes a feature of a column of dates. A table has dates as Unix seconds, whole ones; NaN is missing.
type Date struct {
	Column      string // the record's; the feature is called COLUMN.PART
	Part        string
	First, Last string // the contract's dates, 2006-01-02
}

const (
	daySeconds = 24 * 60 * 60
	dateLayout = "2006-01-02"
)

// ParseDate reads a date as days since 1970-01-01; years are 1 to 9999.
func ParseDate(text string) (days int64, err error) {
	t, err := time.Parse(dateLayout, text)
	if err != nil || t.Year() < 1 {
		return 0, fmt.Errorf("%q is not a date such as 2024-02-29", text)
	}
	return dayOf(float64(t.Unix())), nil
}

// FormatDate writes days since 1970-01-01 as a date.
func FormatDate(days int64) string {
	return time.Unix(days*daySeconds, 0).UTC().Format(dateLayout)
}

func dayOf(seconds float64) int64 { return int64(math.Floor(seconds / daySeconds)) }

// check holds a feature to its part: Days are a number or its buckets, with the range that the dates give.
func (d *Date) check(f *Feature) error {
	first, err1 := ParseDate(d.First)
	last, err2 := ParseDate(d.Last)
	switch {
	case err1 != nil || err2 != nil:
		return errors.Join(err1, err2)
	case first > last:
		return fmt.Errorf("the first date %s is after the last, %s", d.First, d.Last)
	case d.Column == "" || f.Name != d.Column+"."+d.Part:
		return fmt.Errorf("the %s of %q is called %q\nhint: call it COLUMN.PART", d.Part, d.Column, f.Name)
	case d.Part == Days && (f.Kind == Number || f.Buckets != nil):
		if f.Min != 0 || f.Max != float64(last-first) {
			return fmt.Errorf("days from %s to %s are not %g..%g", d.First, d.Last, f.Min, f.Max)
		}
		return nil
	case !slices.Contains(DateParts(), d.Part) || f.Kind != Category || f.Buckets != nil || f.Min != 0 || f.Max != 0:
		return fmt.Errorf("%q is no part of a date for such a feature\nhint: days is a number, %s are categories", d.Part, strings.Join(DateParts(), ", "))
	}
	return nil
}

// values of a part that is a category.
func (d *Date) values() (out []string) {
	from, to := int64(0), int64(0)
	switch d.Part {
	case Year:
		first, _ := time.Parse(dateLayout, d.First) // checked
		last, _ := time.Parse(dateLayout, d.Last)
		from, to = int64(first.Year()), int64(last.Year())
	case Month:
		from, to = 1, 12
	case Day:
		from, to = 1, 31
	case Weekday:
		for i := range 7 {
			out = append(out, strings.ToLower(time.Weekday((i+1)%7).String()))
		}
		return out
	case Hour:
		from, to = 0, 23
	}
	for v := from; v <= to; v++ {
		out = append(out, strconv.FormatInt(v, 10))
	}
	return out
}

// Range are the first and the last second of the contract's dates.
func (d *Date) Range() (lo, hi float64) {
	first, _ := ParseDate(d.First)
	last, _ := ParseDate(d.Last)
	return float64(first * daySeconds), float64((last+1)*daySeconds - 1)
}

// Number is the days from the first date to that of a time in Unix seconds, within the dates' range; NaN stays NaN.
func (d *Date) Number(seconds float64) float64 { return d.Numbers()(seconds) }

// Numbers is Number for many times.
func (d *Date) Numbers() func(seconds float64) float64 {
	lo, hi := d.Range()
	first := dayOf(lo)
	return func(seconds float64) float64 {
		if math.IsNaN(seconds) {
			return seconds
		}
		return float64(dayOf(min(max(seconds, lo), hi)) - first)
	}
}

// Code is the index into the feature's values of a time in Unix seconds, within the dates' range; -1: missing.
func (d *Date) Code(seconds float64) int32 { return d.Codes()(seconds) }

// Codes is Code for many times.
func (d *Date) Codes() func(seconds float64) int32 {
	lo, hi := d.Range()
	return func(seconds float64) int32 {
		if math.IsNaN(seconds) {
			return -1
		}
		return d.code(min(max(seconds, lo), hi), lo)
	}
}

func (d *Date) code(seconds, lo float64) int32 {
	t := time.Unix(int64(math.Floor(seconds)), 0).UTC()
	switch d.Part {
	case Year:
		return int32(t.Year() - time.Unix(int64(lo), 0).UTC().Year())
	case Month:
		return int32(t.Month() - 1)
	case Day:
		return int32(t.Day() - 1)
	case Weekday:
		return int32((t.Weekday() + 6) % 7)
	}
	return int32(t.Hour())
}

// Input names the record's column that a feature is made of.
func (f *Feature) Input() string {
	if f.Date != nil {
		return f.Date.Column
	}
	return f.Name
}

// TimeLayouts are the forms in which dates and times are read, as package time lays them out; without a zone they are UTC.
func TimeLayouts() []string {
	return []string{time.DateTime, time.DateOnly, time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02T15:04"}
}

// ParseTime reads a date or a time of years 1 to 9999 as Unix seconds: fractions are cut off.
func ParseTime(text string) (seconds float64, err error) {
	if len(text) <= 64 {
		for _, layout := range TimeLayouts() {
			t, err := time.Parse(layout, text)
			if t = t.UTC(); err == nil && t.Year() >= 1 && t.Year() <= 9999 {
				return float64(t.Unix()), nil
			}
		}
	}
	return 0, errors.New("expected a date such as 2011-12-09, or a time such as 2011-12-09 12:50:00 or 2011-12-09T12:50:00Z")
}
