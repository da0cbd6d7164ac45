package mf

import (
	"fmt"

	"tributary/models/dataset"
	"tributary/models/linear"
	"tributary/models/optim"
)

// Recommender recommends items to a participant's users by a trained state. It isn't for concurrent use.
type Recommender struct {
	y     *items
	s     *solver
	pairs *Pairs
	x     []float64
	known []int64 // by item: users in the sum
	users int64   // of the sum
	cold  []coldItem
}

// Choice says which items a list may have.
type Choice struct {
	Top         int
	IncludeSeen bool                  // items of the user's own history
	Allow       func(item int32) bool // nil: all
}

// Recommended is an item of a list.
type Recommended struct {
	Item  int32   // index into the catalogue; from Items() on: a cold item, see Name
	Score float64 // without ratings: near 1 for what the user takes, of BPR without a unit; with ratings: the predicted rating
	// Popular: the user has no history of learnt items. Without ratings, Score is then the share of all users who have the item;
	// with ratings, what users rate it on average, shrunk to the mean.
	Popular bool
}

// NewRecommender prepares recommendations to a table's users. Held-out rows are no part of their histories.
func NewRecommender(p *optim.Program, s *optim.State, t *dataset.Table) (*Recommender, error) {
	if s.Kind() != optim.Done && s.Kind() != optim.Evaluate {
		return nil, fmt.Errorf("%w: its training isn't over", linear.ErrState)
	}
	pairs, err := Prepare(p, t)
	if err != nil {
		return nil, err
	}
	y, err := newItems(p, s)
	if err != nil {
		return nil, err
	}
	return &Recommender{y: y, s: y.solver(), pairs: pairs, x: make([]float64, y.d), known: s.ItemUsers(), users: s.Users()}, nil
}

// For gives the best items for a user of the table; a number that it doesn't have is a user without a history.
func (r *Recommender) For(user int, c Choice) ([]Recommended, error) {
	var seen []int32
	var values []float64
	if user >= 0 && user < r.pairs.users {
		seen, values = r.pairs.train.row(user)
	}
	if err := r.s.user(r.x, seen, values); err != nil {
		return nil, fmt.Errorf("%w: %w", linear.ErrState, err)
	}
	popular := true
	for _, v := range r.x {
		popular = popular && v == 0
	}
	own := excluding(seen)
	if c.IncludeSeen {
		own = func(int32) bool { return false }
	}
	var list []Scored
	for item := range int32(r.y.program.Items()) {
		if skip := own(item); skip || r.y.folded[item] || c.Allow != nil && !c.Allow(item) {
			continue
		}
		score := r.y.score(r.x, int(item))
		if popular && !r.y.explicit {
			score = float64(r.known[item]) / float64(r.users)
		}
		list = insert(list, c.Top, Scored{item, score})
	}
	if !popular {
		list = r.addCold(list, seen, c)
	}
	out := make([]Recommended, len(list))
	for i, s := range list {
		out[i] = Recommended{s.Item, r.natural(s.Score), popular}
	}
	return out, nil
}

// natural gives a score in the rating's unit, where there are ratings.
func (r *Recommender) natural(score float64) float64 {
	if !r.y.explicit {
		return score
	}
	rating := &r.y.program.Pipeline().Features()[1]
	return rating.Min + (rating.Max-rating.Min)*r.y.unit(score)
}

// Name is an item's name: the contract's value, or a cold item's.
func (r *Recommender) Name(item int32) string {
	if n := int(item) - r.y.program.Items(); n >= 0 {
		return r.cold[n].name
	}
	return r.y.program.Pipeline().Features()[0].Values[item]
}
