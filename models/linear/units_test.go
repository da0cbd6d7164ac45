package linear_test

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
	"testing"

	"tributary/models/dataset"
	"tributary/models/linear"
	"tributary/models/optim"
	"tributary/models/pipeline/fit"
)

// remade gives a private program with another private block or model.
func remade(t testing.TB, p *optim.Program, change func(doc map[string]any)) *optim.Program {
	t.Helper()
	data, err := p.Document()
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	change(doc)
	if data, err = json.Marshal(doc); err != nil {
		t.Fatal(err)
	}
	out, err := optim.ParseProgram(data)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func withUnit(t testing.TB, p *optim.Program, unit optim.Unit, clip int) *optim.Program {
	return remade(t, p, func(doc map[string]any) {
		private := doc["private"].(map[string]any)
		private["unit"], private["clip"] = unit, clip
	})
}

// owned gives a table's rows to users of 1, 2, 3, … rows, round and round.
func owned(table *dataset.Table) *dataset.Table {
	user, left := int32(-1), 0
	for i := range table.Rows {
		if left == 0 {
			user++
			left = int(user)%7 + 1
		}
		left--
		table.User = append(table.User, user)
		table.HeldOut[i] = user%5 == 4
	}
	return table
}

// A unit's contribution is that of its rows, each weighed so that they count as clip rows at most, and never longer than that: a
// twin adds the record program's contributions up.
func TestAUnitsRowsCountAsClipRowsAtMost(t *testing.T) {
	record := privateSynthetic(t, budget{1, 0.2, 0.75, 0.05}, 3)
	table := owned(synthetic(400, 3))
	extreme(table, 3)
	for _, unit := range []optim.Unit{optim.UnitUser, optim.UnitSilo} {
		for _, clip := range []int{1, 3, 1000} {
			p := withUnit(t, record, unit, clip)
			for _, s := range statesOf(t, record, table) {
				if s.Kind() == optim.Done {
					continue
				}
				var owners []int32
				for i := range table.Rows {
					if table.Held(i) == (s.Kind() == optim.Evaluate) {
						owner := table.User[i]
						if unit == optim.UnitSilo {
							owner = 0
						}
						owners = append(owners, owner)
					}
				}
				rows, want := collect(t, record, s, table), map[int32][]float64{}
				count, order := map[int32]int{}, []int32{}
				for _, o := range owners {
					count[o]++
				}
				for i, o := range owners {
					if want[o] == nil {
						want[o] = make([]float64, len(rows[i]))
						order = append(order, o)
					}
					for lane, v := range rows[i] {
						want[o][lane] += math.Min(1, float64(clip)/float64(count[o])) * v
					}
				}
				got := collect(t, p, s, table)
				if len(got) != len(order) {
					t.Fatalf("%s, clip %d, %s: %d contributions of %d units", unit, clip, s.Kind(), len(got), len(order))
				}
				for u, o := range order {
					square := 0.0
					for lane, v := range got[u] {
						square += v * v
						if math.Abs(v-want[o][lane]) > 1e-9*unitScale {
							t.Fatalf("%s, clip %d, %s, unit %d, lane %d: %g, want %g", unit, clip, s.Kind(), u, lane, v, want[o][lane])
						}
					}
					if norm := math.Sqrt(square) / unitScale; norm > float64(min(clip, count[o]))*(1+1e-12) {
						t.Errorf("%s, clip %d, %s, unit %d of %d rows: norm %g of the scale", unit, clip, s.Kind(), u, count[o], norm)
					}
				}
			}
		}
	}
}

const unitScale = unit

// A batch's contributions are those of its units, bit for bit.
func TestABatchContributesItsUnits(t *testing.T) {
	record := privateSynthetic(t, budget{1, 0.2, 0.75, 0.05}, 2)
	table := owned(synthetic(300, 4))
	for _, p := range []*optim.Program{record, withUnit(t, record, optim.UnitUser, 2)} {
		d, err := linear.Prepare(p, p.Initial(), table)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range statesOf(t, record, table) {
			if s.Kind() == optim.Done {
				continue
			}
			all := collect(t, p, s, table)
			if d.Units(s) != len(all) {
				t.Errorf("%s: %d units, %d contributions", s.Kind(), d.Units(s), len(all))
			}
			batch := []int{0, 2, 3, len(all) - 1}
			rows, err := d.Contributions(s, batch)
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for row := range rows {
				if !slices.Equal(row, all[batch[n]]) {
					t.Errorf("%s: unit %d contributes something else in a batch", s.Kind(), batch[n])
				}
				n++
			}
			empty, err := d.Contributions(s, []int{})
			if err != nil {
				t.Fatal(err)
			}
			for range empty {
				t.Fatalf("%s: an empty batch contributes", s.Kind())
			}
			if n != len(batch) {
				t.Errorf("%s: %d contributions of a batch of %d", s.Kind(), n, len(batch))
			}
		}
	}
}

func TestUsersMustBeKnownToBeProtected(t *testing.T) {
	p := withUnit(t, privateSynthetic(t, budget{1, 0.2, 0.75, 0.05}, 2), optim.UnitUser, 1)
	if _, err := linear.Prepare(p, p.Initial(), synthetic(100, 5)); !errors.Is(err, fit.ErrTable) {
		t.Errorf("rows without users: %v", err)
	}
}
