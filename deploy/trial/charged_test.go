package trial

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"tributary/crypto/dp"
	"tributary/crypto/dp/accountant"
	"tributary/models/dataset"
	"tributary/models/local"
	"tributary/models/optim"
	"tributary/models/score"
	"tributary/protocol/jobspec"
)

// chargedRun runs a job of one participant: every sum has the lanes that its spec is charged for, no unit's part is clipped a second time,
// and what leaves differs from the units' sum by the noise of the job. Six deviations: one run of 10⁸ fails.
func chargedRun(t *testing.T, name string, r *jobspec.Resolved, p *optim.Program, table *dataset.Table) *optim.State {
	t.Helper()
	rounds, err := local.New(p, table)
	if err != nil {
		t.Fatal(err)
	}
	square, lanes := 0.0, 0.0 // of the noise in deviations
	s, total := p.Initial(), accountant.Units(0)
	for s.Kind() != optim.Done {
		noise, sum, ok := r.Noise(uint8(s.Kind()))
		if !ok {
			t.Fatalf("%s: no noise for %s", name, s.Kind())
		}
		charge, err := accountant.ChargeFor(sum, r.Private.Order)
		if err != nil {
			t.Fatal(err)
		}
		total += charge.Units()
		length, clip := noise.Segments[0].Length, float64(noise.Segments[0].Clip)
		params, err := dp.NewParams(noise)
		if err != nil {
			t.Fatal(err)
		}
		released, err := dp.Draw(params)
		if err != nil {
			t.Fatal(err)
		}
		units, err := rounds.Contributions(s, nil)
		if err != nil {
			t.Fatal(err)
		}
		exact := make([]float64, length)
		for at, values := range units {
			norm := 0.0
			for i, lane := range at {
				exact[lane] += values[i]
				norm += values[i] * values[i]
			}
			if norm = math.Sqrt(norm); norm > clip*(1+1e-12) {
				t.Fatalf("%s, %s: a unit's norm is %g, the clip %g", name, s.Kind(), norm, clip)
			}
			if err := released.AddSparse(at, values); err != nil {
				t.Fatal(err)
			}
		}
		out, err := released.Release()
		if err != nil {
			t.Fatal(err)
		}
		lanesOut, err := out.Take()
		if err != nil {
			t.Fatal(err)
		}
		var segments [][]float64
		at := 0
		for _, segment := range p.Layout(s.Kind()) {
			values := make([]float64, segment.Length)
			for i := range values {
				values[i] = float64(lanesOut[at])
				d := (values[i] - exact[at]) / math.Sqrt(noise.Local.Float())
				square, lanes = square+d*d, lanes+1
				at++
			}
			segments = append(segments, values)
		}
		if at != length {
			t.Fatalf("%s, %s: %d lanes, charged are %d", name, s.Kind(), at, length)
		}
		next, _, err := p.Apply(s, segments)
		if err != nil {
			t.Fatalf("%s, %s: %v", name, s.Kind(), err)
		}
		if s, err = p.DecodeState(next.Encode()); err != nil {
			t.Fatalf("%s, %s: %v", name, next.Kind(), err)
		}
	}
	if deviation := math.Sqrt(square / lanes); math.Abs(deviation-1) > 6/math.Sqrt(2*lanes) {
		t.Errorf("%s: the noise has %.3f of its deviation over %.0f lanes", name, deviation, lanes)
	}
	limit, err := r.Cap()
	if err != nil {
		t.Fatal(err)
	}
	budget, err := limit.BudgetAt(r.Private.Order)
	if cost, wrong := r.Cost(r.Private.Order); err != nil || wrong != nil || cost != total || total > budget {
		t.Errorf("%s: %d units are charged, %d were told, the budget is %d", name, total, cost, budget)
	}
	return s
}

const everythingContract = `version: 1
name: everything
revision: 1
key: id
max_rows: 100000
label: %s
columns:
  age: {type: number, min: 0, max: 128}
  income: {type: number, min: 0, max: 1e7, nullable: true}
  debt: {type: number, min: -1000, max: 1e6}
  country: {type: category, values: [DE, FR], other: keep}
  since: {type: date, min: 2015-03-01, max: 2020-12-31, nullable: true}
  left: {type: date, min: 2015-03-01, max: 2020-12-31}
`

const everythingSpec = `version: 1
name: everything
contract: everything@1
features:
  - {columns: [age], buckets: {edges: [18, 30, 45]}}
  - {columns: [income], transform: [log1p, standardize], missing: indicator}
  - {columns: [debt], transform: scale, clip: {quantiles: [0.05, 0.95]}}
  - {columns: [country], transform: one_hot}
  - {columns: [since], date_parts: [weekday, month]}
  - {columns: [since], transform: days, buckets: {quantiles: 4}}
  - {columns: [left], transform: [days, standardize], clip: {deviations: 2, quantiles: [0, 0.9]}}
  - {cross: [age, since.weekday, country], buckets: 64}
model: %s
evaluate: %s
privacy: {unit: %s, epsilon: "8", delta: "1e-5"}
run: {mode: sealed, seed: 3}
`

// everything are rows of it, with values at the ends of ranges and missing ones, of users with 1 to 7 rows.
func everything(rows int) *dataset.Table {
	random := rand.New(rand.NewPCG(11, 12))
	t := &dataset.Table{Rows: rows, Columns: []dataset.Column{{Name: "age"}, {Name: "income"}, {Name: "debt"}, {Name: "country", Values: []string{"DE", "FR"}}, {Name: "since"}, {Name: "left"}}}
	first := float64(time.Date(2015, 3, 1, 0, 0, 0, 0, time.UTC).Unix())
	user := int32(0)
	for range rows {
		maybe := func(x float64) float64 {
			if random.IntN(8) == 0 {
				return math.NaN()
			}
			return x
		}
		if random.IntN(3) == 0 {
			user++
		}
		for i, x := range []float64{float64(random.IntN(129)), maybe(float64(random.IntN(2)) * 1e7 * random.Float64()), []float64{-1000, 1e6, 0, 50}[random.IntN(4)]} {
			t.Columns[i].Numbers = append(t.Columns[i].Numbers, x)
		}
		t.Columns[3].Codes = append(t.Columns[3].Codes, int32(random.IntN(3)))
		t.Columns[4].Numbers = append(t.Columns[4].Numbers, maybe(first+float64(random.IntN(2000*86400))))
		t.Columns[5].Numbers = append(t.Columns[5].Numbers, first+float64(random.IntN(2000*86400)))
		t.User, t.HeldOut = append(t.User, user), append(t.HeldOut, random.IntN(4) == 0)
	}
	return t
}

// Each private model, of everything that features can be, sums what it is charged for, within what is told before, whatever it protects;
// and gives a model that scores.
func TestEveryPrivateJobIsNoisedAsItIsCharged(t *testing.T) {
	const yesNo, number, classes = `{column: y, positive: "yes", negative: "no"}`, "{column: y, type: number, min: -50, max: 100}", "{column: y, classes: [a, b, c]}"
	for _, c := range []struct{ label, model, metrics string }{
		{yesNo, "{type: logistic_regression, max_rounds: 3}", "auc, log_loss, accuracy"},
		{yesNo, "{type: logistic_regression, solver: dp_sgd, max_rounds: 3}", "auc"},
		{yesNo, "{type: factorization_machine, factors: 2, max_rounds: 3}", "auc"},
		{classes, "{type: multinomial_logistic_regression, max_rounds: 3}", "accuracy"},
		{number, "{type: linear_regression, max_rounds: 3}", "rmse, mae, r2"},
		{number, "{type: factorization_machine, factors: 2, max_rounds: 3}", "r2"},
	} {
		contract, problems := jobspec.ParseContract(fmt.Appendf(nil, everythingContract, c.label))
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		for _, unit := range []string{"record", "user, clip: \"3\"", "silo, clip: \"40\""} {
			for _, evaluate := range []string{"{holdout: 0.2, metrics: [" + c.metrics + "]}", ""} {
				name := c.model + ", " + unit + ", " + evaluate
				text := fmt.Sprintf(everythingSpec, c.model, evaluate, unit)
				if evaluate == "" {
					text = fmt.Sprintf(everythingSpec, c.model, "{holdout: 0}", unit)
				}
				spec, problems := jobspec.ParseSpec([]byte(text))
				if len(problems) > 0 {
					t.Fatal(problems)
				}
				r, problems := jobspec.Resolve(spec, contract, jobspec.Options{F: 1, Contributors: 4, Seats: 4})
				if len(problems) > 0 {
					t.Fatal(problems)
				}
				p, err := optim.ParseProgram(r.Program())
				if err != nil {
					t.Fatal(err)
				}
				table := everything(300)
				if evaluate == "" {
					table.HeldOut = nil
				}
				for i := range table.Rows {
					switch c.label {
					case yesNo:
						table.Label = append(table.Label, i%3 == 0)
					case number:
						table.Target = append(table.Target, []float64{-50, 100, float64(i % 100)}[i%3])
					default:
						table.Class, table.Classes = append(table.Class, int32(i%3)), []string{"a", "b", "c"}
					}
				}
				s := chargedRun(t, name, r, p, table)
				document, err := optim.Export(p, s)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := score.Parse(document); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			}
		}
	}
}
