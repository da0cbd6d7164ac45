package linear

import (
	"errors"
	"fmt"
	"math"

	"tributary/models/dataset"
	"tributary/models/metrics"
	"tributary/models/optim"
	"tributary/models/pipeline/fit"
)

// ErrConcentrated is returned for a state at which a few rows dominate a sum: it would be those rows. The state is
// refused, and nothing leaves.
var ErrConcentrated = errors.New("a few rows dominate the sum")

// MinEffectiveRows is the least (Σh)²/Σh², h = p(1-p), over a participant's training rows: the number of equally weighted rows
// with the same concentration.
const MinEffectiveRows = 50

// Sums gives a participant's values for the round that comes next, in the order of the program's Layout. They are raw: they
// leave only through a sealed upload. A private program has none, but Contributions.
func Sums(p *optim.Program, s *optim.State, t *dataset.Table) ([][]float64, error) {
	if p.Private() {
		return nil, errPrivate
	}
	if s.Kind() != optim.Fit {
		d, err := Prepare(p, s, t)
		if err != nil {
			return nil, err
		}
		return d.Sums(s)
	}
	if int64(t.Rows) > p.MaxRows {
		return nil, fmt.Errorf("%w: %d rows, the contract allows %d\nhint: raise max_rows in the contract", fit.ErrTable, t.Rows, p.MaxRows)
	}
	if _, err := bind(p, t); err != nil {
		return nil, err
	}
	if _, err := bindNumbers(p, t); err != nil {
		return nil, err
	}
	totals, err := fit.Sums(p.Pipeline(), t)
	if err != nil {
		return nil, err
	}
	if totals.HeldOut > 0 && !p.Evaluate.HoldOut {
		return nil, fmt.Errorf("%w: %d held-out rows in a job without hold-out", fit.ErrTable, totals.HeldOut)
	}
	if totals.Groups, err = countGroups(p, t); err != nil {
		return nil, err
	}
	return p.EncodeFit(totals), nil
}

// Sums gives the values for a TRAIN or EVALUATE round.
func (d *Design) Sums(s *optim.State) ([][]float64, error) {
	if d.program.Private() {
		return nil, errPrivate
	}
	if !d.Serves(s) {
		return nil, fmt.Errorf("%w: it has another fitted pipeline", ErrState)
	}
	if k := s.Kind(); k != optim.Train && k != optim.Evaluate {
		return nil, fmt.Errorf("%w: no sum for %s", ErrState, k)
	}
	if d.program.Label != nil {
		return d.classSums(s)
	}
	if s.Kind() == optim.Train && d.program.Model.Solver == optim.LBFGS {
		train, gradient := d.gradient(s.Coefficients())
		if err := Concentration(d.residuals(train)); err != nil {
			return nil, err
		}
		return d.program.EncodeGradient(s, optim.TrainSums{Rows: int64(d.train.n), Loss: train.loss(d.train), Gradient: gradient}), nil
	}
	train := d.scores(d.train, s.Coefficients())
	weights := train.h
	if d.program.Model.Solver == optim.LBFGS {
		weights = d.residuals(train) // what its sums weigh rows by
	}
	if err := Concentration(weights); err != nil {
		return nil, err
	}
	loss := train.loss(d.train)
	if s.Kind() == optim.Train {
		gradient, hessian := d.derivatives(train)
		return d.program.EncodeTrain(s, optim.TrainSums{Rows: int64(d.train.n), Loss: loss, Gradient: gradient, Hessian: hessian}), nil
	}
	held := d.scores(d.held, s.Coefficients())
	return d.program.EncodeEvaluate(s, d.Evaluate(s, loss, held.p, held.loss(d.held))), nil
}

// Score gives each row's probability of the positive label, in the table's order, held out or not.
func Score(p *optim.Program, s *optim.State, t *dataset.Table) ([]float64, error) {
	if s.Fitted() == nil {
		return nil, fmt.Errorf("%w: the pipeline isn't fitted before FIT", ErrState)
	}
	if p.Label != nil {
		return nil, fmt.Errorf("%w: it has several classes\nhint: use ClassScores", ErrState)
	}
	columns, err := bind(p, t)
	if err != nil {
		return nil, err
	}
	numbers, err := bindOffset(p, t)
	if err != nil {
		return nil, err
	}
	d := newDesign(p, s)
	rows := d.encode(columns, t, numbers, t.Rows, func(int) bool { return true })
	if p.Model.Factors > 0 {
		return d.machineScores(rows, s.Coefficients()), nil
	}
	return d.scores(rows, s.Coefficients()).p, nil
}

// scored are rows at some coefficients.
type scored struct {
	margin []float64 // w·x; of a private program's unit-norm x
	p      []float64 // 1/(1+exp(-margin))
	h      []float64 // p(1-p), times the row's weight
}

func (d *Design) scores(r *rows, w []float64) *scored {
	margins := d.margins
	if d.program.Private() {
		margins = d.unitMargins
	}
	out := &scored{margin: margins(r, w), p: make([]float64, r.n), h: make([]float64, r.n)}
	shards(r.n, func(_, from, to int) {
		for i := from; i < to; i++ {
			p, h := logistic(out.margin[i])
			out.p[i], out.h[i] = p, r.weightOf(i)*h
		}
	})
	return out
}

// logistic gives p = 1/(1+exp(-margin)) and h = p(1-p).
func logistic(margin float64) (p, h float64) {
	e := math.Exp(-math.Abs(margin)) // never overflows
	q := 1 / (1 + e)
	h = e * q * q
	if margin < 0 {
		q = e * q
	}
	return q, h
}

// loss is Σ min(log loss, 64) in nats, times the rows' weights.
func (s *scored) loss(r *rows) float64 {
	return sum(r.n, func(from, to int) float64 {
		total := 0.0
		for i := from; i < to; i++ {
			m := s.margin[i]
			if r.label[i] {
				m = -m
			}
			// log(1+exp(m)) without overflow.
			total += r.weightOf(i) * min(max(m, 0)+math.Log1p(math.Exp(-math.Abs(m))), metrics.MaxLoss)
		}
		return total
	})
}

// Concentration refuses weights h ≥ 0 of training rows in a sum whose (Σh)²/Σh² is below MinEffectiveRows; h is scaled by its
// largest value first, as squares of tiny ones underflow.
func Concentration(weights []float64) error {
	largest := 0.0
	for _, h := range weights {
		largest = max(largest, h)
	}
	first, second := 0.0, 0.0
	if largest > 0 {
		for _, h := range weights {
			v := h / largest
			first += v
			second += v * v
		}
	}
	if !(first*first >= MinEffectiveRows*second && second > 0) {
		effective := 0.0
		if second > 0 {
			effective = first * first / second
		}
		return fmt.Errorf("%w: %d training rows weigh as %.1f at this state, %d are needed\nhint: a participant needs at least %d training rows; with more, the model singles some out (raise l2 or min_count), or it was chosen to",
			ErrConcentrated, len(weights), effective, MinEffectiveRows, MinEffectiveRows)
	}
	return nil
}
