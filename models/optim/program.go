// Package optim is the server step of a federated training: what is summed in each kind of round, and the pure function from
// a state and an opened sum to the next state. Coordinator and participants both compute it, and must get the same bits on
// every architecture: fixed order, an explicit float64() around each product so that no compiler fuses it, and nothing from
// package math that has an assembly form with other rounding. A test holds the source to that.
//
// The solver is Newton's method on the summed log loss with an L2 penalty: sum the gradient and the Hessian at the
// coefficients w, step by -(H+λI)⁻¹(g+λw) [BV04, §9.5]. The intercept is the last coefficient and isn't penalised. Private
// programs, whose sums are noised, have a solver of their own: see private.go.
//
// [BV04] S. Boyd, L. Vandenberghe: Convex Optimization. Cambridge University Press, 2004.
package optim

import (
	"errors"
	"fmt"

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

// LogisticRegression is the model type that exists, Newton the solver of exact jobs.
const (
	LogisticRegression = "logistic_regression"
	Newton             = "newton"
)

// Model says what is trained, and how.
type Model struct {
	Type      string
	L2        float64 // λ of (λ/2)·‖w‖² on the summed log loss; the intercept is free
	Solver    string
	MaxRounds int     // TRAIN rounds
	Tolerance float64 // converged when (Newton decrement)²/2 ≤ Tolerance·objective; 0 in private jobs
}

// Evaluation says what is measured after training.
type Evaluation struct {
	HoldOut bool // whether tables mark held-out rows; without, only the training loss is summed (private: nothing)
	AUC     bool
	LogLoss bool
	Correct bool // accuracy at 0.5
}

// Program is a validated, resolved job as the models see it. Make one with ParseProgram; its fields are to be read only.
type Program struct {
	Contributors int   // participants whose uploads one sum adds: exact jobs have all of the cohort
	Bits         int   // of a lane
	MaxRows      int64 // per participant, by the contract
	Model        Model
	Evaluate     Evaluation

	spec    *pipeline.Spec
	privacy *Privacy // nil: exact
	solver  solver
}

// Pipeline is the program's feature pipeline.
func (p *Program) Pipeline() *pipeline.Spec { return p.spec }

// Coefficients counts the model's coefficients. A linear model has one per output column, and the intercept last.
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
	p.Evaluate = parseEvaluation(doc)
	if private {
		p.privacy = parsePrivacy(doc)
		if doc.err == nil {
			p.checkPrivate(doc)
		}
	}
	if err := doc.done(); err != nil {
		return nil, err
	}
	if p.solver = solverOf(p); p.solver == nil { // parseModel knows the pairs that exist
		return nil, fmt.Errorf("no solver %s of %s", p.Model.Solver, p.Model.Type)
	}
	if p.spec, err = pipeline.NewSpec(features); err == nil && private {
		err = checkSize(p.spec)
	}
	return p, err
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
		f.Log1p = o.boolean("log1p")
		if private {
			if f.Scale = o.boolean("scale"); !f.Scale {
				o.fail("scale", "a private job scales its numbers")
			}
			break
		}
		f.Standardize, f.Clip = o.boolean("standardize"), o.number("clip")
	case "category":
		f.Kind = pipeline.Category
		f.Values = o.texts("values")
		if !private {
			f.MinCount = o.integer("min_count", 0, 1<<(MaxBits-1))
		}
	default:
		o.fail("kind", "unknown kind %q\nhint: number or category", kind)
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
	solver := DPGradientDescent
	if !private {
		solver = Newton
		m.Tolerance = o.number("tolerance")
	}
	switch m.Type {
	case LogisticRegression:
	default:
		o.fail("type", "unknown model %q\nhint: %s", m.Type, LogisticRegression)
	}
	switch {
	case m.Solver == solver:
	case m.Solver == Newton || m.Solver == DPGradientDescent:
		o.fail("solver", "%s is not for this job: it is for %s ones\nhint: %s", m.Solver, map[bool]string{true: "exact", false: "private"}[private], solver)
	default:
		o.fail("solver", "unknown solver %q\nhint: %s", m.Solver, solver)
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

func parseEvaluation(doc *object) Evaluation {
	o := doc.object("evaluate")
	e := Evaluation{HoldOut: o.boolean("holdout")}
	for _, metric := range o.texts("metrics") {
		var flag *bool
		switch metric {
		case "auc":
			flag = &e.AUC
		case "log_loss":
			flag = &e.LogLoss
		case "accuracy":
			flag = &e.Correct
		default:
			o.fail("metrics", "unknown metric %q\nhint: auc, log_loss, accuracy", metric)
			continue
		}
		if *flag {
			o.fail("metrics", "%q twice", metric)
		}
		*flag = true
	}
	if err := o.done(); doc.err == nil {
		doc.err = err
	}
	return e
}
