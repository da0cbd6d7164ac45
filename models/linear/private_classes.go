package linear

import (
	"math"

	"tributary/models/metrics"
)

// unitClasses gives a function that classifies one unit-norm row: its probabilities of each class, reused, the log loss of its own
// class in nats, and the class of the largest probability. The row's columns and values are appended as unit does.
func (d *Design) unitClasses(r *rows, w []float64) func(i int, columns []int, x []float64) (_ []int, _, p []float64, loss float64, predicted int) {
	p := make([]float64, len(d.program.Label.Classes))
	return func(i int, columns []int, x []float64) ([]int, []float64, []float64, float64, int) {
		columns, x = d.unit(r, i, columns, x)
		for k := range p {
			p[k] = unitMargin(w[k*d.columns:(k+1)*d.columns], columns, x)
		}
		loss, predicted := softmax(p, r.class[i])
		return columns, x, p, loss, predicted
	}
}

// rowClassGradient gives (p-y)·x by class, divided by √2: its norm is ‖p-y‖/√2 ≤ 1, see optim.Program.GradientNorm.
func (d *Design) rowClassGradient(w []float64) rowLanes {
	scale := float64(d.program.Privacy().Scale) / d.program.GradientNorm()
	classify := d.unitClasses(d.train, w)
	var columns []int
	var x []float64
	return func(i int, lanes []int, values []float64) ([]int, []float64) {
		var p []float64
		var loss float64
		columns, x, p, loss, _ = classify(i, columns[:0], x[:0])
		p[d.train.class[i]] = math.Expm1(-loss) // p-1
		for k, residual := range p {
			for a, c := range columns {
				lanes, values = append(lanes, k*d.columns+c), append(values, scale*residual*x[a])
			}
		}
		return lanes, values
	}
}

// classBin gives one count: among the rows that the model gets right, at the bin of their class's probability p, or among the
// others, at the bin of 1-p.
func (d *Design) classBin(w []float64) rowLanes {
	q := d.program.Privacy()
	classify := d.unitClasses(d.held, w)
	var columns []int
	var x []float64
	return func(i int, lanes []int, values []float64) ([]int, []float64) {
		var loss float64
		var predicted int
		columns, x, _, loss, predicted = classify(i, columns[:0], x[:0])
		lane := metrics.BinOf(math.Exp(-loss), q.Bins)
		if predicted != int(d.held.class[i]) {
			lane = q.Bins + metrics.BinOf(-math.Expm1(-loss), q.Bins)
		}
		return append(lanes, lane), append(values, float64(q.Scale))
	}
}
