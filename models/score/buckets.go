package score

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"tributary/models/hashing"
	"tributary/models/pipeline"
)

// buckets are the encoded columns of an open category or of a cross, which numbers stand for.
type buckets struct {
	count int
	first int           // encoded column of the first that is kept
	kept  []int         // ascending
	place map[int32]int // of those kept
	text  hashing.Function
}

// at is the encoded column of a number, or other.
func (b *buckets) at(number int32, other int) int {
	if k, ok := b.place[number]; ok {
		return b.first + k
	}
	return other
}

// encode is column.encode of an open category's value.
func (b *buckets) encode(c *column, v Value) (at int, x float64, err error) {
	text := strings.TrimSpace(v.text)
	if !hashing.Hashable(text) {
		return none, 0, &RecordError{c.Name, "the value is blank, or not UTF-8", "give null, or nothing in CSV, for a missing value, and text in UTF-8"}
	}
	return b.at(b.text.Text(text), c.other), 1, nil
}

// cross is a cell of several of the record's columns.
type cross struct {
	name    string
	of      []int // columns
	cell    *hashing.Cross
	buckets buckets
	other   int // encoded column of cells without one of their own; none while it hasn't been read
}

// encode is the encoded column of a row's cell. The row's values have been encoded by themselves without an error.
func (x *cross) encode(m *Model, row []Value) int {
	code := x.cell.Code(func(k int) int64 {
		c := &m.columns[x.of[k]]
		return c.level(row[c.from])
	})
	return x.buckets.at(code, x.other)
}

// level is what a feature's value is in a cross, see pipeline.Feature.Levels.
func (c *column) level(v Value) int64 {
	switch {
	case v.kind == missingValue:
		return c.cells - 1
	case c.buckets != nil:
		return int64(c.buckets.text.Text(strings.TrimSpace(v.text)))
	case c.bucketed || c.date != nil:
		return int64(c.code(v))
	}
	if l, ok := c.levels[v.text]; ok {
		return l
	}
	return int64(len(c.Values))
}

func (c *column) countLevels() int64 {
	f := pipeline.Feature{Kind: pipeline.Category, Values: c.Values, HashBuckets: c.Buckets, Nullable: c.Nullable, Date: c.date}
	if c.bucketed {
		f.Values, f.Buckets = make([]string, len(c.places)), &pipeline.Buckets{Edges: c.edges}
	}
	return f.Levels()
}

// readBuckets adds the encoded columns of all buckets of a category, or begins a cross.
func (m *Model) readBuckets(o *object, name, feature string) {
	o.only("name", "feature", "role", "folded", "buckets")
	if o.boolean("folded") {
		o.fail("folded", "want false: kept lists the buckets that aren't")
	}
	b := o.object("buckets")
	b.only("count", "cross", "kept", "coefficients", "factors", "tests")
	out := buckets{first: len(m.coefficient) / len(m.intercept)}
	out.count = b.integer("count", pipeline.MinHashBuckets, pipeline.MaxHashBuckets)
	out.readKept(&b)
	m.coefficient = append(m.coefficient, b.numbers("coefficients", len(out.kept)*len(m.intercept), maxCoefficient)...)
	b.foreign(m.Factors == 0, "factors")
	if m.Factors > 0 && (len(out.kept) > 0 || b.has("factors")) {
		m.factor = append(m.factor, b.numbers("factors", len(out.kept)*m.Factors, maxFactor)...)
	}
	switch {
	case *o.err != nil:
	case !printable(feature):
		o.fail("feature", "want 1 to %d bytes without control characters", pipeline.MaxNameBytes)
	case name != feature+"#":
		o.fail("name", "want %q", feature+"#")
	case b.has("cross"):
		m.beginCross(&b, feature, out)
	case !hashing.Valid(out.count):
		b.fail("count", "%d is not a power of two", out.count)
	default:
		c := m.begin(o, feature, pipeline.Category)
		out.text = hashing.New(feature, out.count)
		c.Buckets, c.buckets = out.count, &out
	}
}

func (b *buckets) readKept(o *object) {
	b.place = map[int32]int{}
	before := -1
	for i, number := range value[[]*int](o, "kept", "a list of integers") {
		if number == nil || *number <= before || *number >= b.count {
			o.fail("kept", "item %d: want ascending numbers below %d", i, b.count)
			return
		}
		before = *number
		b.kept, b.place[int32(before)] = append(b.kept, before), i
	}
}

// beginCross starts a cross of columns that come before it.
func (m *Model) beginCross(o *object, name string, b buckets) {
	var names []string
	for i, s := range value[[]*string](o, "cross", "a list of names") {
		if s == nil {
			o.fail("cross", "item %d: want a name", i)
			return
		}
		names = append(names, *s)
	}
	x := cross{name: name, buckets: b, other: none}
	for i, s := range names {
		at, ok := m.index[s]
		if !ok || at == none || slices.Contains(names[:i], s) || m.columns[at].Kind != pipeline.Category {
			o.fail("cross", "item %d: want a category, a number in buckets or a part of a date before it, none twice", i)
			return
		}
		x.of = append(x.of, at)
	}
	_, twice := m.index[name]
	if len(names) < 2 || len(names) > pipeline.MaxCrossed || name != pipeline.CrossName(names) || twice {
		o.fail("cross", "want 2 to %d names, which joined by * are the feature's, once", pipeline.MaxCrossed)
		return
	}
	m.index[name] = none
	m.crosses = append(m.crosses, x)
}

// begunCross is the cross that the encoded column before belongs to, if it has this name and lacks its other.
func (m *Model) begunCross(name string) *cross {
	if n := len(m.crosses); n > 0 && m.crosses[n-1].name == name && m.crosses[n-1].other == none {
		return &m.crosses[n-1]
	}
	return nil
}

// readOther ends a cross.
func (x *cross) readOther(o *object, i, at int) {
	switch {
	case o.text("role") != "other" || at == none:
		o.fail("role", "want other, which never folds, after the buckets of a cross")
	case o.text("name") != x.name+"=other":
		o.fail("name", "want %q", x.name+"=other")
	}
	x.other = i
}

// checkBuckets holds crosses to their columns, once all are read.
func (m *Model) checkBuckets(o *object) {
	for k := range m.crosses {
		x := &m.crosses[k]
		if x.other == none {
			o.fail("columns", "cross %q has no column of role other", x.name)
			return
		}
		var levels []int64
		for _, i := range x.of {
			c := &m.columns[i]
			c.cells = c.countLevels()
			levels = append(levels, c.cells)
			c.numberLevels()
		}
		x.cell = hashing.NewCross(x.name, levels, x.buckets.count)
		if n, cells := int64(x.buckets.count), pipeline.Product(levels); n != cells && (n > cells || !hashing.Valid(x.buckets.count)) {
			o.fail("columns", "cross %q has %d buckets for %d cells", x.name, n, cells)
		}
	}
}

// numberLevels numbers the listed values of a category that is crossed.
func (c *column) numberLevels() {
	if c.levels != nil || c.buckets != nil || c.date != nil {
		return
	}
	c.levels = make(map[string]int64, len(c.Values))
	for i, v := range c.Values {
		c.levels[v] = int64(i)
	}
}

// Terms names what an explanation tells contributions of, in its order: the record's columns, but parts of a date one by one
// ("since.days", "since.month"), then crosses, such as "country*device".
func (m *Model) Terms() []string {
	out := make([]string, m.terms())
	for i := range out {
		out[i] = m.term(i)
	}
	return out
}

func (m *Model) terms() int { return len(m.columns) + len(m.crosses) }

func (m *Model) term(i int) string {
	if i < len(m.columns) {
		return m.columns[i].Name
	}
	return m.crosses[i-len(m.columns)].name
}

// bucketName names an encoded column of an open category or a cross; it is empty for others.
func (m *Model) bucketName(a active) string {
	var b *buckets
	var other int
	if k := a.column - len(m.columns); k >= 0 {
		b, other = &m.crosses[k].buckets, m.crosses[k].other
	} else if c := &m.columns[a.column]; c.buckets != nil {
		b, other = c.buckets, c.other
	}
	switch {
	case b == nil:
		return ""
	case a.at == other:
		return m.term(a.column) + "=other"
	case a.at < b.first || a.at >= b.first+len(b.kept):
		return m.term(a.column) + ":missing"
	}
	return m.term(a.column) + "#" + strconv.Itoa(b.kept[a.at-b.first])
}

// Bucket is an encoded column that a number stands for.
type Bucket struct {
	Term         string // the record's column, or a cross
	Number       int
	Coefficients []float64 // by class; one where the label has two values
}

// Name is such as "city#17".
func (b Bucket) Name() string { return fmt.Sprintf("%s#%d", b.Term, b.Number) }

// Buckets gives all that the model has of its own, term by term.
func (m *Model) Buckets() (out []Bucket) {
	for i := range m.terms() {
		var b *buckets
		if k := i - len(m.columns); k >= 0 {
			b = &m.crosses[k].buckets
		} else if b = m.columns[i].buckets; b == nil {
			continue
		}
		n := len(m.intercept)
		for k, number := range b.kept {
			out = append(out, Bucket{m.term(i), number, m.coefficient[(b.first+k)*n : (b.first+k+1)*n]})
		}
	}
	return out
}

// Encoded gives, by term, the encoded column of an open category or a cross that a row has, as Explain tells it; "" for others.
func (m *Model) Encoded(row []Value) ([]string, error) {
	e, err := m.encode(row)
	if err != nil {
		return nil, err
	}
	out := make([]string, m.terms())
	for _, a := range e.active {
		out[a.column] = m.bucketName(a)
	}
	return out, nil
}

// Bucketed tells whether a term, by its index in Terms, is an open category or a cross.
func (m *Model) Bucketed(term int) bool {
	return term >= len(m.columns) || m.columns[term].buckets != nil
}

// Parts gives what a row, which can be scored, has for a term, by its index in Terms: the value, or of a cross each of its features'. Of
// a number in buckets that is the bucket, such as "18..30", of a date its part; "" is a missing value.
func (m *Model) Parts(term int, row []Value) []string {
	of := []int{term}
	if k := term - len(m.columns); k >= 0 {
		of = m.crosses[k].of
	}
	out := make([]string, len(of))
	for i, feature := range of {
		out[i] = m.columns[feature].text(row[m.columns[feature].from])
	}
	return out
}

// String is the value as it is written; "" if it is missing.
func (v Value) String() string {
	if v.kind == numberValue {
		return strconv.FormatFloat(v.number, 'g', -1, 64)
	}
	return v.text
}
