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

// factorDocument is a catalogue of three items with ratings, of which the last has too few users.
const factorDocument = `{"version":1,"contributors":3,"bits":40,"max_rows":1000,"features":[` +
	`{"name":"item","kind":"category","values":["a","b","c"],"nullable":false,"missing_indicator":false,"min_count":20},` +
	`{"name":"stars","kind":"number","min":1,"max":5,"nullable":false,"log1p":false,"standardize":false,"clip":64,"missing_indicator":false}],` +
	`"model":{"type":"matrix_factorization","l2":0.5,"solver":"als","max_rounds":4,"tolerance":1e-8,"factors":2,` +
	`"recommendation":{"explicit":true,"top_k":2,"patience":2,"seed":"18446744073709551615"}},` +
	`"evaluate":{"holdout":true,"metrics":["recall","ndcg","map","coverage","rmse"]}}`

func factorEdits(doc string, edits ...string) string {
	for i := 0; i+1 < len(edits); i += 2 {
		doc = strings.Replace(doc, edits[i], edits[i+1], 1)
	}
	return doc
}

func implicitDocument() string {
	return factorEdits(factorDocument, doc2(), "", `"explicit":true`, `"explicit":false,"alpha":10`, `,"rmse"`, ``, `"patience":2`, `"patience":0`)
}

// trainedDocuments are programs of local training.
func trainedDocuments() []string {
	local := `"epochs":3,"learning_rate":0.1`
	return []string{
		factorEdits(factorDocument, `"als"`, `"sgd"`, `615"`, `615",`+local),
		factorEdits(implicitDocument(), `"als"`, `"bpr"`, `,"alpha":10`, ``, `615"`, `615",`+local),
	}
}

func factorDocuments() []string {
	return append([]string{factorDocument, implicitDocument()}, trainedDocuments()...)
}

// doc2 is the rating's description.
func doc2() string {
	from := strings.Index(factorDocument, `,{"name":"stars"`)
	return factorDocument[from:strings.Index(factorDocument, `],"model"`)]
}

func factorProgram(t testing.TB, doc string) *Program {
	t.Helper()
	p, err := ParseProgram([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func factorFit(p *Program) [][]float64 {
	return p.EncodeFactorFit(FactorTotals{Users: 60, Rows: 100, HeldOut: 30, ItemUsers: []int64{50, 40, 10}, Rating: 55.25})
}

// factorSum is an opened sum that users could give.
func factorSum(p *Program, s *State, loss, held float64) [][]float64 {
	d := p.FactorLength()
	t := FactorSums{Rows: 100, Loss: loss, Norm: 30, HeldOutLoss: held}
	for item := range p.Items() {
		for i := range d {
			for j := i; j < d; j++ {
				v := 0.25
				if i == j {
					v = 8 + float64(item)
				}
				t.Matrix = append(t.Matrix, v)
				if item == 0 && !p.Model.Recommendation.Explicit {
					t.Gram = append(t.Gram, v)
				}
			}
			t.Vector = append(t.Vector, 3-float64(i))
		}
	}
	return p.EncodeFactors(s, t)
}

// changeSum is one of local training, of a single participant.
func changeSum(p *Program, s *State, loss, held float64) [][]float64 {
	t := FactorChange{Rows: 100, ItemUsers: s.ItemUsers(), Loss: loss, Norm: 30, HeldOutLoss: held, Change: make([]float64, p.Coefficients())}
	for i := range t.Change {
		t.Change[i] = 0.125 * float64(i%5-2)
	}
	return p.EncodeFactorChange(s, t)
}

func factorRanking(p *Program, s *State) [][]float64 {
	return p.EncodeRanking(s, RankingSums{Rows: 100, Users: 20, Recall: 11.5, NDCG: 9.25, AP: 7.125, Recommended: []int64{3, 1, 0}, HeldOut: 30, SquaredError: 12.5})
}

// factorRun gives every state of a job.
func factorRun(t testing.TB, p *Program) []*State {
	t.Helper()
	s := p.Initial()
	states := []*State{s}
	for n := 0; s.Kind() != Done; n++ {
		var sum [][]float64
		switch s.Kind() {
		case Fit:
			sum = factorFit(p)
		case Train:
			if p.Model.Recommendation.Training != nil {
				sum = changeSum(p, s, 60-float64(n), 20+float64(n%2))
			} else {
				sum = factorSum(p, s, 60-float64(n), 20+float64(n%2))
			}
		case Evaluate:
			sum = factorRanking(p, s)
		}
		next, _, err := p.Apply(s, sum)
		if err != nil {
			t.Fatal(err)
		}
		s = next
		states = append(states, s)
	}
	return states
}

// The step is the same bits on every architecture: see TestServerStepIsBitIdentical.
func TestFactorStepIsBitIdentical(t *testing.T) {
	h := sha256.New()
	for _, doc := range []string{factorDocument, implicitDocument()} {
		p := factorProgram(t, doc)
		for _, s := range factorRun(t, p) {
			h.Write(s.Encode())
			if doc, err := Export(p, s); err == nil {
				h.Write(doc)
			}
		}
	}
	const want = "e0557085f32800f4fe09742be66b1b9b04ad494d9f245f5c4b99a49d2f87fb50"
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		t.Errorf("states and models hash to %s, want %s", got, want)
	}
}

// The same of local training's average.
func TestFactorAverageIsBitIdentical(t *testing.T) {
	h := sha256.New()
	for _, doc := range trainedDocuments() {
		p := factorProgram(t, doc)
		for _, s := range factorRun(t, p) {
			h.Write(s.Encode())
			if doc, err := Export(p, s); err == nil {
				h.Write(doc)
			}
		}
	}
	const want = "1b706e228f3f99263d266a26363960d7651c8f1d2a9de18b1b2d59cd03901439"
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		t.Errorf("states and models hash to %s, want %s", got, want)
	}
}

func TestFactorProgramRoundTrip(t *testing.T) {
	for _, doc := range factorDocuments() {
		out, err := factorProgram(t, doc).Document()
		if err != nil || string(out) != doc {
			t.Errorf("%s\nbecomes %s (%v)", doc, out, err)
		}
	}
}

func TestFactorProgramsThatArent(t *testing.T) {
	number := `{"name":"stars","kind":"number","min":1,"max":5,"nullable":false,"log1p":false,"standardize":false,"clip":64,"missing_indicator":false}`
	for _, c := range []struct{ old, new, want string }{
		{doc2(), "", "features"},
		{number, number + "," + strings.Replace(number, "stars", "more", 1), "features"},
		{`"standardize":false`, `"standardize":true`, "features[1]"},
		{`"missing_indicator":false`, `"missing_indicator":true`, "features[0]"},
		{`"l2":0.5`, `"l2":0`, "model.l2"},
		{`"solver":"als"`, `"solver":"newton"`, "model.solver"},
		{`"type":"matrix_factorization"`, `"type":"logistic_regression"`, "model.solver"},
		{`"explicit":true`, `"explicit":true,"alpha":1`, "alpha"},
		{`"explicit":true`, `"explicit":false`, "alpha"},
		{`"explicit":true`, `"explicit":false,"alpha":0`, "alpha"},
		{`"top_k":2`, `"top_k":0`, "top_k"},
		{`"solver":"als"`, `"solver":"sgd"`, "epochs"},
		{`615"`, `615","epochs":3,"learning_rate":0.1`, "epochs"},
		{`"seed":"18446744073709551615"`, `"seed":18446744073709551615`, "seed"},
		{`"recall"`, `"auc"`, "metrics"},
		{`"holdout":true,"metrics":["recall","ndcg","map","coverage","rmse"]`, `"holdout":false,"metrics":[]`, "patience"},
	} {
		doc := strings.Replace(factorDocument, c.old, c.new, 1)
		if doc == factorDocument {
			t.Fatalf("%s isn't in the document", c.old)
		}
		if _, err := ParseProgram([]byte(doc)); !errors.Is(err, ErrProgram) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.new, err)
		}
	}
	if _, err := ParseProgram([]byte(strings.Replace(testDocument(), `"auc"`, `"recall"`, 1))); !errors.Is(err, ErrProgram) {
		t.Errorf("recall of a logistic regression: %v", err)
	}
	trained := trainedDocuments()
	for _, c := range []struct{ doc, old, new, want string }{
		{trained[0], `"sgd"`, `"bpr"`, "model.solver"},
		{trained[1], `"bpr"`, `"sgd"`, "model.solver"},
		{trained[1], `"explicit":false`, `"explicit":false,"alpha":10`, "alpha"},
		{trained[0], `"epochs":3`, `"epochs":0`, "epochs"},
		{trained[0], `"learning_rate":0.1`, `"learning_rate":0`, "learning_rate"},
		{trained[0], `"learning_rate":0.1`, `"learning_rate":101`, "learning_rate"},
	} {
		doc := strings.Replace(c.doc, c.old, c.new, 1)
		if _, err := ParseProgram([]byte(doc)); doc == c.doc || !errors.Is(err, ErrProgram) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.new, err)
		}
	}
	implicit := strings.Replace(implicitDocument(), `"coverage"`, `"coverage","rmse"`, 1)
	if _, err := ParseProgram([]byte(implicit)); !errors.Is(err, ErrProgram) || !strings.Contains(err.Error(), "ratings") {
		t.Errorf("rmse without ratings: %v", err)
	}
}

// What decodes encodes to the same bytes; no byte can be changed, left out or added such that another state is taken for one that
// the step gives, but for numbers that only a sum can tell.
func TestFactorStateRoundTrip(t *testing.T) {
	for _, doc := range factorDocuments() {
		p := factorProgram(t, doc)
		for n, s := range factorRun(t, p) {
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
			if _, err := p.DecodeState(append(bytes.Clone(data), 0)); !errors.Is(err, ErrState) {
				t.Errorf("state %d and a byte: %v", n, err)
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
}

func TestFactorStatesThatArent(t *testing.T) {
	p := factorProgram(t, factorDocument)
	states := factorRun(t, p)
	const head = 2 + 1 + 4 + 4 + 1
	const factors = head + 3*8 + 4 + 3*8 + 4 + 8 + 4 // of the first item
	number := func(v float64) []byte { return binary.BigEndian.AppendUint64(nil, math.Float64bits(v)) }
	count := func(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }
	for name, c := range map[string]struct {
		state, at int
		bytes     []byte
	}{
		"another start":               {1, factors, number(0.5)},
		"a bias at the start":         {1, factors + 2*8, number(0.5)},
		"a folded item with a factor": {2, factors + 2*3*8, number(0.5)},
		"a factor beyond all bounds":  {2, factors, number(1e31)},
		"not a number":                {2, factors, number(math.NaN())},
		"pairs that don't add up":     {2, head, count(99)},
		"no users":                    {2, head + 2*8, count(0)},
		"an item with all users":      {2, head + 3*8 + 4, count(61)},
		"a mean out of range":         {2, factors - 4 - 8, number(1.5)},
		"a step too many":             {2, 3, []byte{0, 0, 0, 9}},
		"converged in spite of it":    {2, head - 1, []byte{1}},
	} {
		data := bytes.Clone(states[c.state].Encode())
		copy(data[c.at:], c.bytes)
		if _, err := p.DecodeState(data); !errors.Is(err, ErrState) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := factorProgram(t, implicitDocument()).DecodeState(states[2].Encode()); !errors.Is(err, ErrState) {
		t.Errorf("a state with ratings in a program without: %v", err)
	}
}

func TestFactorSumsThatArent(t *testing.T) {
	p := factorProgram(t, factorDocument)
	states := factorRun(t, p)
	segment := func(kind RoundKind, name string) int {
		for i, s := range p.Layout(kind) {
			if s.Name == name {
				return i
			}
		}
		t.Fatalf("no segment %s", name)
		return 0
	}
	fit, trained, judged := states[0], states[1], states[len(states)-2]
	for _, c := range []struct {
		state   *State
		sum     [][]float64
		segment string
		value   float64
		want    error
	}{
		{fit, factorFit(p), segRows, 0, ErrNoRows},
		{fit, factorFit(p), segRows, 101, ErrSums},
		{fit, factorFit(p), segUsers, 101, ErrSums},
		{fit, factorFit(p), segItemUsers, -1, ErrSums},
		{fit, factorFit(p), segHeldOut, -1, ErrSums},
		{fit, factorFit(p), segSumWhole, 200, ErrSums},
		{trained, factorSum(p, trained, 60, 20), segRows, 99, ErrSums},
		{trained, factorSum(p, trained, 60, 20), segLoss, 1.5, ErrSums},
		{trained, factorSum(p, trained, 60, 20), segHeldLoss, 1.5, ErrSums},
		{trained, factorSum(p, trained, 60, 20), segMatrix, -1, ErrDiverged},
		{trained, factorSum(p, trained, 60, 20), segVector, math.NaN(), ErrSums},
		{judged, factorRanking(p, judged), segRankedUsers, 61, ErrSums},
		{judged, factorRanking(p, judged), segRecall, 0.5, ErrSums}, // 32 of 20 users
		{judged, factorRanking(p, judged), segNDCG, -0.1, ErrSums},
		{judged, factorRanking(p, judged), segRecommended, 4, ErrSums},
		{judged, factorRanking(p, judged), segHeldOut, 29, ErrSums},
		{judged, factorRanking(p, judged), segHeldLoss, 1.1, ErrSums},
	} {
		c.sum[segment(c.state.Kind(), c.segment)][0] = c.value
		if _, _, err := p.Apply(c.state, c.sum); !errors.Is(err, c.want) {
			t.Errorf("%s of %g in %s: %v", c.segment, c.value, c.state.Kind(), err)
		}
	}
	for _, doc := range trainedDocuments() {
		p := factorProgram(t, doc)
		s := factorRun(t, p)[1]
		for value, want := range map[float64]error{1.1: ErrSums, math.Inf(1): ErrSums} {
			sum := changeSum(p, s, 60, 20)
			sum[len(sum)-1][0] = value
			if _, _, err := p.Apply(s, sum); !errors.Is(err, want) {
				t.Errorf("a change of %g: %v", value, err)
			}
		}
		// Changes beyond the clip are clipped, and never leave the lane.
		huge := FactorChange{Rows: 100, ItemUsers: s.ItemUsers(), Change: []float64{1e300, -1e300}}
		for _, v := range p.EncodeFactorChange(s, FactorChange{Rows: 100, ItemUsers: s.ItemUsers(), Change: append(huge.Change, make([]float64, p.Coefficients()-2)...)}) {
			for _, lane := range v[:min(2, len(v))] {
				if math.Abs(lane) > 1 && lane != 100 {
					t.Errorf("lane %g", lane)
				}
			}
		}
	}
	few := p.EncodeFactorFit(FactorTotals{Users: 19, Rows: 30, ItemUsers: []int64{19, 6, 5}, Rating: 10})
	if _, _, err := p.Apply(fit, few); !errors.Is(err, ErrNoRows) {
		t.Errorf("no item with 20 users: %v", err)
	}
}

func TestFactorMetrics(t *testing.T) {
	p := factorProgram(t, factorDocument)
	states := factorRun(t, p)
	q, ok := states[len(states)-1].Metrics()
	if !ok || q.Users != 20 || q.TopK != 2 {
		t.Fatalf("%+v", q)
	}
	for i, pair := range [][2]float64{{q.Recall.V, 11.5 / 20}, {q.NDCG.V, 9.25 / 20}, {q.MAP.V, 7.125 / 20}, {q.Coverage.V, 2.0 / 3}, {q.RMSE.V, 2 * math.Sqrt(12.5/30)}} {
		if math.Abs(pair[0]-pair[1]) > 1e-9 {
			t.Errorf("metric %d is %g, want %g", i, pair[0], pair[1])
		}
	}
}

func FuzzDecodeFactorState(f *testing.F) {
	p := factorProgram(f, factorDocument)
	for _, s := range factorRun(f, p) {
		f.Add(s.Encode())
	}
	f.Add(binary.BigEndian.AppendUint16(nil, factorVersion))
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
		next, _, err := p.Apply(s, p.EncodeFactors(s, FactorSums{Rows: s.fitted.Rows, Matrix: make([]float64, 18), Vector: make([]float64, 9)}))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.DecodeState(next.Encode()); err != nil {
			t.Fatal(err)
		}
	})
}
