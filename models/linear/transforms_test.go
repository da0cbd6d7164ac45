package linear_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"tributary/models/dataset"
	"tributary/models/linear"
	"tributary/models/optim"
	"tributary/models/pipeline"
)

// transformed are rows of numbers and a date, with missing values; income has heavy tails, spent is mostly zero.
func transformed(n int, seed uint64) *dataset.Table {
	r := rand.New(rand.NewPCG(seed, 7))
	t := &dataset.Table{Rows: n}
	age, income, spent, since := make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
	first := float64(time.Date(2015, 3, 1, 0, 0, 0, 0, time.UTC).Unix())
	for i := range n {
		age[i] = math.Floor(18 + 70*r.Float64())
		income[i] = min(1000/(1e-9+r.Float64()), 1e7)
		spent[i] = math.Max(0, math.Floor(200*(r.Float64()-0.6)))
		since[i] = first + math.Floor(r.Float64()*2000*86400)
		day := time.Unix(int64(since[i]), 0).UTC()
		m := -1 + 0.3*math.Log1p(min(income[i], 20_000))/5 + 0.5*math.Floor(age[i]/20)/2 + 0.2*float64(day.Weekday()%3) + 0.01*spent[i] - float64(day.Year()-2015)/4
		if r.IntN(10) == 0 {
			income[i], since[i] = math.NaN(), math.NaN()
		}
		t.Label = append(t.Label, r.Float64() < 1/(1+math.Exp(-m)))
		t.HeldOut = append(t.HeldOut, i%5 == 4)
	}
	t.Columns = []dataset.Column{{Name: "age", Numbers: age}, {Name: "income", Numbers: income}, {Name: "since", Numbers: since}, {Name: "spent", Numbers: spent}}
	return t
}

func buckets(name string, lo, hi float64, minCount int) feature {
	return feature{"name": name, "kind": "buckets", "min": lo, "max": hi, "nullable": false, "missing_indicator": false, "min_count": minCount}
}

func datePart(part string, missing bool) feature {
	return feature{"name": "since." + part, "kind": "date_part", "nullable": true, "missing_indicator": missing, "min_count": 20, "date": date(part)}
}

func date(part string) map[string]any {
	return map[string]any{"column": "since", "part": part, "first": "2015-03-01", "last": "2020-12-31"}
}

func transformedJob(contributors int) job {
	return job{
		contributors: contributors, bits: 40, maxRows: 5_000_000, maxRounds: 10, l2: 1, tolerance: 1e-10, holdout: true,
		features: []feature{
			number("income", 0, 1e7).with("log1p", true).with("nullable", true).with("missing_indicator", true).with("clip_quantiles", []float64{0.01, 0.95}),
			buckets("age", 16, 110, 20).with("quantiles", 5),
			buckets("spent", 0, 1000, 20).with("edges", []float64{1, 10, 50, 79}),
			number("since.days", 0, 2132).with("nullable", true).with("date", date("days")),
			datePart("year", false), datePart("month", true), datePart("weekday", false), datePart("hour", true), datePart("day", false),
		},
	}
}

// byHand is a table whose columns a pooled solver can take as they are: clamped at the fitted bounds, in buckets between the fitted
// edges, in parts. Bounds are held to the exact quantiles of the training rows.
func byHand(t *testing.T, in *dataset.Table, p *optim.Program, s *optim.State) *dataset.Table {
	t.Helper()
	spec, f := p.Pipeline(), s.Fitted()
	age, _ := in.Column("age")
	income, _ := in.Column("income")
	spent, _ := in.Column("spent")
	since, _ := in.Column("since")
	lo, hi, _ := spec.Bounds(f, 0)
	var training []float64
	for i, x := range income.Numbers {
		if !in.Held(i) && x == x {
			training = append(training, x)
		}
	}
	slices.Sort(training)
	for _, q := range []struct{ fitted, share float64 }{{lo, 0.01}, {hi, 0.95}} {
		rank, off := int(math.Ceil(q.share*float64(len(training)))), (pipeline.SketchGroup-1)*p.Contributors
		least, most := training[max(rank-off, 1)-1], training[min(rank+off, len(training))-1]
		if bits := spec.SketchOf(0).Bits; q.fitted < least-math.Ldexp(least, -bits) || q.fitted > most+math.Ldexp(most, -bits) {
			t.Errorf("quantile %g is within %g..%g, fitted %g", q.share, least, most, q.fitted)
		}
	}
	out := &dataset.Table{Rows: in.Rows, Label: in.Label, HeldOut: in.HeldOut}
	edges := spec.Edges(f, 1)
	clamped := make([]float64, in.Rows)
	for i, x := range income.Numbers {
		clamped[i] = math.Log1p(min(max(x, lo), hi))
	}
	out.Columns = append(out.Columns, dataset.Column{Name: "income", Numbers: clamped})
	hot := func(name string, width int, code func(i int) int) {
		c := dataset.Column{Name: name, Codes: make([]int32, in.Rows), Values: make([]string, width)}
		for i := range c.Codes {
			c.Codes[i] = int32(code(i))
		}
		out.Columns = append(out.Columns, c)
	}
	reached := func(edges []float64, x float64) (n int) {
		for _, e := range edges {
			if x >= e {
				n++
			}
		}
		return n
	}
	hot("age", 5, func(i int) int { return reached(edges, age.Numbers[i]) })
	hot("spent", 5, func(i int) int { return reached([]float64{1, 10, 50, 79}, spent.Numbers[i]) })
	days := make([]float64, in.Rows)
	origin := time.Date(2015, 3, 1, 0, 0, 0, 0, time.UTC)
	at := func(i int) time.Time { return time.Unix(int64(since.Numbers[i]), 0).UTC() }
	for i := range days {
		if days[i] = math.NaN(); since.Numbers[i] == since.Numbers[i] {
			days[i] = math.Floor(at(i).Sub(origin).Hours() / 24)
		}
	}
	out.Columns = append(out.Columns, dataset.Column{Name: "days", Numbers: days})
	part := func(name string, width int, of func(time.Time) int) {
		hot(name, width, func(i int) int {
			if since.Numbers[i] != since.Numbers[i] {
				return width
			}
			return of(at(i))
		})
	}
	part("year", 6, func(t time.Time) int { return t.Year() - 2015 })
	part("month", 12, func(t time.Time) int { return int(t.Month()) - 1 })
	part("weekday", 7, func(t time.Time) int { return int(t.Weekday()) })
	part("hour", 24, func(t time.Time) int { return t.Hour() })
	part("day", 31, func(t time.Time) int { return t.Day() - 1 })
	return out
}

// Three participants' model is the optimum of an independent solver on all rows, transformed by hand. Transforms that nothing is
// fitted for, or moments alone, give the same as with one participant; quantiles may differ by a bin and by groups of rows.
func TestTransformsFederatedEqualPooled(t *testing.T) {
	table := transformed(6000, 5)
	for _, solver := range []string{optim.Newton, optim.LBFGS} {
		j := transformedJob(3)
		j.solver, j.maxRounds = solver, 200
		p := j.program(t)
		s, _ := train(t, p, split(table, 3))
		a, _ := s.Metrics()
		want := solveByHand(byHand(t, table, p, s))
		t.Logf("%s: objective %.6f, by hand %.6f; bounds %v, edges %v", solver, a.Objective, want, s.Fitted().Bounds, s.Fitted().Edges)
		if relative(a.Objective, want) > 1e-6 {
			t.Errorf("%s: objective %.9f, by hand %.9f", solver, a.Objective, want)
		}
		j.features = slices.DeleteFunc(j.features, func(f feature) bool { return f["quantiles"] != nil || f["clip_quantiles"] != nil })
		three, _ := train(t, j.program(t), split(table, 3))
		j.contributors = 1
		one, _ := train(t, j.program(t), split(table, 1))
		a, _ = three.Metrics()
		b, _ := one.Metrics()
		if relative(a.Objective, b.Objective) > 1e-8 || !slices.Equal(three.Fitted().Folded, one.Fitted().Folded) {
			t.Errorf("%s: without quantiles, objective %.9f, by one %.9f", solver, a.Objective, b.Objective)
		}
	}
}

// solveByHand is the optimum of an independent solver over rows transformed by hand. A missing number counts as the mean of the
// others, whose deviation it doesn't change; that income is missing is a column, too.
func solveByHand(t *dataset.Table) float64 {
	var missing []float64
	present := 0.0
	income, _ := t.Column("income")
	for i, x := range income.Numbers {
		switch {
		case t.Held(i):
		case x != x:
			missing = append(missing, 1)
		default:
			missing, present = append(missing, 0), present+1
		}
	}
	for _, c := range t.Columns {
		sum := 0.0
		for i, x := range c.Numbers {
			if x == x && !t.Held(i) {
				sum += x
			}
		}
		for i, x := range c.Numbers {
			if x != x {
				c.Numbers[i] = sum / present
			}
		}
	}
	pool := newPooled(t, 1)
	days := 0 // where the column is: behind buckets with their "other"
	for _, c := range t.Columns[:3] {
		days += max(len(c.Values)+1, 1)
	}
	for i, row := range pool.x {
		row[0] *= math.Sqrt(present / float64(len(pool.x)))
		row[days] *= math.Sqrt(present / float64(len(pool.x)))
		pool.x[i] = append(row[:len(row)-1], missing[i], 1)
	}
	pool.w = append(pool.w, 0)
	return pool.solve()
}

// A state whose bounds aren't those that the opened sum gives is another state than participants compute; bounds that no sum gives
// aren't read at all.
func TestParticipantsRecomputeBounds(t *testing.T) {
	table := transformed(2000, 6)
	p := transformedJob(2).program(t)
	s, _, err := round(t, p, p.Initial(), split(table, 2), make([]*linear.Design, 2))
	if err != nil {
		t.Fatal(err)
	}
	encoded := s.Encode()
	spec := p.Pipeline()
	_, hi, _ := spec.Bounds(s.Fitted(), 0)
	replaced := func(by float64) []byte {
		old, with := binary.BigEndian.AppendUint64(nil, math.Float64bits(hi)), binary.BigEndian.AppendUint64(nil, math.Float64bits(by))
		return []byte(strings.Replace(string(encoded), string(old), string(with), 1))
	}
	if _, err := p.DecodeState(replaced(math.Nextafter(hi, 0))); err == nil {
		t.Error("a bound within a bin is read")
	}
	k := spec.SketchOf(0)
	moved, err := p.DecodeState(replaced(k.Edge(k.Bin(hi) + 1)))
	if err != nil {
		t.Fatal(err)
	}
	again, _, err := round(t, p, p.Initial(), split(table, 2), make([]*linear.Design, 2))
	if err != nil || string(again.Encode()) != string(encoded) || string(again.Encode()) == string(moved.Encode()) {
		t.Errorf("recomputed: %v", err)
	}
}

// Sketches that contradict the other sums end the job.
func TestHostileSketchIsRefused(t *testing.T) {
	table := transformed(500, 8)
	p := transformedJob(1).program(t)
	values, err := linear.Sums(p, p.Initial(), table)
	if err != nil {
		t.Fatal(err)
	}
	for i, segment := range p.Layout(optim.Fit) {
		if !strings.HasPrefix(segment.Name, "bin") {
			continue
		}
		hostile := make([][]float64, len(values))
		for j := range values {
			hostile[j] = slices.Clone(values[j])
		}
		hostile[i][segment.Length/3] += 1
		if _, _, err := p.Apply(p.Initial(), hostile); err == nil {
			t.Errorf("%s: accepted", segment.Name)
		}
	}
	if _, _, err := p.Apply(p.Initial(), values); err != nil {
		t.Error(err)
	}
}

// In a private job buckets and parts of dates need no sum of their own, and a row's contribution is bounded as ever: one column of
// each feature is active, and the row's norm is 1.
func TestPrivateBucketsAndDatesKeepTheBound(t *testing.T) {
	features := []string{
		`{"name":"income","kind":"number","min":0,"max":1e7,"nullable":true,"log1p":true,"scale":true,"missing_indicator":true}`,
		`{"name":"age","kind":"buckets","min":16,"max":110,"nullable":false,"missing_indicator":false,"edges":[18,30,45,65]}`,
	}
	for _, part := range []string{"year", "month", "weekday", "hour", "day"} {
		features = append(features, fmt.Sprintf(`{"name":"since.%s","kind":"date_part","nullable":true,"missing_indicator":true,"date":{"column":"since","part":"%s","first":"2015-03-01","last":"2020-12-31"}}`, part, part))
	}
	document := `{"version":1,"contributors":10,"bits":40,"max_rows":5000000,"features":[` + strings.Join(features, ",") + `],"model":{"type":"logistic_regression","l2":1,"solver":"dp_gradient_descent","max_rounds":4},
		"private":{"unit":"record","clip":1,"scale":16384,"sigma2_fit":"26843545600","sigma2_train":"85899345920","sigma2_evaluate":"107374182400","bins":50},"evaluate":{"holdout":true,"metrics":["auc"]}}`
	p, err := optim.ParseProgram([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	table := transformed(300, 9)
	s := p.Initial()
	for _, kind := range []optim.RoundKind{optim.Fit, optim.Train} {
		if s.Kind() != kind {
			t.Fatalf("kind %s", s.Kind())
		}
		all, err := linear.Contributions(p, s, table)
		if err != nil {
			t.Fatal(err)
		}
		sum := make([]float64, p.Layout(kind)[0].Length)
		rows := 0
		for lanes := range all {
			rows++
			square, active := 0.0, 0
			for i, v := range lanes {
				if square += v * v; v != 0 {
					active++
				}
				sum[i] += v
			}
			if !(math.Sqrt(square) <= 16384*(1+1e-12)) {
				t.Fatalf("%s: a row contributes %g", kind, math.Sqrt(square))
			}
			if kind == optim.Train && active != 8 { // income or its indicator, age, five parts, intercept
				t.Fatalf("%d columns are active", active)
			}
		}
		if rows != 240 {
			t.Fatalf("%d rows", rows)
		}
		for i := range sum {
			sum[i] = math.Round(sum[i])
		}
		if s, _, err = p.Apply(s, [][]float64{sum}); err != nil {
			t.Fatal(err)
		}
	}
	for _, bad := range []string{
		strings.Replace(document, `"edges":[18,30,45,65]`, `"quantiles":4`, 1),
		strings.Replace(document, `"missing_indicator":true}`, `"missing_indicator":true,"clip_quantiles":[0,0.9]}`, 1),
	} {
		if _, err := optim.ParseProgram([]byte(bad)); err == nil || !strings.Contains(err.Error(), "sigma2_sketch: no noise") {
			t.Errorf("%v", err)
		}
	}
}

// A warm start takes over what means the same in both jobs: buckets between fitted edges don't, and start at zero.
func TestWarmStartLeavesFittedBucketsOut(t *testing.T) {
	table := transformed(3000, 11)
	j := transformedJob(2)
	p := j.program(t)
	s, _ := train(t, p, split(table, 2))
	w, err := p.StartFrom(p, s)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range p.Pipeline().Columns() {
		fitted := strings.HasPrefix(c.Name, "age:q")
		if fitted != (w[i] == 0) && s.Coefficients()[i] != 0 {
			t.Errorf("%s starts at %g", c.Name, w[i])
		}
	}
}

// However few rows there are and wherever the groups' rows lie, sums of clamped and standardised numbers stay within their lanes,
// which quantise checks.
func TestSumsOfClampedNumbersStayInTheirLanes(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 12))
		table := transformed(300+r.IntN(400), 100+seed)
		income, _ := table.Column("income")
		for i := range income.Numbers {
			switch seed % 3 {
			case 1: // nearly constant
				if income.Numbers[i] = 5000; r.IntN(30) == 0 {
					income.Numbers[i] = 1e7 * r.Float64()
				}
			case 2: // far apart
				income.Numbers[i] = math.Pow(10, float64(r.IntN(8)))
			}
		}
		j := transformedJob(3)
		j.features = []feature{j.features[0].with("log1p", seed%2 == 0).with("clip_quantiles", []float64{0.01 * float64(r.IntN(20)), 0.95 + 0.01*float64(r.IntN(5))})}
		p := j.program(t)
		parties := split(table, 3)
		designs := make([]*linear.Design, 3)
		s, _, err := round(t, p, p.Initial(), parties, designs)
		if err != nil {
			t.Fatal(err)
		}
		for k, party := range parties {
			if designs[k], err = linear.Prepare(p, s, party); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err = round(t, p, s, parties, designs); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}
