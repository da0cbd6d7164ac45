package linear

import (
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
)

// slope are the sums of one shard without second derivatives.
type slope struct {
	loss            float64
	concentration   guard
	gradient, dense []float64 // columns, of which the dense ones are apart
}

// gradient gives, over the training rows, Σ residual·x, the loss, and how residuals are concentrated. Rows are read from
// memory once, by runs, and their dense columns by blocks: margins, and their part of the gradient while they are in the cache.
func (d *Design) gradient(w []float64) (gradient []float64, loss float64, concentration guard) {
	r, k := d.train, len(d.dense)
	parts := make([]*slope, shardCount(r.n))
	for i := range parts {
		parts[i] = &slope{gradient: make([]float64, d.columns), dense: make([]float64, k)}
	}
	d.pass(r, w, func(shard, from, to int, margin []float64) {
		part := parts[shard]
		for at, m := range margin { // which becomes the residual
			i := from + at
			p, _ := r.predict(m)
			weight := r.weightOf(i)
			v := weight * r.residual(i, p)
			margin[at] = v
			part.loss += weight * r.lossAt(i, m)
			part.concentration.gradient.Add(math.Abs(v))
			part.gradient[d.columns-1] += v
		}
		if k > 0 {
			blas64.Gemv(blas.Trans, 1, d.block(r, from, to), vector(margin), 1, vector(part.dense))
		}
	}, func(shard, from, to int, residual []float64) {
		gradient := parts[shard].gradient
		r.slots.visit(from, to, func(first int, columns []int32) {
			residual := residual[first-from:][:len(columns)]
			for i, c := range columns {
				if c != none {
					gradient[c] += residual[i]
				}
			}
		})
	})
	total := parts[0].gradient
	for i, p := range parts {
		for at, c := range d.dense {
			p.gradient[c] = p.dense[at]
		}
		if i > 0 {
			add(total, p.gradient)
		}
		loss += p.loss
		concentration.merge(p.concentration)
	}
	return total, loss, concentration
}
