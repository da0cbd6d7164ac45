// Package metrics derives a model's quality from sums over rows: losses, counts and histograms of predicted probabilities.
// It is pure: the same sums give the same bits on every architecture.
package metrics

import (
	"errors"
	"fmt"
	"strings"
)

// Bins is the number of equal bins of predicted probability: 1,024 give an AUC within 1e-4 of the exact one.
const Bins = 1024

// MaxLoss is where a row's loss saturates, in nats: the bound that its lane needs.
const MaxLoss = 64

// ErrInconsistent is returned for sums that no rows give.
var ErrInconsistent = errors.New("inconsistent metrics")

// Value is a number that may be absent, as a metric over no rows is.
type Value struct {
	Known bool
	V     float64
}

// Summary is the quality of a model.
type Summary struct {
	Rows      int64   // training rows
	TrainLoss float64 // nats per training row
	Objective float64 // nats: the sum of training losses plus the penalty

	HeldOut   int64 // held-out rows
	Positives int64 // held-out rows with a positive label
	AUC       Value
	LogLoss   Value // nats per held-out row
	Accuracy  Value // share of held-out rows right at probability 0.5

	// Of recommendations; then Rows and HeldOut count pairs of a user and an item.
	TopK     int   // length of a list of recommendations; 0: there are none
	Users    int64 // who have training and relevant held-out items: those that the first three are means over
	Recall   Value // relevant held-out items in the list, by all of the user's
	NDCG     Value // discounted cumulative gain of the list by that of the best one
	MAP      Value // average precision of the list, over the smaller of TopK and the user's relevant held-out items
	Coverage Value // share of the catalogue that any user is recommended
	RMSE     Value // of held-out ratings, in their unit; or of labels that are numbers

	// Of labels that are numbers, over held-out rows.
	MAE Value // mean absolute error, in the label's unit
	R2  Value // 1 - squared error by the squared distance from their own mean: 1 is perfect, 0 what their mean does
}

// LabelBin is a range of predictions of a label that is a number: rows, and their mean prediction and label, in its unit.
type LabelBin struct {
	Rows             int64
	Predicted, Label float64
}

// Ranking says the metrics of recommendations on one line, those that are known.
func (s *Summary) Ranking() string {
	var out []string
	for _, m := range []struct {
		name string
		v    Value
	}{{fmt.Sprintf("recall@%d", s.TopK), s.Recall}, {fmt.Sprintf("NDCG@%d", s.TopK), s.NDCG}, {fmt.Sprintf("MAP@%d", s.TopK), s.MAP}, {"coverage", s.Coverage}, {"RMSE", s.RMSE}} {
		if m.v.Known {
			out = append(out, fmt.Sprintf("%s %.4f", m.name, m.v.V))
		}
	}
	return strings.Join(out, ", ")
}

// Bin is the bin of a predicted probability.
func Bin(p float64) int {
	return BinOf(p, Bins)
}

// BinOf is the bin of a predicted probability among the given number of equal ones.
func BinOf(p float64, bins int) int {
	return min(max(int(float64(p*float64(bins))), 0), bins-1)
}

// AUC is the area under the ROC curve of binned scores, ties counted half. It is absent when a class has no rows.
func AUC(positive, negative []int64) (Value, error) {
	if len(positive) != len(negative) {
		return Value{}, fmt.Errorf("%w: %d and %d bins", ErrInconsistent, len(positive), len(negative))
	}
	var positives, below, pairs float64
	for i := range positive {
		if positive[i] < 0 || negative[i] < 0 {
			return Value{}, fmt.Errorf("%w: bin %d has a negative count", ErrInconsistent, i)
		}
		p, n := float64(positive[i]), float64(negative[i])
		pairs += float64(p * (below + float64(n*0.5)))
		positives += p
		below += n
	}
	if positives == 0 || below == 0 {
		return Value{}, nil
	}
	return Value{Known: true, V: pairs / float64(positives*below)}, nil
}

// Mean is a sum per row, absent without rows.
func Mean(sum float64, rows int64) Value {
	if rows <= 0 {
		return Value{}
	}
	return Value{Known: true, V: sum / float64(rows)}
}
