package optim

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
)

const numberFeature = `{"name":%q,"kind":"number","min":%g,"max":%g,"nullable":true,"log1p":%t,"standardize":%t,"clip":64,"missing_indicator":%t}`

func testDocument() string {
	return `{"version":1,"contributors":4,"bits":40,"max_rows":5000000,"features":[` +
		fmt.Sprintf(numberFeature, "age", 16.0, 110.0, false, true, false) + "," +
		fmt.Sprintf(numberFeature, "basket", 0.0, 10000.0, true, true, true) + "," +
		fmt.Sprintf(numberFeature, "raw", -3.0, 5.0, false, false, false) + "," +
		`{"name":"country","kind":"category","values":["DE","FR","NL"],"nullable":true,"missing_indicator":true,"min_count":20}],` +
		`"model":{"type":"logistic_regression","l2":1,"solver":"newton","max_rounds":4,"tolerance":1e-8},` +
		`"evaluate":{"holdout":true,"metrics":["auc","log_loss","accuracy"]}}`
}

func testProgram(t testing.TB, edits ...string) *Program {
	t.Helper()
	doc := testDocument()
	for i := 0; i+1 < len(edits); i += 2 {
		if !strings.Contains(doc, edits[i]) {
			t.Fatalf("no %s in the document", edits[i])
		}
		doc = strings.Replace(doc, edits[i], edits[i+1], 1)
	}
	p, err := ParseProgram([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// fitSums are FIT sums of 1,000 rows; FR has 5.
func fitSums(p *Program) map[string][]float64 {
	return map[string][]float64{
		segRows: {1000}, segPositives: {300}, segHeldOut: {100},
		segPresent:  {1000, 900, 1000},
		segSumWhole: {250, 400, 500}, segSumPart: {0.5, 1.25, 0.125},
		segSquareWhole: {80, 200, 300}, segSquarePart: {0.25, 0.5, 1.75},
		segCategories: {600, 5, 300, 35, 60},
	}
}

func fitted(t testing.TB, p *Program) *State {
	t.Helper()
	s, _, err := p.Apply(p.Initial(), p.assemble(Fit, fitSums(p)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// trainSums are TRAIN sums made from integers alone: the same bits everywhere. They are not those of any rows, but a positive
// definite matrix of a plausible size.
func trainSums(p *Program, s *State, loss float64, seed uint64) [][]float64 {
	d := p.Coefficients()
	next := func() float64 {
		seed = seed*6364136223846793005 + 1442695040888963407
		return float64(int64(seed)>>11) / (1 << 53)
	}
	var gradient, hessian []float64
	for i := range d {
		gradient = append(gradient, next()/8)
		for j := i; j < d; j++ {
			v := next() / 256
			if i == j {
				v += 0.125
			}
			hessian = append(hessian, v)
		}
	}
	return p.assemble(Train, map[string][]float64{segRows: {1000}, segLoss: encodeLoss(loss, 1000), segGradient: gradient, segHessian: hessian})
}

func evaluateSums(p *Program) map[string][]float64 {
	pos, neg := make([]float64, 1024), make([]float64, 1024)
	for i := range 100 {
		if i%3 == 0 {
			pos[300+7*i]++
		} else {
			neg[10*i]++
		}
	}
	return map[string][]float64{
		segRows: {1000}, segLoss: encodeLoss(400, 1000), segHeldOut: {100}, segHeldPos: {34}, segHeldCorrect: {81},
		segHeldLoss: encodeLoss(45, 100), segBinsPos: pos, segBinsNeg: neg,
	}
}

// run applies FIT, four TRAIN rounds (the third rises and is damped) and EVALUATE, and returns every state.
func run(t testing.TB, p *Program) []*State {
	t.Helper()
	states := []*State{p.Initial(), fitted(t, p)}
	for i, loss := range []float64{693, 500, 600, 450} {
		s := states[len(states)-1]
		next, report, err := p.Apply(s, trainSums(p, s, loss, uint64(i)))
		if err != nil {
			t.Fatal(err)
		}
		if report.Damped != (i == 2) {
			t.Fatalf("round %d: damped %t", i, report.Damped)
		}
		states = append(states, next)
	}
	done, _, err := p.Apply(states[len(states)-1], p.assemble(Evaluate, evaluateSums(p)))
	if err != nil {
		t.Fatal(err)
	}
	return append(states, done)
}

// The whole server step, from FIT to the exported model, is the same bits on every architecture: the digest was taken on amd64,
// and arm64, whose compiler fuses products where it may, must give it too.
func TestServerStepIsBitIdentical(t *testing.T) {
	p := testProgram(t)
	h := sha256.New()
	for _, s := range run(t, p) {
		h.Write(s.Encode())
		if doc, err := Export(p, s); err == nil {
			h.Write(doc)
		}
	}
	const want = "840ebb1859aaaeeff96d26820ef0ad65f7471167c4f745833ef5bde448ac0838"
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		t.Errorf("states and models hash to %s, want %s", got, want)
	}
}

// A step after which the objective rose is halved, back to the coefficients that were good.
func TestRisingObjectiveHalvesTheStep(t *testing.T) {
	p := testProgram(t)
	s := fitted(t, p)
	good, first, err := p.Apply(s, trainSums(p, s, 600, 1))
	if err != nil || first.Damped {
		t.Fatal(err, first)
	}
	half, report, err := p.Apply(good, trainSums(p, good, 5000, 2))
	if err != nil {
		t.Fatal(err)
	}
	if !report.Damped || report.Converged || half.Kind() != Train || half.TrainRounds() != 2 {
		t.Fatalf("report %+v, kind %s", report, half.Kind())
	}
	for i := range half.w {
		if half.w[i] != good.w[i]/2 { // the coefficients before were 0
			t.Errorf("coefficient %d is %g, want half of %g", i, half.w[i], good.w[i])
		}
	}
	again, report, err := p.Apply(half, trainSums(p, half, 5000, 3))
	if err != nil || !report.Damped || again.w[0] != good.w[0]/4 {
		t.Fatalf("the second halving: %v, %+v", err, report)
	}
	// The last round falls back to the coefficients whose objective is known.
	last, report, err := p.Apply(again, trainSums(p, again, 5000, 4))
	if err != nil || last.Kind() != Evaluate || last.Converged() || !report.Damped {
		t.Fatalf("%v, %s, %+v", err, last.Kind(), report)
	}
	for i, w := range last.w {
		if w != 0 {
			t.Errorf("coefficient %d is %g, want the accepted 0", i, w)
		}
	}
	// What the quantisation can explain isn't a rise.
	slight, report, err := p.Apply(good, trainSums(p, good, 600-p.objective(0, good.w)+p.lossNoise(1000), 2))
	if err != nil || report.Damped || slight == nil {
		t.Errorf("a rise within the quantisation is damped: %v %+v", err, report)
	}
}

// A small Newton decrement ends training; too few rounds end it without convergence.
func TestToleranceAndMaxRoundsEndTraining(t *testing.T) {
	p := testProgram(t)
	s := fitted(t, p)
	sums := trainSums(p, s, 600, 1)
	for i := range sums[2] {
		sums[2][i] /= 1e6
	}
	next, report, err := p.Apply(s, sums)
	if err != nil || !report.Converged || !next.Converged() || next.Kind() != Evaluate {
		t.Fatalf("%v, %+v, %s", err, report, next.Kind())
	}
	if half := report.Decrement * report.Decrement / 2; half > 1e-8*report.Objective || half == 0 {
		t.Errorf("decrement %g at objective %g", report.Decrement, report.Objective)
	}
	states := run(t, p)
	if s := states[len(states)-2]; s.Kind() != Evaluate || s.Converged() || s.TrainRounds() != 4 {
		t.Errorf("after 4 rounds: %s, converged %t", s.Kind(), s.Converged())
	}
	if m, ok := states[len(states)-1].Metrics(); !ok || !m.AUC.Known || m.Accuracy.V != 0.81 || math.Abs(m.LogLoss.V-0.45) > 1e-9 {
		t.Errorf("metrics %+v", m)
	}
}

// Without a penalty, columns that others determine are left alone, and the rest is solved.
func TestCollinearColumnsAreFrozen(t *testing.T) {
	p := testProgram(t, `"l2":1`, `"l2":0`)
	s := fitted(t, p)
	sums := trainSums(p, s, 600, 1)
	d := p.Coefficients()
	g, h := sums[2], sums[3]
	at := func(i, j int) int { i, j = min(i, j), max(i, j); return i*d - i*(i-1)/2 + j - i }
	a, b := 4, d-1 // country=DE (bound 1) becomes a copy of the intercept
	if p.spec.Columns()[a].Name != "country=DE" {
		t.Fatal(p.spec.Columns()[a])
	}
	g[a] = g[b]
	for j := range d {
		h[at(a, j)] = h[at(b, j)]
	}
	h[at(a, a)], h[at(a, b)] = h[at(b, b)], h[at(b, b)]
	next, report, err := p.Apply(s, sums)
	if err != nil || report.Frozen != 1 || next.w[b] != 0 || next.w[a] == 0 {
		t.Errorf("%v, frozen %d, coefficients %v", err, report.Frozen, next.w)
	}
}

// A folded column's coefficient stays 0 whatever the sum says.
func TestFoldedColumnKeepsCoefficientZero(t *testing.T) {
	p := testProgram(t)
	for _, s := range run(t, p)[2:] {
		for i, c := range p.spec.Columns() {
			if c.Name == "country=FR" && (!s.fitted.Folded[i] || s.w[i] != 0) {
				t.Errorf("step %d: folded %t, coefficient %g", s.step, s.fitted.Folded[i], s.w[i])
			}
			if c.Name == "country=other" && s.w[i] == 0 {
				t.Errorf("step %d: other has no coefficient", s.step)
			}
		}
	}
}

func TestOneClassAndNoRowsAreErrors(t *testing.T) {
	p := testProgram(t)
	for _, c := range []struct {
		rows, positives float64
		want            error
		text            string
	}{
		{1000, 0, ErrOneClass, "negative label"},
		{1000, 1000, ErrOneClass, "positive label"},
		{0, 0, ErrNoRows, "hint:"},
	} {
		v := fitSums(p)
		v[segRows], v[segPositives] = []float64{c.rows}, []float64{c.positives}
		if _, _, err := p.Apply(p.Initial(), p.assemble(Fit, v)); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%g rows, %g positives: %v", c.rows, c.positives, err)
		}
	}
}

// Sums that no honest rows give are refused, never turned into a state.
func TestImpossibleSumsAreRefused(t *testing.T) {
	p := testProgram(t)
	states := run(t, p)
	for kind, base := range map[RoundKind][][]float64{
		Fit: p.assemble(Fit, fitSums(p)), Train: trainSums(p, states[1], 600, 1), Evaluate: p.assemble(Evaluate, evaluateSums(p)),
	} {
		s := map[RoundKind]*State{Fit: states[0], Train: states[1], Evaluate: states[5]}[kind]
		for i, segment := range p.Layout(kind) {
			for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
				refuse(t, p, s, base, i, bad)
			}
			if segment.ScaleNum == 1 {
				refuse(t, p, s, base, i, base[i][0]+0.5)
				if kind != Fit || segment.Name != segHeldOut { // any number of held-out rows is possible
					refuse(t, p, s, base, i, base[i][0]+5000)
				}
				refuse(t, p, s, base, i, -5000)
			}
			if strings.HasSuffix(segment.Name, "loss") {
				refuse(t, p, s, base, i, 1.1)
			}
		}
		if _, _, err := p.Apply(s, base[:len(base)-1]); !errors.Is(err, ErrSums) {
			t.Errorf("%s without its last segment: %v", kind, err)
		}
		short := append([][]float64(nil), base...)
		short[0] = nil
		if _, _, err := p.Apply(s, short); !errors.Is(err, ErrSums) {
			t.Errorf("%s with an empty segment: %v", kind, err)
		}
	}
	if _, _, err := p.Apply(states[6], nil); !errors.Is(err, ErrDone) {
		t.Errorf("a step after DONE: %v", err)
	}
}

func refuse(t *testing.T, p *Program, s *State, base [][]float64, segment int, value float64) {
	t.Helper()
	sums := append([][]float64(nil), base...)
	sums[segment] = append([]float64(nil), base[segment]...)
	sums[segment][0] = value
	before := string(s.Encode())
	if next, _, err := p.Apply(s, sums); err == nil || next != nil {
		t.Errorf("%s: segment %q starting with %g is accepted", s.kind, p.Layout(s.kind)[segment].Name, value)
	}
	if string(s.Encode()) != before {
		t.Errorf("%s: Apply changed the state", s.kind)
	}
}

// A job opens only the held-out sums that its metrics need.
func TestLayoutHasOnlyWhatMetricsNeed(t *testing.T) {
	names := func(p *Program) string {
		var out []string
		for _, s := range p.Layout(Evaluate) {
			out = append(out, s.Name)
		}
		return strings.Join(out, " ")
	}
	metricsList := `"metrics":["auc","log_loss","accuracy"]`
	if got := names(testProgram(t, metricsList, `"metrics":["accuracy"]`)); got != "rows loss held_out_rows held_out_positives held_out_correct" {
		t.Error(got)
	}
	if got := names(testProgram(t, `"holdout":true`, `"holdout":false`)); got != "rows loss" {
		t.Error(got)
	}
	p := testProgram(t)
	if len(p.Layout(Done)) != 0 || p.MaxRounds(Done) != 0 || p.MaxRounds(Fit) != 1 || p.MaxRounds(Train) != 4 || p.MaxRounds(Evaluate) != 1 {
		t.Error("rounds of a job")
	}
	for _, kind := range []RoundKind{Fit, Train, Evaluate} {
		for _, s := range p.Layout(kind) {
			if s.Length < 1 || s.ScaleDen != 1 || s.ScaleNum != 1 && s.ScaleNum != 1<<39-1 {
				t.Errorf("%s: %+v", kind, s)
			}
		}
	}
}
