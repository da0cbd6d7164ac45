package engine

import (
	"tributary/protocol/jobspec"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

// termsOf is what a resolved job fixes of privacy; an exact job's are zero.
func termsOf(r *jobspec.Resolved) round.Terms {
	if r.Private == nil {
		return round.Terms{}
	}
	terms := round.Terms{Private: true, Noised: r.Mode == jobspec.ModeNoised, NMin: r.NMin, Noise: map[wire.RoundKind]wire.DP{}}
	unit, _ := wire.UnitOf(r.Private.Unit) // resolved: one of them
	for _, kind := range wire.Kinds {
		if n, ok := r.Private.Kind(uint8(kind)); ok {
			terms.Noise[kind] = wire.DP{Mechanism: wire.MechanismDiscreteGaussian, Unit: unit, Sensitivity: n.Sensitivity2,
				Sigma2Local: n.Sigma2Local, H: uint16(r.Honest()), QNum: n.RateNum, QDen: n.RateDen}
		}
	}
	return terms
}
