package linear

import (
	"runtime"
	"sync"
	"sync/atomic"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"

	"tributary/models/gram"
)

// shardRows and maxShards cut rows into runs that depend on their number alone: at most 8 copies of a Hessian are in memory.
const (
	shardRows = 4096
	maxShards = 8
	blockRows = 256 // rows of one matrix product: a block of 100 columns stays in the second-level cache
)

func shardCount(n int) int { return max(min((n+shardRows-1)/shardRows, maxShards), 1) }

// shards runs f on each shard of n rows, on as many goroutines as there are processors.
func shards(n int, f func(shard, from, to int)) {
	count := shardCount(n)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(count, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for {
				k := int(next.Add(1)) - 1
				if k >= count {
					return
				}
				f(k, n*k/count, n*(k+1)/count)
			}
		})
	}
	wg.Wait()
}

// sum adds f over the shards in their order.
func sum(n int, f func(from, to int) float64) float64 {
	parts := make([]float64, shardCount(n))
	shards(n, func(k, from, to int) { parts[k] = f(from, to) })
	total := 0.0
	for _, v := range parts {
		total += v
	}
	return total
}

// block is the dense values of rows from..to as a matrix. Its columns must not be none.
func (d *Design) block(r *rows, from, to int) blas64.General {
	k := len(d.dense)
	return blas64.General{Rows: to - from, Cols: k, Stride: k, Data: r.dense[from*k : to*k]}
}

// margins gives w·x of each row, and its offset.
func (d *Design) margins(r *rows, w []float64) []float64 {
	out, dense := make([]float64, r.n), d.pick(w)
	shards(r.n, func(_, from, to int) {
		d.addIndicators(out, r, w, from, to)
		d.addNumbers(out, r, dense, from, to)
	})
	return out
}

// pick gives the weights of the dense columns.
func (d *Design) pick(w []float64) []float64 {
	dense := make([]float64, len(d.dense))
	for k, c := range d.dense {
		dense[k] = w[c]
	}
	return dense
}

// addIndicators adds to the margins of rows from..to what all but the dense columns give.
func (d *Design) addIndicators(out []float64, r *rows, w []float64, from, to int) {
	for i := from; i < to; i++ {
		out[i] += w[d.columns-1]
		if r.offset != nil {
			out[i] += r.offset[i]
		}
	}
	r.slots.visit(from, to, func(first int, columns []int32) {
		margins := out[first : first+len(columns)]
		for i, c := range columns {
			if c != none {
				margins[i] += w[c]
			}
		}
	})
}

// addNumbers adds what the dense columns give, which have weights of their own.
func (d *Design) addNumbers(out []float64, r *rows, dense []float64, from, to int) {
	if len(dense) > 0 && to > from {
		blas64.Gemv(blas.NoTrans, 1, d.block(r, from, to), vector(dense), 1, vector(out[from:to]))
	}
}

func vector(data []float64) blas64.Vector { return blas64.Vector{N: len(data), Inc: 1, Data: data} }

// partial are the sums of one shard. Dense columns are numbered among themselves, indicators and the intercept as output
// columns: what pairs two dense columns, a dense column and an indicator, and two indicators is kept apart.
type partial struct {
	denseGradient []float64 // k
	gradient      []float64 // columns: indicators and intercept
	denseHessian  []float64 // k × k, upper triangle
	mixed         []float64 // columns × k: row c is Σ h·x over the rows where c is active
	hessian       []float64 // columns × columns, upper triangle
}

// derivatives gives Σ residual·x and the packed upper triangle of Σ h·x·xᵀ over the training rows.
func (d *Design) derivatives(h, residual []float64) (gradient, hessian []float64) {
	k, n := len(d.dense), d.columns
	parts := make([]*partial, shardCount(d.train.n))
	shards(d.train.n, func(shard, from, to int) {
		p := &partial{
			denseGradient: make([]float64, k), gradient: make([]float64, n),
			denseHessian: make([]float64, k*k), mixed: make([]float64, n*k), hessian: make([]float64, n*n),
		}
		d.addDense(p, h, residual, from, to)
		d.addSparse(p, h, residual, from, to)
		parts[shard] = p
	})
	total := parts[0]
	for _, p := range parts[1:] {
		add(total.denseGradient, p.denseGradient)
		add(total.gradient, p.gradient)
		add(total.denseHessian, p.denseHessian)
		add(total.mixed, p.mixed)
		add(total.hessian, p.hessian)
	}
	return d.pack(total)
}

func add(to, from []float64) {
	for i, v := range from {
		to[i] += v
	}
}

// addDense adds the pairs of dense columns and their gradient.
func (d *Design) addDense(p *partial, h, residual []float64, from, to int) {
	k := len(d.dense)
	if k == 0 || from == to {
		return
	}
	pairs := gram.New(k)
	for i := from; i < to; i++ {
		pairs.Add(h[i], d.train.dense[i*k:(i+1)*k])
	}
	p.denseHessian = pairs.Upper().Data
	blas64.Gemv(blas.Trans, 1, d.block(d.train, from, to), vector(residual[from:to]), 1, vector(p.denseGradient))
}

// residual is p - y of a training row, times its weight.
func (d *Design) residual(s *scored, i int) float64 {
	if d.train.label[i] {
		return d.train.weightOf(i) * (s.p[i] - 1)
	}
	return d.train.weightOf(i) * s.p[i]
}

// addSparse adds all pairs with an indicator or the intercept.
func (d *Design) addSparse(p *partial, weights, residuals []float64, from, to int) {
	k, n := len(d.dense), d.columns
	active := make([]int32, 0, d.slots+1)
	for i := from; i < to; i++ {
		active = append(d.train.slots.row(i, active[:0]), int32(n-1))
		h, residual, row := weights[i], residuals[i], d.train.dense[i*k:(i+1)*k]
		for at, column := range active {
			c := int(column)
			p.gradient[c] += residual
			mixed := p.mixed[c*k : (c+1)*k]
			for j, v := range row {
				mixed[j] += h * v
			}
			// Slots are in the order of columns: the pair is in the upper triangle.
			pairs := p.hessian[c*n : (c+1)*n]
			for _, other := range active[at:] {
				pairs[other] += h
			}
		}
	}
}

// pack puts the three kinds of pairs in the order of output columns.
func (d *Design) pack(p *partial) (gradient, hessian []float64) {
	k, n := len(d.dense), d.columns
	place := make([]int, n) // index among the dense columns, or -1
	for c := range place {
		place[c] = -1
	}
	gradient = p.gradient
	for at, c := range d.dense {
		place[c] = at
		gradient[c] = p.denseGradient[at]
	}
	hessian = make([]float64, 0, n*(n+1)/2)
	for a := range n {
		for b := a; b < n; b++ {
			i, j := place[a], place[b]
			switch {
			case i >= 0 && j >= 0:
				hessian = append(hessian, p.denseHessian[i*k+j])
			case i >= 0:
				hessian = append(hessian, p.mixed[b*k+i])
			case j >= 0:
				hessian = append(hessian, p.mixed[a*k+j])
			default:
				hessian = append(hessian, p.hessian[a*n+b])
			}
		}
	}
	return gradient, hessian
}
