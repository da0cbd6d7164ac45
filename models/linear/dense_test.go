package linear_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"tributary/models/dataset"
	"tributary/models/linear"
	"tributary/models/optim"
)

// denseJob is a job over 100 dense columns.
func denseJob(b *testing.B, n int, solver string) (*optim.Program, *dataset.Table) {
	r := rand.New(rand.NewPCG(1, 1))
	table := &dataset.Table{Rows: n}
	j := job{contributors: 1, bits: 40, maxRows: 5_000_000, maxRounds: 10, l2: 1, tolerance: 1e-8, solver: solver}
	for c := range 100 {
		name := fmt.Sprint("x", c)
		values := make([]float64, n)
		for i := range values {
			values[i] = r.Float64()
		}
		table.Columns = append(table.Columns, dataset.Column{Name: name, Numbers: values})
		j.features = append(j.features, number(name, 0, 1))
	}
	for i := range n {
		table.Label = append(table.Label, i%3 == 0)
	}
	return j.program(b), table
}

// A TRAIN sum, with second derivatives and without.
func BenchmarkDenseTrainSums(b *testing.B) {
	const n = 100_000
	for _, solver := range []string{optim.Newton, optim.LBFGS} {
		b.Run(solver, func(b *testing.B) {
			p, table := denseJob(b, n, solver)
			s := onto(b, p, table)
			d, err := linear.Prepare(p, s, table)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := d.Sums(s); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/row")
		})
	}
}

// What comes before the first TRAIN sum: the FIT sum, and the encoding.
func BenchmarkDensePrepare(b *testing.B) {
	p, table := denseJob(b, 100_000, optim.Newton)
	s := onto(b, p, table)
	for b.Loop() {
		if _, err := linear.Sums(p, p.Initial(), table); err != nil {
			b.Fatal(err)
		}
		if _, err := linear.Prepare(p, s, table); err != nil {
			b.Fatal(err)
		}
	}
}
