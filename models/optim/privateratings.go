package optim

import (
	"fmt"
	"math"

	"tributary/models/metrics"
)

// Private matrix factorisation of ratings, r ∈ [-1, 1] by the contract's range. A rating is the mean, the item's bias b_i, the user's
// bias and ⟨x, y_i⟩. Mean and items' biases come from FIT; a participant solves for a user's bias and factor x given the items', and
// neither leaves it. With n the user's learnt items and p = r less the mean and both biases, the rounds are
//
//	FIT       w for each of the user's items and once for the user, and w·r for each of the items, once
//	TRAIN     w·g·n·x·xᵀ, g = 1/16, and w·p·x for each of the user's items, max_rounds times
//	EVALUATE  see EvaluationLanes, if the job measures
//
// with w = min(1, clip/‖lanes without w‖) of that user in that round: in FIT √(n+1+Σr²), in TRAIN ‖x‖·√((g·n·‖x‖)² + Σp²), since
// the items' lanes are different ones. So a user's lanes have a norm of at most clip, whatever it rated and however often.
//
// The exact equations of item i are (A_i + λI)·y = v_i with A_i = Σw·x·xᵀ and v_i = Σw·p·x over the item's users. A matrix for each item
// has (k+1)/2 times as many noised lanes as the vectors, and gave larger errors at ε = 1 to 4; here all items share one, in proportion to
// FIT's counts c: A_i = (c_i/Σc)·Σw·n·x·xᵀ. The step doesn't solve these equations but fits them, with a prior for y: it minimises
//
//	‖(A_i+λI)·y - v_i‖² + (σ/priorSpread)²·‖y‖²
//
// which is the linear estimate of least mean squared error of a y of deviation priorSpread, of vectors with noise of deviation σ. Its
// matrix (A_i+λI)² + (σ/priorSpread)²·I is positive definite, whatever the noise made of A_i; the more noise, the nearer y is to 0.
// Items' biases are fitted likewise, c_i being A_i, and Σw·r less c_i times the mean v_i.
// g brings both parts of TRAIN to about the same norm; from 1/8 to 1/32 the error hardly changes.

const (
	// MaxRatedFactors bounds the factors of a private factorisation of ratings: the step has k³/6 products for each item.
	MaxRatedFactors = 64
	// GramWeight is the g of TRAIN.
	GramWeight = 0x1p-4

	priorSpread = 0.25 // of items' biases, and of each number of their factors: half a star of five
	maxBias     = 2.0  // a rating less the mean, both within [-1, 1]
)

// prior is what is added to a squared equation whose right side has the given noise.
func (f privateFactors) prior(sigma2 uint64) float64 {
	spread := f.sigma(sigma2) / priorSpread
	return float64(spread * spread)
}

// centre sets the mean rating and the learnt items' biases of a state whose items are counted.
func (f privateFactors) centre(s *State, ratings []float64) {
	scale, sum, count := float64(f.privacy.Scale), 0.0, 0.0
	for i, n := range s.factors.itemUsers {
		if !s.fitted.Folded[i] {
			sum += ratings[i] / scale
			count += float64(n)
		}
	}
	mean := min(max(sum/count, -1), 1)
	s.fitted.Mean, s.fitted.SD = []float64{0.5 + float64(0.5*mean)}, []float64{1}
	d, prior := f.FactorLength(), f.prior(f.privacy.Sigma2Fit)
	for i, n := range s.factors.itemUsers {
		if s.fitted.Folded[i] {
			continue
		}
		above := ratings[i]/scale - float64(float64(n)*mean)
		a := float64(n) + f.Model.L2
		bias := float64(a*above) / (float64(a*a) + prior)
		s.w[(i+1)*d-1] = min(max(bias, -maxBias), maxBias)
	}
}

// rate is the step of TRAIN: it fits the items' factors. Their biases stay.
func (f privateFactors) rate(s *State, gram, vector []float64) (*State, Report, error) {
	if err := f.checkUsers(f.privacy.Sigma2Train, gram, vector); err != nil {
		return nil, Report{}, err
	}
	k, d, scale, square := f.Model.Factors, f.FactorLength(), float64(f.privacy.Scale), 0.0
	common, squared := f.shared(gram)
	l2, prior, pairs := f.Model.L2, f.prior(f.privacy.Sigma2Train), 0.0
	for i, n := range s.factors.itemUsers {
		if !s.fitted.Folded[i] {
			pairs += float64(n)
		}
	}
	next := s.advance(Train)
	next.rounds, next.factors, next.w = s.rounds+1, s.factors, append([]float64(nil), s.w...)
	m, least, right := newMatrix(k), make([]float64, k), make([]float64, k)
	for i := range least {
		least[i] = float64(0.5 * prior) // no pivot is below prior, but for rounding: a column of such a one stays at zero
	}
	for item, n := range s.factors.itemUsers {
		if s.fitted.Folded[item] {
			continue
		}
		share, sums := float64(n)/pairs, vector[item*k:(item+1)*k]
		for i := range k {
			for j := range i + 1 {
				m.row(i)[j] = float64(float64(share*share)*squared.row(i)[j]) + float64(float64(float64(2*share)*l2)*common.row(i)[j])
			}
			m.row(i)[i] += float64(l2*l2) + prior
			right[i] = (float64(share*dot(common.row(i), sums)) + float64(l2*sums[i])) / scale
		}
		m.cholesky(least)
		for i, w := range m.backward(m.forward(right)) {
			if !(math.Abs(w) <= maxCoefficient) {
				return nil, Report{}, fmt.Errorf("%w: coefficient %d of item %d is %g\nhint: raise l2 or epsilon", ErrDiverged, i, item, w)
			}
			change := w - s.w[item*d+i]
			square += float64(change * change)
			next.w[item*d+i] = w
		}
	}
	next, report := f.stepped(next, square, fmt.Sprintf("noised: prior %.4g", prior))
	return next, report, nil
}

// shared gives Σw·n·x·xᵀ, both triangles, and its square, which has the lower one.
func (f privateFactors) shared(gram []float64) (common, squared *matrix) {
	k, unit := f.Model.Factors, float64(float64(f.privacy.Scale)*GramWeight)
	common, squared = newMatrix(k), newMatrix(k)
	at := 0
	for i := range k {
		common.row(i)[i] = gram[at] / unit
		at++
		for j := i + 1; j < k; j++ {
			v := gram[at] / float64(unit*math.Sqrt2)
			common.row(i)[j], common.row(j)[i] = v, v
			at++
		}
	}
	for i := range k {
		for j := range i + 1 {
			squared.row(i)[j] = dot(common.row(i), common.row(j))
		}
	}
	return common, squared
}

// HalfRange is half the range of a rating, in its unit.
func (p *Program) HalfRange() float64 {
	rating := &p.spec.Features()[1]
	return float64(0.5 * (rating.Max - rating.Min))
}

// rootMeanSquare gives the noised number of users with held-out ratings, and the root of their mean squared error.
func (f privateFactors) rootMeanSquare(users, squares float64) (int64, metrics.Value) {
	n := whole(users)
	out := metrics.Mean(min(max(squares, 0), float64(n)), n)
	out.V = float64(math.Sqrt(out.V) * f.HalfRange())
	return n, out
}
