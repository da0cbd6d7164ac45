package optim

import (
	"fmt"
	"math"

	"tributary/models/metrics"
)

// applyHistogram is the step of a private EVALUATE. With several classes the histogram's positives are the rows whose class has the
// largest probability, by that probability, and its negatives the others, by 1 less their class's: the log loss and the accuracy
// are in it, and no scores of two classes.
func (p *Program) applyHistogram(s *State, v map[string][]float64) (*State, Report, error) {
	lanes, bins := v[segHistogram], p.privacy.Bins
	if err := p.checkNormOf(lanes, p.privacy.Sigma2Evaluate, p.evaluateNorm()); err != nil {
		return nil, Report{}, err
	}
	rows := make([]float64, len(lanes))
	for i, unit := range lanes {
		rows[i] = unit / float64(p.privacy.Scale)
	}
	noised := metrics.Histogram{Positive: rows[:bins], Negative: rows[bins : 2*bins]}
	clipped := noised.Clipped()
	positives, negatives := noised.Totals()
	summary := metrics.Summary{Rows: s.fitted.Rows, HeldOut: whole(positives) + whole(negatives)}
	sigma := p.sigma(p.privacy.Sigma2Evaluate)
	note := fmt.Sprintf("metrics are noisy: they come from a noised histogram of %d bins a label (standard error %.3g rows a bin or more)", bins, sigma)
	if p.Evaluate.AUC {
		auc, uncertainty := clipped.AUC(sigma)
		summary.AUC = auc
		if auc.Known {
			note += fmt.Sprintf("; the noise alone moves the AUC by about %.2g", uncertainty.V)
		}
	}
	if p.Evaluate.LogLoss {
		summary.LogLoss = clipped.LogLoss()
	}
	report := Report{Kind: Evaluate, Rows: s.fitted.Rows, Metrics: &summary, Note: note}
	report.Groups = p.noisedGroups(rows[2*bins:])
	if p.Label == nil {
		summary.Positives, report.Scores, report.Deviation = whole(positives), &clipped, sigma
	}
	switch {
	case p.Evaluate.Correct && p.Label != nil:
		summary.Accuracy = metrics.Mean(float64(whole(positives)), summary.HeldOut)
	case p.Evaluate.Correct:
		summary.Accuracy = clipped.Accuracy()
	}
	next := s.advance(Done)
	next.summary, report.Step = summary, next.step
	return next, report, nil
}

// whole is a noised count as rows: rounded, and not negative.
func whole(count float64) int64 { return int64(math.Floor(max(count, 0) + 0.5)) }
