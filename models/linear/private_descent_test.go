package linear_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"tributary/models/dataset"
	"tributary/models/linear"
	"tributary/models/optim"
)

// Without noise to speak of, the descent reaches the optimum of the penalised loss over unit-norm rows, in the plan's rounds:
// where the labels say much, where they say almost nothing (steps of 2/H would alternate) and where the penalty rules.
func TestPrivateDescentReachesTheOptimumWithoutNoise(t *testing.T) {
	noise := rand.New(rand.NewPCG(1, 1))
	for name, c := range map[string]struct {
		l2     float64
		random bool
		rounds int
	}{"signal": {1, false, 30}, "no signal": {1, true, 12}, "strong penalty": {500, false, 12}} {
		table := synthetic(5_000, 29)
		if c.random {
			for i := range table.Label {
				table.Label[i] = noise.IntN(2) == 0
			}
		}
		p := privateSynthetic(t, budget{1e4, 0.2, 0.75, 0.05}, c.rounds)
		p.Model.L2 = c.l2
		d, err := linear.Prepare(p, p.Initial(), table)
		if err != nil {
			t.Fatal(err)
		}
		s, _ := trainPrivate(t, p, d, contributed(t, p, d, p.Initial()), 1)
		if got, best := penalised(t, p, s, table), penalisedOptimum(t, p, table); !(got-best < 0.05) {
			t.Errorf("%s: objective %.4f nats, at the optimum %.4f", name, got, best)
		}
	}
}

// penalised is the training rows' loss with the penalty.
func penalised(t testing.TB, p *optim.Program, s *optim.State, table *dataset.Table) float64 {
	t.Helper()
	scores, err := linear.Score(p, s, table)
	if err != nil {
		t.Fatal(err)
	}
	total := 0.0
	for i, q := range scores {
		switch {
		case table.Held(i):
		case table.Label[i]:
			total -= math.Log(q)
		default:
			total -= math.Log(1 - q)
		}
	}
	w := s.Coefficients()
	for _, v := range w[:len(w)-1] {
		total += p.Model.L2 / 2 * v * v
	}
	return total
}

// penalisedOptimum is the least penalised, by the independent pooled solver over dense unit-norm rows.
func penalisedOptimum(t testing.TB, p *optim.Program, table *dataset.Table) float64 {
	t.Helper()
	solver := &pooled{l2: p.Model.L2, w: make([]float64, p.Coefficients())}
	for i := range table.Rows {
		if table.Held(i) {
			continue
		}
		x, square := output(p, p.Pipeline().Plain(), table, i), 0.0
		for _, v := range x {
			square += v * v
		}
		for j := range x {
			x[j] /= math.Sqrt(square)
		}
		y := 0.0
		if table.Label[i] {
			y = 1
		}
		solver.x, solver.y = append(solver.x, x), append(solver.y, y)
	}
	return solver.solve()
}
