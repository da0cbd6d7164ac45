package optim

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
)

// privateRatingProgram is privateFactorDocument with ratings of 1 to 5.
func privateRatingProgram(t testing.TB, metrics string) *Program {
	t.Helper()
	return factorProgram(t, privateRatingDocument(metrics))
}

func privateRatingDocument(metrics string) string {
	return factorEdits(privateFactorDocument, `"missing_indicator":false}],`, `"missing_indicator":false},`+
		`{"name":"stars","kind":"number","min":1,"max":5,"nullable":false,"log1p":false,"scale":true,"missing_indicator":false}],`,
		`"explicit":false`, `"explicit":true`, `["recall","ndcg","map"]`, metrics)
}

// privateRatingSum is one that users can give: of items a and b, c being below the noise.
func privateRatingSum(p *Program, s *State) [][]float64 {
	unit := float64(p.privacy.Scale)
	switch s.Kind() {
	case Fit:
		return [][]float64{{60 * unit, 40*unit + 300, 5 * unit, 90 * unit}, {30 * unit, -10*unit + 5, 9 * unit}}
	case Train:
		return [][]float64{{5 * unit, 2 * unit, 4*unit - 7}, {9 * unit, 4 * unit, -3 * unit, 5*unit + 1, 3 * unit, 2 * unit}}
	}
	sum := []float64{60 * unit, 8 * unit}
	if p.RankingMetrics() > 0 {
		sum = append([]float64{40 * unit, 22 * unit, 18*unit + 5, -2 * unit}, sum...)
	}
	return [][]float64{sum}
}

func privateRatingRun(t testing.TB, p *Program) []*State {
	t.Helper()
	s := p.Initial()
	states := []*State{s}
	for s.Kind() != Done {
		next, _, err := p.Apply(s, privateRatingSum(p, s))
		if err != nil {
			t.Fatal(err)
		}
		s = next
		states = append(states, s)
	}
	return states
}

const allRated = `["recall","ndcg","map","rmse"]`

// The step is the same bits on every architecture: see TestServerStepIsBitIdentical.
func TestPrivateRatingStepIsBitIdentical(t *testing.T) {
	h := sha256.New()
	p := privateRatingProgram(t, allRated)
	for _, s := range privateRatingRun(t, p) {
		h.Write(s.Encode())
		if doc, err := Export(p, s); err == nil {
			h.Write(doc)
		}
	}
	const want = "91b97554115fd7719f7cd810bca36846b7499762e44987bb593838b27b9dcf9a"
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		t.Errorf("states and models hash to %s, want %s", got, want)
	}
}

func TestPrivateRatingProgramRoundTrip(t *testing.T) {
	none := strings.Replace(privateRatingDocument("[]"), `"holdout":true`, `"holdout":false`, 1)
	for _, doc := range []string{privateRatingDocument(allRated), privateRatingDocument(`["rmse"]`), privateRatingDocument(`["ndcg"]`), none} {
		p := factorProgram(t, doc)
		out, err := p.Document()
		if err != nil || string(out) != doc {
			t.Errorf("%s\nbecomes %s (%v)", doc, out, err)
		}
		if strings.Contains(doc, "ndcg") && p.RankingMetrics() < 3 {
			continue // its sum isn't privateRatingSum's
		}
		checkStateCodec(t, p, privateRatingRun(t, p))
	}
}

func TestPrivateRatingProgramsThatArent(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{`"explicit":true`, `"explicit":false`, "features"},
		{`"unit":"user"`, `"unit":"record"`, "user"},
		{`"patience":0`, `"patience":1`, "patience"},
		{`"factors":2`, `"factors":65`, "model.factors"},
		{`"rmse"]`, `"coverage","rmse"]`, "coverage"},
		{`"scale":true`, `"scale":false`, "scale"},
		{`"log1p":false`, `"log1p":true`, "rating"},
		{`"scale":true,"missing_indicator":false`, `"scale":true,"missing_indicator":true`, "rating"},
	} {
		whole := privateRatingDocument(allRated)
		doc := strings.Replace(whole, c.old, c.new, 1)
		if _, err := ParseProgram([]byte(doc)); doc == whole || !errors.Is(err, ErrProgram) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.new, err)
		}
	}
}

// Biases are fitted from FIT's sums once; factors minimise the squared misfit of their equations and their distance from zero.
func TestPrivateRatingsFitTheirEquations(t *testing.T) {
	p := privateRatingProgram(t, allRated)
	states := privateRatingRun(t, p)
	lambda, fit, train := p.Model.L2, 16.0*16, 8.0*8 // (σ/priorSpread)²
	a, b := 60.0, math.Round(40+300.0/1024)
	mean := (30 - 10 + 5.0/1024) / (a + b)
	near := func(name string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-12 {
			t.Errorf("%s is %g, want %g", name, got, want)
		}
	}
	w, fitted := states[1].Coefficients(), states[1].Fitted()
	near("the mean", fitted.Mean[0], 0.5+mean/2)
	near("the first bias", w[2], (30-a*mean)*(a+lambda)/((a+lambda)*(a+lambda)+fit))
	near("the second bias", w[5], (-10+5.0/1024-b*mean)*(b+lambda)/((b+lambda)*(b+lambda)+fit))
	w = states[2].Coefficients()
	if w[6] != 0 || w[7] != 0 || w[8] != 0 {
		t.Errorf("the third item has %g users of a noise of 4, and coefficients %v", 5.0, w[6:])
	}
	gram := [2][2]float64{{5 / GramWeight, 2 / math.Sqrt2 / GramWeight}, {2 / math.Sqrt2 / GramWeight, (4 - 7.0/1024) / GramWeight}}
	for item, c := range []struct {
		share  float64
		vector [2]float64
	}{{a / (a + b), [2]float64{9, 4}}, {b / (a + b), [2]float64{-3, 5 + 1.0/1024}}} {
		// The gradient of the misfit vanishes: M·(M·y - v) + prior·y = 0.
		y, m := w[3*item:3*item+2], gram
		for i := range m {
			for j := range m {
				m[i][j] *= c.share
			}
			m[i][i] += lambda
		}
		var off [2]float64
		for i := range off {
			off[i] = m[i][0]*y[0] + m[i][1]*y[1] - c.vector[i]
		}
		for i := range off {
			near("the gradient", m[i][0]*off[0]+m[i][1]*off[1]+train*y[i], 0)
		}
		near("a bias after TRAIN", w[3*item+2], states[1].Coefficients()[3*item+2])
	}
	q, _ := states[len(states)-1].Metrics()
	weight := 1 / math.Sqrt(6) // six lanes share the clip of 1
	if q.Users != int64(math.Round(40/weight)) || q.MAP.V != 0 || q.TopK != 2 {
		t.Errorf("%+v", q)
	}
	near("recall", q.Recall.V, 22/weight/float64(q.Users))
	near("the error", q.RMSE.V, 2*math.Sqrt(8/weight/math.Round(60/weight)))
}

// Noise may leave a matrix that is anything but positive: the fit is as good as its equations, and bounded.
func TestNoisedRatingMatrixIsFitted(t *testing.T) {
	p := privateRatingProgram(t, allRated)
	s := privateRatingRun(t, p)[1]
	for _, gram := range [][]float64{{-9 * 1024, 20 * 1024, -4 * 1024}, {0, 0, 0}, {-1024, 0, 0}} {
		sum := privateRatingSum(p, s)
		sum[0] = gram
		next, _, err := p.Apply(s, sum)
		if err != nil {
			t.Fatal(err)
		}
		for i, w := range next.Coefficients() {
			if !(math.Abs(w) < 2) {
				t.Errorf("%v: coefficient %d is %g", gram, i, w)
			}
		}
	}
}

func TestPrivateRatingSumsThatArent(t *testing.T) {
	p := privateRatingProgram(t, allRated)
	states := privateRatingRun(t, p)
	for _, c := range []struct {
		state, segment int
		value          float64
	}{
		{0, 0, 1e12}, {0, 1, 1e12}, {0, 1, math.NaN()}, {0, 1, 0.5}, {1, 0, 1e12}, {1, 1, -1e12}, {4, 0, 1e12},
	} {
		sum := privateRatingSum(p, states[c.state])
		sum[c.segment][0] = c.value
		if _, _, err := p.Apply(states[c.state], sum); !errors.Is(err, ErrSums) {
			t.Errorf("%g in %s: %v", c.value, states[c.state].Kind(), err)
		}
	}
	// Noise may give a mean and biases beyond the range: they are held to it.
	sum := privateRatingSum(p, states[0])
	sum[1] = []float64{900 * 1024, -500 * 1024, 0}
	s, _, err := p.Apply(states[0], sum)
	if err != nil {
		t.Fatal(err)
	}
	if w := s.Coefficients(); s.Fitted().Mean[0] != 1 || w[2] != maxBias || w[5] != -maxBias {
		t.Errorf("mean %g, biases %g and %g", s.Fitted().Mean[0], w[2], w[5])
	}
	if _, err := p.DecodeState(s.Encode()); err != nil {
		t.Error(err)
	}
}

func TestPrivateRatingStatesThatArent(t *testing.T) {
	p := privateRatingProgram(t, allRated)
	states := privateRatingRun(t, p)
	const head = 2 + 1 + 4 + 4
	const mean = head + 8 + 4 + 3*8 + 4
	const factors = mean + 8 + 4
	const metrics = factors + 9*8 + 8
	number := func(v float64) []byte { return binary.BigEndian.AppendUint64(nil, math.Float64bits(v)) }
	for name, c := range map[string]struct {
		state, at int
		bytes     []byte
	}{
		"another start":              {1, factors, number(0.5)},
		"a mean beyond the range":    {1, mean, number(1.1)},
		"a negative mean":            {2, mean, number(-0.1)},
		"two means":                  {2, mean - 4, []byte{0, 0, 0, 2}},
		"a bias beyond the range":    {1, factors + 2*8, number(2.1)},
		"a trained bias beyond it":   {3, factors + 2*8, number(-2.1)},
		"an item below the noise":    {2, factors + 6*8, number(0.5)},
		"its bias":                   {2, factors + 8*8, number(0.5)},
		"a factor beyond all bounds": {2, factors, number(1e31)},
		"a recall above 1":           {5, metrics + 1, number(1.5)},
		"an error above half ranges": {5, metrics + 3*9 + 1, number(2.1)},
		"a negative error":           {5, metrics + 3*9 + 1, number(-0.1)},
	} {
		data := bytes.Clone(states[c.state].Encode())
		copy(data[c.at:], c.bytes)
		if _, err := p.DecodeState(data); !errors.Is(err, ErrState) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The exported model tells what predicts a rating.
func TestPrivateRatingsAreExported(t *testing.T) {
	p := privateRatingProgram(t, `["rmse"]`)
	states := privateRatingRun(t, p)
	s := states[len(states)-1]
	doc, err := Export(p, s)
	if err != nil {
		t.Fatal(err)
	}
	var m exportFactors
	if err := json.Unmarshal(doc, &m); err != nil {
		t.Fatal(err)
	}
	if m.Feedback != "explicit" || !m.Private || m.Rating != "stars" || *m.HalfRange != 2 || math.Abs(*m.Mean-(1+4*s.Fitted().Mean[0])) > 1e-12 {
		t.Errorf("%s", doc)
	}
	if i := m.Items[1]; len(i.Factor) != 2 || *i.Bias != s.Coefficients()[5] || m.Items[2].Factor != nil || m.Items[2].Bias != nil {
		t.Errorf("%s", doc)
	}
	if q := m.Metrics; q.RMSE == nil || q.Recall != nil || q.Users != int64(math.Round(60*math.Sqrt2)) {
		t.Errorf("%s", doc)
	}
}
