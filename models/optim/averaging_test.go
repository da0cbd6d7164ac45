package optim

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

const averagingModel = `"model":{"type":"factorization_machine","l2":1,"solver":"fedadam","max_rounds":4,"tolerance":1e-8,"factors":2,` +
	`"averaging":{"epochs":2,"batch":1,"optimizer":"adagrad","learning_rate":0.1,"server_rate":0.5,"patience":2,"seed":"18446744073709551615"}},`

// averagingProgram is the test program with another model.
func averagingProgram(t testing.TB, edits ...string) *Program {
	t.Helper()
	doc := averagingDocument(t)
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

func averagingDocument(t testing.TB) string {
	t.Helper()
	doc := testDocument()
	from, to := strings.Index(doc, `"model":`), strings.Index(doc, `"evaluate":`)
	return doc[:from] + averagingModel + doc[to:]
}

// averageSum is an opened sum in which each coefficient but those of folded columns changes by about 0.1.
func averageSum(p *Program, s *State, loss, heldLoss float64) [][]float64 {
	change := make([]float64, p.Coefficients())
	for i := range change {
		change[i] = 0.1 + float64(i)/1000
	}
	return p.EncodeAverage(s, AverageSums{Rows: s.fitted.Rows, Loss: loss, HeldOutLoss: heldLoss, Change: change})
}

func averagingRun(t testing.TB, p *Program) []*State {
	t.Helper()
	s := fitted(t, p)
	states := []*State{p.Initial(), s}
	for i := 0; s.Kind() == Train; i++ {
		next, _, err := p.Apply(s, averageSum(p, s, 600-float64(i), 60-float64(i%2)))
		if err != nil {
			t.Fatal(err)
		}
		s = next
		states = append(states, s)
	}
	done, _, err := p.Apply(s, p.assemble(Evaluate, evaluateSums(p)))
	if err != nil {
		t.Fatal(err)
	}
	return append(states, done)
}

// The averaging step is the same bits on every architecture: see TestServerStepIsBitIdentical.
func TestAveragingStepIsBitIdentical(t *testing.T) {
	h := sha256.New()
	for _, solver := range []string{FedAvg, FedAdam} {
		p := averagingProgram(t, `"solver":"fedadam"`, `"solver":"`+solver+`"`)
		for _, s := range averagingRun(t, p) {
			h.Write(s.Encode())
			if doc, err := Export(p, s); err == nil {
				h.Write(doc)
			}
		}
	}
	const want = "200691cef1d224cf74a1952411d52739c518c6720e66488c9d2ce60cb59b37c5"
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		t.Errorf("states and models hash to %s, want %s", got, want)
	}
}

func TestAveragingStateRoundTrip(t *testing.T) {
	for _, edits := range [][]string{nil, {`"solver":"fedadam"`, `"solver":"fedavg"`, `"patience":2`, `"patience":0`}, {`"type":"factorization_machine"`, `"type":"logistic_regression"`, `"factors":2,`, ``}} {
		p := averagingProgram(t, edits...)
		for i, s := range averagingRun(t, p) {
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

// A sum that clipped changes can't have is refused: someone doesn't clip.
func TestChangeBeyondItsBoundIsRefused(t *testing.T) {
	p := averagingProgram(t)
	s := averagingRun(t, p)[1]
	sum := averageSum(p, s, 600, 60)
	sum[len(sum)-1][3] = 1.5
	if _, _, err := p.Apply(s, sum); !errors.Is(err, ErrSums) || !strings.Contains(err.Error(), "doesn't clip") {
		t.Errorf("%v", err)
	}
	short := averageSum(p, s, 600, 60)
	short[0][0]--
	if _, _, err := p.Apply(s, short); !errors.Is(err, ErrSums) || !strings.Contains(err.Error(), "rows changed") {
		t.Errorf("%v", err)
	}
}

// Early stopping keeps the coefficients with the least held-out loss, not the last ones.
func TestPatienceEndsTheTrainingAtItsBest(t *testing.T) {
	p := averagingProgram(t)
	s := averagingRun(t, p)[1]
	start := s.w
	for _, held := range []float64{50, 60, 61} {
		next, _, err := p.Apply(s, averageSum(p, s, 600, held))
		if err != nil {
			t.Fatal(err)
		}
		s = next
	}
	if s.Kind() != Evaluate || s.TrainRounds() != 3 || &s.w[0] != &start[0] {
		t.Errorf("%s after %d rounds", s.Kind(), s.TrainRounds())
	}
}

func TestParseAveragingProgramIsStrict(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{`"factors":2,`, ``, "model.factors: missing"},
		{`"factors":2`, `"factors":0`, "model.factors"},
		{`"factors":2`, `"factors":257`, "model.factors"},
		{`"type":"factorization_machine"`, `"type":"logistic_regression"`, "model.factors: unknown key"},
		{`"solver":"fedadam"`, `"solver":"newton"`, "model.solver"},
		{`"solver":"fedadam"`, `"solver":"fedprox"`, "model.averaging.proximal: missing"},
		{`"epochs":2`, `"epochs":0`, "model.averaging.epochs"},
		{`"batch":1`, `"batch":2`, "row by row"},
		{`"optimizer":"adagrad"`, `"optimizer":"adam"`, "unknown optimizer"},
		{`"learning_rate":0.1`, `"learning_rate":0`, "learning_rate"},
		{`"server_rate":0.5`, `"server_rate":101`, "server_rate"},
		{`"seed":"18446744073709551615"`, `"seed":"18446744073709551616"`, "seed"},
		{`"seed":"18446744073709551615"`, `"seed":1`, "seed"},
		{`"holdout":true`, `"holdout":false`, "patience"},
		{`"patience":2`, `"patience":2,"more":1`, "model.averaging.more: unknown key"},
	} {
		doc := strings.Replace(averagingDocument(t), c.old, c.new, 1)
		if doc == averagingDocument(t) {
			t.Fatalf("no %s in the document", c.old)
		}
		if _, err := ParseProgram([]byte(doc)); !errors.Is(err, ErrProgram) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s → %s: %v", c.old, c.new, err)
		}
	}
}

// What a participant is ready to fetch as a state covers the largest that a step gives, without the bound's fixed part, too.
func TestStatesKeepToTheirBound(t *testing.T) {
	averaged, sampled, private := averagingProgram(t), machineSampledProgram(t), privateProgram(t)
	sampledStates, _, _ := runSampled(t, sampled)
	for p, states := range map[*Program][]*State{averaged: averagingRun(t, averaged), sampled: sampledStates} {
		for i, s := range states {
			if n, most := len(s.Encode()), p.MaxStateBytes()-1<<20+4096; n > most {
				t.Errorf("%s, state %d: %d bytes, want at most %d", p.solver.name(), i, n, most)
			}
		}
	}
	states, _ := runPrivate(t, private)
	for i, s := range states {
		if n := len(s.Encode()); n > private.MaxStateBytes() {
			t.Errorf("state %d: %d bytes", i, n)
		}
	}
}
