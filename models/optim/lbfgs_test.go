package optim

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"
)

func classDocument(t testing.TB) string {
	t.Helper()
	doc := strings.Replace(testDocument(), `"type":"logistic_regression","l2":1,"solver":"newton"`, `"type":"multinomial_logistic_regression","l2":1,"solver":"lbfgs"`, 1)
	doc = strings.Replace(doc, `"max_rounds":4`, `"max_rounds":6`, 1)
	doc = strings.Replace(doc, `"auc",`, ``, 1)
	return strings.TrimSuffix(doc, "}") + `,"label":{"classes":["a","b","c"],"min_rows":20}}`
}

// classProgram has three classes.
func classProgram(t testing.TB, edits ...string) *Program {
	t.Helper()
	doc := classDocument(t)
	for i := 0; i+1 < len(edits); i += 2 {
		if !strings.Contains(doc, edits[i]) {
			t.Fatalf("no %s in the document", edits[i])
		}
		doc = strings.Replace(doc, edits[i], edits[i+1], 1)
	}
	p, err := ParseProgram([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func classFitted(t testing.TB, p *Program) *State {
	t.Helper()
	v := fitSums(p)
	v[segClasses] = []float64{500, 400, 100}
	s, _, err := p.Apply(p.Initial(), p.assemble(Fit, v))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// classTrainSums are of a quadratic bowl: the gradient grows with the coefficients, so each step has curvature.
func classTrainSums(p *Program, s *State, loss float64) [][]float64 {
	g := make([]float64, len(s.w))
	for i := range g {
		g[i] = float64(float64(s.curvature[i]*(1+float64(i%3)))*s.w[i]) - float64(10*(i%5))
	}
	return p.EncodeGradient(s, TrainSums{Rows: 1000, Loss: loss, Gradient: g})
}

func classRun(t testing.TB, p *Program) []*State {
	t.Helper()
	s := classFitted(t, p)
	states := []*State{p.Initial(), s}
	for i := 0; s.kind == Train; i++ {
		loss := 900 - float64(20*i)
		if i == 3 {
			loss = 1200 // the step is shortened
		}
		next, report, err := p.Apply(s, classTrainSums(p, s, loss))
		if err != nil {
			t.Fatal(err)
		}
		if report.Damped != (i == 3) {
			t.Fatalf("round %d: damped %t", i, report.Damped)
		}
		s = next
		states = append(states, s)
	}
	v := map[string][]float64{
		segRows: {1000}, segLoss: encodeLoss(400, 1000), segHeldOut: {100}, segHeldPos: {34}, segHeldCorrect: {81}, segHeldLoss: encodeLoss(45, 100),
		segConfusion: {40, 5, 5, 3, 30, 2, 1, 4, 10},
	}
	if p.Label == nil {
		v = map[string][]float64{segRows: {1000}, segLoss: encodeLoss(400, 1000), segHeldOut: {100}, segHeldPos: {34}, segHeldCorrect: {81}, segHeldLoss: encodeLoss(45, 100)}
	}
	done, _, err := p.Apply(s, p.assemble(Evaluate, v))
	if err != nil {
		t.Fatal(err)
	}
	return append(states, done)
}

// The L-BFGS step is the same bits on every architecture: see TestServerStepIsBitIdentical.
func TestLBFGSStepIsBitIdentical(t *testing.T) {
	p := classProgram(t)
	h := sha256.New()
	for _, s := range classRun(t, p) {
		h.Write(s.Encode())
		if doc, err := Export(p, s); err == nil {
			h.Write(doc)
		}
	}
	const want = "791dfcf809da9d6a99e7614543339ed9d18fa794c38882443ccd242b98bbdf41"
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		t.Errorf("states and models hash to %s, want %s", got, want)
	}
}

func TestLBFGSStateIsStrict(t *testing.T) {
	for _, p := range []*Program{
		classProgram(t),
		testProgram(t, `"solver":"newton"`, `"solver":"lbfgs"`, `"max_rounds":4`, `"max_rounds":6`, `"auc",`, ``),
	} {
		states := []*State(nil)
		if p.Label != nil {
			states = classRun(t, p)
		} else {
			s := fitted(t, p)
			states = append(states, s)
			for i := range 3 {
				next, _, err := p.Apply(s, classTrainSums(p, s, 600-float64(10*i)))
				if err != nil {
					t.Fatal(err)
				}
				s = next
				states = append(states, s)
			}
		}
		for i, s := range states {
			data := s.Encode()
			got, err := p.DecodeState(data)
			if err != nil {
				t.Fatalf("state %d: %v", i, err)
			}
			if !bytes.Equal(got.Encode(), data) {
				t.Errorf("state %d changed", i)
			}
			for n := range data {
				if _, err := p.DecodeState(data[:n]); !errors.Is(err, ErrState) {
					t.Fatalf("state %d cut to %d bytes: %v", i, n, err)
				}
			}
			if _, err := p.DecodeState(append(bytes.Clone(data), 0)); !errors.Is(err, ErrState) {
				t.Errorf("state %d with a trailing byte: %v", i, err)
			}
			for at := range data {
				changed := bytes.Clone(data)
				changed[at] ^= 1 << (at % 8)
				if got, err := p.DecodeState(changed); err == nil && !bytes.Equal(got.Encode(), changed) {
					t.Fatalf("state %d, byte %d: two encodings of one state", i, at)
				}
			}
		}
	}
}

func TestLBFGSStateRefusesWhatNoStepGives(t *testing.T) {
	p := classProgram(t)
	if most := (lbfgs{p}).kept(); most != mostPairs {
		t.Errorf("%d pairs are kept", most)
	}
	for name, change := range map[string]func(*State){
		"NaN":               func(s *State) { s.w[0] = math.NaN() },
		"huge":              func(s *State) { s.lbfgs.best[0] = 1e31 },
		"huge step":         func(s *State) { s.lbfgs.pairs[0].step[0] = 1e31 },
		"folded":            func(s *State) { s.w[p.columns()+1+p.spec.FirstColumn(3)+1] = 1 },
		"folded derivative": func(s *State) { s.lbfgs.gradient[p.spec.FirstColumn(3)+1] = 1 },
		"no curvature":      func(s *State) { clear(s.lbfgs.pairs[0].step) },
		"too many pairs":    func(s *State) { s.lbfgs.pairs = make([]pair, mostPairs+1) },
		"objective":         func(s *State) { s.lbfgs.objective = -1 },
		"decrement":         func(s *State) { s.lbfgs.decrement = -1 },
		"rare class":        func(s *State) { s.fitted.Classes = []int64{500, 481, 19} },
		"classes":           func(s *State) { s.fitted.Classes = []int64{500, 400, 101} },
		"positives":         func(s *State) { s.fitted.Positives = 1 },
		"step":              func(s *State) { s.step++ },
		"converged":         func(s *State) { s.converged = true },
	} {
		s := classRun(t, p)[4]
		change(s)
		if _, err := p.DecodeState(s.Encode()); !errors.Is(err, ErrState) {
			t.Errorf("%s: %v", name, err)
		}
	}
	states := classRun(t, p)
	done := states[len(states)-1]
	done.confusion[0]++
	if _, err := p.DecodeState(done.Encode()); !errors.Is(err, ErrState) {
		t.Errorf("a confusion matrix of more rows: %v", err)
	}
}

// Sums that no rows give are refused.
func TestImpossibleClassSumsAreRefused(t *testing.T) {
	p := classProgram(t)
	v := fitSums(p)
	for _, counts := range [][]float64{{500, 400, 101}, {1100, -200, 100}, {500, 500, 0}, {500, 485, 15}} {
		v[segClasses] = counts
		if _, _, err := p.Apply(p.Initial(), p.assemble(Fit, v)); err == nil {
			t.Errorf("classes %v are accepted", counts)
		}
	}
	v[segClasses] = []float64{985, 0, 15}
	if _, _, err := p.Apply(p.Initial(), p.assemble(Fit, v)); !errors.Is(err, ErrRareClass) || !strings.Contains(err.Error(), `"b"`) || !strings.Contains(err.Error(), "hint:") {
		t.Errorf("%v", err)
	}
}

func TestParseLabelIsStrict(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{`"classes":["a","b","c"]`, `"classes":["a"]`, "label.classes"},
		{`"classes":["a","b","c"]`, `"classes":["a","a"]`, "twice"},
		{`"classes":["a","b","c"]`, `"classes":["a",""]`, "label.classes"},
		{`"min_rows":20`, `"min_rows":0`, "label.min_rows"},
		{`"min_rows":20`, `"min_rows":20,"x":1`, "label.x: unknown key"},
		{`,"label":{"classes":["a","b","c"],"min_rows":20}`, ``, "label: missing"},
		{`"type":"multinomial_logistic_regression"`, `"type":"logistic_regression"`, "label"},
		{`"solver":"lbfgs"`, `"solver":"newton"`, "model.solver"},
		{`"metrics":["log_loss"`, `"metrics":["auc","log_loss"`, "auc is for two classes"},
	} {
		doc := strings.Replace(classDocument(t), c.old, c.new, 1)
		if doc == classDocument(t) {
			t.Fatalf("no %s in the document", c.old)
		}
		if _, err := ParseProgram([]byte(doc)); !errors.Is(err, ErrProgram) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s → %s: %v", c.old, c.new, err)
		}
	}
}

func FuzzDecodeClassState(f *testing.F) {
	p := classProgram(f)
	for _, s := range classRun(f, p) {
		f.Add(s.Encode())
	}
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
		if s.Kind() != Train {
			return
		}
		next, _, err := p.Apply(s, classTrainSums(p, s, 500))
		if err != nil {
			if !errors.Is(err, ErrSums) && !errors.Is(err, ErrDiverged) {
				t.Fatalf("foreign error %v", err)
			}
			return
		}
		if _, err := p.DecodeState(next.Encode()); err != nil {
			t.Fatalf("a state of Apply is refused: %v", err)
		}
	})
}
