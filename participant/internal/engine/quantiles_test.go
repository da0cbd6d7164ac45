package engine

import (
	"strings"
	"testing"

	"tributary/participant/internal/config"
	"tributary/protocol/jobspec"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

// Counts in fine bins don't leave where the operator refuses them, or wants more rows in a group; folding buckets is held to the floor as folding categories is.
func TestPolicyForbidsQuantiles(t *testing.T) {
	buckets := jobspec.Feature{Name: "age", Kind: "buckets", Max: 110, MinCount: 20, Buckets: &jobspec.Buckets{Quantiles: 4}}
	clipped := jobspec.Feature{Name: "income", Kind: jobspec.Number, Max: 9, Clip: 64, Quantiles: []float64{0, 0.99}}
	public := jobspec.Feature{Name: "age", Kind: "buckets", Max: 110, MinCount: 20, Buckets: &jobspec.Buckets{Edges: []float64{18}}}
	r := &jobspec.Resolved{Contract: jobspec.ContractRef{Name: "shop", Revision: 1}, Kind: jobspec.KindExact, Mode: jobspec.ModeSealed}
	p := config.Policy{Contracts: []string{"shop@1"}, Privacy: []string{jobspec.KindExact}, Modes: []string{jobspec.ModeSealed}}
	terms := &terms{resolved: r, proposal: &round.Proposal{Manifest: &wire.Manifest{}}}
	for _, c := range []struct {
		feature jobspec.Feature
		forbids bool
		floor   int64
		refused string
	}{
		{buckets, true, 0, "policy.quantiles refuses that"}, {clipped, true, 0, "quantiles of income"}, {public, true, 0, ""},
		{buckets, false, 0, ""}, {clipped, false, 20, ""}, {clipped, false, 21, "policy.min_count_floor is above"},
		{public, false, 21, "policy.min_count_floor is 21"}, {buckets, false, 21, "policy.min_count_floor is 21"},
	} {
		r.Features, p.NoQuantiles, p.MinCountFloor = []jobspec.Feature{c.feature}, c.forbids, c.floor
		err := checkPolicy(p, terms)
		if (err != nil) != (c.refused != "") || err != nil && !strings.Contains(err.Error(), c.refused) {
			t.Errorf("%s, forbidden %t, floor %d: %v", c.feature.Name, c.forbids, c.floor, err)
		}
	}
}
