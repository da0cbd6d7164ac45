package linear_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"tributary/models/dataset"
	"tributary/models/linear"
	"tributary/models/optim"
)

// What real tables do to a solver: each case ends in the right answer or in an error that says what to do, never in a model that
// is silently wrong. Both solvers of sums of derivatives go through them.

// solvers runs a test for Newton and L-BFGS.
func solvers(t *testing.T, f func(t *testing.T, j job)) {
	for _, solver := range []string{optim.Newton, optim.LBFGS} {
		t.Run(solver, func(t *testing.T) {
			rounds := 25
			if solver == optim.LBFGS {
				rounds = 400
			}
			f(t, job{contributors: 4, bits: 40, maxRows: 5_000_000, maxRounds: rounds, tolerance: 1e-10, holdout: true, solver: solver})
		})
	}
}

// try runs a job to its end or to its first error.
func try(t *testing.T, p *optim.Program, parties []*dataset.Table) (s *optim.State, reports []optim.Report, err error) {
	t.Helper()
	s = p.Initial()
	for s.Kind() != optim.Done {
		var total [][]int64
		for _, table := range parties {
			values, err := linear.Sums(p, s, table)
			if err != nil {
				return nil, reports, err
			}
			lanes := quantise(t, p, s.Kind(), values)
			for i := range lanes {
				if total == nil {
					break
				}
				for j := range lanes[i] {
					total[i][j] += lanes[i][j]
				}
			}
			if total == nil {
				total = lanes
			}
		}
		next, report, err := p.Apply(s, dequantise(p, s.Kind(), total))
		if err != nil {
			return nil, reports, err
		}
		s, reports = next, append(reports, report)
	}
	return s, reports, nil
}

func finite(t *testing.T, s *optim.State) {
	t.Helper()
	for i, w := range s.Coefficients() {
		if math.IsNaN(w) || math.Abs(w) > 1e6 {
			t.Errorf("coefficient %d is %g", i, w)
		}
	}
}

func TestPerfectSeparation(t *testing.T) {
	table, _ := plain(4_000, 101)
	raw, _ := table.Column("raw")
	for i, v := range raw.Numbers {
		table.Label[i] = v > 0.5
	}
	table.Columns = []dataset.Column{*raw}
	solvers(t, func(t *testing.T, j job) {
		j.features = []feature{number("raw", -3, 5)}
		// With a penalty there is an optimum.
		j.l2 = 1
		s, _ := train(t, j.program(t), split(table, 4))
		m, _ := s.Metrics()
		if want := newPooled(table, 1).solve(); !s.Converged() || relative(m.Objective, want) > 1e-6 || m.Accuracy.V < 0.99 {
			t.Errorf("converged %t, objective %.9f, want %.9f, accuracy %g", s.Converged(), m.Objective, want, m.Accuracy.V)
		}
		// Without, there is none: training says that it didn't converge, or stops and tells to raise l2.
		j.l2 = 0
		s, reports, err := try(t, j.program(t), split(table, 4))
		switch {
		case err != nil:
			if !errors.Is(err, linear.ErrConcentrated) && !errors.Is(err, optim.ErrDiverged) || !strings.Contains(err.Error(), "raise l2") {
				t.Error(err)
			}
		case s.Converged():
			t.Errorf("converged, to %v", s.Coefficients())
		case !strings.Contains(reports[len(reports)-2].Note, "not converged"):
			t.Errorf("%+v", reports[len(reports)-2])
		}
		t.Logf("without a penalty: %v after %d rounds", err, len(reports))
	})
}

// A category that tells the label for sure separates the classes without any row standing out: the loss vanishes.
func TestCategoryThatTellsTheLabel(t *testing.T) {
	table, _ := plain(4_000, 109)
	country, _ := table.Column("country")
	for i, code := range country.Codes {
		table.Label[i] = code == 1
	}
	solvers(t, func(t *testing.T, j job) {
		j.maxRounds *= 2
		j.features = []feature{category("country", 1, "DE", "FR", "NL")}
		if s, _, err := try(t, j.program(t), split(table, 4)); !errors.Is(err, optim.ErrDiverged) || !strings.Contains(err.Error(), "raise l2") {
			t.Errorf("%v, %v", err, s)
		}
		j.l2 = 1
		if s, _ := train(t, j.program(t), split(table, 4)); !s.Converged() {
			t.Error("not converged")
		}
	})
	classes, _ := threeClasses(4_000, 110)
	for i := range classes.Class {
		classes.Class[i] = country.Codes[i] % 3
	}
	for i, c := range classes.Columns {
		if c.Name == "country" {
			classes.Columns[i] = *country
		}
	}
	if s, _, err := try(t, classJob(t, []feature{category("country", 1, "DE", "FR", "NL")}, 0, 4), split(classes, 4)); !errors.Is(err, optim.ErrDiverged) || !strings.Contains(err.Error(), "raise l2") {
		t.Errorf("%v, %v", err, s)
	}
}

func TestCollinearColumns(t *testing.T) {
	table, features := plain(4_000, 102)
	age, _ := table.Column("age")
	twice := *table
	double := make([]float64, table.Rows)
	for i, v := range age.Numbers {
		double[i] = 220 - 2*v
	}
	twice.Columns = append(slices.Clone(table.Columns), dataset.Column{Name: "double", Numbers: double})
	solvers(t, func(t *testing.T, j job) {
		for _, l2 := range []float64{0, 1} {
			j.l2, j.features = l2, append(slices.Clone(features), number("double", 0, 220))
			s, reports := train(t, j.program(t), split(&twice, 4))
			m, _ := s.Metrics()
			finite(t, s)
			want := 0.0
			if l2 == 0 { // the copy adds nothing
				j.features = features
				once, _ := train(t, j.program(t), split(table, 4))
				n, _ := once.Metrics()
				want = n.Objective
				if frozen := reports[1].Frozen; j.solver == optim.Newton && frozen != 2 {
					t.Errorf("%d frozen columns, want the copy and a country", frozen)
				}
			} else {
				want = newPooled(&twice, 1).solve()
				if w := s.Coefficients(); math.Abs(w[0]+w[len(w)-2]) > 1e-3 { // age and its negative share the penalty
					t.Errorf("age has %g, its copy %g", w[0], w[len(w)-2])
				}
			}
			if !s.Converged() || relative(m.Objective, want) > 1e-7 {
				t.Errorf("l2 %g: converged %t, objective %.9f, want %.9f", l2, s.Converged(), m.Objective, want)
			}
			// A frozen column has no standard error, the others have finite ones.
			for i := range s.Coefficients() {
				if x, ok := s.Inference(i); ok && !(x.StandardError > 0 && x.StandardError < 100) {
					t.Errorf("l2 %g: coefficient %d has the error %g", l2, i, x.StandardError)
				}
			}
		}
	})
}

func TestConstantColumns(t *testing.T) {
	table, features := plain(4_000, 103)
	five := slices.Repeat([]float64{5}, table.Rows)
	one := make([]int32, table.Rows)
	constant := *table
	constant.Columns = append(slices.Clone(table.Columns), dataset.Column{Name: "five", Numbers: five}, dataset.Column{Name: "raw5", Numbers: five},
		dataset.Column{Name: "one", Codes: one, Values: []string{"a", "b"}})
	solvers(t, func(t *testing.T, j job) {
		for _, l2 := range []float64{0, 1} {
			j.l2, j.features = l2, features
			without, _ := train(t, j.program(t), split(table, 4))
			j.features = append(slices.Clone(features), number("five", 0, 10), number("raw5", 0, 10).with("standardize", false), category("one", 1, "a", "b"))
			p := j.program(t)
			with, _ := train(t, p, split(&constant, 4))
			finite(t, with)
			a, _ := with.Metrics()
			b, _ := without.Metrics()
			// Constants move the intercept about, nothing else; a penalty on them can't make the objective worse than without them.
			if !with.Converged() || relative(a.TrainLoss, b.TrainLoss) > 1e-4 || a.Objective > b.Objective*(1+1e-7) {
				t.Errorf("l2 %g: converged %t, loss %.9f, without constants %.9f", l2, with.Converged(), a.TrainLoss, b.TrainLoss)
			}
			for i, c := range p.Pipeline().Columns() {
				if c.Name == "five" && (with.Coefficients()[i] != 0 || !with.Fitted().Folded[i]) {
					t.Errorf("l2 %g: the standardised constant has %g", l2, with.Coefficients()[i])
				}
			}
		}
	})
}

// A category that only one of four participants has ever seen is learnt as if the rows lay together.
func TestCategoryUnseenAtThreeOfFour(t *testing.T) {
	table, features := plain(4_000, 104)
	country, _ := table.Column("country")
	parties := make([][]int, 4)
	for i, code := range country.Codes {
		at := i % 4
		if code == 2 {
			at = 1
		}
		parties[at] = append(parties[at], i)
	}
	solvers(t, func(t *testing.T, j job) {
		j.l2, j.features = 1, features
		var dealt []*dataset.Table
		for _, rows := range parties {
			dealt = append(dealt, pick(table, rows))
		}
		s, _ := train(t, j.program(t), dealt)
		m, _ := s.Metrics()
		if want := newPooled(table, 1).solve(); !s.Converged() || relative(m.Objective, want) > 1e-7 {
			t.Errorf("converged %t, objective %.9f, want %.9f", s.Converged(), m.Objective, want)
		}
	})
}

// One participant has positives only, another negatives only: the cohort has both.
func TestOneClassAtOneParticipant(t *testing.T) {
	table, features := plain(4_000, 105)
	parties := make([][]int, 4)
	positives, negatives := 0, 0
	for i, y := range table.Label {
		at := 2 + i%2
		switch {
		case y && positives < 500:
			at, positives = 0, positives+1
		case !y && negatives < 500:
			at, negatives = 1, negatives+1
		}
		parties[at] = append(parties[at], i)
	}
	var dealt []*dataset.Table
	for _, rows := range parties {
		dealt = append(dealt, pick(table, rows))
	}
	solvers(t, func(t *testing.T, j job) {
		j.l2, j.features = 1, features
		s, _ := train(t, j.program(t), dealt)
		m, _ := s.Metrics()
		if want := newPooled(table, 1).solve(); !s.Converged() || relative(m.Objective, want) > 1e-7 {
			t.Errorf("converged %t, objective %.9f, want %.9f", s.Converged(), m.Objective, want)
		}
		if _, _, err := try(t, j.program(t), []*dataset.Table{dealt[0], dealt[0], dealt[0], dealt[0]}); !errors.Is(err, optim.ErrOneClass) || !strings.Contains(err.Error(), "hint:") {
			t.Errorf("positives everywhere: %v", err)
		}
	})
	classes, features := threeClasses(4_000, 106)
	parties = make([][]int, 3)
	for i, c := range classes.Class {
		parties[c] = append(parties[c], i)
	}
	dealt = nil
	for _, rows := range parties {
		dealt = append(dealt, pick(classes, rows))
	}
	p := classJob(t, features, 1, 3)
	apart, _ := train(t, p, dealt)
	mixed, _ := train(t, p, split(classes, 3))
	a, _ := apart.Metrics()
	b, _ := mixed.Metrics()
	if !apart.Converged() || relative(a.Objective, b.Objective) > 1e-7 {
		t.Errorf("a class a participant: converged %t, objective %.9f, mixed %.9f", apart.Converged(), a.Objective, b.Objective)
	}
}
