package pipeline

import (
	"errors"
	"strconv"
	"strings"
	"testing"
)

func bucketFeatures() []Feature {
	return []Feature{
		{Name: "city", Kind: Category, HashBuckets: 8, MinCount: 20, Nullable: true, MissingIndicator: true},
		{Name: "country", Kind: Category, Values: []string{"DE", "FR"}, MinCount: 20},
		{Name: "city*country", Kind: Category, Cross: []string{"city", "country"}, HashBuckets: 27, MinCount: 20},
		{Name: "country*city", Kind: Category, Cross: []string{"country", "city"}, HashBuckets: 16, MinCount: 20},
	}
}

// Buckets are columns like values: counted, folded below min_count, and bounded by what rows can add up to.
func TestBucketsAreFittedLikeValues(t *testing.T) {
	s, err := NewSpec(bucketFeatures())
	if err != nil {
		t.Fatal(err)
	}
	if n := len(s.Columns()); n != 10+3+28+17 || s.Indicators() != n {
		t.Fatalf("%d columns, %d counts", n, s.Indicators())
	}
	for i, want := range map[int]string{0: "city#0", 7: "city#7", 8: "city=other", 9: "city:missing", 10: "country=DE", 13: "city*country#0", 40: "city*country=other", 57: "country*city=other"} {
		if got := s.ColumnName(i); got != want {
			t.Errorf("column %d is %s, want %s", i, got, want)
		}
	}
	// City: 60 rows in bucket 3, 19 in bucket 5, 21 missing; all in Germany.
	counts := make([]int64, len(s.Columns()))
	counts[3], counts[5], counts[9] = 60, 19, 21
	counts[10] = 100
	counts[13+3*3], counts[13+5*3], counts[13+8*3] = 60, 19, 21
	counts[41] = 100
	totals := Totals{Rows: 100, Positives: 30, Present: []int64{}, Sum: []float64{}, Square: []float64{}, Counts: counts}
	f, err := s.Fit(totals, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Check(f); err != nil {
		t.Error(err)
	}
	columns := s.CategoryColumns(f, 0)
	if len(columns) != 10 || columns[0] != 9 || columns[1+3] != 3 || columns[1+5] != 8 || columns[1+0] != 8 {
		t.Errorf("columns of missing, bucket 0, 1, …: %v", columns)
	}
	if of, levels := s.Crossed(2); len(of) != 2 || of[1] != 1 || levels[0] != 9 || levels[1] != 3 {
		t.Errorf("crossed %v with levels %v", of, levels)
	}
	if cells := s.CategoryColumns(f, 2); cells[1+9] != 22 || cells[1+15] != 40 || cells[1+24] != 37 {
		t.Errorf("cells %v", cells)
	}
	totals.Counts[5]++
	if _, err := s.Fit(totals, 0); !errors.Is(err, ErrInconsistent) || !strings.Contains(err.Error(), `"city"`) {
		t.Errorf("101 cities of 100 rows: %v", err)
	}
	totals.Counts[5] = 101
	if _, err := s.Fit(totals, 0); !errors.Is(err, ErrInconsistent) || !strings.Contains(err.Error(), `"city#5"`) {
		t.Errorf("101 rows in a bucket: %v", err)
	}
}

func TestImpossibleBucketsAreRefused(t *testing.T) {
	for want, change := range map[string]func([]Feature) []Feature{
		"7 buckets":             func(f []Feature) []Feature { f[0].HashBuckets = 7; return f },
		"1 buckets":             func(f []Feature) []Feature { f[0].HashBuckets = 1; return f },
		"524288 buckets":        func(f []Feature) []Feature { f[0].HashBuckets = 1 << 19; return f },
		"-8 buckets":            func(f []Feature) []Feature { f[0].HashBuckets = -8; return f },
		"both values":           func(f []Feature) []Feature { f[0].Values = []string{"a"}; return f },
		"no values":             func(f []Feature) []Feature { f[0].HashBuckets = 0; return f },
		"28 buckets for 27":     func(f []Feature) []Feature { f[2].HashBuckets = 28; return f },
		"26 buckets for 27":     func(f []Feature) []Feature { f[2].HashBuckets = 26; return f },
		"32 buckets for 27":     func(f []Feature) []Feature { f[3].HashBuckets = 32; return f },
		"0 buckets":             func(f []Feature) []Feature { f[2].HashBuckets = 0; return f },
		`of[1]: no feature "c`:  func(f []Feature) []Feature { return append(f[:1], f[2]) },
		`of[1]: feature "cou`:   func(f []Feature) []Feature { f[1] = Feature{Name: "country", Kind: Number, Max: 1, Clip: 1}; return f },
		`of[1]: feature "city"`: func(f []Feature) []Feature { f[2].Cross[1], f[2].Name = "city", "city*city"; return f },
		"edges are fitted": func(f []Feature) []Feature {
			f[1] = Feature{Name: "country", Kind: Category, Max: 1, Buckets: &Buckets{Quantiles: 2}, MinCount: 20}
			return f
		},
		`of[0]: no feature "city*`: func(f []Feature) []Feature {
			f[2].Cross[0], f[2].Name = "city*country", "city*country*country"
			return f
		},
		`feature "city*country" is a cross`: func(f []Feature) []Feature {
			f[3].Cross[1], f[3].Name = "city*country", "country*city*country"
			return f
		},
		"never missing":        func(f []Feature) []Feature { f[2].Nullable = true; return f },
		"names joined":         func(f []Feature) []Feature { f[2].Name = "both"; return f },
		"a cross of 1":         func(f []Feature) []Feature { f[2].Cross, f[2].Name = f[2].Cross[:1], "city"; return f },
		`column "city#5" twic`: func(f []Feature) []Feature { return append(f, Feature{Name: "city#5", Kind: Number, Max: 1, Clip: 1}) },
		"no values, buckets": func(f []Feature) []Feature {
			return append(f, Feature{Name: "x", Kind: Number, Max: 1, Clip: 1, HashBuckets: 2})
		},
	} {
		if _, err := NewSpec(change(bucketFeatures())); !errors.Is(err, ErrSpec) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	wide := bucketFeatures()[:1]
	wide[0].HashBuckets = MaxHashBuckets
	if s, err := NewSpec(wide); err != nil || len(s.Columns()) != MaxHashBuckets+2 {
		t.Errorf("2^18 buckets: %v", err)
	}
	// A name that looks like a bucket's, but isn't one of it.
	if _, err := NewSpec(append(bucketFeatures(), Feature{Name: "city#8", Kind: Number, Max: 1, Clip: 1}, Feature{Name: "city#05", Kind: Number, Max: 1, Clip: 1})); err != nil {
		t.Error(err)
	}
}

// Buckets between listed edges and parts of dates are crossed as if a category listed them, but for "other", which no number and no
// date is.
func TestDerivedFeaturesAreCrossed(t *testing.T) {
	features := []Feature{
		{Name: "age", Kind: Category, Min: 16, Max: 110, Nullable: true, Buckets: &Buckets{Edges: []float64{30, 60}}, MinCount: 20},
		{Name: "since.weekday", Kind: Category, Date: &Date{Column: "since", Part: Weekday, First: "2020-01-01", Last: "2021-12-31"}, MinCount: 20},
		{Name: "since.days", Kind: Category, Max: 730, Buckets: &Buckets{Edges: []float64{365}}, Date: &Date{Column: "since", Part: Days, First: "2020-01-01", Last: "2021-12-31"}, MinCount: 20},
		{Name: "country", Kind: Category, Values: []string{"DE", "FR"}, MinCount: 20},
		{Name: "age*since.weekday", Kind: Category, Cross: []string{"age", "since.weekday"}, HashBuckets: 4 * 7, MinCount: 20},
		{Name: "since.days*country*since.weekday", Kind: Category, Cross: []string{"since.days", "country", "since.weekday"}, HashBuckets: 2 * 3 * 7, MinCount: 20},
	}
	s, err := NewSpec(features)
	if err != nil {
		t.Fatal(err)
	}
	for feature, want := range [][]int64{0: {0, 1, 2, 3}, 1: {0, 1, 2, 3, 4, 5, 6}} {
		f := &s.Features()[feature]
		if f.Levels() != int64(len(want)) {
			t.Errorf("%s has %d levels", f.Name, f.Levels())
		}
		for level, n := range want {
			code := int32(level)
			if f.Nullable && level == len(want)-1 {
				code = -1
			}
			if f.Level(code) != n {
				t.Errorf("%s: code %d is level %d", f.Name, code, f.Level(code))
			}
		}
	}
	features[4].HashBuckets = 5 * 8 // each with other
	if _, err := NewSpec(features); !errors.Is(err, ErrSpec) || !strings.Contains(err.Error(), "40 buckets for 28 cells") {
		t.Error(err)
	}
	features[4] = Feature{Name: "age*since.weekday", Kind: Category, Cross: []string{"age", "since.weekday"}, HashBuckets: 16, Date: features[1].Date}
	if _, err := NewSpec(features); !errors.Is(err, ErrSpec) {
		t.Errorf("a cross of a date by itself: %v", err)
	}
}

// Thousands of crosses beside half a million names, which a spec of a megabyte can ask for, are laid out in a second: names are looked up
// once, not once for each cross.
func TestManyCrossesBesideManyNamesAreLaidOut(t *testing.T) {
	var features []Feature
	for i := range 48 {
		column := "d" + strconv.Itoa(i)
		features = append(features, Feature{Name: column + ".year", Kind: Category, Date: &Date{Column: column, Part: Year, First: "0001-01-01", Last: "9999-12-31"}})
	}
	for i := range 48 {
		for j := range i {
			for k := range min(j, 5) {
				of := []string{features[i].Name, features[j].Name, features[k].Name}
				features = append(features, Feature{Name: CrossName(of), Kind: Category, Cross: of, HashBuckets: 2})
			}
		}
	}
	if s, err := NewSpec(features); err != nil || len(s.Columns()) != 48*10_000+3*(len(features)-48) {
		t.Error(err)
	}
}
