// Package evaluation derives, for people, what a job's opened score histogram says of its model: quality with its uncertainty,
// calibration, lift, and what a threshold would decide. It opens nothing: all of it follows from sums over the consortium.
package evaluation

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"tributary/models/metrics"
)

// Scores are held-out rows by label and equal bins of predicted probability, as the coordinator keeps them with a job's metrics.
type Scores struct {
	Positive  []float64 `json:"positive"`
	Negative  []float64 `json:"negative"`
	Deviation float64   `json:"deviation,omitempty"` // of the noise of each count, in rows; 0 in exact jobs

	Groups   []GroupScores `json:"groups,omitempty"`
	MinCount int64         `json:"min_count,omitempty"` // rows below which nothing is told of a group; 0 without groups
}

// Histogram is the scores as the metrics take them.
func (s *Scores) Histogram() metrics.Histogram {
	return metrics.Histogram{Positive: s.Positive, Negative: s.Negative}
}

// Evaluation is a model's quality on held-out rows. What the rows can't say, as an AUC of one class, is nil. In a private job it
// is noisy, and its intervals cover the noise.
type Evaluation struct {
	AUC              *float64      `json:"auc"`
	AUCLow           *float64      `json:"auc_low"` // 95 % interval by DeLong
	AUCHigh          *float64      `json:"auc_high"`
	AveragePrecision *float64      `json:"average_precision"`
	Brier            *float64      `json:"brier"`
	CalibrationError *float64      `json:"calibration_error"` // expected, over 10 ranges
	Calibration      []Calibration `json:"calibration"`
	Lift             []Lift        `json:"lift"`
	Confusion        Confusion     `json:"confusion"`
	Fairness         []Fairness    `json:"fairness,omitempty"`
	Noised           bool          `json:"noised"`
}

// Calibration is a range of predicted probabilities.
type Calibration struct {
	Low       float64  `json:"low"`
	High      float64  `json:"high"`
	Rows      float64  `json:"rows"`
	Predicted *float64 `json:"predicted"`
	Observed  *float64 `json:"observed"`
}

// Lift is the rows with the highest scores.
type Lift struct {
	Share float64 `json:"share"`
	Rows  float64 `json:"rows"`
	Gain  float64 `json:"gain"`
	Lift  float64 `json:"lift"`
}

// Confusion is what a threshold decides.
type Confusion struct {
	Threshold     float64  `json:"threshold"`
	TruePositive  float64  `json:"true_positive"`
	FalsePositive float64  `json:"false_positive"`
	FalseNegative float64  `json:"false_negative"`
	TrueNegative  float64  `json:"true_negative"`
	Precision     *float64 `json:"precision"`
	Recall        *float64 `json:"recall"`
	Specificity   *float64 `json:"specificity"`
	F1            *float64 `json:"f1"`
	Accuracy      *float64 `json:"accuracy"`
}

// Of evaluates scores at a threshold in [0, 1]; nil for jobs that open no histogram.
func Of(s *Scores, threshold float64) *Evaluation {
	if s == nil {
		return nil
	}
	h := s.Histogram()
	auc, _ := h.AUC(s.Deviation)
	low, high := h.AUCInterval(s.Deviation)
	out := &Evaluation{AUC: known(auc), AUCLow: known(low), AUCHigh: known(high), AveragePrecision: known(h.AveragePrecision()),
		Brier: known(h.Brier()), CalibrationError: known(h.CalibrationError()), Noised: s.Deviation > 0}
	for _, b := range h.Calibration() {
		out.Calibration = append(out.Calibration, Calibration{b.Low, b.High, b.Rows, known(b.Predicted), known(b.Observed)})
	}
	for _, r := range h.Lift() {
		out.Lift = append(out.Lift, Lift(r))
	}
	c := h.Confusion(threshold)
	out.Confusion = Confusion{c.Threshold, c.TruePositive, c.FalsePositive, c.FalseNegative, c.TrueNegative,
		known(c.Precision()), known(c.Recall()), known(c.Specificity()), known(c.F1()), known(c.Accuracy())}
	out.Fairness = fairness(s, threshold)
	return out
}

func known(v metrics.Value) *float64 {
	if !v.Known {
		return nil
	}
	return &v.V
}

// Split takes the scores out of a job's metrics JSON: for people they are a long list. Both are nil if there are none; text that
// isn't JSON is given back as it is.
func Split(text string) (rest json.RawMessage, scores *Scores) {
	if text == "" {
		return nil, nil
	}
	var all map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &all) != nil || all["scores"] == nil {
		return json.RawMessage(text), nil
	}
	scores = &Scores{}
	if json.Unmarshal(all["scores"], scores) != nil || len(scores.Positive) != len(scores.Negative) || len(scores.Positive) == 0 {
		scores = nil
	}
	delete(all, "scores")
	rest, err := json.Marshal(all)
	if err != nil { // they were JSON before
		return json.RawMessage(text), scores
	}
	return rest, scores
}

// Rows are the quality as names with values, for a table.
func (e *Evaluation) Rows() [][]string {
	auc := Number(e.AUC)
	if e.AUCLow != nil {
		auc += fmt.Sprintf(" (95 %%: %.4f to %.4f)", *e.AUCLow, *e.AUCHigh)
	}
	c := e.Confusion
	rows := [][]string{
		{"AUC", auc},
		{"average precision", Number(e.AveragePrecision)},
		{"Brier score", Number(e.Brier)},
		{"calibration error", Number(e.CalibrationError)},
		{fmt.Sprintf("at threshold %.4g", c.Threshold), fmt.Sprintf("precision %s, recall %s, specificity %s, F1 %s", Number(c.Precision), Number(c.Recall), Number(c.Specificity), Number(c.F1))},
		{"", fmt.Sprintf("%.0f positives found, %.0f missed; %.0f negatives right, %.0f false alarms", c.TruePositive, c.FalseNegative, c.TrueNegative, c.FalsePositive)},
	}
	for _, f := range e.Fairness {
		rows = append(rows, []string{"groups of " + f.Column, "demographic parity difference " + Number(f.DemographicParity) + ", equal opportunity difference " + Number(f.EqualOpportunity)})
	}
	return rows
}

// WriteTables prints calibration and lift.
func (e *Evaluation) WriteTables(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(cells ...string) { fmt.Fprintln(t, strings.Join(cells, "\t")) }
	line("PREDICTED", "ROWS", "MEAN PREDICTED", "OBSERVED")
	for _, b := range e.Calibration {
		line(fmt.Sprintf("%.1f to %.1f", b.Low, b.High), fmt.Sprintf("%.0f", b.Rows), Number(b.Predicted), Number(b.Observed))
	}
	t.Flush()
	if len(e.Lift) > 0 {
		fmt.Fprintln(w)
		line("HIGHEST SCORES", "ROWS", "POSITIVES FOUND", "LIFT")
		for _, r := range e.Lift {
			line(fmt.Sprintf("%.0f %%", 100*r.Share), fmt.Sprintf("%.0f", r.Rows), fmt.Sprintf("%.1f %%", 100*r.Gain), fmt.Sprintf("%.2f", r.Lift))
		}
		t.Flush()
	}
	for _, f := range e.Fairness {
		fmt.Fprintf(w, "\nGroups of %s, at threshold %.4g:\n", f.Column, f.Threshold)
		line(GroupHeader()...)
		for _, row := range f.Table() {
			line(row...)
		}
		t.Flush()
		fmt.Fprintf(w, "Demographic parity difference %s, equal opportunity difference %s.\n", Number(f.DemographicParity), Number(f.EqualOpportunity))
	}
}

// Number shows a metric; nil is "-".
func Number(v *float64) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf("%.6f", *v)
}
