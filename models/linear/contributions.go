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

// Contributions yields what each unit of a private program adds to the round that comes next: a row of the table, all rows of a
// user, or all rows there are; training rows in FIT and TRAIN, held-out ones in EVALUATE; units in the order of their first rows. A
// contribution has the lanes of the program's Layout in integer units, before rounding, with an L2 norm of at most
// Privacy.Clip·Privacy.Scale (1+10⁻¹²). It depends on that unit's rows, the state and the program alone. The slice is reused, and
// must not be changed. The values are raw: they leave only clipped, summed and noised.
func Contributions(p *optim.Program, s *optim.State, t *dataset.Table) (iter.Seq[[]float64], error) {
	d, err := Prepare(p, s, t)
	if err != nil {
		return nil, err
	}
	return d.Contributions(s, nil)
}

// Units counts the units of the round that comes next.
func (d *Design) Units(s *optim.State) int {
	r := d.of(s)
	return r.units.count(r.n)
}

// of are the rows that a round sums.
func (d *Design) of(s *optim.State) *rows {
	if s.Kind() == optim.Evaluate {
		return d.held
	}
	return d.train
}

// Contributions is the function of that name over prepared rows, for the units of a batch: ascending numbers below Units; nil
// stands for all of them.
func (d *Design) Contributions(s *optim.State, batch []int) (iter.Seq[[]float64], error) {
	sparse, err := d.SparseContributions(s, batch)
	if err != nil {
		return nil, err
	}
	length := d.length(s)
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

// length counts the lanes of the round that comes next.
func (d *Design) length(s *optim.State) int {
	length := 0
	for _, segment := range d.program.Layout(s.Kind()) {
		length += segment.Length
	}
	return length
}

// SparseContributions is Contributions without the lanes that are zero: ascending lane numbers and their values. Both slices
// are reused.
func (d *Design) SparseContributions(s *optim.State, batch []int) (iter.Seq2[[]int, []float64], error) {
	if !d.program.Private() {
		return nil, fmt.Errorf("%w: an exact program has no contributions of rows\nhint: use Sums", ErrState)
	}
	if !d.Serves(s) {
		return nil, fmt.Errorf("%w: the rows are encoded for another pipeline", ErrState)
	}
	var row rowLanes
	switch {
	case s.Kind() == optim.Sketch:
		row = d.rowBins()
	case s.Kind() == optim.Fit && d.program.Model.Solver == optim.DPSGD:
		row = d.one
	case s.Kind() == optim.Fit:
		row = d.gram()
	case len(s.Coefficients()) != d.program.Coefficients():
		return nil, fmt.Errorf("%w: it is another program's", ErrState)
	case s.Kind() == optim.Train && d.program.Label != nil:
		row = d.rowClassGradient(s.Point())
	case s.Kind() == optim.Train && !d.program.UnitNorm():
		row = d.rowMachineGradient(s.Point())
	case s.Kind() == optim.Train:
		row = d.rowGradient(s.Point())
	case s.Kind() == optim.Evaluate && d.program.Target != nil:
		row = d.rowErrors(s.Coefficients())
	case s.Kind() == optim.Evaluate && d.program.Model.Factors > 0:
		row = d.machineBin(s.Coefficients())
	case s.Kind() == optim.Evaluate && d.program.Label != nil:
		row = d.classBin(s.Coefficients())
	case s.Kind() == optim.Evaluate:
		row = d.bin(s.Coefficients())
	default:
		return nil, fmt.Errorf("%w: no sum for %s", ErrState, s.Kind())
	}
	return d.grouped(d.of(s), batch, d.length(s), row), nil
}

// unit appends the non-zero output columns of a row divided by their L2 norm, in ascending order, the intercept's last.
func (d *Design) unit(r *rows, i int, columns []int, values []float64) ([]int, []float64) {
	return d.scaled(r, i, d.norm(r, i), columns, values)
}

// scaled appends the non-zero output columns of a row divided by a norm, in ascending order, the intercept's last.
func (d *Design) scaled(r *rows, i int, norm float64, columns []int, values []float64) ([]int, []float64) {
	dense := r.dense[i*len(d.dense) : (i+1)*len(d.dense)]
	k := 0
	addDense := func(before int) {
		for ; k < len(d.dense) && d.dense[k] < before; k++ {
			if dense[k] != 0 {
				columns, values = append(columns, d.dense[k]), append(values, dense[k]/norm)
			}
		}
	}
	for slot := range d.slots { // in the order of columns
		if c := int(r.slots.run(i, i+1, slot)[0]); c != int(none) {
			addDense(c)
			columns, values = append(columns, c), append(values, 1/norm)
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
	for slot := range d.slots {
		if r.slots.run(i, i+1, slot)[0] != none {
			square++
		}
	}
	return math.Sqrt(square)
}

// unitMargin is w·x of the unit-norm row that has these columns and values. It is summed row by row: in a matrix product, the last
// bits of a row's margin hang on how many rows stand beside it, and then adding a row would change what others contribute.
func unitMargin(w []float64, columns []int, x []float64) (margin float64) {
	for a, c := range columns {
		margin += w[c] * x[a]
	}
	return margin
}

// unitMargins gives w·x of the unit-norm rows from..to.
func (d *Design) unitMargins(out []float64, r *rows, w []float64, from, to int) {
	var columns []int
	var x []float64
	for i := from; i < to; i++ {
		columns, x = d.unit(r, i, columns[:0], x[:0])
		out[i-from] = unitMargin(w, columns, x)
	}
}

// one gives a row's 1 in the only lane.
func (d *Design) one(_ int, lanes []int, values []float64) ([]int, []float64) {
	return append(lanes, 0), append(values, float64(d.program.Privacy().Scale))
}

// gram gives the upper triangle of x·xᵀ, row by row. Pairs off the diagonal carry a factor √2: the lanes' norm is ‖x‖².
func (d *Design) gram() rowLanes {
	scale := float64(d.program.Privacy().Scale)
	var columns []int
	var x []float64
	return func(i int, lanes []int, values []float64) ([]int, []float64) {
		columns, x = d.unit(d.train, i, columns[:0], x[:0])
		for a, c := range columns {
			first := c*d.columns - c*(c-1)/2 - c // the lane of (c, 0), if the triangle had it
			lanes, values = append(lanes, first+c), append(values, scale*x[a]*x[a])
			v := scale * math.Sqrt2 * x[a]
			for b := a + 1; b < len(columns); b++ {
				lanes, values = append(lanes, first+columns[b]), append(values, v*x[b])
			}
		}
		return lanes, values
	}
}

// rowGradient gives (p-y)·x.
func (d *Design) rowGradient(w []float64) rowLanes {
	scale := float64(d.program.Privacy().Scale)
	return func(i int, columns []int, x []float64) ([]int, []float64) {
		columns, x = d.unit(d.train, i, columns, x)
		residual, _ := logistic(unitMargin(w, columns, x))
		if d.train.label[i] {
			residual--
		}
		for a := range x {
			x[a] *= scale * residual
		}
		return columns, x
	}
}

// bin gives one count at the bin of the row's label and predicted probability.
func (d *Design) bin(w []float64) rowLanes {
	var columns []int
	var x []float64
	return func(i int, lanes []int, values []float64) ([]int, []float64) {
		columns, x = d.unit(d.held, i, columns[:0], x[:0])
		p, _ := logistic(unitMargin(w, columns, x))
		return d.binned(i, p, lanes, values)
	}
}

// binned gives a held-out row that is predicted with a probability one count at its label's bin, and one in each of its groups.
func (d *Design) binned(i int, p float64, lanes []int, values []float64) ([]int, []float64) {
	q, positive := d.program.Privacy(), d.held.label[i]
	lane := metrics.BinOf(p, q.Bins)
	if !positive {
		lane += q.Bins
	}
	lanes, values = append(lanes, lane), append(values, float64(q.Scale))
	each := len(d.held.groups) / max(d.held.n, 1)
	for _, g := range d.held.groups[i*each : (i+1)*each] { // in the order of columns, so of lanes
		lanes, values = append(lanes, d.program.GroupLane(int(g), positive, p)), append(values, float64(q.Scale))
	}
	return lanes, values
}
