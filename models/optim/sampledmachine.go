package optim

import "math"

// A private factorization machine is trained by DP-SGD too, on rows as they are: they aren't scaled to a norm of 1, which would
// shrink each product of two columns by the square of the row's. A row of F features has at most one column of size 1 or less for
// each, and the intercept's 1: ‖x‖ ≤ ρ = √(1+F), so that the linear part of its gradient has at most that norm. The factors' part
// grows with the factors. A row's gradient is therefore divided by ρ and then clipped to a norm of 1, and the step multiplies by ρ.
// With all factors at zero none would ever move: they start at what the program's seed gives. Distances are measured where x is
// divided by ρ, as those of the other private models are: a step is of LearningRate/ρ² in the coefficients as they are.

// machineStart is about the norm that the factors of a row's columns have together at the start: their part of a row's first
// gradient is then as long as the linear part. With less, noise and few rounds keep pairs from being found at all.
const machineStart = 1.0

// rowNorm2 is ρ² of rows as they are.
func (p *Program) rowNorm2() float64 { return float64(1 + len(p.spec.Features())) }

// rate is the length of a step, in coefficients by gradient.
func (d sampled) rate() float64 {
	if d.UnitNorm() {
		return d.Model.Sampling.LearningRate
	}
	return d.Model.Sampling.LearningRate / d.rowNorm2()
}

// start gives the coefficients before the first round: zero, but for factors, which are drawn evenly from an interval about zero.
func (d sampled) start() []float64 {
	w := make([]float64, d.coefficients())
	if k := d.Model.Factors; k > 0 {
		columns := d.columns()
		// Each row sums F vectors of k numbers whose variance is a third of the bound's square.
		bound := float64(machineStart * math.Sqrt(3/float64(float64(k)*float64(len(d.spec.Features())))))
		random := splitMix(d.Model.Sampling.Seed)
		for i := range columns * k {
			w[columns+i] = float64(bound * (float64(2*random.next()) - 1))
		}
	}
	return w
}

// free tells whether a coefficient isn't penalised: an intercept.
func (d sampled) free(i int) bool {
	if d.Model.Factors > 0 {
		return i == d.coefficients()-1
	}
	return d.intercept(i)
}
