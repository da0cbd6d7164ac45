package dataset

import (
	"errors"
	"math"
	"testing"
)

func table() *Table {
	return &Table{
		Rows: 3, Label: []bool{true, false, true}, HeldOut: []bool{false, true, false},
		Columns: []Column{
			{Name: "age", Numbers: []float64{30, math.NaN(), 50}},
			{Name: "country", Codes: []int32{0, 2, Missing}, Values: []string{"DE", "FR"}},
		},
	}
}

func TestValidateRefusesMalformedTables(t *testing.T) {
	if err := table().Validate(); err != nil {
		t.Fatal(err)
	}
	empty := &Table{Label: []bool{}, Columns: []Column{{Name: "age", Numbers: []float64{}}}}
	if err := empty.Validate(); err != nil {
		t.Errorf("a table without rows: %v", err)
	}
	recommended := table()
	recommended.Label, recommended.User = nil, []int32{0, 1, 0}
	if err := recommended.Validate(); err != nil {
		t.Errorf("users in place of labels: %v", err)
	}
	number := table()
	number.Label, number.Target = nil, []float64{1, -2, 0}
	if err := number.Validate(); err != nil {
		t.Errorf("a label that is a number: %v", err)
	}
	for name, change := range map[string]func(*Table){
		"two labels":       func(t *Table) { t.Target = []float64{1, 2, 3} },
		"few numbers":      func(t *Table) { t.Label, t.Target = nil, []float64{1, 2} },
		"a missing number": func(t *Table) { t.Label, t.Target = nil, []float64{1, 2, math.NaN()} },
		"an endless one":   func(t *Table) { t.Label, t.Target = nil, []float64{1, 2, math.Inf(1)} },
		"negative rows":    func(t *Table) { t.Rows = -1 },
		"labels":           func(t *Table) { t.Label = t.Label[1:] },
		"folds":            func(t *Table) { t.HeldOut = t.HeldOut[1:] },
		"no name":          func(t *Table) { t.Columns[0].Name = "" },
		"name twice":       func(t *Table) { t.Columns[0].Name = "country" },
		"both":             func(t *Table) { t.Columns[0].Codes = t.Columns[1].Codes },
		"neither":          func(t *Table) { t.Columns[0].Numbers = nil },
		"short numbers":    func(t *Table) { t.Columns[0].Numbers = []float64{1} },
		"infinite":         func(t *Table) { t.Columns[0].Numbers[0] = math.Inf(-1) },
		"short codes":      func(t *Table) { t.Columns[1].Codes = []int32{0} },
		"code too large":   func(t *Table) { t.Columns[1].Codes[0] = 3 },
		"code too small":   func(t *Table) { t.Columns[1].Codes[0] = -2 },
		"value twice":      func(t *Table) { t.Columns[1].Values[1] = "DE" },
		"no labels":        func(t *Table) { t.Label = nil },
		"users":            func(t *Table) { t.User = []int32{0, 1} },
		"a user skipped":   func(t *Table) { t.User = []int32{0, 2, 1} },
		"a negative user":  func(t *Table) { t.User = []int32{0, -1, 1} },
		"values of number": func(t *Table) { t.Columns[0].Values = []string{"x"} },
	} {
		v := table()
		change(v)
		if err := v.Validate(); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The digest changes with everything that a sum depends on, and only with that.
func TestDigestCoversRowsLabelsAndFolds(t *testing.T) {
	base := table().Digest()
	seen := map[[32]byte]string{base: "base"}
	for name, change := range map[string]func(*Table){
		"number":      func(t *Table) { t.Columns[0].Numbers[0] = 31 },
		"missing":     func(t *Table) { t.Columns[0].Numbers[1] = 0 },
		"code":        func(t *Table) { t.Columns[1].Codes[0] = 1 },
		"values":      func(t *Table) { t.Columns[1].Values = []string{"DE", "NL"} },
		"name":        func(t *Table) { t.Columns[0].Name = "years" },
		"label":       func(t *Table) { t.Label[0] = false },
		"fold":        func(t *Table) { t.HeldOut[0] = true },
		"order":       func(t *Table) { c := t.Columns[0].Numbers; c[0], c[2] = c[2], c[0] },
		"columns":     func(t *Table) { t.Columns = t.Columns[:1] },
		"no labels":   func(t *Table) { t.Label, t.User = nil, []int32{0, 0, 1} },
		"users":       func(t *Table) { t.Label, t.User = nil, []int32{0, 1, 1} },
		"numbers":     func(t *Table) { t.Label, t.Target = nil, []float64{1, 2, 3} },
		"a number":    func(t *Table) { t.Label, t.Target = nil, []float64{1, 2, 4} },
		"held number": func(t *Table) { t.Label, t.Target, t.HeldOut = nil, []float64{1, 2, 3}, nil },
		"label moved": func(t *Table) { t.Label[0], t.Label[1] = false, true },
	} {
		v := table()
		change(v)
		d := v.Digest()
		if other, ok := seen[d]; ok {
			t.Errorf("%s has the digest of %s", name, other)
		}
		seen[d] = name
	}
	same := table()
	same.Columns[0].Numbers[1] = math.Float64frombits(0xfff8000000000123) // another NaN
	if same.Digest() != base {
		t.Error("two kinds of NaN differ")
	}
	a, b := table(), table()
	a.HeldOut, b.HeldOut = nil, make([]bool, 3)
	if a.Digest() != b.Digest() {
		t.Error("no hold-out marks differ from none set")
	}
	// A large table passes the buffer's border.
	large := &Table{Rows: 10_000, Label: make([]bool, 10_000), Columns: []Column{{Name: "x", Numbers: make([]float64, 10_000)}}}
	first := large.Digest()
	large.Columns[0].Numbers[9_999] = 1
	if large.Digest() == first {
		t.Error("the last number isn't covered")
	}
}
