package engine

import (
	"strings"
	"testing"

	"tributary/participant/internal/config"
	"tributary/protocol/jobspec"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

// An operator's floor for counts holds for groups whose scores would be shown, too.
func TestFloorHoldsForGroups(t *testing.T) {
	r := &jobspec.Resolved{Contract: jobspec.ContractRef{Name: "shop", Revision: 1}, Kind: jobspec.KindExact, Mode: jobspec.ModeSealed,
		Groups: []jobspec.Group{{Name: "country", Values: []string{"DE"}}}, MinGroup: 20}
	p := config.Policy{Contracts: []string{"shop@1"}, Privacy: []string{jobspec.KindExact}, Modes: []string{jobspec.ModeSealed}}
	terms := &terms{resolved: r, proposal: &round.Proposal{Manifest: &wire.Manifest{}}}
	for floor, refused := range map[int64]bool{0: false, 20: false, 21: true} {
		p.MinCountFloor = floor
		err := checkPolicy(p, terms)
		if (err != nil) != refused || refused && !strings.Contains(err.Error(), "groups of 20 held-out rows are shown, policy.min_count_floor is 21") {
			t.Errorf("a floor of %d: %v", floor, err)
		}
	}
	r.Groups, r.MinGroup, p.MinCountFloor = nil, 0, 100
	if err := checkPolicy(p, terms); err != nil {
		t.Errorf("a job without groups: %v", err)
	}
}
