package optim

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"tributary/models/metrics"
)

// numberSampledProgram is a private linear regression to a label from -10 to 90.
func numberSampledProgram(t testing.TB, edits ...string) *Program {
	return sampledProgram(t, append([]string{`"type":"logistic_regression"`, `"type":"linear_regression"`,
		`"metrics":["auc","log_loss","accuracy"]`, `"metrics":["rmse","mae","r2"]`,
		`"version":1`, `"version":1,"label":{"min":-10,"max":90}`}, edits...)...)
}

// numberMachineProgram is a private factorization machine of it.
func numberMachineProgram(t testing.TB) *Program {
	return numberSampledProgram(t, `"type":"linear_regression"`, `"type":"factorization_machine"`,
		`"momentum":0.75`, `"momentum":0.75,"seed":"7"`, `"max_rounds":4`, `"max_rounds":4,"factors":3`)
}

// erring are an EVALUATE sum's lanes of rows with these margins and labels.
func erring(p *Program, rows ...[2]float64) []float64 {
	sum := make([]float64, p.errorLanes())
	for _, r := range rows {
		for i, v := range p.ErrorLanes(nil, r[0], r[1]) {
			sum[i] += math.RoundToEven(v * float64(p.privacy.Scale))
		}
	}
	return sum
}

// runNumber applies integer sums to every round, the last one of rows whose errors are about 0.2 of half the range.
func runNumber(t testing.TB, p *Program) ([]*State, []Report) {
	t.Helper()
	states, reports := []*State{p.Initial()}, []Report(nil)
	for s := states[0]; s.Kind() != Done; {
		sum := privateSums(p, s.Kind(), uint64(len(states)))
		switch s.Kind() {
		case Fit:
			sum = [][]float64{{1000*16384 + 77_000}}
		case Evaluate:
			var rows [][2]float64
			for i := range 1000 {
				label := float64(i%100)/50 - 1
				rows = append(rows, [2]float64{label + float64(0.2*float64(1-i%2*2)), label})
			}
			sum[0] = erring(p, rows...)
		}
		next, report, err := p.Apply(s, sum)
		if err != nil {
			t.Fatalf("%s: %v", s.Kind(), err)
		}
		s = next
		states, reports = append(states, next), append(reports, report)
	}
	return states, reports
}

// Nothing of the label is fitted: its place in the range is told from -1 to 1, and steps are of the learning rate over ρ² = 1+features.
func TestStepTowardsANumber(t *testing.T) {
	for _, p := range []*Program{numberSampledProgram(t), numberMachineProgram(t)} {
		rho := math.Sqrt(4)
		states, reports := runNumber(t, p)
		f := states[1].Fitted()
		if mean, sd := p.LabelUnits(f); mean != 40 || sd != 50 || p.Standardised(f, -10) != -1 || p.Standardised(f, 40) != 0 || p.Standardised(f, 90) != 1 || p.Predicted(f, 3) != 1 || p.Predicted(f, -3) != -1 {
			t.Errorf("a label of %g ± %g", mean, sd)
		}
		if p.GradientNorm() != rho || p.UnitNorm() || !sampledProgram(t).UnitNorm() {
			t.Errorf("gradients up to %g", p.GradientNorm())
		}
		start, first, sum := states[1].Point(), states[2].Point(), privateSums(p, Train, 2)[0]
		for i := range start {
			g := sum[i] / 16384 / (1005.0 / 20) * rho
			if i < len(start)-1 {
				g += start[i] / 1005
			}
			if want := start[i] - 0.5/(rho*rho)*g; math.Abs(first[i]-want) > 1e-9*(1+math.Abs(want)) {
				t.Errorf("coefficient %d: %g after a step, want %g", i, first[i], want)
			}
		}
		for i, s := range states {
			data := s.Encode()
			got, err := p.DecodeState(data)
			if err != nil || !reflect.DeepEqual(got, s) || !bytes.Equal(got.Encode(), data) {
				t.Errorf("state %d changed: %v", i, err)
			}
			for n := range data {
				if _, err := p.DecodeState(data[:n]); !errors.Is(err, ErrState) {
					t.Fatalf("state %d cut to %d bytes: %v", i, n, err)
				}
			}
		}
		m := reports[len(reports)-1].Metrics
		if m == nil || m.HeldOut != 1000 || m.Positives != 0 || !m.RMSE.Known || !m.R2.Known || !m.MAE.Known || m.AUC.Known || !strings.Contains(reports[len(reports)-1].Note, "rmse") {
			t.Errorf("%+v", m)
		}
		doc, err := Export(p, states[len(states)-1])
		if err != nil || bytes.Contains(doc, []byte("unit_norm")) || !bytes.Contains(doc, []byte(`"noised": true`)) || !bytes.Contains(doc, []byte(`"rmse"`)) || !bytes.Contains(doc, []byte(`"mean": 40`)) {
			t.Errorf("%v\n%s", err, doc)
		}
	}
}

func TestNumberStepIsBitIdentical(t *testing.T) {
	h := sha256.New()
	for _, p := range []*Program{numberSampledProgram(t), numberMachineProgram(t)} {
		states, reports := runNumber(t, p)
		for _, s := range states {
			h.Write(s.Encode())
		}
		for _, r := range reports {
			h.Write([]byte(r.Note))
		}
	}
	const want = "f9b0314db6c77d0a3a17167455793b330990d0609d469d331c243fd882de50ab"
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		t.Errorf("states and notes hash to %s, want %s", got, want)
	}
}

// Without noise the metrics are those of the rows; those that aren't asked for are unknown, and their lanes aren't there.
func TestErrorsOfRowsGiveTheirMetrics(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	var rows [][2]float64
	square, absolute, mean, around := 0.0, 0.0, 0.0, 0.0
	const n = 200_000
	for range n {
		label := min(max(-0.3+0.4*random.NormFloat64(), -1), 1)
		rows = append(rows, [2]float64{label + 0.5*random.NormFloat64(), label})
		mean += label / n
	}
	large := 0
	for _, r := range rows {
		e := min(max(r[0], -1), 1) - r[1]
		square, absolute, around = square+e*e/n, absolute+math.Abs(e)/n, around+(r[1]-mean)*(r[1]-mean)/n
		if math.Abs(e) > 1 {
			large++
		}
	}
	if large < n/200 {
		t.Fatalf("%d rows have errors above half of the range", large)
	}
	for asked, lanes := range map[string]int{"rmse": 3, "mae": 2, "r2": 5, "rmse mae": 4, "mae r2": 6, "rmse r2": 5, "rmse mae r2": 6} {
		p := numberSampledProgram(t, `["rmse","mae","r2"]`, `["`+strings.ReplaceAll(asked, " ", `","`)+`"]`)
		states, _ := runNumber(t, p)
		s, r, err := p.Apply(states[len(states)-2], [][]float64{erring(p, rows...)})
		if err != nil || p.Layout(Evaluate)[0] != (Segment{"errors", lanes, 1, 1}) {
			t.Fatalf("%s: %v, %+v", asked, err, p.Layout(Evaluate))
		}
		m, _ := s.Metrics()
		for _, v := range []struct {
			name string
			got  metrics.Value
			want float64
		}{{"rmse", m.RMSE, 50 * math.Sqrt(square)}, {"mae", m.MAE, 50 * absolute}, {"r2", m.R2, 1 - square/around}} {
			if told := strings.Contains(asked, v.name); v.got.Known != told || told && math.Abs(v.got.V-v.want) > 2e-3*math.Abs(v.want) || !told && v.got.V != 0 {
				t.Errorf("%s: %s %+v, want %g", asked, v.name, v.got, v.want)
			}
		}
		if m.HeldOut != n || *r.Metrics != m {
			t.Errorf("%s: %+v", asked, m)
		}
	}
}

// A row's lanes have a norm below 1, whatever its margin and label are.
func TestErrorLanesHaveANormBelowOne(t *testing.T) {
	p, worst := numberSampledProgram(t), 0.0
	norm := func(margin, label float64) float64 {
		square := 0.0
		for _, v := range p.ErrorLanes(nil, margin, label) {
			square += v * v
		}
		return math.Sqrt(square)
	}
	ends := []float64{-1e300, -2, -1, -0.5, 0, 0.5, 1, 2, 1e300, math.Inf(1), math.Inf(-1)}
	for _, margin := range ends {
		for _, label := range ends {
			worst = max(worst, norm(margin, label))
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		worst = max(worst, norm(4*random.Float64()-2, 2*random.Float64()-1))
	}
	if !(worst <= math.Sqrt(245.0/256)+1e-15) || worst < 0.978 {
		t.Errorf("the longest has norm %g", worst)
	}
}

// Sums that noise may have made give no metrics, or ones that rows can have: nothing is divided by noise, no error is negative or
// beyond the range.
func TestNoisedErrorsAreKeptToWhatIsPossible(t *testing.T) {
	p := numberSampledProgram(t)
	states, _ := runNumber(t, p)
	at := states[len(states)-2]
	sigma := math.Sqrt(107374182400) / 16384 // 20 rows
	// A sum of rows with a squared error and a variance each, in units.
	sum := func(rows, square, large, absolute, label, label2 float64) []float64 {
		out := []float64{rows / 4, square / 2, large / 8, absolute * 7 / 32, label / 4, label2 / 2}
		for i := range out {
			out[i] = math.Round(out[i] * 16384)
		}
		return out
	}
	some := func(v float64) metrics.Value { return metrics.Value{Known: true, V: v} }
	unknown := metrics.Value{}
	for name, c := range map[string]struct {
		sum           []float64
		rmse, mae, r2 metrics.Value
	}{
		"plain":              {sum(10_000, 400, 0, 1000, 0, 1000), some(10), some(5), some(0.6)},
		"few rows":           {sum(4.9*4*sigma, 4, 0, 10, 0, 10), unknown, unknown, unknown},
		"negative rows":      {sum(-10_000, 400, 0, 1000, 0, 1000), unknown, unknown, unknown},
		"negative errors":    {sum(10_000, -400, 0, -1000, 0, 1000), some(0), some(0), some(1)},
		"errors too large":   {sum(10_000, 400, 90_000, 50_000, 0, 1000), some(100), some(100), some(1 - 40)},
		"noise of large":     {sum(10_000, 400, 4.9*8*sigma, 1000, 0, 1000), some(10), some(5), some(0.6)},
		"large":              {sum(10_000, 400, 1200, 1000, 0, 2000), some(20), some(5), some(0.2)},
		"no variance":        {sum(10_000, 400, 0, 1000, 0, 4.9*2*sigma), some(10), some(5), unknown},
		"a variance":         {sum(10_000, 400, 0, 1000, 0, 5.1*2*sigma), some(10), some(5), some(1 - 400/(5.1*2*sigma))},
		"negative variance":  {sum(10_000, 400, 0, 1000, 9_000, 1000), some(10), some(5), unknown},
		"variance too large": {sum(10_000, 400, 0, 1000, 0, 90_000), some(10), some(5), some(0.96)},
		"far from the mean":  {sum(10_000, 400, 0, 1000, 9_000, 8_500), some(10), some(5), unknown}, // the mean's noise counts
	} {
		s, r, err := p.Apply(at, [][]float64{c.sum})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		m, _ := s.Metrics()
		for _, v := range [][2]metrics.Value{{m.RMSE, c.rmse}, {m.MAE, c.mae}, {m.R2, c.r2}} {
			if v[0].Known != v[1].Known || math.Abs(v[0].V-v[1].V) > 1e-3*(1+math.Abs(v[1].V)) {
				t.Errorf("%s: rmse %+v, mae %+v, r2 %+v (%s)", name, m.RMSE, m.MAE, m.R2, r.Note)
				break
			}
		}
		if !m.RMSE.Known && !strings.Contains(r.Note, "unknown") || m.HeldOut < 0 {
			t.Errorf("%s: %d rows, %q", name, m.HeldOut, r.Note)
		}
		if _, err := p.DecodeState(s.Encode()); err != nil {
			t.Errorf("%s: a state of Apply is refused: %v", name, err)
		}
	}
	if _, _, err := p.Apply(at, [][]float64{sum(10*5_000_000*4.1, 0, 0, 0, 0, 0)}); !errors.Is(err, ErrSums) {
		t.Errorf("more rows than there can be: %v", err)
	}
}

// A training that swings ever further stops with an error; a state with coefficients beyond all bounds, or metrics that no sum gives,
// is refused.
func TestADivergedNumberIsNoModel(t *testing.T) {
	p := numberSampledProgram(t)
	states, _ := runNumber(t, p)
	s, err := p.DecodeState(states[2].Encode())
	if err != nil {
		t.Fatal(err)
	}
	s.sampled.iterate[0], s.sampled.velocity[0] = 1e30, -1e30
	if _, _, err := p.Apply(s, privateSums(p, Train, 3)); !errors.Is(err, ErrDiverged) || !strings.Contains(err.Error(), "learning_rate") {
		t.Errorf("a step beyond all bounds: %v", err)
	}
	s.sampled.iterate[0] = math.Inf(1)
	if _, err := p.DecodeState(s.Encode()); !errors.Is(err, ErrState) {
		t.Errorf("an infinite coefficient: %v", err)
	}
	last := states[len(states)-1].Encode()
	for name, change := range map[string]func(m *metrics.Summary){
		"rmse beyond the range": func(m *metrics.Summary) { m.RMSE.V = 101 }, "a negative error": func(m *metrics.Summary) { m.MAE.V = -1 },
		"r2 above 1": func(m *metrics.Summary) { m.R2.V = 1.01 }, "unknown and told": func(m *metrics.Summary) { m.R2.Known = false },
		"NaN": func(m *metrics.Summary) { m.RMSE.V = math.NaN() },
	} {
		s, err := p.DecodeState(last)
		if err != nil {
			t.Fatal(err)
		}
		change(&s.summary)
		if _, err := p.DecodeState(s.Encode()); !errors.Is(err, ErrState) {
			t.Errorf("%s: %v", name, err)
		}
	}
	other := numberSampledProgram(t, `["rmse","mae","r2"]`, `["rmse"]`)
	if _, err := other.DecodeState(last); !errors.Is(err, ErrState) {
		t.Errorf("metrics that nobody asked for: %v", err)
	}
	if _, err := sampledProgram(t).DecodeState(last); !errors.Is(err, ErrState) {
		t.Errorf("a number's state in a job of two values: %v", err)
	}
}

func TestParsePrivateNumberIsStrict(t *testing.T) {
	for _, p := range []*Program{numberSampledProgram(t), numberMachineProgram(t)} {
		base, err := p.Document()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ParseProgram(base); err != nil || !reflect.DeepEqual(again, p) {
			t.Errorf("%v\n%s", err, base)
		}
		for _, c := range []struct{ old, new, want string }{
			{`"learning_rate":0.5`, `"learning_rate":3.51`, "model.sampling.learning_rate"},
			{`"rmse","mae","r2"`, `"rmse","calibration"`, "evaluate.metrics: calibration"},
			{`"rmse","mae","r2"`, `"auc"`, "evaluate.metrics"},
			{`"solver":"dp_sgd"`, `"solver":"newton"`, "solver"},
			{`"solver":"dp_sgd"`, `"solver":"dp_gradient_descent"`, "solver"},
			{`"label":{"min":-10,"max":90}`, `"label":{"min":-10,"max":-10}`, "label.min"},
			{`"sigma2_evaluate":"107374182400"`, `"sigma2_evaluate":"0"`, "private.sigma2_evaluate"},
			{`"label":`, `"start":{"model":"` + strings.Repeat("0", 64) + `","coefficients":[` + strings.Repeat("0,", p.Coefficients()-1) + `0]},"label":`, "start"},
			{`"label":`, `"weighting":{"weight":{"name":"w","min":0,"max":1}},"label":`, "weighting"},
			{`"metrics":["rmse","mae","r2"]`, `"metrics":["rmse"],"groups":[{"name":"country","values":["DE"],"nullable":false}],"min_count":10`, "groups"},
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
}
