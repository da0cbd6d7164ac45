// Package local is what a participant computes over its rows, whichever model the job trains: the sums of an exact program's
// rounds, and the units' contributions of a private one's. It picks the model's own package by the program's model type.
package local

import (
	"errors"
	"fmt"
	"iter"

	"tributary/models/dataset"
	"tributary/models/linear"
	"tributary/models/mf"
	"tributary/models/optim"
	"tributary/models/sgd"
)

// ErrConcentrated is returned by Sums for a state at which a few rows would be the sum: nothing may leave.
var ErrConcentrated = linear.ErrConcentrated

// Rounds computes one job's rounds over one table. It keeps what it has prepared between rounds; it isn't for concurrent use.
type Rounds interface {
	// Sums gives an exact program's values for the round that comes next at the state, in the order of the program's Layout.
	// They are raw: they leave only through a sealed upload. A private program has none, but Contributions.
	Sums(s *optim.State) ([][]float64, error)
	// Units counts the units of a private program's round that comes next.
	Units(s *optim.State) (int, error)
	// Contributions yields what each unit of a batch (ascending numbers below Units; nil: all) adds to a private program's round
	// that comes next: the lanes that aren't zero, ascending, and their values in integer units before rounding; both slices are
	// reused. They leave only clipped, summed and noised. An exact program has none, but Sums.
	Contributions(s *optim.State, batch []int) (iter.Seq2[[]int, []float64], error)
}

// New gives the rounds of a program over a table, whose rows must not change.
func New(p *optim.Program, t *dataset.Table) (Rounds, error) {
	switch {
	case p.Model.Averaging != nil:
		return &averagingRounds{bound: bound{program: p, table: t}}, nil
	case p.Model.Type == optim.MatrixFactorization:
		return &pairRounds{program: p, table: t}, nil
	case p.Model.Type == optim.LogisticRegression || p.Model.Type == optim.LinearRegression || p.Model.Type == optim.MultinomialRegression || p.Private() && p.Model.Type == optim.FactorizationMachine:
		return &linearRounds{bound: bound{program: p, table: t}}, nil
	}
	return nil, fmt.Errorf("no model %s", p.Model.Type)
}

// pairRounds are those of a matrix factorisation: pairs of users and items are collected once.
type pairRounds struct {
	program *optim.Program
	table   *dataset.Table
	pairs   *mf.Pairs // nil: not yet
}

func (r *pairRounds) Sums(s *optim.State) ([][]float64, error) {
	if err := r.prepare(); err != nil {
		return nil, err
	}
	return r.pairs.Sums(s)
}

func (r *pairRounds) Units(*optim.State) (int, error) {
	if err := r.prepare(); err != nil {
		return 0, err
	}
	return r.pairs.Units()
}

func (r *pairRounds) Contributions(s *optim.State, batch []int) (iter.Seq2[[]int, []float64], error) {
	if err := r.prepare(); err != nil {
		return nil, err
	}
	return r.pairs.Contributions(s, batch)
}

func (r *pairRounds) prepare() (err error) {
	if r.pairs == nil {
		r.pairs, err = mf.Prepare(r.program, r.table)
	}
	return err
}

// averagingRounds are those of a solver that averages.
type averagingRounds struct {
	exactRounds
	bound
	rows *sgd.Rows // nil: not yet
}

func (r *averagingRounds) Sums(s *optim.State) ([][]float64, error) {
	if s.Kind() == optim.Fit {
		return r.fit()
	}
	if r.rows != nil {
		out, err := r.rows.Sums(s)
		if !errors.Is(err, linear.ErrState) {
			return out, err
		}
	}
	b, err := r.bind()
	if err != nil {
		return nil, err
	}
	rows, err := sgd.Encode(r.program, s, b)
	if err != nil {
		return nil, err
	}
	r.rows = rows
	return rows.Sums(s)
}

// bound is embedded by rounds that check their table once.
type bound struct {
	program *optim.Program
	table   *dataset.Table
	checked *linear.Bound // nil: not yet
}

func (b *bound) bind() (*linear.Bound, error) {
	if b.checked == nil {
		checked, err := linear.Bind(b.program, b.table)
		if err != nil {
			return nil, err
		}
		b.checked = checked
	}
	return b.checked, nil
}

// fit gives the sums of a FIT round.
func (b *bound) fit() ([][]float64, error) {
	checked, err := b.bind()
	if err != nil {
		return nil, err
	}
	return checked.Fit()
}

// exactRounds are embedded by rounds of programs that are always exact.
type exactRounds struct{}

var errExact = fmt.Errorf("%w: an exact program has no contributions of rows\nhint: use Sums", linear.ErrState)

func (exactRounds) Units(*optim.State) (int, error) { return 0, errExact }

func (exactRounds) Contributions(*optim.State, []int) (iter.Seq2[[]int, []float64], error) {
	return nil, errExact
}

// Score gives each row's probability of the positive label, or the number that is predicted, at a fitted state, in the table's order, held out or not. A matrix
// factorisation has none: it recommends (package mf).
func Score(p *optim.Program, s *optim.State, t *dataset.Table) ([]float64, error) {
	if p.Model.Recommendation != nil {
		return nil, fmt.Errorf("%w: a %s has no probabilities\nhint: it recommends", linear.ErrState, p.Model.Type)
	}
	if p.Model.Averaging != nil {
		return sgd.Score(p, s, t)
	}
	return linear.Score(p, s, t)
}

// linearRounds are those of a linear model, and of a private factorization machine: rows are encoded once for a fitted pipeline.
type linearRounds struct {
	bound
	design *linear.Design // nil: not yet
}

func (r *linearRounds) Sums(s *optim.State) ([][]float64, error) {
	if s.Kind() == optim.Fit || r.program.Private() {
		return r.fit()
	}
	if r.design != nil {
		out, err := r.design.Sums(s)
		if !errors.Is(err, linear.ErrState) {
			return out, err
		}
	}
	if err := r.prepare(s); err != nil {
		return nil, err
	}
	return r.design.Sums(s)
}

func (r *linearRounds) Units(s *optim.State) (int, error) {
	if err := r.private(s); err != nil {
		return 0, err
	}
	return r.design.Units(s), nil
}

func (r *linearRounds) Contributions(s *optim.State, batch []int) (iter.Seq2[[]int, []float64], error) {
	if err := r.private(s); err != nil {
		return nil, err
	}
	return r.design.SparseContributions(s, batch)
}

// private prepares a design: one serves all states but those of a SKETCH round.
func (r *linearRounds) private(s *optim.State) error {
	if r.design != nil && r.design.Serves(s) {
		return nil
	}
	r.design = nil
	return r.prepare(s)
}

func (r *linearRounds) prepare(s *optim.State) error {
	b, err := r.bind()
	if err != nil {
		return err
	}
	design, err := b.Prepare(s)
	if err == nil {
		r.design = design
	}
	return err
}
