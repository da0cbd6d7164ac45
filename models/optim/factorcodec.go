package optim

import (
	"encoding/binary"
	"fmt"
	"math"

	"tributary/models/metrics"
	"tributary/models/pipeline"
)

// factorVersion is the first field of a matrix factorisation's encoded state.
const factorVersion = 4

// encode is the state's one encoding, as State.Encode says, with
//
//	not FIT:     pairs u64, held_out u64, users u64, item_users []u64, mean []f64 (explicit: one), w []f64
//	rounds > 0:  objective f64
//	TRAIN with rounds > 0 and a patience: best []f64, best_loss f64, worse u32
//	DONE:        users u64, recall, ndcg, map, coverage, rmse (known u8, f64)
func (f factorization) encode(s *State) []byte {
	var e encoder
	e.begin(factorVersion, s)
	e.flag(s.converged)
	if s.kind == Fit {
		return e.buf
	}
	m := s.factors
	e.integers(s.fitted.Rows, s.fitted.HeldOut, m.users)
	e.length(len(m.itemUsers))
	e.integers(m.itemUsers...)
	e.list(s.fitted.Mean)
	e.list(s.w)
	if s.rounds > 0 {
		e.numbers(m.objective)
		if s.kind == Train && f.Model.Recommendation.Patience > 0 {
			e.list(m.best)
			e.numbers(m.bestLoss)
			e.buf = binary.BigEndian.AppendUint32(e.buf, m.worse)
		}
	}
	if q := &s.summary; s.kind == Done {
		e.integers(q.Users)
		e.values(q.Recall, q.NDCG, q.MAP, q.Coverage, q.RMSE)
	}
	return e.buf
}

func (f factorization) decode(data []byte) (*State, error) {
	return decodeState(data, factorVersion, true, f.decodeBody, f.check)
}

func (f factorization) decodeBody(d *decoder, s *State) {
	s.fitted = &pipeline.Fitted{Rows: d.i64(), HeldOut: d.i64()}
	m := &factorMemory{users: d.i64()}
	s.factors = m
	if items := f.Items(); d.length(items, 8) {
		m.itemUsers = make([]int64, items)
		for i := range m.itemUsers {
			m.itemUsers[i] = d.i64()
		}
	}
	s.fitted.Mean = d.list(f.spec.Numbers())
	for range s.fitted.Mean {
		s.fitted.SD = append(s.fitted.SD, 1)
	}
	s.fitted.Folded = f.folded(m.itemUsers)
	s.w = d.list(f.coefficients())
	if s.rounds > 0 {
		m.objective = d.f64()
		if s.kind == Train && f.Model.Recommendation.Patience > 0 {
			m.best, m.bestLoss, m.worse = d.list(f.coefficients()), d.f64(), d.u32()
		}
	}
	if q := &s.summary; s.kind == Done {
		*q = metrics.Summary{Rows: s.fitted.Rows, Objective: m.objective, HeldOut: s.fitted.HeldOut, TopK: f.Model.Recommendation.TopK, Users: d.i64()}
		d.values(&q.Recall, &q.NDCG, &q.MAP, &q.Coverage, &q.RMSE)
	}
}

// check holds a state to what apply can give.
func (f factorization) check(s *State) error {
	if s.kind == Fit {
		return checkStart(s)
	}
	limit, patience := uint32(f.Model.MaxRounds), uint32(f.Model.Recommendation.Patience)
	var ok bool
	switch early := s.converged || patience > 0; s.kind {
	case Train:
		ok = s.rounds < limit && s.step == s.rounds+1 && !s.converged
	case Evaluate:
		ok = s.rounds >= 1 && s.rounds <= limit && s.step == s.rounds+1 && (early || s.rounds == limit)
	case Done:
		ok = s.rounds >= 1 && s.rounds <= limit && s.step == s.rounds+2 && (early || s.rounds == limit)
	}
	if !ok || s.converged && (patience > 0 || s.rounds < 2) {
		return fmt.Errorf("kind %s, step %d, %d TRAIN rounds of %d, converged %t", s.kind, s.step, s.rounds, limit, s.converged)
	}
	m := s.factors
	if err := f.checkCounts(s.fitted, m); err != nil {
		return err
	}
	if s.fitted.HeldOut > 0 && !f.Evaluate.HoldOut {
		return fmt.Errorf("%d held-out pairs", s.fitted.HeldOut)
	}
	for _, mean := range s.fitted.Mean {
		if !(mean >= 0 && mean <= 1) {
			return fmt.Errorf("mean %g", mean)
		}
	}
	if m.objective < 0 || m.bestLoss < 0 || m.worse > 0 && m.worse >= patience {
		return fmt.Errorf("objective %g, held-out loss %g, not better for %d rounds", m.objective, m.bestLoss, m.worse)
	}
	if err := f.checkItems(s); err != nil {
		return err
	}
	if s.kind == Done {
		return f.checkSummary(&s.summary, m.users)
	}
	return nil
}

// checkItems holds the factors to those that a state's items can have.
func (f factorization) checkItems(s *State) error {
	d, kept := f.FactorLength(), 0
	for item := range f.Items() {
		if !s.fitted.Folded[item] {
			kept++
		}
	}
	if kept == 0 {
		return fmt.Errorf("all %d items are folded", f.Items())
	}
	var first []float64
	if s.rounds == 0 {
		first = f.first(s.fitted)
	}
	for i, w := range s.w {
		if first != nil && w != first[i] || s.fitted.Folded[i/d] && w != 0 || math.Abs(w) > maxCoefficient {
			return fmt.Errorf("coefficient %d is %g", i, w)
		}
	}
	for i, w := range s.factors.best {
		if s.fitted.Folded[i/d] && w != 0 || math.Abs(w) > maxCoefficient {
			return fmt.Errorf("best coefficient %d is %g", i, w)
		}
	}
	return nil
}

func (f factorization) checkSummary(q *metrics.Summary, users int64) error {
	e := f.Evaluate
	if q.Users > users || q.Users > 0 && !(e.Recall || e.NDCG || e.MAP) {
		return fmt.Errorf("%d of %d users have held-out items", q.Users, users)
	}
	for _, metric := range []struct {
		value metrics.Value
		known bool
	}{{q.Recall, e.Recall && q.Users > 0}, {q.NDCG, e.NDCG && q.Users > 0}, {q.MAP, e.MAP && q.Users > 0}, {q.Coverage, e.Coverage}, {q.RMSE, e.RMSE && q.HeldOut > 0}} {
		if metric.value.Known != metric.known || !(metric.value.V >= 0) {
			return fmt.Errorf("metrics %+v", *q)
		}
	}
	for _, share := range []metrics.Value{q.Recall, q.NDCG, q.MAP, q.Coverage} {
		if share.V > 1 {
			return fmt.Errorf("metrics %+v", *q)
		}
	}
	return nil
}
