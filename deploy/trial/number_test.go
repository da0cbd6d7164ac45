package trial

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"tributary/models/local"
	"tributary/models/metrics"
	"tributary/models/optim"
	"tributary/protocol/jobspec"
)

// spending is a data set whose label is a number that the columns add up to, with noise of a deviation of 8 in a range of 100.
func spending(rows int) *Data {
	d := &Data{Name: "spending", Columns: []string{"age", "visits", "region", "tier", "spent"}, Label: "spent", Range: &Range{0, 100}, Numbers: []string{"age", "visits"}}
	random := rand.New(rand.NewPCG(7, 9))
	var regions [10]float64
	for i := range regions {
		regions[i] = 6 * random.NormFloat64()
	}
	for i := range rows {
		age, visits, region, tier := 20+50*random.Float64(), 30*random.Float64(), random.IntN(10), random.IntN(3)
		y := 40 + 0.3*(age-45) + 0.8*(visits-15) + regions[region] + 5*float64(tier-1) + 8*random.NormFloat64()
		d.Rows = append(d.Rows, []string{decimal(age), decimal(visits), "r" + strconv.Itoa(region), "t" + strconv.Itoa(tier), decimal(y)})
		d.Test = append(d.Test, i%5 == 0)
	}
	return d
}

func decimal(v float64) string { return strconv.FormatFloat(v, 'f', 4, 64) }

// numberPairs is pairs with a number as its label: the margin there, and noise.
func numberPairs(rows int, seed uint64) *Data {
	const levels = 8
	d := pairs(0, 0)
	d.Range = &Range{-10, 10}
	random := rand.New(rand.NewPCG(seed, 5))
	var u, v [levels][2]float64
	for i := range levels {
		for f := range 2 {
			u[i][f], v[i][f] = 1.2*random.NormFloat64(), 1.2*random.NormFloat64()
		}
	}
	for i := range rows {
		var row []string
		var at [5]int
		for c := range at {
			at[c] = random.IntN(levels)
			row = append(row, "v"+strconv.Itoa(at[c]))
		}
		x := 2*random.Float64() - 1
		y := u[at[0]][0]*v[at[1]][0] + u[at[0]][1]*v[at[1]][1] + 0.7*x + random.NormFloat64()
		d.Rows, d.Test = append(d.Rows, append(row, decimal(x), decimal(y))), append(d.Test, i%5 == 0)
	}
	return d
}

// hours is Adult with the hours that people work a week as its label, from 1 to 99, and without the census weight.
func hours(t *testing.T) *Data {
	t.Helper()
	d, err := Adult(folder(t))
	if errors.Is(err, fs.ErrNotExist) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	at := slices.Index(d.Columns, "fnlwgt")
	out := &Data{Name: "hours", Label: "hours_per_week", Range: &Range{1, 99}, Test: d.Test,
		Numbers: []string{"age", "education_num", "capital_gain", "capital_loss"}, Columns: slices.Delete(slices.Clone(d.Columns), at, at+1)}
	for _, row := range d.Rows {
		out.Rows = append(out.Rows, slices.Delete(slices.Clone(row), at, at+1))
	}
	return out
}

// privately resolves a private job of a number's label; the model is YAML.
func privately(t *testing.T, d *Data, epsilon, model string) *jobspec.Resolved {
	t.Helper()
	r, err := d.Resolve(epsilon, "{type: logistic_regression, solver: dp_gradient_descent}", model, "[auc]", "[rmse, mae, r2]")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// What a job spec draws noise for is what its program sums: the same segments, whatever metrics are asked for.
func TestNoiseOfANumberIsForTheProgramsSums(t *testing.T) {
	for _, model := range []string{"{type: linear_regression}", "{type: factorization_machine, factors: 4}"} {
		for _, metrics := range []string{"[rmse]", "[mae]", "[r2]", "[rmse, mae]", "[rmse, r2]", "[mae, r2]", "[rmse, mae, r2]"} {
			r, err := spending(10).Resolve("1.0", "{type: logistic_regression, solver: dp_gradient_descent}", model, "[auc]", metrics)
			if err != nil {
				t.Fatal(err)
			}
			p, err := optim.ParseProgram(r.Program())
			if err != nil {
				t.Fatal(err)
			}
			for _, kind := range []optim.RoundKind{optim.Fit, optim.Train, optim.Evaluate} {
				noise, _, ok := r.Noise(uint8(kind))
				layout := p.Layout(kind)
				if !ok || len(layout) != 1 || noise.Segments[0].Name != layout[0].Name || noise.Segments[0].Length != layout[0].Length {
					t.Errorf("%s, %s, %s: noise for %+v, sums of %+v", model, metrics, kind, noise.Segments, layout)
				}
			}
		}
	}
}

// errorsOf is what a model does on all test rows, exactly.
func errorsOf(t *testing.T, d *Data, p *optim.Program, s *optim.State) metrics.Summary {
	t.Helper()
	all, err := d.Deal(1, 0)
	if err != nil {
		t.Fatal(err)
	}
	e, err := local.Evaluate(p, s, all[0])
	if err != nil || !e.Summary.R2.Known {
		t.Fatalf("%+v, %v", e, err)
	}
	return e.Summary
}

// ridge is the exact model's R².
func ridge(t *testing.T, d *Data) float64 {
	t.Helper()
	r, err := d.ResolveExact("{type: linear_regression, l2: 1}", "rmse, r2")
	if err != nil {
		t.Fatal(err)
	}
	tables, err := d.Deal(ExactParticipants, 1)
	if err != nil {
		t.Fatal(err)
	}
	p, s, err := TrainExact(t.Context(), r, tables, nil)
	if err != nil {
		t.Fatal(err)
	}
	return errorsOf(t, d, p, s).R2.V
}

// A private linear regression of 20,000 rows of ten participants is nearly the exact one at ε = 4 for a record, and far better than
// the mean at ε = 1. Over 10 runs (-count 10 -v), R² was 0.643 to 0.645 at ε = 1, and 0.645 to 0.647, as the exact model's, at ε = 4.
func TestPrivateRegressionNearsTheExactOne(t *testing.T) {
	d := spending(20_000)
	exact := ridge(t, d)
	for epsilon, least := range map[string]float64{"1.0": exact - 0.03, "4.0": exact - 0.01} {
		p, s, report := trainUnsealed(t, d, privately(t, d, epsilon, "{type: linear_regression}"), 1)
		own := errorsOf(t, d, p, s)
		m, _ := s.Metrics()
		t.Logf("ε = %s: R² %.4f, exactly %.4f; told %.4f, and an RMSE of %.3f for %.3f (%s)", epsilon, own.R2.V, exact, m.R2.V, m.RMSE.V, own.RMSE.V, report.Note)
		if !(own.R2.V > least) || !m.R2.Known {
			t.Errorf("ε = %s: R² %.4f, want %.4f; told %+v", epsilon, own.R2.V, least, m.R2)
		}
	}
}

// At ε = 1 for a record a private factorization machine finds in 40,000 rows what two columns say together, which no linear model can.
// Over 8 runs (-count 8 -v) its R² was 0.758 to 0.802, the linear model's 0.128 to 0.135.
func TestPrivateMachineOfANumberBeatsPrivateRegression(t *testing.T) {
	d := numberPairs(40_000, 1)
	var r2 [2]float64
	for i, model := range []string{"{type: linear_regression}", "{type: factorization_machine, factors: 4}"} {
		p, s, _ := trainUnsealed(t, d, privately(t, d, "1.0", model), 1)
		r2[i] = errorsOf(t, d, p, s).R2.V
	}
	t.Logf("R² of the machine %.4f, of linear regression %.4f", r2[1], r2[0])
	if !(r2[1] > r2[0]+0.3) {
		t.Errorf("R² of the machine %.4f, of linear regression %.4f", r2[1], r2[0])
	}
}

// What the noise moves the metrics by is what the report says: over 40 draws for one model their deviations from what the rows say are
// as large on average as its noise makes them, and without a tendency. The χ² of 40 draws is outside of these bounds, and the mean beyond
// 4.5 deviations, with a probability below 10⁻⁴.
func TestNoiseOfANumbersMetrics(t *testing.T) {
	d := spending(20_000)
	r := privately(t, d, "4.0", "{type: linear_regression, max_rounds: 20}")
	tables, err := d.Deal(Participants, 1)
	if err != nil {
		t.Fatal(err)
	}
	p, s, _ := trainUnsealed(t, d, r, 1)
	own := errorsOf(t, d, p, s)
	// The state before the last round: EVALUATE's, with the same coefficients.
	at := evaluating(t, p, s)
	noise, _, _ := r.Noise(uint8(optim.Evaluate))
	sigma := math.Sqrt(Participants*noise.Local.Float()) / float64(r.Private.Scale)
	half, n := 50.0, float64(own.HeldOut)
	square := own.RMSE.V * own.RMSE.V / half / half
	lanes := map[string]struct{ exact, deviation float64 }{
		"rows": {n, sigma / 0.25},
		"mae":  {own.MAE.V, half * sigma * math.Hypot(32.0/7, own.MAE.V/half/0.25) / n},
		"rmse": {own.RMSE.V, half * sigma * math.Hypot(1/0.5, square/0.25) / n / (2 * math.Sqrt(square))},
	}
	const draws = 40
	sums, chi := map[string]float64{}, map[string]float64{}
	for range draws {
		sum := make([]float64, p.Layout(optim.Evaluate)[0].Length)
		for _, table := range tables {
			part, err := noised(r, p, at, table)
			if err != nil {
				t.Fatal(err)
			}
			for i := range sum {
				sum[i] += float64(part[i])
			}
		}
		next, _, err := p.Apply(at, [][]float64{sum})
		if err != nil {
			t.Fatal(err)
		}
		m, _ := next.Metrics()
		for name, got := range map[string]float64{"rows": float64(m.HeldOut), "mae": m.MAE.V, "rmse": m.RMSE.V} {
			z := (got - lanes[name].exact) / lanes[name].deviation
			sums[name], chi[name] = sums[name]+z, chi[name]+z*z
		}
	}
	for name := range lanes {
		t.Logf("%s: %.3f ± %.3f; mean z %.2f, χ² %.1f", name, lanes[name].exact, lanes[name].deviation, sums[name]/draws, chi[name])
		if math.Abs(sums[name])/math.Sqrt(draws) > 4.5 || chi[name] < 13 || chi[name] > 90 {
			t.Errorf("%s: mean z %.2f, χ² %.1f of %d", name, sums[name]/draws, chi[name], draws)
		}
	}
}

// evaluating gives a finished state as it was before its metrics.
func evaluating(t *testing.T, p *optim.Program, s *optim.State) *optim.State {
	t.Helper()
	data := s.Encode()
	data = data[:len(data)-8-3*9] // rows and three metrics
	data[2] = byte(optim.Evaluate)
	data[6]--
	out, err := p.DecodeState(data)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// The whole way through sealed sums, of every unit: the members' parts are encrypted, added and opened.
func TestSealedPrivateRegressionFindsASignal(t *testing.T) {
	d := spending(6000)
	for unit, edits := range map[string][]string{
		"record": nil,
		"user":   {"unit: record", "unit: user", `delta: "1e-05"`, `delta: "1e-05", clip: "1"`},
	} {
		edits = append(edits, "{type: logistic_regression, solver: dp_gradient_descent}", `{type: linear_regression, max_rounds: 20, sampling: {rate: "0.3"}}`, "[auc]", "[rmse, mae, r2]")
		r, err := d.Resolve("4", edits...)
		if err != nil {
			t.Fatal(err)
		}
		tables, err := d.Deal(Participants, 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, table := range tables { // each row is another user's
			for i := range table.Rows {
				table.User = append(table.User, int32(i))
			}
		}
		p, s, err := Train(t.Context(), r, tables)
		if err != nil {
			t.Fatal(err)
		}
		own := errorsOf(t, d, p, s)
		m, _ := s.Metrics()
		t.Logf("%s: R² %.4f; told %+v", unit, own.R2.V, m)
		if !(own.R2.V > 0.5) || !m.RMSE.Known || math.Abs(m.RMSE.V-own.RMSE.V) > 6 {
			t.Errorf("%s: R² %.4f, RMSE %.3f; told %+v", unit, own.R2.V, own.RMSE.V, m)
		}
	}
}

// On the hours that people work, of Adult: 32,561 training rows, 91 columns. Run with -v it prints the numbers of docs/jobs.md.
func TestPrivateRegressionOfHours(t *testing.T) {
	d := hours(t)
	exact := ridge(t, d)
	line := fmt.Sprintf("R² %.3f exactly", exact)
	for _, c := range []struct {
		epsilon string
		least   float64
	}{{"1.0", exact - 0.02}, {"4.0", exact - 0.01}} {
		p, s, _ := trainUnsealed(t, d, privately(t, d, c.epsilon, "{type: linear_regression}"), 1)
		own := errorsOf(t, d, p, s)
		m, _ := s.Metrics()
		line += fmt.Sprintf(", %.3f at ε = %s (told %.3f)", own.R2.V, c.epsilon, m.R2.V)
		if !(own.R2.V > c.least) {
			t.Errorf("ε = %s: R² %.4f, want %.4f", c.epsilon, own.R2.V, c.least)
		}
	}
	t.Log(line)
}
