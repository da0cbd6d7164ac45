package linear

import (
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
)

// residuals gives the size of each training row's residual, times its weight.
func (d *Design) residuals(s *scored) []float64 {
	out := make([]float64, d.train.n)
	for i := range out {
		out[i] = math.Abs(d.residual(s, i))
	}
	return out
}

// gradient gives Σ residual·x over the training rows at some coefficients, without second derivatives, and the rows there. A block of
// rows is read from memory once: its margins, and its part of the gradient while it is in the cache.
func (d *Design) gradient(w []float64) (*scored, []float64) {
	k, n, weights := len(d.dense), d.train.n, d.pick(w)
	s := &scored{margin: make([]float64, n), p: make([]float64, n)}
	parts := make([][]float64, shardCount(n))
	shards(n, func(shard, from, to int) {
		out, dense, residual := make([]float64, d.columns), make([]float64, k), make([]float64, blockRows)
		for start := from; start < to; start += blockRows {
			end := min(start+blockRows, to)
			d.addMargins(s.margin, d.train, w, weights, start, end)
			for i := start; i < end; i++ {
				if d.program.Target == nil {
					s.p[i], _ = logistic(s.margin[i])
				}
				r := d.residual(s, i)
				residual[i-start] = r
				for _, c := range d.train.slots[i*d.slots : (i+1)*d.slots] {
					if c != none {
						out[c] += r
					}
				}
				out[d.columns-1] += r
			}
			if k > 0 {
				blas64.Gemv(blas.Trans, 1, d.block(d.train, start, end), vector(residual[:end-start]), 1, vector(dense))
			}
		}
		for at, c := range d.dense {
			out[c] = dense[at]
		}
		parts[shard] = out
	})
	for _, p := range parts[1:] {
		add(parts[0], p)
	}
	return s, parts[0]
}
