package linear_test

import (
	"fmt"
	"slices"
	"testing"

	"tributary/models/dataset"
	"tributary/models/linear"
	"tributary/models/metrics"
	"tributary/models/optim"
)

// grouped is a job that evaluates by country and device, where FR is rare: it has fewer than 30 held-out rows.
func grouped() (job, *dataset.Table) {
	table := synthetic(6_000, 41)
	country, _ := table.Column("country")
	seen := 0
	for i, code := range country.Codes {
		if code == 1 && table.Held(i) {
			if seen++; seen > 20 {
				country.Codes[i] = 0
			}
		}
	}
	j := syntheticJob(3)
	j.minGroup = 30
	j.groups = []map[string]any{
		{"name": "country", "values": []string{"DE", "FR", "NL"}, "nullable": false},
		{"name": "device", "values": []string{"desktop", "mobile"}, "nullable": true},
	}
	return j, table
}

// The opened groups are the held-out rows' own, by group, label and score; FR isn't shown, and, as what is left would be FR,
// neither is the smallest of the others.
func TestGroupsAreTheRowsOwn(t *testing.T) {
	j, table := grouped()
	p := j.program(t)
	s, reports := train(t, p, split(table, 3))
	scores, err := linear.Score(p, s, table)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]*metrics.Histogram{}
	rows := map[string]int64{}
	for i, q := range scores {
		if !table.Held(i) {
			continue
		}
		for _, name := range []string{"country", "device"} {
			c, _ := table.Column(name)
			group := name + ":missing"
			switch code := int(c.Codes[i]); {
			case code == len(c.Values):
				group = name + "=other"
			case code >= 0:
				group = name + "=" + c.Values[code]
			}
			if rows[group]++; want[group] == nil {
				want[group] = &metrics.Histogram{Positive: make([]float64, optim.GroupBins), Negative: make([]float64, optim.GroupBins)}
			}
			counts := want[group].Negative
			if table.Label[i] {
				counts = want[group].Positive
			}
			counts[metrics.BinOf(q, optim.GroupBins)]++
		}
	}
	smallest := ""
	for _, name := range []string{"country=DE", "country=NL", "country=other"} {
		if smallest == "" || rows[name] < rows[smallest] {
			smallest = name
		}
	}
	got := reports[len(reports)-1].Groups
	if len(got) != 8 { // four countries with other, three devices and missing ones
		t.Fatalf("%d groups", len(got))
	}
	for _, g := range got {
		hidden := g.Name == "country=FR" || g.Name == smallest || g.Rows == 0
		switch {
		case g.Rows != rows[g.Name]:
			t.Errorf("%s: %d rows, want %d", g.Name, g.Rows, rows[g.Name])
		case hidden != (g.Scores == nil):
			t.Errorf("%s with %d rows: shown %t", g.Name, g.Rows, g.Scores != nil)
		case !hidden && (!slices.Equal(g.Scores.Positive, want[g.Name].Positive) || !slices.Equal(g.Scores.Negative, want[g.Name].Negative)):
			t.Errorf("%s: other scores than the rows'", g.Name)
		}
	}
	if rows["country=FR"] != 20 || rows["device=other"] != 0 {
		t.Errorf("the test's rows: %v", rows)
	}
}

// Scores of a group that isn't shown don't leave the participant: its lanes are zero.
func TestHiddenGroupsAreNotEncoded(t *testing.T) {
	j, table := grouped()
	p := j.program(t)
	parties := split(table, 3)
	designs := make([]*linear.Design, len(parties))
	s := p.Initial()
	for s.Kind() != optim.Evaluate {
		var err error
		if s, _, err = round(t, p, s, parties, designs); err != nil {
			t.Fatal(err)
		}
	}
	shown := p.ShownGroups(s)
	for k, d := range designs {
		values, err := d.Sums(s)
		if err != nil {
			t.Fatal(err)
		}
		for i, segment := range p.Layout(optim.Evaluate) {
			if segment.Length != len(shown)*optim.GroupBins {
				continue
			}
			for g := range shown {
				sum := 0.0
				for _, v := range values[i][g*optim.GroupBins : (g+1)*optim.GroupBins] {
					sum += v
				}
				if !shown[g] && sum != 0 {
					t.Errorf("party %d: %s has %g for hidden group %s", k, segment.Name, sum, p.Groups().Columns()[g].Name)
				}
			}
		}
	}
}

// A table must have the groups' columns, as the contract declares them.
func TestGroupsNeedTheirColumns(t *testing.T) {
	j, table := grouped()
	for i := range j.groups {
		j.features = slices.DeleteFunc(j.features, func(f feature) bool { return f["name"] == j.groups[i]["name"] })
	}
	p := j.program(t)
	if _, err := linear.Sums(p, p.Initial(), table); err != nil {
		t.Errorf("groups that aren't features: %v", err)
	}
	for name, spoil := range map[string]func(c *dataset.Column){
		"no column": func(c *dataset.Column) { c.Name = "elsewhere" },
		"values":    func(c *dataset.Column) { c.Values = []string{"DE", "FR", "IT"} },
		"missing":   func(c *dataset.Column) { c.Codes = slices.Clone(c.Codes); c.Codes[7] = dataset.Missing },
	} {
		spoiled := *table
		spoiled.Columns = slices.Clone(table.Columns)
		for i := range spoiled.Columns {
			if spoiled.Columns[i].Name == "country" {
				spoil(&spoiled.Columns[i])
			}
		}
		if _, err := linear.Sums(p, p.Initial(), &spoiled); err == nil {
			t.Errorf("%s: accepted", name)
		} else if fmt.Sprint(err) == "" {
			t.Error("an error that says nothing")
		}
	}
}
