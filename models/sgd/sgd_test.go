package sgd_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"tributary/models/dataset"
	"tributary/models/local"
	"tributary/models/optim"
	"tributary/models/sgd"
)

// pairs is a data set whose label depends on two categories by themselves and by a rank-2 product of theirs, and on a number.
type pairs struct {
	levels int
	left   []float64    // per level of "left"
	right  []float64    // per level of "right"
	u, v   [][2]float64 // per level: the effect of a pair is u·v
}

func newPairs(levels int, random *rand.Rand) *pairs {
	p := &pairs{levels: levels}
	for range levels {
		p.left, p.right = append(p.left, 0.5*random.NormFloat64()), append(p.right, 0.5*random.NormFloat64())
		p.u = append(p.u, [2]float64{1.2 * random.NormFloat64(), 1.2 * random.NormFloat64()})
		p.v = append(p.v, [2]float64{1.2 * random.NormFloat64(), 1.2 * random.NormFloat64()})
	}
	return p
}

func (p *pairs) effect(a, b int) float64 { return p.u[a][0]*p.v[b][0] + p.u[a][1]*p.v[b][1] }

func names(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("v%d", i))
	}
	return out
}

// tables draws rows for n participants; every fifth is held out. Participants see levels unevenly.
func (p *pairs) tables(n, rows int, random *rand.Rand) (out []*dataset.Table) {
	for member := range n {
		t := &dataset.Table{Rows: rows, Label: make([]bool, rows), HeldOut: make([]bool, rows)}
		left, right := dataset.Column{Name: "left", Values: names(p.levels)}, dataset.Column{Name: "right", Values: names(p.levels)}
		x := dataset.Column{Name: "x"}
		for i := range rows {
			a, b := random.IntN(p.levels), random.IntN(p.levels)
			if random.IntN(2) == 0 {
				a = (a/n*n + member) % p.levels
			}
			z := 2*random.Float64() - 1
			margin := p.left[a] + p.right[b] + p.effect(a, b) + 0.7*z
			left.Codes, right.Codes, x.Numbers = append(left.Codes, int32(a)), append(right.Codes, int32(b)), append(x.Numbers, z)
			t.Label[i], t.HeldOut[i] = random.Float64() < 1/(1+math.Exp(-margin)), i%5 == 0
		}
		t.Columns = []dataset.Column{left, right, x}
		out = append(out, t)
	}
	return out
}

func program(t *testing.T, levels, contributors int, model string) *optim.Program {
	t.Helper()
	values := `"` + strings.Join(names(levels), `","`) + `"`
	category := `{"name":"%s","kind":"category","values":[` + values + `],"nullable":false,"missing_indicator":false,"min_count":1}`
	p, err := optim.ParseProgram([]byte(`{"version":1,"contributors":` + fmt.Sprint(contributors) + `,"bits":40,"max_rows":1000000,"features":[` +
		fmt.Sprintf(category, "left") + `,` + fmt.Sprintf(category, "right") +
		`,{"name":"x","kind":"number","min":-1,"max":1,"nullable":false,"log1p":false,"standardize":true,"clip":64,"missing_indicator":false}],` +
		`"model":` + model + `,"evaluate":{"holdout":true,"metrics":["auc","log_loss","accuracy"]}}`))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// train runs a job as its participants and the server would, without the seal, and gives every step's report.
func train(t *testing.T, p *optim.Program, tables []*dataset.Table) (*optim.State, []optim.Report) {
	t.Helper()
	var members []local.Rounds
	for _, table := range tables {
		m, err := local.New(p, table)
		if err != nil {
			t.Fatal(err)
		}
		members = append(members, m)
	}
	var reports []optim.Report
	s := p.Initial()
	for s.Kind() != optim.Done {
		var sum [][]float64
		for _, m := range members {
			part, err := m.Sums(s)
			if err != nil {
				t.Fatal(err)
			}
			if sum == nil {
				sum = part
				continue
			}
			for i := range part {
				for j, v := range part[i] {
					sum[i][j] += v
				}
			}
		}
		decoded, err := p.DecodeState(s.Encode())
		if err != nil {
			t.Fatalf("%s: %v", s.Kind(), err)
		}
		next, report, err := p.Apply(decoded, sum)
		if err != nil {
			t.Fatal(err)
		}
		reports = append(reports, report)
		s = next
	}
	return s, reports
}

// averaging writes a program's model; options overwrite defaults.
func averaging(kind, solver string, rounds, factors int, optimizer string, more string) string {
	machine := ""
	if factors > 0 {
		machine = fmt.Sprintf(`"factors":%d,`, factors)
	}
	batch := 1
	if optimizer == "sgd" {
		batch = 32
	}
	return fmt.Sprintf(`{"type":"%s","l2":2,"solver":"%s","max_rounds":%d,"tolerance":0,%s"averaging":{"epochs":1,"batch":%d,"optimizer":"%s",%s,"seed":"1"}}`,
		kind, solver, rounds, machine, batch, optimizer, more)
}

const newton = `{"type":"logistic_regression","l2":2,"solver":"newton","max_rounds":10,"tolerance":1e-9}`

// A factorization machine finds the products that a linear model can't, and by each optimizer.
func TestFactorizationMachineBeatsLinearAndRecoversThePairs(t *testing.T) {
	const levels = 20
	random := rand.New(rand.NewPCG(1, 2))
	truth := newPairs(levels, random)
	tables := truth.tables(4, 8_000, random)
	linear, _ := train(t, program(t, levels, 4, newton), tables)
	baseline, _ := linear.Metrics()
	// A batch's mean gradient moves a rare column little: sgd needs another rate.
	for optimizer, rate := range map[string]string{"adagrad": "0.1", "ftrl": "0.1", "sgd": "2"} {
		p := program(t, levels, 4, averaging("factorization_machine", "fedavg", 15, 4, optimizer, `"learning_rate":`+rate+`,"server_rate":1,"patience":0`))
		s, _ := train(t, p, tables)
		m, _ := s.Metrics()
		if !(m.AUC.V > baseline.AUC.V+0.1) {
			t.Errorf("%s: AUC %.4f, a linear model has %.4f", optimizer, m.AUC.V, baseline.AUC.V)
		}
		if r := correlation(truth, p, s); !(r > 0.95) {
			t.Errorf("%s: learnt and true effects of pairs correlate by %.3f", optimizer, r)
		}
	}
}

// correlation is that of the true and learnt effects of pairs, each without its rows' and columns' means: those are the linear
// part's as much as the factors'.
func correlation(truth *pairs, p *optim.Program, s *optim.State) float64 {
	n, k, w := truth.levels, p.Model.Factors, s.Coefficients()
	columns := len(p.Pipeline().Columns())
	factor := func(column int) []float64 { return w[columns+column*k : columns+(column+1)*k] }
	want, got := make([]float64, n*n), make([]float64, n*n)
	for a := range n {
		for b := range n {
			want[a*n+b] = truth.effect(a, b)
			for f := range k {
				got[a*n+b] += factor(a)[f] * factor(n + 1 + b)[f] // after left=other
			}
		}
	}
	centre(want, n)
	centre(got, n)
	var xy, xx, yy float64
	for i := range want {
		xy, xx, yy = xy+want[i]*got[i], xx+want[i]*want[i], yy+got[i]*got[i]
	}
	return xy / math.Sqrt(xx*yy)
}

func centre(m []float64, n int) {
	for i := range n {
		row, column := 0.0, 0.0
		for j := range n {
			row += m[i*n+j] / float64(n)
		}
		for j := range n {
			m[i*n+j] -= row
		}
		for j := range n {
			column += m[j*n+i] / float64(n)
		}
		for j := range n {
			m[j*n+i] -= column
		}
	}
}

// Averaged linear models come close to the optimum that Newton's method finds on the same sums.
func TestAveragedLinearModelComesCloseToTheOptimum(t *testing.T) {
	const levels = 10
	random := rand.New(rand.NewPCG(3, 4))
	tables := newPairs(levels, random).tables(4, 5_000, random)
	s, _ := train(t, program(t, levels, 4, newton), tables)
	best, _ := s.Metrics()
	for _, c := range []struct{ solver, optimizer, more string }{
		{"fedavg", "sgd", `"learning_rate":0.1,"server_rate":1,"patience":0`},
		{"fedavg", "adagrad", `"learning_rate":0.1,"server_rate":1,"patience":0`},
		{"fedavg", "ftrl", `"learning_rate":0.1,"server_rate":1,"patience":0`},
		{"fedprox", "sgd", `"learning_rate":0.1,"proximal":0.01,"server_rate":1,"patience":0`},
		{"fedadam", "sgd", `"learning_rate":0.1,"server_rate":0.02,"patience":0`},
	} {
		s, _ := train(t, program(t, levels, 4, averaging("logistic_regression", c.solver, 30, 0, c.optimizer, c.more)), tables)
		m, _ := s.Metrics()
		if excess := m.Objective/best.Objective - 1; !(excess >= -1e-9 && excess < 2e-3) {
			t.Errorf("%s, %s: the objective is %.6f above the optimum, relatively", c.solver, c.optimizer, excess)
		}
	}
}

// With a patience, training ends once the held-out loss gets no better, and keeps the best coefficients.
func TestEarlyStoppingKeepsTheBestRound(t *testing.T) {
	const levels = 40
	random := rand.New(rand.NewPCG(5, 6))
	tables := newPairs(levels, random).tables(3, 600, random) // few rows: it overfits
	more := `"learning_rate":0.3,"server_rate":1,"patience":`
	model := func(patience string) string {
		return strings.Replace(averaging("factorization_machine", "fedavg", 40, 8, "adagrad", more+patience), `"l2":2`, `"l2":0`, 1)
	}
	full, _ := train(t, program(t, levels, 3, model("0")), tables)
	stopped, reports := train(t, program(t, levels, 3, model("3")), tables)
	all, _ := full.Metrics()
	kept, _ := stopped.Metrics()
	if stopped.TrainRounds() >= 40 || !(kept.LogLoss.V < all.LogLoss.V) {
		t.Errorf("%d rounds, held-out log loss %.4f; without stopping %.4f", stopped.TrainRounds(), kept.LogLoss.V, all.LogLoss.V)
	}
	least := math.Inf(1)
	for _, r := range reports {
		var loss float64
		if n, _ := fmt.Sscanf(r.Note, "held-out log loss %f", &loss); n == 1 {
			least = min(least, loss)
		}
	}
	if math.Abs(least-kept.LogLoss.V) > 1e-5 {
		t.Errorf("kept a held-out log loss of %.5f, the best round had %.5f", kept.LogLoss.V, least)
	}
}

// What is sent is as long, and as dense, whichever columns a participant's rows touch.
func TestLengthOfAnUploadSaysNothingOfTheRows(t *testing.T) {
	const levels = 10
	random := rand.New(rand.NewPCG(7, 8))
	p := program(t, levels, 2, averaging("factorization_machine", "fedavg", 3, 2, "adagrad", `"learning_rate":0.1,"server_rate":1,"patience":0`))
	tables := newPairs(levels, random).tables(2, 400, random)
	for i := range tables[1].Columns[0].Codes {
		tables[1].Columns[0].Codes[i] = 3 // one level only
	}
	_, _ = train(t, p, tables)
	s := fitted(t, p, tables)
	for _, table := range tables {
		rows, err := local.New(p, table)
		if err != nil {
			t.Fatal(err)
		}
		sums, err := rows.Sums(s)
		if err != nil {
			t.Fatal(err)
		}
		for i, segment := range p.Layout(optim.Train) {
			if len(sums[i]) != segment.Length {
				t.Errorf("segment %s has %d values, want %d", segment.Name, len(sums[i]), segment.Length)
			}
		}
	}
}

// fitted is the state after FIT.
func fitted(t *testing.T, p *optim.Program, tables []*dataset.Table) *optim.State {
	t.Helper()
	var sum [][]float64
	for _, table := range tables {
		rows, err := local.New(p, table)
		if err != nil {
			t.Fatal(err)
		}
		part, err := rows.Sums(p.Initial())
		if err != nil {
			t.Fatal(err)
		}
		if sum == nil {
			sum = part
			continue
		}
		for i := range part {
			for j, v := range part[i] {
				sum[i][j] += v
			}
		}
	}
	s, _, err := p.Apply(p.Initial(), sum)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A coordinator that sends a state at which all rows but a few fit perfectly would get those few rows' change alone.
func TestStateThatSinglesOutRowsIsRefused(t *testing.T) {
	const rows = 400
	table := &dataset.Table{Rows: rows, Label: make([]bool, rows), HeldOut: make([]bool, rows)}
	left, right, x := dataset.Column{Name: "left", Values: names(2)}, dataset.Column{Name: "right", Values: names(2)}, dataset.Column{Name: "x"}
	for i := range rows {
		positive := i%2 == 0
		left.Codes, right.Codes, x.Numbers = append(left.Codes, int32(i%2)), append(right.Codes, 0), append(x.Numbers, float64(i%7)/7)
		table.Label[i] = positive != (i < 4) // four rows are the other way round
	}
	table.Columns = []dataset.Column{left, right, x}
	p := program(t, 2, 1, averaging("logistic_regression", "fedavg", 3, 0, "sgd", `"learning_rate":0.1,"server_rate":1,"patience":0`))
	s := fitted(t, p, []*dataset.Table{table})
	rounds, err := local.New(p, table)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rounds.Sums(s); err != nil {
		t.Fatalf("the first round: %v", err)
	}
	// left=v0 carries +60, left=v1 -60: all but four rows have a residual near 0.
	sum := [][]float64{{rows}, {0.1}, make([]float64, p.Coefficients())}
	sum[2][0], sum[2][1] = 1, -1
	for range 2 {
		if s, _, err = p.Apply(s, sum); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := rounds.Sums(s); !errors.Is(err, local.ErrConcentrated) {
		t.Errorf("a state that singles four rows out: %v", err)
	}
}

// The same rows and state give the same bits.
func TestLocalTrainingIsDeterministic(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 10))
	tables := newPairs(8, random).tables(2, 500, random)
	p := program(t, 8, 2, averaging("factorization_machine", "fedadam", 4, 3, "adagrad", `"learning_rate":0.1,"server_rate":0.05,"patience":2`))
	first, _ := train(t, p, tables)
	second, _ := train(t, p, tables)
	if !bytes.Equal(first.Encode(), second.Encode()) {
		t.Error("two runs end in different states")
	}
}

// A rate that is too high is told, and nothing leaves.
func TestDivergingLocalTrainingIsRefused(t *testing.T) {
	random := rand.New(rand.NewPCG(11, 12))
	tables := newPairs(4, random).tables(1, 500, random)
	model := averaging("factorization_machine", "fedavg", 4, 8, "sgd", `"learning_rate":100,"server_rate":1,"patience":0`)
	p := program(t, 4, 1, strings.Replace(strings.Replace(model, `"batch":32`, `"batch":1`, 1), `"epochs":1`, `"epochs":20`, 1))
	rounds, err := local.New(p, tables[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rounds.Sums(fitted(t, p, tables)); !errors.Is(err, sgd.ErrDiverged) || !strings.Contains(err.Error(), "hint: lower learning_rate") {
		t.Errorf("%v", err)
	}
}
