package mf

import (
	"math"

	"gonum.org/v1/gonum/blas/blas64"

	"tributary/models/optim"
)

// countedRatings gives a user's part of FIT where ratings are learnt from: an item's lane of ratings is the user's, mapped to [-1, 1].
// However often a user rated an item, it has one rating of it.
func (p *Pairs) countedRatings(history []int32, ratings []float64, lanes []int, values []float64) ([]int, []float64) {
	square := float64(len(history) + 1)
	for _, unit := range ratings {
		r := 2*unit - 1
		square += r * r
	}
	v := p.clipped(math.Sqrt(square))
	for _, item := range history {
		lanes, values = append(lanes, int(item)), append(values, v)
	}
	items := p.program.Items()
	lanes, values = append(lanes, items), append(values, v)
	for n, item := range history {
		lanes, values = append(lanes, items+1+int(item)), append(values, v*(2*ratings[n]-1))
	}
	return lanes, values
}

// rated gives a user's part of TRAIN where ratings are learnt from: x is the user's factor and, last, its bias.
func (y *items) rated(p *Pairs, history []int32, ratings, x []float64, lanes []int, values []float64) ([]int, []float64) {
	factor, bias := x[:y.factors], x[y.factors]
	length, square, n := blas64.Nrm2(vector(factor)), 0.0, 0
	for at, item := range history {
		if !y.folded[item] {
			e := y.residual(item, ratings[at], bias)
			square += e * e
			n++
		}
	}
	gram := optim.GramWeight * float64(n)
	norm := length * math.Hypot(gram*length, math.Sqrt(square))
	if !(norm > 0) || math.IsInf(norm, 0) {
		return lanes, values // no learnt items, or nothing to tell of them
	}
	v := p.clipped(norm)
	lanes, values = products(factor, v*gram, lanes, values)
	first := len(lanes)
	for at, item := range history {
		if y.folded[item] {
			continue
		}
		e := v * y.residual(item, ratings[at], bias)
		for i, a := range factor {
			lanes, values = append(lanes, first+int(item)*y.factors+i), append(values, e*a)
		}
	}
	return lanes, values
}

// residual is a rating, mapped to [0, 1], less the mean and both biases, in half ranges.
func (y *items) residual(item int32, rating, bias float64) float64 {
	return y.target(rating) - y.row(int(item))[y.factors] - bias
}

// meanSquare is the mean squared error of a user's held-out ratings, in half ranges squared and at most 1; predictions are held to the
// range. ok is false for a user without any.
func (y *items) meanSquare(p *Pairs, user int, x []float64) (mean float64, ok bool) {
	columns, ratings := p.held.row(user)
	for n, item := range columns {
		e := 2 * (ratings[n] - y.unit(y.score(x, int(item))))
		mean += e * e / float64(len(columns))
	}
	return min(mean, 1), len(columns) > 0
}

// unit maps a score to the range's [0, 1], within which it is held.
func (y *items) unit(score float64) float64 { return min(max(y.mean+score/2, 0), 1) }
