package linear_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"tributary/models/dataset"
	"tributary/models/linear"
	"tributary/models/optim"
)

// privateSynthetic is a private program over synthetic tables, with all kinds of columns.
func privateSynthetic(t testing.TB, b budget, rounds int) *optim.Program {
	t.Helper()
	return privateProgram(t, []feature{
		scaled("age", 16, 110),
		scaled("basket", 0, 10000).with("nullable", true).with("log1p", true).with("missing_indicator", true),
		plainCategory("country", "DE", "FR", "NL"),
		scaled("raw", -3, 5),
		plainCategory("device", "desktop", "mobile").with("nullable", true).with("missing_indicator", true),
	}, 100_000, rounds, b)
}

// statesOf gives a state of each kind of a private job.
func statesOf(t testing.TB, p *optim.Program, table *dataset.Table) []*optim.State {
	t.Helper()
	d, err := linear.Prepare(p, p.Initial(), table)
	if err != nil {
		t.Fatal(err)
	}
	states := []*optim.State{p.Initial()}
	r := rand.New(rand.NewPCG(11, 13))
	for s := p.Initial(); s.Kind() != optim.Done; states = append(states, s) {
		if s, _, err = p.Apply(s, [][]float64{noised(p, s.Kind(), contributed(t, p, d, s), r)}); err != nil {
			t.Fatal(err)
		}
	}
	return states
}

func collect(t testing.TB, p *optim.Program, s *optim.State, table *dataset.Table) [][]float64 {
	t.Helper()
	rows, err := linear.Contributions(p, s, table)
	if err != nil {
		t.Fatal(err)
	}
	var out [][]float64
	for row := range rows {
		out = append(out, slices.Clone(row))
	}
	return out
}

// No row contributes more than the scale in L2 norm, in any kind of round, at any coefficients: clipping cuts nothing honest,
// and the noise covers every row. Gram matrices and bins have exactly that norm.
func TestNoContributionExceedsTheScale(t *testing.T) {
	p := privateSynthetic(t, budget{1, 0.2, 0.75, 0.05}, 5)
	for seed := range uint64(20) {
		table := synthetic(400, seed)
		extreme(table, seed)
		for _, s := range statesOf(t, p, table) {
			if s.Kind() == optim.Done {
				continue
			}
			rows := collect(t, p, s, table)
			if want := map[bool]int{true: 80, false: 320}[s.Kind() == optim.Evaluate]; len(rows) != want {
				t.Fatalf("%s: %d contributions, want %d", s.Kind(), len(rows), want)
			}
			for i, row := range rows {
				square := 0.0
				for _, v := range row {
					square += v * v
				}
				norm := math.Sqrt(square) / unit
				if !(norm <= 1+1e-12) || s.Kind() != optim.Train && norm < 1-1e-12 {
					t.Fatalf("seed %d, %s, contribution %d: norm %.15g of the scale", seed, s.Kind(), i, norm)
				}
			}
		}
	}
}

// extreme puts some numbers at the ends of their ranges.
func extreme(table *dataset.Table, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 3))
	for name, ends := range map[string][2]float64{"age": {16, 110}, "basket": {0, 10000}, "raw": {-3, 5}} {
		c, _ := table.Column(name)
		for i := range c.Numbers {
			if r.IntN(4) == 0 {
				c.Numbers[i] = ends[r.IntN(2)]
			}
		}
	}
}

// A row's contribution depends on no other row: with one row added or removed, all others contribute the same bits. (In a matrix
// product they wouldn't: its kernels treat the rows of a block differently.)
func TestOneRowChangesTheSumByItsContribution(t *testing.T) {
	p := privateSynthetic(t, budget{1, 0.2, 0.75, 0.05}, 3)
	table := synthetic(300, 17)
	for _, s := range statesOf(t, p, table) {
		if s.Kind() == optim.Done {
			continue
		}
		var units []int // the rows that contribute in this kind of round
		for i := range table.Rows {
			if table.Held(i) == (s.Kind() == optim.Evaluate) {
				units = append(units, i)
			}
		}
		all := collect(t, p, s, table)
		if len(all) != len(units) {
			t.Fatalf("%s: %d contributions of %d rows", s.Kind(), len(all), len(units))
		}
		for at := 0; at < len(units); at += 7 {
			var kept []int
			for i := range table.Rows {
				if i != units[at] {
					kept = append(kept, i)
				}
			}
			less, want := collect(t, p, s, pick(table, kept)), slices.Delete(slices.Clone(all), at, at+1)
			if !slices.EqualFunc(less, want, slices.Equal[[]float64]) {
				t.Errorf("%s: removing row %d changed other rows' contributions", s.Kind(), units[at])
			}
			alone := collect(t, p, s, pick(table, units[at:at+1]))
			if len(alone) != 1 || !slices.Equal(alone[0], all[at]) {
				t.Errorf("%s: row %d alone contributes something else", s.Kind(), units[at])
			}
		}
	}
}

// Contributions equal their definition over dense rows: x·xᵀ with √2 off the diagonal, (p-y)·x, a bin.
func TestContributionsEqualTheDenseDefinition(t *testing.T) {
	p := privateSynthetic(t, budget{1, 0.2, 0.75, 0.05}, 3)
	table := synthetic(200, 19)
	states := statesOf(t, p, table)
	f := p.Pipeline().Plain()
	grams := collect(t, p, states[0], table)
	gradients := collect(t, p, states[2], table)
	bins := collect(t, p, states[len(states)-2], table)
	train, held := 0, 0
	for row := range table.Rows {
		x, norm := output(p, f, table, row), 0.0
		for _, v := range x {
			norm += v * v
		}
		for i := range x {
			x[i] /= math.Sqrt(norm)
		}
		probability := func(s *optim.State) float64 {
			m := 0.0
			for i, v := range x {
				m += v * s.Coefficients()[i]
			}
			return 1 / (1 + math.Exp(-m))
		}
		if table.Held(row) {
			want := min(int(probability(states[len(states)-2])*50), 49)
			if !table.Label[row] {
				want += 50
			}
			if bins[held][want] != unit {
				t.Fatalf("row %d isn't in bin %d", row, want)
			}
			held++
			continue
		}
		y, at := 0.0, 0
		if table.Label[row] {
			y = 1
		}
		for i := range x {
			if want := unit * (probability(states[2]) - y) * x[i]; math.Abs(gradients[train][i]-want) > 1e-9*unit {
				t.Fatalf("row %d, gradient %d: %g, want %g", row, i, gradients[train][i], want)
			}
			for j := i; j < len(x); j++ {
				want := unit * x[i] * x[j]
				if i != j {
					want *= math.Sqrt2
				}
				if math.Abs(grams[train][at]-want) > 1e-9*unit {
					t.Fatalf("row %d, lane (%d, %d): %g, want %g", row, i, j, grams[train][at], want)
				}
				at++
			}
		}
		train++
	}
	if train != len(grams) || train != len(gradients) || held != len(bins) {
		t.Errorf("%d, %d, %d contributions of %d and %d rows", len(grams), len(gradients), len(bins), train, held)
	}
}

// The dense and the sparse form are the same contributions.
func TestSparseContributionsEqualTheDenseOnes(t *testing.T) {
	p := privateSynthetic(t, budget{1, 0.2, 0.75, 0.05}, 2)
	table := synthetic(300, 41)
	for _, s := range statesOf(t, p, table)[:4] {
		dense := collect(t, p, s, table)
		d, err := linear.Prepare(p, s, table)
		if err != nil {
			t.Fatal(err)
		}
		sparse, err := d.SparseContributions(s, nil)
		if err != nil {
			t.Fatal(err)
		}
		at := 0
		for lanes, values := range sparse {
			want := make([]float64, len(dense[at]))
			for i, lane := range lanes {
				if i > 0 && lane <= lanes[i-1] {
					t.Fatalf("%s: lane %d after lane %d", s.Kind(), lane, lanes[i-1])
				}
				want[lane] = values[i]
			}
			if !slices.Equal(dense[at], want) {
				t.Fatalf("%s: contribution %d differs", s.Kind(), at)
			}
			at++
		}
		if at != len(dense) {
			t.Errorf("%s: %d sparse contributions, %d dense ones", s.Kind(), at, len(dense))
		}
	}
}

// The same rows give the same bits whatever GOMAXPROCS is, and the loop may stop early.
func TestContributionsDontDependOnGOMAXPROCS(t *testing.T) {
	p := privateSynthetic(t, budget{1, 0.2, 0.75, 0.05}, 2)
	table := synthetic(12_000, 23)
	for _, s := range statesOf(t, p, table)[:4] {
		d, err := linear.Prepare(p, s, table)
		if err != nil {
			t.Fatal(err)
		}
		many := contributed(t, p, d, s)
		before := runtime.GOMAXPROCS(1)
		one := contributed(t, p, d, s)
		runtime.GOMAXPROCS(before)
		if !slices.Equal(many, one) {
			t.Errorf("%s: other bits on one processor", s.Kind())
		}
		rows, err := d.Contributions(s, nil)
		if err != nil {
			t.Fatal(err)
		}
		for range rows {
			break
		}
	}
}

// A private program's rows can't be summed without noise, and an exact one's can't be given one by one.
func TestPrivateAndExactSumsArentMixedUp(t *testing.T) {
	table := synthetic(300, 31)
	private, exact := privateSynthetic(t, budget{1, 0.2, 0.75, 0.05}, 2), syntheticJob(1).program(t)
	for _, s := range statesOf(t, private, table) {
		if got, err := linear.Sums(private, s, table); got != nil || !errors.Is(err, linear.ErrState) {
			t.Errorf("%s: raw sums of a private program: %v", s.Kind(), err)
		}
		d, err := linear.Prepare(private, s, table)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := d.Sums(s); got != nil || !errors.Is(err, linear.ErrState) {
			t.Errorf("%s: raw sums of a private design: %v", s.Kind(), err)
		}
		if _, err := d.Contributions(s, nil); (err != nil) != (s.Kind() == optim.Done) {
			t.Errorf("%s: %v", s.Kind(), err)
		}
	}
	if _, err := linear.Contributions(exact, onto(t, exact, table), table); !errors.Is(err, linear.ErrState) {
		t.Errorf("contributions of an exact program: %v", err)
	}
	if _, err := linear.Score(private, private.Initial(), table); !errors.Is(err, linear.ErrState) {
		t.Errorf("scores before FIT: %v", err)
	}
}
