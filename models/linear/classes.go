package linear

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"

	"tributary/models/dataset"
	"tributary/models/metrics"
	"tributary/models/optim"
)

// classSums are Sums of a label with several classes.
func (d *Design) classSums(s *optim.State) ([][]float64, error) {
	train := d.classes(d.train, s.Coefficients(), s.Kind() == optim.Train, nil)
	if err := train.concentration.Check(); err != nil {
		return nil, err
	}
	if s.Kind() == optim.Train {
		return d.program.EncodeGradient(s, optim.TrainSums{
			Rows: int64(d.train.n), Loss: train.loss, HeldOutLoss: d.watchedLoss(s), Gradient: train.gradient,
		}), nil
	}
	held := d.classes(d.held, s.Coefficients(), false, nil)
	out := optim.EvaluateSums{Rows: int64(d.train.n), Loss: train.loss, HeldOut: int64(d.held.n), HeldOutLoss: held.loss, Confusion: held.confusion}
	if d.program.Model.StandardErrors {
		var err error
		if out.Hessian, err = d.classHessian(s.Coefficients()); err != nil {
			return nil, err
		}
	}
	return d.program.EncodeEvaluate(s, out), nil
}

// ClassScores gives each row's probability of every class, in the table's order, held out or not: row by row.
func ClassScores(p *optim.Program, s *optim.State, t *dataset.Table) ([][]float64, error) {
	if s.Fitted() == nil || p.Label == nil {
		return nil, fmt.Errorf("%w: the pipeline isn't fitted before FIT, or the label has two values", ErrState)
	}
	d, r, err := encodeAll(p, s, t)
	if err != nil {
		return nil, err
	}
	out := make([][]float64, t.Rows)
	if p.Private() {
		classify := d.unitClasses(r, s.Coefficients())
		for i := range out {
			_, _, p, _, _ := classify(i, nil, nil)
			out[i] = append([]float64(nil), p...)
		}
		return out, nil
	}
	d.classes(r, s.Coefficients(), false, func(i int, p []float64) {
		out[i] = append([]float64(nil), p...)
	})
	return out, nil
}

// classified are rows at the coefficients of a model with K classes.
type classified struct {
	loss      float64   // Σ weight·min(log loss, 64), nats
	gradient  []float64 // Σ (p-y)·x by class, K × columns; nil unless asked for
	confusion []int64   // K × K: rows by class, then by the class of the largest probability

	concentration Concentration // of weight·(1-p) of each row's own class: half of Σ|p-y| over the classes
}

// classes passes over rows in blocks: margins, probabilities, and what is summed of them. each, if it isn't nil, gets every row's
// probabilities, from several goroutines; the slice is reused.
func (d *Design) classes(r *rows, w []float64, derive bool, each func(i int, p []float64)) *classified {
	n, k := d.columns, len(d.dense)
	count := len(w) / n
	// By column: weights[c*count+j] is column c's coefficient for class j.
	weights, dense := make([]float64, len(w)), make([]float64, k*count)
	for j := range count {
		for c := range n {
			weights[c*count+j] = w[j*n+c]
		}
	}
	for at, c := range d.dense {
		copy(dense[at*count:(at+1)*count], weights[c*count:(c+1)*count])
	}
	parts := make([]*classified, shardCount(r.n))
	shards(r.n, func(shard, from, to int) {
		part := &classified{confusion: make([]int64, count*count)}
		sum := make([]float64, n*count) // by column
		sumDense := make([]float64, k*count)
		scores := make([]float64, blockRows*count)
		d.blocks(r, from, to, func(start, end int) {
			block := blas64.General{Rows: end - start, Cols: count, Stride: count, Data: scores[:(end-start)*count]}
			for at := 0; at < len(block.Data); at += count {
				copy(block.Data[at:at+count], weights[(n-1)*count:])
			}
			r.slots.visit(start, end, func(first int, columns []int32) {
				for i, c := range columns {
					if c != none {
						at := (first - start + i) * count
						add(block.Data[at:at+count], weights[int(c)*count:int(c+1)*count])
					}
				}
			})
			if k > 0 {
				x := d.block(r, start, end)
				blas64.Gemm(blas.NoTrans, blas.NoTrans, 1, x, blas64.General{Rows: k, Cols: count, Stride: count, Data: dense}, 1, block)
			}
			for i := start; i < end; i++ {
				row, y := block.Data[(i-start)*count:(i-start+1)*count], r.class[i]
				loss, predicted := softmax(row, y)
				weight := r.weightOf(i)
				part.loss += weight * min(loss, metrics.MaxLoss)
				part.confusion[int(y)*count+predicted]++
				residual := -math.Expm1(-loss) // 1-p
				part.concentration.Add(weight * residual)
				if each != nil {
					each(i, row)
				}
				if derive {
					row[y] = -residual
					blas64.Scal(weight, vector(row))
				}
			}
			if derive {
				d.addClasses(sum, r, start, end, block.Data)
			}
			if derive && k > 0 {
				x := d.block(r, start, end)
				blas64.Gemm(blas.Trans, blas.NoTrans, 1, x, block, 1, blas64.General{Rows: k, Cols: count, Stride: count, Data: sumDense})
			}
		})
		for at, c := range d.dense {
			copy(sum[c*count:(c+1)*count], sumDense[at*count:(at+1)*count])
		}
		part.gradient = sum
		parts[shard] = part
	})
	total := parts[0]
	for _, p := range parts[1:] {
		total.loss += p.loss
		total.concentration.Merge(p.concentration)
		add(total.gradient, p.gradient)
		for i, c := range p.confusion {
			total.confusion[i] += c
		}
	}
	byColumn := total.gradient
	total.gradient = make([]float64, len(w))
	for j := range count {
		for c := range n {
			total.gradient[j*n+c] = byColumn[c*count+j]
		}
	}
	return total
}

// addClasses adds p-y of rows from..to to the columns that are 1 in them.
func (d *Design) addClasses(sum []float64, r *rows, from, to int, residuals []float64) {
	count := len(residuals) / (to - from)
	r.slots.visit(from, to, func(first int, columns []int32) {
		for i, c := range columns {
			if c != none {
				at := (first - from + i) * count
				add(sum[int(c)*count:int(c+1)*count], residuals[at:at+count])
			}
		}
	})
	for at := 0; at < len(residuals); at += count {
		add(sum[(d.columns-1)*count:], residuals[at:at+count])
	}
}

// softmax turns a row's margins into probabilities, and gives the log loss of its class y in nats and the class of the largest
// probability, the first of equal ones.
func softmax(row []float64, y int32) (loss float64, predicted int) {
	largest := row[0]
	for j, m := range row {
		if m > largest {
			largest, predicted = m, j
		}
	}
	own, total := row[y]-largest, 0.0
	for j, m := range row {
		row[j] = math.Exp(m - largest)
		total += row[j]
	}
	for j := range row {
		row[j] /= total
	}
	return max(math.Log(total)-own, 0), predicted
}
