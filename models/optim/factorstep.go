package optim

import (
	"fmt"
	"math"

	"tributary/models/metrics"
)

// loss takes a loss out of its lane; quantisation may have made it negative, or larger than it can be.
func (p *Program) loss(lane float64, exponent int) (float64, error) {
	if !(lane <= 1+p.unit()) {
		return 0, fmt.Errorf("%w: loss %g, at most %g is possible", ErrSums, pow2(lane, exponent), pow2(1, exponent))
	}
	return max(pow2(lane, exponent), 0), nil
}

// step solves each item's normal equations, or moves the items by the mean of what participants' own training changed.
func (f factorization) step(s *State, v map[string][]float64) (*State, Report, error) {
	options, rows := f.Model.Recommendation, s.fitted.Rows
	train, held := f.lossExponents(s)
	loss, err := f.loss(v[segLoss][0], train)
	if err != nil {
		return nil, Report{}, err
	}
	objective := loss
	if lane := v[segNorm]; lane != nil {
		norm := max(pow2(lane[0], rowExponent(s.factors.users)+2*normExponent), 0)
		objective += float64(f.Model.L2 * (norm + dot(s.w, s.w)))
	}
	next := s.advance(Train)
	next.rounds = s.rounds + 1
	next.factors = &factorMemory{users: s.factors.users, itemUsers: s.factors.itemUsers, objective: objective}
	report := Report{Kind: Train, Step: next.step, Rows: rows, Objective: objective, LossPerRow: loss / float64(rows)}
	stop := false
	if options.Patience > 0 {
		heldLoss, err := f.loss(v[segHeldLoss][0], held)
		if err != nil {
			return nil, Report{}, err
		}
		stop, report.Note = f.watch(s, next, heldLoss)
	}
	move := f.solve
	if options.Training != nil {
		move = f.average
	}
	if next.w, err = move(s, v); err != nil {
		return nil, Report{}, err
	}
	square := 0.0
	for i, w := range next.w {
		change := w - s.w[i]
		square += float64(change * change)
	}
	report.Decrement = math.Sqrt(square)
	if s.rounds > 0 && options.Patience == 0 {
		next.converged = math.Abs(s.factors.objective-objective) <= float64(f.Model.Tolerance*objective)
	}
	report.Converged = next.converged
	if next.converged || stop || int(next.rounds) >= f.Model.MaxRounds {
		next.kind = Evaluate
		if b := next.factors.best; b != nil {
			next.w = b
		}
		next.factors.best, next.factors.bestLoss, next.factors.worse = nil, 0, 0
		if !next.converged && report.Note == "" {
			report.Note = fmt.Sprintf("not converged after %d rounds", next.rounds)
		}
	}
	return next, report, nil
}

// watch follows the held-out loss at the factors that the round was summed at. The state keeps the best.
func (f factorization) watch(s, next *State, loss float64) (stop bool, note string) {
	m, last := next.factors, s.factors
	m.best, m.bestLoss = s.w, loss
	if s.rounds > 0 && last.bestLoss <= loss {
		m.best, m.bestLoss, m.worse = last.best, last.bestLoss, last.worse+1
	}
	note = fmt.Sprintf("held-out loss %.6g", loss)
	if patience := f.Model.Recommendation.Patience; m.worse >= uint32(patience) {
		return true, note + fmt.Sprintf(": no better for %d rounds, the best is kept", patience)
	}
	return false, note
}

// solve gives each item (G + A_i + λI)⁻¹·b_i, G being the common Gram matrix of implicit feedback. A folded item stays at zero.
func (f factorization) solve(s *State, v map[string][]float64) ([]float64, error) {
	gram, matrix, vector := f.scaleFactors(s, v[segUserGram], v[segMatrix], v[segVector], 1)
	d := f.FactorLength()
	triangle := d * (d + 1) / 2
	if len(gram) == 0 {
		gram = make([]float64, triangle)
	}
	out := make([]float64, len(s.w))
	m, least := newMatrix(d), make([]float64, d)
	for i := range least {
		// All sums are positive semidefinite but for their quantisation: a pivot is λ or more.
		least[i] = float64(0.5 * f.Model.L2)
	}
	for item := range f.Items() {
		if s.fitted.Folded[item] {
			continue
		}
		at, sums := 0, matrix[item*triangle:(item+1)*triangle]
		for i := range d {
			for j := i; j < d; j++ {
				m.row(j)[i] = gram[at] + sums[at] // the upper triangle's row i is the lower one's column i
				at++
			}
			m.row(i)[i] += f.Model.L2
		}
		for _, pivot := range m.cholesky(least) {
			if !pivot {
				return nil, fmt.Errorf("%w: the equations of item %d can't be solved\nhint: raise l2, or bits", ErrDiverged, item)
			}
		}
		for i, w := range m.backward(m.forward(vector[item*d : (item+1)*d])) {
			if !(math.Abs(w) <= maxCoefficient) {
				return nil, fmt.Errorf("%w: coefficient %d of item %d is %g\nhint: raise l2", ErrDiverged, i, item, w)
			}
			out[item*d+i] = w
		}
	}
	return out, nil
}

// RankingSums are one participant's sums for the trained factors. A user counts who has training pairs and at least one relevant
// held-out item; recommendations are the TopK items with the highest scores but for those of the user's training pairs.
type RankingSums struct {
	Rows         int64
	Users        int64
	Recall       float64 // Σ over users: hits by relevant items
	NDCG         float64 // Σ over users
	AP           float64 // Σ over users: average precision
	Recommended  []int64 // by item: 1 if any user is recommended it
	HeldOut      int64   // explicit: held-out pairs
	SquaredError float64 // explicit: Σ over them, at most MaxPairLoss each
}

// Names of segments.
const (
	segRecall      = "recall"
	segNDCG        = "ndcg"
	segAP          = "average_precision"
	segRecommended = "recommended"
	segRankedUsers = "ranked_users"
)

// layoutRanking adds only what the job's metrics need.
func (f factorization) layoutRanking(add func(name string, length int, scale uint64)) {
	e, lane := f.Evaluate, f.lane()
	if e.Recall || e.NDCG || e.MAP {
		add(segRankedUsers, 1, 1)
	}
	for _, metric := range []struct {
		on   bool
		name string
	}{{e.Recall, segRecall}, {e.NDCG, segNDCG}, {e.MAP, segAP}} {
		if metric.on {
			add(metric.name, 1, lane)
		}
	}
	if e.Coverage {
		add(segRecommended, f.Items(), 1)
	}
	if e.RMSE {
		add(segHeldOut, 1, 1)
		add(segHeldLoss, 1, lane)
	}
}

// EncodeRanking gives EVALUATE sums as the segments of Layout(Evaluate).
func (p *Program) EncodeRanking(s *State, t RankingSums) [][]float64 {
	users := rowExponent(s.factors.users)
	return p.assemble(Evaluate, map[string][]float64{
		segRows: one(t.Rows), segRankedUsers: one(t.Users), segRecommended: floats(t.Recommended), segHeldOut: one(t.HeldOut),
		segRecall: {pow2(t.Recall, -users)}, segNDCG: {pow2(t.NDCG, -users)}, segAP: {pow2(t.AP, -users)},
		segHeldLoss: {pow2(t.SquaredError, -rowExponent(s.fitted.HeldOut)-pairExponent)},
	})
}

func (f factorization) rank(s *State, v map[string][]float64) (*State, Report, error) {
	summary := metrics.Summary{Rows: s.fitted.Rows, Objective: s.factors.objective, HeldOut: s.fitted.HeldOut, TopK: f.Model.Recommendation.TopK}
	if ranked := v[segRankedUsers]; ranked != nil {
		summary.Users = int64(ranked[0])
		if summary.Users < 0 || summary.Users > s.factors.users {
			return nil, Report{}, fmt.Errorf("%w: %d of %d users have held-out items", ErrSums, summary.Users, s.factors.users)
		}
	}
	e := rowExponent(s.factors.users)
	for _, metric := range []struct {
		name string
		out  *metrics.Value
	}{{segRecall, &summary.Recall}, {segNDCG, &summary.NDCG}, {segAP, &summary.MAP}} {
		if lane := v[metric.name]; lane != nil {
			total, most := pow2(lane[0], e), float64(summary.Users)
			if noise := pow2(f.unit(), e); !(total >= -noise && total <= most+noise) {
				return nil, Report{}, fmt.Errorf("%w: %s of %d users is %g", ErrSums, metric.name, summary.Users, total)
			}
			*metric.out = metrics.Mean(min(max(total, 0), most), summary.Users)
		}
	}
	if err := f.covered(v, &summary); err != nil {
		return nil, Report{}, err
	}
	if lane := v[segHeldLoss]; lane != nil {
		if int64(v[segHeldOut][0]) != s.fitted.HeldOut {
			return nil, Report{}, fmt.Errorf("%w: %g held-out pairs, FIT had %d\nhint: a participant's rows changed during the job", ErrSums, v[segHeldOut][0], s.fitted.HeldOut)
		}
		square, err := f.loss(lane[0], rowExponent(s.fitted.HeldOut)+pairExponent)
		if err != nil {
			return nil, Report{}, err
		}
		if summary.RMSE = metrics.Mean(square, s.fitted.HeldOut); summary.RMSE.Known {
			summary.RMSE.V = float64(math.Sqrt(summary.RMSE.V) * f.HalfRange())
		}
	}
	next := *s
	next.kind, next.step, next.summary = Done, s.step+1, summary
	report := Report{Kind: Evaluate, Step: next.step, Rows: summary.Rows, Objective: summary.Objective, Converged: s.converged, Metrics: &summary, Note: summary.Ranking()}
	if f.Evaluate.HoldOut && s.fitted.HeldOut == 0 {
		report.Note = "no held-out pairs: no metrics"
	}
	return &next, report, nil
}

// covered sets the share of the catalogue that somebody is recommended.
func (f factorization) covered(v map[string][]float64, out *metrics.Summary) error {
	lanes := v[segRecommended]
	if lanes == nil {
		return nil
	}
	covered := 0
	for i, n := range lanes {
		if n < 0 || n > float64(f.Contributors) {
			return fmt.Errorf("%w: item %d is recommended by %g of %d participants", ErrSums, i, n, f.Contributors)
		}
		if n > 0 {
			covered++
		}
	}
	out.Coverage = metrics.Mean(float64(covered), int64(f.Items()))
	return nil
}
