package linear_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"tributary/models/linear"
	"tributary/models/optim"
)

// budget is a total of (Δ/σ)² and its shares, as the job's plan deals them.
type budget struct{ mu, gram, gradients, metrics float64 }

// gaussianMu is the largest μ of a Gaussian mechanism with (ε, δ): δ = Φ(μ/2-ε/μ) - e^ε·Φ(-μ/2-ε/μ) [BW18, Thm. 8].
func gaussianMu(epsilon, delta float64) float64 {
	phi := func(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }
	lo, hi := 1e-6, 100.0
	for range 200 {
		mu := (lo + hi) / 2
		if phi(mu/2-epsilon/mu)-math.Exp(epsilon)*phi(-mu/2-epsilon/mu) > delta {
			hi = mu
		} else {
			lo = mu
		}
	}
	return lo
}

// renyiMu is the largest μ whose Rényi curve α·μ²/2 gives (ε, δ) at the best integer order: what an account's filter allows
// [CKS20, Prop. 12].
func renyiMu(epsilon, delta float64) float64 {
	best := 0.0
	for a := 2.0; a < 5000; a++ {
		best = max(best, 2*(epsilon-math.Log(1/(a*delta))/(a-1)+math.Log(a/(a-1)))/a)
	}
	return math.Sqrt(best)
}

// overshoot is the noise's excess variance when 10 participants send and 7 are counted on.
const overshoot = 10.0 / 7

const unit = 1 << 14 // the scale of private test programs

// privateProgram gives a program whose sums carry the budget's noise.
func privateProgram(t testing.TB, features []feature, maxRows, rounds int, b budget) *optim.Program {
	t.Helper()
	sigma2 := func(share float64, rounds int) string {
		if share == 0 {
			return "0"
		}
		return strconv.FormatUint(uint64(math.Ceil(unit*unit*float64(rounds)/(share*b.mu*b.mu))), 10)
	}
	metrics := []string{"auc", "log_loss", "accuracy"}
	if b.metrics == 0 {
		metrics = []string{}
	}
	doc, err := json.Marshal(map[string]any{
		"version": 1, "contributors": 10, "bits": 40, "max_rows": maxRows, "features": features,
		"model": map[string]any{"type": "logistic_regression", "l2": 1, "solver": "dp_gradient_descent", "max_rounds": rounds},
		"private": map[string]any{"unit": "record", "clip": 1, "scale": unit, "bins": 50, "sigma2_fit": sigma2(b.gram, 1),
			"sigma2_train": sigma2(b.gradients, rounds), "sigma2_evaluate": sigma2(b.metrics, 1)},
		"evaluate": map[string]any{"holdout": true, "metrics": metrics},
	})
	if err != nil {
		t.Fatal(err)
	}
	p, err := optim.ParseProgram(doc)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func scaled(name string, lo, hi float64) feature {
	return feature{"name": name, "kind": "number", "min": lo, "max": hi, "nullable": false, "log1p": false, "scale": true, "missing_indicator": false}
}

func plainCategory(name string, values ...string) feature {
	return feature{"name": name, "kind": "category", "values": values, "nullable": false, "missing_indicator": false}
}

// contributed sums the contributions of a state's round without noise.
func contributed(t testing.TB, p *optim.Program, d *linear.Design, s *optim.State) []float64 {
	t.Helper()
	rows, err := d.SparseContributions(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	length := 0
	for _, segment := range p.Layout(s.Kind()) {
		length += segment.Length
	}
	total := make([]float64, length)
	for lanes, values := range rows {
		for i, lane := range lanes {
			total[lane] += values[i]
		}
	}
	return total
}

// noised adds Gaussian noise of the program's variance, with the overshoot, and rounds to integers. A test may draw its noise
// from math/rand; a participant's comes from crypto/dp.
func noised(p *optim.Program, kind optim.RoundKind, sum []float64, r *rand.Rand) []float64 {
	q := p.Privacy()
	sigma2 := map[optim.RoundKind]uint64{optim.Sketch: q.Sigma2Sketch, optim.Fit: q.Sigma2Fit, optim.Train: q.Sigma2Train, optim.Evaluate: q.Sigma2Evaluate}[kind]
	sigma := math.Sqrt(overshoot * float64(sigma2))
	out := slices.Clone(sum)
	for i := range out {
		out[i] = math.RoundToEven(out[i] + sigma*r.NormFloat64())
	}
	return out
}

// trainPrivate runs a private job to its end, decoding every state as participants do. gram is FIT's sum, which doesn't depend
// on the state.
func trainPrivate(t testing.TB, p *optim.Program, d *linear.Design, gram []float64, seed uint64) (*optim.State, []optim.Report) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 7))
	s := p.Initial()
	var reports []optim.Report
	for s.Kind() != optim.Done {
		sum := gram
		if s.Kind() != optim.Fit {
			sum = contributed(t, p, d, s)
		}
		next, report, err := p.Apply(s, [][]float64{noised(p, s.Kind(), sum, r)})
		if err != nil {
			t.Fatalf("%s at step %d: %v", s.Kind(), s.Step(), err)
		}
		encoded := next.Encode()
		if s, err = p.DecodeState(encoded); err != nil {
			t.Fatalf("a state of Apply is refused: %v", err)
		}
		if string(s.Encode()) != string(encoded) {
			t.Fatal("a decoded state encodes differently")
		}
		reports = append(reports, report)
	}
	return s, reports
}
