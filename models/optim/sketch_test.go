package optim

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"tributary/models/pipeline"
)

// privateSketchProgram has two numbers and buckets that are fitted from noised counts.
func privateSketchProgram(t testing.TB, solver string) *Program {
	edits := []string{
		`"max":110,"nullable":true,"log1p":false,"scale":true,"missing_indicator":false`, `"max":110,"nullable":true,"log1p":false,"scale":true,"missing_indicator":false,"clip_quantiles":[0.1,0.9]`,
		`"max":10000,"nullable":true,"log1p":true,"scale":true,"missing_indicator":true`, `"max":10000,"nullable":true,"log1p":true,"standardize":true,"clip":3,"scale":true,"missing_indicator":true,"clip_quantiles":[0.01,0.99]`,
		`{"name":"country"`, `{"name":"tenure","kind":"buckets","min":0,"max":900,"nullable":false,"missing_indicator":false,"quantiles":4},{"name":"country"`,
		`"sigma2_fit"`, `"sigma2_sketch":"26843545600","sigma2_fit"`,
	}
	if solver == DPSGD {
		return sampledProgram(t, edits...)
	}
	return privateProgram(t, edits...)
}

// privateSketchRun is a run of about a thousand rows.
func privateSketchRun(t testing.TB, p *Program) []*State {
	t.Helper()
	states := []*State{p.Initial()}
	for s := states[0]; s.Kind() != Done; {
		sum := privateSums(p, s.Kind(), uint64(len(states)))
		switch scale := float64(p.privacy.Scale); {
		case s.Kind() == Sketch:
			lanes := make([]float64, 3*pipeline.NoisedLanes)
			for i := range lanes {
				lanes[i] = float64((i*7919)%200-100) * 100
			}
			for sketch := range 3 {
				for row := range 1000 {
					block, lane := pipeline.NoisedAt((row*row/4000 + 40*sketch) % 250)
					lanes[sketch*pipeline.NoisedLanes+block] += scale
					lanes[sketch*pipeline.NoisedLanes+lane] += scale
				}
			}
			sum = [][]float64{lanes}
		case s.Kind() == Fit && p.Model.Solver == DPSGD:
			sum = [][]float64{{1000 * scale}}
		}
		next, _, err := p.Apply(s, sum)
		if err != nil {
			t.Fatalf("%s: %v", s.Kind(), err)
		}
		s = next
		states = append(states, s)
	}
	return states
}

// Counts come before everything else, in a round of their own, and what they gave is in every later state. The bits are the same on
// every architecture, as TestServerStepIsBitIdentical tells for exact jobs.
func TestSketchedServerStepIsBitIdentical(t *testing.T) {
	h := sha256.New()
	for _, solver := range []string{DPGradientDescent, DPSGD} {
		p := privateSketchProgram(t, solver)
		if doc, err := p.Document(); err != nil || !strings.Contains(string(doc), `"sigma2_sketch":"26843545600"`) {
			t.Errorf("%v\n%s", err, doc)
		}
		if p.Limit(5) != 1 || p.Limit(1) != 1 || p.Limit(4) != 0 {
			t.Errorf("limits %d %d %d", p.Limit(5), p.Limit(1), p.Limit(4))
		}
		states := privateSketchRun(t, p)
		kinds := []RoundKind{Sketch, Fit, Train, Train, Train, Train, Evaluate, Done}
		for i, s := range states {
			kind, step, err := p.Inspect(s.Encode())
			if err != nil || RoundKind(kind) != kinds[i] || step != uint32(i) {
				t.Errorf("%s, state %d: kind %d, step %d: %v", solver, i, kind, step, err)
			}
			if s.kind != Sketch && (len(s.fitted.Bounds) != 4 || len(s.fitted.Edges) != 3 || s.fitted.SD[1] == 1) {
				t.Errorf("%s, state %d: %+v", solver, i, s.fitted)
			}
			doc, err := Export(p, s)
			if (err == nil) != (i >= 2) {
				t.Errorf("%s, state %d: export %v", solver, i, err)
			}
			h.Write(s.Encode())
			h.Write(doc)
		}
	}
	const want = "9a910feebdec3b5e5e3118082f9394dfb043cb1332bc31928407b7a8019affab"
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		t.Errorf("states and models hash to %s, want %s", got, want)
	}
}

// A state that says it was fitted otherwise than counts can fit, or that a round was left out, is refused.
func TestForgedSketchStatesAreRefused(t *testing.T) {
	p := privateSketchProgram(t, DPGradientDescent)
	states := privateSketchRun(t, p)
	forge := func(of int, change func(*State)) []byte {
		s := *states[of]
		f := *s.fitted
		f.Mean, f.SD, f.Bounds, f.Edges = copied(f.Mean), copied(f.SD), copied(f.Bounds), copied(f.Edges)
		s.fitted = &f
		change(&s)
		return s.Encode()
	}
	for name, data := range map[string][]byte{
		"FIT without counts": (&State{kind: Fit, solver: p.solver}).Encode(),
		"no bin's edge":      forge(1, func(s *State) { s.fitted.Bounds[0] += 0.01 }),
		"bounds swapped":     forge(2, func(s *State) { s.fitted.Bounds[0], s.fitted.Bounds[1] = s.fitted.Bounds[1], s.fitted.Bounds[0] }),
		"mean":               forge(2, func(s *State) { s.fitted.Mean[1] = 1.5 }),
		"deviation":          forge(2, func(s *State) { s.fitted.SD[1] = 0 }),
		"edges fall":         forge(7, func(s *State) { s.fitted.Edges[0], s.fitted.Edges[2] = s.fitted.Edges[2], s.fitted.Edges[0] }),
		"a step less":        forge(2, func(s *State) { s.step-- }),
		"steps before FIT":   forge(1, func(s *State) { s.step++ }),
	} {
		if _, err := p.DecodeState(data); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	plain := privateProgram(t)
	if _, err := plain.DecodeState(states[0].Encode()); err == nil {
		t.Error("a program without sketches takes a state before one")
	}
	if _, err := p.DecodeState(plain.Initial().Encode()); err == nil {
		t.Error("a program with sketches begins with FIT")
	}
	if fmt.Sprint(Sketch) != "SKETCH" || !bytes.Equal(forge(1, func(*State) {}), states[1].Encode()) {
		t.Error("the forger changes more than it should")
	}
}

func copied(v []float64) []float64 { return append([]float64(nil), v...) }
