package optim

import (
	"fmt"
	"math"

	"tributary/models/metrics"
	"tributary/models/pipeline"
)

// Private matrix factorisation, by alternating least squares on noised sums [CJK21]. The unit is the user. Of ratings see
// privateratings.go. Of implicit feedback, all pairs of a user and an item count alike, with preference 1 for what was taken and 0 for
// what wasn't: then the items' equations have one matrix in common, and a user says of each of its items only its own factor. With x a
// user's factor divided by its L2 norm, n its learnt items, and w = min(1, clip/√(n+1)), the rounds are
//
//	FIT       w for each of the user's items and once for the user, once
//	TRAIN     w·x·xᵀ, and w·x for each of the user's items, max_rounds times: y_i ← (Σ w·x·xᵀ + (shift+λ)·I)⁻¹·Σ w·x
//	EVALUATE  min(1, clip/√(1+m))·(1, the user's m metrics) of users with held-out items, if the job measures (see EvaluationLanes)
//
// A user's lanes have a norm of at most clip, however long its history is: ‖x·xᵀ‖ = ‖x‖ = 1, and its items' lanes are different ones.
// shift = 2√k·σ, or its double until half of it makes the noised matrix positive definite: twice what noise typically adds to an
// eigenvalue is √2·√k·σ, k being the number of factors. Items whose noised count is below twice its noise's deviation aren't learnt.
//
// A user's factor minimises Σ (p - ⟨x, y_i⟩)² + λ·‖x‖² given noised items: that is made at the participant, and never leaves it.
//
// [CJK21] S. Chien, P. Jain, W. Krichene, S. Rendle, S. Song, A. Thakurta, L. Zhang: Private Alternating Least Squares: Practical Private
// Matrix Completion with Tighter Rates. ICML 2021.

// DPALS is the solver of private matrix factorisations.
const DPALS = "dp_als"

const (
	segCounts  = "counts"
	segRatings = "ratings"
	segRanking = "ranking"
)

// privateFactors is the solver of programs with DPALS.
type privateFactors struct{ *Program }

func (f privateFactors) name() string      { return f.Model.Type + "/" + DPALS }
func (f privateFactors) coefficients() int { return f.Items() * f.FactorLength() }

func (f privateFactors) layout(kind RoundKind, add func(name string, length int, scale uint64)) {
	k := f.Model.Factors
	switch kind {
	case Fit:
		add(segCounts, f.Items()+1, 1) // by item, and users last
		if f.Model.Recommendation.Explicit {
			add(segRatings, f.Items(), 1)
		}
	case Train:
		add(segUserGram, k*(k+1)/2, 1)
		add(segVector, f.Items()*k, 1)
	case Evaluate:
		if f.measures() {
			add(segRanking, f.EvaluationLanes(), 1)
		}
	}
}

// RankingMetrics counts the metrics of recall, ndcg and map that the job asks for; that is their order, too.
func (p *Program) RankingMetrics() (n int) {
	for _, on := range []bool{p.Evaluate.Recall, p.Evaluate.NDCG, p.Evaluate.MAP} {
		if on {
			n++
		}
	}
	return n
}

// EvaluationLanes counts the values of a private EVALUATE, each of at most 1 of a user: a 1 and its metrics of users with relevant
// held-out items, then, with rmse, a 1 and the mean squared error of users with held-out ratings.
func (p *Program) EvaluationLanes() (n int) {
	if n = p.RankingMetrics(); n > 0 {
		n++
	}
	if p.Evaluate.RMSE {
		n += 2
	}
	return n
}

// EvaluationWeight is how much a user's values count in a private EVALUATE: their norm is at most clip then.
func (p *Program) EvaluationWeight() float64 {
	return min(1, float64(p.privacy.Clip)/math.Sqrt(float64(p.EvaluationLanes())))
}

func (f privateFactors) maxRounds(kind RoundKind) int { return descent(f).maxRounds(kind) }

func (f privateFactors) apply(s *State, v map[string][]float64) (*State, Report, error) {
	switch s.kind {
	case Fit:
		return f.fit(s, v[segCounts], v[segRatings])
	case Train:
		if f.Model.Recommendation.Explicit {
			return f.rate(s, v[segUserGram], v[segVector])
		}
		return f.step(s, v[segUserGram], v[segVector])
	default:
		return f.rank(s, v[segRanking])
	}
}

// checkUsers is checkNorm of sums over users, each of whom has a row or more and a norm of at most clip.
func (f privateFactors) checkUsers(sigma2 uint64, sums ...[]float64) error {
	var all []float64
	for _, sum := range sums {
		for _, v := range sum {
			all = append(all, v/float64(f.privacy.Clip))
		}
	}
	return f.checkNorm(all, sigma2)
}

// least is the noised count from which an item is learnt.
func (f privateFactors) least() int64 {
	return int64(math.Floor(float64(2*f.sigma(f.privacy.Sigma2Fit)))) + 1
}

func (f privateFactors) folded(itemUsers []int64) []bool {
	out := f.spec.Plain().Folded
	for i := range out {
		out[i] = i >= len(itemUsers) || itemUsers[i] < f.least()
	}
	return out
}

// fit keeps the items that stand out of the noise, and starts their factors.
func (f privateFactors) fit(s *State, sum, ratings []float64) (*State, Report, error) {
	if err := f.checkUsers(f.privacy.Sigma2Fit, sum, ratings); err != nil {
		return nil, Report{}, err
	}
	items, scale := f.Items(), float64(f.privacy.Scale)
	m := &factorMemory{users: max(whole(sum[items]/scale), 1), itemUsers: make([]int64, items)}
	kept, rows := 0, int64(0)
	for i := range items {
		m.itemUsers[i] = whole(sum[i] / scale)
		if rows += m.itemUsers[i]; m.itemUsers[i] >= f.least() {
			kept++
		}
	}
	if kept == 0 {
		return nil, Report{}, fmt.Errorf("%w: no item's noised count is %d or more\nhint: raise epsilon, or bring more users", ErrNoRows, f.least())
	}
	next := s.advance(Train)
	next.fitted, next.factors = &pipeline.Fitted{Rows: rows, Folded: f.folded(m.itemUsers)}, m
	next.w = factorization(f).first(next.fitted)
	if f.Model.Recommendation.Explicit {
		f.centre(next, ratings)
	}
	note := fmt.Sprintf("noised: users weigh about %d (standard error %.0f or more); %d of %d items have a noised count of %d or more", m.users, f.sigma(f.privacy.Sigma2Fit), kept, items, f.least())
	return next, Report{Kind: Fit, Step: next.step, Rows: rows, Note: note}, nil
}

// step solves the items' equations. All max_rounds rounds are taken.
func (f privateFactors) step(s *State, gram, vector []float64) (*State, Report, error) {
	if err := f.checkUsers(f.privacy.Sigma2Train, gram, vector); err != nil {
		return nil, Report{}, err
	}
	factor, shift, doubled, err := f.common(gram)
	if err != nil {
		return nil, Report{}, err
	}
	k, scale, square := f.Model.Factors, float64(f.privacy.Scale), 0.0
	next := s.advance(Train)
	next.rounds, next.factors, next.w = s.rounds+1, s.factors, make([]float64, len(s.w))
	b := make([]float64, k)
	for item := range f.Items() {
		if s.fitted.Folded[item] {
			continue
		}
		for i := range b {
			b[i] = vector[item*k+i] / scale
		}
		for i, w := range factor.backward(factor.forward(b)) {
			if !(math.Abs(w) <= maxCoefficient) {
				return nil, Report{}, fmt.Errorf("%w: coefficient %d of item %d is %g\nhint: raise l2 or epsilon", ErrDiverged, i, item, w)
			}
			change := w - s.w[item*k+i]
			square += float64(change * change)
			next.w[item*k+i] = w
		}
	}
	note := fmt.Sprintf("noised: eigen-shift %.4g", shift)
	if doubled > 0 {
		note += fmt.Sprintf(", doubled %d times for the noise of the users' matrix", doubled)
	}
	next, report := f.stepped(next, square, note)
	return next, report, nil
}

// stepped ends a step that changed the coefficients by the given square.
func (f privateFactors) stepped(next *State, square float64, note string) (*State, Report) {
	report := Report{Kind: Train, Step: next.step, Rows: next.fitted.Rows, Decrement: math.Sqrt(square), Note: note + "; no loss is measured"}
	if int(next.rounds) >= f.Model.MaxRounds {
		if next.kind = Evaluate; !f.measures() {
			next.kind = Done
			next.summary = f.unmeasured(next)
		}
	}
	return next, report
}

// common gives the Cholesky factor of the equations' matrix. Lanes off the diagonal carry a factor √2: then a user's lanes have the norm
// ‖x·xᵀ‖ = 1.
func (f privateFactors) common(gram []float64) (factor *matrix, shift float64, doubled int, err error) {
	k, scale := f.Model.Factors, float64(f.privacy.Scale)
	shift = float64(float64(2*math.Sqrt(float64(k))) * f.sigma(f.privacy.Sigma2Train))
	shifted := func(by float64) (*matrix, bool) {
		m, at := newMatrix(k), 0
		for i := range k {
			m.row(i)[i] = gram[at]/scale + by
			at++
			for j := i + 1; j < k; j++ {
				m.row(j)[i] = gram[at] / float64(scale*math.Sqrt2) // the upper triangle's row i is the lower one's column i
				at++
			}
		}
		return m, all(m.cholesky(make([]float64, k)))
	}
	for ; doubled < maxShifts; doubled++ {
		if _, ok := shifted(float64(shift / 2)); ok {
			if m, ok := shifted(shift + f.Model.L2); ok {
				return m, shift, doubled, nil
			}
		}
		shift = float64(2 * shift)
	}
	return nil, 0, 0, fmt.Errorf("%w: no shift makes the users' matrix positive definite", ErrSums)
}

func (f privateFactors) unmeasured(s *State) metrics.Summary {
	return metrics.Summary{Rows: s.fitted.Rows, TopK: f.Model.Recommendation.TopK}
}

// rank is the step of EVALUATE.
func (f privateFactors) rank(s *State, sum []float64) (*State, Report, error) {
	if err := f.checkUsers(f.privacy.Sigma2Evaluate, sum); err != nil {
		return nil, Report{}, err
	}
	unit := float64(float64(f.privacy.Scale) * f.EvaluationWeight())
	summary := f.unmeasured(s)
	if f.RankingMetrics() > 0 {
		summary.Users = whole(sum[0] / unit)
		at := 1
		for _, m := range []struct {
			on  bool
			out *metrics.Value
		}{{f.Evaluate.Recall, &summary.Recall}, {f.Evaluate.NDCG, &summary.NDCG}, {f.Evaluate.MAP, &summary.MAP}} {
			if m.on {
				*m.out = metrics.Mean(min(max(sum[at]/unit, 0), float64(summary.Users)), summary.Users)
				at++
			}
		}
	}
	if f.Evaluate.RMSE {
		users, rmse := f.rootMeanSquare(sum[len(sum)-2]/unit, sum[len(sum)-1]/unit)
		if summary.RMSE = rmse; f.RankingMetrics() == 0 {
			summary.Users = users
		}
	}
	next := s.advance(Done)
	next.factors, next.summary = s.factors, summary
	noise := f.sigma(f.privacy.Sigma2Evaluate) / f.EvaluationWeight()
	report := Report{Kind: Evaluate, Step: next.step, Rows: summary.Rows, Metrics: &summary}
	report.Note = fmt.Sprintf("metrics are noisy: the noise alone moves each mean by about %.2g; %s", noise/float64(max(summary.Users, 1)), summary.Ranking())
	return next, report, nil
}

func (f privateFactors) describe(out *document) {
	r := f.Model.Recommendation
	out.Model.Recommendation = factorization(f).document(r)
}

func (f privateFactors) export(s *State) any {
	m := factorization(f).exported(s)
	m.Private = true
	return m
}
