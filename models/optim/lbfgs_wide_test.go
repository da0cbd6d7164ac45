package optim

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// watchedProgram has a patience and two values; with an L1 penalty, or with the Hessian at the end.
func watchedProgram(t testing.TB, model string) *Program {
	t.Helper()
	return testProgram(t, `"l2":1,"solver":"newton"`, `"l2":1,"solver":"lbfgs",`+model, `"max_rounds":4`, `"max_rounds":6`, `"auc",`, ``)
}

func watchedRun(t testing.TB, p *Program) []*State {
	t.Helper()
	s := fitted(t, p)
	states := []*State{p.Initial(), s}
	for i := 0; s.kind == Train; i++ {
		g := make([]float64, len(s.w))
		for k := range g {
			g[k] = float64(float64(s.curvature[k]*(1+float64(k%3)))*s.w[k]) - float64(10*(k%5))
		}
		held := 50 - float64(i)
		if i >= 2 {
			held = 60
		}
		next, _, err := p.Apply(s, p.EncodeGradient(s, TrainSums{Rows: 1000, Loss: 500 - float64(20*i), HeldOutLoss: held, Gradient: g}))
		if err != nil {
			t.Fatal(err)
		}
		s = next
		states = append(states, s)
	}
	e := EvaluateSums{Rows: 1000, Loss: 400, HeldOut: 100, Positives: 34, Correct: 81, HeldOutLoss: 45}
	if d := p.columns() + 1; p.Model.StandardErrors {
		for i := range d {
			for j := i; j < d; j++ {
				e.Hessian = append(e.Hessian, 100/float64(1+3*(j-i)*(j+i)))
			}
		}
	}
	done, _, err := p.Apply(s, p.EncodeEvaluate(s, e))
	if err != nil {
		t.Fatal(err)
	}
	return append(states, done)
}

// Watched, penalised and with a Hessian at the end, the L-BFGS step is the same bits on every architecture, too, and every byte of its
// states counts.
func TestWatchedLBFGSStatesAreStrict(t *testing.T) {
	h := sha256.New()
	for _, model := range []string{`"patience":2`, `"l1":3,"patience":2`, `"l1":0.5`, `"standard_errors":true`, `"patience":5,"standard_errors":true`} {
		p := watchedProgram(t, model)
		if doc, err := p.Document(); err != nil || !strings.Contains(string(doc), model[strings.LastIndex(model, ",")+1:]) {
			t.Errorf("%s: %v %s", model, err, doc)
		} else if again, err := ParseProgram(doc); err != nil || again.Model.Patience != p.Model.Patience || again.Model.StandardErrors != p.Model.StandardErrors || again.Model.L1 != p.Model.L1 {
			t.Errorf("%s: %v", model, err)
		}
		for i, s := range watchedRun(t, p) {
			data := s.Encode()
			h.Write(data)
			got, err := p.DecodeState(data)
			if err != nil || !bytes.Equal(got.Encode(), data) {
				t.Fatalf("%s, state %d: %v", model, i, err)
			}
			for n := 0; n < len(data); n += 7 {
				if _, err := p.DecodeState(data[:n]); !errors.Is(err, ErrState) {
					t.Fatalf("%s, state %d cut to %d bytes: %v", model, i, n, err)
				}
			}
			for at := range data {
				changed := bytes.Clone(data)
				changed[at] ^= 1 << (at % 8)
				if got, err := p.DecodeState(changed); err == nil && !bytes.Equal(got.Encode(), changed) {
					t.Fatalf("%s, state %d, byte %d: two encodings of one state", model, i, at)
				}
			}
		}
	}
	const want = "e91c262eda2c67f595f1a0e408484d57c40707b69faf310a2cc0d8495de9e924"
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		t.Errorf("states hash to %s, want %s", got, want)
	}
}

// The held-out loss was least in the second round: its coefficients are the model, and training stops after the patience.
func TestWatchedStateEndsAtItsBestRound(t *testing.T) {
	p := watchedProgram(t, `"patience":2`)
	states := watchedRun(t, p)
	last := states[len(states)-2]
	if last.kind != Evaluate || last.rounds != 4 || last.converged || last.watch != nil || fmt.Sprint(last.w) != fmt.Sprint(states[2].w) {
		t.Errorf("%s after %d rounds, converged %t, at %v, want %v", last.kind, last.rounds, last.converged, last.w, states[2].w)
	}
	for name, change := range map[string]func(*State){
		"loss":    func(s *State) { s.watch.loss = -1 },
		"patient": func(s *State) { s.watch.worse = 2 },
		"huge":    func(s *State) { s.watch.best[0] = 1e31 },
		"folded":  func(s *State) { s.watch.best[p.spec.FirstColumn(3)+1] = 1 },
	} {
		s := watchedRun(t, p)[3]
		s.watch.best = append([]float64(nil), s.watch.best...)
		change(s)
		if _, err := p.DecodeState(s.Encode()); !errors.Is(err, ErrState) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEndingsAreForTheirSolvers(t *testing.T) {
	for _, c := range []struct{ solver, model, want string }{
		{"newton", `"standard_errors":true`, "model.standard_errors"},
		{"lbfgs", `"standard_errors":false`, "model.standard_errors"},
		{"lbfgs", `"l1":1,"standard_errors":true`, "model.standard_errors"},
		{"lbfgs", `"patience":0`, "model.patience"},
		{"newton", `"patience":1001`, "model.patience"},
		{"fedavg", `"patience":3`, "model.patience"},
	} {
		doc := strings.Replace(testDocument(), `"solver":"newton"`, `"solver":"`+c.solver+`",`+c.model, 1)
		if _, err := ParseProgram([]byte(doc)); !errors.Is(err, ErrProgram) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "hint:") && c.want != "model.patience" {
			t.Errorf("%s with %s: %v", c.solver, c.model, err)
		}
	}
}

// wideProgram has so many columns, one of them a number's.
func wideProgram(t testing.TB, columns int, more string) (*Program, error) {
	t.Helper()
	values := make([]string, 0, columns-2)
	for i := range columns - 2 {
		values = append(values, fmt.Sprintf(`"%x"`, i))
	}
	return ParseProgram([]byte(fmt.Sprintf(`{"version":1,"contributors":4,"bits":40,"max_rows":1000000,"features":[
		{"name":"x","kind":"number","min":0,"max":1,"nullable":false,"log1p":false,"standardize":true,"clip":64,"missing_indicator":false},
		{"name":"c","kind":"category","values":[%s],"nullable":false,"missing_indicator":false,"min_count":0}],
		"model":{"type":"logistic_regression","l2":1,"solver":"lbfgs","max_rounds":40,"tolerance":1e-9%s},"evaluate":{"holdout":true,"metrics":["log_loss"]}}`,
		strings.Join(values, ","), more)))
}

// A state of the widest model, with all pairs that are kept, fits what a member fetches.
func TestWidestLBFGSStateFits(t *testing.T) {
	const most = 64 << 20 // round.MaxVerified
	p, err := wideProgram(t, MaxLBFGS-1, `,"patience":3`)
	if err != nil {
		t.Fatal(err)
	}
	l := lbfgs{p}
	d := l.coefficients()
	zero, single := make([]float64, d), make([]float32, d)
	s := &State{kind: Train, step: 40, rounds: 39, fitted: p.spec.Plain(), w: zero, curvature: zero, watch: &watchMemory{best: zero}, solver: l}
	s.lbfgs = &lbfgsMemory{best: zero, gradient: zero}
	for range l.kept() {
		s.lbfgs.pairs = append(s.lbfgs.pairs, pair{single, single})
	}
	size := len(s.Encode())
	t.Logf("%d coefficients, %d pairs: %d bytes", d, l.kept(), size)
	if size > most || l.kept() < 10 {
		t.Errorf("%d pairs, %d bytes", l.kept(), size)
	}
}

// Coefficients count by class.
func TestTooManyCoefficientsAreRefused(t *testing.T) {
	var classes, values []string
	for i := range MaxClasses {
		classes = append(classes, fmt.Sprintf(`"%d"`, i))
	}
	for i := range MaxLBFGS/MaxClasses - 1 { // with other and the intercept, a column too many
		values = append(values, fmt.Sprintf(`"%d"`, i))
	}
	_, err := ParseProgram([]byte(fmt.Sprintf(`{"version":1,"contributors":4,"bits":40,"max_rows":1000000,"features":[
		{"name":"c","kind":"category","values":[%s],"nullable":false,"missing_indicator":false,"min_count":0}],
		"model":{"type":"multinomial_logistic_regression","l2":1,"solver":"lbfgs","max_rounds":40,"tolerance":1e-9},
		"evaluate":{"holdout":true,"metrics":["log_loss"]},"label":{"classes":[%s],"min_rows":20}}`, strings.Join(values, ","), strings.Join(classes, ","))))
	if err == nil || !strings.Contains(err.Error(), "524544 coefficients") || !strings.Contains(err.Error(), "hint:") {
		t.Error(err)
	}
}
