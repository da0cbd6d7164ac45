package fit

import (
	"errors"
	"math"
	"strings"
	"testing"

	"tributary/models/dataset"
	"tributary/models/pipeline"
)

// Sums count training rows only, and take moments in units of the declared range.
func TestSumsCountTrainingRows(t *testing.T) {
	s, err := pipeline.NewSpec([]pipeline.Feature{
		{Name: "country", Kind: pipeline.Category, Values: []string{"DE", "FR"}, Nullable: true, MissingIndicator: true},
		{Name: "age", Kind: pipeline.Number, Min: 0, Max: 100, Standardize: true, Clip: 64, Nullable: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	table := &dataset.Table{
		Rows: 6, Label: []bool{true, false, true, false, true, true}, HeldOut: []bool{false, false, false, false, false, true},
		Columns: []dataset.Column{
			{Name: "age", Numbers: []float64{25, 50, math.NaN(), 75, 0, 100}},
			{Name: "country", Codes: []int32{0, 1, 2, dataset.Missing, 0, 0}, Values: []string{"DE", "FR"}},
		},
	}
	got, err := Sums(s, table)
	if err != nil {
		t.Fatal(err)
	}
	if got.Rows != 5 || got.Positives != 3 || got.HeldOut != 1 || got.Present[0] != 4 || got.Sum[0] != 1.5 || got.Square[0] != 0.875 {
		t.Errorf("%+v", got)
	}
	for i, want := range []int64{2, 1, 1, 1} { // DE, FR, other, missing
		if got.Counts[i] != want {
			t.Errorf("counts %v", got.Counts)
		}
	}
	table.Columns[0].Numbers[3] = 101
	if _, err := Sums(s, table); !errors.Is(err, ErrTable) || !strings.Contains(err.Error(), "row 4") || strings.Contains(err.Error(), "101") {
		t.Errorf("an error must name the row, never the value: %v", err)
	}
}

// A million small terms beside a large one are summed to the last bits.
func TestCompensatedSumKeepsSmallTerms(t *testing.T) {
	var c compensated
	c.add(1)
	for range 1_000_000 {
		c.add(0x1p-54)
	}
	if got := c.total(); math.Abs(got-(1+1e6*0x1p-54)) > 0x1p-52 {
		t.Errorf("sum - 1 = %g", got-1)
	}
}
