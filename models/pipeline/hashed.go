package pipeline

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// Features whose codes have no names: an open category's codes are buckets of a public hash of its values, a cross's are cells, or
// buckets of them. Package hashing has both functions; here codes are only numbers.

// Bounds of such features.
const (
	MinHashBuckets = 2
	MaxHashBuckets = 1 << 18
	MaxCrossed     = 3 // features of one cross
)

// Codes counts a category's codes: values or buckets.
func (f *Feature) Codes() int { return len(f.Values) + f.HashBuckets }

// Levels counts what a category may be in a cross: its codes, then "other" if a contract lists its values, then missing if it may be.
// Every number has a bucket, and every date its part: these have no other.
func (f *Feature) Levels() int64 {
	n := int64(f.Codes())
	if f.HashBuckets == 0 && !f.derived() {
		n++
	}
	if f.Nullable {
		n++
	}
	return n
}

// Level is a code's level; -1 stands for a missing value.
func (f *Feature) Level(code int32) int64 {
	if code < 0 {
		return f.Levels() - 1
	}
	return int64(code)
}

// CrossName is the name of the cross of these features.
func CrossName(of []string) string { return strings.Join(of, "*") }

// Product is the number of a cross's cells, given the levels of its features.
func Product(levels []int64) int64 {
	product := int64(1)
	for _, n := range levels {
		product *= n
	}
	return product
}

// Crossed gives the indices of the features that a cross is of, and the levels of each; nil if the feature isn't one.
func (s *Spec) Crossed(feature int) (of []int, levels []int64) {
	for _, name := range s.features[feature].Cross {
		for i := range s.features[:feature] {
			if f := &s.features[i]; f.Name == name {
				of, levels = append(of, i), append(levels, f.Levels())
				break
			}
		}
	}
	return of, levels
}

// ColumnName is an output column's name: "city#17" for a bucket, whose Column has none.
func (s *Spec) ColumnName(i int) string {
	c := &s.columns[i]
	if c.Name == "" {
		return s.features[c.Feature].Name + "#" + strconv.Itoa(c.Code)
	}
	return c.Name
}

func (f *Feature) checkHashBuckets() error {
	if len(f.Values) > 0 {
		return errors.New("both values and buckets\nhint: a category lists its values, or hashes them into buckets")
	}
	if f.Cross == nil && bits.OnesCount(uint(f.HashBuckets)) != 1 || f.HashBuckets < MinHashBuckets || f.HashBuckets > MaxHashBuckets {
		return fmt.Errorf("%d buckets, want a power of two from %d to %d", f.HashBuckets, MinHashBuckets, MaxHashBuckets)
	}
	return nil
}

// checkCross holds a cross, the last feature, to those before it.
func (s *Spec) checkCross() error {
	last := len(s.features) - 1
	f := &s.features[last]
	if f.Cross == nil {
		return nil
	}
	if f.Nullable || f.MissingIndicator {
		return errors.New("a cross is never missing")
	}
	if n := len(f.Cross); n < 2 || n > MaxCrossed || f.Name != CrossName(f.Cross) {
		return fmt.Errorf("a cross of %d features, want 2 to %d, and their names joined by * as its own", n, MaxCrossed)
	}
	for i, name := range f.Cross {
		if err := s.checkCrossed(f.Cross[:i], name); err != nil {
			return fmt.Errorf("of[%d]: %w", i, err)
		}
	}
	_, levels := s.Crossed(last)
	// Three features of 2^18 levels have 2^54 cells.
	if product := Product(levels); int64(f.HashBuckets) != product && (int64(f.HashBuckets) > product || bits.OnesCount(uint(f.HashBuckets)) != 1) {
		return fmt.Errorf("%d buckets for %d cells\nhint: as many, or fewer and a power of two", f.HashBuckets, product)
	}
	return nil
}

// checkCrossed tells whether the last feature, a cross, can be of one with that name, too.
func (s *Spec) checkCrossed(of []string, name string) error {
	if slices.Contains(of, name) {
		return fmt.Errorf("feature %q twice\nhint: cross different features", name)
	}
	before := s.features[:len(s.features)-1]
	i := slices.IndexFunc(before, func(g Feature) bool { return g.Name == name })
	if i < 0 {
		return fmt.Errorf("no feature %q comes before the cross\nhint: list a cross after its features; those of a date are called COLUMN.PART", name)
	}
	switch g := &before[i]; {
	case g.Kind != Category:
		return fmt.Errorf("feature %q is a number\nhint: put it in buckets between listed edges", name)
	case g.Cross != nil:
		return fmt.Errorf("feature %q is a cross\nhint: cross the features that it is of, at most %d", name, MaxCrossed)
	case g.Buckets != nil && g.Buckets.Edges == nil:
		// FIT sums the rows of each combination in the round in which the edges are found.
		return fmt.Errorf("feature %q is in buckets whose edges are fitted, and FIT counts combinations before there are any\nhint: list edges", name)
	}
	return nil
}

// hashColumns are a feature's columns for its buckets.
func hashColumns(feature int, f *Feature) []Column {
	out := make([]Column, f.HashBuckets, f.HashBuckets+2)
	for code := range out {
		out[code] = Column{Feature: feature, Role: CategoryRole, Code: code}
	}
	return out
}

// checkHashNames refuses a named column that is called as a bucket is. It passes once over the names, of which there may be as many as
// output columns, beside thousands of crosses.
func (s *Spec) checkHashNames(named map[string]bool) error {
	buckets := map[string]int{}
	for i := range s.features {
		if f := &s.features[i]; f.HashBuckets > 0 {
			buckets[f.Name] = f.HashBuckets
		}
	}
	for name := range named {
		at := max(strings.LastIndexByte(name, '#'), 0)
		feature, number := name[:at], strings.TrimPrefix(name[at:], "#")
		if n, err := strconv.Atoi(number); err == nil && n >= 0 && n < buckets[feature] && strconv.Itoa(n) == number {
			return fmt.Errorf("%w: feature %q: output column %q twice\nhint: rename a value or a column in the contract", ErrSpec, feature, name)
		}
	}
	return nil
}
