package mf

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/blas/blas64"

	"tributary/models/gram"
	"tributary/models/linear"
	"tributary/models/optim"
)

// Sums gives the values for the round that comes next, in the order of the program's Layout. They are raw: they leave only through
// a sealed upload. A state at which a few users would be the sum is refused (ErrConcentrated).
func (p *Pairs) Sums(s *optim.State) ([][]float64, error) {
	if p.program.Private() {
		return nil, fmt.Errorf("%w: a private program's users are noised\nhint: use Contributions", linear.ErrState)
	}
	if s.Kind() == optim.Fit {
		return p.program.EncodeFactorFit(p.totals()), nil
	}
	if s.Kind() != optim.Train && s.Kind() != optim.Evaluate {
		return nil, fmt.Errorf("%w: no sum for %s", linear.ErrState, s.Kind())
	}
	y, err := newItems(p.program, s)
	if err != nil {
		return nil, err
	}
	x, err := y.all(p)
	if err != nil {
		return nil, err
	}
	if err := y.concentrated(x); err != nil {
		return nil, err
	}
	switch {
	case s.Kind() == optim.Train && p.program.Model.Recommendation.Training != nil:
		t, err := y.change(p, s, x)
		if err != nil {
			return nil, err
		}
		return p.program.EncodeFactorChange(s, t), nil
	case s.Kind() == optim.Train:
		return p.program.EncodeFactors(s, y.sums(p, x)), nil
	}
	return p.program.EncodeRanking(s, y.ranking(p, x)), nil
}

func (p *Pairs) totals() optim.FactorTotals {
	t := optim.FactorTotals{Rows: int64(p.train.count()), HeldOut: int64(p.held.count()), ItemUsers: make([]int64, p.program.Items())}
	for u := range p.users {
		if p.train.start[u+1] > p.train.start[u] {
			t.Users++
		}
	}
	for n, item := range p.train.column {
		t.ItemUsers[item]++
		if p.program.Model.Recommendation.Explicit {
			t.Rating += p.train.value[n]
		}
	}
	return t
}

// sums gives the sums of a TRAIN round at users' factors x.
func (y *items) sums(p *Pairs, x []float64) optim.FactorSums {
	t := optim.FactorSums{Rows: int64(p.train.count())}
	t.Loss, t.Norm = y.loss(p, x)
	t.HeldOutLoss = y.heldOutLoss(p, x)
	d := y.d
	triangle := d * (d + 1) / 2
	if !y.explicit {
		all := gram.New(d)
		for u := range p.users {
			all.Add(1, x[u*d:(u+1)*d])
		}
		t.Gram = make([]float64, triangle)
		pack(t.Gram, all.Upper())
	}
	t.Matrix, t.Vector = make([]float64, p.program.Items()*triangle), make([]float64, p.program.Items()*d)
	parallel(p.program.Items(), func() func(int) {
		side, pairs, none := make([]float64, d), gram.New(d), make([]float64, d*d)
		return func(item int) {
			if y.folded[item] {
				return
			}
			users, values := p.byItem.row(item)
			targets := vector(t.Vector[item*d : (item+1)*d])
			pairs.Reset(none)
			for n, u := range users {
				copy(side, x[int(u)*d:(int(u)+1)*d])
				weight, target := values[n], 1+values[n]
				if y.explicit {
					weight, target = 1, y.target(values[n])-side[y.factors]
					side[y.factors] = 1
				}
				pairs.Add(weight, side)
				blas64.Axpy(target, vector(side), targets)
			}
			pack(t.Matrix[item*triangle:(item+1)*triangle], pairs.Upper())
		}
	})
	return t
}

// heldOutLoss is what a patience watches: 0 without one.
func (y *items) heldOutLoss(p *Pairs, x []float64) (sum float64) {
	switch {
	case p.program.Model.Recommendation.Patience == 0:
	case y.explicit:
		sum, _ = y.squaredError(p, x)
	default:
		r := y.ranking(p, x)
		sum = max(float64(r.Users)-r.NDCG, 0)
	}
	return sum
}

// pack copies an upper triangle, row by row.
func pack(triangle []float64, m blas64.Symmetric) {
	for i := range m.N {
		n := copy(triangle, m.Data[i*m.Stride+i:(i+1)*m.Stride])
		triangle = triangle[n:]
	}
}

// loss gives what a round's factors cost: the weighted squares of the training pairs, with implicit feedback of all others too,
// and the users' squared norms.
func (y *items) loss(p *Pairs, x []float64) (loss, norm float64) {
	l2, image := p.program.Model.L2, make([]float64, y.d)
	for u := range p.users {
		own := x[u*y.d : (u+1)*y.d]
		square, sum, most := blas64.Dot(vector(own), vector(own)), 0.0, 0.0
		norm += square
		if !y.explicit {
			blas64.Symv(1, y.gram, vector(own), 0, vector(image))
			sum = blas64.Dot(vector(own), vector(image)) - l2*square // the Gram matrix has λ on its diagonal
		}
		columns, values := p.train.row(u)
		for n, item := range columns {
			if y.folded[item] {
				continue
			}
			score := y.score(own, int(item))
			if y.explicit {
				e := y.target(values[n]) - score
				sum += min(e*e, optim.MaxPairLoss)
				most += optim.MaxPairLoss
				continue
			}
			// All items count with score² already.
			sum += (1+values[n])*(1-score)*(1-score) - score*score
			most += 1 + values[n]
		}
		// A user's factor costs no more than none would: the bound of the lane.
		loss += min(max(sum, 0), most)
	}
	return loss, norm
}

// squaredError gives Σ min(e², 64) over held-out pairs and their number. An item that isn't learnt is predicted by the user's bias.
func (y *items) squaredError(p *Pairs, x []float64) (sum float64, pairs int64) {
	for u := range p.users {
		columns, values := p.held.row(u)
		for n, item := range columns {
			e := y.target(values[n]) - y.score(x[u*y.d:(u+1)*y.d], int(item))
			sum += min(e*e, optim.MaxPairLoss)
			pairs++
		}
	}
	return sum, pairs
}

// ranking sums the metrics of every user's recommendations.
func (y *items) ranking(p *Pairs, x []float64) optim.RankingSums {
	top := p.program.Model.Recommendation.TopK
	t := optim.RankingSums{Rows: int64(p.train.count()), Recommended: make([]int64, p.program.Items())}
	lists := make([][]Scored, p.users)
	parallel(p.users, func() func(int) {
		return func(u int) {
			if seen, _ := p.train.row(u); len(seen) > 0 {
				lists[u] = y.top(x[u*y.d:(u+1)*y.d], top, excluding(seen))
			}
		}
	})
	for u, list := range lists {
		for _, r := range list {
			t.Recommended[r.Item] = 1
		}
		relevant := y.relevant(p, u)
		if seen, _ := p.train.row(u); len(seen) == 0 || len(relevant) == 0 {
			continue
		}
		m := measure(list, relevant, top)
		t.Users++
		t.Recall, t.NDCG, t.AP = t.Recall+m.recall, t.NDCG+m.ndcg, t.AP+m.ap
	}
	if y.explicit {
		t.SquaredError, t.HeldOut = y.squaredError(p, x)
	}
	return t
}

// relevant are a user's held-out items; where they are rated, those rated above the mean.
func (y *items) relevant(p *Pairs, user int) map[int32]bool {
	out := map[int32]bool{}
	columns, values := p.held.row(user)
	for n, item := range columns {
		if !y.explicit || values[n] > y.mean {
			out[item] = true
		}
	}
	return out
}

// measured are the metrics of one user's list.
type measured struct{ recall, ndcg, ap float64 }

func measure(list []Scored, relevant map[int32]bool, top int) (m measured) {
	hits, gain, ideal := 0, 0.0, 0.0
	most := min(top, len(relevant))
	for rank, r := range list {
		if relevant[r.Item] {
			hits++
			gain += 1 / math.Log2(float64(rank)+2)
			m.ap += float64(hits) / float64(rank+1)
		}
	}
	for rank := range most {
		ideal += 1 / math.Log2(float64(rank)+2)
	}
	m.recall, m.ndcg, m.ap = float64(hits)/float64(len(relevant)), min(gain/ideal, 1), m.ap/float64(most)
	return m
}
