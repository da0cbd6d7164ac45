// Package mf is a participant's side of a matrix factorisation: it solves for its own users' factors given the items', sums each
// item's normal equations over its users, ranks items for them and measures the ranking. Users' factors are made when they are
// needed and stay here; so do their histories, which are in memory, as are the factors: it grows with pairs and users. The same
// rows, state and program give the same bits.
package mf

import (
	"fmt"
	"math"
	"slices"

	"tributary/models/dataset"
	"tributary/models/linear"
	"tributary/models/optim"
	"tributary/models/pipeline/fit"
)

// Pairs are a table's pairs of a user and an item. They are immutable.
type Pairs struct {
	program     *optim.Program
	users       int // of the table, numbered as there
	train, held history
	byItem      history // train, by item: the users
}

// history is a compressed sparse matrix: row r has cells start[r] to start[r+1], by ascending column.
type history struct {
	start  []int
	column []int32
	// Implicit feedback: the confidence less 1. Explicit: the mean rating, mapped to [0, 1].
	value []float64
}

func (h *history) row(r int) ([]int32, []float64) {
	from, to := h.start[r], h.start[r+1]
	return h.column[from:to], h.value[from:to]
}

func (h *history) count() int { return len(h.column) }

// pair gathers the rows of one user and item.
type pair struct {
	user, item  int32
	train, held int
	sum, heldup float64 // of ratings in [0, 1]
}

// Prepare collects a table's pairs. Rows without an item, with one that the contract doesn't list, or without a rating where
// ratings are learnt from, are left out. A pair with a training row is a training pair: its held-out rows are left out, too.
func Prepare(p *optim.Program, t *dataset.Table) (*Pairs, error) {
	if p.Model.Recommendation == nil {
		return nil, fmt.Errorf("%w: a %s recommends nothing", linear.ErrState, p.Model.Type)
	}
	if err := t.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", fit.ErrTable, err)
	}
	if t.User == nil && t.Rows > 0 {
		return nil, fmt.Errorf("%w: it doesn't say whose the rows are\nhint: a recommender's contract has no label, and its key is the user", fit.ErrTable)
	}
	if int64(t.Rows) > p.MaxRows {
		return nil, fmt.Errorf("%w: %d rows, the contract allows %d\nhint: raise max_rows in the contract", fit.ErrTable, t.Rows, p.MaxRows)
	}
	columns, err := fit.Columns(p.Pipeline(), t)
	if err != nil {
		return nil, err
	}
	out := &Pairs{program: p}
	for _, u := range t.User {
		out.users = max(out.users, int(u)+1)
	}
	pairs := gather(p, t, columns)
	out.train = collect(out.users, pairs, func(c *pair) (int32, int32, float64, bool) {
		return c.user, c.item, out.worth(c.train, c.sum), c.train > 0
	})
	out.held = collect(out.users, pairs, func(c *pair) (int32, int32, float64, bool) {
		return c.user, c.item, out.worth(c.held, c.heldup), c.train == 0
	})
	if out.held.count() > 0 && !p.Evaluate.HoldOut {
		return nil, fmt.Errorf("%w: %d held-out pairs in a job without hold-out", fit.ErrTable, out.held.count())
	}
	slices.SortFunc(pairs, func(a, b pair) int { return compare(a.item, b.item, a.user, b.user) })
	out.byItem = collect(p.Items(), pairs, func(c *pair) (int32, int32, float64, bool) {
		return c.item, c.user, out.worth(c.train, c.sum), c.train > 0
	})
	return out, nil
}

// gather sorts rows by user and item, and joins those of a pair.
func gather(p *optim.Program, t *dataset.Table, columns []*dataset.Column) []pair {
	var rows []pair
	items := int32(p.Items())
	for i, item := range columns[0].Codes {
		if item == dataset.Missing || item == items {
			continue
		}
		c := pair{user: t.User[i], item: item, train: 1}
		if p.Model.Recommendation.Explicit {
			rating := columns[1].Numbers[i]
			if math.IsNaN(rating) {
				continue
			}
			c.sum = p.Pipeline().Unit(1, rating)
		}
		if t.Held(i) {
			c.train, c.held, c.sum, c.heldup = 0, 1, 0, c.sum
		}
		rows = append(rows, c)
	}
	slices.SortStableFunc(rows, func(a, b pair) int { return compare(a.user, b.user, a.item, b.item) })
	out := rows[:0]
	for _, c := range rows {
		if n := len(out); n > 0 && out[n-1].user == c.user && out[n-1].item == c.item {
			last := &out[n-1]
			last.train, last.held, last.sum, last.heldup = last.train+c.train, last.held+c.held, last.sum+c.sum, last.heldup+c.heldup
			continue
		}
		out = append(out, c)
	}
	return out
}

func compare(a, b, then, than int32) int {
	if a != b {
		return int(a) - int(b)
	}
	return int(then) - int(than)
}

// worth is a pair's value in a history.
func (p *Pairs) worth(n int, sum float64) float64 {
	if p.program.Model.Recommendation.Explicit {
		return sum / float64(n)
	}
	return p.program.Model.Recommendation.Alpha * min(math.Log1p(float64(n)), optim.MaxConfidence)
}

// collect makes a history of sorted pairs.
func collect(rows int, pairs []pair, cell func(*pair) (row, column int32, value float64, ok bool)) history {
	h := history{start: make([]int, rows+1)}
	for i := range pairs {
		if row, column, value, ok := cell(&pairs[i]); ok {
			h.column, h.value = append(h.column, column), append(h.value, value)
			h.start[row+1] = len(h.column)
		}
	}
	for r := range rows {
		h.start[r+1] = max(h.start[r+1], h.start[r])
	}
	return h
}
