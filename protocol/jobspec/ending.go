package jobspec

import "fmt"

// ending reads what may end a training early, and whether an lbfgs job sums the
// Hessian at its end.
func (d *document) ending(keys map[string]value, m *Model) {
	if v, ok := keys["patience"]; ok {
		m.Patience, _ = d.integer(v, 0, maxTrainRounds)
	}
	if v, ok := keys["standard_errors"]; ok {
		m.StandardErrors, _ = d.boolean(v)
	}
}

// sumsDerivatives reports whether a solver's rounds sum derivatives of the exact
// loss, for which L1 penalties, weights and a patience are made.
func sumsDerivatives(solver string) bool { return solver == solverNewton || solver == solverLBFGS }

// penalises reports whether a model's solver takes an L1 penalty: those that sum
// derivatives, and averaging of duals, see package optim.
func (m *Model) penalises() bool {
	return sumsDerivatives(m.Solver) || m.Solver == solverFedAvg && m.Type != typeFactorization && m.Averaging != nil && m.Averaging.Optimizer == optimizerSGD
}

// matchEnding keeps an L1 penalty, a patience and standard errors to the solvers
// that have them.
func (d *document) matchEnding(s *Spec) {
	m := &s.Model
	if d.broken["model.solver"] || d.broken["model.type"] {
		return
	}
	exact := s.Privacy.Kind == KindExact
	if m.L1 > 0 && exact && !m.penalises() {
		hint, solver := "remove l1", "solver "+m.Solver
		if !m.recommends() && m.Type != typeFactorization {
			hint += ", or write solver: newton or lbfgs"
		}
		if m.Solver == solverFedAvg && m.Averaging != nil && m.Averaging.Optimizer != optimizerSGD && m.Type != typeFactorization {
			solver += " with the optimizer " + m.Averaging.Optimizer
		}
		if averages(m.Solver) && m.Type != typeFactorization {
			hint += ", or fedavg with averaging: {optimizer: sgd}: a mean of models that each has zeros has none"
		}
		d.report(solver+" has no L1 penalty", hint, "model.l1", "model.solver")
	}
	if m.Patience > 0 {
		switch {
		case !exact:
			d.report("a private job runs all its rounds", "remove patience", "model.patience")
		case averages(m.Solver):
			d.report("solvers that average have a patience of their own", "write averaging: {patience: "+fmt.Sprint(m.Patience)+"}", "model.patience", "model.solver")
		case m.recommends():
			d.report("a matrix_factorization has a patience of its own", "write it under recommendation", "model.patience")
		case s.Holdout.None():
			d.report("patience watches the held-out loss, and nothing is held out", "add evaluate: {holdout: 0.2}, or remove patience", "model.patience")
		}
	}
	if !m.StandardErrors {
		return
	}
	switch {
	case m.Solver == solverNewton && exact:
		d.report("newton has standard errors by itself", "remove standard_errors", "model.standard_errors")
	case m.Solver != solverLBFGS:
		d.report("standard_errors is for the solver lbfgs in exact jobs", "remove standard_errors", "model.standard_errors")
	case m.L1 > 0:
		d.report("an L1 penalty leaves no standard errors", "remove standard_errors or l1", "model.standard_errors", "model.l1")
	}
}

// checkEnding checks the same of a resolved job.
func (r *Resolved) checkEnding(report report) {
	m := r.Model
	if !(m.L1 >= 0 && m.L1 <= maxL2) || m.L1 > 0 && !m.penalises() {
		report(fmt.Sprintf("l1 %v is out of range, or not with solver %s", m.L1, show(m.Solver)), "", "program.model.l1")
	}
	inRange(report, "program.model.patience", m.Patience, 0, maxTrainRounds)
	if m.Patience > 0 && (!sumsDerivatives(m.Solver) || r.Holdout.None()) {
		report("a patience is for newton and lbfgs, and watches held-out rows", "", "program.model.patience")
	}
	if m.StandardErrors && (m.Solver != solverLBFGS || m.L1 > 0) {
		report("standard_errors is for lbfgs without l1", "", "program.model.standard_errors")
	}
}

// extraSums lists what these choices open beside an exact linear job's other sums.
func extraSums(j *Resolved) string {
	text := ""
	if a := j.Model.Averaging; j.Model.Patience > 0 || a != nil && a.Patience > 0 {
		text += ", the held-out rows' loss in each round"
	}
	if j.Model.StandardErrors {
		text += ", the loss's second derivatives by every pair of coefficients at the end (with them the count of every pair of categories, approximately)"
	}
	return text
}
