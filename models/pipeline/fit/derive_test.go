package fit

import (
	"errors"
	"math"
	"strings"
	"testing"

	"tributary/models/dataset"
	"tributary/models/pipeline"
)

// What a participant sums for quantiles has no bin of fewer than 20 rows, whichever rows lie alone, and all of the rows and their
// sums.
func TestSketchesHaveNoSingleRows(t *testing.T) {
	s, err := pipeline.NewSpec([]pipeline.Feature{
		{Name: "income", Kind: pipeline.Number, Max: 1e6, Standardize: true, Clip: 64, Quantiles: &[2]float64{0.01, 0.99}, Nullable: true},
		{Name: "age", Kind: pipeline.Category, Min: 16, Max: 110, Buckets: &pipeline.Buckets{Quantiles: 4}, MinCount: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	table := &dataset.Table{Rows: 300}
	income, age := make([]float64, 300), make([]float64, 300)
	for i := range income {
		income[i], age[i] = math.Exp(float64(i)*0.046), 16+float64(i%94)
		if i%7 == 0 {
			income[i] = math.NaN()
		}
		table.Label, table.HeldOut = append(table.Label, i%2 == 0), append(table.HeldOut, i%10 == 9)
	}
	table.Columns = []dataset.Column{{Name: "age", Numbers: age}, {Name: "income", Numbers: income}}
	got, err := Sums(s, table)
	if err != nil {
		t.Fatal(err)
	}
	bins, _ := s.SketchLanes()
	if len(got.Bins) != bins {
		t.Fatalf("%d bins, want %d", len(got.Bins), bins)
	}
	first := s.SketchOf(0).Bins()
	rows, sum, square, used := int64(0), 0.0, 0.0, 0
	for i, n := range got.Bins {
		if n > 0 && n < pipeline.SketchGroup {
			t.Errorf("bin %d has %d rows", i, n)
		}
		if i < first {
			if n > 0 {
				used++
			}
			rows, sum, square = rows+n, sum+got.BinSum[i], square+got.BinSquare[i]
		}
	}
	if rows != got.Present[0] || math.Abs(sum-got.Sum[0]) > 1e-12 || math.Abs(square-got.Square[0]) > 1e-12 || used < 8 {
		t.Errorf("%d rows of %d in %d bins, sums %g of %g and %g of %g", rows, got.Present[0], used, sum, got.Sum[0], square, got.Square[0])
	}
	if _, err := s.Fit(got, 0); err != nil {
		t.Error(err)
	}
}

// An error about a date or a number in buckets names column and row, never the value.
func TestDerivedColumnsAreChecked(t *testing.T) {
	s, err := pipeline.NewSpec([]pipeline.Feature{
		{Name: "since.month", Kind: pipeline.Category, Date: &pipeline.Date{Column: "since", Part: pipeline.Month, First: "2020-01-01", Last: "2020-12-31"}},
		{Name: "age", Kind: pipeline.Category, Min: 16, Max: 110, Buckets: &pipeline.Buckets{Edges: []float64{18}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		since, age float64
		column     string
	}{{1577836800, 30, ""}, {1609459199, 30, ""}, {1609459200, 30, "since"}, {math.NaN(), 30, "since"}, {1577836800.5, 30, "since"}, {1577836800, 111, "age"}, {1577836800, math.NaN(), "age"}} {
		table := &dataset.Table{Rows: 1, Label: []bool{true}, Columns: []dataset.Column{{Name: "since", Numbers: []float64{c.since}}, {Name: "age", Numbers: []float64{c.age}}}}
		_, err := Bind(s, table)
		if (err == nil) != (c.column == "") || err != nil && (!errors.Is(err, ErrTable) || !strings.Contains(err.Error(), `"`+c.column+`": row 1`) || strings.Contains(err.Error(), "16094")) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
