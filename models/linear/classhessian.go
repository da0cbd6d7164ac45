package linear

// classHessian gives, for each pair of classes k ≤ l, the packed upper triangle of Σ weight·p_k(δ-p_l)·x·xᵀ over the training rows: the
// Hessian's block of these classes, δ being 1 for k = l and 0 otherwise.
func (d *Design) classHessian(w []float64) ([]float64, error) {
	count, n := len(w)/d.columns, d.train.n
	p := make([]float64, n*count)
	d.classes(d.train, w, false, func(i int, row []float64) { copy(p[i*count:(i+1)*count], row) })
	var concentration Concentration // of what a row weighs by in all classes together
	for i := range n {
		weight := 0.0
		for _, v := range p[i*count : (i+1)*count] {
			weight += d.train.weightOf(i) * v * (1 - v)
		}
		concentration.Add(weight)
	}
	if err := concentration.Check(); err != nil {
		return nil, err
	}
	var out []float64
	for k := range count {
		for l := k; l < count; l++ {
			parts, sign := d.partials(), 1.0
			if k != l {
				sign = -1 // sums take no negative weights
			}
			shards(n, func(shard, from, to int) {
				part := parts[shard]
				d.blocks(d.train, from, to, func(from, to int) {
					for i := from; i < to; i++ {
						h := p[i*count+k]
						if k == l {
							h *= 1 - h
						} else {
							h *= p[i*count+l]
						}
						part.h[i-from] = d.train.weightOf(i) * h
					}
					d.addBlock(part, from, to)
				})
			})
			_, block := d.total(parts)
			for _, v := range block {
				out = append(out, sign*v)
			}
		}
	}
	return out, nil
}
