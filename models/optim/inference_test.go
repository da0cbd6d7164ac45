package optim

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"
)

// Reference: math.Erfc, which is within a unit in the last place.
func TestUpperTailIsThatOfTheNormalDistribution(t *testing.T) {
	for i := range 3800 {
		z := float64(i) / 100
		want := math.Erfc(z/math.Sqrt2) / 2
		if got := upperTail(z); math.Abs(got-want) > 1e-12*want+1e-320 {
			t.Fatalf("z %g: %g, want %g", z, got, want)
		}
	}
	if upperTail(50) != 0 || upperTail(1e300) != 0 || upperTail(math.Inf(1)) != 0 {
		t.Error("far tails")
	}
}

func TestInverseDiagonalIsThatOfTheInverse(t *testing.T) {
	// A = [4 2 0; 2 5 3; 0 3 10]: its inverse has the diagonal 41/124, 40/124, 16/124.
	m := newMatrix(3)
	copy(m.data, []float64{4, 0, 0, 2, 5, 0, 0, 3, 10})
	m.cholesky(make([]float64, 3))
	for i, v := range m.inverseDiagonal() {
		if want := []float64{41, 40, 16}[i] / 124; math.Abs(v-want) > 1e-15 {
			t.Errorf("%d: %g, want %g", i, v, want)
		}
	}
	// Without the second column, [4 0; 0 10] is left.
	copy(m.data, []float64{4, 0, 0, 2, 5, 0, 0, 3, 10})
	m.cholesky([]float64{0, math.Inf(1), 0})
	if v := m.inverseDiagonal(); v[0] != 0.25 || v[1] != 0 || math.Abs(v[2]-0.1) > 1e-16 {
		t.Errorf("%v", v)
	}
}

// converged is a state whose last round converged.
func converged(t *testing.T, p *Program) *State {
	t.Helper()
	s := fitted(t, p)
	sums := trainSums(p, s, 600, 1)
	for i := range sums[2] {
		sums[2][i] /= 1e6
	}
	next, report, err := p.Apply(s, sums)
	if err != nil || !report.Converged {
		t.Fatal(err, report)
	}
	return next
}

func TestErrorsAreKnownOnlyAfterConvergence(t *testing.T) {
	p := testProgram(t)
	s := converged(t, p)
	folded := p.spec.FirstColumn(3) + 1
	for i := range s.w {
		got, ok := s.Inference(i)
		if ok == (i == folded) || ok && !(got.StandardError > 0 && got.P > 0 && got.P <= 1 && got.Z == s.w[i]/got.StandardError) {
			t.Errorf("coefficient %d: %+v, %t", i, got, ok)
		}
	}
	data := s.Encode()
	again, err := p.DecodeState(data)
	if err != nil || !bytes.Equal(again.Encode(), data) {
		t.Fatal(err)
	}
	doc, err := Export(p, s)
	if err != nil || !strings.Contains(string(doc), `"intercept_test"`) || !strings.Contains(string(doc), "approximate") || strings.Count(string(doc), `"p_value"`) != len(s.w)-1 {
		t.Errorf("%v %s", err, doc)
	}
	for name, change := range map[string]func(*State){
		"negative":      func(s *State) { s.variance[0] = -1 },
		"negative zero": func(s *State) { s.variance[0] = math.Copysign(0, -1) },
		"NaN":           func(s *State) { s.variance[0] = math.NaN() },
		"folded":        func(s *State) { s.variance[folded] = 1 },
		"unconverged":   func(s *State) { s.converged, s.rounds, s.step = false, 4, 5 },
		"short":         func(s *State) { s.variance = s.variance[1:] },
	} {
		s := converged(t, p)
		change(s)
		if _, err := p.DecodeState(s.Encode()); !errors.Is(err, ErrState) {
			t.Errorf("%s: %v", name, err)
		}
	}
	states := run(t, p)
	if _, ok := states[len(states)-1].Inference(0); ok {
		t.Error("errors of a model that didn't converge")
	}
	l1 := testProgram(t, `"l2":1`, `"l1":1,"l2":1`)
	if _, ok := converged(t, l1).Inference(0); ok {
		t.Error("errors beside an L1 penalty")
	}
}
