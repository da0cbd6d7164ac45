package linear_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"tributary/models/linear"
	"tributary/models/optim"
)

// privateGrouped evaluates by country and device, two columns.
func privateGrouped(t testing.TB, least int) *optim.Program {
	t.Helper()
	return remade(t, privateSynthetic(t, budget{1, 0.2, 0.7, 0.1}, 3), func(doc map[string]any) {
		e := doc["evaluate"].(map[string]any)
		e["min_count"] = least
		e["groups"] = []map[string]any{
			{"name": "country", "values": []string{"DE", "FR", "NL"}, "nullable": false},
			{"name": "device", "values": []string{"desktop", "mobile"}, "nullable": true},
		}
	})
}

// A row adds 1 among all rows and 1 in its group of each column, in the bins of its label and prediction; a unit no more than √3 for
// each row that it counts as, which is what the noise covers.
func TestOneUnitMovesGroupsByNoMoreThanTheirNoiseCovers(t *testing.T) {
	record := privateGrouped(t, 20)
	table := owned(synthetic(600, 5))
	states := statesOf(t, record, table)
	s := states[len(states)-2]
	if s.Kind() != optim.Evaluate {
		t.Fatal(s.Kind())
	}
	scores, err := linear.Score(record, s, table)
	if err != nil {
		t.Fatal(err)
	}
	var held []int
	for i := range table.Rows {
		if table.Held(i) {
			held = append(held, i)
		}
	}
	country, _ := table.Column("country")
	device, _ := table.Column("device")
	rows := collect(t, record, s, table)
	if len(rows) != len(held) {
		t.Fatalf("%d contributions of %d rows", len(rows), len(held))
	}
	for at, i := range held {
		ones := 0
		for _, v := range rows[at] {
			if v != 0 {
				ones++
			}
			if v != 0 && v != unit {
				t.Fatalf("row %d adds %g", i, v)
			}
		}
		g := int(device.Codes[i])
		switch { // desktop, mobile, other, missing
		case g < 0:
			g = 3
		case g > 1:
			g = 2
		}
		for _, group := range []int{int(country.Codes[i]), 4 + g} {
			if lane := record.GroupLane(group, table.Label[i], scores[i]); rows[at][lane] != unit {
				t.Fatalf("row %d isn't counted in group %d", i, group)
			}
		}
		if ones != 3 {
			t.Fatalf("row %d adds %d ones", i, ones)
		}
	}
	for _, kind := range []optim.Unit{optim.UnitUser, optim.UnitSilo} {
		for _, clip := range []int{1, 3} {
			for _, lanes := range collect(t, withUnit(t, record, kind, clip), s, table) {
				square := 0.0
				for _, v := range lanes {
					square += v * v
				}
				if norm := math.Sqrt(square) / unit; norm > math.Sqrt(3)*float64(clip)*(1+1e-12) {
					t.Errorf("%s, clip %d: a unit adds %g", kind, clip, norm)
				}
			}
		}
	}
}

// What is told of groups is near their rows' own, and nothing is told of one that the noise covers. Each count of ten bins has an error
// of √10 deviations: five times that are exceeded with a probability of 10⁻⁶.
func TestPrivateGroupsAreToldOverTheNoise(t *testing.T) {
	p := privateGrouped(t, 20)
	table := synthetic(60_000, 6)
	country, _ := table.Column("country")
	for i, code := range country.Codes {
		if code == 1 && i%4000 != 4 { // FR is rare
			country.Codes[i] = 0
		}
	}
	s, r := p.Initial(), rand.New(rand.NewPCG(5, 6))
	var told []optim.GroupScores
	var deviation float64
	var scores []float64
	for s.Kind() != optim.Done {
		d, err := linear.Prepare(p, s, table)
		if err != nil {
			t.Fatal(err)
		}
		if s.Kind() == optim.Evaluate {
			if scores, err = linear.Score(p, s, table); err != nil {
				t.Fatal(err)
			}
		}
		next, report, err := p.Apply(s, [][]float64{noised(p, s.Kind(), contributed(t, p, d, s), r)})
		if err != nil {
			t.Fatal(err)
		}
		told, deviation = report.Groups, report.Deviation
		s = next
	}
	noise := 5 * deviation * math.Sqrt(optim.NoisedGroupBins*overshoot)
	if least := p.LeastGroup(); least < 20 || math.Abs(float64(least)-4*deviation*math.Sqrt(10)) > 1 {
		t.Errorf("groups of %d rows are told, the noise of a bin is %g", least, deviation)
	}
	for code, g := range told[:4] { // DE, FR, NL, other
		rows, positives, selected := 0.0, 0.0, 0.0
		for i, c := range country.Codes {
			if !table.Held(i) || int(c) != code {
				continue
			}
			if rows++; table.Label[i] {
				positives++
			}
			if scores[i] >= 0.5 {
				selected++
			}
		}
		if math.Abs(float64(g.Rows)-rows) > noise*math.Sqrt2 || (g.Scores != nil) != (g.Name != "country=FR") {
			t.Errorf("%s has %g rows, told %d with scores %t", g.Name, rows, g.Rows, g.Scores != nil)
			continue
		}
		if g.Scores == nil {
			continue
		}
		got, _ := g.Scores.Totals()
		if c := g.Scores.Confusion(0.5); math.Abs(got-positives) > noise || math.Abs(c.TruePositive+c.FalsePositive-selected) > noise {
			t.Errorf("%s has %g positives and %g selected, told %g and %g", g.Name, positives, selected, got, c.TruePositive+c.FalsePositive)
		}
	}
}
