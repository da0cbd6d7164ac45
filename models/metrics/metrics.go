// Package metrics derives a model's quality from sums over rows: losses, counts and histograms of predicted probabilities.
// It is pure: the same sums give the same bits on every architecture.
package metrics

import (
	"errors"
	"fmt"
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
