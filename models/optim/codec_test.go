package optim

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"testing"
)

// Every state decodes to one that encodes the same and steps to the same bytes.
func TestStateRoundTrip(t *testing.T) {
	p := testProgram(t)
	states := run(t, p)
	for i, s := range states {
		data := s.Encode()
		got, err := p.DecodeState(data)
		if err != nil {
			t.Fatalf("state %d: %v", i, err)
		}
		if !bytes.Equal(got.Encode(), data) || got.Kind() != s.Kind() || got.Step() != uint32(i) {
			t.Errorf("state %d changed", i)
		}
		if s.Kind() != Train {
			continue
		}
		sums := trainSums(p, s, 400, 9)
		a, _, err1 := p.Apply(s, sums)
		b, _, err2 := p.Apply(got, sums)
		if err1 != nil || err2 != nil || !bytes.Equal(a.Encode(), b.Encode()) {
			t.Errorf("state %d: the decoded one steps elsewhere: %v, %v", i, err1, err2)
		}
	}
}

// Truncated, extended and altered encodings are refused, or are another state with one encoding: none panics.
func TestDecodeStateIsStrict(t *testing.T) {
	p := testProgram(t)
	for i, s := range run(t, p) {
		data := s.Encode()
		for n := range data {
			if _, err := p.DecodeState(data[:n]); !errors.Is(err, ErrState) {
				t.Fatalf("state %d cut to %d bytes: %v", i, n, err)
			}
		}
		if _, err := p.DecodeState(append(bytes.Clone(data), 0)); !errors.Is(err, ErrState) {
			t.Errorf("state %d with a trailing byte: %v", i, err)
		}
		for at := range data {
			for bit := range 8 {
				changed := bytes.Clone(data)
				changed[at] ^= 1 << bit
				if got, err := p.DecodeState(changed); err == nil && !bytes.Equal(got.Encode(), changed) {
					t.Fatalf("state %d, byte %d, bit %d: two encodings of one state", i, at, bit)
				}
			}
		}
	}
}

func TestDecodeStateRefusesWhatNoStepGives(t *testing.T) {
	p := testProgram(t)
	for name, change := range map[string]func(*State){
		"NaN":                        func(s *State) { s.w[0] = math.NaN() },
		"Inf":                        func(s *State) { s.best[0] = math.Inf(1) },
		"huge coefficient":           func(s *State) { s.w[0] = 1e31 },
		"folded coefficient":         func(s *State) { s.w[p.spec.FirstColumn(3)+1] = 1 },
		"deviation 0":                func(s *State) { s.fitted.SD[0] = 0 },
		"mean out of range":          func(s *State) { s.fitted.Mean[0] = 1.5 },
		"deviation of a raw number":  func(s *State) { s.fitted.SD[2] = 0.5 },
		"other folded":               func(s *State) { s.fitted.Folded[p.spec.OtherColumn(3)] = true },
		"one class":                  func(s *State) { s.fitted.Positives = 0 },
		"no rows":                    func(s *State) { s.fitted.Rows = 0 },
		"negative objective":         func(s *State) { s.bestObjective = -1 },
		"negative decrement":         func(s *State) { s.decrement = -1 },
		"step":                       func(s *State) { s.step++ },
		"converged in TRAIN":         func(s *State) { s.converged = true },
		"unknown kind":               func(s *State) { s.kind = 9 },
		"early EVALUATE":             func(s *State) { s.kind = Evaluate },
		"too many rounds":            func(s *State) { s.rounds, s.step = 4, 5 },
		"coefficients of no program": func(s *State) { s.w = s.w[1:] },
	} {
		s := run(t, p)[3]
		change(s)
		if _, err := p.DecodeState(s.Encode()); !errors.Is(err, ErrState) {
			t.Errorf("%s: %v", name, err)
		}
	}
	chosen := fitted(t, p)
	chosen.w[0] = 3
	if _, err := p.DecodeState(chosen.Encode()); !errors.Is(err, ErrState) {
		t.Errorf("coefficients before the first TRAIN round: %v", err)
	}
	other := testProgram(t, `"NL"]`, `"NL","PL"]`)
	if _, err := other.DecodeState(fitted(t, p).Encode()); !errors.Is(err, ErrState) {
		t.Errorf("a state of another program: %v", err)
	}
}

func FuzzDecodeState(f *testing.F) {
	p := testProgram(f)
	for _, s := range run(f, p) {
		f.Add(s.Encode())
	}
	f.Add(binary.BigEndian.AppendUint16(nil, stateVersion))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := p.DecodeState(data)
		if err != nil {
			if !errors.Is(err, ErrState) {
				t.Fatalf("foreign error %v", err)
			}
			return
		}
		if !bytes.Equal(s.Encode(), data) {
			t.Fatal("two encodings of one state")
		}
		if s.Kind() == Train {
			next, _, err := p.Apply(s, trainSums(p, s, 500, 1))
			if err != nil && !errors.Is(err, ErrSums) && !errors.Is(err, ErrDiverged) {
				t.Fatalf("foreign error %v", err)
			}
			if err == nil {
				if _, err := p.DecodeState(next.Encode()); err != nil {
					t.Fatalf("a state of Apply is refused: %v", err)
				}
			}
		}
	})
}
