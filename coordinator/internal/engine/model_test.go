package engine

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
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
	if err := json.Unmarshal([]byte(told.json()), &again); err != nil || !reflect.DeepEqual(again, told) {
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

// A recommender's metrics are those of its lists; its loss is no log loss.
func TestRankingMetricsAreTold(t *testing.T) {
	m, err := newModel([]byte(`{"version":1,"contributors":3,"bits":40,"max_rows":1000,"features":[{"name":"item","kind":"category","values":["a","b"],"nullable":false,"missing_indicator":false,"min_count":1}],
 "model":{"type":"matrix_factorization","l2":1,"solver":"als","max_rounds":1,"tolerance":0,"factors":1,"recommendation":{"explicit":false,"alpha":1,"top_k":1,"patience":0,"seed":"0"}},
 "evaluate":{"holdout":true,"metrics":["recall","coverage"]}}`))
	if err != nil {
		t.Fatal(err)
	}
	state := m.InitialState()
	for _, sum := range []func(*optim.State) [][]float64{
		func(*optim.State) [][]float64 {
			return m.EncodeFactorFit(optim.FactorTotals{Users: 10, Rows: 12, HeldOut: 6, ItemUsers: []int64{8, 4}})
		},
		func(s *optim.State) [][]float64 {
			return m.EncodeFactors(s, optim.FactorSums{Rows: 12, Loss: 5, Norm: 4, Gram: []float64{4}, Matrix: []float64{2, 1}, Vector: []float64{3, 2}})
		},
		func(s *optim.State) [][]float64 {
			return m.EncodeRanking(s, optim.RankingSums{Rows: 12, Users: 4, Recall: 3, Recommended: []int64{2, 0}})
		},
	} {
		s, err := m.DecodeState(state)
		if err != nil {
			t.Fatal(err)
		}
		if state, err = m.Step(state, sum(s)); err != nil {
			t.Fatal(err)
		}
	}
	told, err := m.metrics(m.report, state)
	if err != nil || told.Recall == nil || *told.Recall != 0.75 || told.Coverage == nil || *told.Coverage != 0.5 || told.NDCG != nil || told.AUC != nil ||
		told.TopK != 1 || told.Users != 4 || told.HeldOut != 6 || told.TrainLoss != 0 || !(told.Objective > 0) {
		t.Errorf("%s (%v)", told.json(), err)
	}
}

// A label that is a number is told in its own unit: 20 ± 10 of a range of 100 here.
func TestMetricsOfANumberAreInItsUnit(t *testing.T) {
	m, err := newModel([]byte(`{"version":1,"contributors":3,"bits":40,"max_rows":1000,
 "features":[{"name":"age","kind":"number","min":0,"max":100,"nullable":false,"log1p":false,"standardize":true,"clip":64,"missing_indicator":false}],
 "model":{"type":"linear_regression","l2":1,"solver":"newton","max_rounds":1,"tolerance":1e-8},
 "evaluate":{"holdout":true,"metrics":["rmse","mae","r2","calibration"]},"label":{"min":0,"max":100}}`))
	if err != nil {
		t.Fatal(err)
	}
	state := m.InitialState()
	for _, sum := range []func(*optim.State) [][]float64{
		func(*optim.State) [][]float64 {
			return m.EncodeFit(pipeline.Totals{Rows: 40, HeldOut: 10, LabelSum: 8, LabelSquare: 2, Present: []int64{40}, Sum: []float64{20}, Square: []float64{12}, Counts: []int64{}})
		},
		func(s *optim.State) [][]float64 {
			return m.EncodeTrain(s, optim.TrainSums{Rows: 40, Loss: 20, Gradient: []float64{-10, 0}, Hessian: []float64{40, 0, 40}})
		},
		func(s *optim.State) [][]float64 {
			bins := optim.TargetSums{SquaredError: 2.5, AbsoluteError: 4, Square: 10, Rows: make([]int64, optim.TargetBins), Predicted: make([]float64, optim.TargetBins), Labels: make([]float64, optim.TargetBins)}
			bins.Rows[12], bins.Predicted[12], bins.Labels[12] = 10, 6, 5
			return m.EncodeEvaluate(s, optim.EvaluateSums{Rows: 40, Loss: 5, HeldOut: 10, Target: bins})
		},
	} {
		s, err := m.DecodeState(state)
		if err != nil {
			t.Fatal(err)
		}
		if state, err = m.Step(state, sum(s)); err != nil {
			t.Fatal(err)
		}
	}
	told, err := m.metrics(m.report, state)
	if err != nil || told.RMSE == nil || told.MAE == nil || told.R2 == nil || told.TrainRMSE == nil || len(told.LabelBins) != 1 {
		t.Fatalf("%s (%v)", told.json(), err)
	}
	bin := told.LabelBins[0]
	for _, c := range []struct{ got, want float64 }{{*told.RMSE, 5}, {*told.MAE, 4}, {*told.R2, 0.75}, {*told.TrainRMSE, 5}, {told.TrainHalf, 0.125}, {bin.Predicted, 26}, {bin.Label, 25}} {
		if math.Abs(c.got-c.want) > 1e-6 {
			t.Errorf("%g, want %g: %s", c.got, c.want, told.json())
		}
	}
	if !told.Number || told.TrainLoss != 0 || told.LogLoss != nil || told.HeldOut != 10 || bin.Rows != 10 {
		t.Error(told.json())
	}
}

// A private job of a number tells its noisy errors, and nothing of the training rows but about how many they are.
func TestMetricsOfAPrivateNumber(t *testing.T) {
	m, err := newModel([]byte(`{"version":1,"contributors":3,"bits":40,"max_rows":100000,
 "features":[{"name":"age","kind":"number","min":0,"max":100,"nullable":false,"log1p":false,"scale":true,"missing_indicator":false}],
 "model":{"type":"linear_regression","l2":1,"solver":"dp_sgd","max_rounds":1,"sampling":{"rate_num":1,"rate_den":1,"learning_rate":1,"momentum":0}},
 "private":{"unit":"record","clip":1,"scale":1024,"sigma2_fit":"1048576","sigma2_train":"1048576","sigma2_evaluate":"1048576","bins":50},
 "evaluate":{"holdout":true,"metrics":["rmse","mae","r2"]},"label":{"min":0,"max":100}}`))
	if err != nil {
		t.Fatal(err)
	}
	state := m.InitialState()
	// Of 1,000 rows each: Σe² = 40, Σ|e| = 160, Σt = 0, Σt² = 160.
	for _, sum := range [][]float64{{1000 * 1024}, {-10 * 1024, 5 * 1024}, {250 * 1024, 20 * 1024, 0, 35 * 1024, 0, 80 * 1024}} {
		if state, err = m.Step(state, [][]float64{sum}); err != nil {
			t.Fatal(err)
		}
		told, err := m.metrics(m.report, state)
		if err != nil || !told.Noised || told.Note == "" || told.Rows != 1000 || told.TrainRMSE != nil || told.TrainHalf != 0 || told.Objective != 0 || !told.Number {
			t.Errorf("%s (%v)", told.json(), err)
		}
		if m.report.Kind == optim.Evaluate && (told.RMSE == nil || told.MAE == nil || told.R2 == nil || told.HeldOut != 1000 || math.Abs(*told.RMSE-10) > 1e-9 || math.Abs(*told.MAE-8) > 1e-9 || math.Abs(*told.R2-0.75) > 1e-9) {
			t.Error(told.json())
		}
	}
}
