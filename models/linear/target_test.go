package linear_test

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat/distuv"

	"tributary/models/dataset"
	"tributary/models/linear"
	"tributary/models/metrics"
	"tributary/models/optim"
	"tributary/models/pipeline/fit"
)

// spending is synthetic with a label that is a number: the columns' effects and noise of deviation 25.
func spending(n int, seed uint64) *dataset.Table {
	t := synthetic(n, seed)
	random := rand.New(rand.NewPCG(seed, 2))
	t.Label, t.Target = nil, make([]float64, n)
	age, _ := t.Column("age")
	raw, _ := t.Column("raw")
	country, _ := t.Column("country")
	for i := range t.Target {
		t.Target[i] = 300 + 3*(age.Numbers[i]-50) + 40*raw.Numbers[i] - 30*float64(country.Codes[i]) + 25*random.NormFloat64()
	}
	return t
}

func spendingJob(contributors int) job {
	j := syntheticJob(contributors)
	j.target = []float64{-1000, 4000}
	return j
}

// leastSquares is an independent solver: the normal equations of the pooled training rows, dense and in the label's own unit, by
// gonum's Cholesky. Weights nil: 1 each.
func leastSquares(t *testing.T, p *optim.Program, s *optim.State, table *dataset.Table, weights []float64) (w *mat.VecDense, inverse *mat.SymDense, objective, variance float64) {
	t.Helper()
	d := p.Coefficients()
	h, g := mat.NewSymDense(d, nil), mat.NewVecDense(d, nil)
	var x [][]float64
	var y, weight []float64
	for i := range table.Rows {
		if table.Held(i) {
			continue
		}
		v, own := output(p, s.Fitted(), table, i), 1.0
		if weights != nil {
			own = weights[i]
		}
		x, y, weight = append(x, v), append(y, table.Target[i]), append(weight, own)
		h.SymRankOne(h, own, mat.NewVecDense(d, v))
		g.AddScaledVec(g, own*table.Target[i], mat.NewVecDense(d, v))
	}
	free := d
	for i := range d - 1 {
		h.SetSym(i, i, h.At(i, i)+p.Model.L2)
		if s.Fitted().Folded[i] {
			h.SetSym(i, i, 1)
			free--
		}
	}
	var c mat.Cholesky
	if !c.Factorize(h) {
		t.Fatal("the normal equations aren't definite")
	}
	w, inverse = mat.NewVecDense(d, nil), mat.NewSymDense(d, nil)
	if err := errors.Join(c.SolveVecTo(w, g), c.InverseTo(inverse)); err != nil {
		t.Fatal(err)
	}
	for i, v := range x {
		e := mat.Dot(w, mat.NewVecDense(d, v)) - y[i]
		objective += weight[i] * e * e / 2
	}
	variance = 2 * objective / float64(len(x)-free)
	for i := range d - 1 {
		objective += p.Model.L2 / 2 * w.AtVec(i) * w.AtVec(i)
	}
	return w, inverse, objective, variance
}

// natural are a state's coefficients in the label's unit.
func natural(p *optim.Program, s *optim.State) []float64 {
	mean, sd := p.LabelUnits(s.Fitted())
	out := make([]float64, len(s.Coefficients()))
	for i, w := range s.Coefficients() {
		out[i] = sd * w
	}
	out[len(out)-1] += mean
	return out
}

// Sealed sums of three participants give ridge regression on the pooled rows, by either solver; the penalty means the same in any
// unit of the label. Errors of coefficients and held-out metrics are those of their definitions.
func TestRidgeEqualsTheNormalEquationsOfThePooledRows(t *testing.T) {
	table := spending(6_000, 31)
	for _, solver := range []string{optim.Newton, optim.LBFGS} {
		for _, l2 := range []float64{1, 300} {
			j := spendingJob(3)
			j.solver, j.l2, j.maxRounds, j.tolerance, j.standardErrors = solver, l2, 60, 1e-12, solver == optim.LBFGS
			p := j.program(t)
			s, reports := train(t, p, split(table, 3))
			want, inverse, objective, variance := leastSquares(t, p, s, table, nil)
			_, sd := p.LabelUnits(s.Fitted())
			m, _ := s.Metrics()
			t.Logf("%s, λ %g: %d rounds, objective %.9f, pooled %.9f", solver, l2, count(reports, optim.Train), m.Objective, objective/sd/sd)
			if !s.Converged() || relative(m.Objective, objective/sd/sd) > 1e-9 {
				t.Errorf("%s: objective %.12f, pooled %.12f, converged %t", solver, m.Objective, objective/sd/sd, s.Converged())
			}
			if solver == optim.Newton && count(reports, optim.Train) != 2 {
				t.Errorf("%d rounds: one is to step, one to see that it was right", count(reports, optim.Train))
			}
			for i, got := range natural(p, s) {
				if math.Abs(got-want.AtVec(i)) > 1e-4 {
					t.Errorf("%s: coefficient %d is %.9f, pooled %.9f", solver, i, got, want.AtVec(i))
				}
				error, known := s.Inference(i)
				if expected := math.Sqrt(variance * inverse.At(i, i)); known == (i < p.Coefficients()-1 && s.Fitted().Folded[i]) || known && relative(sd*error.StandardError, expected) > 1e-6 {
					t.Errorf("%s: standard error %d is %.9f, pooled %.9f", solver, i, sd*error.StandardError, expected)
				}
			}
			checkHeldOut(t, p, s, table, reports[len(reports)-1].LabelBins)
			checkTests(t, p, s)
		}
	}
}

// checkTests: what a document says of a coefficient, the intercept too, is what it says together with its standard error.
func checkTests(t *testing.T, p *optim.Program, s *optim.State) {
	t.Helper()
	data, err := optim.Export(p, s)
	if err != nil {
		t.Fatal(err)
	}
	type test struct {
		StandardError float64 `json:"standard_error"`
		Z             float64 `json:"z"`
		P             float64 `json:"p_value"`
	}
	var doc struct {
		Intercept float64 `json:"intercept"`
		Test      *test   `json:"intercept_test"`
		Columns   []struct {
			Coefficient float64 `json:"coefficient"`
			Test        *test   `json:"test"`
		} `json:"columns"`
	}
	if err := json.Unmarshal(data, &doc); err != nil || doc.Test == nil {
		t.Fatalf("%v: %s", err, data)
	}
	check := func(name string, coefficient float64, c *test) {
		want := 2 * distuv.UnitNormal.Survival(math.Abs(c.Z))
		if relative(c.Z*c.StandardError, coefficient) > 1e-9 || math.Abs(c.P-want) > 1e-4*want+1e-9 {
			t.Errorf("%s: %g, %+v", name, coefficient, *c)
		}
	}
	check("intercept", doc.Intercept, doc.Test)
	for i, c := range doc.Columns {
		if c.Test != nil {
			check(strconv.Itoa(i), c.Coefficient, c.Test)
		}
	}
}

func checkHeldOut(t *testing.T, p *optim.Program, s *optim.State, table *dataset.Table, bins []metrics.LabelBin) {
	t.Helper()
	scores, err := linear.Score(p, s, table)
	if err != nil {
		t.Fatal(err)
	}
	var n, square, absolute, sum, squares float64
	for i, y := range table.Target {
		if table.Held(i) {
			e := scores[i] - y
			n, square, absolute, sum, squares = n+1, square+e*e, absolute+math.Abs(e), sum+y, squares+y*y
		}
	}
	m, _ := s.Metrics()
	for _, c := range []struct {
		name      string
		got, want float64
	}{{"rmse", m.RMSE.V, math.Sqrt(square / n)}, {"mae", m.MAE.V, absolute / n}, {"r2", m.R2.V, 1 - square/(squares-sum*sum/n)}} {
		if !(relative(c.got, c.want) < 1e-6) {
			t.Errorf("%s is %.9f, of the rows %.9f", c.name, c.got, c.want)
		}
	}
	rows, labels := int64(0), 0.0
	for _, b := range bins {
		rows, labels = rows+b.Rows, labels+b.Label*float64(b.Rows)
		if b.Rows > 100 && math.Abs(b.Label-b.Predicted) > 15 {
			t.Errorf("%d rows predicted as %.1f have %.1f", b.Rows, b.Predicted, b.Label)
		}
	}
	if float64(rows) != n || relative(labels, sum) > 1e-6 {
		t.Errorf("the bins have %d rows and %.3f in all, want %g and %.3f", rows, labels, n, sum)
	}
}

// The label's unit and how wide its declared range is change nothing, up to what the lanes resolve.
func TestScaleOfTheLabelChangesNothing(t *testing.T) {
	table := spending(3_000, 32)
	reference, _ := train(t, spendingJob(3).program(t), split(table, 3))
	want, _ := reference.Metrics()
	_, unit := spendingJob(3).program(t).LabelUnits(reference.Fitted())
	for name, c := range map[string]struct{ scale, shift, low, high float64 }{
		"a million times":        {1e6, 0, -1e9, 4e9},
		"a millionth":            {1e-6, 0, -1e-3, 4e-3},
		"a range of a millionth": {1, 0, -1e8, 1e8},
		"far from zero":          {1, 1e6, 0, 2e6},
	} {
		scaled := *table
		scaled.Target = slices.Clone(table.Target)
		for i := range scaled.Target {
			scaled.Target[i] = c.scale*scaled.Target[i] + c.shift
		}
		j := spendingJob(3)
		j.target = []float64{c.low, c.high}
		p := j.program(t)
		s, _ := train(t, p, split(&scaled, 3))
		m, _ := s.Metrics()
		// The objective is in fitted deviations, which a wide range resolves less well than the model.
		_, sd := p.LabelUnits(s.Fitted())
		m.Objective *= math.Pow(sd/unit/c.scale, 2)
		t.Logf("%s: objective %.9f, RMSE %.6g, R² %.9f", name, m.Objective, m.RMSE.V, m.R2.V)
		if !s.Converged() || relative(m.Objective, want.Objective) > 1e-6 || relative(m.RMSE.V, c.scale*want.RMSE.V) > 1e-6 || relative(m.R2.V, want.R2.V) > 1e-6 {
			t.Errorf("%s: objective %.9f, RMSE %.6g, R² %.9f; want %.9f, %.6g, %.9f", name, m.Objective, m.RMSE.V, m.R2.V, want.Objective, c.scale*want.RMSE.V, want.R2.V)
		}
	}
}

func TestConstantLabelIsAnError(t *testing.T) {
	table := spending(1_000, 33)
	constant := *table
	constant.Target = slices.Repeat([]float64{7}, table.Rows)
	p := spendingJob(2).program(t)
	_, _, err := try(t, p, split(&constant, 2))
	if !errors.Is(err, optim.ErrConstant) || !strings.Contains(err.Error(), "hint:") {
		t.Errorf("a constant label: %v", err)
	}
	// At one participant alone it is no error, even where it is the mean of all.
	for _, value := range []float64{7, 4000} {
		parts := split(table, 2)
		for i := range parts[1].Target {
			parts[1].Target[i] = value
		}
		if s, _, err := try(t, p, parts); err != nil || !s.Converged() {
			t.Errorf("constant %g at one of two: %v", value, err)
		}
	}
}

func TestLabelsOutsideTheRangeAreRefused(t *testing.T) {
	for name, y := range map[string]float64{"above": 4000.5, "below": -1001, "missing": math.NaN(), "infinite": math.Inf(1)} {
		table := spending(200, 34)
		table.Target[17] = y
		if _, err := linear.Sums(spendingJob(1).program(t), spendingJob(1).program(t).Initial(), table); !errors.Is(err, fit.ErrTable) || !strings.Contains(err.Error(), "17") && !strings.Contains(err.Error(), "18") {
			t.Errorf("%s: %v", name, err)
		}
	}
	values := synthetic(200, 34)
	if _, err := linear.Sums(spendingJob(1).program(t), spendingJob(1).program(t).Initial(), values); !errors.Is(err, fit.ErrTable) {
		t.Errorf("labels of two values: %v", err)
	}
	if _, err := linear.Sums(syntheticJob(1).program(t), syntheticJob(1).program(t).Initial(), spending(200, 34)); !errors.Is(err, fit.ErrTable) {
		t.Errorf("numbers in a job of two values: %v", err)
	}
}

// Labels that the columns tell exactly leave no objective to compare with: training converges all the same.
func TestPerfectFitConverges(t *testing.T) {
	table := spending(2_000, 35)
	age, _ := table.Column("age")
	for i := range table.Target {
		table.Target[i] = 100 + 2*age.Numbers[i]
	}
	for _, solver := range []string{optim.Newton, optim.LBFGS} {
		j := spendingJob(2)
		j.solver, j.l2, j.maxRounds = solver, 0, 40
		j.features = j.features[:1]
		s, reports := train(t, j.program(t), split(table, 2))
		m, _ := s.Metrics()
		if !s.Converged() || count(reports, optim.Train) > 4 || !(m.RMSE.V < 1e-3) || !(m.R2.V > 1-1e-9) {
			t.Errorf("%s: %d rounds, RMSE %g, R² %g", solver, count(reports, optim.Train), m.RMSE.V, m.R2.V)
		}
	}
}

// One customer who spent a thousand times what others did would be the gradient: the participant keeps its sum, and says what to do.
func TestExtremeLabelIsRefused(t *testing.T) {
	table := spending(3_000, 36)
	for i := range table.Target {
		table.Target[i] = 1 + math.Mod(table.Target[i], 1)
	}
	table.Target[3] = 4000
	_, _, err := try(t, spendingJob(3).program(t), split(table, 3))
	if !errors.Is(err, linear.ErrConcentrated) || !strings.Contains(err.Error(), "outside: clip") {
		t.Errorf("%v", err)
	}
}

// A state whose residuals are a rare category's alone is refused by each solver: it was chosen to single those rows out.
func TestStateThatSinglesOutRowsByANumberIsRefused(t *testing.T) {
	table := spending(2_000, 37)
	for _, solver := range []string{optim.Newton, optim.LBFGS} {
		j := spendingJob(1)
		j.solver = solver
		p := j.program(t)
		start := make([]float64, p.Coefficients())
		start[0], start[len(start)-1] = 1e9, -50e9 // the rows whose age isn't 50
		age, _ := table.Column("age")
		for i := range age.Numbers {
			age.Numbers[i] = 50
			if i%500 == 0 {
				age.Numbers[i] = 90
			}
		}
		chosen := withStart(t, p, start)
		if _, err := linear.Sums(chosen, onto(t, chosen, table), table); !errors.Is(err, linear.ErrConcentrated) {
			t.Errorf("%s: %v", solver, err)
		}
	}
}

// withStart is a program that starts from these coefficients.
func withStart(t *testing.T, p *optim.Program, coefficients []float64) *optim.Program {
	t.Helper()
	doc, err := p.Document()
	if err != nil {
		t.Fatal(err)
	}
	start, err := json.Marshal(map[string]any{"model": strings.Repeat("ab", 32), "coefficients": coefficients})
	if err != nil {
		t.Fatal(err)
	}
	out, err := optim.ParseProgram([]byte(strings.TrimSuffix(string(doc), "}") + `,"start":` + string(start) + "}"))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Training starts from an earlier model in the contract's unit, and not from one that is far worse than the mean.
func TestWarmStartOfANumberLabel(t *testing.T) {
	january, february := spending(4_000, 38), spending(4_000, 39)
	for i := range february.Target {
		february.Target[i] = 1.2*february.Target[i] + 30
	}
	for _, solver := range []string{optim.Newton, optim.LBFGS} {
		j := spendingJob(2)
		j.solver, j.maxRounds = solver, 60
		p := j.program(t)
		before, _ := train(t, p, split(january, 2))
		cold, coldReports := train(t, p, split(february, 2))
		warm, warmReports := train(t, startingFrom(t, p, p, before), split(february, 2))
		a, _ := warm.Metrics()
		b, _ := cold.Metrics()
		if !warm.Converged() || relative(a.Objective, b.Objective) > 1e-8 || !(warmReports[1].Objective < 0.8*coldReports[1].Objective) {
			t.Errorf("%s: objective %.9f, from zero %.9f; the first was %.3f and %.3f", solver, a.Objective, b.Objective, warmReports[1].Objective, coldReports[1].Objective)
		}
		_, same := train(t, startingFrom(t, p, p, before), split(january, 2))
		if m, _ := before.Metrics(); relative(same[1].Objective, m.Objective) > 1e-8 {
			t.Errorf("%s: the first round's objective is %.9f, the model's %.9f", solver, same[1].Objective, m.Objective)
		}
		far := make([]float64, p.Coefficients())
		far[len(far)-1] = 1e6
		if _, _, err := try(t, withStart(t, p, far), split(january, 2)); !errors.Is(err, optim.ErrDiverged) || !strings.Contains(err.Error(), "warm_start") {
			t.Errorf("%s: from far away: %v", solver, err)
		}
	}
}

// Weighted rows count as in weighted least squares.
func TestWeightsOfANumberLabel(t *testing.T) {
	table := spending(3_000, 40)
	weights := make([]float64, table.Rows)
	for i := range weights {
		weights[i] = 0.5 + float64(i%4)
	}
	table = withNumbers(table, "times", weights)
	for _, solver := range []string{optim.Newton, optim.LBFGS} {
		j := spendingJob(3)
		j.solver, j.maxRounds, j.tolerance = solver, 60, 1e-12
		j.weighting = map[string]any{"weight": rangeOf("times", 0, 10)}
		p := j.program(t)
		s, _ := train(t, p, split(table, 3))
		_, _, objective, _ := leastSquares(t, p, s, table, weights)
		_, sd := p.LabelUnits(s.Fitted())
		if m, _ := s.Metrics(); relative(m.Objective, objective/sd/sd) > 1e-9 {
			t.Errorf("%s: objective %.9f, pooled %.9f", solver, m.Objective, objective/sd/sd)
		}
	}
}

// With an L1 penalty the coefficients fulfil the conditions of the optimum [FHT10, eq. 5]: a derivative of λ₁ towards 0, or less at 0.
func TestElasticNetOfANumberLabelIsOptimal(t *testing.T) {
	table := spending(3_000, 41)
	j := spendingJob(3)
	j.l1, j.l2 = 150, 20
	p := j.program(t)
	s, _ := train(t, p, split(table, 3))
	g, zero := make([]float64, p.Coefficients()), 0
	for i := range table.Rows {
		if table.Held(i) {
			continue
		}
		x, e := output(p, s.Fitted(), table, i), -p.Standardised(s.Fitted(), table.Target[i])
		for k, v := range x {
			e += v * s.Coefficients()[k]
		}
		for k, v := range x {
			g[k] += e * v
		}
	}
	for k, w := range s.Coefficients() {
		d, l1 := g[k]+j.l2*w, j.l1
		switch {
		case k == len(g)-1:
			d, l1 = g[k], 0
		case w == 0:
			zero++
			d = max(math.Abs(g[k])-l1, 0)
			l1 = 0
		case w < 0:
			l1 = -l1
		}
		if math.Abs(d+l1) > 0.01 {
			t.Errorf("coefficient %d is %g, its derivative %g", k, w, d)
		}
	}
	if zero == 0 || zero > len(g)-3 {
		t.Errorf("%d of %d coefficients are 0", zero, len(g))
	}
}
