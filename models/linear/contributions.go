package linear

import (
	"fmt"
	"iter"
	"math"

	"tributary/models/dataset"
	"tributary/models/metrics"
	"tributary/models/optim"
)

var errPrivate = fmt.Errorf("%w: a private program's rows are noised one by one\nhint: use Contributions", ErrState)

// Contributions yields what each unit of a private program adds to the round that comes next: a row of the table, in its order;
// training rows in FIT and TRAIN, held-out ones in EVALUATE. A contribution has the lanes of the program's Layout in integer
// units, before rounding, with an L2 norm of at most Privacy.Scale (1+10⁻¹²). It depends on that row, the state and the program
// alone. The slice is reused, and must not be changed. The values are raw: they leave only clipped, summed and noised.
func Contributions(p *optim.Program, s *optim.State, t *dataset.Table) (iter.Seq[[]float64], error) {
	d, err := Prepare(p, s, t)
	if err != nil {
		return nil, err
	}
	return d.Contributions(s)
}

// Contributions is the function of that name over prepared rows.
func (d *Design) Contributions(s *optim.State) (iter.Seq[[]float64], error) {
	sparse, err := d.SparseContributions(s)
	if err != nil {
		return nil, err
	}
	length := 0
	for _, segment := range d.program.Layout(s.Kind()) {
		length += segment.Length
	}
	return func(yield func([]float64) bool) {
		dense := make([]float64, length)
		for lanes, values := range sparse {
			for i, lane := range lanes {
				dense[lane] = values[i]
			}
			if !yield(dense) {
				return
			}
			for _, lane := range lanes {
				dense[lane] = 0
			}
		}
	}, nil
}

// SparseContributions is Contributions without the lanes that are zero: ascending lane numbers and their values. Both slices
// are reused.
func (d *Design) SparseContributions(s *optim.State) (iter.Seq2[[]int, []float64], error) {
	switch {
	case !d.program.Private():
		return nil, fmt.Errorf("%w: an exact program has no contributions of rows\nhint: use Sums", ErrState)
	case s.Kind() == optim.Fit:
		return d.grams(), nil
	case len(s.Coefficients()) != d.columns:
		return nil, fmt.Errorf("%w: it is another program's", ErrState)
	case s.Kind() == optim.Train:
		return d.gradients(s.Coefficients()), nil
	case s.Kind() == optim.Evaluate:
		return d.bins(s.Coefficients()), nil
	}
	return nil, fmt.Errorf("%w: no sum for %s", ErrState, s.Kind())
}

// unit appends the non-zero output columns of a row divided by their L2 norm, in ascending order, the intercept's last.
func (d *Design) unit(r *rows, i int, columns []int, values []float64) ([]int, []float64) {
	norm := d.norm(r, i)
	dense, slots := r.dense[i*len(d.dense):(i+1)*len(d.dense)], r.slots[i*d.slots:(i+1)*d.slots]
	k := 0
	addDense := func(before int) {
		for ; k < len(d.dense) && d.dense[k] < before; k++ {
			if dense[k] != 0 {
				columns, values = append(columns, d.dense[k]), append(values, dense[k]/norm)
			}
		}
	}
	for _, c := range slots { // in the order of columns
		if c != none {
			addDense(int(c))
			columns, values = append(columns, int(c)), append(values, 1/norm)
		}
	}
	addDense(d.columns)
	return append(columns, d.columns-1), append(values, 1/norm)
}

// norm is the L2 norm of a row's output columns with the intercept's 1.
func (d *Design) norm(r *rows, i int) float64 {
	square := 1.0
	for _, v := range r.dense[i*len(d.dense) : (i+1)*len(d.dense)] {
		square += v * v
	}
	for _, c := range r.slots[i*d.slots : (i+1)*d.slots] {
		if c != none {
			square++
		}
	}
	return math.Sqrt(square)
}

// unitMargins gives w·x of each unit-norm row, one by one: in a matrix product, the last bits of a row's margin hang on how many
// rows stand beside it, and then adding a row would change what others contribute.
func (d *Design) unitMargins(r *rows, w []float64) []float64 {
	out := make([]float64, r.n)
	shards(r.n, func(_, from, to int) {
		var columns []int
		var x []float64
		for i := from; i < to; i++ {
			columns, x = d.unit(r, i, columns[:0], x[:0])
			for a, c := range columns {
				out[i] += w[c] * x[a]
			}
		}
	})
	return out
}

// grams yields the upper triangle of x·xᵀ, row by row. Pairs off the diagonal carry a factor √2: the lanes' norm is ‖x‖².
func (d *Design) grams() iter.Seq2[[]int, []float64] {
	scale := float64(d.program.Privacy().Scale)
	return func(yield func([]int, []float64) bool) {
		var columns, lanes []int
		var x, values []float64
		for i := range d.train.n {
			columns, x = d.unit(d.train, i, columns[:0], x[:0])
			lanes, values = lanes[:0], values[:0]
			for a, c := range columns {
				first := c*d.columns - c*(c-1)/2 - c // the lane of (c, 0), if the triangle had it
				lanes, values = append(lanes, first+c), append(values, scale*x[a]*x[a])
				v := scale * math.Sqrt2 * x[a]
				for b := a + 1; b < len(columns); b++ {
					lanes, values = append(lanes, first+columns[b]), append(values, v*x[b])
				}
			}
			if !yield(lanes, values) {
				return
			}
		}
	}
}

// gradients yields (p-y)·x.
func (d *Design) gradients(w []float64) iter.Seq2[[]int, []float64] {
	scale := float64(d.program.Privacy().Scale)
	return func(yield func([]int, []float64) bool) {
		scored := d.scores(d.train, w)
		var columns []int
		var x []float64
		for i := range d.train.n {
			columns, x = d.unit(d.train, i, columns[:0], x[:0])
			residual := scale * d.residual(scored, i)
			for a := range x {
				x[a] *= residual
			}
			if !yield(columns, x) {
				return
			}
		}
	}
}

// bins yields one count at the bin of the row's label and predicted probability.
func (d *Design) bins(w []float64) iter.Seq2[[]int, []float64] {
	q := d.program.Privacy()
	return func(yield func([]int, []float64) bool) {
		scored := d.scores(d.held, w)
		lane, count := []int{0}, []float64{float64(q.Scale)}
		for i, positive := range d.held.label {
			lane[0] = metrics.BinOf(scored.p[i], q.Bins)
			if !positive {
				lane[0] += q.Bins
			}
			if !yield(lane, count) {
				return
			}
		}
	}
}
