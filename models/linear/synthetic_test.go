package linear_test

import (
	"math"
	"math/rand/v2"

	"tributary/models/dataset"
)

// synthetic makes rows with all kinds of columns: a number, a skewed one with missing values, a raw one, a category with an
// unlisted value, one with missing values. Every fifth row is held out.
func synthetic(n int, seed uint64) *dataset.Table {
	r := rand.New(rand.NewPCG(seed, 1))
	t := &dataset.Table{Rows: n}
	age, basket, raw := make([]float64, n), make([]float64, n), make([]float64, n)
	country, device := make([]int32, n), make([]int32, n)
	for i := range n {
		age[i] = 18 + 70*r.Float64()
		basket[i] = math.Min(math.Exp(3+1.5*r.NormFloat64()), 10000)
		if r.IntN(10) == 0 {
			basket[i] = math.NaN()
		}
		raw[i] = -2 + 5*r.Float64()
		country[i] = int32(r.IntN(4)) // 3: unlisted
		device[i] = int32(r.IntN(3)) - 1
		m := -1 + 0.03*(age[i]-50) + 0.5*raw[i] - 0.4*float64(country[i])
		if !math.IsNaN(basket[i]) {
			m += 0.3 * math.Log1p(basket[i]) / 2
		}
		t.Label = append(t.Label, r.Float64() < 1/(1+math.Exp(-m)))
		t.HeldOut = append(t.HeldOut, i%5 == 4)
	}
	t.Columns = []dataset.Column{
		{Name: "device", Codes: device, Values: []string{"desktop", "mobile"}},
		{Name: "age", Numbers: age},
		{Name: "basket", Numbers: basket},
		{Name: "country", Codes: country, Values: []string{"DE", "FR", "NL"}},
		{Name: "raw", Numbers: raw},
	}
	return t
}

// syntheticJob has its features in another order than the table.
func syntheticJob(contributors int) job {
	return job{
		contributors: contributors, bits: 40, maxRows: 5_000_000, maxRounds: 10, l2: 1, tolerance: 1e-10, holdout: true,
		features: []feature{
			number("age", 16, 110),
			number("basket", 0, 10000).with("nullable", true).with("log1p", true).with("missing_indicator", true),
			category("country", 20, "DE", "FR", "NL"),
			number("raw", -3, 5).with("standardize", false),
			category("device", 20, "desktop", "mobile").with("nullable", true).with("missing_indicator", true),
		},
	}
}
