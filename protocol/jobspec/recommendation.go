package jobspec

import (
	"fmt"
	"slices"
	"strconv"
)

// Words of models that recommend.
const (
	typeMatrix = "matrix_factorization"
	solverALS  = "als"
)

// Bounds and defaults of recommendations.
const (
	matrixFactors   = 24
	matrixL2        = 10.0
	matrixRounds    = 10
	matrixTolerance = 1e-4
	ratingL2        = 1.0
	defaultAlpha    = 4.0
	maxAlpha        = 1000.0
	defaultTopK     = 10
	maxTopK         = 1000
	maxFactorLanes  = 1 << 22 // of the sums of one round
)

// Recommendation says what a matrix factorisation learns from; nil in other models.
type Recommendation struct {
	Item         string  // the contract's category whose values are recommended
	Rating       string  // the contract's number that users rate items by; empty: each row says that a user took an item
	Alpha        float64 // als without ratings: how much what was taken counts more than what wasn't; else 0
	MinUsers     int64   // an item with fewer users in the sum isn't learnt
	TopK         int64   // items in a list, for the metrics
	Patience     int64   // rounds without a better held-out loss that end the training; 0: not watched
	Epochs       int64   // sgd and bpr: passes over the pairs in a round; else 0
	LearningRate float64 // sgd and bpr: of the first round, that of round t is this over √t; else 0
}

// recommends tells whether a model needs a contract without a label.
func (m *Model) recommends() bool { return m.Type == typeMatrix }

// recommendation reads what is written; the defaults are set by matchMatrix.
func (d *document) recommendation(v value) *Recommendation {
	r := &Recommendation{}
	_, keys, ok := d.fields(v, "item", "rating", "alpha", "min_users", "top_k", "patience", "epochs", "learning_rate")
	if !ok {
		return r
	}
	d.require(v, keys, map[string]string{"item": "name the contract's category whose values are recommended"}, "item")
	if v, ok := keys["item"]; ok {
		r.Item, _ = d.text(v)
	}
	if v, ok := keys["rating"]; ok {
		r.Rating, _ = d.text(v)
	}
	if v, ok := keys["alpha"]; ok {
		if r.Alpha, ok = d.number(v); ok && !(r.Alpha > 0 && r.Alpha <= maxAlpha) {
			d.at(v.path, v.at, fmt.Sprintf("alpha %v is not above 0 and at most %v", r.Alpha, maxAlpha), "")
		}
	}
	if v, ok := keys["learning_rate"]; ok {
		r.LearningRate = d.rate(v)
	}
	for _, field := range []struct {
		key       string
		out       *int64
		low, high int64
	}{{"min_users", &r.MinUsers, 1, maxMinCount}, {"top_k", &r.TopK, 1, maxTopK}, {"patience", &r.Patience, 0, maxTrainRounds}, {"epochs", &r.Epochs, 1, maxEpochs}} {
		if v, ok := keys[field.key]; ok {
			*field.out, _ = d.integer(v, field.low, field.high)
		}
	}
	return r
}

// matchFeatures keeps features to the models that have them.
func (d *document) matchFeatures(root value, keys map[string]value, s *Spec) {
	_, given := keys["features"]
	switch {
	case s.Model.recommends() && given:
		d.report("a matrix_factorization has no features: it learns from who took or rated what", "remove features; model.recommendation.item names the items' column", "features")
	case !s.Model.recommends() && !given:
		d.require(root, keys, nil, "features")
	}
}

// matchMatrix checks a matrix factorisation, and sets its defaults.
func (d *document) matchMatrix(s *Spec) {
	m, at := &s.Model, func(key string) string { return "model." + key }
	if m.Recommendation == nil {
		d.report("a matrix_factorization needs to know what it recommends", "write recommendation: {item: COLUMN}", at("recommendation"), at("type"))
		m.Recommendation = &Recommendation{}
	}
	r := m.Recommendation
	if d.given(at("averaging")) {
		d.report("averaging is for the solvers fedavg, fedprox and fedadam", "remove averaging", at("averaging"))
	}
	set := func(key string, out *int64, value int64) {
		if !d.given(at(key)) {
			*out = value
		}
	}
	set("factors", &m.Factors, matrixFactors)
	set("max_rounds", &m.MaxRounds, matrixRounds)
	set("recommendation.min_users", &r.MinUsers, defaultMinCount)
	set("recommendation.top_k", &r.TopK, defaultTopK)
	if !d.given(at("tolerance")) {
		m.Tolerance = matrixTolerance
	}
	if !d.given(at("l2")) {
		if m.L2 = matrixL2; r.Rating != "" {
			m.L2 = ratingL2
		}
	}
	d.matchGradients(m)
	if m.L2 == 0 {
		d.report("l2 0 leaves the factors of a user with few items undetermined", "write l2: 1 or more", at("l2"))
	}
	switch given := d.given(at("recommendation.alpha")); {
	case steps(m.Solver):
	case r.Rating != "" && given:
		d.report("alpha weighs what was taken against what wasn't; ratings say more", "remove alpha or rating", at("recommendation.alpha"))
	case r.Rating == "" && !given:
		r.Alpha = defaultAlpha
	}
	if r.Patience > 0 && s.Holdout.None() {
		d.report("patience watches the held-out loss, and nothing is held out", "add evaluate: {holdout: 0.2}, or remove patience", at("recommendation.patience"))
	}
}

// metrics lists a model's metrics, in the order of metricNames.
func (m *Model) metrics() []string {
	switch {
	case m.Type == typeMultinomial:
		return metricNames()[1:3]
	case !m.recommends():
		return metricNames()[:3]
	case m.Solver == solverDPALS && (m.Recommendation == nil || m.Recommendation.Rating == ""):
		return metricNames()[3:6] // who is recommended an item at all hangs on single users
	case m.Solver == solverDPALS:
		return append(metricNames()[3:6:6], "rmse")
	case m.Recommendation == nil || m.Recommendation.Rating == "":
		return metricNames()[3:7]
	}
	return metricNames()[3:8]
}

// matrixFeatures are the columns that a matrix factorisation reads: the item, and the rating if there is one.
func matrixFeatures(s *Spec, c *Contract, report report) (out []Feature) {
	r := s.Model.Recommendation
	const at = "model.recommendation"
	if col, ok := usable(r.Item, c, child(at, "item"), report); ok {
		if col.Kind != Category {
			report(fmt.Sprintf("column %s is a %s, not a category", r.Item, col.Kind), "declare the items as a category in the contract", child(at, "item"))
		} else if col.Open() {
			report("column "+r.Item+" doesn't list its values, and a recommended item needs a name", "list the items as values in the contract", child(at, "item"))
		}
		out = append(out, Feature{Name: col.Name, Kind: col.Kind, Nullable: col.Nullable, Values: slices.Clone(col.Values), MinCount: r.MinUsers})
	}
	if r.Rating == "" {
		return out
	}
	if col, ok := usable(r.Rating, c, child(at, "rating"), report); ok {
		if col.Kind != Number {
			report(fmt.Sprintf("column %s is a %s, not a number", r.Rating, col.Kind), "declare the rating as a number in the contract", child(at, "rating"))
		}
		rating := Feature{Name: col.Name, Kind: col.Kind, Nullable: col.Nullable, Min: col.Min, Max: col.Max}
		if s.Privacy.Kind == KindPrivate {
			rating.Scale = true
		} else {
			rating.Clip = defaultClip
		}
		out = append(out, rating)
	}
	return out
}

// matchContract keeps models that recommend to contracts without a label, and others to those with one.
func (r *Resolved) matchContract(c *Contract, report report) {
	switch m := &r.Model; {
	case m.recommends() && c.HasLabel():
		report(fmt.Sprintf("contract %s has a label: its rows aren't what a user took or rated", c.ID()), "agree on a contract without a label, whose key is the user", "model.type")
	case !m.recommends() && !c.HasLabel():
		report(fmt.Sprintf("contract %s has no label, which a %s predicts", c.ID(), m.Type), "write type: matrix_factorization, or agree on a contract with a label", "model.type")
	}
}

// factorLanes counts the values of a matrix factorisation's longest sum.
func (r *Resolved) factorLanes() int {
	d := r.Coefficients() / max(r.items(), 1)
	switch {
	case steps(r.Model.Solver):
		return r.items() * d
	case r.Model.Solver == solverDPALS: // items' biases are not of this sum
		k := int(r.Model.Factors)
		return r.items()*k + k*(k+1)/2
	}
	return r.items() * d * (d + 3) / 2
}

func (r *Resolved) items() int {
	if len(r.Features) == 0 {
		return 0
	}
	return len(r.Features[0].Values)
}

type recommendationJSON struct {
	Explicit bool     `json:"explicit"`
	Alpha    *float64 `json:"alpha,omitempty"` // without ratings
	TopK     int64    `json:"top_k"`
	Patience int64    `json:"patience"`
	Seed     string   `json:"seed"` // the job's, as decimal digits

	Epochs       int64   `json:"epochs,omitempty"` // sgd and bpr
	LearningRate float64 `json:"learning_rate,omitempty"`
}

func (r *Recommendation) json(seed uint64) *recommendationJSON {
	if r == nil {
		return nil
	}
	out := &recommendationJSON{Explicit: r.Rating != "", TopK: r.TopK, Patience: r.Patience, Seed: strconv.FormatUint(seed, 10), Epochs: r.Epochs, LearningRate: r.LearningRate}
	if !out.Explicit && r.Alpha != 0 {
		out.Alpha = &r.Alpha
	}
	return out
}

// recommendation takes item, rating and min_users from the features, of which they are the first and the second.
func (j *recommendationJSON) recommendation(features []Feature) *Recommendation {
	if j == nil {
		return nil
	}
	out := &Recommendation{Alpha: or0(j.Alpha), TopK: j.TopK, Patience: j.Patience, Epochs: j.Epochs, LearningRate: j.LearningRate}
	if len(features) > 0 {
		out.Item, out.MinUsers = features[0].Name, features[0].MinCount
	}
	if j.Explicit && len(features) > 1 {
		out.Rating = features[1].Name
	}
	return out
}

// readsItems tells whether a matrix factorisation's features are its item and, if there is one, its rating.
func (r *Resolved) readsItems() bool {
	kinds := []Kind{Category}
	if r.rated() {
		kinds = append(kinds, Number)
	}
	fits := len(r.Features) == len(kinds)
	for i, f := range r.Features {
		fits = fits && f.Kind == kinds[i] && f.HashBuckets == 0 && !f.MissingIndicator && !f.Log1p && !f.Standardize && f.Date == nil && f.Quantiles == nil
	}
	return fits
}

// checkMatrix checks a resolved matrix factorisation.
func (r *Resolved) checkMatrix(report report) {
	m, rec := r.Model, r.Model.Recommendation
	if (rec != nil) != m.recommends() {
		report("recommendation goes with matrix_factorization, and only with it", "", "program.model.recommendation")
		return
	}
	if rec == nil {
		return
	}
	if !r.readsItems() {
		report("a matrix_factorization reads its item, and its rating if there is one", "", "program.features")
		return
	}
	const at = "program.model.recommendation."
	inRange(report, at+"top_k", rec.TopK, 1, maxTopK)
	inRange(report, at+"patience", rec.Patience, 0, maxTrainRounds)
	if alpha := rec.Alpha > 0 && rec.Alpha <= maxAlpha; alpha != (rec.Rating == "" && !steps(m.Solver)) || rec.Alpha != 0 && !alpha {
		report(fmt.Sprintf("alpha %v is not above 0 and at most %v, or beside ratings", rec.Alpha, maxAlpha), "", at+"alpha")
	}
	r.checkGradients(report)
	if m.L2 == 0 || rec.Patience > 0 && r.Holdout.None() {
		report(fmt.Sprintf("l2 %v, patience %d without a hold-out", m.L2, rec.Patience), "", "program.model")
	}
	if n := r.factorLanes(); n > maxFactorLanes {
		report(fmt.Sprintf("the items' sums have %d values, at most %d are possible", n, maxFactorLanes), "", "program.model")
	}
}

// matrix says what a matrix factorisation learns from.
func (p *page) matrix(j *Resolved) {
	r := j.Model.Recommendation
	if j.Private != nil {
		p.line("Items       %s: %d values; one whose noised count of users isn't above its noise isn't learnt", r.Item, j.items())
		if j.rated() {
			p.line("Ratings     %s; a user's rating of an item is the mean of its rows", r.Rating)
		} else {
			p.line("Feedback    each row says that a user took an item; once or often counts alike")
		}
		return
	}
	p.line("Items       %s: %d values; one with fewer than %d users in the sum isn't learnt", r.Item, j.items(), r.MinUsers)
	if r.Rating != "" {
		p.line("Ratings     %s", r.Rating)
	}
	switch {
	case steps(j.Model.Solver):
		p.line("            each participant passes %d times over its users' items; the mean of what the items changed is added", r.Epochs)
		return
	case r.Rating != "":
		return
	}
	p.line("Feedback    each row says that a user took an item; n times count as 1 + %s·min(ln(1+n), 8), no time as 1", decimalOf(r.Alpha))
}

// recommended says what the sums of a matrix factorisation tell.
func (p *page) recommended(j *Resolved, n int) {
	counted := "the number of users, of pairs of a user and an item, and of each item's users"
	if j.Model.Recommendation.Rating != "" {
		counted += ", and the mean rating"
	}
	ends := "the training loss in every round"
	if j.Model.Recommendation.Patience > 0 {
		ends = "the loss of training and of held-out pairs in every round"
	}
	if !j.Holdout.None() {
		ends += ", how well held-out items are found"
	}
	if contains(j.Metrics, "coverage") {
		ends += ", and how many organisations would recommend each item"
	}
	sums := "the sums over its users of their factors and of the products of those"
	if steps(j.Model.Solver) {
		sums = "the mean over its users of what training at their participants changed"
	}
	p.line("Learnt exactly, summed over these %d organisations: %s; in every round, for each item, %s; %s. A user's factors and history stay where they are; but factors follow from histories: the sums of an item with few users tell of those, and what only one customer has is that customer's.", n, counted, sums, ends)
}
