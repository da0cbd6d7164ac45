// Package pipeline describes feature pipelines: which output columns a job's features give, what is fitted for them, and how
// one value is transformed. It is pure: the same inputs give the same bits on every architecture, because the coordinator's
// fitted pipeline is recomputed and compared by each participant. Rows are met in package pipeline/fit.
package pipeline

import (
	"errors"
	"fmt"
	"math"
	"unicode"
	"unicode/utf8"
)

// ErrSpec is wrapped by every error about a feature's description.
var ErrSpec = errors.New("invalid feature")

// Limits of a description.
const (
	MaxColumns   = 1 << 19 // output columns with the intercept; solvers have smaller bounds of their own
	MaxNameBytes = 256
	MaxMagnitude = 1e18 // of a declared number; beyond it products of two columns lose meaning
	MaxClip      = 1e6  // standard deviations

	// MissingMinCount is the least number of rows in the sum that a number's missing indicator needs. A rarer one is dropped:
	// its row of the Hessian would be those few rows.
	MissingMinCount = 20
)

// Kind tells numbers from categories.
type Kind uint8

const (
	Number   Kind = 1
	Category Kind = 2
)

// Feature is one contract column with its transforms.
type Feature struct {
	Name             string
	Kind             Kind
	Nullable         bool
	MissingIndicator bool

	// Numbers only.
	Min, Max    float64     // the contract's range, Min < Max
	Log1p       bool        // log(1+x) before anything else; needs Min > -1
	Standardize bool        // (x-mean)/sd over the sum's training rows
	Clip        float64     // standardised values are clamped to ±Clip deviations
	Scale       bool        // of private jobs: the range, or what it is clamped to, mapped to [-1, 1]; with Standardize ±Clip deviations are
	Quantiles   *[2]float64 // clamped to these fitted quantiles of the training rows before anything else; nil: not

	Buckets *Buckets // a number as indicators: the Kind is Category, and Min and Max are the number's
	Date    *Date    // a part of a date

	// Categories only: values that the contract lists, or HashBuckets of values that it doesn't, or of a cross's cells.
	Values      []string
	HashBuckets int
	Cross       []string // the names of the features before it that are crossed; nil: not a cross
	MinCount    int64    // a column with fewer training rows in the sum folds into NAME=other
}

// Role is what an output column stands for.
type Role uint8

const (
	ValueRole    Role = 1 // a number
	MissingRole  Role = 2 // 1 when the feature is missing
	CategoryRole Role = 3 // 1 when the feature has one value
	OtherRole    Role = 4 // 1 for unlisted and folded values, and for missing ones without an indicator
)

// Column is one output column of a pipeline.
type Column struct {
	Name     string // "age", "age:missing", "country=DE", "country=other", "country:missing"; empty for a bucket, see Spec.ColumnName
	Feature  int    // index into Features
	Role     Role
	Code     int // CategoryRole: index into the feature's Values, or its bucket
	Exponent int // 2^Exponent bounds the column's size: see Spec.exponent
}

// Spec is a validated, immutable pipeline description.
type Spec struct {
	features []Feature
	columns  []Column
	first    []int        // per feature: its first output column
	number   []int        // per feature: its index among the numbers, or -1
	ranges   [][2]float64 // per feature: its Range
	numbers  int

	sketches                     []*sketched // per feature: nil if it has none
	bins, moments, bounds, edges int         // of all sketches
}

// NewSpec checks the features and lays out their columns. An error names the feature.
func NewSpec(features []Feature) (*Spec, error) { return NewSpecOf(features, MaxColumns) }

// NewSpecOf is NewSpec for a model whose sums allow for another number of output columns, the intercept among them.
func NewSpecOf(features []Feature, most int) (*Spec, error) {
	if len(features) == 0 {
		return nil, fmt.Errorf("%w: no features\nhint: name at least one column under features", ErrSpec)
	}
	s := &Spec{}
	outputs := map[string]bool{}
	for i, f := range features {
		if err := f.check(); err != nil {
			return nil, fmt.Errorf("%w: feature %q: %w", ErrSpec, f.Name, err)
		}
		f.Values = append([]string(nil), f.Values...)
		f.Cross = append([]string(nil), f.Cross...)
		f.name()
		s.features = append(s.features, f)
		if err := s.checkCross(); err != nil {
			return nil, fmt.Errorf("%w: feature %q: %w", ErrSpec, f.Name, err)
		}
		s.first = append(s.first, len(s.columns))
		s.number = append(s.number, -1)
		lo, hi := f.Range()
		s.ranges = append(s.ranges, [2]float64{lo, hi})
		if f.Kind == Number {
			s.number[i] = s.numbers
			s.numbers++
		}
		s.sketch(&f)
		s.columns = append(s.columns, columnsOf(i, &f)...)
		if len(s.columns)+1 > most {
			return nil, fmt.Errorf("%w: feature %q: more than %d output columns with the intercept\nhint: leave out one_hot features with many values, or list fewer values or fewer buckets in the contract (the rest becomes other)", ErrSpec, f.Name, most)
		}
	}
	for _, c := range s.columns {
		if c.Name == "" {
			continue
		}
		if outputs[c.Name] {
			return nil, fmt.Errorf("%w: feature %q: output column %q twice\nhint: name a feature once; rename a value or a column in the contract", ErrSpec, s.features[c.Feature].Name, c.Name)
		}
		outputs[c.Name] = true
	}
	if err := s.checkHashNames(outputs); err != nil {
		return nil, err
	}
	return s, nil
}

func columnsOf(i int, f *Feature) []Column {
	if f.Kind == Number {
		out := []Column{{Name: f.Name, Feature: i, Role: ValueRole, Exponent: f.exponent()}}
		if f.MissingIndicator {
			out = append(out, Column{Name: f.Name + ":missing", Feature: i, Role: MissingRole})
		}
		return out
	}
	out := hashColumns(i, f)
	for code, name := range f.columnNames() {
		out = append(out, Column{Name: name, Feature: i, Role: CategoryRole, Code: code})
	}
	out = append(out, Column{Name: f.Name + "=other", Feature: i, Role: OtherRole})
	if f.MissingIndicator {
		out = append(out, Column{Name: f.Name + ":missing", Feature: i, Role: MissingRole})
	}
	return out
}

func (f *Feature) check() error {
	if err := CheckName(f.Name); err != nil {
		return err
	}
	switch f.Kind {
	case Number:
		return f.checkNumber()
	case Category:
		return f.checkCategory()
	}
	return fmt.Errorf("unknown kind %d", f.Kind)
}

func (f *Feature) checkNumber() error {
	if len(f.Values) != 0 || f.MinCount != 0 || f.HashBuckets != 0 || f.Cross != nil {
		return errors.New("a number has no values, buckets or min_count")
	}
	if f.Buckets != nil {
		return errors.New("buckets are a category's")
	}
	if f.Date != nil {
		if err := f.Date.check(f); err != nil {
			return err
		}
	}
	if err := f.checkRange(); err != nil {
		return err
	}
	if q := f.Quantiles; q != nil && !(q[0] >= 0 && q[0] < q[1] && q[1] <= 1) {
		return fmt.Errorf("quantiles %g and %g are not ascending within 0..1", q[0], q[1])
	}
	if f.Log1p && !(f.Min > -1) {
		return fmt.Errorf("log1p needs min > -1, the contract has %g\nhint: drop log1p, or raise the column's min in the contract", f.Min)
	}
	if lo, hi := f.Range(); !(lo < hi) {
		return fmt.Errorf("range %g..%g vanishes under log1p\nhint: widen the contract's range", f.Min, f.Max)
	}
	if f.Scale {
		if f.Standardize != (f.Clip != 0) || f.Standardize && f.Quantiles == nil {
			return errors.New("a scaled number that is standardised has clip and quantiles\nhint: leave clip out of others")
		}
		if !f.Standardize {
			return nil
		}
	}
	if !(f.Clip > 0 && f.Clip <= MaxClip) {
		return fmt.Errorf("clip %g is not within 0..%g deviations\nhint: leave clip out for 64", f.Clip, float64(MaxClip))
	}
	return nil
}

func (f *Feature) checkRange() error {
	if !(math.Abs(f.Min) <= MaxMagnitude && math.Abs(f.Max) <= MaxMagnitude) {
		return fmt.Errorf("range %g..%g is not within ±%g\nhint: declare the column in a larger unit", f.Min, f.Max, float64(MaxMagnitude))
	}
	if !(f.Min < f.Max) {
		return fmt.Errorf("min %g is not below max %g\nhint: widen the contract's range", f.Min, f.Max)
	}
	if f.Max-f.Min < 1/MaxMagnitude {
		return fmt.Errorf("range %g..%g is narrower than %g\nhint: declare the column in a smaller unit", f.Min, f.Max, 1/MaxMagnitude)
	}
	return nil
}

func (f *Feature) checkCategory() error {
	if f.derived() {
		return f.checkDerived()
	}
	if f.Quantiles != nil {
		return errors.New("a category has no quantiles")
	}
	if f.Min != 0 || f.Max != 0 || f.Log1p || f.Standardize || f.Clip != 0 || f.Scale {
		return errors.New("a category has no range, log1p, standardize, scale or clip")
	}
	if f.HashBuckets != 0 || f.Cross != nil {
		if err := f.checkHashBuckets(); err != nil {
			return err
		}
	} else if len(f.Values) == 0 {
		return errors.New("no values\nhint: list the category's values in the contract")
	}
	if f.MinCount < 0 {
		return fmt.Errorf("min_count %d is negative", f.MinCount)
	}
	for _, v := range f.Values {
		if err := CheckName(v); err != nil {
			return fmt.Errorf("value %q: %w", v, err)
		}
	}
	return nil
}

// CheckName refuses what names no column, value or class: nothing, more than MaxNameBytes, control characters.
func CheckName(s string) error {
	if s == "" {
		return errors.New("empty name")
	}
	if len(s) > MaxNameBytes {
		return fmt.Errorf("longer than %d bytes", MaxNameBytes)
	}
	if !utf8.ValidString(s) {
		return errors.New("not UTF-8")
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return errors.New("has a control character")
		}
	}
	return nil
}

// Features returns the features in order; the caller must not change them.
func (s *Spec) Features() []Feature { return s.features }

// Columns returns the output columns in order, without the intercept; the caller must not change them.
func (s *Spec) Columns() []Column { return s.columns }

// FirstColumn is the index of a feature's first output column.
func (s *Spec) FirstColumn(feature int) int { return s.first[feature] }

// NumberIndex is a feature's index among the numbers, or -1 for a category.
func (s *Spec) NumberIndex(feature int) int { return s.number[feature] }

// Numbers counts the features that are numbers.
func (s *Spec) Numbers() int { return s.numbers }

// Indicators counts the output columns that belong to categories: the lanes that count rows in a FIT sum.
func (s *Spec) Indicators() int {
	n := 0
	for _, c := range s.columns {
		if s.features[c.Feature].Kind == Category {
			n++
		}
	}
	return n
}

// OtherColumn is the index of a category's NAME=other.
func (s *Spec) OtherColumn(feature int) int {
	return s.first[feature] + s.features[feature].Codes()
}

// MissingColumn is the index of a feature's missing indicator, or -1.
func (s *Spec) MissingColumn(feature int) int {
	f := &s.features[feature]
	switch {
	case !f.MissingIndicator:
		return -1
	case f.Kind == Number:
		return s.first[feature] + 1
	}
	return s.OtherColumn(feature) + 1
}
