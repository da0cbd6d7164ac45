package optim

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"tributary/models/pipeline"
)

// sketchedDocument clamps a number to its quantiles, and cuts another one into fitted buckets.
const sketchedDocument = `{"version":1,"contributors":3,"bits":40,"max_rows":1000,"features":[` +
	`{"name":"age","kind":"number","min":0,"max":100,"nullable":false,"log1p":false,"standardize":true,"clip":64,"missing_indicator":false,"clip_quantiles":[0.1,0.9]},` +
	`{"name":"income","kind":"buckets","min":0,"max":1000,"nullable":true,"missing_indicator":true,"min_count":5,"quantiles":4}],` +
	`"model":{"type":"logistic_regression","l2":1,"solver":"lbfgs","max_rounds":4,"tolerance":1e-8},"evaluate":{"holdout":true,"metrics":["auc"]}}`

// sketchedRun gives the states before and after FIT, of 100 rows.
func sketchedRun(t testing.TB, p *Program) []*State {
	t.Helper()
	age, income := p.spec.SketchOf(0), p.spec.SketchOf(1)
	bins, moments := p.spec.SketchLanes()
	totals := pipeline.Totals{Rows: 100, Positives: 40, HeldOut: 10, Present: []int64{100}, Sum: []float64{0}, Square: []float64{0},
		Bins: make([]int64, bins), BinSum: make([]float64, moments), BinSquare: make([]float64, moments)}
	for i := range 100 {
		at, u := age.Bin(float64(i)), float64(i)/100
		totals.Bins[at]++
		totals.BinSum[at] += u
		totals.BinSquare[at] += u * u
		totals.Sum[0] += u
		totals.Square[0] += u * u
		if i < 90 {
			totals.Bins[age.Bins()+income.Bin(float64(10*i))]++
		}
	}
	s, _, err := p.Apply(p.Initial(), p.EncodeFit(totals))
	if err != nil {
		t.Fatal(err)
	}
	return []*State{p.Initial(), s}
}

// zeroSum is an opened sum of zeros, of as many training rows as the state has.
func zeroSum(p *Program, s *State) (sum [][]float64) {
	for _, segment := range p.Layout(s.Kind()) {
		values := make([]float64, segment.Length)
		if segment.Name == segRows && s.fitted != nil {
			values[0] = float64(s.fitted.Rows)
		}
		sum = append(sum, values)
	}
	return sum
}

// Hostile bytes are no state of any solver: what decodes is the one encoding of a state, can be exported, and a step from it gives
// another state or an error.
func FuzzDecodeStates(f *testing.F) {
	var programs []*Program
	add := func(p *Program, states []*State) {
		for _, s := range states {
			f.Add(uint8(len(programs)), s.Encode())
		}
		programs = append(programs, p)
	}
	for _, model := range []string{`"l1":3,"patience":2`, `"patience":5,"standard_errors":true`} {
		p := watchedProgram(f, model)
		add(p, watchedRun(f, p))
	}
	for _, p := range []*Program{sampledProgram(f), classesSampledProgram(f), machineSampledProgram(f)} {
		states, _, _ := runSampled(f, p)
		add(p, states)
	}
	for _, p := range []*Program{numberSampledProgram(f), numberMachineProgram(f)} {
		states, _ := runNumber(f, p)
		add(p, states)
	}
	p := averagingProgram(f)
	add(p, averagingRun(f, p))
	p = dualProgram(f)
	add(p, averagingRun(f, p))
	p = factorProgram(f, privateFactorDocument)
	add(p, privateFactorRun(f, p))
	for _, metrics := range []string{`["recall","ndcg","map","rmse"]`, `["rmse"]`} {
		p = privateRatingProgram(f, metrics)
		add(p, privateRatingRun(f, p))
	}
	for _, doc := range trainedDocuments() {
		p := factorProgram(f, doc)
		add(p, factorRun(f, p))
	}
	for _, solver := range []string{"dp_gradient_descent", "dp_sgd"} {
		p := privateSketchProgram(f, solver)
		add(p, privateSketchRun(f, p))
	}
	p = factorProgram(f, sketchedDocument)
	add(p, sketchedRun(f, p))
	for _, doc := range []string{targetDocument, strings.Replace(targetDocument, `"newton"`, `"lbfgs","standard_errors":true`, 1)} {
		p := factorProgram(f, doc)
		s := p.Initial()
		sum := zeroSum(p, s)
		for i, segment := range p.Layout(Fit) {
			switch segment.Name {
			case segRows, segPresent:
				sum[i][0] = 100
			case segTargetSumWhole, segSumWhole:
				sum[i][0] = 50
			case segTargetSquareWhole, segSquareWhole:
				sum[i][0] = 30
			}
		}
		next, _, err := p.Apply(s, sum)
		if err != nil {
			f.Fatal(err)
		}
		add(p, []*State{s, next})
	}
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		p := programs[int(which)%len(programs)]
		s, err := p.DecodeState(data)
		if err != nil {
			if !errors.Is(err, ErrState) {
				t.Fatalf("foreign error %v", err)
			}
			return
		}
		if !bytes.Equal(s.Encode(), data) {
			t.Fatal("two encodings of one state")
		}
		if s.Kind() == Done {
			if _, err := Export(p, s); err != nil {
				t.Fatal(err)
			}
			return
		}
		next, _, err := p.Apply(s, zeroSum(p, s))
		if err != nil {
			return
		}
		if _, err := p.DecodeState(next.Encode()); err != nil {
			t.Fatalf("a state of Apply is refused: %v", err)
		}
	})
}
