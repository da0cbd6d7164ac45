package linear_test

import (
	"math"
	"testing"

	"tributary/models/dataset"
	"tributary/models/optim"
)

// fista minimises loss + λ₁·‖w‖₁ + (λ₂/2)·‖w‖², the intercept free, by accelerated proximal gradient steps with restarts, until a
// step changes nothing that matters: independent of the solver under test, and slow.
func (p *pooled) fista(l1 float64) (w []float64, objective float64) {
	d := len(p.w)
	step := 1 / (p.largestCurvature() + p.l2)
	gradient := func(w []float64) []float64 {
		g := make([]float64, d)
		for i, x := range p.x {
			m := 0.0
			for j, v := range x {
				m += v * w[j]
			}
			r := 1/(1+math.Exp(-m)) - p.y[i]
			for j, v := range x {
				g[j] += r * v
			}
		}
		for j := range d - 1 {
			g[j] += p.l2 * w[j]
		}
		return g
	}
	x, y, t := make([]float64, d), make([]float64, d), 1.0
	for range 100_000 {
		g, next := gradient(y), make([]float64, d)
		ahead, largest := 0.0, 0.0
		for j := range next {
			next[j] = y[j] - step*g[j]
			if j < d-1 {
				next[j] = math.Copysign(max(math.Abs(next[j])-step*l1, 0), next[j])
			}
			ahead += (y[j] - next[j]) * (next[j] - x[j])
			largest = max(largest, math.Abs(next[j]-y[j]))
		}
		if largest < 1e-12 {
			x = next
			break
		}
		momentum := 0.0
		if ahead > 0 {
			t = 1 // it runs uphill
		} else {
			after := (1 + math.Sqrt(1+4*t*t)) / 2
			momentum, t = (t-1)/after, after
		}
		for j := range y {
			y[j] = next[j] + momentum*(next[j]-x[j])
		}
		x = next
	}
	objective = p.objective(x)
	for _, v := range x[:d-1] {
		objective += l1 * math.Abs(v)
	}
	return x, objective
}

// largestCurvature bounds the Hessian of the loss: a quarter of the largest eigenvalue of XᵀX, by the power method.
func (p *pooled) largestCurvature() float64 {
	v, size := make([]float64, len(p.w)), 0.0
	for j := range v {
		v[j] = 1 / float64(j+1)
	}
	for range 500 {
		next := make([]float64, len(v))
		for _, x := range p.x {
			m := 0.0
			for j, a := range x {
				m += a * v[j]
			}
			for j, a := range x {
				next[j] += m * a
			}
		}
		size = 0
		for _, a := range next {
			size += a * a
		}
		size = math.Sqrt(size)
		for j := range next {
			v[j] = next[j] / size
		}
	}
	return 1.01 * size / 4
}

// plain drops what the pooled solver can't encode: missing values, log1p and numbers as they are.
func plain(n int, seed uint64) (*dataset.Table, []feature) {
	table := synthetic(n, seed)
	age, _ := table.Column("age")
	country, _ := table.Column("country")
	noisy := dataset.Column{Name: "older"} // hangs together with age
	for i, v := range age.Numbers {
		noisy.Numbers = append(noisy.Numbers, v+float64(i*7919%13))
	}
	raw, _ := table.Column("raw")
	table.Columns = []dataset.Column{*age, *country, noisy, *raw}
	return table, []feature{number("age", 0, 110), category("country", 1, "DE", "FR", "NL"), number("older", 0, 130), number("raw", -3, 5)}
}

// Along a path of penalties, three participants reach the objective of a proximal gradient solver on the pooled rows, with the
// same coefficients held at 0 where they are unique: by Newton's method and by L-BFGS.
func TestElasticNetPathReachesTheReferenceObjective(t *testing.T) {
	table, features := plain(4_000, 61)
	for _, c := range []struct{ l1, l2 float64 }{{2000, 0}, {300, 0}, {100, 0}, {30, 0}, {10, 0}, {1, 0}, {0.1, 0}, {100, 50}, {10, 1}, {0.5, 300}} {
		w, want := newPooled(table, c.l2).fista(c.l1)
		for solver, rounds := range map[string]int{optim.Newton: 20, optim.LBFGS: 60} {
			j := job{contributors: 3, bits: 40, maxRows: 5_000_000, maxRounds: rounds, features: features, l1: c.l1, l2: c.l2, tolerance: 1e-11, holdout: true, solver: solver}
			s, reports := train(t, j.program(t), split(table, 3))
			m, _ := s.Metrics()
			zeros, wantZeros := 0, 0
			for i, v := range w[:len(w)-1] {
				if s.Coefficients()[i] == 0 {
					zeros++
				}
				if v == 0 {
					wantZeros++
				}
				// Without L2, one-hot columns can shift against the intercept: the coefficients aren't unique.
				if c.l2 > 0 && (v == 0) != (s.Coefficients()[i] == 0) && math.Abs(v-s.Coefficients()[i]) > 1e-4 {
					t.Errorf("%s, l1 %g, l2 %g: coefficient %d is %g, the reference has %g", solver, c.l1, c.l2, i, s.Coefficients()[i], v)
				}
			}
			t.Logf("%s, l1 %g, l2 %g: %d rounds, objective %.9f, reference %.9f (relative %.1e), %d zeros, reference %d", solver, c.l1, c.l2, count(reports, optim.Train), m.Objective, want, m.Objective/want-1, zeros, wantZeros)
			if !s.Converged() || math.Abs(m.Objective-want) > 1e-5 {
				t.Errorf("%s, l1 %g, l2 %g: converged %t, objective %.9f, reference %.9f", solver, c.l1, c.l2, s.Converged(), m.Objective, want)
				for _, r := range reports {
					t.Log(describe(r))
				}
			}
		}
	}
}

// A penalty above the largest derivative at zero leaves the intercept alone: the log odds of the rows.
func TestStrongL1LeavesOnlyTheIntercept(t *testing.T) {
	table, features := plain(2_000, 62)
	j := job{contributors: 2, bits: 40, maxRows: 5_000_000, maxRounds: 10, features: features, l1: 1e5, tolerance: 1e-10, holdout: true}
	s, _ := train(t, j.program(t), split(table, 2))
	w := s.Coefficients()
	for i, v := range w[:len(w)-1] {
		if v != 0 {
			t.Errorf("coefficient %d is %g", i, v)
		}
	}
	f := s.Fitted()
	if want := math.Log(float64(f.Positives) / float64(f.Rows-f.Positives)); math.Abs(w[len(w)-1]-want) > 1e-5 {
		t.Errorf("intercept %g, want the log odds %g", w[len(w)-1], want)
	}
}

// On real data with 100 one-hot columns the coefficients meet the optimality conditions of the pooled objective.
func TestL1OnRealDataIsOptimal(t *testing.T) {
	table, features := readAdult(t).table(t)
	for _, c := range []struct {
		l1     float64
		solver string
		rounds int
	}{{1, optim.Newton, 15}, {30, optim.Newton, 15}, {30, optim.LBFGS, 400}} {
		l1 := c.l1
		j := job{contributors: 4, bits: 40, maxRows: 5_000_000, maxRounds: c.rounds, features: features, l1: l1, tolerance: 1e-10, holdout: true, solver: c.solver}
		s, reports := train(t, j.program(t), split(table, 4))
		p := newPooled(table, 0)
		g, w, at := make([]float64, len(p.w)), make([]float64, len(p.w)), 0
		for c, column := range s.Coefficients() { // in the features' order, which is the table's
			w[c] = column
		}
		for i, x := range p.x {
			m := 0.0
			for j, v := range x {
				m += v * w[j]
			}
			r := 1/(1+math.Exp(-m)) - p.y[i]
			for j, v := range x {
				g[j] += r * v
			}
		}
		worst := math.Abs(g[len(g)-1])
		for j, v := range w[:len(w)-1] {
			switch {
			case v > 0:
				worst = max(worst, math.Abs(g[j]+l1))
			case v < 0:
				worst = max(worst, math.Abs(g[j]-l1))
			default:
				worst = max(worst, math.Abs(g[j])-l1)
				at++
			}
		}
		t.Logf("%s, l1 %g: %d rounds, %d of %d coefficients are 0, largest violation %.2g", c.solver, l1, count(reports, optim.Train), at, len(w)-1, worst)
		if most := map[string]float64{optim.Newton: 0.02, optim.LBFGS: 0.2}[c.solver]; !s.Converged() || worst > most || at == 0 {
			t.Errorf("%s, l1 %g: converged %t, largest violation %g", c.solver, l1, s.Converged(), worst)
		}
		for _, r := range reports {
			t.Log(describe(r))
		}
	}
}
