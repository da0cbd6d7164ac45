package optim

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"strings"
	"testing"
)

// dualDocument averages the duals of a logistic regression, without a patience: they are a state's last list.
func dualDocument(t testing.TB) string {
	t.Helper()
	return strings.NewReplacer("factorization_machine", LogisticRegression, `"l2":1`, `"l1":20,"l2":1`, `"fedadam"`, `"fedavg"`, `"factors":2,`, ``,
		`"adagrad"`, `"sgd"`, `"patience":2`, `"patience":0`).Replace(averagingDocument(t))
}

func dualProgram(t testing.TB) *Program {
	t.Helper()
	p, err := ParseProgram([]byte(dualDocument(t)))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A step moves the duals by the rate times the mean change, and makes the coefficients of them, zeros where they don't reach the penalty;
// the intercept is free. It is what the paper's server does, at the time that the rounds' rates add up to.
func TestAveragedDualsMakeTheCoefficients(t *testing.T) {
	p := dualProgram(t)
	time, dual, zeros := 0.0, make([]float64, p.Coefficients()), 0
	for _, s := range averagingRun(t, p)[1:] {
		if s.Kind() != Train && s.Kind() != Evaluate {
			continue
		}
		if n := s.TrainRounds(); n > 0 {
			time += 0.5 * 2 * 0.1 / math.Sqrt(float64(n)) / float64(p.Contributors)
			for i := range dual {
				if !p.solver.(averaging).still(s, i) {
					dual[i] += 0.5 * (0.1 + float64(i)/1000)
				}
			}
		}
		if got := p.DualTime(s.TrainRounds()); math.Abs(got-time) > 1e-12 {
			t.Fatalf("time %g after %d rounds, want %g", got, s.TrainRounds(), time)
		}
		last := len(dual) - 1
		for i, z := range dual {
			want := math.Copysign(max(math.Abs(z)-20*time, 0), z) / (1 + time)
			if i == last {
				want = z
			}
			if want == 0 && z != 0 {
				zeros++
			}
			if got := s.Coefficients()[i]; math.Abs(got-want) > 1e-9 || (got == 0) != (want == 0) {
				t.Errorf("after %d rounds coefficient %d is %g, want %g", s.TrainRounds(), i, got, want)
			}
		}
	}
	if zeros == 0 {
		t.Error("the penalty leaves no zero: the test is of nothing")
	}
}

// The step of duals is the same bits on every architecture: see TestServerStepIsBitIdentical.
func TestDualStepIsBitIdentical(t *testing.T) {
	h, p := sha256.New(), dualProgram(t)
	for _, s := range averagingRun(t, p) {
		h.Write(s.Encode())
	}
	const want = "c8038d922543e734fa5dc02fd257bf86bc4c18e6070a8f9a716bdc20f48bee68"
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		t.Errorf("states hash to %s, want %s", got, want)
	}
}

// A state whose coefficients aren't those of its duals is none, nor is one without duals.
func TestStatesHoldTheirDuals(t *testing.T) {
	p := dualProgram(t)
	s := averagingRun(t, p)[2]
	good := s.Encode()
	if again, err := p.DecodeState(good); err != nil || !bytes.Equal(again.Encode(), good) || len(again.Duals()) != p.Coefficients() {
		t.Fatal(err)
	}
	if len(good) > p.MaxStateBytes() || len(good) < 16*p.Coefficients() {
		t.Errorf("a state of %d bytes, at most %d", len(good), p.MaxStateBytes())
	}
	for i := range p.Coefficients() {
		bad := bytes.Clone(good)
		bad[len(bad)-8*i-1] ^= 1 // the last bit of a dual
		if _, err := p.DecodeState(bad); err == nil && s.Coefficients()[p.Coefficients()-1-i] != 0 {
			t.Errorf("the state takes another dual %d from the end", i)
		}
	}
	if _, err := p.DecodeState(good[:len(good)-8*p.Coefficients()-4]); err == nil {
		t.Error("a state without duals is taken")
	}
}
