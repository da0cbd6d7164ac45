package jobspec

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Most output columns of a model, the intercept included. dp_gradient_descent sums
// one value per pair of them, which is a million at 1,500.
const (
	MaxOutputs        = 2000
	MaxPrivateOutputs = 1500
	maxWideOutputs    = 1 << 19 // of solvers whose sums are as long as the model
	MaxSampledOutputs = 5 << 16 // of dp_sgd; its coefficients, if there are several classes
)

// Options say what the charter brings to a job.
type Options struct {
	F            int      // malicious members that the charter tolerates
	Members      []string // the charter's members that bring data; nil: not known
	Contributors int      // how many those are, if Members is nil
	Seats        int      // members that may sit on a committee; 0: not known
	// Start gives the coefficients of the model with that state, for training to start from, in the contract's units and as the
	// program's model has them; nil: there are no models. The error says for people why there are none.
	Start func(model [32]byte, program []byte) ([]float64, error)
}

// Resolve checks a spec against its contract and the charter and fills in every
// default. It returns either a Resolved or every problem found, at its place in
// the spec.
func Resolve(s *Spec, c *Contract, o Options) (*Resolved, []Problem) {
	f := newFindings(s.places)
	r := &Resolved{
		Name: s.Name, Contract: s.Contract, ContractDigest: c.Digest(), Kind: s.Privacy.Kind, Mode: s.Run.Mode,
		RoundTimeout: s.Run.RoundTimeout, Expires: s.Run.Expires, Seed: s.Run.Seed, Holdout: s.Holdout,
		Bits: int(s.Run.Bits), MaxRows: c.MaxRows, Model: s.Model, Metrics: []string{},
	}
	if s.Contract.String() != c.ID() {
		f.report(fmt.Sprintf("the job is for contract %s, not for %s", s.Contract, c.ID()), "write contract: "+c.ID(), "contract")
	}
	private := s.Privacy.Kind == KindPrivate
	switch {
	case s.Run.Mode == ModeSealed:
	case private:
		if s.Run.Committee != (Committee{}) {
			f.report("a noised job has no committee: nothing is sealed", "remove committee, or write mode: sealed", "run.committee", "run.mode")
		}
	default:
		f.report("an exact job works only with mode sealed: its sums carry no noise", "write mode: sealed", "run.mode", "privacy")
	}
	if lane := laneRows(r.Bits); r.MaxRows > lane {
		f.report(fmt.Sprintf("the contract's max_rows %d doesn't fit a lane of %d bits, which counts to %d", r.MaxRows, r.Bits, lane), "raise bits; the default is 40", "run.bits")
	}
	r.matchContract(c, f.report)
	if r.Model.recommends() {
		r.Features = matrixFeatures(s, c, f.report)
		if n := r.factorLanes(); n > maxFactorLanes {
			f.report(fmt.Sprintf("%d items with %d factors are summed in %d values, at most %d are possible", r.items(), r.Model.Factors, n, maxFactorLanes), "use fewer factors, or list fewer items in the contract", "model.factors", "model")
		}
	} else {
		r.Features = features(s, c, f.report)
	}
	if n, most := r.Outputs(), r.maxOutputs(); n > most {
		f.report(fmt.Sprintf("the features give %d output columns with the intercept, %s takes at most %d", n, r.Model.Solver, most),
			"leave out the category columns with the most values or buckets, cross fewer, or list fewer values in the contract", "features")
	}
	r.checkSketched(f.report, "features")
	labelOf(s, c, r, f.report)
	weightingOf(s, c, r, f.report)
	r.checkSize(f.report, "model")
	evaluation(s, c, r, f.report)
	groups(s, c, r, f.report)
	cohort(s, o, r, f.report)
	if private && len(f.problems) == 0 {
		r.Private = &Private{Unit: s.Privacy.Unit, Clip: uint64(s.Privacy.Clip), Epsilon: s.Privacy.Epsilon, Delta: s.Privacy.Delta}
		if p, wrong := r.calibrate(); wrong != nil {
			f.report(wrong.message, wrong.hint, wrong.path)
		} else {
			r.Private = p
		}
	}
	if len(f.problems) == 0 {
		startOf(s, o, r, f.report)
	}
	if len(f.problems) == 0 {
		if n := len(r.Canonical()); n > MaxDocumentBytes {
			f.report(fmt.Sprintf("the resolved job has %d bytes, at most %d are possible", n, MaxDocumentBytes), "use fewer or shorter category values", "features")
		}
	}
	if len(f.problems) > 0 {
		return nil, f.sorted()
	}
	return r, nil
}

// features turns the spec's groups into one feature per column.
func features(s *Spec, c *Contract, report report) (out []Feature) {
	seen := make(map[string]string)
	for i, group := range s.Features {
		at := item("features", i)
		for j, name := range group.Columns {
			path := item(child(at, "columns"), j)
			col, ok := usable(name, c, path, report)
			if !ok {
				continue
			}
			if first, twice := seen[name]; twice {
				report("column "+name+" is already a feature, at "+first, "remove one of them", path)
				continue
			}
			for _, feature := range newFeatures(s.Privacy.Kind, group, col, at, path, report) {
				if first, twice := seen[feature.Name]; twice {
					report("column "+feature.Name+" is already a feature, at "+first, "remove one of them", path)
					continue
				}
				seen[feature.Name] = path
				out = append(out, feature)
			}
		}
	}
	return crosses(s, c, out, report)
}

// usable finds a feature's column.
func usable(name string, c *Contract, path string, report report) (*Column, bool) {
	var names []string
	for _, col := range c.Columns {
		if col.Kind != Split {
			names = append(names, col.Name)
		}
	}
	col, ok := c.Column(name)
	switch {
	case name == c.Label.Column:
		report("column "+name+" is the label: a model that sees it learns nothing else", "remove it", path)
	case name == c.Key:
		report("column "+name+" is the key; it is never learnt from", "remove it", path)
	case !ok:
		report(fmt.Sprintf("contract %s has no column %s", c.ID(), show(name)), didYouMean(name, names), path)
	case col.Kind == Split:
		report("column "+name+" is a split; it only says which rows a job evaluates on", "remove it", path)
	default:
		return col, true
	}
	return nil, false
}

// newFeature fits a group's transforms to a column, in a job of that kind.
func newFeature(kind string, g FeatureSpec, col *Column, group, path string, report report) (Feature, bool) {
	f := Feature{
		Name: col.Name, Kind: col.Kind, Nullable: col.Nullable,
		// An indicator for what can't be missing would always be zero.
		MissingIndicator: g.MissingIndicator && col.Nullable,
	}
	oneHot, private := contains(g.Transforms, "one_hot"), kind == KindPrivate
	forNumbers := "use standardize, or [log1p, standardize]"
	if private {
		forNumbers = "use scale or standardize, or [log1p, scale]"
	}
	switch {
	case col.Kind == Category && !oneHot:
		hint := "put it in a group of its own with transform: one_hot"
		if len(g.Transforms) == 0 {
			report("column "+col.Name+" is a category and needs a transform", hint, path)
			return f, false
		}
		report("column "+col.Name+" is a category; "+strings.Join(g.Transforms, " and ")+" is for numbers", hint, path)
		return f, false
	case col.Kind == Number && oneHot:
		report("column "+col.Name+" is a number; one_hot is for categories", forNumbers, path)
		return f, false
	case col.Kind == Category:
		f.Values, f.HashBuckets, f.MinCount = slices.Clone(col.Values), col.Buckets, g.MinCount
		return f, true
	}
	const leaveOut = "leave log1p out for this column"
	f.Min, f.Max, f.Clip = col.Min, col.Max, g.Clip
	f.Log1p, f.Standardize, f.Scale = contains(g.Transforms, "log1p"), contains(g.Transforms, "standardize"), contains(g.Transforms, "scale")
	f.Scale = f.Scale || private && f.Standardize // to ±1
	switch {
	case private && !f.Scale:
		report("column "+col.Name+" is a number and needs scale or standardize in a private job", forNumbers, path, child(group, "transform"))
		return f, false
	case f.Log1p && f.Min <= -1:
		report(fmt.Sprintf("log1p needs values above -1, but the contract allows %s down to %v", col.Name, col.Min), leaveOut, path, child(group, "transform"))
		return f, false
	case f.Log1p && log1pVanishes(f.Min, f.Max):
		report(fmt.Sprintf("the range of %s from %v to %v is a single number under log1p", col.Name, col.Min, col.Max), leaveOut, path, child(group, "transform"))
		return f, false
	}
	return f, true
}

// log1pVanishes reports whether a range has no width left under log1p.
func log1pVanishes(low, high float64) bool { return !(math.Log1p(low) < math.Log1p(high)) }

// laneRows is the largest count that one value of that many bits holds.
func laneRows(bits int) int64 { return 1<<(bits-1) - 1 }

// evaluation checks the hold-out and fills in the metrics.
func evaluation(s *Spec, c *Contract, r *Resolved, report report) {
	h := s.Holdout
	if h.Column != "" {
		var splits []string
		for _, col := range c.Columns {
			if col.Kind == Split {
				splits = append(splits, col.Name)
			}
		}
		col, ok := c.Column(h.Column)
		switch {
		case !ok:
			report(fmt.Sprintf("contract %s has no column %s", c.ID(), show(h.Column)), didYouMean(h.Column, splits), "evaluate.holdout.column")
		case col.Kind != Split:
			report(fmt.Sprintf("column %s is a %s, not a split", h.Column, col.Kind), "hold out by tenths, such as holdout: 0.2, or by a column that the contract declares as a split", "evaluate.holdout.column")
		case !contains(col.Values, h.Equals):
			report(fmt.Sprintf("split %s has no value %s", h.Column, show(h.Equals)), didYouMean(h.Equals, col.Values), "evaluate.holdout.equals")
		}
	}
	switch {
	case h.None() && len(s.Metrics) > 0:
		report("metrics need a hold-out", "add holdout: 0.2 or remove metrics", "evaluate.metrics")
	case h.None():
	case s.Metrics == nil:
		r.Metrics = slices.Clone(r.defaultMetrics())
	case len(s.Metrics) == 0:
		report("a hold-out without metrics tells nothing", "list metrics: ["+strings.Join(r.metrics(), ", ")+"] or remove holdout", "evaluate.metrics")
	default:
		for _, name := range s.Metrics {
			switch known := contains(r.metrics(), name); {
			case !known && r.Target != nil && name == "calibration":
				report("calibration sums the labels in 20 bins of the prediction, which the noise of a private job would hide", "remove calibration, or write privacy: exact", "evaluate.metrics")
			case !known:
				report("metric "+name+" is not one of this model's", "choose of "+strings.Join(r.metrics(), ", "), "evaluate.metrics")
			}
		}
		r.Metrics = slices.Clone(s.Metrics)
	}
}

// cohort checks who takes part and who opens.
func cohort(s *Spec, o Options, r *Resolved, report report) {
	r.Contributors = o.Contributors
	if o.Members != nil {
		r.Participants, r.Contributors = slices.Sorted(slices.Values(o.Members)), len(o.Members)
	}
	if list := s.Run.Participants; list != nil {
		for i, name := range list {
			if o.Members != nil && !contains(o.Members, name) {
				report("the charter has no data member "+show(name), didYouMean(name, o.Members), item("run.participants", i))
			}
		}
		r.Participants, r.Contributors = slices.Sorted(slices.Values(list)), len(list)
	}
	article := "an"
	if r.Kind == KindPrivate {
		article = "a"
	}
	switch n := r.Contributors; {
	case n < minCohort(r.Mode, o.F):
		report(fmt.Sprintf("%d participants are too few: %s %s job with f = %d takes at least %d", n, article, r.Kind, o.F, minCohort(r.Mode, o.F)), "add participants to the job, or members to the charter", "run.participants")
	case n > maxContributors:
		report(fmt.Sprintf("%d participants are more than %d", n, maxContributors), "list fewer participants", "run.participants")
	case r.Kind == KindPrivate:
		r.F, r.NMin = o.F, quorum(s, n, o.F, report)
	}
	if r.Mode == ModeNoised {
		return
	}
	r.Committee = s.Run.Committee
	if r.Committee.Of == 0 {
		seats := o.Seats
		if seats == 0 {
			seats = r.Contributors
		}
		c, ok := DefaultCommittee(o.F, seats)
		if !ok {
			report(fmt.Sprintf("%d members can't form a committee at f = %d", seats, o.F), "add committee members to the charter", "run.committee")
		}
		r.Committee = c
		return
	}
	if err := CheckCommittee(r.Committee, o.F); err != nil {
		report(err.Error(), committeeHint(o.F), "run.committee")
	} else if o.Seats > 0 && r.Committee.Of > o.Seats {
		report(fmt.Sprintf("a committee of %d needs %d members that may hold a seat, the charter has %d", r.Committee.Of, r.Committee.Of, o.Seats), committeeHint(o.F), "run.committee.of")
	}
}
