package jobspec

import (
	"fmt"
	"math"
	"math/big"
	"math/bits"

	"tributary/crypto/dp"
	"tributary/crypto/dp/accountant"
)

// MaxTries is how often a coordinator that keeps to the rules has one sum of a job
// uploaded, and charged each time: it ends a job after three consecutive uploaded
// rounds that weren't opened. What binds any coordinator is the account alone.
const MaxTries = 3

// Cost returns what the sums of a private job cost an account of that order
// together, each opened at its first try. It fails for an exact job, and if the
// cost needs more than 64 bits: no account has that much.
func (r *Resolved) Cost(order accountant.Order) (accountant.Units, error) {
	if r.Private == nil {
		return 0, fmt.Errorf("%w: an exact job isn't charged", ErrNoise)
	}
	var total uint64
	for _, kind := range kinds {
		k, ok := r.Private.Kind(kind)
		if !ok {
			continue
		}
		c, err := accountant.ChargeFor(k.Charged(), order)
		if err != nil {
			return 0, fmt.Errorf("jobspec: cost at order %d: %w", order, err)
		}
		over, product := bits.Mul64(uint64(c.Units()), uint64(k.Rounds))
		sum, carry := bits.Add64(total, product, 0)
		if over != 0 || carry != 0 {
			return 0, fmt.Errorf("jobspec: cost at order %d: above 2^64 units: %w", order, accountant.ErrSum)
		}
		total = sum
	}
	return accountant.Units(total), nil
}

// Releases lists a private job's opened sums for the accountant's reports.
func (r *Resolved) Releases() (list []accountant.Release) {
	for _, kind := range kinds {
		if k, ok := r.Private.Kind(kind); ok {
			list = append(list, accountant.Release{Mechanism: k.Charged(), Count: uint64(k.Rounds)})
		}
	}
	return list
}

// GroupEpsilon returns the ε at the job's δ, in nats, for a person who has k
// units in a private job, or one at each of k participants, when every sum is
// opened at its tries-th try. A sum's sensitivity is then k·Δ, and its zCDP k²·ρ
// [CKS20, Thm. 4]; uploads that weren't opened count as if they had been. Of k
// sampled units one or more take part with a probability of at most k·q, and shift
// the sum by at most k·Δ: by post-processing, that sampled sum dominates.
func (r *Resolved) GroupEpsilon(k, tries int) (float64, error) {
	limit, err := r.Cap()
	if err != nil {
		return 0, err
	}
	if r.Model.Sampling != nil {
		releases := r.Releases()
		for i := range releases {
			s := releases[i].Mechanism.(accountant.Sum)
			s.Sensitivity2 *= uint64(k * k)
			if rate, ok := samplingRate(new(big.Rat).Mul(s.Rate.Rat(), big.NewRat(int64(k), 1))); ok {
				s.Rate = rate
			} else {
				s.Rate = dp.Integer(1)
			}
			releases[i].Mechanism, releases[i].Count = s, releases[i].Count*uint64(tries)
		}
		report, err := accountant.Epsilon(releases, limit.Delta.Float())
		return report.Epsilon, err
	}
	rho := 0.0
	for _, kind := range kinds {
		if n, ok := r.Private.Kind(kind); ok {
			rho += float64(n.Rounds) * float64(n.Sensitivity2) / (2 * float64(n.SumSigma2))
		}
	}
	return accountant.ZCDPEpsilon(rho*float64(k)*float64(k)*float64(tries)*(1+1e-12), limit.Delta.Float())
}

// Sigma returns the standard deviation of an opened sum's noise in value units:
// one row adds at most 1.0, one unit Clip.
func (p *Private) Sigma(k KindNoise) float64 {
	return math.Sqrt(float64(k.SumSigma2)) / float64(p.Scale)
}

// LocalSigma is Sigma for the noise of one participant alone.
func (p *Private) LocalSigma(k KindNoise) float64 {
	return math.Sqrt(float64(k.Sigma2Local)) / float64(p.Scale)
}
