package linear

import (
	"fmt"
	"math"

	"tributary/models/dataset"
	"tributary/models/metrics"
	"tributary/models/optim"
)

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
	b, err := Bind(p, t)
	if err != nil {
		return nil, err
	}
	return b.Fit()
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
	if s.Kind() == optim.Evaluate {
		return d.evaluate(s)
	}
	train := optim.TrainSums{Rows: int64(d.train.n)}
	var guard guard
	if d.program.Model.Solver == optim.LBFGS {
		train.Gradient, train.Loss, guard = d.gradient(s.Coefficients())
	} else {
		train.Gradient, train.Hessian, train.Loss, guard = d.derivatives(s.Coefficients())
	}
	if err := d.check(&guard); err != nil {
		return nil, err
	}
	train.HeldOutLoss = d.watchedLoss(s)
	if d.program.Model.Solver == optim.LBFGS {
		return d.program.EncodeGradient(s, train), nil
	}
	return d.program.EncodeTrain(s, train), nil
}

// evaluate gives the values for an EVALUATE round.
func (d *Design) evaluate(s *optim.State) ([][]float64, error) {
	loss, guard := d.measure(d.train, s.Coefficients(), nil)
	if err := d.check(&guard); err != nil {
		return nil, err
	}
	parts := make([]*Evaluation, shardCount(d.held.n))
	for i := range parts {
		parts[i] = d.Evaluation(s)
	}
	heldLoss, _ := d.measure(d.held, s.Coefficients(), func(shard, i int, p float64) { parts[shard].Add(i, p) })
	for _, p := range parts[1:] {
		parts[0].merge(p)
	}
	out := parts[0].Sums(loss, heldLoss)
	if d.program.Model.StandardErrors {
		_, hessian, _, concentration := d.derivatives(s.Coefficients())
		if err := concentration.hessian.Check(); err != nil {
			return nil, err
		}
		out.Hessian = hessian
	}
	return d.program.EncodeEvaluate(s, out), nil
}

// watchedLoss is the held-out rows' loss at a state, of programs that watch it.
func (d *Design) watchedLoss(s *optim.State) float64 {
	switch {
	case d.program.Model.Patience == 0:
		return 0
	case d.program.Label != nil:
		return d.classes(d.held, s.Coefficients(), false, nil).loss
	}
	loss, _ := d.measure(d.held, s.Coefficients(), nil)
	return loss
}

// guard is how what sums weigh rows by is concentrated: a Hessian by h, a gradient by the residuals' sizes.
type guard struct{ hessian, gradient Concentration }

func (g *guard) merge(o guard) {
	g.hessian.Merge(o.hessian)
	g.gradient.Merge(o.gradient)
}

// check refuses a state by what the solver's sums weigh rows by: Newton's Hessian by h; other sums, and of a number's label Newton's,
// too, by residuals.
func (d *Design) check(g *guard) error {
	if d.program.Model.Solver == optim.Newton {
		if err := g.hessian.Check(); err != nil || d.program.Target == nil {
			return err
		}
	}
	if d.program.Target != nil {
		return g.gradient.CheckResiduals()
	}
	return g.gradient.Check()
}

// measure gives the rows' loss, and how what the program's TRAIN sums weigh them by is concentrated. each, if it isn't nil, gets every
// row's probability, or the margin where the label is a number, from several goroutines.
func (d *Design) measure(r *rows, w []float64, each func(shard, i int, p float64)) (loss float64, concentration guard) {
	type part struct {
		loss  float64
		guard guard
	}
	parts := make([]part, shardCount(r.n))
	d.pass(r, w, func(shard, from, to int, margin []float64) {
		sum := parts[shard] // a copy: neighbours in memory would slow each other down
		for i := from; i < to; i++ {
			m := margin[i-from]
			p, h := r.predict(m)
			weight := r.weightOf(i)
			sum.loss += weight * r.lossAt(i, m)
			sum.guard.hessian.Add(weight * h)
			sum.guard.gradient.Add(math.Abs(weight * r.residual(i, p)))
			if each != nil {
				each(shard, i, p)
			}
		}
		parts[shard] = sum
	}, nil)
	for _, p := range parts {
		loss += p.loss
		concentration.merge(p.guard)
	}
	return loss, concentration
}

// Score gives each row's probability of the positive label, or the number that is predicted, in the table's order, held out or not.
func Score(p *optim.Program, s *optim.State, t *dataset.Table) ([]float64, error) {
	if s.Fitted() == nil {
		return nil, errUnfitted
	}
	if p.Label != nil {
		return nil, fmt.Errorf("%w: it has several classes\nhint: use ClassScores", ErrState)
	}
	d, r, err := encodeAll(p, s, t)
	if err != nil {
		return nil, err
	}
	if p.Private() && !p.UnitNorm() {
		out := d.machineScores(r, s.Coefficients())
		if p.Target != nil {
			return Predictions(p, s, out), nil
		}
		return out, nil
	}
	out := make([]float64, r.n)
	d.pass(r, s.Coefficients(), func(_, from, _ int, margin []float64) {
		for i, m := range margin {
			if p.Target == nil {
				m, _ = logistic(m)
			}
			out[from+i] = m
		}
	}, nil)
	if p.Target != nil {
		return Predictions(p, s, out), nil
	}
	return out, nil
}

// encodeAll encodes a table's rows, held out or not.
func encodeAll(p *optim.Program, s *optim.State, t *dataset.Table) (*Design, *rows, error) {
	columns, err := bind(p, t)
	if err != nil {
		return nil, nil, err
	}
	numbers, err := bindOffset(p, t)
	if err != nil {
		return nil, nil, err
	}
	d := newDesign(p, s, t.Memory)
	e := d.encoder(columns, t, numbers, t.Rows)
	d.encode(t, e, e)
	r, err := e.freeze()
	return d, r, err
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

// predict gives 1/(1+exp(-margin)) and its slope p(1-p); where the label is a number, the margin itself and 1.
func (r *rows) predict(margin float64) (p, h float64) {
	if r.target != nil {
		return margin, 1
	}
	return logistic(margin)
}

// residual is p - y of a row, or margin - t where the label is a number, without its weight.
func (r *rows) residual(i int, p float64) float64 {
	if r.target != nil {
		return p - r.target[i]
	}
	if r.label[i] {
		return p - 1
	}
	return p
}

// lossAt is a row's min(log loss, 64) in nats at its margin, or half the squared error of a number, without its weight.
func (r *rows) lossAt(i int, m float64) float64 {
	if r.target != nil {
		e := m - r.target[i]
		return e * e / 2
	}
	if r.label[i] {
		m = -m
	}
	// log(1+exp(m)) without overflow.
	return min(max(m, 0)+math.Log1p(math.Exp(-math.Abs(m))), metrics.MaxLoss)
}
