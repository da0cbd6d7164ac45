package optim

import "math"

// matrix is a square lower-triangular matrix, row by row.
type matrix struct {
	d    int
	data []float64
}

func newMatrix(d int) *matrix { return &matrix{d: d, data: make([]float64, d*d)} }

func (m *matrix) row(i int) []float64 { return m.data[i*m.d : (i+1)*m.d] }

// cholesky replaces the matrix's lower triangle by its factor L, A = L·Lᵀ. A column whose pivot is not above least is left out
// (its diagonal becomes 0), as if the matrix didn't have it. It tells which columns have a pivot.
func (m *matrix) cholesky(least []float64) []bool {
	pivots := make([]bool, m.d)
	for i := range m.d {
		a := m.row(i)
		for j := range i {
			if !pivots[j] {
				a[j] = 0
				continue
			}
			b := m.row(j)
			a[j] = (a[j] - dot(a[:j], b[:j])) / b[j]
		}
		pivot := a[i] - dot(a[:i], a[:i])
		pivots[i] = pivot > least[i]
		a[i] = 0
		if pivots[i] {
			a[i] = math.Sqrt(pivot)
		}
	}
	return pivots
}

// forward solves L·y = b; columns without a pivot get 0.
func (m *matrix) forward(b []float64) []float64 {
	y := make([]float64, m.d)
	for i := range m.d {
		if a := m.row(i); a[i] != 0 {
			y[i] = (b[i] - dot(a[:i], y[:i])) / a[i]
		}
	}
	return y
}

// backward solves Lᵀ·x = y; columns without a pivot get 0.
func (m *matrix) backward(y []float64) []float64 {
	x := append([]float64(nil), y...)
	for i := m.d - 1; i >= 0; i-- {
		a := m.row(i)
		if a[i] == 0 {
			x[i] = 0
			continue
		}
		x[i] /= a[i]
		for j := range i {
			x[j] -= float64(a[j] * x[i])
		}
	}
	return x
}

// dot is Σ a·b in four interleaved partial sums: the order is part of the result, and four chains run faster than one.
func dot(a, b []float64) float64 {
	var s0, s1, s2, s3 float64
	b = b[:len(a)]
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += float64(a[i] * b[i])
		s1 += float64(a[i+1] * b[i+1])
		s2 += float64(a[i+2] * b[i+2])
		s3 += float64(a[i+3] * b[i+3])
	}
	for ; i < len(a); i++ {
		s0 += float64(a[i] * b[i])
	}
	return (s0 + s1) + (s2 + s3)
}
