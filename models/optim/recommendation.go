package optim

import (
	"fmt"
	"slices"
	"strconv"

	"tributary/models/pipeline"
)

func parseRecommendation(doc *object, solver string) *Recommendation {
	o := doc.object("recommendation")
	r := &Recommendation{
		Explicit: o.boolean("explicit"),
		TopK:     int(o.integer("top_k", 1, MaxTopK)),
		Patience: int(o.integer("patience", 0, MaxRoundsLimit)),
		Seed:     o.variance("seed"),
	}
	r.Biased = r.Explicit || solver == BPR
	if solver == SGD || solver == BPR {
		r.Training = parseLocalTraining(o)
	}
	if !r.Explicit && solver == ALS && o.err == nil {
		if r.Alpha = o.number("alpha"); !(r.Alpha > 0 && r.Alpha <= MaxAlpha) {
			o.fail("alpha", "%g is not above 0 and at most %g", r.Alpha, MaxAlpha)
		}
	}
	if err := o.done(); doc.err == nil {
		doc.err = err
	}
	return r
}

// checkRecommendation holds features, metrics and penalty to what a matrix factorisation has.
func (p *Program) checkRecommendation(doc *object, features []pipeline.Feature) {
	r, e := p.Model.Recommendation, p.Evaluate
	if r == nil {
		if e.ranking() || e.RMSE && p.Target == nil {
			doc.fail("evaluate.metrics", "a %s recommends nothing\nhint: auc, log_loss, accuracy", p.Model.Type)
		}
		return
	}
	want := 1
	if r.Explicit {
		want = 2
	}
	switch {
	case len(features) != want || features[0].Kind != pipeline.Category || want == 2 && features[1].Kind != pipeline.Number:
		doc.fail("features", "want the item, a category, and with explicit feedback the rating, a number")
	case features[0].HashBuckets > 0:
		doc.fail("features[0].buckets", "an item needs a name\nhint: list the items' values in the contract")
	case slices.ContainsFunc(features, derived):
		doc.fail("features", "an item and a rating have no buckets, dates or clip_quantiles")
	case features[0].MissingIndicator || len(features[0].Values) > MaxItems:
		doc.fail("features[0]", "an item has no missing_indicator, and at most %d values", MaxItems)
	case want == 2 && (features[1].MissingIndicator || features[1].Standardize || features[1].Log1p):
		doc.fail("features[1]", "a rating has no log1p, standardize or missing_indicator")
	case p.Private() && (r.Patience > 0 || p.privacy.Unit != UnitUser):
		doc.fail("model.recommendation", "a private one takes all of its rounds and protects users\nhint: patience 0 and unit user")
	case p.Private() && r.Explicit && p.Model.Factors > MaxRatedFactors:
		doc.fail("model.factors", "%d factors, a private one of ratings has at most %d", p.Model.Factors, MaxRatedFactors)
	case p.Private() && e.Coverage:
		doc.fail("evaluate.metrics", "coverage hangs on single users: no noise covers it\nhint: recall, ndcg, map; rmse of ratings")
	case r.Explicit != (p.Model.Solver == SGD) && r.Training != nil:
		doc.fail("model.solver", "%s learns from ratings, %s from what was taken\nhint: %s learns from both", SGD, BPR, ALS)
	case !(p.Model.L2 > 0):
		doc.fail("model.l2", "%g is not above 0\nhint: 0.1 is a start", p.Model.L2)
	case e.AUC || e.LogLoss || e.Correct || e.MAE || e.R2 || e.Calibration:
		doc.fail("evaluate.metrics", "auc, log_loss, accuracy, mae, r2 and calibration are of models with a label\nhint: recall, ndcg, map, coverage, rmse")
	case e.RMSE && !r.Explicit:
		doc.fail("evaluate.metrics", "rmse needs ratings\nhint: recall, ndcg, map, coverage")
	case r.Patience > 0 && !e.HoldOut:
		doc.fail("model.recommendation.patience", "nothing is held out to watch\nhint: 0, or evaluate with a hold-out")
	}
}

// ranking tells whether any metric is of lists of items.
func (e Evaluation) ranking() bool { return e.Recall || e.NDCG || e.MAP || e.Coverage }

// checkSize refuses catalogues whose sums or states are too long.
func (f factorization) checkSize() error {
	d := f.FactorLength()
	if n := f.Items() * d * (d + 3) / 2; f.Model.Solver == ALS && n > MaxFactorLanes || f.coefficients() > MaxFactored {
		return fmt.Errorf("model.factors: %d items with %d factors are summed in %d values, at most %d are possible\nhint: use fewer factors, or list fewer values of the item in the contract", f.Items(), f.Model.Factors, n, MaxFactorLanes)
	}
	return nil
}

type documentRecommendation struct {
	Explicit bool     `json:"explicit"`
	Alpha    *float64 `json:"alpha,omitempty"` // implicit
	TopK     int      `json:"top_k"`
	Patience int      `json:"patience"`
	Seed     string   `json:"seed"`

	Epochs       int     `json:"epochs,omitempty"` // sgd and bpr
	LearningRate float64 `json:"learning_rate,omitempty"`
}

func (f factorization) describe(out *document) {
	out.Model.Tolerance = &f.Model.Tolerance
	r := f.Model.Recommendation
	out.Model.Recommendation = f.document(r)
}

func (f factorization) document(r *Recommendation) *documentRecommendation {
	out := &documentRecommendation{Explicit: r.Explicit, TopK: r.TopK, Patience: r.Patience, Seed: strconv.FormatUint(r.Seed, 10)}
	if r.Training != nil {
		out.Epochs, out.LearningRate = r.Training.Epochs, r.Training.LearningRate
	} else if !r.Explicit && f.Model.Solver == ALS {
		out.Alpha = &r.Alpha
	}
	return out
}

// exportFactors is the JSON form of a matrix factorisation. A user's factor x minimises Σ c·(p - score)² + l2·‖x‖² over all items
// (explicit: over those that the user rated), with score = ⟨x, factor⟩, p = 1 and c = 1 + alpha·min(ln(1+n), 8) for items that the
// user was seen with n times, p = 0 and c = 1 for others. Explicit: score = ⟨x, factor⟩ + item's bias + user's bias, c = 1,
// p = (rating - mean)/half_range, and the user's bias is in the penalty too. Of bpr, score = ⟨x, factor⟩ + item's bias, and a user's
// factor minimises Σ -ln σ(score_i - score_j) + (l2/2)·‖x‖² over its items i and random others j. Items with too few users have no factor.
type exportFactors struct {
	Format    string         `json:"format"`
	Version   int            `json:"version"`
	Type      string         `json:"type"`
	Feedback  string         `json:"feedback"`         // implicit, explicit
	Solver    string         `json:"solver,omitempty"` // bpr, which has other scores
	L2        float64        `json:"l2"`
	Alpha     float64        `json:"alpha,omitempty"`
	Factors   int            `json:"factors"`
	Item      string         `json:"item"`
	Rating    string         `json:"rating,omitempty"`
	Mean      *float64       `json:"mean,omitempty"`
	HalfRange *float64       `json:"half_range,omitempty"`
	Private   bool           `json:"private,omitempty"` // counts are noised, and users with many items weigh less in them
	Pairs     int64          `json:"training_pairs"`
	Users     int64          `json:"training_users"`
	Rounds    int            `json:"train_rounds"`
	Converged bool           `json:"converged"`
	Items     []exportItem   `json:"items"`
	Metrics   *exportRanking `json:"metrics,omitempty"`
}

type exportItem struct {
	Value  string    `json:"value"`
	Users  int64     `json:"users"`
	Factor []float64 `json:"factor,omitempty"`
	Bias   *float64  `json:"bias,omitempty"`
}

type exportRanking struct {
	TopK     int      `json:"top_k"`
	HeldOut  int64    `json:"held_out_pairs"`
	Users    int64    `json:"held_out_users"`
	Recall   *float64 `json:"recall,omitempty"`
	NDCG     *float64 `json:"ndcg,omitempty"`
	MAP      *float64 `json:"map,omitempty"`
	Coverage *float64 `json:"coverage,omitempty"`
	RMSE     *float64 `json:"rmse,omitempty"`
}

func (f factorization) export(s *State) any { return f.exported(s) }

func (f factorization) exported(s *State) *exportFactors {
	features, r := f.spec.Features(), f.Model.Recommendation
	m := &exportFactors{
		Format: "tributary-model", Version: 1, Type: f.Model.Type, Feedback: "implicit", L2: f.Model.L2, Alpha: r.Alpha, Factors: f.Model.Factors,
		Item: features[0].Name, Pairs: s.fitted.Rows, Users: s.factors.users, Rounds: int(s.rounds), Converged: s.converged,
	}
	if r.Explicit {
		rating := &features[1]
		mean, half := rating.Min+float64((rating.Max-rating.Min)*s.fitted.Mean[0]), f.HalfRange()
		m.Feedback, m.Rating, m.Mean, m.HalfRange = "explicit", rating.Name, &mean, &half
	}
	if f.Model.Solver == BPR {
		m.Solver = BPR
	}
	d, k := f.FactorLength(), f.Model.Factors
	for i := range f.Items() {
		item := exportItem{Value: features[0].Values[i], Users: s.factors.itemUsers[i]}
		if !s.fitted.Folded[i] {
			item.Factor = s.w[i*d : i*d+k]
			if r.Biased {
				item.Bias = &s.w[i*d+k]
			}
		}
		m.Items = append(m.Items, item)
	}
	if q, ok := s.Metrics(); ok && f.Evaluate.HoldOut {
		m.Metrics = &exportRanking{q.TopK, q.HeldOut, q.Users, known(q.Recall), known(q.NDCG), known(q.MAP), known(q.Coverage), known(q.RMSE)}
	}
	return m
}
