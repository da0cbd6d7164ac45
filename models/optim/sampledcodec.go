package optim

import (
	"fmt"
	"math"

	"tributary/models/metrics"
)

// sampledVersion is the first field of the encoded state of a program with DP-SGD.
const sampledVersion = 4

// encode is Encode of such a state:
//
//	version u16, kind u8, step u32, rounds u32
//	behind a SKETCH round: what it found, as in encodePrivate
//	behind FIT:  rows u64 (noised)
//	TRAIN:    iterate []f64, velocity []f64, tail []f64
//	later:    w []f64
//	DONE:     held_out u64, positives u64 (noised), auc, log_loss, accuracy (known u8, f64); of a label that is a number
//	          held_out u64 (noised), rmse, mae, r2
//
// In TRAIN the coefficients follow: the iterate, or tail divided by the number of rounds in it.
func (d sampled) encode(s *State) []byte {
	var e encoder
	e.begin(sampledVersion, s)
	if s.fitted != nil {
		e.noisedFitted(d.spec, s.fitted)
	}
	if s.w == nil {
		return e.buf
	}
	e.integers(s.fitted.Rows)
	if m := s.sampled; s.kind == Train {
		e.list(m.iterate)
		e.list(m.velocity)
		e.list(m.tail)
	} else {
		e.list(s.w)
	}
	if q := &s.summary; s.kind == Done && d.Target != nil {
		e.integers(q.HeldOut)
		e.values(q.RMSE, q.MAE, q.R2)
	} else if s.kind == Done {
		e.integers(q.HeldOut, q.Positives)
		e.values(q.AUC, q.LogLoss, q.Accuracy)
	}
	return e.buf
}

func (d sampled) decode(data []byte) (*State, error) {
	n := d.coefficients()
	return d.decodeNoised(data, sampledVersion, func(in *decoder, s *State) {
		s.fitted.Rows = in.i64()
		if s.kind == Train {
			s.sampled = &sampledMemory{iterate: in.list(n), velocity: in.list(n), tail: in.list(n)}
		} else {
			s.w = in.list(n)
		}
		if q := &s.summary; s.kind == Done && d.Target != nil {
			*q = metrics.Summary{Rows: s.fitted.Rows, HeldOut: in.i64()}
			in.values(&q.RMSE, &q.MAE, &q.R2)
		} else if s.kind == Done {
			*q = metrics.Summary{Rows: s.fitted.Rows, HeldOut: in.i64(), Positives: in.i64()}
			in.values(&q.AUC, &q.LogLoss, &q.Accuracy)
		}
	}, d.check)
}

// check holds a state to what apply can give, and gives a TRAIN state its coefficients: before the first round they are start's.
func (d sampled) check(s *State) error {
	if s.kind != Fit && s.kind != Sketch && s.fitted.Rows < 1 {
		return fmt.Errorf("%d rows", s.fitted.Rows)
	}
	if m := s.sampled; m != nil {
		averaged := int(s.rounds) - d.tailFrom() + 1
		s.w = make([]float64, len(m.iterate))
		start := m.iterate
		if s.rounds == 0 {
			start = d.start()
		}
		for i, w := range m.iterate {
			tail := m.tail[i]
			if s.rounds == 0 && (m.velocity[i] != 0 || math.Float64bits(w) != math.Float64bits(start[i])) || averaged <= 0 && tail != 0 || !(math.Abs(w) <= maxCoefficient) {
				return fmt.Errorf("coefficient %d: iterate %g, velocity %g, tail %g", i, w, m.velocity[i], tail)
			}
			if s.w[i] = w; averaged > 0 {
				s.w[i] = tail / float64(averaged)
			}
		}
	}
	return d.checkPrivateState(s)
}
