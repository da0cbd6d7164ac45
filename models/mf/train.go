package mf

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"tributary/models/optim"
)

// ErrDiverged is returned when an item isn't finite after local training: nothing leaves.
var ErrDiverged = errors.New("local training diverged")

// change trains on all pairs from the state's items and the users' factors x at them, and gives what became of the items. What the
// users become is in x, and of no use to another round. A change has as many values whatever items there are pairs of.
func (y *items) change(p *Pairs, s *optim.State, x []float64) (optim.FactorChange, error) {
	t := optim.FactorChange{Rows: int64(p.train.count()), ItemUsers: make([]int64, p.program.Items()), HeldOutLoss: y.heldOutLoss(p, x)}
	for item := range t.ItemUsers {
		t.ItemUsers[item] = int64(p.byItem.start[item+1] - p.byItem.start[item])
	}
	if y.catalogue == nil {
		t.Loss, t.Norm = y.loss(p, x)
	} else {
		t.Loss = y.rankLoss(p, x)
	}
	trained := *y
	trained.w = append([]float64(nil), y.w...)
	trained.train(p, s, x)
	t.Change = trained.w
	for i, w := range t.Change {
		if t.Change[i] = w - y.w[i]; math.IsNaN(t.Change[i]) || math.IsInf(t.Change[i], 0) {
			return optim.FactorChange{}, fmt.Errorf("%w: coefficient %d of item %d is %g\nhint: lower learning_rate, or raise l2", ErrDiverged, i%y.d, i/y.d, w)
		}
	}
	return t, nil
}

// training is one participant's way through its pairs in a round. It moves items and users.
type training struct {
	*items
	x     []float64
	rate  float64
	l2    float64
	pairs []float64 // by item: pairs in the cohort
}

// step is a visit of a pair: its user, and its place in the history.
type step struct{ user, at int32 }

// train takes one pair after another, in a random order of which the seed is no secret.
func (y *items) train(p *Pairs, s *optim.State, x []float64) {
	r, round := p.program.Model.Recommendation, s.TrainRounds()+1
	t := &training{items: y, x: x, rate: r.Training.LearningRate / math.Sqrt(float64(round)), l2: p.program.Model.L2}
	for _, n := range s.ItemUsers() {
		t.pairs = append(t.pairs, float64(n))
	}
	var order []step
	own := make([][]int32, p.users) // BPR: the learnt items that a user has, see catalogue.own
	for u := range p.users {
		columns, _ := p.train.row(u)
		for n, item := range columns {
			if !y.folded[item] {
				order = append(order, step{int32(u), int32(p.train.start[u] + n)})
			}
		}
		if y.catalogue != nil {
			own[u] = y.catalogue.own(columns)
		}
	}
	random := rand.New(rand.NewPCG(r.Seed, uint64(round)))
	for range r.Training.Epochs {
		random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for _, c := range order {
			user, item := int(c.user), int(p.train.column[c.at])
			if y.catalogue == nil {
				t.rated(user, item, p.train.value[c.at], float64(p.train.start[user+1]-p.train.start[user]))
			} else if other, ok := y.catalogue.other(own[user], random); ok {
				t.compared(user, item, other)
			}
		}
	}
}

// rated steps along half the gradient of a rated pair's e² + λ‖x‖²/n + λ‖y‖²/m, where the user has n pairs and the item m in the
// cohort: over all pairs that is the objective of explicit ALS.
func (t *training) rated(user, item int, unit, n float64) {
	x, y := t.x[user*t.d:(user+1)*t.d], t.row(item)
	e := t.target(unit) - t.score(x, item)
	shrinkX, shrinkY := t.l2/n, t.l2/t.pairs[item]
	for i := range t.factors {
		a, b := x[i], y[i]
		x[i] += t.rate * (e*b - shrinkX*a)
		y[i] += t.rate * (e*a - shrinkY*b)
	}
	x[t.factors] += t.rate * (e - shrinkX*x[t.factors])
	y[t.factors] += t.rate * (e - shrinkY*y[t.factors])
}

// compared steps along the gradient of a comparison's loss [RFG09, Fig. 4].
func (t *training) compared(user, item, other int) {
	x, y, z := t.x[user*t.d:(user+1)*t.d], t.row(item), t.row(other)
	margin := y[t.factors] - z[t.factors]
	for i := range t.factors {
		margin += x[i] * (y[i] - z[i])
	}
	e := 1 / (1 + math.Exp(margin))
	for i := range t.factors {
		a, b, c := x[i], y[i], z[i]
		x[i] += t.rate * (e*(b-c) - t.l2*a)
		y[i] += t.rate * (e*a - t.l2*b)
		z[i] -= t.rate * (e*a + t.l2*c)
	}
	y[t.factors] += t.rate * (e - t.l2*y[t.factors])
	z[t.factors] -= t.rate * (e + t.l2*z[t.factors])
}
