package engine

import (
	"encoding/json"
	"fmt"
	"math"

	"tributary/coordinator/internal/evaluation"
	"tributary/models/metrics"
	"tributary/models/optim"
	"tributary/protocol/round"
)

// model is a program as the round sees it. It keeps the last step's report, which people are shown; it is used under its job's lock.
type model struct {
	*optim.Program
	report *optim.Report // of the last Step; nil once told
}

var _ round.Model = (*model)(nil)

func newModel(document []byte) (*model, error) {
	p, err := optim.ParseProgram(document)
	if err != nil {
		return nil, err
	}
	return &model{Program: p}, nil
}

// Step implements round.Model.
func (m *model) Step(state []byte, sum [][]float64) ([]byte, error) {
	s, err := m.DecodeState(state)
	if err != nil {
		return nil, err
	}
	next, report, err := m.Apply(s, sum)
	if err != nil {
		return nil, err
	}
	m.report = &report
	return next.Encode(), nil
}

// Metrics is what people are told of an opened sum, as JSON: sums over the consortium, nothing of one participant.
type Metrics struct {
	Rows        int64    `json:"rows"`
	Objective   float64  `json:"objective,omitempty"`
	TrainLoss   float64  `json:"train_log_loss,omitempty"`
	Decrement   float64  `json:"decrement,omitempty"`
	Damped      bool     `json:"damped,omitempty"`
	Converged   bool     `json:"converged"`
	TrainRounds int      `json:"train_rounds"`
	MaxRounds   int      `json:"max_rounds"`
	Frozen      int      `json:"frozen,omitempty"`
	HeldOut     int64    `json:"held_out_rows,omitempty"`
	Positives   int64    `json:"held_out_positives,omitempty"`
	AUC         *float64 `json:"auc,omitempty"`
	LogLoss     *float64 `json:"log_loss,omitempty"`
	Accuracy    *float64 `json:"accuracy,omitempty"`
	Users       int64    `json:"held_out_users,omitempty"` // of recommendations; rows are pairs of a user and an item then
	TopK        int      `json:"top_k,omitempty"`
	Recall      *float64 `json:"recall,omitempty"`
	NDCG        *float64 `json:"ndcg,omitempty"`
	MAP         *float64 `json:"map,omitempty"`
	Coverage    *float64 `json:"coverage,omitempty"`
	RMSE        *float64 `json:"rmse,omitempty"`

	// Of a label that is a number; the objective is of half the squared error in its deviations then, and errors are in its unit.
	Number    bool             `json:"number,omitempty"`
	TrainHalf float64          `json:"train_loss,omitempty"` // in place of train_log_loss
	TrainRMSE *float64         `json:"train_rmse,omitempty"` // unless rows are weighted, and not in private jobs
	MAE       *float64         `json:"mae,omitempty"`
	R2        *float64         `json:"r2,omitempty"`
	LabelBins []evaluation.Bin `json:"label_bins,omitempty"` // kept with the job, not with its events

	Noised bool   `json:"noised,omitempty"` // a private job's: counts and metrics are noisy, objective and training loss unknown
	Note   string `json:"note,omitempty"`

	Scores *evaluation.Scores `json:"scores,omitempty"` // kept with the job, not with its events
}

func (m *model) metrics(r *optim.Report, state []byte) (Metrics, error) {
	s, err := m.DecodeState(state)
	if err != nil {
		return Metrics{}, fmt.Errorf("read state for its metrics: %w", err)
	}
	out := Metrics{Rows: r.Rows, Objective: r.Objective, TrainLoss: r.LossPerRow, Decrement: r.Decrement, Damped: r.Damped,
		Converged: s.Converged(), TrainRounds: s.TrainRounds(), MaxRounds: m.Model.MaxRounds, Frozen: r.Frozen, Noised: m.Private(), Note: r.Note}
	if q := r.Metrics; q != nil {
		out.HeldOut, out.Positives = q.HeldOut, q.Positives
		out.AUC, out.LogLoss, out.Accuracy = known(q.AUC), known(q.LogLoss), known(q.Accuracy)
		out.Users, out.TopK = q.Users, q.TopK
		out.Recall, out.NDCG, out.MAP, out.Coverage, out.RMSE = known(q.Recall), known(q.NDCG), known(q.MAP), known(q.Coverage), known(q.RMSE)
	}
	if m.Target != nil {
		m.number(&out, r, s)
	}
	if m.Model.Recommendation != nil {
		out.TrainLoss = 0 // it is no log loss; the objective has it
	}
	if h := r.Scores; h != nil {
		out.Scores = &evaluation.Scores{Positive: h.Positive, Negative: h.Negative, Deviation: r.Deviation, MinCount: m.LeastGroup()}
		for _, g := range r.Groups {
			told := evaluation.GroupScores{Group: g.Name, Column: g.Column, Rows: g.Rows}
			if g.Scores != nil {
				told.Positive, told.Negative = g.Scores.Positive, g.Scores.Negative
			}
			out.Scores.Groups = append(out.Scores.Groups, told)
		}
	}
	return out, nil
}

// number tells what there is of a label that is a number.
func (m *model) number(out *Metrics, r *optim.Report, s *optim.State) {
	out.Number, out.TrainHalf, out.TrainLoss = true, out.TrainLoss, 0
	if q := r.Metrics; q != nil {
		out.MAE, out.R2 = known(q.MAE), known(q.R2)
	}
	if r.Kind != optim.Fit && m.Weighting == nil && !m.Private() {
		_, sd := m.LabelUnits(s.Fitted())
		rmse := sd * math.Sqrt(2*r.LossPerRow)
		out.TrainRMSE = &rmse
	}
	for _, b := range r.LabelBins {
		out.LabelBins = append(out.LabelBins, evaluation.Bin(b))
	}
}

func (m Metrics) json() string {
	b, err := json.Marshal(m)
	if err != nil { // NaN can't be: the step refuses what isn't finite
		return ""
	}
	return string(b)
}

func known(v metrics.Value) *float64 {
	if !v.Known {
		return nil
	}
	return &v.V
}
