package linear

import (
	"math"

	"tributary/models/metrics"
)

// rowMachine gives a function that scores one row by a factorization machine, as it is, not at unit norm: the row's columns and
// values are appended, the intercept's last, and sums has each factor's Σ v·x, reused.
func (d *Design) rowMachine(r *rows, w []float64) func(i int, columns []int, x []float64) (_ []int, _ []float64, margin float64, sums []float64) {
	k, last := d.program.Model.Factors, d.columns-1
	sums := make([]float64, k)
	return func(i int, columns []int, x []float64) ([]int, []float64, float64, []float64) {
		columns, x = d.scaled(r, i, 1, columns, x)
		clear(sums)
		margin, squares := w[len(w)-1], 0.0
		for a, c := range columns[:len(columns)-1] {
			margin += w[c] * x[a]
			for f, v := range w[last+c*k : last+c*k+k] {
				t := v * x[a]
				sums[f] += t
				squares += t * t
			}
		}
		pairs := -squares
		for _, s := range sums {
			pairs += s * s
		}
		return columns, x, margin + pairs/2, sums
	}
}

// rowMachineGradient gives the gradient of a row's log loss by the coefficients of a factorization machine, divided by
// optim.Program.GradientNorm and then clipped to a norm of 1. Whatever the factors are, no row adds more.
func (d *Design) rowMachineGradient(w []float64) rowLanes {
	scale, rho := float64(d.program.Privacy().Scale), d.program.GradientNorm()
	score := d.rowMachine(d.train, w)
	k, last := d.program.Model.Factors, d.columns-1
	var columns []int
	var x []float64
	return func(i int, lanes []int, values []float64) ([]int, []float64) {
		var margin float64
		var sums []float64
		columns, x, margin, sums = score(i, columns[:0], x[:0])
		residual, _ := logistic(margin)
		if d.train.label[i] {
			residual--
		}
		residual /= rho
		m := len(columns) - 1
		square := residual * residual // of the intercept
		for a, c := range columns[:m] {
			g := residual * x[a]
			lanes, values = append(lanes, c), append(values, g)
			square += g * g
		}
		for a, c := range columns[:m] {
			g, at := residual*x[a], last+c*k
			for f, v := range w[at : at+k] {
				h := g * (sums[f] - v*x[a])
				lanes, values = append(lanes, at+f), append(values, h)
				square += h * h
			}
		}
		lanes, values = append(lanes, len(w)-1), append(values, residual)
		scale := scale / max(1, math.Sqrt(square))
		for a := range values {
			values[a] *= scale
		}
		return lanes, values
	}
}

// machineScores gives each row's probability of the positive label.
func (d *Design) machineScores(r *rows, w []float64) []float64 {
	out := make([]float64, r.n)
	score := d.rowMachine(r, w)
	var columns []int
	var x []float64
	for i := range out {
		var margin float64
		columns, x, margin, _ = score(i, columns[:0], x[:0])
		out[i], _ = logistic(margin)
	}
	return out
}

// machineBin is bin of a factorization machine.
func (d *Design) machineBin(w []float64) rowLanes {
	q := d.program.Privacy()
	score := d.rowMachine(d.held, w)
	var columns []int
	var x []float64
	return func(i int, lanes []int, values []float64) ([]int, []float64) {
		var margin float64
		columns, x, margin, _ = score(i, columns[:0], x[:0])
		p, _ := logistic(margin)
		lane := metrics.BinOf(p, q.Bins)
		if !d.held.label[i] {
			lane += q.Bins
		}
		return append(lanes, lane), append(values, float64(q.Scale))
	}
}
