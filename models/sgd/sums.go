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
	train := m.scores(&r.train)
	if err := linear.Concentration(train.residual); err != nil {
		return nil, err
	}
	held := m.scores(&r.held)
	switch s.Kind() {
	case optim.Train:
		change, err := r.train.change(p, s, m)
		if err != nil {
			return nil, err
		}
		return p.EncodeAverage(s, optim.AverageSums{Rows: int64(len(r.train.label)), Loss: train.loss, HeldOutLoss: held.loss, Change: change}), nil
	case optim.Evaluate:
		return p.EncodeEvaluate(s, r.design.Evaluate(s, train.loss, held.p, held.loss)), nil
	}
	return nil, fmt.Errorf("%w: no sum for %s", linear.ErrState, s.Kind())
}

// together is how many rows, mixed beforehand, are passed over in one order in each epoch: rows at far places of memory take longer to
// read than to learn from.
const together = 8

// change trains from the machine's coefficients, and gives what it changed.
func (r *sparse) change(p *optim.Program, s *optim.State, m *machine) ([]float64, error) {
	options, origin := p.Model.Averaging, s.Coefficients()
	round := s.TrainRounds() + 1
	o := newOptimizer(options.Optimizer, start{
		m: m, rate: options.LearningRate / math.Sqrt(float64(round)), batch: options.Batch, proximal: options.Proximal, origin: origin,
		penalty: p.Model.L2 * float64(len(r.label)) / float64(s.Fitted().Rows), rows: len(r.label), epochs: options.Epochs,
	})
	order := make([]int, (len(r.label)+together-1)/together)
	for i := range order {
		order[i] = i
	}
	random := rand.New(rand.NewPCG(options.Seed, uint64(round)))
	for range options.Epochs {
		random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for _, block := range order {
			for i := block * together; i < min((block+1)*together, len(r.label)); i++ {
				columns, values := r.row(i)
				_, residual := logistic(o.margin(columns, values), r.label[i])
				o.row(residual, columns, values)
			}
		}
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

// scored are rows at a machine's coefficients.
type scored struct {
	p        []float64
	residual []float64 // |p-y|
	loss     float64   // Σ min(log loss, 64), nats
}

func (m *machine) scores(r *sparse) scored {
	out := scored{p: make([]float64, len(r.label)), residual: make([]float64, len(r.label))}
	for i, y := range r.label {
		columns, values := r.row(i)
		margin := m.margin(columns, values)
		p, residual := logistic(margin, y)
		out.p[i], out.residual[i] = p, math.Abs(residual)
		if y {
			margin = -margin
		}
		out.loss += min(max(margin, 0)+math.Log1p(math.Exp(-math.Abs(margin))), metrics.MaxLoss)
	}
	return out
}

// Score gives each row's probability of the positive label, in the table's order, held out or not.
func Score(p *optim.Program, s *optim.State, t *dataset.Table) ([]float64, error) {
	all := *t
	all.HeldOut = nil
	r, err := prepare(p, s, &all)
	if err != nil {
		return nil, err
	}
	return newMachine(r.design.Columns(), p.Model.Factors, s.Coefficients()).scores(&r.train).p, nil
}
