package optim

import (
	"errors"
	"fmt"

	"tributary/models/metrics"
)

// Early stopping of solvers that sum derivatives. With a patience, a TRAIN round has one more lane: the held-out loss at the
// coefficients that the derivatives are taken at, so that watching costs no round. Training ends when it hasn't fallen for so many
// rounds, and always at the coefficients where it was least. Rounds whose step is undone aren't watched.

// parseEnding reads what ends a training early, and whether its optimum's Hessian is summed.
func parseEnding(o *object, m *Model) {
	if _, given := o.keys["patience"]; given {
		m.Patience = int(o.integer("patience", 1, MaxRoundsLimit))
		if m.Solver != Newton && m.Solver != LBFGS {
			o.fail("patience", "solver %q isn't watched so\nhint: %s or %s, or averaging.patience", m.Solver, Newton, LBFGS)
		}
	}
	if _, given := o.keys["standard_errors"]; !given {
		return
	}
	m.StandardErrors = o.boolean("standard_errors")
	switch {
	case o.err == nil && !m.StandardErrors:
		o.fail("standard_errors", "false\nhint: leave standard_errors out")
	case m.Solver != LBFGS:
		o.fail("standard_errors", "solver %q sums no Hessian for them\nhint: %s; %s has them by itself", m.Solver, LBFGS, Newton)
	case m.L1 > 0:
		o.fail("standard_errors", "an L1 penalty leaves none\nhint: leave standard_errors or l1 out")
	}
}

// watchMemory is what a watched solver keeps between rounds.
type watchMemory struct {
	best  []float64 // the coefficients with the least held-out loss so far
	loss  float64   // nats, of all held-out rows
	worse uint32    // watched rounds since
}

// watches tells whether TRAIN rounds open a held-out loss; solvers that average have a patience of their own.
func (p *Program) watches() bool { return p.Model.Patience > 0 }

func (p *Program) layoutWatch(add func(name string, length int, scale uint64)) {
	if p.watches() {
		p.layoutLoss(add, segHeldLossWhole, segHeldLoss)
	}
}

// checkWatch refuses to begin where nothing is held out.
func (p *Program) checkWatch(heldOut int64) error {
	if p.watches() && heldOut == 0 {
		return fmt.Errorf("%w: no held-out rows for model.patience to watch\nhint: hold more rows out, or leave patience out", ErrNoRows)
	}
	return nil
}

// watch follows the held-out loss at the state's coefficients.
func (p *Program) watch(s, next *State, v map[string][]float64) (stop bool, note string, err error) {
	if !p.watches() {
		return false, "", nil
	}
	held := s.fitted.HeldOut
	loss, err := p.readLoss(v, segHeldLossWhole, segHeldLoss, held)
	if err != nil {
		return false, "", err
	}
	next.watch = &watchMemory{best: s.w, loss: loss}
	if last := s.watch; last != nil && last.loss <= loss {
		next.watch = &watchMemory{last.best, last.loss, last.worse + 1}
	}
	what := "log loss"
	if p.Target != nil {
		what = "loss"
	}
	note = fmt.Sprintf("held-out %s %.5f", what, metrics.Mean(loss, held).V)
	if next.watch.worse < uint32(p.Model.Patience) {
		return false, note, nil
	}
	return true, note + fmt.Sprintf(": no better for %d rounds, the best is kept", p.Model.Patience), nil
}

// keepWatched ends a watched training at its best coefficients. They are those of an optimum only if no earlier ones were better.
func (s *State) keepWatched() {
	if m := s.watch; m != nil {
		s.w, s.watch = m.best, nil
		s.converged = s.converged && m.worse == 0
	}
}

// note adds to what a step tells.
func (r *Report) note(text string) {
	if r.Note != "" && text != "" {
		r.Note += "; "
	}
	r.Note += text
}

func (e *encoder) watch(m *watchMemory) {
	if m != nil {
		e.list(m.best)
		e.numbers(m.loss)
		e.length(int(m.worse))
	}
}

// watch reads what a TRAIN state of a watched program has after its first round.
func (d *decoder) watch(p *Program, s *State) {
	if p.watches() && s.kind == Train && s.rounds > 0 {
		s.watch = &watchMemory{d.list(p.Coefficients()), d.f64(), d.u32()}
	}
}

// checkWatched holds a TRAIN state's memory to what watch gives.
func (p *Program) checkWatched(s *State) error {
	m := s.watch
	if m == nil {
		return nil
	}
	if m.loss < 0 || m.worse >= uint32(p.Model.Patience) || m.worse >= s.rounds {
		return errors.New("a held-out loss that no round gives")
	}
	return p.checkVector("watched coefficient", s, m.best, maxCoefficient)
}
