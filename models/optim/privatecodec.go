package optim

import (
	"fmt"
	"math"

	"tributary/models/metrics"
)

// privateVersion is the first field of a private program's encoded state.
const privateVersion = 2

// encodePrivate is Encode of a private program's state:
//
//	version u16, kind u8, step u32, rounds u32
//	behind a SKETCH round: mean f64 and sd f64 of each standardised number, bounds []f64, edges []f64
//	behind FIT:  rows u64 (noised), w []f64
//	TRAIN:    factor []f64 (lower triangle, row by row)
//	DONE:     held_out u64, positives u64 (noised), auc, log_loss, accuracy (known u8, f64)
func (p *Program) encodePrivate(s *State) []byte {
	var e encoder
	e.begin(privateVersion, s)
	if s.fitted != nil {
		e.noisedFitted(p.spec, s.fitted)
	}
	if s.w == nil {
		return e.buf
	}
	e.integers(s.fitted.Rows)
	e.list(s.w)
	if s.kind == Train {
		d := s.factor.d
		e.length(d * (d + 1) / 2)
		for i := range d {
			e.numbers(s.factor.row(i)[:i+1]...)
		}
	}
	if s.kind == Done {
		e.integers(s.summary.HeldOut, s.summary.Positives)
		e.values(s.summary.AUC, s.summary.LogLoss, s.summary.Accuracy)
	}
	return e.buf
}

func (e *encoder) values(values ...metrics.Value) {
	for _, v := range values {
		e.flag(v.Known)
		e.numbers(v.V)
	}
}

func (d *decoder) values(values ...*metrics.Value) {
	for _, v := range values {
		v.Known = d.flag()
		v.V = d.f64()
		if !v.Known && math.Float64bits(v.V) != 0 {
			d.fail("an absent metric has a value")
		}
	}
}

func (p *Program) decodePrivate(data []byte) (*State, error) {
	return p.decodeNoised(data, privateVersion, func(d *decoder, s *State) {
		s.fitted.Rows = d.i64()
		s.w = d.list(p.Coefficients())
		if s.kind == Train {
			s.factor = d.triangle(p.Coefficients())
		}
		if s.kind == Done {
			s.summary = metrics.Summary{Rows: s.fitted.Rows, HeldOut: d.i64(), Positives: d.i64()}
			d.values(&s.summary.AUC, &s.summary.LogLoss, &s.summary.Accuracy)
		}
	}, p.checkPrivateState)
}

// triangle reads a lower triangle whose diagonal is positive.
func (d *decoder) triangle(n int) *matrix {
	values := d.list(n * (n + 1) / 2)
	if d.err != nil {
		return nil
	}
	m := newMatrix(n)
	for i := range n {
		row := m.row(i)
		copy(row, values[:i+1])
		values = values[i+1:]
		if !(row[i] > 0) {
			d.fail("pivot %d is %g", i, row[i])
		}
	}
	return m
}

// checkPrivateState holds a state to what Apply can give.
func (p *Program) checkPrivateState(s *State) error {
	limit, before := uint32(p.Model.MaxRounds), uint32(p.sketchRounds()+1)
	var ok bool
	switch s.kind {
	case Sketch, Fit: // see checkSketched
		return nil
	case Train:
		ok = s.rounds < limit && s.step == s.rounds+before
	case Evaluate:
		ok = p.measures() && s.rounds == limit && s.step == limit+before
	case Done:
		ok = s.rounds == limit && s.step == limit+before && !p.measures() || s.rounds == limit && s.step == limit+before+1 && p.measures()
	}
	if !ok {
		return fmt.Errorf("kind %s, step %d, %d TRAIN rounds of %d", s.kind, s.step, s.rounds, limit)
	}
	for i, w := range s.w {
		if s.rounds == 0 && w != 0 && p.Model.Sampling == nil || !(math.Abs(w) <= maxCoefficient) {
			return fmt.Errorf("coefficient %d is %g", i, w)
		}
	}
	m, e := &s.summary, p.Evaluate
	unasked := m.AUC.Known && !e.AUC || m.LogLoss.Known && !e.LogLoss || m.Accuracy.Known && !e.Correct
	if s.kind == Done && (m.Positives > m.HeldOut || unasked || !p.measures() && *m != (metrics.Summary{Rows: m.Rows})) {
		return fmt.Errorf("metrics of %d held-out rows, %d positive", m.HeldOut, m.Positives)
	}
	if p.Target != nil {
		return p.checkNoisedErrors(m)
	}
	return nil
}
