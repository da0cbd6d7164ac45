package e2e

import (
	"testing"

	"tributary/deploy/trial"
)

// TestAdultPrivatelyReachesItsQuality: record-level (1, 1e-5) over ten participants, two of which may collude, distributed noise, n_min 9: the
// mean test AUC over five seeds is at least 0.893, and the job's charges stay within ε = 1.
func TestAdultPrivatelyReachesItsQuality(t *testing.T) {
	d := adult(t)
	r, err := d.Resolve("1.0")
	if err != nil {
		t.Fatal(err)
	}
	cost, err := trial.CostOf(r)
	if err != nil {
		t.Fatal(err)
	}
	if cost.Rounds > 25 || cost.Epsilon > 1 {
		t.Errorf("%d rounds, ε = %.4f", cost.Rounds, cost.Epsilon)
	}
	total := 0.0
	const seeds = 5
	for seed := range uint64(seeds) {
		q, err := d.Run(t.Context(), r, seed)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("seed %d: AUC %.4f, by the noised histograms %.4f", seed, q.AUC, q.Noised)
		total += q.AUC
	}
	t.Logf("mean AUC %.4f in %d rounds, ε %.4f", total/seeds, cost.Rounds, cost.Epsilon)
	if total/seeds < 0.893 {
		t.Errorf("mean AUC %.4f, want at least 0.893", total/seeds)
	}
}
