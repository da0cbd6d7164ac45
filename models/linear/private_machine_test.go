package linear_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"testing"

	"tributary/models/dataset"
	"tributary/models/linear"
	"tributary/models/optim"
)

// privateMachine is a private factorization machine over synthetic tables: all rows in each batch.
func privateMachine(t testing.TB, rounds int) *optim.Program {
	t.Helper()
	return remade(t, privateSynthetic(t, budget{1, 0.2, 0.75, 0.05}, rounds), func(doc map[string]any) {
		model := doc["model"].(map[string]any)
		model["type"], model["solver"], model["factors"] = "factorization_machine", "dp_sgd", 3
		model["sampling"] = map[string]any{"rate_num": 1, "rate_den": 1, "learning_rate": 4, "momentum": 0.5, "seed": "11"}
	})
}

// hostile is a state whose factors and coefficients an attacker chose: as large as a state can have them.
func hostile(t testing.TB, p *optim.Program, table *dataset.Table, size float64) *optim.State {
	t.Helper()
	s := statesOf(t, p, table)[2] // after a TRAIN round: nothing holds the coefficients to the start
	data, n := s.Encode(), p.Coefficients()
	list := binary.BigEndian.AppendUint64(nil, math.Float64bits(s.Point()[0]))
	at := bytes.Index(data, list)
	for i := range n {
		v := size
		if i%3 == 0 {
			v = -size / 2
		}
		binary.BigEndian.PutUint64(data[at+8*i:], math.Float64bits(v))
	}
	out, err := p.DecodeState(data)
	if err != nil || out.Point()[n-1] != size && out.Point()[n-1] != -size/2 {
		t.Fatal(err)
	}
	return out
}

// An attacker who chooses the model so that single rows have gradients of any length gets no more of them than the noise covers: a row
// is clipped by itself, and the rows of a user or of a participant count as clip rows at most.
func TestNoRowOfAMachineWithHugeFactorsExceedsTheScale(t *testing.T) {
	record, table := privateMachine(t, 4), owned(synthetic(400, 5))
	extreme(table, 5)
	same := slices.Repeat([]int{0}, table.Rows) // the attacker's own rows all pull the same way
	aligned := [2]*dataset.Table{pick(table, same), pick(table, same)}
	for label, a := range aligned {
		a.User, a.HeldOut = table.User, table.HeldOut
		for i := range a.Label {
			a.Label[i] = label == 1 // one of the two is wrong about the label
		}
	}
	for name, c := range map[string]struct {
		p    *optim.Program
		clip float64
	}{"record": {record, 1}, "user": {withUnit(t, record, optim.UnitUser, 3), 3}, "silo": {withUnit(t, record, optim.UnitSilo, 20), 20}} {
		states := statesOf(t, c.p, table)
		for _, size := range []float64{3, 1e3, 1e15, 1e30} {
			states = append(states, hostile(t, c.p, table, size))
		}
		largest := 0.0
		for _, s := range states {
			if s.Kind() == optim.Done {
				continue
			}
			for i, row := range slices.Concat(collect(t, c.p, s, table), collect(t, c.p, s, aligned[0]), collect(t, c.p, s, aligned[1])) {
				square := 0.0
				for _, v := range row {
					square += v * v
				}
				norm := math.Sqrt(square) / unit
				if !(norm <= c.clip*(1+1e-12)) {
					t.Fatalf("%s, %s, contribution %d: norm %.15g of the scale", name, s.Kind(), i, norm)
				}
				if s.Kind() == optim.Train {
					largest = max(largest, norm)
				}
			}
		}
		if largest < 0.999*c.clip {
			t.Errorf("%s: the longest gradient has norm %g: the attack didn't reach the bound", name, largest)
		}
	}
}

// A row's contribution hangs on no other row, whatever the factors are: removing one leaves all others their bits.
func TestOneRowChangesAMachinesSumByItsContribution(t *testing.T) {
	neighbours(t, privateMachine(t, 3), synthetic(100, 17))
}

// neighbours wants each row's removal to leave all others' contributions as they are, at every state of a run and at a hostile one.
func neighbours(t *testing.T, p *optim.Program, table *dataset.Table) {
	t.Helper()
	for _, s := range append(statesOf(t, p, table), hostile(t, p, table, 1e3)) {
		if s.Kind() == optim.Done {
			continue
		}
		all, at := collect(t, p, s, table), -1
		for i := range table.Rows {
			if table.Held(i) != (s.Kind() == optim.Evaluate) {
				continue
			}
			at++
			var kept []int
			for j := range table.Rows {
				if j != i {
					kept = append(kept, j)
				}
			}
			if less := collect(t, p, s, pick(table, kept)); !slices.EqualFunc(less, slices.Delete(slices.Clone(all), at, at+1), slices.Equal[[]float64]) {
				t.Fatalf("%s: removing row %d changed other rows' contributions", s.Kind(), i)
			}
		}
	}
}

// A row's contribution is the gradient of its log loss by all coefficients, over √(1+features), and clipped: by a twin from the
// definition Σ_{i<j} ⟨v_i, v_j⟩·x_i·x_j, differentiated numerically.
func TestMachineContributionsEqualTheDefinition(t *testing.T) {
	p, table := privateMachine(t, 4), synthetic(60, 8)
	k := p.Model.Factors
	for _, s := range append(statesOf(t, p, table), hostile(t, p, table, 0.7)) {
		if s.Kind() != optim.Train {
			continue
		}
		contributions, w := collect(t, p, s, table), s.Point()
		columns := len(p.Pipeline().Columns())
		for i := range table.Rows {
			if table.Held(i) {
				continue
			}
			got, x, positive := contributions[0], plainRow(t, p, table, i), table.Label[i]
			contributions = contributions[1:]
			loss := func(w []float64) float64 {
				margin := w[len(w)-1]
				for i := range columns {
					margin += w[i] * x[i]
					for j := range i {
						for f := range k {
							margin += w[columns+i*k+f] * w[columns+j*k+f] * x[i] * x[j]
						}
					}
				}
				if positive {
					margin = -margin
				}
				return math.Log1p(math.Exp(margin))
			}
			want, square := make([]float64, len(w)), 0.0
			for i := range want {
				const h = 1e-5
				up, down := slices.Clone(w), slices.Clone(w)
				up[i], down[i] = w[i]+h, w[i]-h
				want[i] = (loss(up) - loss(down)) / (2 * h) / math.Sqrt(6)
				square += want[i] * want[i]
			}
			for i := range want {
				if v := want[i] / max(1, math.Sqrt(square)); math.Abs(got[i]/unit-v) > 1e-7 {
					t.Fatalf("coefficient %d: %g, want %g", i, got[i]/unit, v)
				}
			}
		}
	}
}

// Units that the rows don't tell, exact sums, and another program's state are refused.
func TestMachineRefusesWhatItCantKeep(t *testing.T) {
	p, table := privateMachine(t, 3), synthetic(60, 8)
	if _, err := linear.Prepare(withUnit(t, p, optim.UnitUser, 2), p.Initial(), table); err == nil {
		t.Error("users of rows without any")
	}
	if _, err := linear.Sums(p, p.Initial(), table); !errors.Is(err, linear.ErrState) {
		t.Errorf("exact sums of a private machine: %v", err)
	}
	linearState := statesOf(t, privateSynthetic(t, budget{1, 0.2, 0.75, 0.05}, 3), table)[1]
	if _, err := linear.Contributions(p, linearState, table); !errors.Is(err, linear.ErrState) {
		t.Errorf("a linear model's state: %v", err)
	}
}
