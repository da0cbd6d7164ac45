package mf

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"

	"gonum.org/v1/gonum/mat"

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
	program  *optim.Program
	d        int // length of a user's and of an item's part
	factors  int
	w        []float64
	folded   []bool
	mean     float64       // explicit: of ratings mapped to [0, 1]
	gram     *mat.SymDense // implicit: Σ y·yᵀ + λI; explicit: λI
	explicit bool
}

func newItems(p *optim.Program, s *optim.State) (*items, error) {
	if s.Fitted() == nil || len(s.Coefficients()) != p.Coefficients() {
		return nil, fmt.Errorf("%w: it has no factors of this program's items", linear.ErrState)
	}
	y := &items{program: p, d: p.FactorLength(), factors: p.Model.Factors, w: s.Coefficients(), folded: s.Fitted().Folded, explicit: p.Model.Recommendation.Explicit}
	y.gram = mat.NewSymDense(y.d, nil)
	if y.explicit {
		y.mean = s.Fitted().Mean[0]
	} else {
		for i := range p.Items() {
			y.gram.SymRankOne(y.gram, 1, mat.NewVecDense(y.d, y.row(i)))
		}
	}
	for i := range y.d {
		y.gram.SetSym(i, i, y.gram.At(i, i)+p.Model.L2)
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
	if y.explicit {
		sum += x[y.factors] + row[y.factors]
	}
	return sum
}

// solver solves users' equations one after another.
type solver struct {
	*items
	a      *mat.SymDense
	b      *mat.VecDense
	side   []float64 // an item's factor, and 1 in place of its bias
	factor mat.Cholesky
}

func (y *items) solver() *solver {
	return &solver{items: y, a: mat.NewSymDense(y.d, nil), b: mat.NewVecDense(y.d, nil), side: make([]float64, y.d)}
}

// user sets x to the user's factor and bias, given its training pairs. A user without any has zeros.
func (s *solver) user(x []float64, columns []int32, values []float64) error {
	clear(x)
	s.a.CopySym(s.gram)
	s.b.Zero()
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
		side := mat.NewVecDense(s.d, s.side)
		s.a.SymRankOne(s.a, weight, side)
		s.b.AddScaledVec(s.b, target, side)
	}
	if !known {
		return nil
	}
	if !s.factor.Factorize(s.a) {
		return errUnsolvable
	}
	out := mat.NewVecDense(s.d, x)
	if err := s.factor.SolveVecTo(out, s.b); err != nil {
		var condition mat.Condition
		if !errors.As(err, &condition) { // a large condition number alone is no error
			return errUnsolvable
		}
	}
	norm := mat.Norm(out, 2)
	if math.IsNaN(norm) || math.IsInf(norm, 0) {
		return errUnsolvable
	}
	if norm > optim.MaxUserNorm {
		out.ScaleVec(optim.MaxUserNorm/norm, out)
	}
	return nil
}

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
	gram := mat.NewSymDense(y.d, nil)
	for f := range y.d {
		own := make([]float64, y.d)
		own[f] = 1
		out = append(out, own)
	}
	for u := 0; u < len(x); u += y.d {
		gram.SymRankOne(gram, 1, mat.NewVecDense(y.d, x[u:u+y.d]))
	}
	var eigen mat.EigenSym
	if !eigen.Factorize(gram, true) {
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
