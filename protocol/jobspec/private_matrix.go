package jobspec

import (
	"fmt"

	"tributary/crypto/dp"
)

// solverDPALS is the solver of private matrix factorisations.
const solverDPALS = "dp_als"

// Defaults of dp_als, and its shares of the RDP budget in percent: measured on
// 4,000 users of 100 and of 1,000 items at ε = 1 to 4. With ratings, FIT gives
// the items' biases, too.
const (
	privateFactors                   = 8
	privateMatrixRounds              = 3
	privateMatrixL2                  = 1.0
	matrixFitShare, matrixTrainShare = 10, 85

	ratedMatrixRounds              = 4
	maxRatedFactors                = 64
	ratedFitShare, ratedTrainShare = 25, 70
)

// matchPrivateMatrix checks a private matrix factorisation, and sets its defaults.
func (d *document) matchPrivateMatrix(s *Spec) {
	m, at := &s.Model, func(key string) string { return "model.recommendation." + key }
	if d.given("privacy.unit") && !d.broken["privacy.unit"] && s.Privacy.Unit != unitUser {
		d.report("a private matrix_factorization protects users: whatever one of them took is its contribution", "write unit: user", "privacy.unit")
	}
	if m.Recommendation == nil {
		d.report("a matrix_factorization needs to know what it recommends", "write recommendation: {item: COLUMN}", "model.recommendation", "model.type")
		m.Recommendation = &Recommendation{}
	}
	for _, refused := range []struct{ key, why string }{
		{"alpha", "a private one weighs all pairs alike"},
		{"min_users", "min_users needs counts of users, which a private job doesn't release: the noise covers rare items"},
		{"patience", "a private job runs all of its rounds"},
		{"epochs", "epochs is for the solvers sgd and bpr"},
		{"learning_rate", "learning_rate is for the solvers sgd and bpr"},
	} {
		if d.given(at(refused.key)) {
			d.report(refused.why, "remove "+refused.key, at(refused.key))
		}
	}
	if d.given("model.averaging") || d.given("model.sampling") {
		d.report("averaging and sampling are for other models", "remove them", "model")
	}
	if m.L1 > 0 {
		d.report("a private job has no L1 penalty in this version", "remove l1", "model.l1")
	}
	if d.given("model.tolerance") {
		d.report("a private job runs all of its rounds: where it stopped early would tell of the data", "remove tolerance; max_rounds says how many rounds there are", "model.tolerance")
	}
	if d.given("model.solver") && !d.broken["model.solver"] && m.Solver != solverDPALS {
		d.report("a private matrix_factorization has the solver "+solverDPALS, "write solver: "+solverDPALS+", or leave it out", "model.solver")
	}
	d.matchClasses(s)
	m.Solver, m.Tolerance, m.Averaging, m.Sampling = solverDPALS, 0, nil, nil
	r := m.Recommendation
	*r = Recommendation{Item: r.Item, Rating: r.Rating, TopK: r.TopK}
	rounds := int64(privateMatrixRounds)
	if r.Rating != "" {
		rounds = ratedMatrixRounds
	}
	for _, field := range []struct {
		key   string
		out   *int64
		value int64
	}{{"model.factors", &m.Factors, privateFactors}, {"model.max_rounds", &m.MaxRounds, rounds}, {at("top_k"), &r.TopK, defaultTopK}} {
		if !d.given(field.key) {
			*field.out = field.value
		}
	}
	if r.Rating != "" && m.Factors > maxRatedFactors {
		d.report(fmt.Sprintf("%d factors, with ratings a private job has at most %d", m.Factors, maxRatedFactors), fmt.Sprintf("write factors: %d, the default: with more, there is more noise", privateFactors), "model.factors")
	}
	if !d.given("model.l2") {
		m.L2 = privateMatrixL2
	}
	if m.L2 == 0 {
		d.report("l2 0 leaves the factors of a user with few items undetermined", "write l2: 1 or more", "model.l2")
	}
}

// matrixSegment is segment of dp_als: a user's items, its 1 and its ratings; the
// products of its factor, and for each of its items the factor, or that times how
// far its rating is off; a 1 and its metrics. Package models/optim says why their
// L2 norm is clip at most.
func (r *Resolved) matrixSegment(kind uint8, scale, clip uint64) dp.Segment {
	s := dp.Segment{Clip: scale * clip, Rounding: dp.Stochastic}
	switch kind {
	case kindFit:
		s.Name, s.Length = "counts", r.items()+1
		if r.rated() {
			s.Length += r.items()
		}
	case kindTrain:
		s.Name, s.Length = "statistics", r.factorLanes()
	default:
		s.Name, s.Length = "ranking", r.evaluationLanes()
		most := uint64(1) // √Length, rounded up: no value is above 1
		for most*most < uint64(s.Length) {
			most++
		}
		s.Clip = scale * min(clip, most)
	}
	return s
}

// rated tells whether a matrix factorisation learns from ratings.
func (r *Resolved) rated() bool {
	return r.Model.Recommendation != nil && r.Model.Recommendation.Rating != ""
}

// evaluationLanes counts the values of dp_als's EVALUATE: a 1 beside the metrics
// of lists, and a 1 beside the squared error, whose users are others.
func (r *Resolved) evaluationLanes() int {
	n := len(r.Metrics)
	if contains(r.Metrics, "rmse") {
		n++
		if len(r.Metrics) == 1 {
			return n
		}
	}
	return n + 1
}

// checkPrivateMatrix checks a resolved private matrix factorisation.
func (r *Resolved) checkPrivateMatrix(report report) {
	m, rec := r.Model, r.Model.Recommendation
	if rec == nil || m.Solver != solverDPALS || m.Averaging != nil || m.Sampling != nil || m.L2 == 0 || r.Private.Unit != unitUser {
		report("the model is not a matrix_factorization with solver "+solverDPALS+", a penalty and unit user", "", "program.model")
		return
	}
	if !r.readsItems() {
		report("a matrix_factorization reads its item, and its rating if there is one", "", "program.features")
		return
	}
	if *rec != (Recommendation{Item: rec.Item, Rating: rec.Rating, TopK: rec.TopK}) {
		report("a private matrix_factorization has nothing but items, ratings and top_k", "", "program.model.recommendation")
	}
	most := int64(maxFactors)
	if r.rated() {
		most = maxRatedFactors
	}
	inRange(report, "program.model.factors", m.Factors, 1, most)
	inRange(report, "program.model.recommendation.top_k", rec.TopK, 1, maxTopK)
	r.checkLabel(report)
	r.checkSize(report, "program.model")
	if n := r.factorLanes(); n > maxFactorLanes {
		report(fmt.Sprintf("the items' sums have %d values, at most %d are possible", n, maxFactorLanes), "", "program.model")
	}
}

// privateMatrixSums says what the sums of a private matrix factorisation tell.
func (r *Resolved) privateMatrixSums() string {
	if r.rated() {
		return "of how many users rated each item, and how, of the products of users' factors and, for each item, of its users' factors by how far their ratings are off"
	}
	return "of how many users have each item, of the products of users' factors and, for each item, of its users' factors"
}
