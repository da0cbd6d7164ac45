package linear_test

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat/distuv"

	"tributary/models/optim"
)

// Standard errors and p values are those of the pooled rows' inverse Hessian at the pooled optimum: of Newton's last round, or of the
// Hessian that EVALUATE sums after L-BFGS.
func TestStandardErrorsAreThoseOfThePooledHessian(t *testing.T) {
	table, _ := plain(4_000, 63)
	table.Columns = append(table.Columns[:1:1], table.Columns[3]) // age and raw: no collinear columns
	for _, c := range []struct {
		l2     float64
		solver string
	}{{0, optim.Newton}, {10, optim.Newton}, {0, optim.LBFGS}, {10, optim.LBFGS}} {
		l2 := c.l2
		j := job{contributors: 3, bits: 40, maxRows: 5_000_000, maxRounds: 60, features: []feature{number("age", 0, 110), number("raw", -3, 5)}, l2: l2, tolerance: 1e-11, holdout: true,
			solver: c.solver, standardErrors: c.solver == optim.LBFGS}
		s, _ := train(t, j.program(t), split(table, 3))
		p := newPooled(table, l2)
		p.solve()
		h := mat.NewSymDense(3, nil)
		for _, x := range p.x {
			m := 0.0
			for j, v := range x {
				m += v * p.w[j]
			}
			q := 1 / (1 + math.Exp(-m))
			for a := range x {
				for b := a; b < len(x); b++ {
					h.SetSym(a, b, h.At(a, b)+q*(1-q)*x[a]*x[b])
				}
			}
		}
		h.SetSym(0, 0, h.At(0, 0)+l2)
		h.SetSym(1, 1, h.At(1, 1)+l2)
		var inverse mat.Dense
		if err := inverse.Inverse(h); err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			got, ok := s.Inference(i)
			e := math.Sqrt(inverse.At(i, i))
			z := p.w[i] / e
			want := 2 * distuv.UnitNormal.Survival(math.Abs(z))
			t.Logf("l2 %g, coefficient %d: %.6g ± %.6g, z %.5g, p %.4g", l2, i, s.Coefficients()[i], got.StandardError, got.Z, got.P)
			if !ok || relative(got.StandardError, e) > 1e-5 || relative(got.Z, z) > 1e-4 || math.Abs(got.P-want) > 1e-4*want+1e-9 {
				t.Errorf("l2 %g, coefficient %d: %+v, want error %g, z %g, p %g", l2, i, got, e, z, want)
			}
		}
	}
}
