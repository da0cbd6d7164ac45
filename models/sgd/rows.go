// Package sgd trains a linear model or a factorization machine on one participant's rows between two rounds of federated
// averaging, and gives its part of the rounds' sums. Rows are compressed sparse rows: a step touches the columns that a row has,
// and nothing else; what is sent is as long as the model all the same. The same rows, state and program give the same bits.
package sgd

import (
	"fmt"
	"math/rand/v2"

	"tributary/models/dataset"
	"tributary/models/linear"
	"tributary/models/optim"
)

// Rows are a table encoded for one fitted pipeline. They are immutable.
type Rows struct {
	program     *optim.Program
	design      *linear.Design
	train, held sparse
}

// sparse are compressed sparse rows: row i has columns[start[i]:start[i+1]].
type sparse struct {
	label   []bool
	start   []int
	columns []int32
	values  []float64
}

// Prepare encodes a table's rows with the state's fitted pipeline. They serve all later states of the job.
func Prepare(p *optim.Program, s *optim.State, t *dataset.Table) (*Rows, error) {
	r, err := prepare(p, s, t)
	if err != nil {
		return nil, err
	}
	r.train = r.train.mixed(rand.New(rand.NewPCG(p.Model.Averaging.Seed, 0)))
	return r, nil
}

// prepare keeps the table's order.
func prepare(p *optim.Program, s *optim.State, t *dataset.Table) (*Rows, error) {
	if p.Model.Averaging == nil {
		return nil, fmt.Errorf("%w: solver %s doesn't average", linear.ErrState, p.Model.Solver)
	}
	design, err := linear.Prepare(p, s, t)
	if err != nil {
		return nil, err
	}
	return &Rows{program: p, design: design, train: collect(design, false), held: collect(design, true)}, nil
}

func collect(d *linear.Design, held bool) sparse {
	out := sparse{start: []int{0}}
	d.Each(held, func(positive bool, columns []int32, values []float64) {
		out.label = append(out.label, positive)
		out.columns = append(out.columns, columns...)
		out.values = append(out.values, values...)
		out.start = append(out.start, len(out.columns))
	})
	return out
}

// mixed are the rows in random order.
func (r *sparse) mixed(random *rand.Rand) sparse {
	out := sparse{label: make([]bool, 0, len(r.label)), start: append(make([]int, 0, len(r.start)), 0),
		columns: make([]int32, 0, len(r.columns)), values: make([]float64, 0, len(r.values))}
	for _, i := range random.Perm(len(r.label)) {
		columns, values := r.row(i)
		out.label = append(out.label, r.label[i])
		out.columns, out.values = append(out.columns, columns...), append(out.values, values...)
		out.start = append(out.start, len(out.columns))
	}
	return out
}

func (r *sparse) row(i int) ([]int32, []float64) {
	from, to := r.start[i], r.start[i+1]
	return r.columns[from:to], r.values[from:to]
}
