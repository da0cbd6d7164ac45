package sgd

// Four factors at a time, in SSE2, which every amd64 has: roots and quotients are rounded as the plain form rounds them, unlike
// those of RSQRTPS. A row is one call.

//go:noescape
func rowMargin(blocks *float32, k int, columns *int32, values *float64, n int, sums *float32) float32

//go:noescape
func rowStep(blocks *float32, k int, columns *int32, values *float64, n int, sums *float32, residual, rate float32)

func (b *blocks) margin(columns []int32, values []float64, sums []float32) float32 {
	if b.k == 0 || len(columns) == 0 {
		return b.plainMargin(columns, values, sums)
	}
	b.fit(columns, values, sums)
	return rowMargin(&b.values[0], b.k, &columns[0], &values[0], len(columns), &sums[0])
}

func (b *blocks) step(columns []int32, values []float64, sums []float32, residual, rate float32) {
	if b.k == 0 || len(columns) == 0 {
		b.plainStep(columns, values, sums, residual, rate)
		return
	}
	b.fit(columns, values, sums)
	rowStep(&b.values[0], b.k, &columns[0], &values[0], len(columns), &sums[0], residual, rate)
}

// fit panics, as an index would, for what the assembly would read or write elsewhere.
func (b *blocks) fit(columns []int32, values []float64, sums []float32) {
	_, _ = values[:len(columns)], sums[:b.k]
	most := uint32(0)
	for _, c := range columns {
		most = max(most, uint32(c))
	}
	_ = b.of(int(most))
}
