package linear

import (
	"math"
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

// block is the dense values of rows from..to as a matrix. Its columns must not be none.
func (d *Design) block(r *rows, from, to int) blas64.General {
	k := len(d.dense)
	return blas64.General{Rows: to - from, Cols: k, Stride: k, Data: r.dense[from*k : to*k]}
}

// pass runs over rows in blocks with their margins at some coefficients; of a private program, of their unit-norm rows. Both functions
// may be called concurrently for different shards. block may put other numbers in place of the margins: run, if it isn't nil, gets what
// is there once all blocks of a run are over.
func (d *Design) pass(r *rows, w []float64, block, run func(shard, from, to int, margin []float64)) {
	dense := d.pick(w)
	shards(r.n, func(shard, from, to int) {
		all := make([]float64, min(d.run, to-from))
		d.runs(r, from, to, func(from, to int) {
			margin := all[:to-from]
			if !d.program.Private() {
				d.addIndicators(margin, r, w, from, to)
			}
			for at := from; at < to; at += blockRows {
				end := min(at+blockRows, to)
				part := margin[at-from : end-from]
				switch {
				case d.program.Private():
					d.unitMargins(part, r, w, at, end)
				case len(dense) > 0:
					blas64.Gemv(blas.NoTrans, 1, d.block(r, at, end), vector(dense), 1, vector(part))
				}
				block(shard, at, end, part)
			}
			if run != nil {
				run(shard, from, to, margin)
			}
		})
	})
}

// pick gives the weights of the dense columns.
func (d *Design) pick(w []float64) []float64 {
	dense := make([]float64, len(d.dense))
	for k, c := range d.dense {
		dense[k] = w[c]
	}
	return dense
}

// addIndicators gives what all but the dense columns add to the margins of rows from..to, and their offsets.
func (d *Design) addIndicators(out []float64, r *rows, w []float64, from, to int) {
	for at := range out {
		out[at] = w[d.columns-1]
		if r.offset != nil {
			out[at] += r.offset[from+at]
		}
	}
	r.slots.visit(from, to, func(first int, columns []int32) {
		margins := out[first-from:][:len(columns)]
		for i, c := range columns {
			if c != none {
				margins[i] += w[c]
			}
		}
	})
}

func vector(data []float64) blas64.Vector { return blas64.Vector{N: len(data), Inc: 1, Data: data} }

// partial are the sums of one shard. Dense columns are numbered among themselves, indicators and the intercept as output
// columns: what pairs two dense columns, a dense column and an indicator, and two indicators is kept apart.
type partial struct {
	loss          float64
	guard         guard
	denseGradient []float64 // k
	gradient      []float64 // columns: indicators and intercept
	pairs         *gram.Sum // k × k
	mixed         []float64 // columns × k: row c is Σ h·x over the rows where c is active
	hessian       []float64 // columns × columns, upper triangle

	h, residual []float64 // of a block's rows, times their weights
	active      []int32   // of a row
}

func (d *Design) partials() []*partial {
	k, n := len(d.dense), d.columns
	parts := make([]*partial, shardCount(d.train.n))
	for i := range parts {
		parts[i] = &partial{
			denseGradient: make([]float64, k), gradient: make([]float64, n), pairs: gram.New(k), mixed: make([]float64, n*k), hessian: make([]float64, n*n),
			h: make([]float64, blockRows), residual: make([]float64, blockRows),
		}
	}
	return parts
}

// derivatives gives, over the training rows, Σ residual·x, the packed upper triangle of Σ h·x·xᵀ, the loss, and how h and residuals
// are concentrated. A block of rows is read from memory once.
func (d *Design) derivatives(w []float64) (gradient, hessian []float64, loss float64, concentration guard) {
	r, parts := d.train, d.partials()
	d.pass(r, w, func(shard, from, to int, margin []float64) {
		part := parts[shard]
		for at, m := range margin {
			i := from + at
			p, h := r.predict(m)
			weight := r.weightOf(i)
			part.h[at], part.residual[at] = weight*h, weight*r.residual(i, p)
			part.loss += weight * r.lossAt(i, m)
			part.guard.hessian.Add(part.h[at])
			part.guard.gradient.Add(math.Abs(part.residual[at]))
		}
		d.addBlock(part, from, to)
	}, nil)
	for _, p := range parts {
		loss += p.loss
		concentration.merge(p.guard)
	}
	gradient, hessian = d.total(parts)
	return gradient, hessian, loss, concentration
}

// total adds the shards' sums.
func (d *Design) total(parts []*partial) (gradient, hessian []float64) {
	total := parts[0]
	pairs := total.pairs.Upper().Data
	for _, p := range parts[1:] {
		add(total.denseGradient, p.denseGradient)
		add(total.gradient, p.gradient)
		add(pairs, p.pairs.Upper().Data)
		add(total.mixed, p.mixed)
		add(total.hessian, p.hessian)
	}
	return d.pack(total, pairs)
}

func add(to, from []float64) {
	for i, v := range from {
		to[i] += v
	}
}

// addBlock adds training rows from..to, of which the shard has h and residuals.
func (d *Design) addBlock(part *partial, from, to int) {
	r, k := d.train, len(d.dense)
	for i := from; i < to; i++ {
		h := part.h[i-from]
		if k > 0 {
			part.pairs.Add(h, r.dense[i*k:(i+1)*k])
		}
		d.addSparse(part, i, h, part.residual[i-from])
	}
	if k > 0 {
		blas64.Gemv(blas.Trans, 1, d.block(r, from, to), vector(part.residual[:to-from]), 1, vector(part.denseGradient))
	}
}

// addSparse adds all pairs of a row with an indicator or the intercept.
func (d *Design) addSparse(p *partial, i int, h, residual float64) {
	k, n := len(d.dense), d.columns
	p.active = append(d.train.slots.row(i, p.active[:0]), int32(n-1))
	row := d.train.dense[i*k : (i+1)*k]
	for at, column := range p.active {
		c := int(column)
		p.gradient[c] += residual
		mixed := p.mixed[c*k : (c+1)*k]
		for j, v := range row {
			mixed[j] += h * v
		}
		// Slots are in the order of columns: the pair is in the upper triangle.
		pairs := p.hessian[c*n : (c+1)*n]
		for _, other := range p.active[at:] {
			pairs[other] += h
		}
	}
}

// pack puts the three kinds of pairs in the order of output columns.
func (d *Design) pack(p *partial, dense []float64) (gradient, hessian []float64) {
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
				hessian = append(hessian, dense[i*k+j])
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
