package linear_test

import (
	"math"
	"testing"

	"tributary/models/dataset"
	"tributary/models/linear"
)

// adultPrivate is Adult under a contract: ranges that its description allows without a look at the rows, and the categories
// that it lists, with "?" as one of them.
func adultPrivate(t testing.TB) (*dataset.Table, []feature) {
	t.Helper()
	table, features := readAdult(t).table(t)
	ranges := map[string][2]float64{
		"age": {16, 100}, "fnlwgt": {0, 1_500_000}, "education-num": {1, 16},
		"capital-gain": {0, 100_000}, "capital-loss": {0, 5_000}, "hours-per-week": {0, 100},
	}
	for i, f := range features {
		name := f["name"].(string)
		if r, ok := ranges[name]; ok {
			features[i] = scaled(name, r[0], r[1])
			continue
		}
		features[i] = plainCategory(name, f["values"].([]string)...)
	}
	for _, f := range features {
		if f["name"] == "capital-gain" || f["name"] == "capital-loss" {
			f["log1p"] = true
		}
	}
	return table, features
}

// Private training on Adult under a stated budget keeps its quality: record-level (ε, δ=1e-5), 10 participants of whom 7 are
// counted on, defaults of the plan (T=12, 20 % of the budget for the Gram matrix, 75 % for gradients, 5 % for metrics). A fold of
// the training rows confirmed them; held-out rows are only scored here.
func TestPrivateTrainingOnAdultKeepsItsQuality(t *testing.T) {
	table, features := adultPrivate(t)
	var d *linear.Design
	var gram []float64
	for _, c := range []struct {
		epsilon, mu, least float64
		rule               string
	}{
		{0.3, gaussianMu(0.3, 1e-5), 0.880, "GDP"},
		{1, gaussianMu(1, 1e-5), 0.893, "GDP"},
		{3, gaussianMu(3, 1e-5), 0.896, "GDP"},
		{0.3, renyiMu(0.3, 1e-5), 0.880, "RDP at the best order"}, // what an account's filter allows
		{1, renyiMu(1, 1e-5), 0.893, "RDP at the best order"},
		{3, renyiMu(3, 1e-5), 0.896, "RDP at the best order"},
	} {
		p := privateProgram(t, features, 1_000_000, 12, budget{c.mu, 0.20, 0.75, 0.05})
		var err error
		if d, err = linear.Prepare(p, p.Initial(), table); err != nil {
			t.Fatal(err)
		}
		if gram == nil {
			gram = contributed(t, p, d, p.Initial())
		}
		const seeds = 5
		var mean, square, worst, accuracy float64
		for seed := range uint64(seeds) {
			s, _ := trainPrivate(t, p, d, gram, seed)
			scores, err := linear.Score(p, s, table)
			if err != nil {
				t.Fatal(err)
			}
			held, label := heldOut(table, scores)
			exact := auc(held, label)
			m, _ := s.Metrics()
			mean, square, worst = mean+exact/seeds, square+exact*exact/seeds, max(worst, math.Abs(m.AUC.V-exact))
			for i := range held {
				if (held[i] >= 0.5) == label[i] {
					accuracy += 1 / float64(seeds*len(held))
				}
			}
		}
		t.Logf("ε=%g (μ=%.4f, %s): AUC %.4f (sd %.4f), accuracy %.4f; the noised metrics' AUC errs by at most %.4f", c.epsilon, c.mu, c.rule, mean, math.Sqrt(max(square-mean*mean, 0)), accuracy, worst)
		if !(mean >= c.least) {
			t.Errorf("ε=%g: mean AUC %.4f, want %.3f", c.epsilon, mean, c.least)
		}
		// The noise of the metrics has a deviation near 0.008 at ε=1, by the report.
		if c.epsilon == 1 && worst > 0.04 {
			t.Errorf("ε=1: the noised AUC errs by %.4f", worst)
		}
	}
}

// All of Adult's Gram contributions are given in a fraction of the time that clipping and rounding them takes.
func BenchmarkAdultGramContributions(b *testing.B) {
	table, features := adultPrivate(b)
	p := privateProgram(b, features, 1_000_000, 12, budget{0.268, 0.20, 0.75, 0.05})
	d, err := linear.Prepare(p, p.Initial(), table)
	if err != nil {
		b.Fatal(err)
	}
	for _, form := range []string{"dense", "sparse"} {
		b.Run(form, func(b *testing.B) {
			for b.Loop() {
				if form == "dense" {
					rows, err := d.Contributions(p.Initial(), nil)
					if err != nil {
						b.Fatal(err)
					}
					for range rows {
						continue
					}
					continue
				}
				rows, err := d.SparseContributions(p.Initial(), nil)
				if err != nil {
					b.Fatal(err)
				}
				for range rows {
					continue
				}
			}
		})
	}
}
