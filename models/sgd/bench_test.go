package sgd

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"

	"tributary/models/optim"
)

// BenchmarkEpoch is a pass of 50,000 rows over 20 of 20,000 columns each; what a row takes is told in
// processor time, which other work on the machine changes little.
func BenchmarkEpoch(b *testing.B) {
	const rows, active, columns = 50_000, 20, 20_000
	random := rand.New(rand.NewPCG(1, 2))
	var labels []bool
	var all []int32
	ones := slices.Repeat([]float64{1}, active)
	for range rows {
		for c := range active {
			u := random.Float64()
			all = append(all, int32(c*columns/active)+int32(u*u*columns/active))
		}
		labels = append(labels, random.IntN(2) == 0)
	}
	for _, k := range []int{8, 16} {
		b.Run(fmt.Sprint(k), func(b *testing.B) {
			w := make([]float64, columns*(1+k)+1)
			for i := range w {
				w[i] = 0.1 * random.Float64()
			}
			o := newOptimizer(optim.Adagrad, start{m: newMachine(columns, k, w), rate: 0.05, batch: 1, origin: w, rows: rows, epochs: 1})
			before, passes := processor(b), 0
			for b.Loop() {
				for i, y := range labels {
					c := all[i*active : (i+1)*active]
					_, residual := logistic(o.margin(c, ones), y)
					o.row(residual, c, ones)
				}
				passes++
			}
			b.ReportMetric(float64(processor(b)-before)/float64(rows*passes), "cpu-ns/row")
		})
	}
}

func processor(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
