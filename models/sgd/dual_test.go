package sgd_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"tributary/models/dataset"
	"tributary/models/optim"
)

// penalised has an L1 penalty, l2 as given, and options of its averaging.
func penalised(solver, optimizer string, l1, l2 float64, rounds, batch int, more string) string {
	return fmt.Sprintf(`{"type":"logistic_regression","l1":%g,"l2":%g,"solver":"%s","max_rounds":%d,"tolerance":0,"averaging":{"epochs":1,"batch":%d,"optimizer":"%s",%s,"seed":"1"}}`, l1, l2, solver, rounds, batch, optimizer, more)
}

// uneven are a few pairs' tables of very different lengths.
func uneven(levels int) (out []*dataset.Table) {
	random := rand.New(rand.NewPCG(3, 4))
	truth := newPairs(levels, random)
	for _, rows := range []int{1_000, 3_000, 8_000} {
		out = append(out, truth.tables(1, rows, random)...)
	}
	return out
}

// zeros tells which coefficients are exactly 0.
func zeros(s *optim.State) (out []bool, n int) {
	for _, w := range s.Coefficients() {
		if out = append(out, w == 0); w == 0 {
			n++
		}
	}
	return out, n
}

// Averaged duals come within 0.2 % of the objective that proximal Newton steps reach, with participants of any size, and have its zeros but
// for a few: those of a mean of coefficients would be gone.
func TestAveragedDualsComeCloseToTheProximalOptimum(t *testing.T) {
	const levels = 20
	tables := uneven(levels)
	for _, c := range []struct{ l1, l2 float64 }{{10, 0}, {40, 0}, {10, 5}} {
		best, _ := train(t, program(t, levels, 3, fmt.Sprintf(`{"type":"logistic_regression","l1":%g,"l2":%g,"solver":"newton","max_rounds":50,"tolerance":1e-9}`, c.l1, c.l2)), tables)
		optimum, _ := best.Metrics()
		want, n := zeros(best)
		for _, batch := range []int{1, 16} {
			s, _ := train(t, program(t, levels, 3, penalised("fedavg", "sgd", c.l1, c.l2, 40, batch, fmt.Sprintf(`"learning_rate":%g,"server_rate":1,"patience":0`, 0.05*float64(batch)))), tables)
			m, _ := s.Metrics()
			got, k := zeros(s)
			differ := 0
			for i := range got {
				if got[i] != want[i] {
					differ++
				}
			}
			excess := m.Objective/optimum.Objective - 1
			t.Logf("l1 %g, l2 %g, batch %d: %.6f above the optimum, %d zeros of %d, want %d, %d differ", c.l1, c.l2, batch, excess, k, len(got), n, differ)
			if !(excess >= -1e-9 && excess < 2e-3) || differ > 4 || n < 5 {
				t.Errorf("l1 %g, l2 %g, batch %d: %.6f above the optimum, %d zeros of %d, want %d, %d differ", c.l1, c.l2, batch, excess, k, len(got), n, differ)
			}
		}
	}
}
