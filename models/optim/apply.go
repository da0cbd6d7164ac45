package optim

import (
	"errors"
	"fmt"

	"tributary/models/metrics"
)

// ErrDone is returned by Apply for a state that no round follows.
var ErrDone = errors.New("training is done")

// Report is what a step tells: for people, and never read back.
type Report struct {
	Kind RoundKind
	Step uint32 // opened rounds with this one
	Rows int64  // training rows of the cohort (private: a noised count)
	// Objective is in nats, at the coefficients that the round summed at (not in FIT; private: 0, unknown). Of a label that is a number
	// it is of half the squared error in the label's deviations, as is LossPerRow.
	Objective  float64
	LossPerRow float64 // nats, training rows (not in FIT; private: 0, unknown)
	Decrement  float64 // √(gᵀH⁻¹g): half its square estimates the distance to the optimum, in nats
	Damped     bool    // the objective rose: the step was halved instead of a new one taken
	Converged  bool
	Frozen     int              // columns without a usable pivot: collinear or separated, and no penalty
	Metrics    *metrics.Summary // EVALUATE only
	// Scores are the held-out rows by label and predicted probability, in EVALUATE rounds that open them. A private program's are
	// clipped, and each count was noised with the deviation.
	Scores    *metrics.Histogram
	Deviation float64       // rows
	Groups    []GroupScores // of programs with groups, in EVALUATE rounds
	// LabelBins are the held-out rows by the prediction of a number, in EVALUATE rounds that open them: bins without rows left out.
	LabelBins []metrics.LabelBin
	Note      string
}

// Apply is the server step: a pure function of the program, the state and the opened sum of Layout(s.Kind()). The same inputs
// give the same state, bit for bit, on every architecture. The given state isn't changed.
func (p *Program) Apply(s *State, segments [][]float64) (*State, Report, error) {
	if s.kind == Done {
		return nil, Report{}, ErrDone
	}
	if s.solver.name() != p.solver.name() {
		return nil, Report{}, fmt.Errorf("%w: it is of another kind of program", ErrState)
	}
	values, err := p.split(s.kind, segments)
	if err != nil {
		return nil, Report{}, err
	}
	return p.solver.apply(s, values)
}
