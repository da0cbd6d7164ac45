//go:build !amd64

package sgd

func (b *blocks) margin(columns []int32, values []float64, sums []float32) float32 {
	return b.plainMargin(columns, values, sums)
}

func (b *blocks) step(columns []int32, values []float64, sums []float32, residual, rate float32) {
	b.plainStep(columns, values, sums, residual, rate)
}
