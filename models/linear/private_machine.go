package linear

import (
	"math"
)

// rowMachine gives a function that scores one row as it is, not at unit norm, by a factorization machine, or a linear model, which is
// one without factors: the row's columns and values are appended, the intercept's last, and sums has each factor's Σ v·x, reused.
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

// rowMachineGradient gives the gradient of a row's loss by the coefficients of rowMachine's model, divided by
// optim.Program.GradientNorm and then clipped to a norm of 1. Whatever the coefficients, the factors and the label are, no row adds
// more.
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
		p, _ := d.train.predict(margin)
		residual := d.train.residual(i, p) / rho
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

// machineScores gives each row's probability of the positive label, or its margin where the label is a number.
func (d *Design) machineScores(r *rows, w []float64) []float64 {
	out := make([]float64, r.n)
	score := d.rowMachine(r, w)
	var columns []int
	var x []float64
	for i := range out {
		var margin float64
		columns, x, margin, _ = score(i, columns[:0], x[:0])
		out[i], _ = r.predict(margin)
	}
	return out
}

// rowErrors gives what EVALUATE sums of a held-out row whose label is a number, see optim.Program.ErrorLanes.
func (d *Design) rowErrors(w []float64) rowLanes {
	scale := float64(d.program.Privacy().Scale)
	score := d.rowMachine(d.held, w)
	var columns []int
	var x []float64
	return func(i int, lanes []int, values []float64) ([]int, []float64) {
		var margin float64
		columns, x, margin, _ = score(i, columns[:0], x[:0])
		values = d.program.ErrorLanes(values, margin, d.held.target[i])
		for lane := range values {
			lanes, values[lane] = append(lanes, lane), scale*values[lane]
		}
		return lanes, values
	}
}

// machineBin is bin of a factorization machine.
func (d *Design) machineBin(w []float64) rowLanes {
	score := d.rowMachine(d.held, w)
	var columns []int
	var x []float64
	return func(i int, lanes []int, values []float64) ([]int, []float64) {
		var margin float64
		columns, x, margin, _ = score(i, columns[:0], x[:0])
		p, _ := logistic(margin)
		return d.binned(i, p, lanes, values)
	}
}
