package score

import (
	"math"
	"slices"
	"strings"

	"tributary/models/pipeline"
)

// input is a record's column, and the features that are made of it.
type input struct {
	Column
	feature int // the first
}

// derived is what a feature of buckets or of a date has beside what others have.
type derived struct {
	date     *pipeline.Date
	days     func(seconds float64) float64
	part     func(seconds float64) int32
	bucketed bool
	edges    []float64
	places   []int // encoded column of each bucket, or none: other
	lo, hi   float64
	from     int // index of the record's column
}

// readDate reads what part of which column a feature is.
func (c *column) readDate(o *object) {
	if *o.err != nil || !o.has("date") {
		return
	}
	d := o.object("date")
	d.only("column", "part", "first", "last")
	c.date = &pipeline.Date{Column: d.text("column"), Part: d.text("part"), First: d.text("first"), Last: d.text("last")}
	if *o.err != nil {
		return
	}
	f := pipeline.Feature{Name: c.Name, Kind: c.Kind, Date: c.date}
	if c.bucketed || c.Kind == pipeline.Number {
		f.Min, f.Max, f.Clip = c.Min, c.Max, 1
	}
	if f.Kind == pipeline.Number {
		f.Log1p = c.log1p
	}
	if c.bucketed {
		f.Buckets = &pipeline.Buckets{Quantiles: 2} // any will do
		f.Clip = 0
	} else if f.Kind == pipeline.Category {
		f.Clip = 0
	}
	spec, err := pipeline.NewSpec([]pipeline.Feature{f})
	switch {
	case err != nil:
		d.fail("part", "%v", err)
	case !c.bucketed && c.Kind == pipeline.Category && !slices.Equal(spec.Features()[0].Values, c.Values):
		d.fail("part", "%q has other values than a %s", c.Name, c.date.Part)
	default:
		c.days, c.part = c.date.Numbers(), c.date.Codes()
	}
}

// readBucket adds the next bucket of a feature.
func (c *column) readBucket(o *object, at int) {
	b := o.object("bucket")
	b.only("from", "to")
	n := len(c.places)
	switch last := len(c.edges) - 1; {
	case *o.err != nil:
	case b.has("from") != (n > 0) || n > 0 && (len(c.edges) != n || b.number("from", pipeline.MaxMagnitude) != c.edges[last]):
		b.fail("from", "want the bucket before's to, nothing in the first")
	case b.has("to"):
		to := b.number("to", pipeline.MaxMagnitude)
		if *o.err == nil && n > 0 && to < c.edges[last] {
			b.fail("to", "%g is below from", to)
		}
		c.edges = append(c.edges, to)
	}
	c.places = append(c.places, at)
}

// endBuckets checks that buckets are all there, and reads the range of their number.
func (c *column) endBuckets(o *object) {
	if !c.bucketed {
		return
	}
	r := o.object("range")
	r.only("min", "max")
	c.Min, c.Max = r.number("min", pipeline.MaxMagnitude), r.number("max", pipeline.MaxMagnitude)
	switch {
	case *o.err != nil:
	case !(c.Min < c.Max):
		r.fail("min", "%g is not below max %g", c.Min, c.Max)
	case len(c.edges) == 0 || len(c.edges) != len(c.places)-1:
		o.fail("role", "the buckets of %q don't end", c.Name)
	}
}

// readBounds reads fitted quantiles, if the number is clamped to any.
func (c *column) readBounds(o *object) {
	c.lo, c.hi = math.Inf(-1), math.Inf(1)
	if !o.has("lowest") && !o.has("highest") {
		return
	}
	c.lo, c.hi = o.number("lowest", pipeline.MaxMagnitude), o.number("highest", pipeline.MaxMagnitude)
	if *o.err == nil && !(c.Min <= c.lo && c.lo <= c.hi && c.hi <= c.Max) {
		o.fail("lowest", "%g and %g are not in order within %g..%g", c.lo, c.hi, c.Min, c.Max)
	}
}

// collect lists the record's columns: features of one date share theirs.
func (m *Model) collect(o *object) {
	at := map[string]int{}
	for i := range m.columns {
		c := &m.columns[i]
		in := input{c.Column, i}
		if c.bucketed {
			in.Kind, in.Values = pipeline.Number, nil
		}
		if c.date != nil {
			lo, hi := c.date.Range()
			in.Column = Column{Name: c.date.Column, Kind: pipeline.Number, Date: true, Nullable: c.Nullable, Min: lo, Max: hi}
		}
		known, twice := at[in.Name]
		if !twice {
			known = len(m.inputs)
			at[in.Name] = known
			m.inputs = append(m.inputs, in)
		}
		if other := m.inputs[known]; twice && (!in.Date || !other.Date || in.Nullable != other.Nullable || in.Min != other.Min || in.Max != other.Max) {
			o.fail("columns", "the features of column %q differ in what it is", in.Name)
		}
		c.from = known
	}
}

// datesRead is a row whose dates are read: one may have several features, and crosses of these.
func (m *Model) datesRead(row []Value) []Value {
	out := row
	for i := range m.inputs {
		if !m.inputs[i].Date || row[i].kind != textValue {
			continue
		}
		at, err := pipeline.ParseTime(row[i].text)
		if err != nil {
			continue // its features tell
		}
		if &out[0] == &row[0] {
			out = slices.Clone(row)
		}
		out[i] = Value{number: at, kind: timeValue}
	}
	return out
}

// seconds reads a date.
func (c *column) seconds(v Value) (float64, error) {
	switch v.kind {
	case timeValue:
		return v.number, nil
	case numberValue:
		return 0, &RecordError{c.date.Column, "want a date, got a number", dateHint}
	}
	at, err := pipeline.ParseTime(v.text)
	if err != nil {
		return 0, &RecordError{c.date.Column, "want a date, got " + shown(v.text), dateHint}
	}
	return at, nil
}

// code is the bucket or the part, by its number, of a value that isn't missing and can be read.
func (c *column) code(v Value) int32 {
	if c.date != nil {
		seconds, _ := c.seconds(v)
		if !c.bucketed {
			return c.part(seconds)
		}
		v = Number(c.days(seconds))
	}
	x, _ := c.read(v)
	return int32(pipeline.BucketOf(c.edges, x))
}

// text is a value as a cross tells it.
func (c *column) text(v Value) string {
	switch {
	case v.kind == missingValue:
		return ""
	case c.bucketed:
		return pipeline.BucketLabel(c.edges, int(c.code(v)))
	case c.date != nil && c.Kind == pipeline.Category:
		return c.Values[c.code(v)]
	}
	return strings.TrimSpace(v.String())
}

// encodePart encodes a date's part that is a category.
func (c *column) encodePart(v Value) (at int, x float64, err error) {
	seconds, err := c.seconds(v)
	if err != nil {
		return none, 0, err
	}
	if at = c.codes[c.Values[c.part(seconds)]]; at == none {
		at = c.other
	}
	return at, 1, nil
}

// bucket encodes a number.
func (c *column) bucket(x float64) (at int) {
	if at = c.places[pipeline.BucketOf(c.edges, x)]; at == none {
		return c.other
	}
	return at
}
