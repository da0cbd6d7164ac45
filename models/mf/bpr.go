package mf

import (
	"math"
	"math/rand/v2"

	"tributary/models/optim"
)

// How a user's factor is solved for in BPR.
const (
	comparisons = 3 // of each of the user's items, which count as one together
	bprSteps    = 8
)

// catalogue numbers the learnt items, so that those that a user doesn't have can be drawn evenly.
type catalogue struct {
	learnt []int32 // ascending
	number []int32 // by item: its index in learnt, -1: not learnt
}

func newCatalogue(folded []bool, items int) *catalogue {
	c := &catalogue{number: make([]int32, items)}
	for i := range items {
		if c.number[i] = -1; !folded[i] {
			c.number[i] = int32(len(c.learnt))
			c.learnt = append(c.learnt, int32(i))
		}
	}
	return c
}

// own tells, for each learnt item of an ascending list, how many learnt ones that aren't in the list are below it.
func (c *catalogue) own(list []int32) (out []int32) {
	for _, item := range list {
		if n := c.number[item]; n >= 0 {
			out = append(out, n-int32(len(out)))
		}
	}
	return out
}

// other draws a learnt item that isn't in a list, given own of it; there may be none.
func (c *catalogue) other(own []int32, random *rand.Rand) (item int, ok bool) {
	n := len(c.learnt) - len(own)
	if n <= 0 {
		return 0, false
	}
	at := int32(random.IntN(n))
	low, high := 0, len(own) // the number of own items before it is in between
	for low < high {
		if mid := (low + high) / 2; own[mid] <= at {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return int(c.learnt[int(at)+low]), true
}

// compare draws what a user's items are compared with when its factor is solved for: the same whenever the history is the same,
// wherever it stands among others.
func (y *items) compare(history []int32) (pairs [][2]int) {
	own := y.catalogue.own(history)
	hash := uint64(0xcbf29ce484222325) // FNV-1a, of whole numbers
	for _, item := range history {
		hash = (hash ^ uint64(item)) * 0x100000001b3
	}
	random := rand.New(rand.NewPCG(y.program.Model.Recommendation.Seed, hash))
	for _, item := range history {
		if y.folded[item] {
			continue
		}
		for range comparisons {
			if other, ok := y.catalogue.other(own, random); ok {
				pairs = append(pairs, [2]int{int(item), other})
			}
		}
	}
	return pairs
}

// ranked sets x near to the factor of least loss and penalty over the user's comparisons, by steps with a bound of the Hessian in
// place of the Hessian: it is factored once, and no step overshoots [BL88].
//
// [BL88] D. Böhning, B. G. Lindsay: Monotonicity of quadratic-approximation algorithms. Ann. Inst. Statist. Math. 40, 1988.
func (s *solver) ranked(x []float64, history []int32) error {
	pairs := s.compare(history)
	if len(pairs) == 0 {
		return nil
	}
	const weight = 1.0 / comparisons
	l2 := s.program.Model.L2 * weight * float64(len(pairs))
	bound := make([]float64, s.d*s.d)
	for i := range s.d {
		bound[i*s.d+i] = l2
	}
	s.a.Reset(bound)
	sides := make([]float64, len(pairs)*s.d) // differences of factors, and of biases last
	for n, c := range pairs {
		side, y, z := sides[n*s.d:(n+1)*s.d], s.row(c[0]), s.row(c[1])
		for i := range s.factors {
			side[i] = y[i] - z[i]
		}
		s.a.Add(weight/4, side) // x has no bias
		side[s.factors] = y[s.factors] - z[s.factors]
	}
	factor, ok := cholesky(s.a)
	if !ok {
		return errUnsolvable
	}
	for range bprSteps {
		for i := range s.d {
			s.b[i] = -l2 * x[i]
		}
		for n := range pairs {
			side := sides[n*s.d : (n+1)*s.d]
			margin := side[s.factors]
			for i := range s.factors {
				margin += x[i] * side[i]
			}
			e := weight / (1 + math.Exp(margin))
			for i := range s.factors {
				s.b[i] += e * side[i]
			}
		}
		substitute(factor, s.b)
		for i := range s.factors {
			x[i] += s.b[i]
		}
	}
	return shorten(x)
}

// rankLoss gives the loss of all users' comparisons, which count as one for each pair.
func (y *items) rankLoss(p *Pairs, x []float64) (loss float64) {
	for u := range p.users {
		history, _ := p.train.row(u)
		own := x[u*y.d : (u+1)*y.d]
		for _, c := range y.compare(history) {
			margin := y.score(own, c[0]) - y.score(own, c[1])
			loss += min(max(-margin, 0)+math.Log1p(math.Exp(-math.Abs(margin))), optim.MaxPairLoss) / comparisons
		}
	}
	return loss
}
