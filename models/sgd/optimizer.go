package sgd

import (
	"math"

	"tributary/models/optim"
)

// optimizer moves a machine's coefficients by gradients, one row at a time.
type optimizer interface {
	// margin gives a row's margin.
	margin(columns []int32, values []float64) float64
	// row takes the derivative of a row's loss by its margin, after margin of it.
	row(residual float64, columns []int32, values []float64)
	// epoch ends a pass over the rows: what is pending is applied, and the penalty on all coefficients but the intercept.
	epoch()
	// change gives what all coefficients, or duals, have changed since the round's start.
	change(out []float64)
}

// start is what an optimizer needs to know.
type start struct {
	m        *machine
	rate     float64
	batch    int
	proximal float64   // μ of (μ/2)·‖w-origin‖² a row
	origin   []float64 // the coefficients at the round's start
	penalty  float64   // λ·n/N: this participant's part of the penalty (λ/2)·‖w‖²
	rows     int       // n
	epochs   int
}

func (s *start) margin(columns []int32, values []float64) float64 { return s.m.margin(columns, values) }

func (s *start) change(out []float64) {
	for i := range out {
		out[i] = s.m.w[i] - s.origin[i]
	}
}

func newOptimizer(kind string, s start) optimizer {
	switch kind {
	case optim.Adagrad:
		return newAdagrad(s)
	case optim.FTRL:
		return newFTRL(s)
	}
	return &miniBatch{start: s, gradient: make([]float64, len(s.m.w)), marked: make([]bool, s.m.columns)}
}

// miniBatch is SGD on the mean gradient of a batch.
type miniBatch struct {
	start
	gradient []float64
	touched  []int32
	marked   []bool
	pending  int
}

func (o *miniBatch) row(residual float64, columns []int32, values []float64) {
	m := o.m
	for i, c := range columns {
		x := values[i]
		if !o.marked[c] {
			o.marked[c] = true
			o.touched = append(o.touched, c)
		}
		o.gradient[c] += residual * x
		at := m.at(int(c))
		for f, v := range m.factor(int(c)) {
			o.gradient[at+f] += residual * x * (m.sums[f] - v*x)
		}
	}
	o.gradient[len(o.gradient)-1] += residual
	if o.pending++; o.pending == o.batch {
		o.step()
	}
}

func (o *miniBatch) step() {
	rate := o.rate / float64(o.pending)
	move := func(i int) {
		o.m.w[i] -= rate*o.gradient[i] + o.rate*o.proximal*(o.m.w[i]-o.origin[i])
		o.gradient[i] = 0
	}
	for _, c := range o.touched {
		move(int(c))
		for f := range o.m.k {
			move(o.m.at(int(c)) + f)
		}
		o.marked[c] = false
	}
	move(len(o.m.w) - 1)
	o.touched, o.pending = o.touched[:0], 0
}

func (o *miniBatch) epoch() {
	if o.pending > 0 {
		o.step()
	}
	// As many implicit steps of the penalty as there were batches: each is of the mean loss, so of λ/N.
	shrink := 1 / (1 + o.rate*o.penalty/float64(o.batch))
	w := o.m.w[:len(o.m.w)-1]
	for i := range w {
		w[i] *= shrink
	}
}

// ftrl is FTRL-Proximal: each coefficient minimises the sum of its gradients, of squared distances from where they were taken,
// and of the penalty [MHS13]. z is such that the round starts at its origin.
type ftrl struct {
	start
	z, n   []float64
	square float64 // λ₂
}

// ftrlBeta is the β of [MHS13].
const ftrlBeta = 1

func newFTRL(s start) *ftrl {
	o := &ftrl{start: s, z: make([]float64, len(s.m.w)), n: make([]float64, len(s.m.w)), square: s.penalty * float64(s.epochs)}
	for i, w := range s.m.w {
		o.z[i] = -w * (ftrlBeta/o.rate + o.penaltyOf(i))
	}
	return o
}

// penaltyOf is λ₂, but of the intercept.
func (o *ftrl) penaltyOf(i int) float64 {
	if i == len(o.m.w)-1 {
		return 0
	}
	return o.square
}

func (o *ftrl) row(residual float64, columns []int32, values []float64) {
	m := o.m
	for i, c := range columns {
		x := values[i]
		o.move(int(c), residual*x)
		at := m.at(int(c))
		for f, v := range m.factor(int(c)) {
			o.move(at+f, residual*x*(m.sums[f]-v*x))
		}
	}
	o.move(len(m.w)-1, residual)
}

func (o *ftrl) move(i int, g float64) {
	w := o.m.w[i]
	g += o.proximal * (w - o.origin[i])
	n := o.n[i] + g*g
	o.z[i] += g - (math.Sqrt(n)-math.Sqrt(o.n[i]))/o.rate*w
	o.n[i] = n
	o.m.w[i] = -o.z[i] / ((ftrlBeta+math.Sqrt(n))/o.rate + o.penaltyOf(i))
}

func (o *ftrl) epoch() {}
