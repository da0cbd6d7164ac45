package mf_test

import (
	"encoding/binary"
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"

	"tributary/models/dataset"
	"tributary/models/optim"
)

// twin is the obvious form of a factorisation: dense matrices of users by items.
type twin struct {
	explicit bool
	l2       float64
	k        int
	c, p     [][]float64 // by user and item: confidence (0: the pair doesn't count) and preference
	folded   []bool
	items    [][]float64 // factor, and the bias with ratings
}

func newTwin(p *optim.Program, s *optim.State, t *dataset.Table) *twin {
	n := &twin{explicit: p.Model.Recommendation.Explicit, l2: p.Model.L2, k: p.Model.Factors, folded: s.Fitted().Folded}
	users := 0
	for _, u := range t.User {
		users = max(users, int(u)+1)
	}
	seen, sum := make([][]float64, users), make([][]float64, users)
	for u := range users {
		seen[u], sum[u] = make([]float64, p.Items()), make([]float64, p.Items())
		n.c, n.p = append(n.c, make([]float64, p.Items())), append(n.p, make([]float64, p.Items()))
	}
	for i, u := range t.User {
		if item := t.Columns[0].Codes[i]; !t.HeldOut[i] {
			seen[u][item]++
			sum[u][item] += t.Columns[1].Numbers[i]
		}
	}
	total, pairs := 0.0, 0.0
	for u := range users {
		for i := range p.Items() {
			if seen[u][i] > 0 {
				total, pairs = total+sum[u][i]/seen[u][i], pairs+1
			}
		}
	}
	for u := range users {
		for i := range p.Items() {
			switch {
			case n.explicit && seen[u][i] > 0:
				n.c[u][i], n.p[u][i] = 1, (sum[u][i]/seen[u][i]-total/pairs)/2 // half of the range 1 to 5
			case !n.explicit:
				n.c[u][i] = 1
				if seen[u][i] > 0 {
					n.c[u][i], n.p[u][i] = 1+p.Model.Recommendation.Alpha*math.Log1p(seen[u][i]), 1
				}
			}
		}
	}
	for i := range p.Items() {
		n.items = append(n.items, s.Coefficients()[i*p.FactorLength():(i+1)*p.FactorLength()])
	}
	return n
}

// side splits a row into what multiplies the other side's row, and what is added to it.
func (n *twin) side(row []float64) ([]float64, float64) {
	if !n.explicit {
		return row, 0
	}
	return append(append([]float64{}, row[:n.k]...), 1), row[n.k]
}

// ridge solves one row given all rows of the other side.
func (n *twin) ridge(others [][]float64, c, p func(int) float64, skip func(int) bool) []float64 {
	d := len(n.items[0])
	a, b := mat.NewDense(d, d, nil), mat.NewVecDense(d, nil)
	for i := range d {
		a.Set(i, i, n.l2)
	}
	for o := range others {
		if skip(o) {
			continue
		}
		z, bias := n.side(others[o])
		for i := range d {
			b.SetVec(i, b.AtVec(i)+c(o)*(p(o)-bias)*z[i])
			for j := range d {
				a.Set(i, j, a.At(i, j)+c(o)*z[i]*z[j])
			}
		}
	}
	var x mat.VecDense
	if err := x.SolveVec(a, b); err != nil {
		panic(err)
	}
	return x.RawVector().Data
}

// sweep solves all users, then all items.
func (n *twin) sweep() [][]float64 {
	var users [][]float64
	for u := range n.c {
		users = append(users, n.ridge(n.items, func(i int) float64 { return n.c[u][i] }, func(i int) float64 { return n.p[u][i] }, func(i int) bool { return n.folded[i] }))
	}
	var items [][]float64
	for i := range n.items {
		if n.folded[i] {
			items = append(items, make([]float64, len(n.items[i])))
			continue
		}
		items = append(items, n.ridge(users, func(u int) float64 { return n.c[u][i] }, func(u int) float64 { return n.p[u][i] }, func(int) bool { return false }))
	}
	return items
}

// forge makes a state with other factors, as a coordinator might that isn't recomputed.
func forge(t *testing.T, p *optim.Program, s *optim.State, value func(item, i int, v float64) float64) *optim.State {
	t.Helper()
	data := s.Encode()
	d, w := p.FactorLength(), s.Coefficients()
	at := len(data) - 8 - 8*len(w) // before the objective
	for n := range w {
		binary.BigEndian.PutUint64(data[at+8*n:], math.Float64bits(value(n/d, n%d, w[n])))
	}
	out, err := p.DecodeState(data)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
