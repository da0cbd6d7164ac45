// Package sgd trains a linear model or a factorization machine on one participant's rows between two rounds of federated
// averaging, and gives its part of the rounds' sums. Rows are compressed sparse rows: a step touches the columns that a row has,
// and nothing else; what is sent is as long as the model all the same. The same rows, state and program give the same bits.
package sgd

import (
	"fmt"

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
	target  []float64 // in place of label, if it is a number: deviations from its mean
	start   []int
	columns []int32
	values  []float64
}

// Prepare encodes a table's rows with the state's fitted pipeline. They serve all later states of the job.
func Prepare(p *optim.Program, s *optim.State, t *dataset.Table) (*Rows, error) {
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
	out := sparse{start: []int{0}, target: d.Targets(held)}
	d.Each(held, func(positive bool, columns []int32, values []float64) {
		out.label = append(out.label, positive)
		out.columns = append(out.columns, columns...)
		out.values = append(out.values, values...)
		out.start = append(out.start, len(out.columns))
	})
	return out
}

func (r *sparse) row(i int) ([]int32, []float64) {
	from, to := r.start[i], r.start[i+1]
	return r.columns[from:to], r.values[from:to]
}
