package linear

import (
	"tributary/models/dataset"
	"tributary/models/metrics"
	"tributary/models/optim"
)

// groupsOf gives, by group column and code, the group: an index among the groups of all columns.
func groupsOf(p *optim.Program) [][]int {
	of := make([][]int, len(p.Groups().Features()))
	for feature := range of {
		of[feature] = p.Groups().CategoryColumns(nil, feature)
	}
	return of
}

// countGroups counts a table's held-out rows by group.
func (b *Bound) countGroups() []int64 {
	if b.groups == nil {
		return nil
	}
	t, of := b.table, groupsOf(b.program)
	out := make([]int64, len(b.program.Groups().Columns()))
	for feature, c := range b.groups {
		for from, codes := range dataset.Runs(t.Memory, c.Codes) {
			for i, code := range codes {
				if t.Held(from + i) {
					out[of[feature][code+1]]++
				}
			}
			t.Done(from, from+len(codes))
		}
	}
	return out
}

// Evaluation sums what an EVALUATE round asks for of held-out rows, at the probabilities that they are predicted with.
type Evaluation struct {
	*Design
	shown   []bool
	columns int // of groups
	sums    optim.EvaluateSums
}

// Evaluation begins with no rows. Groups that the state doesn't show are left out.
func (d *Design) Evaluation(s *optim.State) *Evaluation {
	e := &Evaluation{Design: d, sums: optim.EvaluateSums{PositiveBins: make([]int64, metrics.Bins), NegativeBins: make([]int64, metrics.Bins)}}
	e.sums.Target = optim.TargetSums{Rows: make([]int64, optim.TargetBins), Predicted: make([]float64, optim.TargetBins), Labels: make([]float64, optim.TargetBins)}
	if spec := d.program.Groups(); spec != nil {
		e.shown, e.columns = d.program.ShownGroups(s), len(spec.Features())
		bins := len(e.shown) * optim.GroupBins
		e.sums.GroupPositiveBins, e.sums.GroupNegativeBins = make([]int64, bins), make([]int64, bins)
	}
	return e
}

// Add adds held-out row i, whose label is predicted to be positive with probability p; or, where it is a number, with margin p.
func (e *Evaluation) Add(i int, p float64) {
	if e.held.target != nil {
		e.addTarget(i, p)
		return
	}
	y := e.held.label[i]
	bins, groupBins := e.sums.NegativeBins, e.sums.GroupNegativeBins
	if y {
		bins, groupBins = e.sums.PositiveBins, e.sums.GroupPositiveBins
		e.sums.Positives++
	}
	bins[metrics.Bin(p)]++
	if (p >= 0.5) == y {
		e.sums.Correct++
	}
	if e.columns == 0 {
		return
	}
	for _, g := range e.held.groups[i*e.columns : (i+1)*e.columns] {
		if e.shown[g] {
			groupBins[int(g)*optim.GroupBins+metrics.BinOf(p, optim.GroupBins)]++
		}
	}
}

// merge adds another evaluation's rows.
func (e *Evaluation) merge(o *Evaluation) {
	e.sums.Positives += o.sums.Positives
	e.sums.Correct += o.sums.Correct
	e.mergeTarget(&o.sums.Target)
	for _, pair := range [][2][]int64{
		{e.sums.PositiveBins, o.sums.PositiveBins}, {e.sums.NegativeBins, o.sums.NegativeBins},
		{e.sums.GroupPositiveBins, o.sums.GroupPositiveBins}, {e.sums.GroupNegativeBins, o.sums.GroupNegativeBins},
	} {
		for i, n := range pair[1] {
			pair[0][i] += n
		}
	}
}

// Sums gives the sums, with the training rows' loss and the held-out rows' loss, in nats.
func (e *Evaluation) Sums(loss, heldLoss float64) optim.EvaluateSums {
	out := e.sums
	out.Rows, out.Loss, out.HeldOut, out.HeldOutLoss = int64(e.train.n), loss, int64(e.held.n), heldLoss
	return out
}
