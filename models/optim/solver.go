package optim

// solver is one way of training a type of model. Its methods are those of Program and State that depend on it, and have their
// contracts. Adding one means a constructor in solverOf, and code in this package, the participant's sums (package local) and
// the job spec; nothing in protocol or crypto knows one.
type solver interface {
	// name tells solvers apart: a state belongs to one.
	name() string
	// coefficients counts State.Coefficients.
	coefficients() int
	layout(kind RoundKind, add func(name string, length int, scale uint64))
	maxRounds(kind RoundKind) int
	// apply has the segments of layout by name: finite, counts whole.
	apply(s *State, v map[string][]float64) (*State, Report, error)
	encode(s *State) []byte
	// decode is strict, see DecodeState.
	decode(data []byte) (*State, error)
	// describe writes the solver's part of the program's document.
	describe(out *document)
	export(s *State) any
}

// solverOf gives the solver of a program whose model has been read, or nil if there is none.
func solverOf(p *Program) solver {
	switch {
	case (p.Model.Type == LogisticRegression || p.Model.Type == LinearRegression) && p.Model.Solver == Newton && !p.Private():
		return newton{p}
	case (p.Model.Type == LogisticRegression || p.Model.Type == LinearRegression || p.Model.Type == MultinomialRegression) && p.Model.Solver == LBFGS && !p.Private():
		return lbfgs{p}
	case averages(p.Model.Solver) && !p.Private():
		return averaging{p}
	case p.Model.Type == MatrixFactorization && p.Model.Recommendation != nil && !p.Private():
		return factorization{p}
	case p.Model.Type == MatrixFactorization && p.Model.Solver == DPALS && p.Private():
		return privateFactors{p}
	case p.Model.Type == LogisticRegression && p.Model.Solver == DPGradientDescent && p.Private():
		return descent{p}
	case p.Model.Type != MatrixFactorization && p.Model.Solver == DPSGD && p.Private():
		return sampled{p}
	}
	return nil
}

// newton is Newton's method on exact sums: see train.go.
type newton struct{ *Program }

func (n newton) name() string      { return n.Model.Type + "/" + Newton }
func (n newton) coefficients() int { return n.columns() + 1 }

func (n newton) layout(kind RoundKind, add func(name string, length int, scale uint64)) {
	lane, d, numbers := n.lane(), n.Coefficients(), n.spec.Numbers()
	switch kind {
	case Fit:
		add(segRows, 1, 1)
		n.layoutTarget(add)
		add(segHeldOut, 1, 1)
		add(segPresent, numbers, 1)
		add(segSumWhole, numbers, 1)
		add(segSumPart, numbers, lane)
		add(segSquareWhole, numbers, 1)
		add(segSquarePart, numbers, lane)
		add(segCategories, n.spec.Counted(), 1)
		n.layoutSketches(add)
		add(segGroupRows, n.groupCount(), 1)
	case Train:
		add(segRows, 1, 1)
		n.layoutLoss(add, segLossWhole, segLoss)
		n.layoutWatch(add)
		add(segGradient, d, lane)
		add(segHessian, d*(d+1)/2, lane)
	case Evaluate:
		add(segRows, 1, 1)
		n.layoutLoss(add, segLossWhole, segLoss)
		n.layoutHeldOut(add)
	}
}

func (n newton) maxRounds(kind RoundKind) int {
	switch kind {
	case Fit, Evaluate:
		return 1
	case Train:
		return n.Model.MaxRounds
	}
	return 0
}

func (n newton) apply(s *State, v map[string][]float64) (*State, Report, error) {
	switch s.kind {
	case Fit:
		return n.applyFit(s, v)
	case Train:
		return n.applyTrain(s, v)
	default:
		return n.applyEvaluate(s, v)
	}
}

func (n newton) encode(s *State) []byte             { return n.encodeExact(s) }
func (n newton) decode(data []byte) (*State, error) { return n.decodeExact(data) }
func (n newton) describe(out *document)             { out.Model.Tolerance = &n.Model.Tolerance }
func (n newton) export(s *State) any                { return n.exportModel(s) }

// descent is the preconditioned gradient descent on noised sums: see private.go.
type descent struct{ *Program }

func (d descent) name() string      { return LogisticRegression + "/" + DPGradientDescent }
func (d descent) coefficients() int { return d.columns() + 1 }

func (d descent) layout(kind RoundKind, add func(name string, length int, scale uint64)) {
	d.layoutPrivate(kind, add)
}

func (d descent) maxRounds(kind RoundKind) int {
	switch {
	case kind == Sketch:
		return d.sketchRounds()
	case kind == Fit, kind == Evaluate && d.measures():
		return 1
	case kind == Train:
		return d.Model.MaxRounds
	}
	return 0
}

func (d descent) apply(s *State, v map[string][]float64) (*State, Report, error) {
	switch s.kind {
	case Sketch:
		return d.applySketch(s, v[segSketch])
	case Fit:
		return d.applyGram(s, v)
	case Train:
		return d.applyDescent(s, v)
	default:
		return d.applyHistogram(s, v)
	}
}

func (d descent) encode(s *State) []byte             { return d.encodePrivate(s) }
func (d descent) decode(data []byte) (*State, error) { return d.decodePrivate(data) }
func (d descent) describe(*document)                 {}
func (d descent) export(s *State) any                { return d.exportModel(s) }
