package mf

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/lapack/lapack64"
	"gonum.org/v1/gonum/mat"

	"tributary/models/gram"
	"tributary/models/linear"
	"tributary/models/optim"
)

// ErrConcentrated is linear.ErrConcentrated: at this state a few users would be the sum, and nothing leaves.
var ErrConcentrated = linear.ErrConcentrated

// MinEffectiveUsers is the least (Σh)²/Σh², h = ‖x_u‖², over a participant's users: the number of users of one size with the
// same concentration.
const MinEffectiveUsers = linear.MinEffectiveRows

// MinEffectiveFactorUsers is the same for h = ⟨x_u, v⟩² along one direction v: a chosen state can keep a direction for one rare item
// alone, and so single out that item's users
// (Online Retail, 24 factors: the least over a whole job is 45, of the 1,081 users of one participant).
const MinEffectiveFactorUsers = 10

var errUnsolvable = errors.New("a user's equations can't be solved")

// items are a state's factors with what all users' equations share.
type items struct {
	program   *optim.Program
	d         int // length of a user's and of an item's part
	factors   int
	w         []float64
	folded    []bool
	mean      float64          // explicit: of ratings mapped to [0, 1]
	gram      blas64.Symmetric // implicit: Σ y·yᵀ + λI; explicit: λI; the upper triangle
	explicit  bool
	biased    bool       // items have a bias
	catalogue *catalogue // BPR; else nil
}

func newItems(p *optim.Program, s *optim.State) (*items, error) {
	if s.Fitted() == nil || len(s.Coefficients()) != p.Coefficients() {
		return nil, fmt.Errorf("%w: it has no factors of this program's items", linear.ErrState)
	}
	y := &items{program: p, d: p.FactorLength(), factors: p.Model.Factors, w: s.Coefficients(), folded: s.Fitted().Folded, explicit: p.Model.Recommendation.Explicit, biased: p.Model.Recommendation.Biased}
	all := gram.New(y.d)
	switch {
	case y.explicit:
		y.mean = s.Fitted().Mean[0]
	case p.Model.Solver == optim.BPR:
		y.catalogue = newCatalogue(y.folded, p.Items())
	default:
		for i := range p.Items() {
			all.Add(1, y.row(i))
		}
	}
	y.gram = all.Upper()
	for i := range y.d {
		y.gram.Data[i*y.d+i] += p.Model.L2
	}
	return y, nil
}

// row is an item's factor, and its bias last.
func (y *items) row(item int) []float64 { return y.w[item*y.d : (item+1)*y.d] }

// target is a rating as the model predicts it, without biases.
func (y *items) target(unit float64) float64 { return 2 * (unit - y.mean) }

// score predicts a user's preference for an item: ⟨x, y⟩ and the biases.
func (y *items) score(x []float64, item int) float64 {
	row, sum := y.row(item), 0.0
	for i := range y.factors {
		sum += x[i] * row[i]
	}
	if y.biased {
		sum += x[y.factors] + row[y.factors]
	}
	return sum
}

// solver solves users' equations one after another.
type solver struct {
	*items
	a    *gram.Sum
	b    []float64
	side []float64 // an item's factor, and 1 in place of its bias
}

func (y *items) solver() *solver {
	return &solver{items: y, a: gram.New(y.d), b: make([]float64, y.d), side: make([]float64, y.d)}
}

// user sets x to the user's factor and bias, given its training pairs. A user without any has zeros.
func (s *solver) user(x []float64, columns []int32, values []float64) error {
	clear(x)
	if s.catalogue != nil {
		return s.ranked(x, columns)
	}
	s.a.Reset(s.gram.Data)
	clear(s.b)
	known := false
	for n, item := range columns {
		if s.folded[item] {
			continue
		}
		known = true
		weight, target := values[n], 1+values[n] // of y·yᵀ beyond the Gram matrix, and of y
		copy(s.side, s.row(int(item)))
		if s.explicit {
			weight, target = 1, s.target(values[n])-s.side[s.factors]
			s.side[s.factors] = 1
		}
		s.a.Add(weight, s.side)
		blas64.Axpy(target, vector(s.side), vector(s.b))
	}
	if !known {
		return nil
	}
	factor, ok := cholesky(s.a)
	if !ok {
		return errUnsolvable
	}
	copy(x, s.b)
	substitute(factor, x)
	return shorten(x)
}

// cholesky factors a sum in place.
func cholesky(a *gram.Sum) (blas64.Triangular, bool) { return lapack64.Potrf(a.Upper()) }

// substitute solves with a Cholesky factor, in place.
func substitute(factor blas64.Triangular, b []float64) {
	blas64.Trsv(blas.Trans, factor, vector(b))
	blas64.Trsv(blas.NoTrans, factor, vector(b))
}

// shorten bounds a user's factor.
func shorten(x []float64) error {
	norm := blas64.Nrm2(vector(x))
	if math.IsNaN(norm) || math.IsInf(norm, 0) {
		return errUnsolvable
	}
	if norm > optim.MaxUserNorm {
		blas64.Scal(optim.MaxUserNorm/norm, vector(x))
	}
	return nil
}

func vector(data []float64) blas64.Vector { return blas64.Vector{N: len(data), Inc: 1, Data: data} }

// all solves for every user, in rows of length d.
func (y *items) all(p *Pairs) ([]float64, error) {
	x := make([]float64, p.users*y.d)
	failed := make([]error, p.users)
	parallel(p.users, func() func(int) {
		s := y.solver()
		return func(u int) {
			columns, values := p.train.row(u)
			failed[u] = s.user(x[u*y.d:(u+1)*y.d], columns, values)
		}
	})
	for _, err := range failed {
		if err != nil {
			return nil, fmt.Errorf("%w: %w", linear.ErrState, err)
		}
	}
	return x, nil
}

// parallel calls a worker for each number below n. Workers must write only what is their number's own.
func parallel(n int, worker func() func(int)) {
	var wait sync.WaitGroup
	workers := min(runtime.GOMAXPROCS(0), n)
	for w := range workers {
		wait.Go(func() {
			work := worker()
			for i := w; i < n; i += workers {
				work(i)
			}
		})
	}
	wait.Wait()
}

// concentrated refuses factors of users of which a few dominate the sums: in total, or along one direction.
func (y *items) concentrated(x []float64) error {
	h := make([]float64, len(x)/y.d)
	for i, v := range x {
		h[i/y.d] += v * v
	}
	const hint = "\nhint: a participant needs at least %d users with items that are learnt; with more, the model singles some out, or it was chosen to"
	if n := effective(h); !(n >= MinEffectiveUsers) {
		return fmt.Errorf("%w: %d users weigh as %.1f at this state, %d are needed"+hint, ErrConcentrated, len(h), n, MinEffectiveUsers, MinEffectiveUsers)
	}
	axes, err := y.axes(x)
	if err != nil {
		return err
	}
	total := 0.0
	for _, v := range x {
		total += v * v
	}
	for i, axis := range axes {
		sum := 0.0
		for u := range h {
			along := 0.0
			for f, v := range x[u*y.d : (u+1)*y.d] {
				along += v * axis[f]
			}
			h[u] = along * along
			sum += h[u]
		}
		if n := effective(h); sum > leastAxis*total && !(n >= MinEffectiveFactorUsers) {
			return fmt.Errorf("%w: %d users weigh as %.1f along direction %d of this state, %d are needed"+hint, ErrConcentrated, len(h), n, i, MinEffectiveFactorUsers, MinEffectiveUsers)
		}
	}
	return nil
}

// leastAxis is the share of all squares below which a direction tells nothing: it drowns in the lanes' quantisation.
const leastAxis = 1e-12

// axes are the directions along which users' factors are looked at: the factors' own, and the principal ones. A state that keeps a
// direction for few users alone, in whichever coordinates, has that direction for a principal one.
func (y *items) axes(x []float64) ([][]float64, error) {
	var out [][]float64
	for f := range y.d {
		own := make([]float64, y.d)
		own[f] = 1
		out = append(out, own)
	}
	all := gram.New(y.d)
	for u := 0; u < len(x); u += y.d {
		all.Add(1, x[u:u+y.d])
	}
	var eigen mat.EigenSym
	if !eigen.Factorize(mat.NewSymDense(y.d, all.Upper().Data), true) {
		return nil, fmt.Errorf("%w: its users' factors have no principal directions", linear.ErrState)
	}
	var vectors mat.Dense
	eigen.VectorsTo(&vectors)
	for f := range y.d {
		out = append(out, mat.Col(nil, f, &vectors))
	}
	return out, nil
}

// effective is (Σh)²/Σh², 0 if all are 0.
func effective(h []float64) float64 {
	largest, first, second := 0.0, 0.0, 0.0
	for _, v := range h {
		largest = max(largest, v)
	}
	if !(largest > 0) {
		return 0
	}
	for _, v := range h { // squares of tiny ones underflow
		first += v / largest
		second += v / largest * v / largest
	}
	return first * first / second
}
