package jobspec

import (
	"fmt"
	"math"

	"tributary/crypto/dp"
	"tributary/crypto/dp/accountant"
)

// calibrate derives order, scale and variances of a private job from its ε and δ,
// n_min, f, max_rows, bits, features, rounds and evaluation, and from nothing
// else: in integers, the same on every machine. All charges together are within
// the budget of (ε, δ) at the order.
func (r *Resolved) calibrate() (*Private, *misfit) {
	limit, wrong := r.Private.cap()
	if wrong != nil {
		return nil, wrong
	}
	order, err := accountant.BestOrder(limit)
	if err != nil {
		return nil, &misfit{"privacy.epsilon", fmt.Sprintf("ε = %s with δ = %s admits no sum at all", r.Private.Epsilon, r.Private.Delta), "raise epsilon or delta"}
	}
	budget, err := limit.BudgetAt(order)
	if err != nil {
		return nil, &misfit{"privacy.epsilon", err.Error(), ""}
	}
	p := &Private{Unit: r.Private.Unit, Clip: r.Private.Clip, Epsilon: r.Private.Epsilon, Delta: r.Private.Delta, Order: order}
	for bits := mostScaleBits; bits >= leastScaleBits; bits-- {
		p.Scale = 1 << bits
		if p.Scale*p.Clip <= dp.MaxClip && r.MaxRows <= laneRows(r.Bits)>>bits && r.noise(p, budget) {
			return p, nil
		}
	}
	return nil, &misfit{"run.bits",
		fmt.Sprintf("%d rows and the noise of ε = %s don't fit lanes of %d bits at %d units or more per row", r.MaxRows, r.Private.Epsilon, r.Bits, 1<<leastScaleBits),
		"raise bits (the default is 40), raise epsilon, or lower the contract's max_rows"}
}

// noise calculates the noise of every kind at p's scale, and reports whether each
// lane holds max_rows rows beside it.
func (r *Resolved) noise(p *Private, budget accountant.Units) bool {
	fit, train, evaluate, rate := uint64(fitShare), uint64(trainShare), uint64(evaluateShare), dp.Integer(1)
	switch s := r.Model.Sampling; {
	case s != nil:
		fit, train, rate = sampledFitShare, sampledTrainShare, s.Rate
	case r.rated():
		fit, train = ratedFitShare, ratedTrainShare
	case r.Model.recommends():
		fit, train = matrixFitShare, matrixTrainShare
	}
	if r.Target != nil {
		train, evaluate = targetTrainShare, targetEvaluateShare
	}
	if len(r.Groups) > 0 {
		train, evaluate = train-(groupEvaluateShare-evaluate), groupEvaluateShare
	}
	if r.Holdout.None() {
		train, evaluate = train+evaluate, 0
	}
	sketch := uint64(0)
	if r.sketches() {
		sketch = sketchShare
		train -= sketch
	}
	for _, k := range []struct {
		kind   uint8
		share  uint64
		rounds int64
		rate   dp.Rational
	}{{kindSketch, sketch, 1, dp.Integer(1)}, {kindFit, fit, 1, dp.Integer(1)}, {kindTrain, train, r.Model.MaxRounds, rate}, {kindEvaluate, evaluate, 1, dp.Integer(1)}} {
		if k.share == 0 {
			continue
		}
		segment := r.segment(k.kind, p.Scale, p.Clip)
		noise, ok := r.kindNoise(segment.Norm2(), k.rate, k.rounds, p.Order, accountant.Units(uint64(budget)/100*k.share))
		if !ok {
			return false
		}
		lanes, err := dp.NewParams(dp.Options{Segments: []dp.Segment{segment, dp.Canary()}, Bits: r.Bits, Local: dp.Integer(noise.Sigma2Local)})
		if err != nil || lanes.Sensitivity2() != noise.Sensitivity2 || lanes.Clamp() < r.MaxRows*int64(p.Scale) {
			return false
		}
		*p.at(k.kind) = noise
	}
	return true
}

// kindNoise is the least noise with which rounds sums of that squared sensitivity
// cost at most budget units at the order: σ_i² is the least integer ≥ σ²/h, and
// at least 16, so that shares add up to one discrete Gaussian [dp, Conditions].
func (r *Resolved) kindNoise(sensitivity2 uint64, rate dp.Rational, rounds int64, order accountant.Order, budget accountant.Units) (KindNoise, bool) {
	least, err := accountant.SmallestVariance(accountant.Sum{Sensitivity2: sensitivity2, Rate: rate}, uint64(rounds), order, budget)
	if err != nil {
		return KindNoise{}, false
	}
	noise := KindNoise{Sensitivity2: sensitivity2, Rounds: rounds, RateNum: rate.Num(), RateDen: rate.Den()}
	if r.Mode == ModeNoised { // each contribution is seen by itself
		noise.Sigma2Local, noise.SumSigma2 = least.Num(), least.Num()
		return noise, least.Num() <= math.MaxUint64/r.added() // the program has the noise of them all
	}
	share, err := dp.LocalVariance(least, r.contributors())
	if err != nil {
		return KindNoise{}, false
	}
	noise.Sigma2Local = share.Num() / share.Den()
	if share.Num()%share.Den() != 0 {
		noise.Sigma2Local++
	}
	noise.Sigma2Local = max(noise.Sigma2Local, dp.MinSigma*dp.MinSigma)
	sum, err := dp.SumVariance(dp.Integer(noise.Sigma2Local), r.contributors())
	noise.SumSigma2 = sum.Num()
	return noise, err == nil && sum.Den() == 1
}

// maxOutputs is the most output columns of a job.
func (r *Resolved) maxOutputs() int {
	switch {
	case r.Model.recommends():
		return maxValues + 3 // bounded by factorLanes: its sums grow with the columns, not with their square
	case r.Model.Solver == solverPrivate:
		return MaxPrivateOutputs
	case r.Model.Solver == solverSGD:
		return MaxSampledOutputs
	case r.Model.Solver == solverLBFGS || r.Model.Averaging != nil:
		return maxWideOutputs // checkSize bounds the coefficients
	}
	return MaxOutputs
}

// leastQuorum is the least n_min: a noised job has no noise to share.
func leastQuorum(mode string, f int) int {
	if mode == ModeNoised {
		return 1
	}
	return f + 2
}

// quorum returns n_min: what the spec says, or all but a tenth of the n
// participants, one at least; never fewer than leastQuorum.
func quorum(s *Spec, n, f int, report report) int {
	given, least := int(s.Run.MinParticipants), leastQuorum(s.Run.Mode, f)
	if given == 0 {
		return max(n-max(1, n/10), least)
	}
	if s.Run.Mode == ModeNoised {
		if given > n {
			report(fmt.Sprintf("min_participants %d is more than the %d participants", given, n), "", "run.min_participants", "run.participants")
		}
		return given
	}
	if given < f+2 || given > n {
		report(fmt.Sprintf("min_participants %d is not within %d, which is f + 2, to %d, the number of participants", given, f+2, n),
			fmt.Sprintf("the default is %d; more participants need less noise each, fewer may drop out", max(n-max(1, n/10), f+2)), "run.min_participants", "run.participants")
	}
	return given
}
