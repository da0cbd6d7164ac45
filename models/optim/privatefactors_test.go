package optim

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"
)

// privateFactorDocument is a catalogue of three items; σ is 4 of a user in FIT, 2 in TRAIN.
const privateFactorDocument = `{"version":1,"contributors":3,"bits":40,"max_rows":1000,"features":[` +
	`{"name":"item","kind":"category","values":["a","b","c"],"nullable":false,"missing_indicator":false}],` +
	`"model":{"type":"matrix_factorization","l2":0.5,"solver":"dp_als","max_rounds":3,"factors":2,` +
	`"recommendation":{"explicit":false,"top_k":2,"patience":0,"seed":"5"}},` +
	`"private":{"unit":"user","clip":1,"scale":1024,"sigma2_fit":"16777216","sigma2_train":"4194304","sigma2_evaluate":"4194304","bins":50},` +
	`"evaluate":{"holdout":true,"metrics":["recall","ndcg","map"]}}`

// privateFactorSum is one that users can give: of items a and b, c being below the noise.
func privateFactorSum(p *Program, s *State) [][]float64 {
	unit := float64(p.privacy.Scale)
	switch s.Kind() {
	case Fit:
		return [][]float64{{60 * unit, 40*unit + 300, 5 * unit, 90 * unit}}
	case Train:
		return [][]float64{{50 * unit, 11 * unit, 40*unit - 7}, {20 * unit, 10 * unit, -9 * unit, 15*unit + 1, 3 * unit, 2 * unit}}
	}
	return [][]float64{{40 * unit, 22 * unit, 18*unit + 5, -2 * unit}}
}

func privateFactorRun(t testing.TB, p *Program) []*State {
	t.Helper()
	s := p.Initial()
	states := []*State{s}
	for s.Kind() != Done {
		next, _, err := p.Apply(s, privateFactorSum(p, s))
		if err != nil {
			t.Fatal(err)
		}
		s = next
		states = append(states, s)
	}
	return states
}

// The step is the same bits on every architecture: see TestServerStepIsBitIdentical.
func TestPrivateFactorStepIsBitIdentical(t *testing.T) {
	h := sha256.New()
	p := factorProgram(t, privateFactorDocument)
	for _, s := range privateFactorRun(t, p) {
		h.Write(s.Encode())
		if doc, err := Export(p, s); err == nil {
			h.Write(doc)
		}
	}
	const want = "f06e56dbc43156707d165add0907b7d8ce438c5e177ce43e95542c10d4fb34ef"
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		t.Errorf("states and models hash to %s, want %s", got, want)
	}
}

func TestPrivateFactorProgramRoundTrip(t *testing.T) {
	for _, doc := range []string{privateFactorDocument, factorEdits(privateFactorDocument, `"holdout":true,"metrics":["recall","ndcg","map"]`, `"holdout":false,"metrics":[]`)} {
		p := factorProgram(t, doc)
		out, err := p.Document()
		if err != nil || string(out) != doc {
			t.Errorf("%s\nbecomes %s (%v)", doc, out, err)
		}
		checkStateCodec(t, p, privateFactorRun(t, p))
	}
}

// checkStateCodec holds states to one encoding each: what is cut is refused, and what is changed is another state or none.
func checkStateCodec(t *testing.T, p *Program, states []*State) {
	t.Helper()
	for n, s := range states {
		data := s.Encode()
		got, err := p.DecodeState(data)
		if err != nil || !bytes.Equal(got.Encode(), data) {
			t.Fatalf("state %d: %v", n, err)
		}
		for cut := range data {
			if _, err := p.DecodeState(data[:cut]); !errors.Is(err, ErrState) {
				t.Fatalf("state %d cut to %d bytes: %v", n, cut, err)
			}
		}
		for at := range data {
			for bit := range 8 {
				changed := bytes.Clone(data)
				changed[at] ^= 1 << bit
				if got, err := p.DecodeState(changed); err == nil && !bytes.Equal(got.Encode(), changed) {
					t.Fatalf("state %d with byte %d changed encodes otherwise", n, at)
				}
			}
		}
	}
}

func TestPrivateFactorProgramsThatArent(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{`"dp_als"`, `"als"`, "model.solver"},
		{`"dp_als"`, `"dp_sgd"`, "model.solver"},
		{`"unit":"user"`, `"unit":"record"`, "user"},
		{`"unit":"user"`, `"unit":"silo"`, "user"},
		{`"patience":0`, `"patience":1`, "patience"},
		{`"explicit":false`, `"explicit":false,"alpha":4`, "alpha"},
		{`"explicit":false`, `"explicit":true`, "features"},
		{`"l2":0.5`, `"l2":0`, "model.l2"},
		{`"map"]`, `"map","coverage"]`, "coverage"},
		{`"map"]`, `"map","rmse"]`, "rmse"},
		{`"missing_indicator":false`, `"missing_indicator":false,"min_count":20`, "min_count"},
		{`"sigma2_train":"4194304"`, `"sigma2_train":"0"`, "sigma2_train"},
		{`"sigma2_evaluate":"4194304"`, `"sigma2_evaluate":"0"`, "sigma2_evaluate"},
	} {
		doc := strings.Replace(privateFactorDocument, c.old, c.new, 1)
		if _, err := ParseProgram([]byte(doc)); doc == privateFactorDocument || !errors.Is(err, ErrProgram) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.new, err)
		}
	}
}

// An item that doesn't stand out of the noise has no factor, whatever its users' sums say; others solve the equations with the shift.
func TestPrivateItemsSolveTheirEquations(t *testing.T) {
	p := factorProgram(t, privateFactorDocument)
	states := privateFactorRun(t, p)
	w := states[2].Coefficients()
	if w[4] != 0 || w[5] != 0 {
		t.Errorf("the third item has %g users of a noise of 4, and a factor %v", 5.0, w[4:])
	}
	shift := 2*math.Sqrt2*2 + p.Model.L2
	a, b, c := 50+shift, 11/math.Sqrt2, 40-7.0/1024+shift
	for item, v := range [][2]float64{{20, 10}, {-9, 15 + 1.0/1024}} {
		det := a*c - b*b
		for i, want := range []float64{(c*v[0] - b*v[1]) / det, (a*v[1] - b*v[0]) / det} {
			if got := w[2*item+i]; math.Abs(got-want) > 1e-12 {
				t.Errorf("coefficient %d of item %d is %g, want %g", i, item, got, want)
			}
		}
	}
	q, _ := states[len(states)-1].Metrics()
	// Four lanes share the clip of 1: each value counts half.
	if q.Users != 80 || math.Abs(q.Recall.V-22.0/40) > 1e-12 || q.MAP.V != 0 || q.TopK != 2 {
		t.Errorf("%+v", q)
	}
}

// Noise may leave a matrix of users that isn't positive definite: the shift grows until it is.
func TestNoisedUserMatrixIsMadePositive(t *testing.T) {
	p := factorProgram(t, privateFactorDocument)
	s := privateFactorRun(t, p)[1]
	sum := privateFactorSum(p, s)
	sum[0] = []float64{-9 * 1024, 20 * 1024, -4 * 1024}
	next, report, err := p.Apply(s, sum)
	if err != nil || !strings.Contains(report.Note, "doubled") {
		t.Fatalf("%q %v", report.Note, err)
	}
	for i, w := range next.Coefficients() {
		if !(math.Abs(w) < 10) {
			t.Errorf("coefficient %d is %g", i, w)
		}
	}
}

func TestPrivateFactorSumsThatArent(t *testing.T) {
	p := factorProgram(t, privateFactorDocument)
	states := privateFactorRun(t, p)
	for _, c := range []struct {
		state   int
		segment int
		value   float64
		want    error
	}{
		{0, 0, 1e12, ErrSums}, {0, 0, math.NaN(), ErrSums}, {0, 0, 0.5, ErrSums}, {1, 0, 1e12, ErrSums}, {1, 1, -1e12, ErrSums}, {4, 0, 1e12, ErrSums},
	} {
		sum := privateFactorSum(p, states[c.state])
		sum[c.segment][0] = c.value
		if _, _, err := p.Apply(states[c.state], sum); !errors.Is(err, c.want) {
			t.Errorf("%g in %s: %v", c.value, states[c.state].Kind(), err)
		}
	}
	if _, _, err := p.Apply(states[0], [][]float64{{0, 100, -100, 5000}}); !errors.Is(err, ErrNoRows) {
		t.Errorf("no item above the noise: %v", err)
	}
}

func TestPrivateFactorStatesThatArent(t *testing.T) {
	p := factorProgram(t, privateFactorDocument)
	states := privateFactorRun(t, p)
	const head = 2 + 1 + 4 + 4
	const factors = head + 8 + 4 + 3*8 + 4
	number := func(v float64) []byte { return binary.BigEndian.AppendUint64(nil, math.Float64bits(v)) }
	count := func(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }
	for name, c := range map[string]struct {
		state, at int
		bytes     []byte
	}{
		"another start":              {1, factors, number(0.5)},
		"an item below the noise":    {2, factors + 4*8, number(0.5)},
		"a factor beyond all bounds": {2, factors, number(1e31)},
		"not a number":               {2, factors, number(math.NaN())},
		"no users":                   {2, head, count(0)},
		"users beyond all bounds":    {2, head, count(1 << 50)},
		"a count beyond all bounds":  {2, head + 12, count(1 << 63)},
		"no item above the noise":    {2, head + 12, bytes.Repeat([]byte{0}, 24)},
		"a step too many":            {2, 3, []byte{0, 0, 0, 9}},
		"a recall above 1":           {5, factors + 6*8 + 8 + 1, number(1.5)},
	} {
		data := bytes.Clone(states[c.state].Encode())
		copy(data[c.at:], c.bytes)
		if _, err := p.DecodeState(data); !errors.Is(err, ErrState) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
