package pipeline

import (
	"errors"
	"math"
	"testing"
)

func spec(t *testing.T) *Spec {
	t.Helper()
	s, err := NewSpec([]Feature{
		{Name: "age", Kind: Number, Min: 10, Max: 110, Standardize: true, Clip: 3},
		{Name: "basket", Kind: Number, Max: math.E - 1, Log1p: true, Nullable: true, MissingIndicator: true, Clip: 64},
		{Name: "country", Kind: Category, Values: []string{"DE", "FR"}, MinCount: 20, Nullable: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func totals() Totals {
	return Totals{
		Rows: 100, Positives: 30, HeldOut: 7, Present: []int64{100, 75}, Sum: []float64{50, 30}, Square: []float64{29, 20},
		Counts: []int64{70, 19, 11},
	}
}

// Means and deviations are of the sum's rows; a category with fewer than min_count rows and a rare missing indicator fold.
func TestFitDerivesMomentsAndFolds(t *testing.T) {
	s := spec(t)
	f, err := s.Fit(totals(), 0)
	if err != nil {
		t.Fatal(err)
	}
	mean, sd := s.Natural(f, 0)
	if mean != 60 || math.Abs(sd-20) > 1e-12 { // u: mean 0.5, variance 0.29-0.25
		t.Errorf("mean %g, deviation %g", mean, sd)
	}
	if f.Mean[1] != 0 || f.SD[1] != 1 {
		t.Errorf("a raw number has mean %g and deviation %g", f.Mean[1], f.SD[1])
	}
	for i, want := range []bool{false, false, false, false, true, false} { // age basket basket:missing DE FR other
		if f.Folded[i] != want {
			t.Errorf("%s: folded %t", s.Columns()[i].Name, f.Folded[i])
		}
	}
	if got := s.CategoryColumns(f, 2); got[0] != 5 || got[1] != 3 || got[2] != 5 || got[3] != 5 {
		t.Errorf("columns of missing, DE, FR, unlisted: %v", got)
	}
	if got := s.CategoryColumns(nil, 2); got[0] != 5 || got[2] != 4 {
		t.Errorf("columns before folding: %v", got)
	}
	rare := totals()
	rare.Present[1] = 81
	if f, err := s.Fit(rare, 0); err != nil || !f.Folded[2] {
		t.Errorf("19 missing rows keep their indicator: %v", err)
	}
	if err := s.Check(f); err != nil {
		t.Error(err)
	}
}

func TestNumberIsStandardisedAndClamped(t *testing.T) {
	s := spec(t)
	f, err := s.Fit(totals(), 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		feature int
		x, want float64
	}{{0, 60, 0}, {0, 80, 1}, {0, 110, 2.5}, {0, math.NaN(), 0}, {1, math.E - 1, 1}, {1, 0, 0}, {1, math.NaN(), 0}} {
		if got := s.Number(f, c.feature, c.x); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("feature %d at %g: %g, want %g", c.feature, c.x, got, c.want)
		}
	}
	f.SD[0] = 0.01
	if hi, lo := s.Number(f, 0, 110), s.Number(f, 0, 10); hi != 3 || lo != -3 {
		t.Errorf("clamped to %g and %g, want ±3", hi, lo)
	}
}

// A column without variance, or whose variance could be the quantisation's, carries nothing.
func TestConstantColumnIsFolded(t *testing.T) {
	s := spec(t)
	constant := totals()
	constant.Square[0] = 25 // mean² · rows
	f, err := s.Fit(constant, 0)
	if err != nil || !f.Folded[0] || f.SD[0] != 1 || s.Number(f, 0, 110) != 0 {
		t.Errorf("constant: %v %+v", err, f)
	}
	nearly := totals()
	nearly.Square[0] = 25.01
	if f, err := s.Fit(nearly, 0.003); err != nil || !f.Folded[0] {
		t.Errorf("variance 1e-4 of an uncertain 9e-5 is believed: %v", err)
	}
	if f, err := s.Fit(nearly, 0.0001); err != nil || f.Folded[0] {
		t.Errorf("a certain variance isn't: %v", err)
	}
	absent := totals()
	absent.Present[0], absent.Sum[0], absent.Square[0] = 0, 0, 0
	if f, err := s.Fit(absent, 0); err != nil || !f.Folded[0] {
		t.Errorf("a number that is always missing: %v", err)
	}
}

func TestImpossibleTotalsAreRefused(t *testing.T) {
	s := spec(t)
	for name, change := range map[string]func(*Totals){
		"negative rows":      func(t *Totals) { t.Rows = -1 },
		"positives":          func(t *Totals) { t.Positives = 101 },
		"present":            func(t *Totals) { t.Present[0] = 101 },
		"sum above rows":     func(t *Totals) { t.Sum[0] = 101 },
		"square above sum":   func(t *Totals) { t.Square[0] = 51 },
		"NaN":                func(t *Totals) { t.Square[0] = math.NaN() },
		"Inf":                func(t *Totals) { t.Sum[0] = math.Inf(1) },
		"counts":             func(t *Totals) { t.Counts[0]++ },
		"negative count":     func(t *Totals) { t.Counts[0], t.Counts[1] = 100, -11 },
		"shape":              func(t *Totals) { t.Counts = t.Counts[1:] },
		"negative mean (-1)": func(t *Totals) { t.Sum[0], t.Square[0] = -1, -1 },
	} {
		v := totals()
		change(&v)
		if _, err := s.Fit(v, 1e-9); !errors.Is(err, ErrInconsistent) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLog1pIsAccurate(t *testing.T) {
	worst := 0.0
	for x := -0.999999; x < 1e18; {
		got, want := Log1p(x), math.Log1p(x)
		if want != 0 {
			worst = max(worst, math.Abs(got-want)/math.Abs(want))
		}
		x += math.Abs(x)*0.0037 + 1e-7
	}
	for e := -60; e < 60; e++ {
		for _, sign := range []float64{1, -1} {
			if x := math.Ldexp(sign*1.37, e); x > -1 {
				worst = max(worst, math.Abs(Log1p(x)/math.Log1p(x)-1))
			}
		}
	}
	if worst > 4*0x1p-52 {
		t.Errorf("worst relative error %g", worst)
	}
	if Log1p(0) != 0 {
		t.Error("Log1p(0)")
	}
}

func TestExponentBoundsTheRange(t *testing.T) {
	for _, c := range []struct {
		lo, hi float64
		want   int
	}{{0, 1, 0}, {0, 1.01, 1}, {-8, 3, 3}, {-8.1, 3, 4}, {0, 0.25, -2}, {0, 0.3, -1}} {
		f := Feature{Min: c.lo, Max: c.hi}
		if got := f.exponent(); got != c.want {
			t.Errorf("%g..%g: 2^%d, want 2^%d", c.lo, c.hi, got, c.want)
		}
	}
}

// A scaled number's declared range maps to [-1, 1] with nothing fitted; missing is the middle, and Natural gives the same map.
func TestScaledNumberNeedsNoFit(t *testing.T) {
	s, err := NewSpec([]Feature{
		{Name: "age", Kind: Number, Min: 10, Max: 110, Scale: true},
		{Name: "basket", Kind: Number, Max: math.E - 1, Log1p: true, Nullable: true, Scale: true},
		{Name: "country", Kind: Category, Values: []string{"DE", "FR"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	f := s.Plain()
	for _, c := range []struct {
		feature int
		x, want float64
	}{{0, 10, -1}, {0, 110, 1}, {0, 60, 0}, {0, 35, -0.5}, {0, 9, -1}, {1, 0, -1}, {1, math.E - 1, 1}, {1, math.NaN(), 0}, {1, math.Sqrt(math.E) - 1, 0}} {
		got := s.Number(f, c.feature, c.x)
		if math.Abs(got-c.want) > 1e-15 {
			t.Errorf("feature %d: %g becomes %g, want %g", c.feature, c.x, got, c.want)
		}
		middle, half := s.Natural(f, c.feature)
		if x := s.Features()[c.feature].Transform(c.x); c.x >= 10 && math.Abs((x-middle)/half-got) > 1e-15 {
			t.Errorf("feature %d: %g by Natural, %g", c.feature, (x-middle)/half, got)
		}
	}
	if got := s.CategoryColumns(f, 2); got[0] != 4 || got[1] != 2 || got[2] != 3 || got[3] != 4 {
		t.Errorf("columns of missing, DE, FR, unlisted: %v", got)
	}
	for _, bad := range []Feature{
		{Name: "age", Kind: Number, Max: 1, Scale: true, Standardize: true},
		{Name: "age", Kind: Number, Max: 1, Scale: true, Clip: 1},
		{Name: "age", Kind: Category, Values: []string{"x"}, Scale: true},
	} {
		if _, err := NewSpec([]Feature{bad}); !errors.Is(err, ErrSpec) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}
