package sgd

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"tributary/models/dataset"
	"tributary/models/linear"
	"tributary/models/metrics"
	"tributary/models/optim"
)

// ErrDiverged is returned when a coefficient isn't finite after local training: nothing leaves.
var ErrDiverged = errors.New("local training diverged")

// Sums gives the values for a TRAIN or EVALUATE round, in the order of the program's Layout. They are raw: they leave only
// through a sealed upload. A state at which a few rows dominate is refused as linear.Sums does, by the size of the rows'
// residuals |p-y|: those are what moves the coefficients.
func (r *Rows) Sums(s *optim.State) ([][]float64, error) {
	if !r.design.Serves(s) {
		return nil, fmt.Errorf("%w: it has another fitted pipeline", linear.ErrState)
	}
	p := r.program
	m := newMachine(r.design.Columns(), p.Model.Factors, s.Coefficients())
	loss, concentration := r.scores(m, false, nil)
	check := concentration.Check
	if p.Target != nil {
		check = concentration.CheckResiduals
	}
	if err := check(); err != nil {
		return nil, err
	}
	switch s.Kind() {
	case optim.Train:
		heldLoss, _ := r.scores(m, true, nil)
		change, err := r.change(s, m)
		if err != nil {
			return nil, err
		}
		return p.EncodeAverage(s, optim.AverageSums{Rows: int64(r.design.Rows(false)), Loss: loss, HeldOutLoss: heldLoss, Change: change}), nil
	case optim.Evaluate:
		evaluation := r.design.Evaluation(s)
		heldLoss, _ := r.scores(m, true, evaluation.Add)
		return p.EncodeEvaluate(s, evaluation.Sums(loss, heldLoss)), nil
	}
	return nil, fmt.Errorf("%w: no sum for %s", linear.ErrState, s.Kind())
}

// change trains from the machine's coefficients, and gives what it changed.
func (r *Rows) change(s *optim.State, m *machine) ([]float64, error) {
	options, origin, n := r.program.Model.Averaging, s.Coefficients(), r.design.Rows(false)
	round := s.TrainRounds() + 1
	begin := start{
		m: m, rate: options.LearningRate / math.Sqrt(float64(round)), batch: options.Batch, proximal: options.Proximal, origin: origin,
		penalty: r.program.Model.L2 * float64(n) / float64(s.Fitted().Rows), rows: n, epochs: options.Epochs,
	}
	var o optimizer
	if r.program.Dual() {
		o = newDual(begin, r.program, s)
	} else {
		o = newOptimizer(options.Optimizer, begin)
	}
	order := newOrder(n, r.design.Width())
	batch := r.design.Batch(order.room())
	random := rand.New(rand.NewPCG(options.Seed, uint64(round)))
	var columns []int32
	var values []float64
	var label linear.Label
	for range options.Epochs {
		order.epoch(random, batch.Reset, batch.Add, func(rows []int) {
			for _, i := range rows {
				label, columns, values = batch.Row(i, columns[:0], values[:0])
				o.row(r.residual(o.margin(columns, values), label), columns, values)
			}
		})
		o.epoch()
	}
	change := make([]float64, len(origin))
	o.change(change)
	for i, c := range change {
		if math.IsNaN(c) || math.IsInf(c, 0) {
			return nil, fmt.Errorf("%w: coefficient %d changes by %g\nhint: lower learning_rate", ErrDiverged, i, c)
		}
	}
	return change, nil
}

// residual is p-y at a margin; of a number, its distance from the label.
func (r *Rows) residual(margin float64, label linear.Label) float64 {
	if r.program.Target != nil {
		return margin - label.Number
	}
	_, residual := logistic(margin, label.Positive)
	return residual
}

// logistic gives p = 1/(1+exp(-margin)), and p-1 for a positive row or p.
func logistic(margin float64, positive bool) (p, residual float64) {
	e := math.Exp(-math.Abs(margin)) // never overflows
	q := 1 / (1 + e)
	small := e * q // the smaller of p and 1-p, without cancellation
	switch {
	case margin >= 0 && positive:
		return q, -small
	case margin >= 0:
		return q, q
	case positive:
		return small, -q
	}
	return small, small
}

// scores gives the loss Σ min(log loss, 64) in nats, or of numbers half the squared error, of rows at a machine's coefficients, and
// how |p-y| is concentrated. each, if it isn't nil, gets every row's probability; of numbers, its margin.
func (r *Rows) scores(m *machine, held bool, each func(i int, p float64)) (loss float64, concentration linear.Concentration) {
	i := 0
	r.design.Each(held, func(label linear.Label, columns []int32, values []float64) {
		margin := m.margin(columns, values)
		if r.program.Target != nil {
			e := margin - label.Number
			concentration.Add(math.Abs(e))
			if loss += e * e / 2; each != nil {
				each(i, margin)
			}
			i++
			return
		}
		p, residual := logistic(margin, label.Positive)
		concentration.Add(math.Abs(residual))
		if each != nil {
			each(i, p)
		}
		i++
		if label.Positive {
			margin = -margin
		}
		loss += min(max(margin, 0)+math.Log1p(math.Exp(-math.Abs(margin))), metrics.MaxLoss)
	})
	return loss, concentration
}

// Score gives each row's probability of the positive label, or the number that is predicted, in the table's order, held out or not.
func Score(p *optim.Program, s *optim.State, t *dataset.Table) ([]float64, error) {
	all := *t
	all.HeldOut = nil
	r, err := Prepare(p, s, &all)
	if err != nil {
		return nil, err
	}
	out := make([]float64, t.Rows)
	r.scores(newMachine(r.design.Columns(), p.Model.Factors, s.Coefficients()), false, func(i int, p float64) { out[i] = p })
	if p.Target != nil {
		return linear.Predictions(p, s, out), nil
	}
	return out, nil
}
