// Package sgd trains a linear model or a factorization machine on one participant's rows between two rounds of federated
// averaging, and gives its part of the rounds' sums. A step touches the columns that a row has, and nothing else; what is sent is as long as the model all the same. The same rows, state and program give the same bits.
package sgd

import (
	"fmt"

	"tributary/models/dataset"
	"tributary/models/linear"
	"tributary/models/optim"
)

// Rows are a table encoded for one fitted pipeline. They are immutable.
type Rows struct {
	program *optim.Program
	design  *linear.Design
}

// Prepare encodes a table's rows with the state's fitted pipeline. They serve all later states of the job.
func Prepare(p *optim.Program, s *optim.State, t *dataset.Table) (*Rows, error) {
	b, err := linear.Bind(p, t)
	if err != nil {
		return nil, err
	}
	return Encode(p, s, b)
}

// Encode is Prepare of a table that was bound to the program.
func Encode(p *optim.Program, s *optim.State, b *linear.Bound) (*Rows, error) {
	if p.Model.Averaging == nil {
		return nil, fmt.Errorf("%w: solver %s doesn't average", linear.ErrState, p.Model.Solver)
	}
	design, err := b.Prepare(s)
	if err != nil {
		return nil, err
	}
	return &Rows{program: p, design: design}, nil
}
