package engine

import (
	"slices"

	"tributary/participant/internal/config"
	"tributary/protocol/pb"
	"tributary/protocol/wire"
)

type pbTask = pb.Task

const phasePlan = pb.Phase_PHASE_PLAN

func newPolicy(contract string) config.Policy {
	return config.Policy{Contracts: []string{contract}, Privacy: []string{"exact"}, Modes: []string{"sealed"}, MinCohort: 3}
}

func sorted(members []wire.Member) []wire.Member {
	out := slices.Clone(members)
	slices.SortFunc(out, wire.Member.Compare)
	return out
}
