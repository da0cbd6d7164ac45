package optim

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
)

func machineSampledProgram(t testing.TB, edits ...string) *Program {
	return sampledProgram(t, append([]string{`"type":"logistic_regression"`, `"type":"factorization_machine"`,
		`"momentum":0.75`, `"momentum":0.75,"seed":"7"`, `"max_rounds":4`, `"max_rounds":4,"factors":3`}, edits...)...)
}

// A private machine starts at factors that its seed gives, steps by the learning rate over ρ² = 1+features, and its document and
// states have one encoding; two seeds give two starts.
func TestSampledMachineStartsAtItsSeed(t *testing.T) {
	p := machineSampledProgram(t)
	states, _, sums := runSampled(t, p)
	columns, features, n := p.columns(), len(p.spec.Features()), p.Coefficients()
	if n != columns*4+1 || p.GradientNorm() != math.Sqrt(float64(1+features)) {
		t.Fatalf("%d coefficients of %d columns, gradients up to %g", n, columns, p.GradientNorm())
	}
	start, first := states[1].Point(), states[2].Point()
	bound := math.Sqrt(3 / float64(3*features))
	for i, w := range start {
		factor := i >= columns && i < n-1
		if (w != 0) != factor || math.Abs(w) > bound {
			t.Errorf("coefficient %d starts at %g", i, w)
		}
		rho := math.Sqrt(float64(1 + features))
		g := sums[1][i] / 16384 / (1005.0 / 20) * rho
		if i < n-1 {
			g += w / 1005
		}
		if want := w - 0.5/(rho*rho)*g; math.Abs(first[i]-want) > 1e-9*(1+math.Abs(want)) {
			t.Errorf("coefficient %d: %g after a step, want %g", i, first[i], want)
		}
	}
	doc, err := p.Document()
	again, err2 := ParseProgram(doc)
	if err != nil || err2 != nil || !reflect.DeepEqual(p, again) || !strings.Contains(string(doc), `"momentum":0.75,"seed":"7"`) {
		t.Errorf("%v, %v\n%s", err, err2, doc)
	}
	other := machineSampledProgram(t, `"seed":"7"`, `"seed":"8"`)
	if otherStates, _, _ := runSampled(t, other); otherStates[1].Point()[columns] == start[columns] {
		t.Error("two seeds give one start")
	}
	if _, err := other.DecodeState(states[1].Encode()); !errors.Is(err, ErrState) {
		t.Errorf("a start of another seed: %v", err)
	}
	exported, err := Export(p, states[len(states)-1])
	if err != nil || !bytes.Contains(exported, []byte(`"private": true`)) || bytes.Contains(exported, []byte("unit_norm")) || !bytes.Contains(exported, []byte(`"factor"`)) {
		t.Errorf("%v\n%s", err, exported)
	}
	h := sha256.New()
	for i, s := range states {
		data := s.Encode()
		h.Write(data)
		got, err := p.DecodeState(data)
		if err != nil || !reflect.DeepEqual(got, s) {
			t.Errorf("state %d changed: %v", i, err)
		}
		for n := range data {
			if _, err := p.DecodeState(data[:n]); !errors.Is(err, ErrState) {
				t.Fatalf("state %d cut to %d bytes: %v", i, n, err)
			}
		}
	}
	const want = "d6545745cbc9baa794f5384fd278a90c3516f402507d71d618c9a57aa0eba55b"
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		t.Errorf("states hash to %s, want %s", got, want)
	}
}

// Factors that nobody's seed drew, linear starts other than zero, and programs without what a machine needs are refused.
func TestSampledMachineIsStrict(t *testing.T) {
	p := machineSampledProgram(t)
	states, _, _ := runSampled(t, p)
	for name, at := range map[string]int{"a chosen factor": p.columns(), "a chosen coefficient": 0} {
		s, err := p.DecodeState(states[1].Encode())
		if err != nil {
			t.Fatal(err)
		}
		s.sampled.iterate[at] += 0.5
		if _, err := p.DecodeState(s.Encode()); !errors.Is(err, ErrState) {
			t.Errorf("%s: %v", name, err)
		}
	}
	base, err := p.Document()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, new, want string }{
		{`,"seed":"7"`, ``, "sampling.seed: missing"},
		{`"seed":"7"`, `"seed":7`, "sampling.seed"},
		{`"seed":"7"`, `"seed":"07"`, "sampling.seed"},
		{`"factors":3,`, ``, "model.factors: missing"},
		{`"factors":3`, `"factors":0`, "model.factors"},
		{`"factors":3`, `"factors":257`, "model.factors"},
		{`"type":"factorization_machine"`, `"type":"logistic_regression"`, "unknown key"},
		{`"solver":"dp_sgd"`, `"solver":"dp_gradient_descent"`, "not a solver of factorization_machine"},
	} {
		doc := strings.Replace(string(base), c.old, c.new, 1)
		if doc == string(base) {
			t.Fatalf("no %s in %s", c.old, base)
		}
		if _, err := ParseProgram([]byte(doc)); !errors.Is(err, ErrProgram) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s → %s: %v", c.old, c.new, err)
		}
	}
}
