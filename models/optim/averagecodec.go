package optim

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"tributary/models/metrics"
	"tributary/models/pipeline"
)

// averageVersion is the first field of an averaging program's encoded state.
const averageVersion = 3

// averageMemory is what an averaging solver keeps beside the coefficients.
type averageMemory struct {
	objective    float64   // at the coefficients that the last round was summed at
	mean, square []float64 // FedAdam's moments; in TRAIN states only
	dual         []float64 // with an L1 penalty, in TRAIN states only
	best         []float64 // with a patience, in TRAIN states only: the coefficients with the least held-out loss
	bestLoss     float64   // nats, of all held-out rows
	worse        uint32    // rounds since
}

// encode is Encode of an averaging program's state:
//
//	version u16, kind u8, step u32, rounds u32, converged u8
//	not FIT:     rows u64, positives u64, held_out u64, mean []f64, sd []f64, folded []u8, w []f64; with groups: group_rows []u64
//	rounds > 0:  objective f64
//	TRAIN with rounds > 0:  fedadam: mean []f64, square []f64; with l1: dual []f64; with a patience: best []f64, best_loss f64, worse u32
//	DONE:        train_loss f64, objective f64, held_out u64, positives u64, auc, log_loss, accuracy (known u8, f64)
func (a averaging) encode(s *State) []byte {
	var e encoder
	e.begin(averageVersion, s)
	e.flag(s.converged)
	if s.kind == Fit {
		return e.buf
	}
	numbers := len(s.w)
	if m := s.average; m != nil {
		numbers += len(m.mean) + len(m.square) + len(m.dual) + len(m.best)
	}
	e.buf = slices.Grow(e.buf, 8*numbers+32*a.columns()) // once: of a wide model they are half a gigabyte
	e.fitted(s.fitted)
	e.list(s.w)
	e.groups(s.groups)
	if m := s.average; m != nil {
		e.numbers(m.objective)
		if s.kind == Train {
			if a.Model.Solver == FedAdam {
				e.list(m.mean)
				e.list(m.square)
			}
			if a.Dual() {
				e.list(m.dual)
			}
			if a.Model.Averaging.Patience > 0 {
				e.list(m.best)
				e.numbers(m.bestLoss)
				e.buf = binary.BigEndian.AppendUint32(e.buf, m.worse)
			}
		}
	}
	if s.kind == Done {
		e.summary(a.Program, &s.summary)
	}
	return e.buf
}

func (a averaging) decode(data []byte) (*State, error) {
	return decodeState(data, averageVersion, true, func(d *decoder, s *State) {
		s.fitted = d.fitted(a.Program)
		s.w = d.list(a.coefficients())
		s.groups = d.groups(a.groupCount())
		if s.rounds > 0 {
			s.average = a.decodeMemory(d, s.kind)
		}
		if s.kind == Done {
			s.summary = d.summary(a.Program, s.fitted.Rows)
		}
	}, a.check)
}

func (a averaging) decodeMemory(d *decoder, kind RoundKind) *averageMemory {
	m := &averageMemory{objective: d.f64()}
	if kind != Train {
		return m
	}
	if a.Model.Solver == FedAdam {
		m.mean, m.square = d.list(a.coefficients()), d.list(a.coefficients())
	}
	if a.Dual() {
		m.dual = d.list(a.coefficients())
	}
	if a.Model.Averaging.Patience > 0 {
		m.best, m.bestLoss, m.worse = d.list(a.coefficients()), d.f64(), d.u32()
	}
	return m
}

// check holds a state to what apply can give.
func (a averaging) check(s *State) error {
	limit := uint32(a.Model.MaxRounds)
	if s.kind == Fit {
		return checkStart(s)
	}
	var ok bool
	switch early := s.converged || a.Model.Averaging.Patience > 0; s.kind {
	case Train:
		ok = s.rounds < limit && s.step == s.rounds+1 && !s.converged
	case Evaluate:
		ok = s.rounds >= 1 && s.rounds <= limit && s.step == s.rounds+1 && (early || s.rounds == limit)
	case Done:
		ok = s.rounds >= 1 && s.rounds <= limit && s.step == s.rounds+2 && (early || s.rounds == limit)
	}
	if !ok {
		return fmt.Errorf("kind %s, step %d, %d TRAIN rounds of %d, converged %t", s.kind, s.step, s.rounds, limit, s.converged)
	}
	if err := a.checkFitted(s.fitted); err != nil {
		return err
	}
	if err := a.checkGroups(s.groups, s.fitted.HeldOut); err != nil {
		return err
	}
	fresh := s
	if s.rounds == 0 {
		fresh = &State{fitted: s.fitted, w: a.startingPoint(s.fitted)}
		a.start(fresh)
	}
	for i, w := range s.w {
		if s.rounds == 0 && w != fresh.w[i] || a.still(s, i) && w != 0 || math.Abs(w) > maxCoefficient {
			return fmt.Errorf("coefficient %d is %g", i, w)
		}
	}
	if m := s.average; m != nil {
		if m.objective < 0 || m.bestLoss < 0 || m.worse > 0 && m.worse >= uint32(a.Model.Averaging.Patience) {
			return fmt.Errorf("objective %g, held-out loss %g, not better for %d rounds", m.objective, m.bestLoss, m.worse)
		}
		if err := a.checkDuals(s); err != nil {
			return err
		}
		for i, v := range m.square {
			if v < 0 || a.still(s, i) && (v != 0 || m.mean[i] != 0) {
				return fmt.Errorf("moments of coefficient %d are %g and %g", i, m.mean[i], v)
			}
		}
		for i, w := range m.best {
			if a.still(s, i) && w != 0 || math.Abs(w) > maxCoefficient {
				return fmt.Errorf("best coefficient %d is %g", i, w)
			}
		}
	}
	return nil
}

// still tells whether a coefficient belongs to a folded column, and so stays 0.
func (a averaging) still(s *State, i int) bool {
	columns := a.columns()
	switch {
	case i < columns:
		return s.fitted.Folded[i]
	case i < len(s.w)-1:
		return s.fitted.Folded[(i-columns)/a.Model.Factors]
	}
	return false
}

func (e *encoder) fitted(f *pipeline.Fitted) {
	e.integers(f.Rows, f.Positives, f.HeldOut)
	if f.Classes != nil {
		e.length(len(f.Classes))
		e.integers(f.Classes...)
	}
	if f.LabelSD != 0 {
		e.numbers(f.LabelMean, f.LabelSD)
	}
	e.list(f.Mean)
	e.list(f.SD)
	e.length(len(f.Folded))
	for _, folded := range f.Folded {
		e.flag(folded)
	}
	e.learnt(f)
}

func (d *decoder) fitted(p *Program) *pipeline.Fitted {
	spec, f := p.spec, &pipeline.Fitted{Rows: d.i64(), Positives: d.i64(), HeldOut: d.i64()}
	if p.Label != nil {
		f.Classes = d.counts(p.blocks())
	}
	if p.Target != nil {
		f.LabelMean, f.LabelSD = d.f64(), d.f64()
	}
	f.Mean = d.list(spec.Numbers())
	f.SD = d.list(spec.Numbers())
	if columns := len(spec.Columns()); d.length(columns, 1) {
		f.Folded = make([]bool, columns)
		for i := range f.Folded {
			f.Folded[i] = d.flag()
		}
	}
	d.learnt(spec, f)
	return f
}

func (e *encoder) summary(p *Program, s *metrics.Summary) {
	e.numbers(s.TrainLoss, s.Objective)
	e.integers(s.HeldOut, s.Positives)
	if p.Target != nil {
		e.values(s.RMSE, s.MAE, s.R2)
		return
	}
	e.values(s.AUC, s.LogLoss, s.Accuracy)
}

func (d *decoder) summary(p *Program, rows int64) metrics.Summary {
	s := metrics.Summary{Rows: rows, TrainLoss: d.f64(), Objective: d.f64(), HeldOut: d.i64(), Positives: d.i64()}
	if p.Target != nil {
		d.values(&s.RMSE, &s.MAE, &s.R2)
		return s
	}
	d.values(&s.AUC, &s.LogLoss, &s.Accuracy)
	return s
}
