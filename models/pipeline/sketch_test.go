package pipeline

import (
	"errors"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Bins cover the range without gaps, each holds its lower edge and not its upper one, and they are as narrow as promised.
func TestBinsCoverTheRange(t *testing.T) {
	for _, r := range [][2]float64{
		{0, 10_000}, {0, 1}, {16, 110}, {-1, 1}, {-8000, 3}, {-3, 8000}, {-5, 0}, {-9, -8}, {1990, 2030}, {0, 1e18}, {-1e18, 1e18}, {1e15, 1e15 + 1}, {0, 1e-18}, {1e-300, 1}, {3, 8},
	} {
		k := newSketch(r[0], r[1])
		least := 5
		if r[0] < 0 && r[1] > 0 {
			least = 4
		}
		if k.Bins() < 2 || k.Bins() > MaxBins || k.Bits < least {
			t.Errorf("%v: %d bins of %d bits", r, k.Bins(), k.Bits)
		}
		if k.Edge(0) != r[0] || k.Edge(k.Bins()) != r[1] || k.Bin(r[0]) != 0 || k.Bin(r[1]) != k.Bins()-1 || k.Floor > max(math.Abs(r[0]), math.Abs(r[1]))*0x1p-14 {
			t.Errorf("%v: edges %g to %g, bins %d to %d of %d, floor %g", r, k.Edge(0), k.Edge(k.Bins()), k.Bin(r[0]), k.Bin(r[1]), k.Bins(), k.Floor)
		}
		for i := range k.Bins() {
			lo, hi := k.Edge(i), k.Edge(i+1)
			if !(lo < hi) && !(i == k.Bins()-1 && lo == hi) {
				t.Errorf("%v: bin %d is %g..%g", r, i, lo, hi)
			}
			if k.Bin(lo) != i || i > 0 && k.Bin(math.Nextafter(lo, math.Inf(-1))) != i-1 {
				t.Errorf("%v: edge %g of bin %d is in bin %d, the number before in %d", r, lo, i, k.Bin(lo), k.Bin(math.Nextafter(lo, math.Inf(-1))))
			}
			near := min(math.Abs(lo), math.Abs(hi))
			around := lo < k.Floor && hi > -k.Floor
			if around && hi-lo > 2*k.Floor || !around && hi-lo > math.Ldexp(near, -k.Bits) {
				t.Errorf("%v: bin %d, %g..%g, is %g wide", r, i, lo, hi, hi-lo)
			}
			if at, ok := k.edge(lo); !ok || at != i && lo != hi {
				t.Errorf("%v: edge %d isn't known", r, i)
			}
		}
	}
}

// values draws a column of a kind: even, of heavy tails, of both signs, constant, mostly zero.
func values(t *rapid.T) (lo, hi float64, out []float64) {
	random := func() float64 { return rapid.Float64Range(0, 1).Draw(t, "u") }
	n := rapid.IntRange(1, 60).Draw(t, "n")
	kind := rapid.SampledFrom([]string{"even", "heavy", "signed", "constant", "zeros"}).Draw(t, "kind")
	lo, hi = 0, 1e6
	if kind == "signed" {
		lo = -1e6
	}
	constant := math.Floor(random() * hi)
	for range n {
		x := lo + random()*(hi-lo)
		switch kind {
		case "heavy":
			x = min(1/(1e-6+random()), hi) // Pareto: infinite mean
		case "constant":
			x = constant
		case "zeros":
			x = max(0, (random()-0.7)*hi)
		}
		out = append(out, x)
	}
	return lo, hi, out
}

func count(k *Sketch, values []float64) []int64 {
	out := make([]int64, k.Bins())
	for _, x := range values {
		out[k.Bin(x)]++
	}
	return out
}

// The exact quantile and the fitted bound lie in one bin: they differ by at most 2^-Bits of the quantile, or by the floor. Nothing
// inside the exact quantiles is clamped.
// Reference: [MRL19, Prop. 3], with bins by leading bits.
func TestBoundsAreWithinABinOfTheQuantiles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lo, hi, x := values(t)
		low, high := rapid.Float64Range(0, 0.5).Draw(t, "low"), rapid.Float64Range(0.5, 1).Draw(t, "high")
		if low == high {
			t.Skip()
		}
		k := newSketch(lo, hi)
		from, to := k.bounds(count(k, x), [2]float64{low, high})
		slices.Sort(x)
		exact := func(q float64) float64 { return x[max(int(math.Ceil(q*float64(len(x)))), 1)-1] }
		if a := exact(low); low > 0 && !(from <= a && a-from <= max(math.Ldexp(math.Abs(a), -k.Bits), 2*k.Floor)) {
			t.Fatalf("quantile %g of %v is %g, the bound %g", low, x, a, from)
		}
		if b := exact(high); high < 1 && !(to >= b && to-b <= max(math.Ldexp(math.Abs(b), -k.Bits), 2*k.Floor)) {
			t.Fatalf("quantile %g of %v is %g, the bound %g", high, x, b, to)
		}
	})
}

// Below each fitted edge is a share of rows that misses j/n by at most the share of one bin: that of the exact quantile.
func TestEdgesShareRowsEvenly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lo, hi, x := values(t)
		n := rapid.IntRange(2, 12).Draw(t, "buckets")
		k := newSketch(lo, hi)
		counts := count(k, x)
		edges := k.edges(counts, n)
		if len(edges) != n-1 || !slices.IsSorted(edges) {
			t.Fatalf("edges %v", edges)
		}
		for j, e := range edges {
			below := 0
			for _, v := range x {
				if v < e {
					below++
				}
			}
			q := float64(j+1) / float64(n)
			bin := counts[quantile(counts, q)]
			if miss := math.Abs(float64(below) - q*float64(len(x))); miss > float64(bin) {
				t.Fatalf("edge %d of %d at %g has %d of %d rows below, its bin %d", j+1, n, e, below, len(x), bin)
			}
		}
	})
}

func clipped(t testing.TB) *Spec {
	t.Helper()
	s, err := NewSpec([]Feature{
		{Name: "income", Kind: Number, Max: 1e6, Quantiles: &[2]float64{0.1, 0.9}, Standardize: true, Clip: 64, Nullable: true, MissingIndicator: true},
		{Name: "age", Kind: Category, Min: 16, Max: 110, Buckets: &Buckets{Quantiles: 4}, MinCount: 2, Nullable: true},
		{Name: "debt", Kind: Category, Min: -10, Max: 1000, Buckets: &Buckets{Edges: []float64{0, 10, 99.5}}, MinCount: 2},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// summed gives the totals of rows of income, age and debt.
func summed(s *Spec, rows [][3]float64) Totals {
	t := Totals{Rows: int64(len(rows)), Positives: 1, Present: []int64{0}, Sum: []float64{0}, Square: []float64{0}, Counts: make([]int64, 5)}
	income, age := s.SketchOf(0), s.SketchOf(1)
	bins := make([]int64, income.Bins())
	t.BinSum, t.BinSquare = make([]float64, income.Bins()), make([]float64, income.Bins())
	ages := make([]int64, age.Bins())
	for _, r := range rows {
		if x := r[0]; !math.IsNaN(x) {
			u := s.Unit(0, x)
			t.Present[0], t.Sum[0], t.Square[0] = t.Present[0]+1, t.Sum[0]+u, t.Square[0]+u*u
			at := income.Bin(x)
			bins[at]++
			t.BinSum[at], t.BinSquare[at] = t.BinSum[at]+u, t.BinSquare[at]+u*u
		}
		if !math.IsNaN(r[1]) {
			ages[s.Code(1, r[1])]++
		}
		t.Counts[s.Code(2, r[2])]++
	}
	t.Bins = append(bins, ages...)
	return t
}

func rowsOf(n int) (rows [][3]float64) {
	for i := range n {
		income := 1000 + 137*float64(i)
		if i%10 == 7 {
			income = math.NaN()
		}
		rows = append(rows, [3]float64{income, 16 + float64(i%90), -10 + float64(i%250)})
	}
	rows[3][0] = 1e6 // far beyond the quantile
	return rows
}

// Moments of clamped numbers, which are summed before anybody knows the bounds, are those of the clamped values.
func TestMomentsAreOfClampedValues(t *testing.T) {
	s, rows := clipped(t), rowsOf(1000)
	f, err := s.Fit(summed(s, rows), 0)
	if err != nil {
		t.Fatal(err)
	}
	lo, hi, _ := s.Bounds(f, 0)
	n, sum, square, below, above := 0.0, 0.0, 0.0, 0, 0
	for _, r := range rows {
		x := r[0]
		if math.IsNaN(x) {
			continue
		}
		if x < lo {
			below++
		}
		if x > hi {
			above++
		}
		x = min(max(x, lo), hi)
		n, sum, square = n+1, sum+x, square+x*x
	}
	mean, sd := s.Natural(f, 0)
	wantMean := sum / n
	wantSD := math.Sqrt(square/n - wantMean*wantMean)
	t.Logf("clamped to %g..%g, %d and %d of %g rows beyond; mean %g, deviation %g", lo, hi, below, above, n, mean, sd)
	if math.Abs(mean/wantMean-1) > 1e-9 || math.Abs(sd/wantSD-1) > 1e-9 || below == 0 || above == 0 || float64(max(below, above)) > 0.1*n {
		t.Errorf("want mean %g, deviation %g", wantMean, wantSD)
	}
	if top := s.Number(f, 0, 1e6); top != s.Number(f, 0, hi) || math.Abs(top-(hi-mean)/sd) > 1e-9 {
		t.Errorf("the largest value becomes %g", top)
	}
	if err := s.Check(f); err != nil {
		t.Error(err)
	}
}

// Buckets of about as many rows, the rest in other; codes, columns and counts agree.
func TestBucketsOfQuantiles(t *testing.T) {
	s, rows := clipped(t), rowsOf(1000)
	rows[0][1] = math.NaN()
	f, err := s.Fit(summed(s, rows), 0)
	if err != nil {
		t.Fatal(err)
	}
	edges := s.Edges(f, 1)
	t.Logf("edges %v", edges)
	counts := map[string]int{}
	columns := s.CategoryColumns(f, 1)
	for _, r := range rows {
		at := columns[s.Code(1, r[1])+1]
		counts[s.Columns()[at].Name]++
		if x := r[1]; !math.IsNaN(x) && at != s.FirstColumn(1)+BucketOf(edges, x) {
			t.Fatalf("%g is in %s, the edges are %v", x, s.Columns()[at].Name, edges)
		}
	}
	for _, name := range []string{"age:q1", "age:q2", "age:q3", "age:q4"} {
		if n := counts[name]; n < 225 || n > 275 {
			t.Errorf("%s has %d rows", name, n)
		}
	}
	if counts["age=other"] != 1 {
		t.Errorf("%v", counts)
	}
	names := []string{}
	for _, c := range s.Columns()[s.FirstColumn(2):] {
		names = append(names, c.Name)
	}
	if want := []string{"debt<0", "0<=debt<10", "10<=debt<99.5", "99.5<=debt", "debt=other"}; !slices.Equal(names, want) {
		t.Errorf("columns %q", names)
	}
}

// Where many rows have the range's upper end, which is a bin of its own, an edge lies there, and the state that says so is accepted.
func TestAColumnAtItsUpperEndHasABucketThere(t *testing.T) {
	s, rows := clipped(t), rowsOf(1000)
	for i := range rows {
		rows[i][1] = []float64{rows[i][1], 109.75, 110}[i%3]
	}
	f, err := s.Fit(summed(s, rows), 0)
	if err != nil {
		t.Fatal(err)
	}
	if edges := s.Edges(f, 1); edges[2] != 110 || s.CategoryColumns(f, 1)[s.Code(1, 110)+1] != s.FirstColumn(1)+3 {
		t.Errorf("edges %v", edges)
	}
	if err := s.Check(f); err != nil {
		t.Error(err)
	}
}

// A column that is constant within its quantiles is dropped, whatever lies beyond them: nothing of it is left.
func TestConstantColumnBetweenItsQuantilesIsFolded(t *testing.T) {
	s, rows := clipped(t), rowsOf(1000)
	for i := range rows {
		if rows[i][0] = 8192; i%200 == 0 {
			rows[i] = [3]float64{0, 20, 0}
		}
	}
	f, err := s.Fit(summed(s, rows), 1e-12)
	if err != nil {
		t.Fatal(err)
	}
	lo, hi, _ := s.Bounds(f, 0)
	if !f.Folded[0] || f.SD[0] != 1 || lo != 8192 {
		t.Errorf("clamped to %g..%g: %+v", lo, hi, f.SD)
	}
	if err := s.Check(f); err != nil {
		t.Error(err)
	}
}

// Sums that no rows give are refused: counts that aren't the rows', moments that lie outside their bin or aren't the column's.
func TestImpossibleSketchesAreRefused(t *testing.T) {
	s := clipped(t)
	income := s.SketchOf(0)
	at := income.Bin(50_000)
	for name, change := range map[string]func(*Totals){
		"negative count":             func(t *Totals) { t.Bins[at] -= 1000; t.Bins[at+1] += 1000 },
		"more than the present rows": func(t *Totals) { t.Bins[at]++ },
		"fewer than the rows":        func(t *Totals) { t.Bins[at]-- },
		"sum above the bin":          func(t *Totals) { t.BinSum[at] += 1; t.Sum[0] += 1 },
		"sum moved to another bin":   func(t *Totals) { t.BinSum[at] -= 0.05; t.BinSum[at+1] += 0.05 },
		"square below the mean's": func(t *Totals) {
			n := float64(t.Bins[at])
			change := t.BinSquare[at] - 0.99999*t.BinSum[at]*t.BinSum[at]/n
			t.BinSquare[at], t.Square[0] = t.BinSquare[at]-change, t.Square[0]-change
		},
		"sums aren't the column's":   func(t *Totals) { t.Sum[0] += 1e-3 },
		"a sum of an empty bin":      func(t *Totals) { last := income.Bins() - 2; t.BinSum[last] += 1e-3; t.Sum[0] += 1e-3 },
		"NaN":                        func(t *Totals) { t.BinSum[at] = math.NaN() },
		"Inf":                        func(t *Totals) { t.BinSquare[at] = math.Inf(1) },
		"more ages than rows":        func(t *Totals) { t.Bins[income.Bins()] += t.Rows },
		"shape":                      func(t *Totals) { t.Bins = t.Bins[1:] },
		"shape of counts":            func(t *Totals) { t.Counts = append(t.Counts, 0) },
		"too few counts":             func(t *Totals) { t.Counts = t.Counts[1:] },
		"too many of public buckets": func(t *Totals) { t.Counts[0]++ },
	} {
		v := summed(s, rowsOf(1000))
		change(&v)
		if _, err := s.Fit(v, 1e-12); !errors.Is(err, ErrInconsistent) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.Fit(summed(s, rowsOf(1000)), 1e-12); err != nil {
		t.Error(err)
	}
}

// A fitted pipeline whose bounds and edges aren't of bins, or not in order, is none that Fit gives.
func TestCheckRefusesBoundsThatFitCantGive(t *testing.T) {
	s := clipped(t)
	good := func() *Fitted {
		f, err := s.Fit(summed(s, rowsOf(1000)), 0)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	for name, change := range map[string]func(*Fitted){
		"no edge of a bin":  func(f *Fitted) { f.Bounds[1] = math.Nextafter(f.Bounds[1], 0) },
		"bounds swapped":    func(f *Fitted) { f.Bounds[0], f.Bounds[1] = f.Bounds[1], f.Bounds[0] },
		"beyond the range":  func(f *Fitted) { f.Bounds[1] = 2e6 },
		"NaN":               func(f *Fitted) { f.Edges[0] = math.NaN() },
		"edges descend":     func(f *Fitted) { f.Edges[0], f.Edges[2] = f.Edges[2], f.Edges[0] },
		"edge of the range": func(f *Fitted) { f.Edges[0] = 16 },
		"shape":             func(f *Fitted) { f.Edges = f.Edges[1:] },
		"no bounds":         func(f *Fitted) { f.Bounds = nil },
	} {
		f := good()

		change(f)
		if err := s.Check(f); !errors.Is(err, ErrInconsistent) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
