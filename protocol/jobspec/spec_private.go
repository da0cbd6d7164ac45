package jobspec

// matchKind checks what a spec says against the kind of job that it asks for, and
// sets the defaults that depend on it. A kind that can't be read is not judged.
func (d *document) matchKind(s *Spec) {
	known, private := d.given("privacy") && !d.broken["privacy"], s.Privacy.Kind == KindPrivate
	for i := range s.Features {
		at := item("features", i)
		d.matchOptions(&s.Features[i], at, known && private)
		switch transforms := s.Features[i].Transforms; {
		case !known:
		case !private && contains(transforms, "scale"):
			d.report("scale is for private jobs", "use standardize", child(at, "transform"))
		}
	}
	if known {
		defer d.matchWeighting(s)
		defer d.matchEnding(s)
		d.matchStart(s)
	}
	switch {
	case known && private:
		d.matchPrivate(s)
	case known:
		if d.given("model.solver") && isPrivateSolver(s.Model.Solver) {
			d.report("solver "+s.Model.Solver+" is for private jobs", "write solver: "+exactSolvers(s.Model.Type)[0]+", or leave it out", "model.solver")
		}
		if d.given("model.sampling") {
			d.report("sampling is for private jobs with solver "+solverSGD, "remove sampling", "model.sampling")
		}
		if d.given("run.min_participants") {
			d.report("an exact job needs all of its participants in every sum", "remove min_participants", "run.min_participants")
		}
		d.matchModel(s)
	}
}

// matchOptions checks the options of a feature's transforms.
func (d *document) matchOptions(f *FeatureSpec, at string, private bool) {
	clip, count, transform := child(at, "clip"), child(at, "min_count"), child(at, "transform")
	switch {
	case private:
		d.matchPrivateNumber(f, at)
	case !d.given(clip) || contains(f.Transforms, "standardize") || f.Quantiles != nil && !d.given(child(clip, "deviations")):
	default:
		d.report("clip counts standard deviations and needs standardize", "add standardize or remove clip", clip, transform)
	}
	switch {
	case !d.given(count):
	case private:
		d.report("min_count needs the counts of categories, which a private job doesn't release", "remove min_count: the noise covers rare categories", count)
	case !contains(f.Transforms, "one_hot") && f.Cross == nil && !d.given(child(at, "buckets")) && !d.given(child(at, "date_parts")):
		d.report("min_count folds rare categories and needs one_hot", "add one_hot or remove min_count", count, transform)
	}
	if private {
		f.MinCount = 0
	}
}

func (d *document) matchPrivate(s *Spec) {
	if s.Model.recommends() {
		d.matchPrivateMatrix(s)
		return
	}
	if s.Model.L1 > 0 {
		d.report("a private job has no L1 penalty in this version", "remove l1", "model.l1")
	}
	multinomial, sampled := s.Model.Type == typeMultinomial, s.Model.sampledOnly()
	if d.given("model.averaging") || multinomial && d.given("model.min_class_rows") || d.given("model.recommendation") {
		d.report("averaging, min_class_rows and recommendation are for exact jobs", "remove them", "model")
	}
	d.matchFactors(&s.Model)
	solvers := solverPrivate + " or " + solverSGD
	if sampled {
		solvers = solverSGD
	}
	switch {
	case !d.given("model.solver") && sampled:
		s.Model.Solver = solverSGD
	case !d.given("model.solver"):
		s.Model.Solver = solverPrivate
	case sampled && s.Model.Solver == solverPrivate:
		d.report("a private "+s.Model.Type+" has the solver "+solverSGD, "write solver: "+solverSGD+", or leave it out", "model.solver")
		s.Model.Solver = solverSGD
	case s.Model.Solver == solverDPALS:
		d.report("solver "+solverDPALS+" is for a matrix_factorization", "write solver: "+solvers+", or leave it out", "model.solver")
	case !isPrivateSolver(s.Model.Solver):
		d.report("solver "+s.Model.Solver+" is for exact jobs: it needs sums without noise", "write solver: "+solvers+", or leave it out", "model.solver")
	}
	if d.given("model.tolerance") {
		d.report("a private job runs all of its rounds: where it stopped early would tell of the data", "remove tolerance; max_rounds says how many rounds there are", "model.tolerance")
	}
	d.matchClasses(s)
	s.Model.Tolerance, s.Model.Averaging, s.Model.Recommendation = 0, nil, nil
	rounds := int64(privateMaxRounds)
	switch {
	case s.Model.Solver == solverSGD:
		rounds = sampledRounds
		if s.Model.Sampling == nil {
			s.Model.Sampling = newSampling()
		}
		if !d.given("model.sampling.learning_rate") {
			s.Model.Sampling.LearningRate = s.Model.defaultSampledRate()
		}
	case d.given("model.sampling"):
		d.report("sampling is for the solver "+solverSGD, "write solver: "+solverSGD+", or remove sampling", "model.sampling")
	}
	if !d.given("model.max_rounds") {
		s.Model.MaxRounds = rounds
	}
}

func isPrivateSolver(solver string) bool {
	return solver == solverPrivate || solver == solverSGD || solver == solverDPALS
}

// given reports whether the text has a value at a path.
func (d *document) given(path string) bool {
	_, ok := d.places[path]
	return ok
}
