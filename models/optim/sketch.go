package optim

import (
	"errors"
	"fmt"
	"math"

	"tributary/models/pipeline"
)

// A private program whose features have quantiles, means or deviations begins with a SKETCH round: noised counts of training rows by
// bin of each such number, see pipeline.FitNoised. FIT's own sum can't tell them: what a row adds to it hangs on them.

const segSketch = "sketch"

// sketched tells whether the program has a SKETCH round.
func (p *Program) sketched() bool { return p.Private() && p.spec.Sketched() > 0 }

// firstKind is the kind of a private program's first round.
func (p *Program) firstKind() RoundKind {
	if p.sketched() {
		return Sketch
	}
	return Fit
}

// sketchRounds counts the SKETCH rounds.
func (p *Program) sketchRounds() int {
	if p.sketched() {
		return 1
	}
	return 0
}

// sketchNorm bounds the L2 norm of what one row adds to a SKETCH sum, in units of 1.0.
func (p *Program) sketchNorm() float64 { return math.Sqrt(float64(2 * p.spec.Sketched())) }

// fittedBefore is what a private program knows of its pipeline before FIT's sum is opened; the caller may change it.
func (p *Program) fittedBefore(s *State) *pipeline.Fitted {
	if s.fitted == nil {
		return p.Plain()
	}
	f := *s.fitted
	return &f
}

// Encoding is the pipeline by which rows are encoded for the round that comes next at a state: nil before an exact program's FIT, and
// in a SKETCH round, which sums rows as they are.
func (p *Program) Encoding(s *State) *pipeline.Fitted {
	if s.fitted == nil && s.kind == Fit && p.Private() {
		return p.Plain()
	}
	return s.fitted
}

// applySketch is the step of SKETCH.
func (p *Program) applySketch(s *State, sum []float64) (*State, Report, error) {
	if err := p.checkNormOf(sum, p.privacy.Sigma2Sketch, p.sketchNorm()); err != nil {
		return nil, Report{}, err
	}
	counts := make([]float64, len(sum))
	for i, v := range sum {
		counts[i] = v / float64(p.privacy.Scale)
	}
	fitted := p.Plain()
	rows, err := p.spec.FitNoised(fitted, counts)
	if err != nil {
		return nil, Report{}, fmt.Errorf("%w: %w", ErrSums, err)
	}
	next := s.advance(Fit)
	next.fitted = fitted
	least, most := rows[0], rows[0]
	for _, n := range rows {
		least, most = min(least, n), max(most, n)
	}
	note := fmt.Sprintf("noised: quantiles of %d columns, of about %d to %d training rows (standard error of a bin %.0f or more)", len(rows), least, most, p.sigma(p.privacy.Sigma2Sketch))
	return next, Report{Kind: Sketch, Step: next.step, Note: note}, nil
}

// noisedFitted writes what a SKETCH round found: mean f64 and sd f64 of each number that is standardised, then bounds and edges.
func (e *encoder) noisedFitted(spec *pipeline.Spec, f *pipeline.Fitted) {
	for i, feature := range spec.Features() {
		if feature.Standardize {
			at := spec.NumberIndex(i)
			e.numbers(f.Mean[at], f.SD[at])
		}
	}
	e.learnt(f)
}

func (d *decoder) noisedFitted(p *Program) *pipeline.Fitted {
	f, spec := p.Plain(), p.spec
	for i, feature := range spec.Features() {
		if feature.Standardize {
			at := spec.NumberIndex(i)
			f.Mean[at], f.SD[at] = d.f64(), d.f64()
		}
	}
	d.learnt(spec, f)
	return f
}

// decodeNoised is decodeState of a program with privacy: a state behind a SKETCH round begins with what that found.
func (p *Program) decodeNoised(data []byte, version uint16, body func(*decoder, *State), check func(*State) error) (*State, error) {
	bodies := map[RoundKind]func(*decoder, *State){Fit: nil}
	if p.sketched() {
		bodies[Sketch] = nil
		bodies[Fit] = func(d *decoder, s *State) { s.fitted = d.noisedFitted(p) }
	}
	for _, kind := range []RoundKind{Train, Evaluate, Done} {
		bodies[kind] = func(d *decoder, s *State) {
			s.fitted = d.noisedFitted(p)
			body(d, s)
		}
	}
	return decodeKinds(data, version, false, bodies, func(s *State) error {
		if err := p.checkSketched(s); err != nil {
			return err
		}
		return check(s)
	})
}

// checkSketched holds what a SKETCH round found to what it can find, and a state before FIT to its steps.
func (p *Program) checkSketched(s *State) error {
	before := uint32(0)
	if s.kind == Fit {
		before = uint32(p.sketchRounds())
	}
	if (s.kind == Sketch || s.kind == Fit) && (s.step != before || s.rounds != 0) {
		return fmt.Errorf("kind %s, step %d, %d TRAIN rounds", s.kind, s.step, s.rounds)
	}
	if s.fitted == nil {
		return nil
	}
	return p.spec.CheckNoised(s.fitted)
}

// sketchVariance reads sigma2_sketch, 0 where it isn't given.
func (o *object) sketchVariance() uint64 {
	if _, given := o.keys["sigma2_sketch"]; !given {
		return 0
	}
	v := o.variance("sigma2_sketch")
	if v == 0 {
		o.fail("sigma2_sketch", "no noise in an opened sum\nhint: the variance comes from the job's budget")
	}
	return v
}

// checkSketchNoise refuses sketches without noise, and noise without sketches; the pipeline must be there.
func (p *Program) checkSketchNoise() error {
	switch q := p.privacy; {
	case p.sketched() && p.spec.Sketched() > pipeline.MaxNoised:
		return fmt.Errorf("features: %d have quantiles, a private job fits those of %d at most", p.spec.Sketched(), pipeline.MaxNoised)
	case p.sketched() && q.Sigma2Sketch == 0:
		return errors.New("private.sigma2_sketch: no noise in an opened sum\nhint: the variance comes from the job's budget")
	case q != nil && q.Sigma2Sketch != 0 && !p.sketched():
		return errors.New("private.sigma2_sketch: nothing is sketched\nhint: leave it out")
	}
	return nil
}
