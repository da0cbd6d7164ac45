package linear

import (
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"

	"tributary/models/metrics"
)

// residuals gives |p-y| of each training row, times its weight.
func (d *Design) residuals(s *scored) []float64 {
	out := make([]float64, d.train.n)
	for i := range out {
		out[i] = math.Abs(d.residual(s, i))
	}
	return out
}

// gradient gives Σ (p-y)·x over the training rows at some coefficients, without second derivatives, their loss, and |p-y| times the
// weight of each. Rows are read from memory once, by runs, and of dense columns by blocks: their margins, and their part of the gradient
// while they are in the cache.
func (d *Design) gradient(w []float64) (gradient []float64, loss float64, residuals []float64) {
	k, n, weights := len(d.dense), d.train.n, d.pick(w)
	margin := make([]float64, n)
	parts, losses := make([][]float64, shardCount(n)), make([]float64, shardCount(n))
	shards(n, func(shard, from, to int) {
		out, dense := make([]float64, d.columns), make([]float64, k)
		for start := from; start < to; {
			end := min(to, (start/runRows+1)*runRows)
			d.addIndicators(margin, d.train, w, start, end)
			for at := start; at < end; at += blockRows {
				block := min(at+blockRows, end)
				d.addNumbers(margin, d.train, weights, at, block)
				// Margins become residuals.
				for i := at; i < block; i++ {
					r, rowLoss := d.lossAt(margin[i], i)
					margin[i] = r
					losses[shard] += rowLoss
					out[d.columns-1] += r
				}
				if k > 0 {
					blas64.Gemv(blas.Trans, 1, d.block(d.train, at, block), vector(margin[at:block]), 1, vector(dense))
				}
			}
			d.train.slots.visit(start, end, func(first int, columns []int32) {
				residual := margin[first : first+len(columns)]
				for i, c := range columns {
					if c != none {
						out[c] += residual[i]
					}
				}
			})
			start = end
		}
		for at, c := range d.dense {
			out[c] = dense[at]
		}
		parts[shard] = out
	})
	for i := range losses {
		loss += losses[i]
	}
	for _, p := range parts[1:] {
		add(parts[0], p)
	}
	for i, r := range margin {
		margin[i] = math.Abs(r)
	}
	return parts[0], loss, margin
}

// lossAt gives a training row's p-y at a margin and its log loss in nats, at most metrics.MaxLoss, both times its weight.
func (d *Design) lossAt(margin float64, i int) (residual, loss float64) {
	e := math.Exp(-math.Abs(margin)) // never overflows
	q := 1 / (1 + e)
	if margin < 0 {
		q = e * q
	}
	if d.train.label[i] {
		q, margin = q-1, -margin
	}
	weight := d.train.weightOf(i)
	return weight * q, weight * min(max(margin, 0)+math.Log1p(e), metrics.MaxLoss)
}
