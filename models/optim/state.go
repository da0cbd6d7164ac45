package optim

import (
	"tributary/models/metrics"
	"tributary/models/pipeline"
)

// State is all that a round builds on: coefficients, fitted pipeline, solver memory, step, and the kind of the round that
// comes next. It names no job, round or member. A State is immutable.
type State struct {
	kind   RoundKind
	step   uint32 // opened rounds of all kinds
	rounds uint32 // opened TRAIN rounds

	fitted *pipeline.Fitted // nil before FIT; of FIT behind a SKETCH round what that found
	w      []float64        // coefficients, the intercept last; nil before FIT

	// Solver memory after a TRAIN round: the last coefficients whose objective was accepted, from which w steps away.
	best          []float64
	bestObjective float64
	decrement     float64
	converged     bool
	variance      []float64 // Newton without L1, after TRAIN, and L-BFGS with standard errors, Done: of each coefficient, 0: unknown; nil elsewhere

	groups []int64 // held-out rows by group, after FIT; nil if the program has no groups

	solver  solver
	factors *factorMemory  // of a matrix factorisation, after FIT
	average *averageMemory // averaging TRAIN after its first round, and later
	factor  *matrix        // TRAIN of DPGradientDescent only: the Cholesky factor of the preconditioner
	sampled *sampledMemory // TRAIN of DPSGD only

	watch     *watchMemory // TRAIN of a watched program after its first round
	lbfgs     *lbfgsMemory // L-BFGS TRAIN after its first round, and later
	curvature []float64    // L-BFGS TRAIN only: about the second derivative by each coefficient at the start, positive

	summary   metrics.Summary // Done only
	confusion []int64         // Done with several classes only: held-out rows by class, then by prediction
}

// Initial is the state before any round: nothing is fitted, the coefficients will be zero.
func (p *Program) Initial() *State { return &State{kind: p.firstKind(), solver: p.solver} }

// MaxStateBytes bounds the length of the program's encoded states, but for those of L-BFGS, which have 64 MiB at most. It is close where
// states are largest, for whoever fetches one is ready to hold as much: 8 bytes a coefficient, and so for each list of its length that
// an averaging solver remembers.
func (p *Program) MaxStateBytes() int {
	lists := 5
	if a := p.Model.Averaging; a != nil {
		lists = 1
		if p.Model.Solver == FedAdam {
			lists += 2
		}
		if a.Patience > 0 {
			lists++
		}
		if p.Dual() {
			lists++
		}
	}
	return 8*lists*p.Coefficients() + 64*p.columns() + 1<<20
}

// advance starts the state after an opened round: what the solver remembers isn't carried over.
func (s *State) advance(next RoundKind) *State {
	return &State{kind: next, step: s.step + 1, rounds: s.rounds, fitted: s.fitted, w: s.w, groups: s.groups, solver: s.solver}
}

// Kind is the kind of the round that comes next.
func (s *State) Kind() RoundKind { return s.kind }

// Step counts the opened rounds of all kinds.
func (s *State) Step() uint32 { return s.step }

// TrainRounds counts the opened TRAIN rounds.
func (s *State) TrainRounds() int { return int(s.rounds) }

// Fitted is the fitted pipeline, nil before FIT; the caller must not change it. A private one has only a noised row count.
func (s *State) Fitted() *pipeline.Fitted {
	if s.kind == Fit {
		return nil // what a SKETCH round found isn't all
	}
	return s.fitted
}

// Coefficients are the model's, one per output column and the intercept last, and so for each class of a label with several; nil
// before FIT. The caller must not change them.
func (s *State) Coefficients() []float64 { return s.w }

// Point is where a TRAIN round takes its gradients: the coefficients, or what they are averaged from. The caller must not change it.
func (s *State) Point() []float64 {
	if s.sampled != nil {
		return s.sampled.iterate
	}
	return s.w
}

// Converged tells whether the solver reached its tolerance; a private one has none.
func (s *State) Converged() bool { return s.converged }

// Confusion counts the held-out rows of each class by the class that the model predicts, row by row; nil unless the state is Done,
// the label has several classes and the job asks for accuracy. The caller must not change it.
func (s *State) Confusion() []int64 { return s.confusion }

// Metrics are the model's quality, once the state is Done. Those of a private program are noisy, without a training loss, and
// unknown if the job measures nothing.
func (s *State) Metrics() (metrics.Summary, bool) { return s.summary, s.kind == Done }

// Users counts the users of a matrix factorisation's training pairs, over the cohort; 0 before FIT, and in other models.
func (s *State) Users() int64 {
	if s.factors == nil {
		return 0
	}
	return s.factors.users
}

// ItemUsers counts them by item. The caller must not change it.
func (s *State) ItemUsers() []int64 {
	if s.factors == nil {
		return nil
	}
	return s.factors.itemUsers
}
