package linear

import (
	"tributary/models/dataset"
	"tributary/models/metrics"
	"tributary/models/optim"
	"tributary/models/pipeline/fit"
)

// groupsOf gives the group of each held-out row in each of the program's group columns, row by row in the table's order: an
// index among the groups of all columns. It is nil if the program has no groups.
func groupsOf(p *optim.Program, t *dataset.Table) ([]int32, error) {
	if p.Groups() == nil {
		return nil, nil
	}
	columns, err := fit.Bind(p.Groups(), t)
	if err != nil {
		return nil, err
	}
	of := make([][]int, len(columns))
	for feature := range columns {
		of[feature] = p.Groups().CategoryColumns(nil, feature)
	}
	var out []int32
	for i := range t.Rows {
		if !t.Held(i) {
			continue
		}
		for feature, c := range columns {
			out = append(out, int32(of[feature][c.Codes[i]+1]))
		}
	}
	return out, nil
}

// countGroups counts a table's held-out rows by group.
func countGroups(p *optim.Program, t *dataset.Table) ([]int64, error) {
	groups, err := groupsOf(p, t)
	if err != nil || p.Groups() == nil {
		return nil, err
	}
	out := make([]int64, len(p.Groups().Columns()))
	for _, g := range groups {
		out[g]++
	}
	return out, nil
}

// Evaluate sums what an EVALUATE round asks for at a state: of the training rows their loss; of the held-out ones labels,
// predicted probabilities or, of numbers, margins, in the table's order, and loss. Losses are in nats. Groups that the state doesn't show are left out.
func (d *Design) Evaluate(s *optim.State, loss float64, p []float64, heldLoss float64) optim.EvaluateSums {
	if d.program.Target != nil {
		return d.evaluateTarget(loss, p)
	}
	out := optim.EvaluateSums{
		Rows: int64(d.train.n), Loss: loss, HeldOut: int64(d.held.n), HeldOutLoss: heldLoss,
		PositiveBins: make([]int64, metrics.Bins), NegativeBins: make([]int64, metrics.Bins),
	}
	var shown []bool
	columns := 0
	if spec := d.program.Groups(); spec != nil {
		shown, columns = d.program.ShownGroups(s), len(spec.Features())
		out.GroupPositiveBins, out.GroupNegativeBins = make([]int64, len(shown)*optim.GroupBins), make([]int64, len(shown)*optim.GroupBins)
	}
	for i, y := range d.held.label {
		bins, groupBins := out.NegativeBins, out.GroupNegativeBins
		if y {
			bins, groupBins = out.PositiveBins, out.GroupPositiveBins
			out.Positives++
		}
		bins[metrics.Bin(p[i])]++
		if (p[i] >= 0.5) == y {
			out.Correct++
		}
		for _, g := range d.groups[i*columns : (i+1)*columns] {
			if shown[g] {
				groupBins[int(g)*optim.GroupBins+metrics.BinOf(p[i], optim.GroupBins)]++
			}
		}
	}
	return out
}
