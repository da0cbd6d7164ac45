package linear

import (
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
)

// residuals gives |p-y| of each training row, times its weight.
func (d *Design) residuals(s *scored) []float64 {
	out := make([]float64, d.train.n)
	for i := range out {
		out[i] = math.Abs(d.residual(s, i))
	}
	return out
}

// gradient gives Σ (p-y)·x over the training rows, without second derivatives.
func (d *Design) gradient(s *scored) []float64 {
	k := len(d.dense)
	parts := make([][]float64, shardCount(d.train.n))
	shards(d.train.n, func(shard, from, to int) {
		out, dense, residual := make([]float64, d.columns), make([]float64, k), make([]float64, to-from)
		for i := from; i < to; i++ {
			r := d.residual(s, i)
			residual[i-from] = r
			for _, c := range d.train.slots[i*d.slots : (i+1)*d.slots] {
				if c != none {
					out[c] += r
				}
			}
			out[d.columns-1] += r
		}
		if k > 0 && to > from {
			blas64.Gemv(blas.Trans, 1, d.block(d.train, from, to), vector(residual), 1, vector(dense))
		}
		for at, c := range d.dense {
			out[c] = dense[at]
		}
		parts[shard] = out
	})
	for _, p := range parts[1:] {
		add(parts[0], p)
	}
	return parts[0]
}
