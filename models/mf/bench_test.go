package mf_test

import (
	"math/rand/v2"
	"testing"

	"tributary/models/local"
)

// A TRAIN sum of implicit feedback, with 32 factors.
func BenchmarkTrainSums(b *testing.B) {
	w := newWorld(1000)
	w.random = rand.New(rand.NewPCG(1, 2))
	table := w.table(5000)
	p := program(b, w.items, 1, false, `"factors":4`, `"factors":32`)
	rounds, err := local.New(p, table)
	if err != nil {
		b.Fatal(err)
	}
	sums, err := rounds.Sums(p.Initial())
	if err != nil {
		b.Fatal(err)
	}
	s, _, err := p.Apply(p.Initial(), sums)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := rounds.Sums(s); err != nil {
			b.Fatal(err)
		}
	}
}
