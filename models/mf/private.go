package mf

import (
	"fmt"
	"iter"
	"math"

	"gonum.org/v1/gonum/blas/blas64"

	"tributary/models/linear"
	"tributary/models/optim"
)

var errExact = fmt.Errorf("%w: an exact program's users are summed before anything leaves\nhint: use Sums", linear.ErrState)

// Units counts the users of a private program's rounds: all of the table's.
func (p *Pairs) Units() (int, error) {
	if !p.program.Private() {
		return 0, errExact
	}
	return p.users, nil
}

// Contributions yields what each user of a batch (ascending numbers below Units; nil: all) adds to a private program's round that comes
// next, as package optim says at DPALS: the lanes that aren't zero, ascending, and their values in integer units before rounding, with an
// L2 norm of at most Privacy.Clip·Privacy.Scale (1+10⁻¹²). Both slices are reused. They depend on that user's rows, the state and the
// program alone, and leave only clipped, summed and noised.
func (p *Pairs) Contributions(s *optim.State, batch []int) (iter.Seq2[[]int, []float64], error) {
	if !p.program.Private() {
		return nil, errExact
	}
	if s.Kind() == optim.Fit {
		return p.each(batch, p.counted), nil
	}
	if s.Kind() != optim.Train && s.Kind() != optim.Evaluate {
		return nil, fmt.Errorf("%w: no sum for %s", linear.ErrState, s.Kind())
	}
	y, err := newItems(p.program, s)
	if err != nil {
		return nil, err
	}
	solver, x := y.solver(), make([]float64, y.d)
	return p.each(batch, func(user int, lanes []int, values []float64) ([]int, []float64) {
		history, confidence := p.train.row(user)
		if err := solver.user(x, history, confidence); err != nil {
			return lanes, values // as if the user had no item that is learnt: what one user is must not stop the sum
		}
		if s.Kind() == optim.Evaluate {
			return y.judged(p, user, x, lanes, values)
		}
		if y.explicit {
			return y.rated(p, history, confidence, x, lanes, values)
		}
		return y.statistics(p, history, x, lanes, values)
	}), nil
}

// each runs over the users of a batch.
func (p *Pairs) each(batch []int, user func(int, []int, []float64) ([]int, []float64)) iter.Seq2[[]int, []float64] {
	return func(yield func([]int, []float64) bool) {
		var lanes []int
		var values []float64
		n := p.users
		if batch != nil {
			n = len(batch)
		}
		for i := range n {
			u := i
			if batch != nil {
				u = batch[i]
			}
			if lanes, values = user(u, lanes[:0], values[:0]); !yield(lanes, values) {
				return
			}
		}
	}
}

// clipped is the weight, in integer units, of a user whose lanes without it have the given norm.
func (p *Pairs) clipped(norm float64) float64 {
	q := p.program.Privacy()
	return min(1, float64(q.Clip)/norm) * float64(q.Scale)
}

// counted gives a user's part of FIT.
func (p *Pairs) counted(user int, lanes []int, values []float64) ([]int, []float64) {
	history, ratings := p.train.row(user)
	if len(history) == 0 {
		return lanes, values
	}
	if p.program.Model.Recommendation.Explicit {
		return p.countedRatings(history, ratings, lanes, values)
	}
	v := p.clipped(math.Sqrt(float64(len(history) + 1)))
	for _, item := range history {
		lanes, values = append(lanes, int(item)), append(values, v)
	}
	return append(lanes, p.program.Items()), append(values, v)
}

// statistics gives a user's part of TRAIN. Its factor x becomes one of length 1: a user without learnt items has none.
func (y *items) statistics(p *Pairs, history []int32, x []float64, lanes []int, values []float64) ([]int, []float64) {
	norm := blas64.Nrm2(vector(x))
	if !(norm > 0) {
		return lanes, values
	}
	n := 0
	for _, item := range history {
		if !y.folded[item] {
			n++
		}
	}
	v := p.clipped(math.Sqrt(float64(n + 1)))
	for i := range x {
		x[i] /= norm
	}
	lanes, values = products(x, v, lanes, values)
	at := len(lanes)
	for _, item := range history {
		if y.folded[item] {
			continue
		}
		for i, a := range x {
			lanes, values = append(lanes, at+int(item)*y.d+i), append(values, v*a)
		}
	}
	return lanes, values
}

// products appends the upper triangle of v·x·xᵀ, row by row, off the diagonal times √2: their norm is v·‖x‖².
func products(x []float64, v float64, lanes []int, values []float64) ([]int, []float64) {
	for i, a := range x {
		for j, b := range x[i:] {
			product := v * a * b
			if j > 0 {
				product *= math.Sqrt2
			}
			lanes, values = append(lanes, len(lanes)), append(values, product)
		}
	}
	return lanes, values
}

// judged gives a user's part of EVALUATE, if it has held-out items.
func (y *items) judged(p *Pairs, user int, x []float64, lanes []int, values []float64) ([]int, []float64) {
	seen, _ := p.train.row(user)
	if len(seen) == 0 {
		return lanes, values
	}
	v := p.program.EvaluationWeight() * float64(p.program.Privacy().Scale)
	metrics, e := p.program.RankingMetrics(), p.program.Evaluate
	if relevant := y.relevant(p, user); metrics > 0 && len(relevant) > 0 {
		top := p.program.Model.Recommendation.TopK
		m := measure(y.top(x, top, excluding(seen)), relevant, top)
		lanes, values = append(lanes, 0), append(values, v)
		for _, metric := range []struct {
			on    bool
			value float64
		}{{e.Recall, m.recall}, {e.NDCG, m.ndcg}, {e.MAP, m.ap}} {
			if metric.on {
				lanes, values = append(lanes, len(lanes)), append(values, v*metric.value)
			}
		}
	}
	if square, ok := y.meanSquare(p, user, x); ok && e.RMSE {
		at := p.program.EvaluationLanes() - 2
		lanes, values = append(lanes, at, at+1), append(values, v, v*square)
	}
	return lanes, values
}
