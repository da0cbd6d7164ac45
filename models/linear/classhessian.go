package linear

// classHessian gives, for each pair of classes k ≤ l, the packed upper triangle of Σ weight·p_k(δ-p_l)·x·xᵀ over the training rows: the
// Hessian's block of these classes, δ being 1 for k = l and 0 otherwise.
func (d *Design) classHessian(w []float64) ([]float64, error) {
	count, n := len(w)/d.columns, d.train.n
	p := make([]float64, n*count)
	d.classes(d.train, w, false, func(i int, row []float64) { copy(p[i*count:(i+1)*count], row) })
	weights := make([]float64, n) // what a row weighs by in all classes together
	for i := range weights {
		for _, v := range p[i*count : (i+1)*count] {
			weights[i] += d.train.weightOf(i) * v * (1 - v)
		}
	}
	if err := Concentration(weights); err != nil {
		return nil, err
	}
	var out []float64
	none := make([]float64, n)
	for k := range count {
		for l := k; l < count; l++ {
			sign := 1.0
			for i := range weights {
				h := p[i*count+k]
				if k == l {
					h *= 1 - h
				} else {
					h, sign = h*p[i*count+l], -1 // sums take no negative weights
				}
				weights[i] = d.train.weightOf(i) * h
			}
			_, block := d.derivatives(weights, none)
			for _, v := range block {
				out = append(out, sign*v)
			}
		}
	}
	return out, nil
}
