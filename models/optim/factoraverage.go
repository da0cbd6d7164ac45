package optim

import (
	"fmt"
	"math"
)

// Matrix factorisation by gradients. In a round, every participant solves for its own users' factors given the items', as in ALS, and
// goes on from there: it passes over its pairs a few times, moving users and items by the gradient of each pair in turn. What its items
// changed is averaged; what its users have become is forgotten, as the next round solves for it afresh. So a round is a function of the
// state and the rows, and nothing of a user is kept anywhere.
//
// SGD learns from ratings and minimises what explicit ALS does [KBV09, p. 34]. BPR learns from what was taken: a pair of user u and
// item i is compared with an item j that u hasn't taken, drawn evenly, and the loss is -ln σ(s_ui - s_uj), where the score
// s_ui = ⟨x_u, y_i⟩ + b_i has the item's bias, plus (λ/2)·(‖x_u‖² + ‖y_i‖² + ‖y_j‖²) of each comparison [RFG09, §4]. Its objective in
// reports is the loss without the penalty, over comparisons that are the same in all rounds.
//
// [KBV09] Y. Koren, R. Bell, C. Volinsky: Matrix Factorization Techniques for Recommender Systems. IEEE Computer 42(8), 2009.
// [RFG09] S. Rendle, C. Freudenthaler, Z. Gantner, L. Schmidt-Thieme: BPR: Bayesian Personalized Ranking from Implicit Feedback. UAI 2009.

// BPR ranks what was taken above what wasn't. SGD is the other solver of its kind.
const BPR = "bpr"

// LocalTraining says how participants train a matrix factorisation between two rounds.
type LocalTraining struct {
	Epochs       int     // passes over the training pairs in a round
	LearningRate float64 // of the first round; that of round t is LearningRate/√t
}

func parseLocalTraining(o *object) *LocalTraining {
	t := &LocalTraining{Epochs: int(o.integer("epochs", 1, MaxEpochs)), LearningRate: o.number("learning_rate")}
	if !(t.LearningRate > 0 && t.LearningRate <= 100) {
		o.fail("learning_rate", "%g is not above 0 and at most 100", t.LearningRate)
	}
	return t
}

// FactorChange is one participant's part of a TRAIN round of SGD and BPR.
type FactorChange struct {
	Rows        int64     // training pairs
	ItemUsers   []int64   // training pairs by item
	Loss        float64   // Σ over training pairs at the state's items, at most MaxPairLoss each: squared error, or -ln σ in nats
	Norm        float64   // SGD: Σ‖x_u‖², at the state's items
	HeldOutLoss float64   // as in FactorSums
	Change      []float64 // of each coefficient by local training, length Coefficients
}

// EncodeFactorChange gives it as the segments of Layout(Train). Changes are clipped to ±4. An item's is weighted by the participant's
// share of its training pairs, so that the opened sum is a mean over the pairs that the item is in.
func (p *Program) EncodeFactorChange(s *State, t FactorChange) [][]float64 {
	train, held := p.lossExponents(s)
	d := p.FactorLength()
	change := make([]float64, len(t.Change))
	for i, c := range t.Change {
		if users := s.factors.itemUsers[i/d]; users > 0 {
			share := float64(t.ItemUsers[i/d]) / float64(users)
			change[i] = float64(share * (min(max(c, -maxChange), maxChange) / maxChange))
		}
	}
	return p.assemble(Train, map[string][]float64{
		segRows: one(t.Rows), segLoss: {pow2(t.Loss, -train)}, segNorm: {pow2(t.Norm, -rowExponent(s.factors.users)-2*normExponent)},
		segHeldLoss: {pow2(t.HeldOutLoss, -held)}, segChange: change,
	})
}

// average moves each item by its mean change. A folded item stays at zero.
func (f factorization) average(s *State, v map[string][]float64) ([]float64, error) {
	d, out := f.FactorLength(), make([]float64, len(s.w))
	for i, lane := range v[segChange] {
		if !(math.Abs(lane) <= 1+f.unit()) {
			return nil, fmt.Errorf("%w: coefficient %d of item %d changes by %g, at most %g is sent\nhint: a participant doesn't clip", ErrSums, i%d, i/d, float64(maxChange*lane), maxChange)
		}
		if s.fitted.Folded[i/d] {
			continue
		}
		if out[i] = s.w[i] + float64(maxChange*lane); !(math.Abs(out[i]) <= maxCoefficient) {
			return nil, fmt.Errorf("%w: coefficient %d of item %d is %g\nhint: lower learning_rate, or raise l2", ErrDiverged, i%d, i/d, out[i])
		}
	}
	return out, nil
}
