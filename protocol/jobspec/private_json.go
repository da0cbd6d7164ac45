package jobspec

import (
	"fmt"

	"tributary/crypto/dp/accountant"
)

// privateJSON is the private block of a resolved job. Numbers of up to 64 bits
// are decimal strings: many JSON readers keep only 53.
type privateJSON struct {
	Unit    string           `json:"unit"`
	Clip    uint64           `json:"clip"`
	Epsilon Decimal          `json:"epsilon"`
	Delta   Decimal          `json:"delta"`
	Order   accountant.Order `json:"order"`
	Scale   uint64           `json:"scale"`
	Kinds   kindsJSON        `json:"kinds"`
}

type kindsJSON struct {
	Sketch   *KindNoise `json:"sketch,omitempty"`
	Fit      KindNoise  `json:"fit"`
	Train    KindNoise  `json:"train"`
	Evaluate *KindNoise `json:"evaluate,omitempty"`
}

// noiseJSON is what a program says of noise: how large it is in opened sums, for
// the solver. Sigma2Evaluate is 0 where nothing is evaluated.
type noiseJSON struct {
	Unit           string `json:"unit"`
	Clip           uint64 `json:"clip"`
	Scale          uint64 `json:"scale"`
	Sigma2Sketch   uint64 `json:"sigma2_sketch,string,omitempty"`
	Sigma2Fit      uint64 `json:"sigma2_fit,string"`
	Sigma2Train    uint64 `json:"sigma2_train,string"`
	Sigma2Evaluate uint64 `json:"sigma2_evaluate,string"`
	Bins           int    `json:"bins"`
}

func (p *Private) json() *privateJSON {
	out := &privateJSON{Unit: p.Unit, Clip: p.Clip, Epsilon: p.Epsilon, Delta: p.Delta, Order: p.Order, Scale: p.Scale, Kinds: kindsJSON{Fit: p.Fit, Train: p.Train}}
	if p.Sketch != (KindNoise{}) {
		out.Kinds.Sketch = &p.Sketch
	}
	if p.Evaluate != (KindNoise{}) {
		out.Kinds.Evaluate = &p.Evaluate
	}
	return out
}

func (j *privateJSON) private() *Private {
	if j == nil {
		return nil
	}
	return &Private{Unit: j.Unit, Clip: j.Clip, Epsilon: j.Epsilon, Delta: j.Delta, Order: j.Order, Scale: j.Scale,
		Sketch: or0(j.Kinds.Sketch), Fit: j.Kinds.Fit, Train: j.Kinds.Train, Evaluate: or0(j.Kinds.Evaluate)}
}

// program gives the noise of opened sums: a noised job's contributions are charged
// one by one, and n_min of them or more are added.
func (r *Resolved) noiseProgram() *noiseJSON {
	p, added := r.Private, r.added()
	return &noiseJSON{Unit: p.Unit, Clip: p.Clip, Scale: p.Scale, Sigma2Sketch: added * p.Sketch.SumSigma2, Sigma2Fit: added * p.Fit.SumSigma2, Sigma2Train: added * p.Train.SumSigma2, Sigma2Evaluate: added * p.Evaluate.SumSigma2, Bins: histogramBins}
}

// added is how many times a sum has the noise that is charged, at least.
func (r *Resolved) added() uint64 {
	if r.Mode == ModeNoised {
		return uint64(max(r.NMin, 1))
	}
	return 1
}

func (j modelJSON) model() Model {
	return Model{Type: j.Type, L1: j.L1, L2: j.L2, Solver: j.Solver, MaxRounds: j.MaxRounds, Tolerance: or0(j.Tolerance), Patience: j.Patience, StandardErrors: j.StandardErrors, Factors: j.Factors, Averaging: j.Averaging.averaging(), Sampling: j.Sampling.sampling()}
}

// checkQuorum reports what is wrong with the numbers that a private job's noise
// is derived from, other than ε and δ.
func (r *Resolved) checkQuorum(report report) {
	switch r.Private.Unit {
	case unitRecord:
		inRange(report, "private.clip", int64(min(r.Private.Clip, maxUnitClip+1)), 1, 1)
	case unitUser, unitSilo:
		inRange(report, "private.clip", int64(min(r.Private.Clip, maxUnitClip+1)), 1, maxUnitClip)
	default:
		report("unit "+show(r.Private.Unit)+" is not one of record, user, silo", "", "private.unit")
	}
	inRange(report, "f", int64(r.F), 0, maxSeats)
	inRange(report, "program.contributors", int64(r.Contributors), int64(minCohort(r.Mode, r.F)), maxContributors)
	inRange(report, "n_min", int64(r.NMin), int64(leastQuorum(r.Mode, r.F)), int64(r.Contributors))
	if r.Mode == ModeNoised {
		if r.Committee != (Committee{}) {
			report("a noised job has no committee", "", "committee")
		}
	} else if err := CheckCommittee(r.Committee, r.F); err != nil {
		report(err.Error(), "", "committee")
	}
}

// checkNoise derives a private job's noise again and compares. The job has passed check.
func (r *Resolved) checkNoise() error {
	if r.Private == nil {
		return nil
	}
	want, wrong := r.calibrate()
	if wrong != nil {
		return fmt.Errorf("%w: %w: %s", ErrNotCanonical, ErrNoise, wrong.message)
	}
	got := r.Private
	for _, n := range []struct {
		path      string
		got, want any
	}{
		{"order", got.Order, want.Order}, {"scale", got.Scale, want.Scale}, {"kinds.sketch", got.Sketch, want.Sketch}, {"kinds.fit", got.Fit, want.Fit},
		{"kinds.train", got.Train, want.Train}, {"kinds.evaluate", got.Evaluate, want.Evaluate},
	} {
		if n.got != n.want {
			return fmt.Errorf("%w: %w: private.%s is %s, not %s", ErrNotCanonical, ErrNoise, n.path, encode(n.got), encode(n.want))
		}
	}
	return nil
}
