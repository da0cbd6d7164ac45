package optim

import (
	"fmt"
	"math"

	"tributary/models/metrics"
	"tributary/models/pipeline"
)

// privateFactorVersion is the first field of the encoded state of a program with DPALS.
const privateFactorVersion = 1

// encode is Encode of such a state:
//
//	version u16, kind u8, step u32, rounds u32
//	not FIT:  users u64, item_users []u64 (noised), mean []f64 (explicit only: one), w []f64
//	DONE:     users u64 (noised), recall, ndcg, map and, explicit only, rmse (known u8, f64)
func (f privateFactors) encode(s *State) []byte {
	var e encoder
	e.begin(privateFactorVersion, s)
	if s.kind == Fit {
		return e.buf
	}
	e.integers(s.factors.users)
	e.length(len(s.factors.itemUsers))
	e.integers(s.factors.itemUsers...)
	if f.Model.Recommendation.Explicit {
		e.list(s.fitted.Mean)
	}
	e.list(s.w)
	if q := &s.summary; s.kind == Done {
		e.integers(q.Users)
		e.values(q.Recall, q.NDCG, q.MAP)
		if f.Model.Recommendation.Explicit {
			e.values(q.RMSE)
		}
	}
	return e.buf
}

func (f privateFactors) decode(data []byte) (*State, error) {
	return decodeState(data, privateFactorVersion, false, f.decodeBody, f.check)
}

func (f privateFactors) decodeBody(d *decoder, s *State) {
	m := &factorMemory{users: d.i64()}
	s.factors, s.fitted = m, &pipeline.Fitted{}
	if items := f.Items(); d.length(items, 8) {
		m.itemUsers = make([]int64, items)
		for i := range m.itemUsers {
			m.itemUsers[i] = d.i64()
			s.fitted.Rows += m.itemUsers[i]
		}
	}
	s.fitted.Folded = f.folded(m.itemUsers)
	if f.Model.Recommendation.Explicit {
		s.fitted.Mean, s.fitted.SD = d.list(1), []float64{1}
	}
	s.w = d.list(f.coefficients())
	if s.kind == Done {
		s.summary = f.unmeasured(s)
		s.summary.Users = d.i64()
		d.values(&s.summary.Recall, &s.summary.NDCG, &s.summary.MAP)
		if f.Model.Recommendation.Explicit {
			d.values(&s.summary.RMSE)
		}
	}
}

// maxNoised bounds a noised count: more than lanes hold, and far from overflow in a sum of all items.
const maxNoised = 1 << 45

// check holds a state to what apply can give.
func (f privateFactors) check(s *State) error {
	limit := uint32(f.Model.MaxRounds)
	var ok bool
	switch s.kind {
	case Fit:
		ok = s.step == 0 && s.rounds == 0
	case Train:
		ok = s.rounds < limit && s.step == s.rounds+1
	case Evaluate:
		ok = f.measures() && s.rounds == limit && s.step == limit+1
	case Done:
		ok = s.rounds == limit && (s.step == limit+1 && !f.measures() || s.step == limit+2 && f.measures())
	}
	if !ok {
		return fmt.Errorf("kind %s, step %d, %d TRAIN rounds of %d", s.kind, s.step, s.rounds, limit)
	}
	if s.kind == Fit {
		return nil
	}
	m, kept := s.factors, 0
	for i, n := range m.itemUsers {
		if n < 0 || n > maxNoised {
			return fmt.Errorf("item %d has a noised count of %d", i, n)
		}
		if !s.fitted.Folded[i] {
			kept++
		}
	}
	if m.users < 1 || m.users > maxNoised || kept == 0 {
		return fmt.Errorf("a noised count of %d users, %d items above the noise", m.users, kept)
	}
	for _, mean := range s.fitted.Mean {
		if !(mean >= 0 && mean <= 1) {
			return fmt.Errorf("mean %g", mean)
		}
	}
	if err := f.checkItems(s); err != nil {
		return err
	}
	if s.kind == Done {
		return f.checkSummary(&s.summary)
	}
	return nil
}

// checkItems holds factors and biases to those that a state's items can have.
func (f privateFactors) checkItems(s *State) error {
	var first []float64
	if s.rounds == 0 {
		first = factorization(f).first(s.fitted)
	}
	d, k := f.FactorLength(), f.Model.Factors
	for i, w := range s.w {
		bias := i%d == k
		if first != nil && !bias && w != first[i] || s.fitted.Folded[i/d] && w != 0 || bias && !(math.Abs(w) <= maxBias) || !(math.Abs(w) <= maxCoefficient) {
			return fmt.Errorf("coefficient %d is %g", i, w)
		}
	}
	return nil
}

func (f privateFactors) checkSummary(q *metrics.Summary) error {
	for _, v := range []struct {
		value metrics.Value
		on    bool
	}{{q.Recall, f.Evaluate.Recall}, {q.NDCG, f.Evaluate.NDCG}, {q.MAP, f.Evaluate.MAP}} {
		if v.value.Known != (v.on && q.Users > 0) || !(v.value.V >= 0 && v.value.V <= 1) {
			return fmt.Errorf("metrics %+v", *q)
		}
	}
	// Beside rankings, the users of the squared errors are others.
	unknown := f.RankingMetrics() == 0 && q.RMSE.Known != (q.Users > 0)
	if r := q.RMSE; r.Known && (!f.Evaluate.RMSE || !(r.V >= 0 && r.V <= f.HalfRange())) || f.Evaluate.RMSE && unknown || q.Users > maxNoised || q.Users > 0 && !f.measures() {
		return fmt.Errorf("metrics %+v", *q)
	}
	return nil
}
