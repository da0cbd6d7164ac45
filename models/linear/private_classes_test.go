package linear_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"tributary/models/dataset"
	"tributary/models/linear"
	"tributary/models/optim"
)

// privateClasses is a private program for three classes over synthetic tables: all rows in each batch.
func privateClasses(t testing.TB, rounds int) (*optim.Program, func(n int, seed uint64) *dataset.Table) {
	t.Helper()
	p := remade(t, privateSynthetic(t, budget{1, 0.2, 0.75, 0.05}, rounds), func(doc map[string]any) {
		model := doc["model"].(map[string]any)
		model["type"], model["solver"] = "multinomial_logistic_regression", "dp_sgd"
		model["sampling"] = map[string]any{"rate_num": 1, "rate_den": 1, "learning_rate": 1.5, "momentum": 0.5}
		doc["label"] = map[string]any{"classes": []string{"low", "middle", "high"}, "min_rows": 1}
		doc["evaluate"] = map[string]any{"holdout": true, "metrics": []string{"log_loss", "accuracy"}}
	})
	return p, func(n int, seed uint64) *dataset.Table {
		table := synthetic(n, seed)
		of, _ := threeClasses(n, seed)
		table.Label, table.Class, table.Classes = nil, of.Class, of.Classes
		return table
	}
}

// No row of any class, however sure and wrong the model is of it, contributes more than the noise covers.
func TestNoContributionOfAClassExceedsTheScale(t *testing.T) {
	p, generate := privateClasses(t, 3)
	largest := 0.0
	for seed := range uint64(5) {
		table := generate(300, seed)
		extreme(table, seed)
		for _, s := range append(statesOf(t, p, table), sure(t, p)) {
			if s.Kind() == optim.Done {
				continue
			}
			for i, row := range collect(t, p, s, table) {
				square := 0.0
				for _, v := range row {
					square += v * v
				}
				norm := math.Sqrt(square) / unit
				if !(norm <= 1+1e-12) || s.Kind() != optim.Train && norm < 1-1e-12 {
					t.Fatalf("seed %d, %s, contribution %d: norm %.15g of the scale", seed, s.Kind(), i, norm)
				}
				if s.Kind() == optim.Train {
					largest = max(largest, norm)
				}
			}
		}
	}
	if largest < 0.999 {
		t.Errorf("the largest gradient has norm %g: the bound wasn't reached", largest)
	}
}

// sure is a state whose model is certain of one class.
func sure(t testing.TB, p *optim.Program) *optim.State {
	t.Helper()
	s, _, err := p.Apply(p.Initial(), [][]float64{{300 * unit}})
	if err != nil {
		t.Fatal(err)
	}
	gradient, n := make([]float64, p.Coefficients()), p.Coefficients()/3
	gradient[n-1], gradient[2*n-1] = -300*unit*40, 300*unit*40
	if s, _, err = p.Apply(s, [][]float64{gradient}); err != nil {
		t.Fatal(err)
	}
	return s
}

// The contributions are the gradient of the unit-norm rows' log loss by class over √2, by a twin from the definition, and the
// evaluation's bins tell whether the model is right, and how sure.
func TestClassContributionsEqualTheDefinition(t *testing.T) {
	p, generate := privateClasses(t, 4)
	table := generate(200, 8)
	for _, s := range statesOf(t, p, table) {
		if s.Kind() != optim.Train && s.Kind() != optim.Evaluate {
			continue
		}
		if s.Kind() == optim.Evaluate {
			scores, err := linear.ClassScores(p, s, table)
			if err != nil {
				t.Fatal(err)
			}
			at := 0
			rows := collect(t, p, s, table)
			for i := range table.Rows {
				if !table.Held(i) {
					continue
				}
				own, best := scores[i][table.Class[i]], 0
				for k, v := range scores[i] {
					if v > scores[i][best] {
						best = k
					}
				}
				bins := len(rows[at]) / 2
				lane := min(int(own*float64(bins)), bins-1)
				if best != int(table.Class[i]) {
					lane = bins + min(int((1-own)*float64(bins)), bins-1)
				}
				if rows[at][lane] != unit {
					t.Fatalf("held-out row %d isn't counted at %d", i, lane)
				}
				at++
			}
			continue
		}
		// Numerical derivative of Σ log loss along each coefficient, from probabilities of a twin's own softmax.
		sum := contributed(t, p, prepare(t, p, s, table), s)
		rows := encoded(t, p, table)
		w, d := s.Point(), p.Coefficients()/3
		loss := func(w []float64) (total float64) {
			for _, r := range rows {
				z, top := [3]float64{}, math.Inf(-1)
				for k := range z {
					for c, v := range r.x {
						z[k] += w[k*d+c] * v
					}
					top = max(top, z[k])
				}
				e := 0.0
				for _, v := range z {
					e += math.Exp(v - top)
				}
				total += math.Log(e) + top - z[r.class]
			}
			return total
		}
		r := rand.New(rand.NewPCG(2, 3))
		for range 12 {
			i, h := r.IntN(len(w)), 1e-5
			up, down := append([]float64(nil), w...), append([]float64(nil), w...)
			up[i] += h
			down[i] -= h
			want := (loss(up) - loss(down)) / (2 * h)
			if got := sum[i] / unit * math.Sqrt2; math.Abs(got-want) > 1e-4*(1+math.Abs(want)) {
				t.Errorf("coefficient %d: %g, want %g", i, got, want)
			}
		}
	}
}

type classRow struct {
	x     []float64
	class int32
}

// encoded gives the training rows as the definition has them: all columns and a 1, divided by their norm.
func encoded(t testing.TB, p *optim.Program, table *dataset.Table) (out []classRow) {
	t.Helper()
	for i := range table.Rows {
		if table.Held(i) {
			continue
		}
		x := plainRow(t, p, table, i)
		square := 0.0
		for _, v := range x {
			square += v * v
		}
		for c := range x {
			x[c] /= math.Sqrt(square)
		}
		out = append(out, classRow{x, table.Class[i]})
	}
	return out
}

// plainRow gives a row's columns and a 1.
func plainRow(t testing.TB, p *optim.Program, table *dataset.Table, i int) []float64 {
	t.Helper()
	number := func(name string, lo, hi float64, log bool, i int) float64 {
		c, _ := table.Column(name)
		v := c.Numbers[i]
		if v != v {
			return 0
		}
		if log {
			v, lo, hi = math.Log1p(v), math.Log1p(lo), math.Log1p(hi)
		}
		return 2*(v-lo)/(hi-lo) - 1
	}
	basket, _ := table.Column("basket")
	country, _ := table.Column("country")
	device, _ := table.Column("device")
	x := make([]float64, len(p.Pipeline().Columns())+1)
	x[0], x[1] = number("age", 16, 110, false, i), number("basket", 0, 10000, true, i)
	if basket.Numbers[i] != basket.Numbers[i] {
		x[2] = 1
	}
	x[3+country.Codes[i]] = 1 // three values and other
	x[7] = number("raw", -3, 5, false, i)
	if code := device.Codes[i]; code == dataset.Missing {
		x[columnOf(t, p, "device:missing")] = 1
	} else if code == 2 {
		x[columnOf(t, p, "device=other")] = 1
	} else {
		x[columnOf(t, p, "device="+device.Values[code])] = 1
	}
	x[len(x)-1] = 1
	return x
}

func columnOf(t testing.TB, p *optim.Program, name string) int {
	t.Helper()
	for i, c := range p.Pipeline().Columns() {
		if c.Name == name {
			return i
		}
	}
	t.Fatalf("no column %s", name)
	return 0
}

func prepare(t testing.TB, p *optim.Program, s *optim.State, table *dataset.Table) *linear.Design {
	t.Helper()
	d, err := linear.Prepare(p, s, table)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// With little noise the private model is as good as its own exact gradient descent can be: it finds the classes.
func TestPrivateMultinomialFindsTheClasses(t *testing.T) {
	p, generate := privateClasses(t, 60)
	table := generate(20_000, 21)
	states := statesOf(t, p, table)
	end := states[len(states)-1]
	m, ok := end.Metrics()
	if !ok || !m.Accuracy.Known || !m.LogLoss.Known || m.AUC.Known || m.Positives != 0 {
		t.Fatalf("%+v", m)
	}
	// What the model's own probabilities say, without noise.
	scores, err := linear.ClassScores(p, end, table)
	if err != nil {
		t.Fatal(err)
	}
	right, loss, held, most := 0.0, 0.0, 0.0, [3]float64{}
	for i, q := range scores {
		if !table.Held(i) {
			continue
		}
		held++
		y := table.Class[i]
		most[y]++
		loss -= math.Log(q[y])
		if q[y] >= max(q[0], q[1], q[2]) {
			right++
		}
	}
	t.Logf("accuracy %.4f (noised %.4f), log loss %.4f (noised %.4f), commonest class %.4f", right/held, m.Accuracy.V, loss/held, m.LogLoss.V, max(most[0], most[1], most[2])/held)
	if math.Abs(m.Accuracy.V-right/held) > 0.03 || math.Abs(m.LogLoss.V-loss/held) > 0.06 {
		t.Errorf("the noised metrics aren't the model's")
	}
	if right/held < max(most[0], most[1], most[2])/held+0.05 {
		t.Errorf("the model is no better than the commonest class")
	}
}
