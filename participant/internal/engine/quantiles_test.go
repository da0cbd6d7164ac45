package engine

import (
	"strings"
	"testing"

	"tributary/participant/internal/config"
	"tributary/protocol/jobspec"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

// Counts in fine bins leave only where the operator allows them; folding buckets is held to the floor as folding categories is.
func TestQuantilesNeedThePolicy(t *testing.T) {
	buckets := jobspec.Feature{Name: "age", Kind: "buckets", Max: 110, MinCount: 20, Buckets: &jobspec.Buckets{Quantiles: 4}}
	clipped := jobspec.Feature{Name: "income", Kind: jobspec.Number, Max: 9, Clip: 64, Quantiles: []float64{0, 0.99}}
	public := jobspec.Feature{Name: "age", Kind: "buckets", Max: 110, MinCount: 20, Buckets: &jobspec.Buckets{Edges: []float64{18}}}
	r := &jobspec.Resolved{Contract: jobspec.ContractRef{Name: "shop", Revision: 1}, Kind: jobspec.KindExact, Mode: jobspec.ModeSealed}
	p := config.Policy{Contracts: []string{"shop@1"}, Privacy: []string{jobspec.KindExact}, Modes: []string{jobspec.ModeSealed}}
	terms := &terms{resolved: r, proposal: &round.Proposal{Manifest: &wire.Manifest{}}}
	for _, c := range []struct {
		feature jobspec.Feature
		allowed bool
		floor   int64
		refused string
	}{
		{buckets, false, 0, "policy.quantiles doesn't allow it"}, {clipped, false, 0, "quantiles of income"}, {public, false, 0, ""},
		{buckets, true, 0, ""}, {clipped, true, 0, ""},
		{public, true, 21, "policy.min_count_floor is 21"}, {buckets, true, 21, "policy.min_count_floor is 21"},
	} {
		r.Features, p.Quantiles, p.MinCountFloor = []jobspec.Feature{c.feature}, c.allowed, c.floor
		err := checkPolicy(p, terms)
		if (err != nil) != (c.refused != "") || err != nil && !strings.Contains(err.Error(), c.refused) {
			t.Errorf("%s, allowed %t, floor %d: %v", c.feature.Name, c.allowed, c.floor, err)
		}
	}
}
