package linear_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"tributary/models/dataset"
	"tributary/models/hashing"
	"tributary/models/linear"
	"tributary/models/optim"
	"tributary/models/pipeline/fit"
)

func open(name string, minCount, buckets int) feature {
	return feature{"name": name, "kind": "category", "buckets": buckets, "nullable": false, "missing_indicator": false, "min_count": minCount}
}

func crossed(minCount, buckets int, a, b string) feature {
	return feature{"name": a + "*" + b, "kind": "cross", "of": []string{a, b}, "buckets": buckets, "nullable": false, "missing_indicator": false, "min_count": minCount}
}

const cityBuckets = 256

// shops has four shops' customers: their cities, which nobody lists, their country and their device. Bern buys more; so do, of those in
// Germany (country 0), the ones on a mobile (device 1), beside what country and device tell by themselves. Party k has rows k, k+4, …;
// "Atlantis" is a city of the last one alone.
func shops(n int, seed uint64) *dataset.Table {
	r := rand.New(rand.NewPCG(seed, 11))
	t := &dataset.Table{Rows: n}
	city, country, device, age := make([]int32, n), make([]int32, n), make([]int32, n), make([]float64, n)
	function := hashing.New("city", cityBuckets)
	for i := range n {
		name := fmt.Sprint("Stadt ", int(60*r.ExpFloat64()))
		switch {
		case r.IntN(20) == 0:
			name = "Bern"
		case i%4 == 3 && r.IntN(10) == 0:
			name = "Atlantis"
		}
		city[i] = function.Text(name)
		country[i], device[i], age[i] = int32(r.IntN(5))-1, int32(r.IntN(3)), 18+60*r.Float64()
		m := -1 + 0.02*(age[i]-50)
		switch name {
		case "Bern":
			m += 2
		case "Atlantis":
			m += 1.5
		}
		if country[i] == 0 {
			m -= 0.5
		}
		if device[i] == 1 {
			m += 0.3
		}
		if country[i] == 0 && device[i] == 1 {
			m += 2
		}
		t.Label = append(t.Label, r.Float64() < 1/(1+math.Exp(-m)))
		t.HeldOut = append(t.HeldOut, i%5 == 4)
	}
	t.Columns = []dataset.Column{
		{Name: "age", Numbers: age},
		{Name: "city", Codes: city, Buckets: cityBuckets},
		{Name: "country", Codes: country, Values: []string{"DE", "FR", "NL"}},
		{Name: "device", Codes: device, Values: []string{"desktop", "mobile", "tablet"}},
	}
	return t
}

func shopsJob(solver string) job {
	return job{contributors: 4, bits: 40, maxRows: 5_000_000, maxRounds: 200, l2: 1, tolerance: 1e-10, holdout: true, solver: solver, features: []feature{
		number("age", 16, 110), open("city", 20, cityBuckets),
		category("country", 1, "DE", "FR", "NL").with("nullable", true), category("device", 1, "desktop", "mobile", "tablet"),
		crossed(20, 5*4, "country", "device"), crossed(20, 64, "city", "device"),
	}}
}

// listed gives a table in which buckets and cells are values that somebody listed, rare ones already "other": what the pooled solver,
// which knows nothing of either, is given.
func listed(t *testing.T, p *optim.Program, table *dataset.Table) *dataset.Table {
	t.Helper()
	columns, err := fit.Columns(p.Pipeline(), table)
	if err != nil {
		t.Fatal(err)
	}
	out := *table
	out.Columns = nil
	for _, c := range columns {
		d := dataset.Column{Name: c.Name, Numbers: c.Numbers, Values: slices.Clone(c.Values)}
		counts, place := map[int32]int{}, map[int32]int32{}
		for i, code := range c.Codes {
			if !table.Held(i) {
				counts[code]++
			}
		}
		for code := range int32(c.Buckets) {
			if counts[code] >= 20 {
				place[code] = int32(len(d.Values))
				d.Values = append(d.Values, fmt.Sprint(code))
			}
		}
		for _, code := range c.Codes {
			at, kept := place[code]
			if !kept {
				at = int32(len(d.Values))
			}
			if c.Buckets == 0 {
				at = code
				if code < 0 {
					at = int32(len(d.Values))
				}
			}
			d.Codes = append(d.Codes, at)
		}
		out.Columns = append(out.Columns, d)
	}
	return &out
}

// coefficient is what the model has for a bucket.
func coefficient(t *testing.T, p *optim.Program, s *optim.State, name string) float64 {
	t.Helper()
	for i := range p.Pipeline().Columns() {
		if p.Pipeline().ColumnName(i) == name {
			if s.Fitted().Folded[i] {
				t.Fatalf("%s is folded", name)
			}
			return s.Coefficients()[i]
		}
	}
	t.Fatalf("no column %s", name)
	return 0
}

// Four participants who list no city reach the optimum over all rows, find the effects that are there, and learn of a city that one of
// them alone has.
func TestHashedAndCrossedTrainingReachesThePooledOptimum(t *testing.T) {
	table := shops(16_000, 5)
	for _, solver := range []string{"newton", "lbfgs"} {
		t.Run(solver, func(t *testing.T) {
			p := shopsJob(solver).program(t)
			optimum := newPooled(listed(t, p, table), 1).solve()
			parties := split(table, 4)
			for k := range 3 {
				if slices.Contains(parties[k].Columns[1].Codes, hashing.New("city", cityBuckets).Text("Atlantis")) {
					t.Fatalf("party %d has another city in Atlantis's bucket", k)
				}
			}
			s, reports := train(t, p, parties)
			m, _ := s.Metrics()
			t.Logf("objective %.9f, pooled %.9f, relative %.2g, %d rounds, AUC %.4f", m.Objective, optimum, relative(m.Objective, optimum), count(reports, optim.Train), m.AUC.V)
			if !s.Converged() || relative(m.Objective, optimum) > 1e-8 {
				t.Errorf("objective %.9f, pooled %.9f, converged %t", m.Objective, optimum, s.Converged())
			}
			city := hashing.New("city", cityBuckets)
			bern := coefficient(t, p, s, fmt.Sprintf("city#%d", city.Text("Bern")))
			atlantis := coefficient(t, p, s, fmt.Sprintf("city#%d", city.Text("Atlantis")))
			mobile := coefficient(t, p, s, "country*device#1") - coefficient(t, p, s, "country*device#0")
			t.Logf("Bern %+.2f, Atlantis %+.2f, Germans on a mobile %+.2f", bern, atlantis, mobile)
			// The penalty shrinks them; their standard errors are about 0.15.
			if bern < 0.8 || atlantis < 0.5 || mobile < 0.6 {
				t.Errorf("Bern %g, Atlantis %g, Germans on a mobile %g: the effects are 2, 1.5 and 2", bern, atlantis, mobile)
			}
			without := shopsJob(solver)
			without.features = without.features[:4]
			plain, _ := train(t, without.program(t), parties)
			if q, _ := plain.Metrics(); m.AUC.V < q.AUC.V+0.005 {
				t.Errorf("AUC %.4f with crosses, %.4f without", m.AUC.V, q.AUC.V)
			}
			scores, err := linear.Score(p, s, table)
			if err != nil {
				t.Fatal(err)
			}
			if h, l := heldOut(table, scores); math.Abs(auc(h, l)-m.AUC.V) > 1e-3 {
				t.Errorf("AUC %.5f of the rows, %.5f reported", auc(h, l), m.AUC.V)
			}
		})
	}
}

// Values that share a bucket are one to the model: it can't tell them apart, and says of both what it learnt of both.
func TestCollidingValuesShareACoefficient(t *testing.T) {
	table := shops(4_000, 6)
	p := shopsJob("newton").program(t)
	s, _ := train(t, p, split(table, 4))
	function := hashing.New("city", cityBuckets)
	twin := ""
	for i := 0; twin == ""; i++ {
		if name := fmt.Sprint("Ort ", i); function.Text(name) == function.Text("Bern") {
			twin = name
		}
	}
	row := func(name string) *dataset.Table {
		one := pick(table, []int{0})
		one.Columns[1].Codes, one.Columns[1].Buckets = []int32{function.Text(name)}, cityBuckets
		return one
	}
	score := func(name string) float64 {
		out, err := linear.Score(p, s, row(name))
		if err != nil {
			t.Fatal(err)
		}
		return out[0]
	}
	if score(twin) != score("Bern") || score("Stadt 1") == score("Bern") {
		t.Errorf("%s %g, Bern %g, Stadt 1 %g", twin, score(twin), score("Bern"), score("Stadt 1"))
	}
}

// A cross of private rows is one more active column of each: it takes its part of the norm, which stays 1, so that no row adds more
// than the noise was made for.
func TestCrossesCountInThePrivateNorm(t *testing.T) {
	table := shops(600, 7)
	plain := func(f feature) feature { delete(f, "min_count"); return f }
	p := privateProgram(t, []feature{scaled("age", 16, 110), plain(open("city", 0, cityBuckets)),
		plain(category("country", 0, "DE", "FR", "NL")).with("nullable", true), plain(category("device", 0, "desktop", "mobile", "tablet")),
		plain(crossed(0, 5*4, "country", "device")), plain(crossed(0, 64, "city", "device"))}, 1000, 4, budget{1, 0.3, 0.6, 0.1})
	d, err := linear.Prepare(p, p.Initial(), table)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := d.SparseContributions(p.Initial(), nil)
	if err != nil {
		t.Fatal(err)
	}
	scale, n := float64(p.Privacy().Scale), 0
	for lanes, values := range rows {
		square := 0.0
		for _, v := range values {
			square += v * v
		}
		// Age, five categories and the intercept: 7·8/2 products of two.
		if n++; len(lanes) != 28 || math.Abs(math.Sqrt(square)/scale-1) > 1e-12 || !slices.IsSorted(lanes) {
			t.Fatalf("row %d: %d lanes of norm %g", n, len(lanes), math.Sqrt(square)/scale)
		}
	}
	if n != 480 {
		t.Errorf("%d rows", n)
	}
	// DP-SGD's gradients, too: residual times a row of norm 1, at a point where the residuals are large.
	p = remade(t, p, func(doc map[string]any) {
		model := doc["model"].(map[string]any)
		model["solver"], model["sampling"] = "dp_sgd", map[string]any{"rate_num": 1, "rate_den": 1, "learning_rate": 1.5, "momentum": 0.5}
	})
	s, _, err := p.Apply(p.Initial(), [][]float64{{480 * unit}})
	if err != nil {
		t.Fatal(err)
	}
	gradient := make([]float64, p.Coefficients())
	gradient[len(gradient)-1] = -300 * unit
	if s, _, err = p.Apply(s, [][]float64{gradient}); err != nil {
		t.Fatal(err)
	}
	if d, err = linear.Prepare(p, s, table); err != nil {
		t.Fatal(err)
	}
	if rows, err = d.SparseContributions(s, nil); err != nil {
		t.Fatal(err)
	}
	largest := 0.0
	for lanes, values := range rows {
		square := 0.0
		for _, v := range values {
			square += v * v
		}
		if largest = max(largest, math.Sqrt(square)/unit); len(lanes) != 7 || largest > 1+1e-12 {
			t.Fatalf("%d lanes of norm %g", len(lanes), math.Sqrt(square)/unit)
		}
	}
	if largest < 0.5 {
		t.Errorf("the largest gradient has norm %g: the bound was hardly tried", largest)
	}
}

// On Adult a cross of marital status and occupation tells a little more than both by themselves; others that were tried, such as
// education and occupation (AUC 0.90489), don't.
func TestCrossImprovesAdult(t *testing.T) {
	table, features := readAdult(t).table(t)
	levels := map[string]int{}
	for _, c := range table.Columns {
		levels[c.Name] = len(c.Values) + 1
	}
	features = append(features, crossed(20, levels["marital-status"]*levels["occupation"], "marital-status", "occupation"))
	p := job{contributors: 4, bits: 40, maxRows: 5_000_000, maxRounds: 10, features: features, l2: 1, tolerance: 1e-8, holdout: true}.program(t)
	s, reports := train(t, p, split(table, 4))
	m, _ := s.Metrics()
	t.Logf("AUC %.5f, log loss %.5f after %d rounds", m.AUC.V, m.LogLoss.V, count(reports, optim.Train))
	if !s.Converged() || m.AUC.V < 0.90542 {
		t.Errorf("AUC %.5f, without the cross 0.90542; converged %t", m.AUC.V, s.Converged())
	}
}
