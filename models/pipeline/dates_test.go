package pipeline

import (
	"errors"
	"math"
	"testing"
	"time"
)

func seconds(t *testing.T, text string) float64 {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return float64(at.Unix())
}

// Parts of a date are those of UTC, before 1970 too; what is beyond the contract's dates counts as the nearest.
func TestPartsOfDates(t *testing.T) {
	for _, c := range []struct{ at, year, month, day, weekday, hour string }{
		{"2024-02-29T23:59:59Z", "2024", "2", "29", "thursday", "23"},
		{"1969-12-31T00:00:00Z", "1969", "12", "31", "wednesday", "0"},
		{"2000-01-01T00:30:00+01:00", "1999", "12", "31", "friday", "23"},
		{"1950-01-01T07:00:00Z", "1960", "1", "1", "friday", "0"}, // before the first date
	} {
		for part, want := range map[string]string{Year: c.year, Month: c.month, Day: c.day, Weekday: c.weekday, Hour: c.hour} {
			d := &Date{Column: "since", Part: part, First: "1960-01-01", Last: "2024-12-31"}
			if got := d.values()[d.Code(seconds(t, c.at))]; got != want {
				t.Errorf("%s of %s is %s, want %s", part, c.at, got, want)
			}
			if d.Code(math.NaN()) != -1 {
				t.Errorf("%s of nothing", part)
			}
		}
	}
	d := &Date{Column: "since", Part: Days, First: "1969-12-30", Last: "2024-12-31"}
	for at, want := range map[string]float64{"1969-12-30T23:00:00Z": 0, "1970-01-02T00:00:00Z": 3, "1900-01-01T00:00:00Z": 0, "2030-01-01T00:00:00Z": 20090} {
		if got := d.Number(seconds(t, at)); got != want {
			t.Errorf("%s is day %g, want %g", at, got, want)
		}
	}
}

func TestImpossibleDerivedFeaturesAreRefused(t *testing.T) {
	date := func(part, first, last string) *Date { return &Date{"since", part, first, last} }
	for name, f := range map[string]Feature{
		"month as a number":      {Name: "since.month", Kind: Number, Max: 12, Clip: 64, Date: date(Month, "2020-01-01", "2021-01-01")},
		"days as a category":     {Name: "since.days", Kind: Category, Date: date(Days, "2020-01-01", "2021-01-01")},
		"days of another range":  {Name: "since.days", Kind: Number, Max: 365, Clip: 64, Date: date(Days, "2020-01-01", "2021-01-01")},
		"another name":           {Name: "month", Kind: Category, Date: date(Month, "2020-01-01", "2021-01-01")},
		"last before first":      {Name: "since.month", Kind: Category, Date: date(Month, "2022-01-01", "2021-01-01")},
		"no date":                {Name: "since.month", Kind: Category, Date: date(Month, "2021-02-29", "2022-01-01")},
		"buckets of months":      {Name: "since.month", Kind: Category, Max: 12, Buckets: &Buckets{Quantiles: 2}, Date: date(Month, "2020-01-01", "2021-01-01")},
		"edges and quantiles":    {Name: "age", Kind: Category, Max: 9, Buckets: &Buckets{Quantiles: 2, Edges: []float64{1}}},
		"neither":                {Name: "age", Kind: Category, Max: 9, Buckets: &Buckets{}},
		"edge below the range":   {Name: "age", Kind: Category, Max: 9, Buckets: &Buckets{Edges: []float64{0, 1}}},
		"edge above the range":   {Name: "age", Kind: Category, Max: 9, Buckets: &Buckets{Edges: []float64{9.5}}},
		"edges not ascending":    {Name: "age", Kind: Category, Max: 9, Buckets: &Buckets{Edges: []float64{2, 2}}},
		"NaN":                    {Name: "age", Kind: Category, Max: 9, Buckets: &Buckets{Edges: []float64{math.NaN()}}},
		"values":                 {Name: "age", Kind: Category, Max: 9, Values: []string{"a"}, Buckets: &Buckets{Quantiles: 2}},
		"standardised":           {Name: "age", Kind: Category, Max: 9, Standardize: true, Buckets: &Buckets{Quantiles: 2}},
		"buckets as a number":    {Name: "age", Kind: Number, Max: 9, Clip: 64, Buckets: &Buckets{Quantiles: 2}},
		"quantiles not in order": {Name: "age", Kind: Number, Max: 9, Clip: 64, Quantiles: &[2]float64{0.5, 0.5}},
		"quantile above 1":       {Name: "age", Kind: Number, Max: 9, Clip: 64, Quantiles: &[2]float64{0, 1.1}},
		"quantiles of values":    {Name: "age", Kind: Category, Values: []string{"a"}, Quantiles: &[2]float64{0, 0.9}},
	} {
		if _, err := NewSpec([]Feature{f}); !errors.Is(err, ErrSpec) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
