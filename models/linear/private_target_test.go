package linear_test

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"tributary/models/dataset"
	"tributary/models/linear"
	"tributary/models/optim"
	"tributary/models/pipeline/fit"
)

// privateNumber is a private program of spending's label, of every row in each batch: a linear regression, or a factorization machine.
func privateNumber(t testing.TB, rounds, factors int) *optim.Program {
	t.Helper()
	return remade(t, privateSynthetic(t, budget{1, 0.1, 0.7, 0.2}, rounds), func(doc map[string]any) {
		model, sampling := doc["model"].(map[string]any), map[string]any{"rate_num": 1, "rate_den": 1, "learning_rate": 1.5, "momentum": 0.5}
		model["type"], model["solver"], model["sampling"] = "linear_regression", "dp_sgd", sampling
		if factors > 0 {
			model["type"], model["factors"], sampling["seed"] = "factorization_machine", factors, "11"
		}
		doc["label"] = map[string]any{"min": -1000, "max": 4000}
		doc["evaluate"] = map[string]any{"holdout": true, "metrics": []string{"rmse", "mae", "r2"}}
	})
}

// outliers puts some labels and numbers at the ends of their ranges.
func outliers(table *dataset.Table) *dataset.Table {
	extreme(table, 5)
	for i := range table.Target {
		if i%3 == 0 {
			table.Target[i] = []float64{-1000, 4000}[i/3%2]
		}
	}
	return table
}

// longest is the largest norm of a round's contributions, in rows.
func longest(t testing.TB, p *optim.Program, s *optim.State, table *dataset.Table) float64 {
	t.Helper()
	most := 0.0
	for _, row := range collect(t, p, s, table) {
		square := 0.0
		for _, v := range row {
			square += v * v
		}
		if norm := math.Sqrt(square) / unit; !(norm <= most) {
			most = norm
		}
	}
	return most
}

// An attacker who chooses the model, and rows and labels of any size within the contract's ranges, moves no sum by more than the noise
// covers: a row has an L2 norm of the scale at most in TRAIN and EVALUATE, and the rows of a user or of a participant together of clip
// times that, however many they are. The bound is met: nothing honest is cut shorter.
func TestNoOutlierMovesASumOfANumberByMoreThanItsClip(t *testing.T) {
	for factors := range 3 {
		record, table := privateNumber(t, 4, factors), outliers(owned(spending(400, 5)))
		same := slices.Repeat([]int{0}, table.Rows) // rows that all pull the same way
		var aligned [2]*dataset.Table
		for end := range aligned {
			aligned[end] = pick(table, same)
			aligned[end].User, aligned[end].HeldOut = table.User, table.HeldOut
			for i := range table.Rows {
				aligned[end].Target[i] = []float64{-1000, 4000}[end]
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
			most := map[optim.RoundKind]float64{}
			for i, s := range states {
				for _, rows := range []*dataset.Table{table, aligned[0], aligned[1]} {
					if s.Kind() == optim.Done {
						continue
					}
					norm := longest(t, c.p, s, rows)
					if !(norm <= c.clip*(1+1e-12)) {
						t.Fatalf("%d factors, %s, state %d, %s: norm %.15g of the scale, at most %g", factors, name, i, s.Kind(), norm, c.clip)
					}
					most[s.Kind()] = max(most[s.Kind()], norm)
				}
			}
			if most[optim.Train] < 0.999*c.clip {
				t.Errorf("%d factors, %s: the longest gradient has norm %g: the attack didn't reach the bound", factors, name, most[optim.Train])
			}
		}
	}
}

// Held-out rows that are as wrong as can be stay within the scale, too, and come near it.
func TestTheWorstPredictionsStayWithinTheScale(t *testing.T) {
	table := outliers(spending(400, 5))
	for factors := range 2 {
		p := privateNumber(t, 2, factors)
		states := statesOf(t, p, table)
		data := states[len(states)-2].Encode() // EVALUATE
		for _, sign := range []byte{0, 0x80} {
			// The intercept, the last number, becomes ±1e30: whatever the row, the prediction is an end of the range.
			hostile := bytes.Clone(data)
			copy(hostile[len(hostile)-8:], []byte{0x46 | sign, 0x29, 0x3e, 0x59, 0x39, 0xa0, 0x8c, 0xea})
			s, err := p.DecodeState(hostile)
			if err != nil || math.Abs(s.Coefficients()[p.Coefficients()-1]) != 1e30 {
				t.Fatal(err)
			}
			if norm := longest(t, p, s, table); !(norm <= 1) || norm < 0.978 {
				t.Errorf("%d factors: the worst row has norm %g", factors, norm)
			}
		}
	}
}

// Neighbours: a row that is added or removed changes a sum by its own contribution and no other's, in every kind of round.
func TestOneRowChangesASumOfANumberByItsContribution(t *testing.T) {
	for factors := range 2 {
		neighbours(t, privateNumber(t, 2, factors), spending(60, 17))
	}
}

// Contributions equal their definitions over dense rows: the clipped gradient of ½·(margin-t)², differentiated numerically, and the
// lanes of the errors; predictions are the margin in the label's unit, within its range.
func TestContributionsOfANumberEqualTheDefinition(t *testing.T) {
	for _, k := range []int{0, 3} {
		p, table := privateNumber(t, 4, k), outliers(spending(60, 8))
		columns := len(p.Pipeline().Columns())
		margin := func(w, x []float64) float64 {
			m := w[len(w)-1]
			for i := range columns {
				m += w[i] * x[i]
				for j := range i {
					for f := range k {
						m += w[columns+i*k+f] * w[columns+j*k+f] * x[i] * x[j]
					}
				}
			}
			return m
		}
		clipped := 0
		for _, s := range append(statesOf(t, p, table), hostile(t, p, table, 0.7)) {
			if s.Kind() == optim.Fit || s.Kind() == optim.Done {
				continue
			}
			contributions, w := collect(t, p, s, table), s.Point()
			scores, err := linear.Score(p, s, table)
			if err != nil {
				t.Fatal(err)
			}
			for i := range table.Rows {
				x, y := plainRow(t, p, table, i), (table.Target[i]+1000)/2500-1
				if want := min(max(1500+2500*margin(s.Coefficients(), x), -1000), 4000); math.Abs(scores[i]-want) > 1e-6 {
					t.Fatalf("row %d: %g is predicted, want %g", i, scores[i], want)
				}
				if table.Held(i) != (s.Kind() == optim.Evaluate) {
					continue
				}
				got := contributions[0]
				contributions = contributions[1:]
				if s.Kind() == optim.Evaluate {
					e := min(max(margin(w, x), -1), 1) - y
					for lane, want := range []float64{0.25, min(e*e, 1) / 2, max(e*e-1, 0) / 8, math.Abs(e) * 7 / 32, y / 4, y * y / 2} {
						if math.Abs(got[lane]/unit-want) > 1e-9 {
							t.Fatalf("row %d, lane %d: %g, want %g", i, lane, got[lane]/unit, want)
						}
					}
					continue
				}
				want, square := make([]float64, len(w)), 0.0
				for i := range want {
					const h = 1e-4
					up, down := slices.Clone(w), slices.Clone(w)
					up[i], down[i] = w[i]+h, w[i]-h
					a, b := margin(up, x)-y, margin(down, x)-y
					want[i] = (a*a - b*b) / 2 / (2 * h) / math.Sqrt(6)
					square += want[i] * want[i]
				}
				if square > 1 {
					clipped++
				}
				for i := range want {
					if v := want[i] / max(1, math.Sqrt(square)); math.Abs(got[i]/unit-v) > 1e-7 {
						t.Fatalf("coefficient %d: %g, want %g", i, got[i]/unit, v)
					}
				}
			}
		}
		if clipped == 0 {
			t.Error("no gradient was clipped")
		}
	}
}

// Rows with other labels than the job's, or beyond its range, are refused before anything is summed.
func TestPrivateJobsOfANumberRefuseOtherLabels(t *testing.T) {
	p, table := privateNumber(t, 2, 0), spending(60, 8)
	if _, err := linear.Contributions(p, p.Initial(), synthetic(60, 8)); !errors.Is(err, fit.ErrTable) {
		t.Errorf("labels of two values: %v", err)
	}
	if _, err := linear.Sums(p, p.Initial(), table); !errors.Is(err, linear.ErrState) {
		t.Errorf("exact sums: %v", err)
	}
	for _, y := range []float64{4000.1, -1001, math.NaN(), math.Inf(1)} {
		table.Target[3] = y
		if _, err := linear.Contributions(p, p.Initial(), table); !errors.Is(err, fit.ErrTable) {
			t.Errorf("a label of %g: %v", y, err)
		}
	}
	if _, err := linear.Contributions(privateSynthetic(t, budget{1, 0.2, 0.75, 0.05}, 2), p.Initial(), spending(60, 8)); !errors.Is(err, fit.ErrTable) {
		t.Errorf("a number in a job of two values: %v", err)
	}
}

// Numbers whose quantiles are fitted go with a label that is a number, too: in the round that counts rows nothing of the label is read,
// and afterwards both are learnt.
func TestSketchedJobsOfANumber(t *testing.T) {
	table, r := spending(6000, 8), rand.New(rand.NewPCG(3, 5))
	for _, factors := range []int{0, 3} {
		p := remade(t, privateNumber(t, 40, factors), func(doc map[string]any) {
			doc["features"] = []feature{
				scaled("age", 16, 110).with("standardize", true).with("clip", 3).with("clip_quantiles", []float64{0.01, 0.99}), scaled("basket", 0, 10000).with("nullable", true),
				plainCategory("country", "DE", "FR", "NL"), scaled("raw", -3, 5), plainCategory("device", "desktop", "mobile").with("nullable", true),
			}
			doc["label"] = map[string]any{"min": -300, "max": 900}
			doc["private"].(map[string]any)["sigma2_sketch"] = "1073741824"
		})
		s := p.Initial()
		if s.Kind() != optim.Sketch {
			t.Fatalf("the job begins with %s", s.Kind())
		}
		var d *linear.Design
		for s.Kind() != optim.Done {
			var err error
			if d == nil || !d.Serves(s) {
				if d, err = linear.Prepare(p, s, table); err != nil {
					t.Fatal(err)
				}
			}
			if s, _, err = p.Apply(s, [][]float64{noised(p, s.Kind(), contributed(t, p, d, s), r)}); err != nil {
				t.Fatal(err)
			}
		}
		if mean, sd := p.Pipeline().Natural(s.Fitted(), 0); math.Abs(mean-53) > 3 || math.Abs(sd/3-20) > 3 {
			t.Errorf("%d factors: age has mean %g and deviation %g", factors, mean, sd/3)
		}
		m, _ := s.Metrics()
		t.Logf("%d factors: RMSE %v, R² %v", factors, m.RMSE, m.R2)
		if !m.R2.Known || m.R2.V < 0.2 {
			t.Errorf("%d factors: R² %v", factors, m.R2)
		}
	}
}
