package jobspec

import (
	"fmt"
	"math/big"
	"strconv"

	"tributary/crypto/dp"
)

// Bounds and defaults of dp_sgd.
const (
	sampledRounds       = 100
	defaultSampledRate  = 4.0
	machineRate         = 10.0 // the default of a factorization machine
	linearRate          = 1.0  // the default of a linear regression
	machineTargetRate   = 3.0  // and of a factorization machine whose label is a number
	maxSampledRate      = 1000.0
	defaultMomentum     = 0.9
	defaultSamplingDen  = 20      // one unit in so many
	maxSamplingFraction = 1 << 40 // of numerator and denominator

	// Shares of dp_sgd in percent: its fit only counts rows.
	sampledFitShare, sampledTrainShare = 2, 93
	// Of a label that is a number: its metrics are means of few rows' errors, and
	// noisier than its coefficients.
	targetTrainShare, targetEvaluateShare = 78, 20
)

// Sampling says how dp_sgd steps; nil for other solvers.
type Sampling struct {
	Rate         dp.Rational // each unit takes part in a training round with this probability
	LearningRate float64
	Momentum     float64
}

// sampling reads what is written, and sets the defaults.
func (d *document) sampling(v value) *Sampling {
	s := newSampling()
	_, keys, ok := d.fields(v, "rate", "learning_rate", "momentum")
	if !ok {
		return s
	}
	if v, ok := keys["rate"]; ok {
		if _, r := d.decimal(v); r != nil {
			if s.Rate, ok = samplingRate(r); !ok {
				d.at(v.path, v.at, "rate is not above 0 and at most 1, with 12 digits at most", `write it like rate: "0.05"`)
			}
		}
	}
	if v, ok := keys["learning_rate"]; ok {
		if s.LearningRate, ok = d.number(v); ok && !(s.LearningRate > 0 && s.LearningRate <= maxSampledRate) {
			d.at(v.path, v.at, fmt.Sprintf("learning_rate %v is not above 0 and at most %v", s.LearningRate, maxSampledRate), "")
		}
	}
	if v, ok := keys["momentum"]; ok {
		if s.Momentum, ok = d.number(v); ok && !(s.Momentum >= 0 && s.Momentum < 1) {
			d.at(v.path, v.at, fmt.Sprintf("momentum %v is not 0 or above and below 1", s.Momentum), "write momentum: 0.9, or leave it out")
		}
	}
	return s
}

func newSampling() *Sampling {
	rate, err := dp.NewRational(1, defaultSamplingDen)
	if err != nil {
		panic("jobspec: " + err.Error())
	}
	return &Sampling{Rate: rate, LearningRate: defaultSampledRate, Momentum: defaultMomentum}
}

// sampledOnly tells whether dp_sgd is a model's only private solver.
func (m *Model) sampledOnly() bool {
	return m.Type == typeMultinomial || m.Type == typeLinear || m.Type == typeFactorization
}

// defaultSampledRate is a model's learning rate where the spec names none.
func (m *Model) defaultSampledRate() float64 {
	switch m.Type {
	case typeFactorization:
		return machineRate
	case typeLinear:
		return linearRate
	}
	return defaultSampledRate
}

// mostTargetRate is the largest learning rate of a label that is a number. By the
// linear coefficients, for rows over the bound of their norm, its mean loss has a
// curvature of 1 at most, and steps with momentum are stable up to 2·(1+momentum)
// by the curvature [P64]: beyond, coefficients may swing ever further, and what
// comes out is finite, since gradients are clipped, and no model.
//
// [P64] B. T. Polyak: Some methods of speeding up the convergence of iteration
// methods. USSR Comp. Math. Math. Phys. 4, 1964.
func (s *Sampling) mostTargetRate() float64 { return 2 * (1 + s.Momentum) }

// targetSampling keeps the learning rate to what a label that is a number allows.
func targetSampling(s *Spec, r *Resolved, report report) {
	const path = "model.sampling.learning_rate"
	if s.Model.Sampling == nil {
		return
	}
	sampling := *s.Model.Sampling
	r.Model.Sampling = &sampling
	most := sampling.mostTargetRate()
	switch _, given := s.places[path]; {
	case given && sampling.LearningRate > most:
		report(fmt.Sprintf("learning_rate %v is above %v, 2·(1 + momentum): steps towards a number may swing ever further", sampling.LearningRate, most), "leave it out, or write a smaller one", path)
	case !given && s.Model.Type == typeFactorization:
		sampling.LearningRate = min(machineTargetRate, most)
	}
}

func samplingRate(r *big.Rat) (dp.Rational, bool) {
	most := big.NewInt(maxSamplingFraction)
	if r.Sign() <= 0 || r.Cmp(big.NewRat(1, 1)) > 0 || r.Num().Cmp(most) > 0 || r.Denom().Cmp(most) > 0 {
		return dp.Rational{}, false
	}
	q, err := dp.NewRational(r.Num().Uint64(), r.Denom().Uint64())
	return q, err == nil
}

type samplingJSON struct {
	RateNum      uint64  `json:"rate_num"`
	RateDen      uint64  `json:"rate_den"`
	LearningRate float64 `json:"learning_rate"`
	Momentum     float64 `json:"momentum"`
	Seed         string  `json:"seed,omitempty"` // the job's, as decimal digits; of a factorization machine, whose factors start from it
}

// samplingJSON writes how the model is sampled.
func (r *Resolved) samplingJSON() *samplingJSON {
	s := r.Model.Sampling
	if s == nil {
		return nil
	}
	j := &samplingJSON{RateNum: s.Rate.Num(), RateDen: s.Rate.Den(), LearningRate: s.LearningRate, Momentum: s.Momentum}
	if r.Model.Type == typeFactorization {
		j.Seed = strconv.FormatUint(r.Seed, 10)
	}
	return j
}

// sampling drops the seed, which the job has: the encoding shows whether they agree.
func (j *samplingJSON) sampling() *Sampling {
	if j == nil {
		return nil
	}
	rate, _ := dp.NewRational(j.RateNum, j.RateDen) // checkSampling refuses the zero value
	return &Sampling{rate, j.LearningRate, j.Momentum}
}

// checkSampling checks a resolved private model.
func (r *Resolved) checkSampling(report report) {
	if r.Model.recommends() {
		r.checkPrivateMatrix(report)
		return
	}
	m, s := r.Model, r.Model.Sampling
	sampled := m.sampledOnly() && m.Solver == solverSGD
	if m.Type != typeLogistic && !sampled || m.Solver != solverPrivate && m.Solver != solverSGD || m.Averaging != nil || m.Recommendation != nil {
		report("the model is not logistic_regression with solver "+solverPrivate+" or "+solverSGD+", or "+typeMultinomial+", "+typeLinear+" or "+typeFactorization+" with "+solverSGD, "", "program.model")
	}
	if m.Type == typeFactorization {
		inRange(report, "program.model.factors", m.Factors, 1, maxFactors)
	} else if m.Factors != 0 {
		report("only factorisations have factors", "", "program.model.factors")
	}
	r.checkLabel(report)
	r.checkSize(report, "program.model")
	if (m.Solver == solverSGD) != (s != nil) {
		report("sampling goes with the solver "+solverSGD+", and only with it", "", "program.model.sampling")
		return
	}
	if s == nil {
		return
	}
	ok := s.Rate.Valid() && s.Rate.Num() > 0 && s.Rate.Cmp(dp.Integer(1)) <= 0 && max(s.Rate.Num(), s.Rate.Den()) <= maxSamplingFraction
	if r.Target != nil && s.LearningRate > s.mostTargetRate() {
		report(fmt.Sprintf("learning_rate %v is above 2·(1 + momentum)", s.LearningRate), "", "program.model.sampling")
	}
	if !ok || !(s.LearningRate > 0 && s.LearningRate <= maxSampledRate) || !(s.Momentum >= 0 && s.Momentum < 1) || negativeZero(s.Momentum) {
		report(fmt.Sprintf("rate %s, learning_rate %v and momentum %v don't go together", s.Rate, s.LearningRate, s.Momentum), "", "program.model.sampling")
	}
}
