package linear_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"tributary/models/dataset"
	"tributary/models/linear"
)

// A TRAIN sum over 100 dense columns.
func BenchmarkDenseTrainSums(b *testing.B) {
	const n, k = 100_000, 100
	r := rand.New(rand.NewPCG(1, 1))
	table := &dataset.Table{Rows: n}
	j := job{contributors: 1, bits: 40, maxRows: 5_000_000, maxRounds: 10, l2: 1, tolerance: 1e-8}
	for c := range k {
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
	p := j.program(b)
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
}
