package linear_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"tributary/models/dataset"
	"tributary/models/linear"
	"tributary/models/optim"
	"tributary/models/pipeline"
)

var ageEdges = []float64{18, 30.5, 45, 110}

// visited are rows with a number, many on an edge or beyond, the time of a visit, and a region. Who comes on a weekend's evening buys
// more, and so do the young of region 1, beside what each tells by itself. Times and ages may be missing.
func visited(n int, seed uint64, missing bool) *dataset.Table {
	r := rand.New(rand.NewPCG(seed, 17))
	t := &dataset.Table{Rows: n}
	age, at, region := make([]float64, n), make([]float64, n), make([]int32, n)
	first := float64(time.Date(2019, 3, 1, 0, 0, 0, 0, time.UTC).Unix())
	for i := range n {
		age[i] = []float64{16, 17.999, 18, math.Floor(16 + 90*r.Float64()), 30.5, math.Nextafter(30.5, 0), 45, 110}[r.IntN(8)]
		at[i] = first + math.Floor(r.Float64()*1000*86400)
		region[i] = int32(r.IntN(4)) // 3: one that isn't listed
		m := -0.5
		if v := time.Unix(int64(at[i]), 0).UTC(); v.Weekday()%6 == 0 && v.Hour() >= 18 {
			m += 2
		}
		if age[i] < 30 && region[i] == 1 {
			m += 1.5
		}
		if missing && r.IntN(10) == 0 {
			age[i] = math.NaN()
		}
		if missing && r.IntN(10) == 0 {
			at[i] = math.NaN()
		}
		t.Label = append(t.Label, r.Float64() < 1/(1+math.Exp(-m)))
		t.HeldOut = append(t.HeldOut, i%5 == 4)
	}
	t.Columns = []dataset.Column{{Name: "age", Numbers: age}, {Name: "at", Numbers: at}, {Name: "region", Codes: region, Values: []string{"north", "south", "west"}}}
	return t
}

// bucketed is the table with columns that somebody has put into buckets and parts by hand, under the features' names.
func bucketed(in *dataset.Table) *dataset.Table {
	out := *in
	age, _ := in.Column("age")
	at, _ := in.Column("at")
	region, _ := in.Column("region")
	hand := func(name string, values int, of *dataset.Column, code func(x float64) int) {
		c := dataset.Column{Name: name, Codes: make([]int32, in.Rows)}
		for v := range values {
			c.Values = append(c.Values, strconv.Itoa(v))
		}
		for i, x := range of.Numbers {
			if c.Codes[i] = dataset.Missing; x == x {
				c.Codes[i] = int32(code(x))
			}
		}
		out.Columns = append(out.Columns, c)
	}
	out.Columns = []dataset.Column{*region}
	hand("age", len(ageEdges)+1, age, func(x float64) (n int) {
		for _, e := range ageEdges {
			if x >= e {
				n++
			}
		}
		return n
	})
	days := func(x float64) int { return int(x-1551398400) / 86400 } // of 2019-03-01, a Friday
	hand("at.weekday", 7, at, func(x float64) int { return (days(x) + 4) % 7 })
	hand("at.hour", 24, at, func(x float64) int { return int(x) / 3600 % 24 })
	hand("at.days", 2, at, func(x float64) int { return min(days(x)/365, 1) })
	return &out
}

// crossOf is a cross of any features; buckets is how many cells there are, or into how many these are hashed.
func crossOf(minCount, buckets int, name string, of ...string) feature {
	return feature{"name": name, "kind": "cross", "of": of, "buckets": buckets, "nullable": false, "missing_indicator": false, "min_count": minCount}
}

// visits are a job's features, either of numbers and dates or of the columns of bucketed; cells are the levels of each but for region.
func visits(byHand, missing bool, minCount int) []feature {
	more := 0
	if missing {
		more = 1
	}
	dated := func(part string) map[string]any {
		return map[string]any{"column": "at", "part": part, "first": "2019-03-01", "last": "2021-12-31"}
	}
	part := func(name string) feature {
		return feature{"name": "at." + name, "kind": "date_part", "nullable": missing, "missing_indicator": false, "min_count": minCount, "date": dated(name)}
	}
	out := []feature{
		buckets("age", 16, 110, minCount).with("edges", ageEdges).with("nullable", missing),
		part("weekday"), part("hour"),
		buckets("at.days", 0, 1036, minCount).with("edges", []float64{365}).with("nullable", missing).with("date", dated("days")),
	}
	if byHand {
		more++ // "other"
		for i, n := range []int{5, 7, 24, 2} {
			var values []string
			for v := range n {
				values = append(values, strconv.Itoa(v))
			}
			out[i] = category(out[i]["name"].(string), minCount, values...).with("nullable", missing)
		}
	}
	return append(out, category("region", minCount, "north", "south", "west"),
		crossOf(minCount, (5+more)*4, "age*region", "age", "region"),
		crossOf(minCount, (7+more)*(24+more), "at.weekday*at.hour", "at.weekday", "at.hour"),
		crossOf(minCount, 4*(2+more)*(5+more), "region*at.days*age", "region", "at.days", "age"),
		crossOf(minCount, 64, "at.hour*age*at.weekday", "at.hour", "age", "at.weekday"))
}

// meaning names an output column in a way that both share: a combination by what each feature has, -1 being missing.
func meaning(s *pipeline.Spec, column int) string {
	c := s.Columns()[column]
	f := &s.Features()[c.Feature]
	of, sizes := s.Crossed(c.Feature)
	if c.Role != pipeline.CategoryRole || f.HashBuckets != int(pipeline.Product(sizes)) || of == nil {
		return fmt.Sprint(f.Name, " ", c.Role, " ", c.Code)
	}
	levels, code := make([]int64, len(of)), int64(c.Code)
	for k := len(of) - 1; k >= 0; k-- {
		levels[k] = code % sizes[k]
		code /= sizes[k]
		if s.Features()[of[k]].Nullable && levels[k] == sizes[k]-1 {
			levels[k] = -1
		}
	}
	return fmt.Sprint(f.Name, " ", levels)
}

// A cross of buckets and of parts of a date is that of columns which somebody has put into buckets and parts by hand, but for their
// "other", which no row is: of three participants' exact jobs the same columns fold, and coefficients, measures and scores are the same.
// With L-BFGS they are so to the bit; Newton's equations are solved in blocks of columns, whose bounds the empty columns move.
func TestCrossedBucketsAndDatesAreThoseByHand(t *testing.T) {
	for solver, within := range map[string]float64{optim.Newton: 1e-12, optim.LBFGS: 0} {
		for _, missing := range []bool{false, true} {
			table := visited(9000, 3, missing)
			hand := bucketed(table)
			j := job{contributors: 3, bits: 40, maxRows: 5_000_000, maxRounds: 200, l2: 1, tolerance: 1e-9, holdout: true, solver: solver}
			byHand := j
			j.features, byHand.features = visits(false, missing, 20), visits(true, missing, 20)
			if missing { // the last cross is hashed, and the hash another where a missing value has another number
				j.features, byHand.features = j.features[:len(j.features)-1], byHand.features[:len(j.features)-1]
			}
			p, q := j.program(t), byHand.program(t)
			s, _ := train(t, p, split(table, 3))
			h, _ := train(t, q, split(hand, 3))

			want, used := map[string]float64{}, 0
			for i := range q.Pipeline().Columns() {
				if !h.Fitted().Folded[i] {
					want[meaning(q.Pipeline(), i)] = h.Coefficients()[i]
				}
			}
			crossed, worst := 0, 0.0
			for i, c := range p.Pipeline().Columns() {
				w, kept := want[meaning(p.Pipeline(), i)]
				if kept == s.Fitted().Folded[i] {
					t.Errorf("%s: %s is folded: %t", solver, p.Pipeline().ColumnName(i), kept)
				}
				if kept {
					used++
					worst = max(worst, math.Abs(w-s.Coefficients()[i]))
				}
				if kept && p.Pipeline().Features()[c.Feature].Cross != nil {
					crossed++
				}
			}
			a, _ := s.Metrics()
			b, _ := h.Metrics()
			t.Logf("%s, missing %t: %d columns, by hand %d; %d combinations kept; coefficients differ by %.2g; AUC %.4f", solver, missing, p.Coefficients(), q.Coefficients(), crossed, worst, a.AUC.V)
			if !s.Converged() || crossed < 200 || used != len(want) || worst > within || a.AUC != b.AUC || math.Abs(a.Objective-b.Objective) > within*a.Objective {
				t.Errorf("%s: differ by %g; %+v, by hand %+v; %d columns kept, %d crossed, by hand %d", solver, worst, a, b, used, crossed, len(want))
			}
			got, err := linear.Score(p, s, table)
			if err != nil {
				t.Fatal(err)
			}
			scores, err := linear.Score(q, h, hand)
			if err != nil {
				t.Fatal(err)
			}
			for i := range got {
				if math.Abs(got[i]-scores[i]) > within {
					t.Fatalf("%s: row %d has the score %v, by hand %v", solver, i, got[i], scores[i])
				}
			}
		}
	}
}

// Private rows, too, are those by hand: the same values in as many lanes, of a norm that is the clip.
func TestPrivateRowsOfCrossedBucketsAreThoseByHand(t *testing.T) {
	plain := func(features []feature) []feature {
		for _, f := range features {
			delete(f, "min_count")
		}
		return features
	}
	table := visited(500, 4, true)
	contributions := func(features []feature, rows *dataset.Table) (out [][]float64) {
		p := privateProgram(t, plain(features), 1000, 4, budget{1, 0.3, 0.6, 0.1})
		d, err := linear.Prepare(p, p.Initial(), rows)
		if err != nil {
			t.Fatal(err)
		}
		units, err := d.SparseContributions(p.Initial(), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, values := range units {
			square := 0.0
			for _, v := range values {
				square += v * v
			}
			if norm := math.Sqrt(square) / float64(p.Privacy().Scale); math.Abs(norm-1) > 1e-12 {
				t.Fatalf("a row of norm %g", norm)
			}
			out = append(out, slices.Clone(values))
		}
		return out
	}
	got, want := contributions(visits(false, true, 0), table), contributions(visits(true, true, 0), bucketed(table))
	if len(got) != 400 || len(want) != len(got) {
		t.Fatalf("%d rows, by hand %d", len(got), len(want))
	}
	for i := range got {
		// Nine active columns and the intercept.
		if len(got[i]) != 10*11/2 || !slices.Equal(got[i], want[i]) {
			t.Fatalf("row %d: %d lanes, by hand %d", i, len(got[i]), len(want[i]))
		}
	}
}

// Crosses of what is kept outside the heap, and given back run by run, are the same.
func TestCrossedBucketsOutsideTheHeap(t *testing.T) {
	j := job{contributors: 1, bits: 40, maxRows: 5_000_000, maxRounds: 20, l2: 1, tolerance: 1e-9, holdout: true, features: visits(false, true, 20)}
	p := j.program(t)
	table, memory := visited(20_000, 5, true), &counted{}
	heap, _ := train(t, p, []*dataset.Table{table})
	table.Memory = memory
	outside, _ := train(t, p, []*dataset.Table{table})
	if string(heap.Encode()) != string(outside.Encode()) || memory.done == 0 {
		t.Errorf("another model; %d runs given back", memory.done)
	}
}
