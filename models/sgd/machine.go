package sgd

// machine is a model's coefficients where they are used: a linear model is one without factors.
type machine struct {
	columns, k int
	w          []float64 // columns, then columns × k factors, then the intercept
	sums       []float64 // k: Σ v·x of the row that was scored last
}

func newMachine(columns, k int, coefficients []float64) *machine {
	return &machine{columns: columns, k: k, w: append([]float64(nil), coefficients...), sums: make([]float64, k)}
}

// margin is w₀ + Σ w·x + ½ Σ_f ((Σ v_f·x)² - Σ (v_f·x)²), in time linear in the row's columns [R10, eq. 5]. The sums stay for
// the gradient.
func (m *machine) margin(columns []int32, values []float64) float64 {
	out := m.w[len(m.w)-1]
	for i, c := range columns {
		out += m.w[c] * values[i]
	}
	if m.k == 0 {
		return out
	}
	clear(m.sums)
	squares := 0.0
	for i, c := range columns {
		x, v := values[i], m.factor(int(c))
		sums := m.sums[:len(v)]
		for f := range v {
			t := v[f] * x
			sums[f] += t
			squares += t * t
		}
	}
	pairs := -squares
	for _, s := range m.sums {
		pairs += s * s
	}
	return out + pairs/2
}

// at is the index of a column's factor.
func (m *machine) at(column int) int { return m.columns + column*m.k }

func (m *machine) factor(column int) []float64 {
	at := m.at(column)
	return m.w[at : at+m.k]
}
