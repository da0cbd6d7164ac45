package optim

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
)

func sampledProgram(t testing.TB, edits ...string) *Program {
	return privateProgram(t, append([]string{`"solver":"dp_gradient_descent","max_rounds":4`,
		`"solver":"dp_sgd","max_rounds":4,"sampling":{"rate_num":1,"rate_den":20,"learning_rate":0.5,"momentum":0.75}`}, edits...)...)
}

// classesSampledProgram has three classes and the coefficients of each.
func classesSampledProgram(t testing.TB) *Program {
	return sampledProgram(t, `"type":"logistic_regression"`, `"type":"multinomial_logistic_regression"`,
		`"metrics":["auc","log_loss","accuracy"]`, `"metrics":["log_loss","accuracy"]`,
		`"version":1`, `"version":1,"label":{"classes":["a","b","c"],"min_rows":1}`)
}

// With several classes a step undoes the √2 by which each row's gradient was divided, no intercept is penalised, and the
// histogram gives accuracy and log loss but no scores of two classes.
func TestSampledStepOfClasses(t *testing.T) {
	p := classesSampledProgram(t)
	states, reports, sums := runSampled(t, p)
	n, rows := p.Coefficients(), 1005.0
	if n%3 != 0 || p.GradientNorm() != math.Sqrt2 || sampledProgram(t).GradientNorm() != 1 {
		t.Fatalf("%d coefficients, residuals up to %g", n, p.GradientNorm())
	}
	first, second := states[2].Point(), states[3].Point()
	for i := range n {
		v := sums[1][i] / 16384 / (rows / 20) * math.Sqrt2
		if want := -0.5 * v; math.Abs(first[i]-want) > 1e-9*(1+math.Abs(want)) {
			t.Errorf("coefficient %d: %g after a step, want %g", i, first[i], want)
		}
		g := sums[2][i] / 16384 / (rows / 20) * math.Sqrt2
		if (i+1)%(n/3) != 0 {
			g += first[i] / rows
		}
		if want := first[i] - 0.5*(0.75*v+g); math.Abs(second[i]-want) > 1e-9*(1+math.Abs(want)) {
			t.Errorf("coefficient %d: %g after two steps, want %g", i, second[i], want)
		}
	}
	last := reports[len(reports)-1]
	if m := last.Metrics; last.Scores != nil || m == nil || !m.Accuracy.Known || !m.LogLoss.Known || m.AUC.Known || m.Positives != 0 || m.Accuracy.V > 1 {
		t.Errorf("%+v, scores %v", last.Metrics, last.Scores)
	}
	h := sha256.New()
	for _, s := range states {
		h.Write(s.Encode())
		if got, err := p.DecodeState(s.Encode()); err != nil || !reflect.DeepEqual(got, s) {
			t.Errorf("%s: %v", s.Kind(), err)
		}
	}
	const want = "c416c239fce07345f5b174b4406b245e9d9372c8e1af290029dafcdc7eda4db3"
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		t.Errorf("states hash to %s, want %s", got, want)
	}
}

// runSampled applies integer sums to every round.
func runSampled(t testing.TB, p *Program) ([]*State, []Report, [][]float64) {
	t.Helper()
	states, sums := []*State{p.Initial()}, [][]float64(nil)
	var reports []Report
	for s := states[0]; s.Kind() != Done; {
		sum := privateSums(p, s.Kind(), uint64(len(states)))
		if s.Kind() == Fit {
			sum = [][]float64{{1000*16384 + 77_000}}
		}
		next, report, err := p.Apply(s, sum)
		if err != nil {
			t.Fatalf("%s: %v", s.Kind(), err)
		}
		s = next
		states, reports, sums = append(states, next), append(reports, report), append(sums, sum[0])
	}
	return states, reports, sums
}

// DP-SGD's step is momentum on the mean gradient of the expected batch, and its model the mean of the last half's iterates.
func TestSampledStepsAreMomentumAndItsModelATailMean(t *testing.T) {
	p := sampledProgram(t)
	states, reports, sums := runSampled(t, p)
	d, rows := p.Coefficients(), 1005.0
	if states[1].Fitted().Rows != int64(rows) || reports[0].Rows != int64(rows) {
		t.Fatalf("%d rows", states[1].Fitted().Rows)
	}
	w, v, tail := make([]float64, d), make([]float64, d), make([]float64, d)
	for round := 1; round <= 4; round++ {
		s := states[1+round]
		for i := range d {
			g := sums[round][i] / 16384 / (rows / 20)
			if i < d-1 {
				g += w[i] / rows
			}
			v[i] = 0.75*v[i] + g
		}
		averaged := 0.0
		for i := range d {
			w[i] -= 0.5 * v[i]
			want := w[i]
			if round >= 3 {
				tail[i] += w[i]
				averaged = float64(round - 2)
				want = tail[i] / averaged
			}
			if got := s.Coefficients()[i]; math.Abs(got-want) > 1e-9*(1+math.Abs(want)) {
				t.Errorf("round %d, coefficient %d: %g, want %g", round, i, got, want)
			}
			if s.Kind() == Train && math.Abs(s.Point()[i]-w[i]) > 1e-9*(1+math.Abs(w[i])) {
				t.Errorf("round %d: the next gradient is taken at %g, not at the iterate %g", round, s.Point()[i], w[i])
			}
		}
	}
	if last := states[len(states)-1]; last.Kind() != Done || len(states) != 7 {
		t.Errorf("%s after %d states", last.Kind(), len(states))
	}
}

func TestSampledServerStepIsBitIdentical(t *testing.T) {
	p := sampledProgram(t)
	states, reports, _ := runSampled(t, p)
	h := sha256.New()
	for _, s := range states {
		h.Write(s.Encode())
	}
	for _, r := range reports {
		fmt.Fprintln(h, r.Note)
	}
	const want = "5787274f8e64b8168e1f7ff124447a4c394ad0294a0899e1159722602812cd52"
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		t.Errorf("states and notes hash to %s, want %s", got, want)
	}
}

func TestDecodeSampledStateIsStrict(t *testing.T) {
	p := sampledProgram(t)
	states, _, _ := runSampled(t, p)
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
		for at := range data {
			for bit := range 8 {
				changed := bytes.Clone(data)
				changed[at] ^= 1 << bit
				if got, err := p.DecodeState(changed); err == nil && !bytes.Equal(got.Encode(), changed) {
					t.Fatalf("state %d, byte %d, bit %d: two encodings of one state", i, at, bit)
				}
			}
		}
		if _, err := privateProgram(t).DecodeState(data); !errors.Is(err, ErrState) {
			t.Errorf("state %d in another solver's program: %v", i, err)
		}
	}
	for name, c := range map[string]struct {
		state  int
		change func(*State)
	}{
		"NaN":                    {2, func(s *State) { s.sampled.iterate[0] = math.NaN() }},
		"huge":                   {2, func(s *State) { s.sampled.iterate[0] = 1e31 }},
		"no rows":                {2, func(s *State) { s.fitted.Rows = 0 }},
		"a start in motion":      {1, func(s *State) { s.sampled.velocity[0] = 1 }},
		"a chosen start":         {1, func(s *State) { s.sampled.iterate[0] = 1 }},
		"a tail before its time": {2, func(s *State) { s.sampled.tail[0] = 1 }},
		"too many rounds":        {2, func(s *State) { s.rounds = 4; s.step = 5 }},
	} {
		s, err := p.DecodeState(states[c.state].Encode())
		if err != nil {
			t.Fatal(err)
		}
		c.change(s)
		if _, err := p.DecodeState(s.Encode()); !errors.Is(err, ErrState) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseSampledProgramIsStrict(t *testing.T) {
	base, err := sampledProgram(t).Document()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, new, want string }{
		{`"rate_num":1`, `"rate_num":21`, "sampling.rate_num"},
		{`"rate_num":1`, `"rate_num":0`, "sampling.rate_num"},
		{`"learning_rate":0.5`, `"learning_rate":0`, "sampling.learning_rate"},
		{`"momentum":0.75`, `"momentum":1`, "sampling.momentum"},
		{`"momentum":0.75`, `"momentum":0.75,"x":1`, "unknown key"},
		{`"unit":"record"`, `"unit":"row"`, "private.unit"},
		{`"clip":1`, `"clip":2`, "private.clip"},
		{`"clip":1`, `"clip":65537`, "private.clip"},
		{`"solver":"dp_sgd"`, `"solver":"dp_gradient_descent"`, "sampling: unknown key"},
	} {
		doc := strings.Replace(string(base), c.old, c.new, 1)
		if doc == string(base) {
			t.Fatalf("no %s in %s", c.old, base)
		}
		if _, err := ParseProgram([]byte(doc)); !errors.Is(err, ErrProgram) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s → %s: %v", c.old, c.new, err)
		}
	}
	p := sampledProgram(t)
	if _, _, err := p.Apply(p.Initial(), [][]float64{{10 * 5_000_000 * 16384 * 1.01}}); !errors.Is(err, ErrSums) {
		t.Errorf("more rows than there can be: %v", err)
	}
	states, _, _ := runSampled(t, p)
	sum := make([]float64, p.Coefficients())
	sum[0] = math.Floor(10 * 5_000_000 * 16384 * 1.01)
	if _, _, err := p.Apply(states[1], [][]float64{sum}); !errors.Is(err, ErrSums) {
		t.Errorf("a gradient longer than there can be: %v", err)
	}
}
