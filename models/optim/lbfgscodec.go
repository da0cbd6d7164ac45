package optim

import (
	"fmt"
	"math"
)

// lbfgsVersion is the first field of an L-BFGS program's encoded state.
const lbfgsVersion = 5

// encode is Encode of an L-BFGS program's state:
//
//	version u16, kind u8, step u32, rounds u32, converged u8
//	not FIT:     rows u64, positives u64, held_out u64, classes []u64 (several classes), mean []f64, sd []f64, folded []u8, w []f64
//	TRAIN:       curvature []f64
//	rounds > 0:  objective f64, decrement f64
//	TRAIN with rounds > 0:  best []f64, gradient []f64, pairs u8, and of each: step []f64, change []f64
//	DONE:        train_loss f64, objective f64, held_out u64, positives u64, auc, log_loss, accuracy (known u8, f64),
//	             confusion []u64 (several classes)
func (l lbfgs) encode(s *State) []byte {
	var e encoder
	e.begin(lbfgsVersion, s)
	e.flag(s.converged)
	if s.kind == Fit {
		return e.buf
	}
	e.fitted(s.fitted)
	e.list(s.w)
	if s.kind == Train {
		e.list(s.curvature)
	}
	if m := s.lbfgs; m != nil {
		e.numbers(m.objective, m.decrement)
		if s.kind == Train {
			e.list(m.best)
			e.list(m.gradient)
			e.buf = append(e.buf, byte(len(m.pairs)))
			for _, p := range m.pairs {
				e.list(p.step)
				e.list(p.change)
			}
		}
	}
	if s.kind == Done {
		e.summary(l.Program, &s.summary)
		if l.confuses() {
			e.length(len(s.confusion))
			e.integers(s.confusion...)
		}
	}
	return e.buf
}

func (l lbfgs) decode(data []byte) (*State, error) {
	return decodeState(data, lbfgsVersion, true, func(d *decoder, s *State) {
		s.fitted = d.fitted(l.Program)
		s.w = d.list(l.coefficients())
		if s.kind == Train {
			s.curvature = d.list(l.coefficients())
		}
		if s.rounds > 0 {
			s.lbfgs = l.decodeMemory(d, s.kind)
		}
		if s.kind == Done {
			s.summary = d.summary(l.Program, s.fitted.Rows)
			if l.confuses() {
				s.confusion = d.counts(l.blocks() * l.blocks())
			}
		}
	}, l.check)
}

func (l lbfgs) decodeMemory(d *decoder, kind RoundKind) *lbfgsMemory {
	m := &lbfgsMemory{objective: d.f64(), decrement: d.f64()}
	if kind != Train {
		return m
	}
	n := l.coefficients()
	m.best, m.gradient = d.list(n), d.list(n)
	pairs := int(d.u8())
	if d.err == nil && pairs > l.kept() {
		d.fail("%d pairs, at most %d", pairs, l.kept())
	}
	for range pairs {
		if d.err != nil {
			break
		}
		m.pairs = append(m.pairs, pair{d.list(n), d.list(n)})
	}
	return m
}

// check holds a state to what apply can give.
func (l lbfgs) check(s *State) error {
	limit := uint32(l.Model.MaxRounds)
	if s.kind == Fit {
		return checkStart(s)
	}
	var ok bool
	switch s.kind {
	case Train:
		ok = s.rounds < limit && s.step == s.rounds+1 && !s.converged
	case Evaluate:
		ok = s.rounds >= 1 && s.rounds <= limit && s.step == s.rounds+1 && (s.converged || s.rounds == limit)
	case Done:
		ok = s.rounds >= 1 && s.rounds <= limit && s.step == s.rounds+2 && (s.converged || s.rounds == limit)
	}
	if !ok {
		return fmt.Errorf("kind %s, step %d, %d TRAIN rounds of %d, converged %t", s.kind, s.step, s.rounds, limit, s.converged)
	}
	if err := l.checkFitted(s.fitted); err != nil {
		return err
	}
	if err := l.checkVector("coefficient", s, s.w, maxCoefficient); err != nil {
		return err
	}
	if s.rounds == 0 {
		if err := l.checkStarted(s.fitted, s.w); err != nil {
			return err
		}
	}
	if s.kind == Done {
		if err := l.checkConfusion(s.confusion, s.summary.HeldOut); err != nil {
			return err
		}
	}
	for i, c := range s.curvature {
		if !(c >= leastCurvature && c <= maxCoefficient) {
			return fmt.Errorf("curvature %d is %g", i, c)
		}
	}
	m := s.lbfgs
	if m == nil {
		return nil
	}
	if m.objective < 0 || m.decrement < 0 || math.Signbit(m.decrement) {
		return fmt.Errorf("objective %g, decrement %g", m.objective, m.decrement)
	}
	for _, v := range []struct {
		name   string
		values []float64
	}{{"accepted coefficient", m.best}, {"derivative", m.gradient}} {
		if err := l.checkVector(v.name, s, v.values, maxCoefficient); err != nil {
			return err
		}
	}
	for k, p := range m.pairs {
		if err := l.checkVector("step", s, p.step, 2*maxCoefficient); err != nil {
			return err
		}
		if err := l.checkVector("change", s, p.change, 2*maxCoefficient); err != nil {
			return err
		}
		if !p.curved() {
			return fmt.Errorf("pair %d has no curvature", k)
		}
	}
	return nil
}

// checkVector holds a list of coefficients' length to a bound, and to 0 where a column is folded.
func (l lbfgs) checkVector(what string, s *State, values []float64, bound float64) error {
	for i, v := range values {
		if math.Abs(v) > bound || l.folded(s.fitted, i) && v != 0 {
			return fmt.Errorf("%s %d is %g", what, i, v)
		}
	}
	return nil
}
