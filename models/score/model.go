package score

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"tributary/models/pipeline"
)

// ErrModel is wrapped by every error of Parse; the message names the field.
var ErrModel = errors.New("not a model that can be scored")

// Limits of a document. Within them no score overflows: 10,000 products of a value and a coefficient are below 1e122.
const (
	MaxDocument    = 128 << 20 // bytes, as optim.MaxExport: no training begins for a longer one
	maxFactors     = 256
	maxClasses     = 256
	maxOffset      = 1e3
	maxCoefficient = 1e100
	maxFactor      = 1e50
)

// The types of models.
const (
	LogisticRegression    = "logistic_regression"
	MultinomialRegression = "multinomial_logistic_regression"
	FactorizationMachine  = "factorization_machine"
)

// Kind tells numbers from categories.
type Kind = pipeline.Kind

// Column is one column of a raw record.
type Column struct {
	Name     string
	Kind     Kind
	Date     bool     // a number that is written as a date, or as a time (see pipeline.TimeLayouts); Min and Max are Unix seconds
	Nullable bool     // it may be missing
	Min, Max float64  // of a number: what is beyond counts as the bound
	Values   []string // of a category: what isn't listed counts as "other"
	Buckets  int      // of an open category, in place of Values: so many numbers stand for its values
}

// Model is a fitted model with its pipeline.
type Model struct {
	Type    string
	Private bool // coefficients are noised
	Factors int  // of a factorization machine: the length k of each encoded column's factor; 0 otherwise

	// Classes are those of a multinomial model's label, at least two, in the contract's order; nil: the label has two values, and
	// a score is the probability of the positive one. The caller must not change them.
	Classes []string

	// Target is the range of a label that is a number; nil: it has values. A score is the number that is predicted, then.
	Target *Range

	columns  []column // by feature, but for crosses
	crosses  []cross
	index    map[string]int // of a feature by its name
	inputs   []input        // the record's columns
	unitNorm bool           // encoded rows, with a 1 for the intercept, are scaled to norm 1

	intercept []float64 // by class; one where the label has two values
	// Of the encoded columns, in the document's order.
	coefficient []float64 // × len(intercept)
	factor      []float64 // × Factors
}

// column is a feature: a record's column, or a part of one, with what was fitted for it.
type column struct {
	Column
	derived
	log1p, centred bool             // centred: (t-mean)/sd, clamped to ±clip
	mean, sd, clip float64          // after log1p
	number         int              // encoded column of a number's value, or none
	missing        int              // encoded column of a missing value, or none
	indicates      bool             // the document has a missing indicator, folded or not
	codes          map[string]int   // encoded column of each of a category's values, or none: other
	levels         map[string]int64 // the place of each among Values, where the category is crossed; nil elsewhere
	cells          int64            // levels, a missing value's the last, where the feature is crossed
	buckets        *buckets         // of an open category; nil elsewhere
	other          int              // encoded column of a category's values without one of their own
}

// none: no encoded column, the value adds nothing.
const none = -1

// Columns are what a record needs, in the order of a row: those of the features, then the offset if the model has one. The caller must not change Values.
func (m *Model) Columns() []Column {
	out := make([]Column, len(m.inputs))
	for i := range m.inputs {
		out[i] = m.inputs[i].Column
	}
	return out
}

// Parse reads an exported model strictly: every key that a score depends on must be there once, and no unknown one.
func Parse(document []byte) (*Model, error) {
	m, err := parse(document)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrModel, err)
	}
	return m, nil
}

func parse(document []byte) (*Model, error) {
	o, err := documentOf(document)
	if err != nil {
		return nil, err
	}
	if f := o.text("format"); f != "tributary-model" {
		o.fail("format", "want tributary-model\nhint: `tributary model export` writes one")
	}
	o.integer("version", 1, 1)
	m := &Model{Type: o.text("type"), index: map[string]int{}}
	switch m.Type {
	case LogisticRegression:
	case MultinomialRegression:
		m.Classes = o.classes()
	case LinearRegression:
	case FactorizationMachine:
		m.Factors = o.integer("factors", 1, maxFactors)
	case "matrix_factorization":
		o.fail("type", "a matrix_factorization scores no rows, it recommends items to users\nhint: tributary-participant recommend JOB")
	default:
		o.fail("type", "want %s, %s, %s or %s", LogisticRegression, MultinomialRegression, LinearRegression, FactorizationMachine)
	}
	o.only("format", "version", "type", "private", "unit_norm", "l1", "l2", "factors", "offset", "label", "classes", "intercept", "intercepts", "intercept_test", "intercept_tests", "tests", "columns", "training_rows", "train_rounds", "converged", "metrics")
	m.Private, m.unitNorm = o.flag("private"), o.flag("unit_norm")
	o.foreign(m.Type != FactorizationMachine, "factors")
	o.foreign(m.Type == FactorizationMachine || m.Type == LinearRegression, "unit_norm")
	m.readTarget(&o)
	o.foreign(m.Type != LogisticRegression || m.unitNorm, "offset")
	o.foreign(m.Classes == nil, "classes", "intercepts")
	o.foreign(m.Classes != nil, "intercept")
	m.intercept = m.byClass(&o, "intercept")
	list := o.list("columns")
	if *o.err == nil && (len(list) == 0 || len(list) >= pipeline.MaxColumns) {
		o.fail("columns", "%d columns, want 1 to %d", len(list), pipeline.MaxColumns-1)
	}
	if *o.err != nil {
		return nil, *o.err
	}
	for i, raw := range list {
		c := o.nested(fmt.Sprintf("columns[%d]", i), raw)
		m.encoded(&c)
		if *o.err != nil {
			return nil, *o.err
		}
	}
	for i := range m.columns {
		if c := &m.columns[i]; c.Kind == pipeline.Category && c.other == none {
			o.fail("columns", "category %q has no column of role other", c.Name)
		}
	}
	m.checkBuckets(&o)
	if m.readOffset(&o); *o.err == nil {
		m.collect(&o)
	}
	return m, *o.err
}

// encoded adds an encoded column, or the buckets of a category. Those of one record's column follow each other: a number's value and maybe its missing indicator;
// a category's values or buckets, then other, then maybe missing.
func (m *Model) encoded(o *object) {
	name, feature, role := o.text("name"), o.text("feature"), o.text("role")
	if role == "buckets" {
		m.readBuckets(o, name, feature)
		return
	}
	i := len(m.coefficient) / len(m.intercept)
	at := i // what the column's values are encoded as
	if o.boolean("folded") {
		at = none
	}
	m.coefficient = append(m.coefficient, m.byClass(o, "coefficient")...)
	keys := []string{"name", "feature", "role", "folded", "test", "tests", m.plural("coefficient")}
	if m.Factors > 0 {
		keys = append(keys, "factor")
		m.factor = append(m.factor, o.numbers("factor", m.Factors, maxFactor)...)
	}
	if *o.err == nil && !printable(feature) {
		o.fail("feature", "want 1 to %d bytes without control characters", pipeline.MaxNameBytes)
	}
	if *o.err != nil {
		return
	}
	if x := m.begunCross(feature); x != nil {
		x.readOther(o, i, at)
		o.only(keys...)
		return
	}
	c := m.begun(feature)
	switch role {
	case "number":
		keys = append(keys, "number", "nullable")
		c = m.begin(o, feature, pipeline.Number)
		n := o.object("number")
		c.readNumber(&n)
		c.number, c.Nullable = at, o.flag("nullable")
		keys = append(keys, "date")
		c.readDate(o)
	case "bucket":
		keys = append(keys, "bucket")
		if c == nil {
			c = m.begin(o, feature, pipeline.Category)
			c.bucketed = true
		}
		if !c.bucketed || c.other != none || !printable(name) {
			o.fail("role", "a bucket after the other columns of %q, or without a name", feature)
			return
		}
		c.readBucket(o, at)
		role = strings.TrimPrefix(name, feature) // a name of its own
		feature = name[:len(name)-len(role)]
	case "value":
		keys = append(keys, "value")
		if c == nil {
			c = m.begin(o, feature, pipeline.Category)
		}
		v := o.text("value")
		_, twice := c.codes[v]
		switch {
		case c.Kind != pipeline.Category || c.other != none || c.buckets != nil || c.bucketed:
			o.fail("role", "a value after the other columns of %q", feature)
		case twice || !printable(v):
			o.fail("value", "want 1 to %d bytes without control characters, and no value twice", pipeline.MaxNameBytes)
		default:
			c.Values, c.codes[v] = append(c.Values, v), at
		}
		role = "=" + v
	case "other":
		keys = append(keys, "nullable", "date")
		if c == nil || c.Kind != pipeline.Category || c.other != none || at == none {
			o.fail("role", "%q has no values before, other twice, or folds", feature)
			return
		}
		c.other, c.Nullable = i, o.flag("nullable")
		if c.bucketed {
			keys = append(keys, "range")
			c.endBuckets(o)
		}
		c.readDate(o)
		role = "=other"
	case "missing":
		if c == nil || c.indicates || c.Kind == pipeline.Category && c.other == none {
			o.fail("role", "%q has no other columns before, or missing twice", feature)
			return
		}
		c.missing, c.indicates = at, true
		role = ":missing"
	default:
		o.fail("role", "want number, value, other or missing")
	}
	if want := feature + strings.TrimPrefix(role, "number"); name != want {
		o.fail("name", "want %q", want)
	}
	o.only(keys...)
}

// begun is the record's column that the encoded column before belongs to, if it has this name.
func (m *Model) begun(name string) *column {
	if n := len(m.columns); n > 0 && m.columns[n-1].Name == name {
		return &m.columns[n-1]
	}
	return nil
}

// begin starts a record's column.
func (m *Model) begin(o *object, name string, kind Kind) *column {
	if _, twice := m.index[name]; twice {
		o.fail("feature", "the columns of %q don't follow each other", name)
	}
	m.index[name] = len(m.columns)
	m.columns = append(m.columns, column{Column: Column{Name: name, Kind: kind}, number: none, missing: none, other: none, codes: map[string]int{}})
	return &m.columns[len(m.columns)-1]
}

func (c *column) readNumber(o *object) {
	o.only("min", "max", "log1p", "standardize", "scale", "mean", "sd", "clip", "lowest", "highest")
	c.Min, c.Max = o.number("min", pipeline.MaxMagnitude), o.number("max", pipeline.MaxMagnitude)
	c.log1p, c.centred = o.boolean("log1p"), o.boolean("standardize")
	c.centred = o.flag("scale") || c.centred
	c.mean, c.sd, c.clip = o.number("mean", pipeline.MaxMagnitude), o.number("sd", pipeline.MaxMagnitude), o.number("clip", pipeline.MaxClip)
	c.readBounds(o)
	switch {
	case *o.err != nil:
	case !(c.Min < c.Max):
		o.fail("min", "%g is not below max %g", c.Min, c.Max)
	case c.log1p && !(c.Min > -1):
		o.fail("min", "log1p needs more than -1")
	case !(c.sd > 0):
		o.fail("sd", "%g is not above 0", c.sd)
	case !(c.clip > 0):
		o.fail("clip", "%g is not above 0", c.clip)
	}
}

// readOffset adds the offset, if the model has one: a number that is never missing, and whose coefficient is known to be 1.
func (m *Model) readOffset(doc *object) {
	if *doc.err != nil || !doc.has("offset") {
		return
	}
	o := doc.object("offset")
	o.only("name", "min", "max")
	name, low, high := o.text("name"), o.number("min", maxOffset), o.number("max", maxOffset)
	_, twice := m.index[name]
	switch {
	case *o.err != nil:
	case !printable(name):
		o.fail("name", "want 1 to %d bytes without control characters", pipeline.MaxNameBytes)
	case twice:
		o.fail("name", "column %q is a feature, too", name)
	case !(low < high):
		o.fail("min", "%g is not below max %g", low, high)
	default:
		c := m.begin(&o, name, pipeline.Number)
		c.Min, c.Max, c.number = low, high, len(m.coefficient)
		c.lo, c.hi = low, high
		m.coefficient = append(m.coefficient, 1)
	}
}

func printable(s string) bool {
	if s == "" || len(s) > pipeline.MaxNameBytes || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return false
		}
	}
	return true
}
