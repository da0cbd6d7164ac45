package optim

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"tributary/models/metrics"
)

func privateDocument() string {
	const number = `{"name":%q,"kind":"number","min":%g,"max":%g,"nullable":true,"log1p":%t,"scale":true,"missing_indicator":%t}`
	return `{"version":1,"contributors":10,"bits":40,"max_rows":5000000,"features":[` +
		fmt.Sprintf(number, "age", 16.0, 110.0, false, false) + "," +
		fmt.Sprintf(number, "basket", 0.0, 10000.0, true, true) + "," +
		`{"name":"country","kind":"category","values":["DE","FR"],"nullable":true,"missing_indicator":true}],` +
		`"model":{"type":"logistic_regression","l2":1,"solver":"dp_gradient_descent","max_rounds":4},` +
		`"private":{"unit":"record","clip":1,"scale":16384,"sigma2_fit":"26843545600","sigma2_train":"85899345920","sigma2_evaluate":"107374182400","bins":50},` +
		`"evaluate":{"holdout":true,"metrics":["auc","log_loss","accuracy"]}}`
}

func privateProgram(t testing.TB, edits ...string) *Program {
	t.Helper()
	doc := privateDocument()
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

// privateSums are sums made from integers alone: the same bits everywhere. They are not those of any rows, but of a plausible size.
func privateSums(p *Program, kind RoundKind, seed uint64) [][]float64 {
	next := func(size int64) float64 {
		seed = seed*6364136223846793005 + 1442695040888963407
		return float64(int64(seed>>1)%(2*size) - size)
	}
	d, scale := p.Coefficients(), int64(p.privacy.Scale)
	var out []float64
	switch kind {
	case Fit:
		for i := range d {
			out = append(out, float64(1000*scale/int64(d))+next(100_000))
			for range d - i - 1 {
				out = append(out, next(150_000))
			}
		}
	case Train:
		for range d {
			out = append(out, next(50*scale))
		}
	case Evaluate:
		for range 2 * p.privacy.Bins {
			out = append(out, float64(5*scale)+next(20*scale))
		}
	}
	return [][]float64{out}
}

// runPrivate applies sums of every round and returns every state and report.
func runPrivate(t testing.TB, p *Program) ([]*State, []Report) {
	t.Helper()
	states := []*State{p.Initial()}
	var reports []Report
	for s := states[0]; s.Kind() != Done; {
		next, report, err := p.Apply(s, privateSums(p, s.Kind(), uint64(len(states))))
		if err != nil {
			t.Fatalf("%s: %v", s.Kind(), err)
		}
		s = next
		states, reports = append(states, next), append(reports, report)
	}
	return states, reports
}

func TestParsePrivateProgramReadsEveryField(t *testing.T) {
	p := privateProgram(t)
	want := Privacy{UnitRecord, 1, 16384, 0, 26843545600, 85899345920, 107374182400, 50}
	if !p.Private() || p.Privacy() != want || p.Model != (Model{Type: "logistic_regression", L2: 1, Solver: "dp_gradient_descent", MaxRounds: 4}) {
		t.Errorf("%+v, %+v", p.Privacy(), p.Model)
	}
	if exact := testProgram(t); exact.Private() || exact.Privacy() != (Privacy{}) {
		t.Error("an exact program is private")
	}
	doc, err := p.Document()
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseProgram(doc)
	if err != nil || !reflect.DeepEqual(p, again) {
		t.Errorf("the canonical document differs: %v\n%s", err, doc)
	}
	var keys []string
	for name, shape := range p.Segments(uint8(Fit)) {
		keys = append(keys, fmt.Sprint(name, shape))
	}
	for name, shape := range p.Segments(uint8(Train)) {
		keys = append(keys, fmt.Sprint(name, shape))
	}
	for name, shape := range p.Segments(uint8(Evaluate)) {
		keys = append(keys, fmt.Sprint(name, shape))
	}
	// age, basket, basket:missing, DE, FR, other, missing, intercept
	if got := strings.Join(keys, " "); got != "gram[36 1 1] gradient[8 1 1] histogram[100 1 1]" {
		t.Errorf("segments %s", got)
	}
	if p.Limit(1) != 1 || p.Limit(2) != 4 || p.Limit(3) != 1 || p.Limit(4) != 0 {
		t.Errorf("limits %d %d %d %d", p.Limit(1), p.Limit(2), p.Limit(3), p.Limit(4))
	}
}

// Each edit makes the document invalid; the error names what is wrong.
func TestParsePrivateProgramIsStrict(t *testing.T) {
	var many []string
	for i := range 1500 {
		many = append(many, fmt.Sprintf("%q", fmt.Sprint("v", i)))
	}
	for _, c := range []struct{ old, new, want string }{
		{`"scale":true`, `"scale":false`, "features[0].scale"},
		{`"scale":true,`, ``, "features[0].scale: missing"},
		{`"scale":true`, `"standardize":true,"clip":64`, "scale: missing"},
		{`"scale":true`, `"scale":true,"clip":64`, "clip: unknown key"},
		{`"scale":true`, `"scale":true,"standardize":false,"clip":3`, "standardize: it is false"},
		{`"scale":true`, `"scale":true,"standardize":true,"clip":3`, "has clip and quantiles"},
		{`"values":`, `"min_count":20,"values":`, "min_count: unknown key"},
		{`dp_gradient_descent`, `newton`, "hint: dp_gradient_descent"},
		{`dp_gradient_descent`, `nadam`, "unknown solver"},
		{`"max_rounds":4`, `"max_rounds":4,"tolerance":1e-8`, "model.tolerance: unknown key"},
		{`"private":{`, `"private":{"epsilon":"1.0",`, "private.epsilon: unknown key"},
		{`"private":{`, `"private":{},"Private":{`, "missing"},
		{`"scale":16384`, `"scale":16383`, "power of two"},
		{`"scale":16384`, `"scale":0`, "private.scale"},
		{`"scale":16384`, `"scale":2147483648`, "private.scale"},
		{`"scale":16384`, `"scale":1073741824`, "hint: raise bits"},
		{`"bits":40`, `"bits":32`, "hint: raise bits"},
		{`"26843545600"`, `26843545600`, "private.sigma2_fit: want a string"},
		{`"26843545600"`, `"0"`, "private.sigma2_fit: no noise"},
		{`"scale":true`, `"scale":true,"clip_quantiles":[0.1,0.9]`, "private.sigma2_sketch: no noise"},
		{`"sigma2_fit"`, `"sigma2_sketch":"0","sigma2_fit"`, "private.sigma2_sketch: no noise"},
		{`"sigma2_fit"`, `"sigma2_sketch":"1","sigma2_fit"`, "private.sigma2_sketch: nothing is sketched"},
		{`"85899345920"`, `"0"`, "private.sigma2_train: no noise"},
		{`"107374182400"`, `"0"`, "private.sigma2_evaluate: no noise"},
		{`"26843545600"`, `"026843545600"`, "decimal"},
		{`"26843545600"`, `"+26843545600"`, "decimal"},
		{`"26843545600"`, `"-1"`, "decimal"},
		{`"26843545600"`, `"1e9"`, "decimal"},
		{`"26843545600"`, `"18446744073709551616"`, "decimal"},
		{`"bins":50`, `"bins":51`, "private.bins"},
		{`"bins":50`, `"bins":0`, "private.bins"},
		{`"bins":50`, `"bins":1026`, "private.bins"},
		{`"values":["DE","FR"]`, `"values":[` + strings.Join(many, ",") + `]`, "at most 1500\nhint: use dp_sgd, leave out one_hot"},
	} {
		doc := strings.Replace(privateDocument(), c.old, c.new, 1)
		if doc == privateDocument() {
			t.Fatalf("no %s in the document", c.old)
		}
		if _, err := ParseProgram([]byte(doc)); !errors.Is(err, ErrProgram) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60s → %.60s: %v", c.old, c.new, err)
		}
	}
	if _, err := ParseProgram([]byte(strings.Replace(testDocument(), "newton", "dp_gradient_descent", 1))); err == nil || !strings.Contains(err.Error(), "hint: newton") {
		t.Errorf("the private solver in an exact job: %v", err)
	}
}

// The whole private server step is the same bits on every architecture, as TestServerStepIsBitIdentical tells for exact jobs.
func TestPrivateServerStepIsBitIdentical(t *testing.T) {
	p := privateProgram(t)
	states, reports := runPrivate(t, p)
	h := sha256.New()
	for _, s := range states {
		h.Write(s.Encode())
		if doc, err := Export(p, s); err == nil {
			h.Write(doc)
		}
	}
	for _, r := range reports {
		fmt.Fprintln(h, r.Note)
	}
	const want = "f0a65e18a9563237d86732ce586af18ab97858cc4e1a50ba8138fa9316c23ce8"
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		t.Errorf("states, models and notes hash to %s, want %s", got, want)
	}
}

// A private job takes all its rounds in order, says that its numbers are noisy, and knows no objective.
func TestPrivateJobTakesAllItsRounds(t *testing.T) {
	p := privateProgram(t)
	states, reports := runPrivate(t, p)
	kinds := []RoundKind{Fit, Train, Train, Train, Train, Evaluate, Done}
	if len(states) != len(kinds) {
		t.Fatalf("%d states", len(states))
	}
	for i, s := range states {
		kind, step, err := p.Inspect(s.Encode())
		if err != nil || RoundKind(kind) != kinds[i] || step != uint32(i) {
			t.Errorf("state %d: kind %d, step %d: %v", i, kind, step, err)
		}
	}
	for i, r := range reports {
		if !strings.Contains(r.Note, "nois") || r.Kind != kinds[i] || r.Step != uint32(i+1) || r.Objective != 0 || r.LossPerRow != 0 || r.Converged || r.Rows != reports[0].Rows || r.Rows < 900 || r.Rows > 1100 {
			t.Errorf("report %d: %+v", i, r)
		}
	}
	m := reports[5].Metrics
	if m == nil || !m.AUC.Known || !m.LogLoss.Known || !m.Accuracy.Known || !strings.Contains(reports[5].Note, "metrics are noisy") {
		t.Errorf("%+v", reports[5])
	}
	if _, _, err := p.Apply(states[6], nil); !errors.Is(err, ErrDone) {
		t.Errorf("after the end: %v", err)
	}
}

// Where nothing is measured there is no EVALUATE round, and no noise for it.
func TestPrivateJobWithoutMetricsHasNoEvaluateRound(t *testing.T) {
	for _, edits := range [][]string{
		{`["auc","log_loss","accuracy"]`, `[]`, `"107374182400"`, `"0"`},
		{`"holdout":true`, `"holdout":false`, `"107374182400"`, `"0"`},
	} {
		p := privateProgram(t, edits...)
		states, _ := runPrivate(t, p)
		s := states[len(states)-1]
		if len(states) != 6 || s.Kind() != Done || p.Limit(3) != 0 || len(p.Layout(Evaluate)) != 0 {
			t.Errorf("%d states, %d EVALUATE rounds", len(states), p.Limit(3))
		}
		if again, err := p.DecodeState(s.Encode()); err != nil || !bytes.Equal(again.Encode(), s.Encode()) {
			t.Errorf("the last state is refused: %v", err)
		}
		if doc, err := Export(p, s); err != nil || bytes.Contains(doc, []byte(`"metrics"`)) || !bytes.Contains(doc, []byte(`"private": true`)) {
			t.Errorf("%v\n%s", err, doc)
		}
	}
}

// Noise that eats the shift doubles it; a sum that clipped rows and noise can't have is refused.
func TestShiftFollowsTheNoiseAndNormsAreChecked(t *testing.T) {
	p := privateProgram(t)
	sums := privateSums(p, Fit, 1)
	_, first, err := p.Apply(p.Initial(), sums)
	if err != nil || strings.Contains(first.Note, "doubled") {
		t.Fatal(err, first.Note)
	}
	sums[0][0] = -1000 * 16384 // the first diagonal entry of H is -250
	s, report, err := p.Apply(p.Initial(), sums)
	if err != nil || !strings.Contains(report.Note, "doubled") {
		t.Fatal(err, report.Note)
	}
	for i := range s.factor.d {
		if !(s.factor.row(i)[i] > 0) {
			t.Errorf("pivot %d is %g", i, s.factor.row(i)[i])
		}
	}
	for name, change := range map[string]func([]float64){
		"norm":       func(v []float64) { v[1] = 10 * 5_000_000 * 16384 * 1.01 },
		"no integer": func(v []float64) { v[1] = 0.5 },
		"NaN":        func(v []float64) { v[1] = math.NaN() },
	} {
		for _, state := range []*State{p.Initial(), s} {
			sums := privateSums(p, state.Kind(), 1)
			change(sums[0])
			if _, _, err := p.Apply(state, sums); !errors.Is(err, ErrSums) {
				t.Errorf("%s in %s: %v", name, state.Kind(), err)
			}
		}
	}
	if _, _, err := p.Apply(s, privateSums(p, Fit, 1)); !errors.Is(err, ErrSums) {
		t.Errorf("a sum of another kind: %v", err)
	}
	if _, _, err := p.Apply(testProgram(t).Initial(), privateSums(p, Fit, 1)); !errors.Is(err, ErrState) {
		t.Errorf("an exact program's state: %v", err)
	}
}

// Truncated, extended and altered encodings are refused, or are another state with one encoding.
func TestDecodePrivateStateIsStrict(t *testing.T) {
	p := privateProgram(t)
	states, _ := runPrivate(t, p)
	for i, s := range states {
		data := s.Encode()
		got, err := p.DecodeState(data)
		if err != nil || !bytes.Equal(got.Encode(), data) || !reflect.DeepEqual(got, s) {
			t.Fatalf("state %d changed: %v", i, err)
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
			for bit := range 8 {
				changed := bytes.Clone(data)
				changed[at] ^= 1 << bit
				if got, err := p.DecodeState(changed); err == nil && !bytes.Equal(got.Encode(), changed) {
					t.Fatalf("state %d, byte %d, bit %d: two encodings of one state", i, at, bit)
				}
			}
		}
		if _, err := testProgram(t).DecodeState(data); !errors.Is(err, ErrState) {
			t.Errorf("state %d in an exact program: %v", i, err)
		}
	}
	if _, err := p.DecodeState(testProgram(t).Initial().Encode()); !errors.Is(err, ErrState) {
		t.Errorf("an exact program's state: %v", err)
	}
}

func TestDecodePrivateStateRefusesWhatNoStepGives(t *testing.T) {
	p := privateProgram(t)
	for name, c := range map[string]struct {
		state  int
		change func(*State)
	}{
		"NaN":                    {2, func(s *State) { s.w[0] = math.NaN() }},
		"huge coefficient":       {2, func(s *State) { s.w[0] = 1e31 }},
		"chosen coefficients":    {1, func(s *State) { s.w[0] = 1 }},
		"too few":                {2, func(s *State) { s.w = s.w[1:] }},
		"pivot 0":                {2, func(s *State) { s.factor.row(3)[3] = 0 }},
		"negative pivot":         {2, func(s *State) { s.factor.row(3)[3] = -1 }},
		"step":                   {2, func(s *State) { s.step++ }},
		"too many rounds":        {2, func(s *State) { s.rounds, s.step = 4, 5 }},
		"early EVALUATE":         {5, func(s *State) { s.rounds, s.step = 3, 4 }},
		"early end":              {6, func(s *State) { s.rounds, s.step = 3, 5 }},
		"unknown kind":           {5, func(s *State) { s.kind = 9 }},
		"steps before FIT":       {0, func(s *State) { s.step = 1 }},
		"more positive than all": {6, func(s *State) { s.summary.Positives = s.summary.HeldOut + 1 }},
		"value of no metric":     {6, func(s *State) { s.summary.AUC = metrics.Value{V: 0.5} }},
	} {
		states, _ := runPrivate(t, p)
		s := states[c.state]
		c.change(s)
		if _, err := p.DecodeState(s.Encode()); !errors.Is(err, ErrState) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzDecodePrivateState(f *testing.F) {
	p := privateProgram(f)
	states, _ := runPrivate(f, p)
	for _, s := range states {
		f.Add(s.Encode())
	}
	f.Add(binary.BigEndian.AppendUint16(nil, privateVersion))
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
		if s.Kind() == Done {
			return
		}
		next, _, err := p.Apply(s, privateSums(p, s.Kind(), 1))
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
