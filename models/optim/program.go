// Package optim is the server step of a federated training: what is summed in each kind of round, and the pure function from
// a state and an opened sum to the next state. Coordinator and participants both compute it, and must get the same bits on
// every architecture: fixed order, an explicit float64() around each product so that no compiler fuses it, and nothing from
// package math that has an assembly form with other rounding. A test holds the source to that.
//
// The solver is Newton's method on the summed log loss with an L2 penalty: sum the gradient and the Hessian at the
// coefficients w, step by -(H+λI)⁻¹(g+λw) [BV04, §9.5]. With an L1 penalty, too, it is proximal: see proximal.go. The intercept
// is the last coefficient and isn't penalised. Private programs, whose sums are noised, have a solver of their own: see private.go.
//
// [BV04] S. Boyd, L. Vandenberghe: Convex Optimization. Cambridge University Press, 2004.
package optim

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"tributary/models/pipeline"
)

// ErrProgram is wrapped by every error of ParseProgram; the message names the path of the bad value.
var ErrProgram = errors.New("invalid program")

// Bounds of a program.
const (
	MaxContributors = 1638
	MinBits         = 8
	MaxBits         = 40
	MaxRoundsLimit  = 1000
)

// Types of models.
const (
	LogisticRegression = "logistic_regression"
	// FactorizationMachine adds to a linear model's margin the product of each two columns, weighted by the inner product of
	// their factors: Σ_{i<j} ⟨v_i, v_j⟩·x_i·x_j [R10].
	FactorizationMachine = "factorization_machine"
)

// [R10] S. Rendle: Factorization Machines. ICDM 2010.

// Newton is the default solver of exact linear jobs.
const Newton = "newton"

// Model says what is trained, and how.
type Model struct {
	Type      string
	L1        float64 // λ₁ of λ₁·‖w‖₁, as L2; Newton, LBFGS and FedAvg; 0: none
	L2        float64 // λ of (λ/2)·‖w‖² on the summed log loss; the intercept is free
	Solver    string
	MaxRounds int // TRAIN rounds
	// Converged when (Newton decrement)²/2 ≤ Tolerance·objective, or, for solvers that average, when a round changes the objective
	// by no more than that; 0 in private jobs.
	Tolerance float64
	// Patience is how many watched rounds without a better held-out loss end the training, which then keeps the best; 0: not watched.
	// Newton and LBFGS; for solvers that average see Averaging.
	Patience int
	// StandardErrors says that EVALUATE sums the Hessian; LBFGS without L1: Newton needs no more sums for them.
	StandardErrors bool
	Factors        int        // length of the factor of a factorization machine's column or of a factorisation's item; 0 in a linear model
	Averaging      *Averaging // of solvers that average
	Sampling       *Sampling  // of DPSGD
	// Recommendation is a matrix factorisation's.
	Recommendation *Recommendation
}

// Evaluation says what is measured after training.
type Evaluation struct {
	HoldOut bool // whether tables mark held-out rows; without, only the training loss is summed (private: nothing)
	AUC     bool
	LogLoss bool
	Correct bool // accuracy at 0.5

	// Of recommendations, over users with held-out items.
	Recall, NDCG, MAP bool
	Coverage          bool // share of the catalogue that is recommended to anybody
	RMSE              bool // of ratings, or of labels that are numbers

	MAE, R2, Calibration bool // of labels that are numbers
}

// Program is a validated, resolved job as the models see it. Make one with ParseProgram; its fields are to be read only.
type Program struct {
	Contributors int   // participants whose uploads one sum adds: exact jobs have all of the cohort
	Bits         int   // of a lane
	MaxRows      int64 // per participant, by the contract
	Model        Model
	Evaluate     Evaluation
	Weighting    *Weighting // nil: all rows count alike
	Start        *Start     // nil: training starts at zero
	Label        *Label     // of several classes; nil: yes or no, or a number
	Target       *Target    // a label that is a number; nil: it isn't
	MinGroup     int64      // held-out rows in the sum from which a group's scores are shown; 0 without groups

	groups  *pipeline.Spec // nil: not evaluated by groups
	spec    *pipeline.Spec
	privacy *Privacy // nil: exact
	solver  solver
}

// Pipeline is the program's feature pipeline.
func (p *Program) Pipeline() *pipeline.Spec { return p.spec }

// Coefficients counts the model's coefficients: one per output column, then, in a factorization machine, each column's factor,
// and the intercept last.
func (p *Program) Coefficients() int { return p.solver.coefficients() }

// columns counts the pipeline's output columns, without an intercept.
func (p *Program) columns() int { return len(p.spec.Columns()) }

// ParseProgram reads a program's JSON document strictly: every key exactly once, none unknown, all values within bounds.
func ParseProgram(data []byte) (*Program, error) {
	p, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProgram, err)
	}
	return p, nil
}

func parse(data []byte) (*Program, error) {
	doc, err := readDocument(data)
	if err != nil {
		return nil, err
	}
	p := &Program{}
	doc.integer("version", 1, 1)
	p.Contributors = int(doc.integer("contributors", 1, MaxContributors))
	p.Bits = int(doc.integer("bits", MinBits, MaxBits))
	p.MaxRows = doc.integer("max_rows", 1, 1<<(MaxBits-1)-1)
	if lane := int64(1)<<(max(p.Bits, 1)-1) - 1; doc.err == nil && p.MaxRows > lane {
		doc.fail("max_rows", "%d rows don't fit a lane of %d bits (at most %d)\nhint: raise bits, or lower the contract's max_rows", p.MaxRows, p.Bits, lane)
	}
	_, private := doc.keys["private"]
	features := parseFeatures(doc, private)
	p.Model = parseModel(doc, private)
	p.Evaluate = p.parseEvaluation(doc, private)
	if _, given := doc.keys["label"]; given {
		p.Label, p.Target = parseLabel(doc)
	}
	if _, given := doc.keys["weighting"]; given {
		p.Weighting = parseWeighting(doc)
	}
	if _, given := doc.keys["start"]; given {
		p.Start = parseStart(doc)
	}
	if doc.err == nil {
		p.checkTarget(doc, private)
		p.checkLabel(doc)
		p.checkWeighting(doc)
	}
	if private {
		p.privacy = parsePrivacy(doc)
		if doc.err == nil {
			p.checkPrivate(doc)
		}
	}
	if doc.err == nil && p.watches() && !p.Evaluate.HoldOut {
		doc.fail("model.patience", "nothing is held out to watch\nhint: leave patience out, or evaluate with a hold-out")
	}
	if a := p.Model.Averaging; doc.err == nil && a != nil && a.Patience > 0 && !p.Evaluate.HoldOut {
		doc.fail("model.averaging.patience", "nothing is held out to watch\nhint: 0, or evaluate with a hold-out")
	}
	if doc.err == nil {
		p.checkRecommendation(doc, features)
	}
	if err := doc.done(); err != nil {
		return nil, err
	}
	if p.solver = solverOf(p); p.solver == nil { // parseModel knows the pairs that exist
		return nil, fmt.Errorf("no solver %s of %s", p.Model.Solver, p.Model.Type)
	}
	if p.Model.Recommendation != nil {
		// Its sums grow with the columns, not with their square.
		if p.spec, err = pipeline.NewSpecOf(features, MaxItems+3); err != nil {
			return nil, err
		}
		return p, errors.Join(factorization{p}.checkSize(), p.checkSketchNoise())
	}
	if p.spec, err = pipeline.NewSpec(features); err != nil {
		return nil, err
	}
	return p, errors.Join(p.checkSize(), p.checkStart(), p.checkSketchNoise())
}

func parseFeatures(doc *object, private bool) []pipeline.Feature {
	var out []pipeline.Feature
	for i, raw := range doc.array("features") {
		o, err := readObject(fmt.Sprintf("features[%d]", i), raw)
		if err == nil {
			out = append(out, parseFeature(o, private))
			err = o.done()
		}
		if err != nil {
			doc.err = errors.Join(doc.err, err)
			return nil
		}
	}
	return out
}

func parseFeature(o *object, private bool) pipeline.Feature {
	f := pipeline.Feature{
		Name:             o.text("name"),
		Nullable:         o.boolean("nullable"),
		MissingIndicator: o.boolean("missing_indicator"),
	}
	switch kind := o.text("kind"); kind {
	case "number":
		f.Kind = pipeline.Number
		f.Min, f.Max = o.number("min"), o.number("max")
		parseDerivedNumber(o, &f)
		f.Log1p = o.boolean("log1p")
		if private {
			if f.Scale = o.boolean("scale"); !f.Scale {
				o.fail("scale", "a private job scales its numbers")
			}
			if _, given := o.keys["standardize"]; given {
				if f.Standardize = o.boolean("standardize"); !f.Standardize {
					o.fail("standardize", "it is false\nhint: leave it out")
				}
				f.Clip = o.number("clip")
			}
			break
		}
		f.Standardize, f.Clip = o.boolean("standardize"), o.number("clip")
	case "category":
		f.Kind = pipeline.Category
		if _, hashed := o.keys["buckets"]; hashed {
			f.HashBuckets = parseBuckets(o)
		} else {
			f.Values = o.texts("values")
		}
		if !private {
			f.MinCount = o.integer("min_count", 0, 1<<(MaxBits-1))
		}
	case "cross":
		parseCross(o, &f, private)
	case kindBuckets, kindDatePart:
		parseDerived(o, &f, kind, private)
	default:
		o.fail("kind", "unknown kind %q\nhint: number, category, cross, %s or %s", kind, kindBuckets, kindDatePart)
	}
	return f
}

func parseModel(doc *object, private bool) Model {
	o := doc.object("model")
	m := Model{
		Type:      o.text("type"),
		L2:        o.number("l2"),
		Solver:    o.text("solver"),
		MaxRounds: int(o.integer("max_rounds", 1, MaxRoundsLimit)),
	}
	if !private {
		m.Tolerance = o.number("tolerance")
	}
	if m.Type == FactorizationMachine || m.Type == MatrixFactorization {
		m.Factors = int(o.integer("factors", 1, MaxFactors))
	}
	checkSolver(o, m, private)
	if _, given := o.keys["l1"]; given {
		if m.L1 = o.number("l1"); !(m.L1 > 0 && m.L1 <= 1e12) {
			o.fail("l1", "%g is not above 0 and at most 1e12\nhint: leave l1 out for none", m.L1)
		}
	}
	parseEnding(o, &m)
	switch {
	case averages(m.Solver):
		m.Averaging = parseAveraging(o, m.Solver)
	case m.Type == MatrixFactorization:
		m.Recommendation = parseRecommendation(o, m.Solver)
	}
	checkL1(o, m)
	if m.Solver == DPSGD {
		m.Sampling = parseSampling(o, m.Type == FactorizationMachine)
	}
	if !(m.L2 >= 0 && m.L2 <= 1e12) {
		o.fail("l2", "%g is not within 0..1e12", m.L2)
	}
	if !(m.Tolerance >= 0 && m.Tolerance < 1) {
		o.fail("tolerance", "%g is not within 0..1", m.Tolerance)
	}
	if err := o.done(); doc.err == nil {
		doc.err = err
	}
	return m
}

// averages tells whether a solver has Averaging.
func averages(solver string) bool { return solver == FedAvg || solver == FedProx || solver == FedAdam }

// checkSolver refuses models, and solvers of a model and kind of job, that don't exist.
func checkSolver(o *object, m Model, private bool) {
	var solvers []string
	switch {
	case m.Type != LogisticRegression && m.Type != FactorizationMachine && m.Type != MultinomialRegression && m.Type != MatrixFactorization && m.Type != LinearRegression:
		o.fail("type", "unknown model %q\nhint: %s, %s, %s, %s or %s", m.Type, LogisticRegression, MultinomialRegression, LinearRegression, FactorizationMachine, MatrixFactorization)
	case private && m.Type == LogisticRegression:
		solvers = []string{DPGradientDescent, DPSGD}
	case private && (m.Type == MultinomialRegression || m.Type == LinearRegression || m.Type == FactorizationMachine):
		solvers = []string{DPSGD}
	case private && m.Type == MatrixFactorization:
		solvers = []string{DPALS}
	case m.Type == LogisticRegression || m.Type == LinearRegression:
		solvers = []string{Newton, LBFGS, FedAvg, FedProx, FedAdam}
	case m.Type == MultinomialRegression:
		solvers = []string{LBFGS}
	case m.Type == MatrixFactorization:
		solvers = []string{ALS, SGD, BPR}
	default:
		solvers = []string{FedAvg, FedProx, FedAdam}
	}
	switch {
	case slices.Contains(solvers, m.Solver):
	case !slices.Contains([]string{Newton, LBFGS, FedAvg, FedProx, FedAdam, ALS, SGD, BPR, DPGradientDescent, DPSGD, DPALS}, m.Solver):
		o.fail("solver", "unknown solver %q\nhint: %s", m.Solver, strings.Join(solvers, ", "))
	default:
		o.fail("solver", "%q is not a solver of %s in this kind of job\nhint: %s", m.Solver, m.Type, strings.Join(solvers, ", "))
	}
}

func parseAveraging(doc *object, solver string) *Averaging {
	o := doc.object("averaging")
	a := &Averaging{
		Epochs:       int(o.integer("epochs", 1, MaxEpochs)),
		Batch:        int(o.integer("batch", 1, MaxBatch)),
		Optimizer:    o.text("optimizer"),
		LearningRate: o.number("learning_rate"),
		ServerRate:   o.number("server_rate"),
		Patience:     int(o.integer("patience", 0, MaxRoundsLimit)),
		Seed:         o.variance("seed"),
	}
	if solver == FedProx {
		if a.Proximal = o.number("proximal"); !(a.Proximal > 0 && a.Proximal <= 1e6) {
			o.fail("proximal", "%g is not above 0 and at most 1e6", a.Proximal)
		}
	}
	switch a.Optimizer {
	case SGD:
	case Adagrad, FTRL:
		if a.Batch != 1 {
			o.fail("batch", "%s steps row by row\nhint: 1, or optimizer %s", a.Optimizer, SGD)
		}
	default:
		o.fail("optimizer", "unknown optimizer %q\nhint: %s, %s or %s", a.Optimizer, SGD, Adagrad, FTRL)
	}
	if !(a.LearningRate > 0 && a.LearningRate <= 100) {
		o.fail("learning_rate", "%g is not above 0 and at most 100", a.LearningRate)
	}
	if !(a.ServerRate > 0 && a.ServerRate <= 100) {
		o.fail("server_rate", "%g is not above 0 and at most 100", a.ServerRate)
	}
	if err := o.done(); doc.err == nil {
		doc.err = err
	}
	return a
}

func (p *Program) parseEvaluation(doc *object, private bool) Evaluation {
	o := doc.object("evaluate")
	e := Evaluation{HoldOut: o.boolean("holdout")}
	for _, metric := range o.texts("metrics") {
		known := false
		for _, m := range e.metrics() {
			if m.name != metric {
				continue
			}
			if *m.on {
				o.fail("metrics", "%q twice", metric)
			}
			*m.on, known = true, true
		}
		if !known {
			o.fail("metrics", "unknown metric %q\nhint: auc, log_loss, accuracy; recall, ndcg, map, coverage, rmse of recommendations; rmse, mae, r2, calibration of labels that are numbers", metric)
		}
	}
	if p.parseGroups(o); p.groups != nil && !(e.HoldOut && e.AUC) {
		o.fail("groups", "groups are evaluated beside all held-out rows\nhint: remove groups, or evaluate with a hold-out and the metric auc")
	}
	if err := o.done(); doc.err == nil {
		doc.err = err
	}
	return e
}

// metric is one that a program may ask for.
type metric struct {
	on   *bool
	name string
}

// metrics lists all that there are, in the order of documents.
func (e *Evaluation) metrics() []metric {
	return []metric{{&e.AUC, "auc"}, {&e.LogLoss, "log_loss"}, {&e.Correct, "accuracy"},
		{&e.Recall, "recall"}, {&e.NDCG, "ndcg"}, {&e.MAP, "map"}, {&e.Coverage, "coverage"}, {&e.RMSE, "rmse"},
		{&e.MAE, "mae"}, {&e.R2, "r2"}, {&e.Calibration, "calibration"}}
}
