package jobspec

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Words of models whose participants train locally and whose changes are averaged.
const (
	typeLogistic      = "logistic_regression"
	typeFactorization = "factorization_machine"

	solverFedAvg  = "fedavg"
	solverFedProx = "fedprox"
	solverFedAdam = "fedadam"

	optimizerSGD     = "sgd"
	optimizerAdagrad = "adagrad"
	optimizerFTRL    = "ftrl"
)

// Bounds and defaults of averaging.
const (
	maxFactors        = 256
	defaultFactors    = 8
	maxEpochs         = 100
	maxBatch          = 1 << 20
	defaultBatch      = 32
	maxRate           = 100.0
	defaultRate       = 0.1
	defaultProximal   = 0.01
	maxProximal       = 1e6
	fedAdamRate       = 0.02
	averagingRounds   = 20
	averagingTolerant = 1e-5
	// Coefficients of an averaged model, as many as package optim takes: a state has 8 to 32 bytes for each, and an upload 6.6 to 13.
	maxAveraged = 1<<24 + 1<<22
	maxStepped  = 1 << 21 // of a recommender whose items step or are swept
)

// Averaging says how participants train between two rounds and how their changes
// are joined; nil for solvers that sum derivatives.
type Averaging struct {
	Epochs       int64   // passes over the rows in a round
	Batch        int64   // rows of one sgd step; 1 for the others
	Optimizer    string  // sgd, adagrad, ftrl
	LearningRate float64 // of the first round; that of round t is this over √t
	Proximal     float64 // fedprox; else 0
	ServerRate   float64
	Patience     int64 // rounds without a better held-out loss that end the training; 0: not watched
}

func averages(solver string) bool {
	return solver == solverFedAvg || solver == solverFedProx || solver == solverFedAdam
}

// text says what a round of averaging does.
func (a *Averaging) text(l1 float64) string {
	passes, changes := "once", "changes"
	if a.Epochs > 1 {
		passes = fmt.Sprintf("%d times", a.Epochs)
	}
	if l1 > 0 {
		changes = "coefficients' changes before the L1 penalty"
	}
	return fmt.Sprintf("%s: each participant passes %s over its rows; the mean of the %s is added", a.Optimizer, passes, changes)
}

// averagedSums says what the sums of FIT and of all rounds of averaging tell of categories and coefficients.
func averagedSums(m *Model) string {
	before := ""
	if m.L1 > 0 {
		before = ", before the L1 penalty,"
	}
	return "the count of every category, the mean change of every coefficient" + before + " in each round"
}

// exactSolvers lists a model's solvers in exact jobs, the default first.
func exactSolvers(model string) []string {
	switch model {
	case typeMatrix:
		return []string{solverALS, solverGradient, solverBPR}
	case typeFactorization:
		return []string{solverFedAvg, solverFedProx, solverFedAdam}
	case typeMultinomial:
		return []string{solverLBFGS}
	}
	return []string{solverNewton, solverLBFGS, solverFedAvg, solverFedProx, solverFedAdam}
}

// text names a model for people.
func (m *Model) text() string {
	name := strings.ReplaceAll(m.Type, "_", " ")
	if m.Factors > 0 {
		name += fmt.Sprintf(" of %d factors", m.Factors)
	}
	return name
}

// averaging reads what is written; the defaults are set by matchModel.
func (d *document) averaging(v value) *Averaging {
	a := &Averaging{}
	_, keys, ok := d.fields(v, "epochs", "batch", "optimizer", "learning_rate", "proximal", "server_rate", "patience")
	if !ok {
		return a
	}
	integer := func(key string, out *int64, low, high int64) {
		if v, ok := keys[key]; ok {
			*out, _ = d.integer(v, low, high)
		}
	}
	number := func(key string, out *float64, most float64) {
		v, ok := keys[key]
		if !ok {
			return
		}
		if *out, ok = d.number(v); ok && !(*out > 0 && *out <= most) {
			d.at(v.path, v.at, fmt.Sprintf("%s %v is not above 0 and at most %v", key, *out, most), "")
		}
	}
	integer("epochs", &a.Epochs, 1, maxEpochs)
	integer("batch", &a.Batch, 1, maxBatch)
	integer("patience", &a.Patience, 0, maxTrainRounds)
	number("learning_rate", &a.LearningRate, maxRate)
	number("proximal", &a.Proximal, maxProximal)
	number("server_rate", &a.ServerRate, maxRate)
	if v, ok := keys["optimizer"]; ok {
		a.Optimizer, _ = d.choice(v, optimizerSGD, optimizerAdagrad, optimizerFTRL)
	}
	return a
}

// matchModel checks an exact job's model against its solver, and sets the defaults
// that depend on it.
func (d *document) matchModel(s *Spec) {
	m := &s.Model
	solvers := exactSolvers(m.Type)
	if !d.given("model.solver") {
		m.Solver = solvers[0]
	}
	if d.broken["model.solver"] || d.broken["model.type"] {
		return
	}
	if m.Solver != solverPrivate && !slices.Contains(solvers, m.Solver) {
		d.report(fmt.Sprintf("solver %s is not for a %s", m.Solver, m.Type), "write one of "+strings.Join(solvers, ", "), "model.solver")
	}
	d.matchFactors(m)
	if m.recommends() {
		d.matchMatrix(s)
		return
	}
	if d.given("model.recommendation") {
		d.report("recommendation is for a matrix_factorization", "remove recommendation, or write type: matrix_factorization", "model.recommendation")
	}
	d.matchClasses(s)
	if m.Solver == solverLBFGS && !d.given("model.max_rounds") {
		m.MaxRounds = lbfgsRounds
	}
	if !averages(m.Solver) {
		if d.given("model.averaging") {
			d.report("averaging is for the solvers fedavg, fedprox and fedadam", "choose one of them or remove averaging", "model.averaging")
		}
		return
	}
	if !d.given("model.max_rounds") {
		m.MaxRounds = averagingRounds
	}
	if !d.given("model.tolerance") {
		m.Tolerance = averagingTolerant
	}
	d.matchAveraging(s)
}

// matchFactors keeps factors to the model that has them.
func (d *document) matchFactors(m *Model) {
	switch given := d.given("model.factors"); {
	case m.Type == typeFactorization && !given:
		m.Factors = defaultFactors
	case m.Type != typeFactorization && !m.recommends() && given:
		d.report("factors are for a factorization_machine", "remove factors, or write type: factorization_machine", "model.factors")
	}
}

func (d *document) matchAveraging(s *Spec) {
	m := &s.Model
	if m.Averaging == nil {
		m.Averaging = &Averaging{}
	}
	a := m.Averaging
	at := func(key string) string { return "model.averaging." + key }
	if a.Optimizer == "" && !d.broken[at("optimizer")] {
		if a.Optimizer = optimizerSGD; m.Type == typeFactorization {
			a.Optimizer = optimizerAdagrad
		}
	}
	byRow := a.Optimizer == optimizerAdagrad || a.Optimizer == optimizerFTRL
	switch {
	case a.Batch == 0 && byRow:
		a.Batch = 1
	case a.Batch == 0:
		a.Batch = defaultBatch
	case byRow && a.Batch != 1:
		d.report(a.Optimizer+" steps row by row, not by batches", "remove batch, or write optimizer: sgd", at("batch"))
	}
	if a.Epochs == 0 {
		a.Epochs = 1
	}
	if a.LearningRate == 0 {
		a.LearningRate = defaultRate
	}
	if a.ServerRate == 0 {
		if a.ServerRate = 1; m.Solver == solverFedAdam {
			a.ServerRate = fedAdamRate
		}
	}
	switch {
	case m.Solver == solverFedProx && a.Proximal == 0:
		a.Proximal = defaultProximal
	case m.Solver != solverFedProx && d.given(at("proximal")):
		d.report("proximal is for the solver fedprox", "remove proximal, or write solver: fedprox", at("proximal"))
	}
	if a.Patience > 0 && s.Holdout.None() {
		d.report("patience watches the held-out loss, and nothing is held out", "add evaluate: {holdout: 0.2}, or remove patience", at("patience"))
	}
}

type averagingJSON struct {
	Epochs       int64   `json:"epochs"`
	Batch        int64   `json:"batch"`
	Optimizer    string  `json:"optimizer"`
	LearningRate float64 `json:"learning_rate"`
	Proximal     float64 `json:"proximal,omitempty"`
	ServerRate   float64 `json:"server_rate"`
	Patience     int64   `json:"patience"`
	Seed         string  `json:"seed"` // the job's, as decimal digits
}

func (a *Averaging) json(seed uint64) *averagingJSON {
	if a == nil {
		return nil
	}
	return &averagingJSON{a.Epochs, a.Batch, a.Optimizer, a.LearningRate, a.Proximal, a.ServerRate, a.Patience, strconv.FormatUint(seed, 10)}
}

// averaging drops the seed, which the job has: the encoding shows whether they agree.
func (j *averagingJSON) averaging() *Averaging {
	if j == nil {
		return nil
	}
	return &Averaging{j.Epochs, j.Batch, j.Optimizer, j.LearningRate, j.Proximal, j.ServerRate, j.Patience}
}

// checkModel checks a resolved exact model.
func (r *Resolved) checkModel(report report) {
	m, a := r.Model, r.Model.Averaging
	if m.Type != typeLogistic && m.Type != typeLinear && m.Type != typeFactorization && m.Type != typeMultinomial && !m.recommends() || !slices.Contains(exactSolvers(m.Type), m.Solver) {
		report(fmt.Sprintf("there is no model %s with solver %s", show(m.Type), show(m.Solver)), "", "program.model")
		return
	}
	r.checkMatrix(report)
	if m.Type == typeFactorization || m.recommends() {
		inRange(report, "program.model.factors", m.Factors, 1, maxFactors)
	} else if m.Factors != 0 {
		report("only factorisations have factors", "", "program.model.factors")
	}
	if averages(m.Solver) != (a != nil) {
		report("averaging goes with the solvers fedavg, fedprox and fedadam, and only with them", "", "program.model.averaging")
		return
	}
	r.checkLabel(report)
	r.checkSize(report, "program.model")
	if a == nil {
		return
	}
	const at = "program.model.averaging."
	inRange(report, at+"epochs", a.Epochs, 1, maxEpochs)
	inRange(report, at+"batch", a.Batch, 1, maxBatch)
	inRange(report, at+"patience", a.Patience, 0, maxTrainRounds)
	known := a.Optimizer == optimizerSGD || a.Batch == 1 && (a.Optimizer == optimizerAdagrad || a.Optimizer == optimizerFTRL)
	rates := a.LearningRate > 0 && a.LearningRate <= maxRate && a.ServerRate > 0 && a.ServerRate <= maxRate
	proximal := a.Proximal == 0 && m.Solver != solverFedProx || a.Proximal > 0 && a.Proximal <= maxProximal && m.Solver == solverFedProx
	if !known || !rates || !proximal || a.Patience > 0 && r.Holdout.None() {
		report(fmt.Sprintf("optimizer %s with batch %d, rates %v and %v, proximal %v, patience %d don't go together", show(a.Optimizer), a.Batch, a.LearningRate, a.ServerRate, a.Proximal, a.Patience), "", "program.model.averaging")
	}
}
