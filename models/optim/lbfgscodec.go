package optim

import (
	"encoding/binary"
	"fmt"
	"math"
)

// lbfgsVersion is the first field of an L-BFGS program's encoded state.
const lbfgsVersion = 6

// encode is Encode of an L-BFGS program's state:
//
//	version u16, kind u8, step u32, rounds u32, converged u8
//	not FIT:     rows u64, positives u64, held_out u64, classes []u64 (several classes), mean []f64, sd []f64, folded []u8, w []f64;
//	             with groups: group_rows []u64
//	TRAIN:       curvature []f64
//	rounds > 0:  objective f64, decrement f64
//	TRAIN with rounds > 0:  best []f64, gradient []f64, pairs u8, and of each: step []f32, change []f32;
//	             with a patience: watched []f64, held_out_loss f64, worse u32
//	DONE:        variance []f64 (with standard errors), train_loss f64, objective f64, held_out u64, positives u64, auc, log_loss, accuracy (known u8, f64),
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
	e.groups(s.groups)
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
				e.singles(p.step)
				e.singles(p.change)
			}
		}
	}
	e.watch(s.watch)
	if s.kind == Done {
		if l.Model.StandardErrors {
			e.list(s.variance)
		}
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
		s.groups = d.groups(l.groupCount())
		if s.kind == Train {
			s.curvature = d.list(l.coefficients())
		}
		if s.rounds > 0 {
			s.lbfgs = l.decodeMemory(d, s.kind)
		}
		d.watch(l.Program, s)
		if s.kind == Done {
			if l.Model.StandardErrors {
				s.variance = d.list(l.coefficients())
			}
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
		m.pairs = append(m.pairs, pair{d.singles(n), d.singles(n)})
	}
	return m
}

// check holds a state to what apply can give.
func (l lbfgs) check(s *State) error {
	if s.kind == Fit {
		return checkStart(s)
	}
	if err := l.checkProgress(s); err != nil {
		return err
	}
	if err := l.checkFitted(s.fitted); err != nil {
		return err
	}
	if err := l.checkGroups(s.groups, s.fitted.HeldOut); err != nil {
		return err
	}
	if err := l.checkWatched(s); err != nil {
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
		if err := l.checkVariance(s); err != nil {
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
		if err := l.checkPair(s, p); err != nil {
			return err
		}
		if !p.curved() {
			return fmt.Errorf("pair %d has no curvature", k)
		}
	}
	return nil
}

// checkVector holds a list of coefficients' length to a bound, and to 0 where a column is folded.
func (p *Program) checkVector(what string, s *State, values []float64, bound float64) error {
	for i, v := range values {
		if math.Abs(v) > bound || p.folded(s.fitted, i) && v != 0 {
			return fmt.Errorf("%s %d is %g", what, i, v)
		}
	}
	return nil
}

// checkPair is checkVector of a step and its change.
func (l lbfgs) checkPair(s *State, p pair) error {
	for i, step := range p.step {
		change, bound := float64(p.change[i]), 2.01*maxCoefficient // rounded to single precision
		if a, b := math.Abs(float64(step)), math.Abs(change); a > bound || b > bound || l.folded(s.fitted, i) && (a != 0 || b != 0) {
			return fmt.Errorf("step %d is %g with the change %g", i, step, change)
		}
	}
	return nil
}

// Numbers in single precision.

func (e *encoder) singles(values []float32) {
	e.length(len(values))
	for _, v := range values {
		e.buf = binary.BigEndian.AppendUint32(e.buf, math.Float32bits(v))
	}
}

func (d *decoder) singles(n int) []float32 {
	if !d.length(n, 4) {
		return nil
	}
	out := make([]float32, n)
	for i := range out {
		v := math.Float32frombits(d.u32())
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			d.fail("a number is %g", f)
			return out
		}
		out[i] = v
	}
	return out
}
