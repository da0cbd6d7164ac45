package sgd

import "math"

// adagrad divides each coefficient's step by the root of its squared gradients' sum [DHS11]. It keeps single precision: what a round
// changes is far above its rounding, and half the memory passes through the caches. All that a column needs lies together, in a block:
//
//	factor [k], their squared gradients [k], weight, its squared gradients, 0, 0
//
// with k rounded up to a multiple of 4, the rest being zeros that stay zero. A row's blocks are read for its margin, and written once.
type adagrad struct {
	start
	blocks blocks
	sums   []float32 // k: Σ v·x of the row whose margin was taken last
	// The intercept and its squared gradients.
	intercept, square float32
}

// blocks are all columns' blocks.
type blocks struct {
	k      int // a multiple of 4
	values []float32
}

func (b *blocks) size() int { return 2*b.k + 4 }

// of is the block of a column.
func (b *blocks) of(column int) []float32 {
	return b.values[column*b.size() : (column+1)*b.size()]
}

func newAdagrad(s start) *adagrad {
	m := s.m
	k := (m.k + 3) / 4 * 4
	o := &adagrad{start: s, blocks: blocks{k: k}, sums: make([]float32, k), intercept: float32(m.w[len(m.w)-1]), square: 1}
	o.blocks.values = make([]float32, m.columns*o.blocks.size())
	for c := range m.columns {
		b := o.blocks.of(c)
		for f, v := range m.factor(c) {
			b[f] = float32(v)
		}
		for f := range k {
			b[k+f] = 1 // the first steps are as long as the gradient times the rate at most
		}
		b[2*k], b[2*k+1] = float32(m.w[c]), 1
	}
	return o
}

func (o *adagrad) margin(columns []int32, values []float64) float64 {
	return float64(o.intercept + o.blocks.margin(columns, values, o.sums))
}

func (o *adagrad) row(residual float64, columns []int32, values []float64) {
	r, rate := float32(residual), float32(o.rate)
	if o.proximal > 0 {
		o.pull(r, columns, values)
	} else {
		o.blocks.step(columns, values, o.sums, r, rate)
	}
	o.intercept, o.square = moved(o.intercept, o.square, r+float32(o.proximal)*(o.intercept-float32(o.origin[len(o.origin)-1])), rate)
}

// pull is blocks.step with a proximal term.
func (o *adagrad) pull(residual float32, columns []int32, values []float64) {
	k, proximal, rate := o.blocks.k, float32(o.proximal), float32(o.rate)
	for i, c := range columns {
		x, b := float32(values[i]), o.blocks.of(int(c))
		at := o.m.at(int(c))
		for f := range o.m.k {
			g := residual*x*(o.sums[f]-b[f]*x) + proximal*(b[f]-float32(o.origin[at+f]))
			b[f], b[k+f] = moved(b[f], b[k+f], g, rate)
		}
		b[2*k], b[2*k+1] = moved(b[2*k], b[2*k+1], residual*x+proximal*(b[2*k]-float32(o.origin[c])), rate)
	}
}

// moved is a coefficient and its squared gradients' sum after a step along a gradient.
func moved(w, square, g, rate float32) (float32, float32) {
	square += g * g
	return w - rate*g/float32(math.Sqrt(float64(square))), square
}

// epoch takes an implicit step of the penalty, at each coefficient's own rate.
func (o *adagrad) epoch() {
	if o.penalty == 0 {
		return
	}
	k, step := o.blocks.k, float32(o.rate*o.penalty)
	shrink := func(w *float32, square float32) { *w /= 1 + step/float32(math.Sqrt(float64(square))) }
	for c := range o.m.columns {
		b := o.blocks.of(c)
		for f := range o.m.k {
			shrink(&b[f], b[k+f])
		}
		shrink(&b[2*k], b[2*k+1])
	}
}

// change gives each coefficient's change: exactly 0 where no row had the column and nothing is penalised.
func (o *adagrad) change(out []float64) {
	k, n := o.blocks.k, o.m.columns
	for c := range n {
		b, at := o.blocks.of(c), o.m.at(c)
		for f := range o.m.k {
			out[at+f] = float64(b[f]) - float64(float32(o.origin[at+f]))
		}
		out[c] = float64(b[2*k]) - float64(float32(o.origin[c]))
	}
	last := len(out) - 1
	out[last] = float64(o.intercept) - float64(float32(o.origin[last]))
}

// plainMargin is blocks.margin: Σ w·x + ½ Σ_f ((Σ v_f·x)² - Σ (v_f·x)²); the sums stay for the step.
func (b *blocks) plainMargin(columns []int32, values []float64, sums []float32) float32 {
	linear := float32(0)
	clear(sums)
	var squares [4]float32 // by f modulo 4, as the vectors have them
	for i, c := range columns {
		x, block := float32(values[i]), b.of(int(c))
		linear += block[2*b.k] * x
		v := block[:len(sums)]
		for f := 0; f+3 < len(v) && f+3 < len(sums); f += 4 {
			t0, t1, t2, t3 := v[f]*x, v[f+1]*x, v[f+2]*x, v[f+3]*x
			sums[f], sums[f+1], sums[f+2], sums[f+3] = sums[f]+t0, sums[f+1]+t1, sums[f+2]+t2, sums[f+3]+t3
			squares[0], squares[1], squares[2], squares[3] = squares[0]+t0*t0, squares[1]+t1*t1, squares[2]+t2*t2, squares[3]+t3*t3
		}
	}
	pairs := [4]float32{}
	for f, s := range sums {
		pairs[f%4] += s * s
	}
	for f := range pairs {
		pairs[f] -= squares[f]
	}
	return linear + ((pairs[0]+pairs[2])+(pairs[1]+pairs[3]))/2
}

// plainStep is blocks.step: a step of each of the row's coefficients along its gradient, after margin.
func (b *blocks) plainStep(columns []int32, values []float64, sums []float32, residual, rate float32) {
	k := b.k
	for i, c := range columns {
		x, block := float32(values[i]), b.of(int(c))
		gx := residual * x
		v, squares := block[:len(sums)], block[k:][:len(sums)]
		for f, s := range sums {
			v[f], squares[f] = moved(v[f], squares[f], gx*(s-v[f]*x), rate)
		}
		block[2*k], block[2*k+1] = moved(block[2*k], block[2*k+1], gx, rate)
	}
}
