package gram_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"tributary/models/gram"
)

// Sums of any shape are those of the definition, within what rounding explains.
func TestSum(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, d := range []int{1, 2, 3, 8, 13} {
		s, start := gram.New(d), make([]float64, d*d)
		for i := range start {
			start[i] = r.NormFloat64()
		}
		for _, rows := range []int{0, 1, 2, 255, 256, 257, 600} {
			s.Reset(start)
			want, size := append([]float64(nil), start...), make([]float64, d*d)
			for range rows {
				weight, v := r.Float64(), make([]float64, d)
				for i := range v {
					v[i] = r.NormFloat64()
				}
				s.Add(weight, v)
				for i := range d {
					for j := range d {
						want[i*d+j] += weight * v[i] * v[j]
						size[i*d+j] += math.Abs(weight * v[i] * v[j])
					}
				}
			}
			got := s.Upper()
			for i := range d {
				for j := i; j < d; j++ {
					if at := i*d + j; math.Abs(got.Data[at]-want[at]) > 0x1p-52*float64(rows+4)*(size[at]+math.Abs(start[at])) {
						t.Errorf("%d rows of %d: (%d, %d) is %g, want %g", rows, d, i, j, got.Data[at], want[at])
					}
				}
			}
		}
	}
}
