package linear_test

import (
	"bytes"
	"errors"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"tributary/models/dataset"
	"tributary/models/linear"
	"tributary/models/optim"
	"tributary/models/pipeline"
	"tributary/models/pipeline/fit"
)

func onto(t testing.TB, p *optim.Program, table *dataset.Table) *optim.State {
	t.Helper()
	s, _, err := round(t, p, p.Initial(), []*dataset.Table{table}, make([]*linear.Design, 1))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// segment finds a named segment.
func segment(t testing.TB, p *optim.Program, kind optim.RoundKind, values [][]float64, name string) []float64 {
	t.Helper()
	for i, s := range p.Layout(kind) {
		if s.Name == name {
			return values[i]
		}
	}
	t.Fatalf("no segment %q", name)
	return nil
}

// output gives a row's output columns, the intercept last, by the definition: slow and obvious.
func output(p *optim.Program, f *pipeline.Fitted, t *dataset.Table, row int) []float64 {
	var out []float64
	spec := p.Pipeline()
	for i, c := range spec.Columns() {
		column, _ := t.Column(spec.Features()[c.Feature].Name)
		v := 0.0
		if column.Numbers != nil {
			x := column.Numbers[row]
			switch {
			case c.Role == pipeline.ValueRole:
				v = spec.Number(f, c.Feature, x)
			case math.IsNaN(x) && !f.Folded[i]:
				v = 1
			}
		} else if spec.CategoryColumns(f, c.Feature)[column.Codes[row]+1] == i {
			v = 1
		}
		out = append(out, v)
	}
	return append(out, 1)
}

// The sums over sparse rows are those of the dense definition.
func TestSumsEqualTheDenseDefinition(t *testing.T) {
	table := synthetic(9_000, 3)
	p := syntheticJob(1).program(t)
	s := onto(t, p, table)
	for range 2 { // at 0 and after a step
		d := p.Coefficients()
		g, h := make([]float64, d), make([]float64, d*(d+1)/2)
		loss, rows := 0.0, int64(0)
		for i := range table.Rows {
			if table.Held(i) {
				continue
			}
			x, m, y := output(p, s.Fitted(), table, i), 0.0, 0.0
			for j, v := range x {
				m += v * s.Coefficients()[j]
			}
			if table.Label[i] {
				y = 1
			}
			q := 1 / (1 + math.Exp(-m))
			loss -= y*math.Log(q) + (1-y)*math.Log(1-q)
			rows++
			at := 0
			for a := range d {
				g[a] += (q - y) * x[a]
				for b := a; b < d; b++ {
					h[at] += q * (1 - q) * x[a] * x[b]
					at++
				}
			}
		}
		want := p.EncodeTrain(s, optim.TrainSums{Rows: rows, Loss: loss, Gradient: g, Hessian: h})
		got, err := linear.Sums(p, s, table)
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			for j := range want[i] {
				if math.Abs(got[i][j]-want[i][j]) > 1e-12 {
					t.Fatalf("segment %d, value %d: %g, want %g", i, j, got[i][j], want[i][j])
				}
			}
		}
		if s, _, err = p.Apply(s, got); err != nil {
			t.Fatal(err)
		}
	}
}

// The number of participants and their order don't change the model, up to the quantisation: the order not at all.
func TestModelIsIndependentOfParticipantsAndOrder(t *testing.T) {
	table := synthetic(6_000, 5)
	p := syntheticJob(9).program(t)
	var first *optim.State
	for _, n := range []int{1, 3, 9} {
		parties := split(table, n)
		s, _ := train(t, p, parties)
		slices.Reverse(parties)
		if r, _ := train(t, p, parties); !bytes.Equal(r.Encode(), s.Encode()) {
			t.Errorf("%d participants: their order changes the state", n)
		}
		if first == nil {
			first = s
			continue
		}
		a, _ := s.Metrics()
		b, _ := first.Metrics()
		if relative(a.Objective, b.Objective) > 1e-8 || a.HeldOut != b.HeldOut || math.Abs(a.AUC.V-b.AUC.V) > 1e-6 {
			t.Errorf("%d participants: %+v, one: %+v", n, a, b)
		}
		for j, w := range s.Coefficients() {
			if math.Abs(w-first.Coefficients()[j]) > 1e-6 {
				t.Errorf("%d participants: coefficient %d is %g, one: %g", n, j, w, first.Coefficients()[j])
			}
		}
	}
}

// A participant's sums are the same bits whatever GOMAXPROCS is.
func TestSumsDontDependOnGOMAXPROCS(t *testing.T) {
	table := synthetic(40_000, 7)
	p := syntheticJob(1).program(t)
	s := onto(t, p, table)
	var want [][]float64
	for _, procs := range []int{1, 2, 5} {
		old := runtime.GOMAXPROCS(procs)
		for range 3 {
			got, err := linear.Sums(p, s, table)
			if err != nil {
				t.Error(err)
			}
			if want == nil {
				want = got
			}
			for i := range want {
				if !slices.Equal(want[i], got[i]) {
					t.Errorf("GOMAXPROCS=%d: segment %d differs", procs, i)
				}
			}
		}
		runtime.GOMAXPROCS(old)
	}
}

func TestMaxRoundsEndsWithoutConvergence(t *testing.T) {
	j := syntheticJob(3)
	j.maxRounds = 2
	s, reports := train(t, j.program(t), split(synthetic(3_000, 9), 3))
	if s.Converged() || count(reports, optim.Train) != 2 || s.Kind() != optim.Done {
		t.Errorf("converged %t after %d rounds", s.Converged(), count(reports, optim.Train))
	}
	if m, ok := s.Metrics(); !ok || !m.AUC.Known {
		t.Error("no metrics of a model that didn't converge")
	}
}

// A column without variance changes nothing, with or without a penalty.
func TestConstantColumnChangesNothing(t *testing.T) {
	table := synthetic(4_000, 11)
	for _, l2 := range []float64{1, 0} {
		j := syntheticJob(3)
		j.l2 = l2
		without, _ := train(t, j.program(t), split(table, 3))
		constant := *table
		values := make([]float64, table.Rows)
		for i := range values {
			values[i] = 7
		}
		constant.Columns = append(slices.Clone(table.Columns), dataset.Column{Name: "constant", Numbers: values})
		j.features = append(j.features, number("constant", 0, 1e6))
		with, _ := train(t, j.program(t), split(&constant, 3))
		a, _ := with.Metrics()
		b, _ := without.Metrics()
		d := len(with.Coefficients())
		if w := with.Coefficients()[d-2]; w != 0 || !with.Converged() {
			t.Errorf("l2 %g: coefficient %g, converged %t", l2, w, with.Converged())
		}
		if relative(a.Objective, b.Objective) > 1e-9 {
			t.Errorf("l2 %g: objective %.9f, without the column %.9f", l2, a.Objective, b.Objective)
		}
	}
}

// Without held-out rows the metrics are absent: not NaN, and not in the exported model.
func TestMetricsWithoutHeldOutRowsAreAbsent(t *testing.T) {
	table := synthetic(1_000, 23)
	table.HeldOut = nil
	for _, holdout := range []bool{true, false} {
		j := syntheticJob(2)
		j.holdout = holdout
		p := j.program(t)
		s, reports := train(t, p, split(table, 2))
		m, ok := s.Metrics()
		if !ok || m.AUC.Known || m.LogLoss.Known || m.Accuracy.Known || m.HeldOut != 0 || m.Objective <= 0 {
			t.Errorf("metrics %+v", m)
		}
		if last := reports[len(reports)-1]; last.Metrics == nil || *last.Metrics != m {
			t.Errorf("report %+v", last)
		}
		doc, err := optim.Export(p, s)
		if err != nil || bytes.Contains(doc, []byte(`"auc"`)) || bytes.Contains(doc, []byte("NaN")) {
			t.Errorf("%v: %s", err, doc)
		}
	}
	j := syntheticJob(1)
	j.holdout = false
	if _, err := linear.Sums(j.program(t), j.program(t).Initial(), synthetic(500, 1)); !errors.Is(err, fit.ErrTable) {
		t.Errorf("held-out rows in a job without hold-out: %v", err)
	}
}

// One table's rows of one class are fine; a cohort's aren't.
func TestOneClassOverTheCohortIsAnError(t *testing.T) {
	table := synthetic(600, 29)
	p := syntheticJob(2).program(t)
	parties := split(table, 2)
	for i := range parties[0].Label {
		parties[0].Label[i] = false
	}
	train(t, p, parties)
	for i := range parties[1].Label {
		parties[1].Label[i] = false
	}
	if _, _, err := round(t, p, p.Initial(), parties, nil); !errors.Is(err, optim.ErrOneClass) || !strings.Contains(err.Error(), "negative") {
		t.Errorf("one class: %v", err)
	}
	for _, v := range parties {
		for i := range v.HeldOut {
			v.HeldOut[i] = true
		}
	}
	if _, _, err := round(t, p, p.Initial(), parties, nil); !errors.Is(err, optim.ErrNoRows) {
		t.Errorf("no training rows: %v", err)
	}
}
