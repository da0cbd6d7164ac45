package optim

import (
	"math"

	"tributary/models/metrics"
)

// A private program's evaluation by groups: EVALUATE has lanes behind the histogram's, for each group a histogram of its own, positives
// first. A held-out row is in one group of each column: with the 1 of its bin among all rows, what it adds has a norm of √(1+columns).
// No group is hidden from the sum, since the noise covers every row; of one that has too few rows to be told from noise nothing is told.

const (
	// NoisedGroupBins is the number of equal bins of predicted probability of a group in a private program: 0.5 is between two.
	NoisedGroupBins = 10

	groupDeviations = 4 // a group's counts of a label tell something from so many deviations of their noise
)

// GroupLane is the lane of a private EVALUATE that a held-out row of a group adds to.
func (p *Program) GroupLane(group int, positive bool, probability float64) int {
	lane := 2*p.privacy.Bins + 2*NoisedGroupBins*group + metrics.BinOf(probability, NoisedGroupBins)
	if !positive {
		lane += NoisedGroupBins
	}
	return lane
}

// evaluateNorm bounds the L2 norm of what one row adds to a private EVALUATE sum, in units of 1.0.
func (p *Program) evaluateNorm() float64 {
	return math.Sqrt(float64(1 + len(p.groupFeatures())))
}

// LeastGroup is the number of held-out rows from which something is told of a group: the job's own, and in private jobs at least
// groupDeviations of the noise in a label's count.
func (p *Program) LeastGroup() int64 {
	if p.groups == nil || !p.Private() {
		return p.MinGroup
	}
	noise := float64(p.sigma(p.privacy.Sigma2Evaluate) * math.Sqrt(NoisedGroupBins))
	return max(p.MinGroup, whole(float64(groupDeviations*noise)))
}

// noisedGroups reads the groups' histograms of an opened sum, in rows.
func (p *Program) noisedGroups(rows []float64) (out []GroupScores) {
	if p.groups == nil {
		return nil
	}
	least := p.LeastGroup()
	for _, c := range p.groups.Columns() {
		h := metrics.Histogram{Positive: rows[:NoisedGroupBins], Negative: rows[NoisedGroupBins : 2*NoisedGroupBins]}
		rows = rows[2*NoisedGroupBins:]
		positives, negatives := h.Totals()
		g := GroupScores{Name: c.Name, Column: p.groups.Features()[c.Feature].Name, Rows: whole(positives + negatives)}
		if g.Rows >= least {
			clipped := h.Clipped()
			g.Scores = &clipped
		}
		out = append(out, g)
	}
	return out
}
