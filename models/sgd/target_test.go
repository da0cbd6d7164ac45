package sgd_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"tributary/models/dataset"
	"tributary/models/linear"
	"tributary/models/local"
	"tributary/models/optim"
	"tributary/models/sgd"
)

// spending are rows whose label is a number: 200 and 50 times the pairs' margin, with noise of deviation 25.
func (p *pairs) spending(n, rows int, random *rand.Rand) []*dataset.Table {
	tables := p.tables(n, rows, random)
	for _, t := range tables {
		t.Label, t.Target = nil, make([]float64, t.Rows)
		for i := range t.Target {
			a, b, x := t.Columns[0].Codes[i], t.Columns[1].Codes[i], t.Columns[2].Numbers[i]
			margin := p.left[a] + p.right[b] + p.effect(int(a), int(b)) + 0.7*x
			t.Target[i] = min(max(200+50*margin+25*random.NormFloat64(), -1000), 2000)
		}
	}
	return tables
}

func targetProgram(t *testing.T, levels, contributors int, model string) *optim.Program {
	t.Helper()
	doc, err := program(t, levels, contributors, newton).Document()
	if err != nil {
		t.Fatal(err)
	}
	text := string(doc)
	at := strings.Index(text, `"model":`)
	text = text[:at] + `"model":` + model + `,"evaluate":{"holdout":true,"metrics":["rmse","mae","r2"]},"label":{"min":-1000,"max":2000}}`
	p, err := optim.ParseProgram([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const ridge = `{"type":"linear_regression","l2":2,"solver":"newton","max_rounds":10,"tolerance":1e-9}`

// A factorization machine finds the products that move a number, and by each optimizer: it errs by little more than the noise, where
// a linear model errs by what the products explain, and what it finds are the true effects.
func TestFactorizationMachineOfANumberBeatsLinearAndRecoversThePairs(t *testing.T) {
	const levels = 20
	random := rand.New(rand.NewPCG(21, 22))
	truth := newPairs(levels, random)
	tables := truth.spending(4, 8_000, random)
	linear, _ := train(t, targetProgram(t, levels, 4, ridge), tables)
	baseline, _ := linear.Metrics()
	for optimizer, rate := range map[string]string{"adagrad": "0.1", "ftrl": "0.1", "sgd": "0.5"} {
		p := targetProgram(t, levels, 4, averaging("factorization_machine", "fedavg", 25, 4, optimizer, `"learning_rate":`+rate+`,"server_rate":1,"patience":0`))
		s, _ := train(t, p, tables)
		m, _ := s.Metrics()
		r := correlation(truth, p, s)
		t.Logf("%s: RMSE %.2f, R² %.4f, correlation %.4f; linear %.2f, %.4f", optimizer, m.RMSE.V, m.R2.V, r, baseline.RMSE.V, baseline.R2.V)
		if !(m.RMSE.V < 0.5*baseline.RMSE.V && m.RMSE.V < 1.3*25) {
			t.Errorf("%s: RMSE %.2f, a linear model has %.2f", optimizer, m.RMSE.V, baseline.RMSE.V)
		}
		if !(r > 0.95) {
			t.Errorf("%s: learnt and true effects of pairs correlate by %.3f", optimizer, r)
		}
	}
}

// Averaged linear regression comes close to the ridge solution on the same sums.
func TestAveragedLinearRegressionComesCloseToRidge(t *testing.T) {
	const levels = 10
	random := rand.New(rand.NewPCG(23, 24))
	tables := newPairs(levels, random).spending(4, 5_000, random)
	s, _ := train(t, targetProgram(t, levels, 4, ridge), tables)
	best, _ := s.Metrics()
	for _, c := range []struct{ solver, optimizer, more string }{
		{"fedavg", "sgd", `"learning_rate":0.1,"server_rate":1,"patience":0`},
		{"fedavg", "adagrad", `"learning_rate":0.1,"server_rate":1,"patience":0`},
		{"fedavg", "ftrl", `"learning_rate":0.1,"server_rate":1,"patience":0`},
		{"fedprox", "sgd", `"learning_rate":0.1,"proximal":0.01,"server_rate":1,"patience":0`},
		{"fedadam", "sgd", `"learning_rate":0.1,"server_rate":0.02,"patience":0`},
	} {
		s, _ := train(t, targetProgram(t, levels, 4, averaging("linear_regression", c.solver, 30, 0, c.optimizer, c.more)), tables)
		m, _ := s.Metrics()
		excess := m.Objective/best.Objective - 1
		t.Logf("%s, %s: the objective is %.6f above", c.solver, c.optimizer, excess)
		most := 5e-3
		if c.solver == optim.FedAdam {
			most = 0.05 // its steps have the server's rate, whatever is left to go
		}
		if !(excess >= -1e-9 && excess < most) {
			t.Errorf("%s, %s: the objective is %.6f above the optimum, relatively", c.solver, c.optimizer, excess)
		}
	}
}

// With a patience, training ends once the held-out loss gets no better, and keeps the best coefficients.
func TestEarlyStoppingOfANumberKeepsTheBestRound(t *testing.T) {
	const levels = 40
	random := rand.New(rand.NewPCG(25, 26))
	tables := newPairs(levels, random).spending(3, 600, random) // few rows: it overfits
	model := func(patience int) string {
		return strings.Replace(averaging("factorization_machine", "fedavg", 40, 8, "adagrad", fmt.Sprintf(`"learning_rate":0.3,"server_rate":1,"patience":%d`, patience)), `"l2":2`, `"l2":0`, 1)
	}
	full, _ := train(t, targetProgram(t, levels, 3, model(0)), tables)
	stopped, reports := train(t, targetProgram(t, levels, 3, model(3)), tables)
	all, _ := full.Metrics()
	kept, _ := stopped.Metrics()
	if stopped.TrainRounds() >= 40 || !(kept.RMSE.V < all.RMSE.V) {
		t.Errorf("stopped after %d rounds with RMSE %.2f; all have %.2f", stopped.TrainRounds(), kept.RMSE.V, all.RMSE.V)
	}
	if note := reports[len(reports)-2].Note; !strings.Contains(note, "held-out loss") {
		t.Errorf("note %q", note)
	}
}

// What a participant scores are numbers of the contract's unit, and their errors on held-out rows are what the sealed sums gave.
func TestScoresOfANumberAreInItsUnit(t *testing.T) {
	random := rand.New(rand.NewPCG(27, 28))
	tables := newPairs(10, random).spending(2, 2_000, random)
	for _, model := range []string{ridge, averaging("factorization_machine", "fedavg", 5, 2, "adagrad", `"learning_rate":0.1,"server_rate":1,"patience":0`)} {
		p := targetProgram(t, 10, 2, model)
		s, _ := train(t, p, tables)
		square, n := 0.0, 0.0
		for _, table := range tables {
			scores, err := local.Score(p, s, table)
			if err != nil {
				t.Fatal(err)
			}
			for i, y := range table.Target {
				if table.Held(i) {
					square, n = square+(scores[i]-y)*(scores[i]-y), n+1
				}
			}
		}
		if m, _ := s.Metrics(); !(math.Abs(m.RMSE.V-math.Sqrt(square/n)) < 1e-6*m.RMSE.V) {
			t.Errorf("%s: RMSE %.6f, of the scores %.6f", p.Model.Type, m.RMSE.V, math.Sqrt(square/n))
		}
	}
}

// One row far from all others is what would move the coefficients: its participant gives nothing.
func TestExtremeNumberIsRefused(t *testing.T) {
	random := rand.New(rand.NewPCG(29, 30))
	tables := newPairs(5, random).spending(2, 500, random)
	for i := range tables[0].Target {
		tables[0].Target[i] = random.Float64()
	}
	tables[1] = tables[0]
	tables[0].Target[1] = 2000
	p := targetProgram(t, 5, 2, averaging("factorization_machine", "fedavg", 5, 2, "adagrad", `"learning_rate":0.1,"server_rate":1,"patience":0`))
	s := fitted(t, p, tables)
	rows, err := sgd.Prepare(p, s, tables[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rows.Sums(s); !errors.Is(err, linear.ErrConcentrated) {
		t.Errorf("%v", err)
	}
}
