package jobspec

import "fmt"

// Words of matrix factorisations whose participants step along gradients and
// whose items' changes are averaged.
const (
	solverGradient = "sgd" // ratings
	solverBPR      = "bpr" // what was taken
)

// Their defaults.
const (
	gradientEpochs = 5
	bprEpochs      = 4
	gradientRate   = 0.1
	gradientRounds = 30
	bprL2          = 0.02 // of each comparison
)

// steps tells whether a matrix factorisation's solver has epochs and a learning rate.
func steps(solver string) bool { return solver == solverGradient || solver == solverBPR }

// rate reads a learning rate.
func (d *document) rate(v value) float64 {
	n, ok := d.number(v)
	if ok && !(n > 0 && n <= maxRate) {
		d.at(v.path, v.at, fmt.Sprintf("learning_rate %v is not above 0 and at most %v", n, maxRate), "")
	}
	return n
}

// matchGradients keeps epochs and learning_rate to the solvers that have them, and
// those to the feedback that they learn from.
func (d *document) matchGradients(m *Model) {
	r, at := m.Recommendation, func(key string) string { return "model.recommendation." + key }
	if !steps(m.Solver) {
		for _, key := range []string{"epochs", "learning_rate"} {
			if d.given(at(key)) {
				d.report(key+" is for the solvers sgd and bpr", "remove "+key+", or write solver: sgd or bpr", at(key))
			}
		}
		return
	}
	if d.given(at("alpha")) {
		d.report("alpha is for the solver als: "+m.Solver+" doesn't weigh what was taken", "remove alpha", at("alpha"))
	}
	switch {
	case m.Solver == solverGradient && r.Rating == "":
		d.report("sgd learns from ratings", "add recommendation.rating, or write solver: bpr", "model.solver")
	case m.Solver == solverBPR && r.Rating != "":
		d.report("bpr learns from what was taken, not from ratings", "remove rating, or write solver: sgd", at("rating"))
	}
	if !d.given(at("epochs")) {
		if r.Epochs = gradientEpochs; m.Solver == solverBPR {
			r.Epochs = bprEpochs
		}
	}
	if !d.given(at("learning_rate")) {
		r.LearningRate = gradientRate
	}
	if m.Solver == solverBPR && !d.given("model.l2") {
		m.L2 = bprL2
	}
	if m.Solver == solverGradient && !d.given("model.max_rounds") {
		m.MaxRounds = gradientRounds
	}
}

// checkGradients checks what a resolved matrix factorisation says of local training.
func (r *Resolved) checkGradients(report report) {
	m, rec := r.Model, r.Model.Recommendation
	ok := rec.Epochs == 0 && rec.LearningRate == 0
	if steps(m.Solver) {
		ok = rec.Epochs >= 1 && rec.Epochs <= maxEpochs && rec.LearningRate > 0 && rec.LearningRate <= maxRate && (m.Solver == solverBPR) == (rec.Rating == "")
	}
	if !ok {
		report(fmt.Sprintf("%d epochs at rate %v don't go with solver %s", rec.Epochs, rec.LearningRate, show(m.Solver)), "", "program.model.recommendation")
	}
}
