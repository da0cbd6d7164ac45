package engine

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"

	"tributary/models/optim"
	"tributary/models/pipeline"
	"tributary/protocol/round"
)

const program = `{"version":1,"contributors":3,"bits":40,"max_rows":1000,
 "features":[{"name":"age","kind":"number","min":0,"max":100,"nullable":false,"log1p":false,"standardize":true,"clip":64,"missing_indicator":false}],
 "model":{"type":"logistic_regression","l2":1,"solver":"newton","max_rounds":2,"tolerance":1e-8},
 "evaluate":{"holdout":false,"metrics":[]}}`

// TestStepIsTheProgramsAndIsReported: what the coordinator applies is what every member recomputes; the report is only shown.
func TestStepIsTheProgramsAndIsReported(t *testing.T) {
	m, err := newModel([]byte(program))
	if err != nil {
		t.Fatal(err)
	}
	p, err := optim.ParseProgram([]byte(program))
	if err != nil {
		t.Fatal(err)
	}
	sum := p.EncodeFit(pipeline.Totals{Rows: 40, Positives: 10, Present: []int64{40}, Sum: []float64{20}, Square: []float64{12}, Counts: []int64{}})
	fitted, err := m.Step(m.InitialState(), sum)
	if err != nil {
		t.Fatal(err)
	}
	want, err := p.Step(p.InitialState(), sum)
	if err != nil || !bytes.Equal(fitted, want) {
		t.Fatalf("the coordinator's step gives another state than a member's (%v)", err)
	}
	told, err := m.metrics(m.report, fitted)
	if err != nil || told.Rows != 40 || told.MaxRounds != 2 || told.Converged {
		t.Errorf("%+v, %v", told, err)
	}
	s, err := m.DecodeState(fitted)
	if err != nil {
		t.Fatal(err)
	}
	trained, err := m.Step(fitted, p.EncodeTrain(s, optim.TrainSums{Rows: 40, Loss: 27.5, Gradient: []float64{1, 2}, Hessian: []float64{9, 1, 10}}))
	if err != nil {
		t.Fatal(err)
	}
	if told, err = m.metrics(m.report, trained); err != nil || told.TrainRounds != 1 || told.Objective < 27 || told.Objective > 28 {
		t.Errorf("%+v, %v", told, err)
	}
	var again Metrics
	if err := json.Unmarshal([]byte(told.json()), &again); err != nil || again != told {
		t.Errorf("%s, %v", told.json(), err)
	}
}

// TestPersistPointsAreNamedForTheirInput: the crash harness enumerates these names.
func TestPersistPointsAreNamedForTheirInput(t *testing.T) {
	inputs := []round.CoordinatorInput{round.ApprovalCame{}, round.UploadCame{}, round.CheckedCame{}, round.ComplaintCame{}, round.ChargeCame{}, round.ShareSumCame{}, round.RefusalCame{},
		round.Cancel{}, round.Revoked{}, round.Opened{}, round.NotOpened{}, round.Clock{}}
	var names []string
	for _, in := range inputs {
		names = append(names, inputName(in))
	}
	slices.Sort(names)
	if n := len(slices.Compact(names)); n != len(inputs) {
		t.Errorf("%d names for %d inputs: %v", n, len(inputs), names)
	}
}
