package linear_test

import (
	"math"

	"gonum.org/v1/gonum/mat"

	"tributary/models/dataset"
)

// pooled is an independent solver: dense rows, Newton with line search in float64 on all rows at once, gonum's Cholesky. It
// encodes as the reference numbers were made: standardised by the training rows, one column per value.
type pooled struct {
	x  [][]float64
	y  []float64
	l2 float64
	w  []float64
}

// newPooled encodes the training rows; plain numbers (no missing values, no log1p) and categories without rare values.
func newPooled(t *dataset.Table, l2 float64) *pooled {
	out := &pooled{l2: l2}
	var rows []int
	for i := range t.Rows {
		if t.Held(i) {
			continue
		}
		rows = append(rows, i)
		y := 0.0
		if t.Label[i] {
			y = 1
		}
		out.y = append(out.y, y)
	}
	out.x = make([][]float64, len(rows))
	for _, c := range t.Columns {
		if c.Numbers != nil {
			mean, variance := 0.0, 0.0
			for _, i := range rows {
				mean += c.Numbers[i] / float64(len(rows))
			}
			for _, i := range rows {
				variance += (c.Numbers[i] - mean) * (c.Numbers[i] - mean) / float64(len(rows))
			}
			for at, i := range rows {
				out.x[at] = append(out.x[at], (c.Numbers[i]-mean)/math.Sqrt(variance))
			}
			continue
		}
		for at, i := range rows {
			hot := make([]float64, len(c.Values)+1)
			hot[c.Codes[i]] = 1
			out.x[at] = append(out.x[at], hot...)
		}
	}
	for at := range out.x {
		out.x[at] = append(out.x[at], 1)
	}
	out.w = make([]float64, len(out.x[0]))
	return out
}

func (p *pooled) objective(w []float64) float64 {
	total := 0.0
	for i, x := range p.x {
		m := 0.0
		for j, v := range x {
			m += v * w[j]
		}
		total += math.Max(m, 0) + math.Log1p(math.Exp(-math.Abs(m))) - p.y[i]*m
	}
	for _, v := range w[:len(w)-1] {
		total += p.l2 / 2 * v * v
	}
	return total
}

// solve returns the least objective.
func (p *pooled) solve() float64 {
	d := len(p.w)
	best := p.objective(p.w)
	for range 50 {
		g, h := mat.NewVecDense(d, nil), make([]float64, d*d)
		for i, x := range p.x {
			m := 0.0
			var active []int
			for j, v := range x {
				m += v * p.w[j]
				if v != 0 {
					active = append(active, j)
				}
			}
			q := 1 / (1 + math.Exp(-m))
			for _, a := range active {
				g.SetVec(a, g.AtVec(a)+(q-p.y[i])*x[a])
				for _, b := range active {
					h[a*d+b] += q * (1 - q) * x[a] * x[b]
				}
			}
		}
		for j := range d - 1 {
			g.SetVec(j, g.AtVec(j)+p.l2*p.w[j])
			h[j*d+j] += p.l2
		}
		var c mat.Cholesky
		if !c.Factorize(mat.NewSymDense(d, h)) {
			panic("pooled: the Hessian isn't positive definite")
		}
		var step mat.VecDense
		if err := c.SolveVecTo(&step, g); err != nil {
			panic(err)
		}
		decrement := mat.Dot(g, &step)
		for scale := 1.0; ; scale /= 2 {
			next := make([]float64, d)
			for j := range next {
				next[j] = p.w[j] - scale*step.AtVec(j)
			}
			if value := p.objective(next); value <= best || scale < 1e-6 {
				p.w, best = next, value
				break
			}
		}
		if decrement < 1e-16*best {
			return best
		}
	}
	return best
}

// auc is the exact area under the ROC curve, ties counted half.
func auc(scores []float64, label []bool) float64 {
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	sortBy(order, func(i int) float64 { return scores[i] })
	var below, pairs, positives, negatives float64
	for from := 0; from < len(order); {
		to := from
		var p, n float64
		for ; to < len(order) && scores[order[to]] == scores[order[from]]; to++ {
			if label[order[to]] {
				p++
			} else {
				n++
			}
		}
		pairs += p * (below + n/2)
		below += n
		positives += p
		negatives += n
		from = to
	}
	return pairs / (positives * negatives)
}
