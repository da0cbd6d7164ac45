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
//	not FIT:  users u64, item_users []u64 (noised), w []f64
//	DONE:     users u64 (noised), recall, ndcg, map (known u8, f64)
func (f privateFactors) encode(s *State) []byte {
	var e encoder
	e.begin(privateFactorVersion, s)
	if s.kind == Fit {
		return e.buf
	}
	e.integers(s.factors.users)
	e.length(len(s.factors.itemUsers))
	e.integers(s.factors.itemUsers...)
	e.list(s.w)
	if q := &s.summary; s.kind == Done {
		e.integers(q.Users)
		e.values(q.Recall, q.NDCG, q.MAP)
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
	s.w = d.list(f.coefficients())
	if s.kind == Done {
		s.summary = f.unmeasured(s)
		s.summary.Users = d.i64()
		d.values(&s.summary.Recall, &s.summary.NDCG, &s.summary.MAP)
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
	var first []float64
	if s.rounds == 0 {
		first = factorization(f).first(s.fitted)
	}
	for i, w := range s.w {
		if first != nil && w != first[i] || s.fitted.Folded[i/f.Model.Factors] && w != 0 || !(math.Abs(w) <= maxCoefficient) {
			return fmt.Errorf("coefficient %d is %g", i, w)
		}
	}
	q := &s.summary
	for _, v := range []struct {
		value metrics.Value
		on    bool
	}{{q.Recall, f.Evaluate.Recall}, {q.NDCG, f.Evaluate.NDCG}, {q.MAP, f.Evaluate.MAP}} {
		if s.kind == Done && (v.value.Known != (v.on && q.Users > 0) || !(v.value.V >= 0 && v.value.V <= 1) || q.Users > maxNoised || q.Users > 0 && !f.measures()) {
			return fmt.Errorf("metrics %+v", *q)
		}
	}
	return nil
}
