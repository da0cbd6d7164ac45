package sgd

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"tributary/models/optim"
)

// drawn are rows of up to 12 of 60 columns, and a model's coefficients.
func drawn(k int, seed uint64) (rows [][]int32, values [][]float64, w []float64) {
	random := rand.New(rand.NewPCG(seed, uint64(k)))
	for range 300 {
		var columns []int32
		var x []float64
		for _, c := range random.Perm(60)[:random.IntN(13)] {
			columns, x = append(columns, int32(c)), append(x, random.NormFloat64())
		}
		rows, values = append(rows, columns), append(values, x)
	}
	for range 60*(k+1) + 1 {
		w = append(w, 0.3*random.NormFloat64())
	}
	return rows, values, w
}

// The vectors of a processor compute what the plain form does: margins, and blocks after steps. Nothing beyond a row's blocks changes.
func TestVectorsEqualThePlainForm(t *testing.T) {
	for _, k := range []int{0, 1, 3, 4, 5, 8, 16, 30} {
		rows, values, w := drawn(k, 3)
		s := start{m: newMachine(60, k, w), rate: 0.1, origin: w, rows: len(rows), epochs: 1}
		fast, plain := newAdagrad(s), newAdagrad(s)
		for i, columns := range rows {
			got, want := fast.blocks.margin(columns, values[i], fast.sums), plain.blocks.plainMargin(columns, values[i], plain.sums)
			if math.Abs(float64(got-want)) > 1e-5*(1+math.Abs(float64(want))) {
				t.Fatalf("k = %d, row %d: margin %g, want %g", k, i, got, want)
			}
			fast.blocks.step(columns, values[i], fast.sums, 0.3, 0.1)
			plain.blocks.plainStep(columns, values[i], plain.sums, 0.3, 0.1)
			for at, v := range fast.blocks.values {
				if u := plain.blocks.values[at]; math.Abs(float64(v-u)) > 1e-5*(1+math.Abs(float64(u))) {
					t.Fatalf("k = %d, row %d, value %d: %g, want %g", k, i, at, v, u)
				}
			}
		}
	}
}

// Hostile column numbers panic; they don't reach memory.
func TestColumnsBeyondTheBlocksPanic(t *testing.T) {
	_, _, w := drawn(4, 5)
	o := newAdagrad(start{m: newMachine(60, 4, w), rate: 0.1, origin: w})
	for _, c := range []int32{60, -1, math.MaxInt32, math.MinInt32} {
		for name, f := range map[string]func(){
			"margin": func() { o.blocks.margin([]int32{1, c}, []float64{1, 1}, o.sums) },
			"step":   func() { o.blocks.step([]int32{1, c}, []float64{1, 1}, o.sums, 1, 1) },
			"values": func() { o.blocks.margin([]int32{1, 2}, []float64{1}[:1:1], o.sums) },
		} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s of column %d", name, c)
					}
				}()
				f()
			}()
		}
	}
}

// Single precision loses nothing: after 20 passes the coefficients are those of a twin in double precision by the definition, up to
// far less than a pass changes; with a proximal term and a penalty, too.
func TestAdagradEqualsADoublePrecisionTwin(t *testing.T) {
	const k, n = 6, 60
	for _, c := range []struct{ proximal, penalty float64 }{{0, 0}, {0.02, 0}, {0, 3}} {
		rows, values, w := drawn(k, 9)
		o := newOptimizer(optim.Adagrad, start{m: newMachine(n, k, w), rate: 0.1, proximal: c.proximal, penalty: c.penalty, origin: w, rows: len(rows), epochs: 1})
		twin, squares := newMachine(n, k, w), slices.Repeat([]float64{1}, len(w))
		move := func(at int, g float64) {
			g += c.proximal * (twin.w[at] - w[at])
			squares[at] += g * g
			twin.w[at] -= 0.1 * g / math.Sqrt(squares[at])
		}
		for range 20 {
			for i, columns := range rows {
				_, residual := logistic(o.margin(columns, values[i]), i%3 == 0)
				o.row(residual, columns, values[i])
				_, residual = logistic(twin.margin(columns, values[i]), i%3 == 0)
				sums := slices.Clone(twin.sums)
				for a, column := range columns {
					x := values[i][a]
					move(int(column), residual*x)
					for f, v := range slices.Clone(twin.factor(int(column))) {
						move(twin.at(int(column))+f, residual*x*(sums[f]-v*x))
					}
				}
				move(len(w)-1, residual)
			}
			o.epoch()
			for i := range len(w) - 1 {
				twin.w[i] /= 1 + 0.1*c.penalty/math.Sqrt(squares[i])
			}
		}
		change, moved, worst := make([]float64, len(w)), 0.0, 0.0
		o.change(change)
		for i := range w {
			moved, worst = max(moved, math.Abs(change[i])), max(worst, math.Abs(change[i]-(twin.w[i]-w[i])))
		}
		t.Logf("proximal %g, penalty %g: coefficients change by up to %.3g, precision by up to %.3g", c.proximal, c.penalty, moved, worst)
		if !(worst < 1e-3*moved) {
			t.Errorf("proximal %g, penalty %g: differ by %g of %g", c.proximal, c.penalty, worst, moved)
		}
	}
}

// A round's pass over the rows allocates nothing.
func TestAPassAllocatesNothing(t *testing.T) {
	rows, values, w := drawn(8, 4)
	o := newOptimizer(optim.Adagrad, start{m: newMachine(60, 8, w), rate: 0.1, origin: w})
	if n := testing.AllocsPerRun(10, func() {
		for i, columns := range rows {
			o.row(o.margin(columns, values[i]), columns, values[i])
		}
	}); n > 0 {
		t.Errorf("%g allocations", n)
	}
}

// Mixing rows loses none, and keeps each with its label.
func TestMixedRowsAreTheRows(t *testing.T) {
	r := sparse{start: []int{0}}
	for i := range 100 {
		for range i % 4 {
			r.columns, r.values = append(r.columns, int32(i)), append(r.values, float64(i))
		}
		r.label, r.start = append(r.label, i%3 == 0), append(r.start, len(r.columns))
	}
	mixed := r.mixed(rand.New(rand.NewPCG(1, 0)))
	seen, empty, moved := map[int32]bool{}, 0, 0
	for i, label := range mixed.label {
		columns, values := mixed.row(i)
		if len(columns) == 0 {
			empty++
			continue
		}
		id := columns[0]
		if seen[id] || len(columns) != int(id)%4 || values[0] != float64(id) || label != (id%3 == 0) {
			t.Fatalf("row %d: columns %v, values %v, label %t", i, columns, values, label)
		}
		seen[id] = true
		if int(id) != i {
			moved++
		}
	}
	if len(seen) != 75 || empty != 25 || moved < 50 {
		t.Errorf("%d rows, %d without columns, %d at another place", len(seen), empty, moved)
	}
}
