package sgd

import "tributary/models/optim"

// dual is SGD on the mean gradient of a batch, of a linear model with an L1 penalty: it moves the coefficients' duals, see package optim.
// A coefficient is made of its dual when a row has its column.
type dual struct {
	start
	program  *optim.Program
	z        []float64
	time     float64
	step     float64 // of a dual, by a row's gradient
	tick     float64 // of the time, by a row
	gradient []float64
	touched  []int32
	marked   []bool
	pending  int
}

func newDual(s start, p *optim.Program, state *optim.State) *dual {
	epoch := p.EpochTime(state.TrainRounds() + 1)
	s.origin = state.Duals()
	z := append([]float64(nil), s.origin...)
	return &dual{
		start: s, program: p, z: z, time: p.DualTime(state.TrainRounds()),
		step: epoch * float64(state.Fitted().Rows) / float64(s.rows), tick: epoch / float64(s.rows),
		gradient: make([]float64, len(z)), marked: make([]bool, s.m.columns),
	}
}

func (o *dual) margin(columns []int32, values []float64) float64 {
	for _, c := range columns {
		o.m.w[c] = o.program.OfDual(o.z[c], o.time)
	}
	o.m.w[len(o.z)-1] = o.z[len(o.z)-1]
	return o.m.margin(columns, values)
}

func (o *dual) row(residual float64, columns []int32, values []float64) {
	for i, c := range columns {
		if !o.marked[c] {
			o.marked[c] = true
			o.touched = append(o.touched, c)
		}
		o.gradient[c] += residual * values[i]
	}
	o.gradient[len(o.z)-1] += residual
	if o.pending++; o.pending == o.batch {
		o.flush()
	}
}

func (o *dual) flush() {
	move := func(i int) {
		o.z[i] -= o.step * o.gradient[i]
		o.gradient[i] = 0
	}
	for _, c := range o.touched {
		move(int(c))
		o.marked[c] = false
	}
	move(len(o.z) - 1)
	o.time += o.tick * float64(o.pending)
	o.touched, o.pending = o.touched[:0], 0
}

func (o *dual) epoch() {
	if o.pending > 0 {
		o.flush()
	}
}

func (o *dual) change(out []float64) {
	for i := range out {
		out[i] = o.z[i] - o.origin[i]
	}
}
