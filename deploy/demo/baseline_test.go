package main

import (
	"math"
	"testing"

	"tributary/deploy/shop"
)

// A model trained on the pooled shops finds the effects that the generator put in, and is better than any shop alone.
func TestPooledModelFindsTheTruth(t *testing.T) {
	shops := shop.Generate(7, shop.Sizes)
	p, err := program(shop.Spec("churn", 3, 4), []string{"alpen", "baltic", "coast", "delta"})
	if err != nil {
		t.Fatal(err)
	}
	everyone := shop.Table(shops...)
	s, err := fitted(p, everyone)
	if err != nil {
		t.Fatal(err)
	}
	m, err := exported(p, s)
	if err != nil {
		t.Fatal(err)
	}
	if e := m.toTruth(); e > 0.2 {
		t.Errorf("a coefficient is %.0f %% off the truth", 100*e)
	}
	auc, loss, err := m.heldOut(everyone)
	if err != nil {
		t.Fatal(err)
	}
	if summary, ok := s.Metrics(); !ok || math.Abs(summary.AUC.V-auc) > 1e-9 || math.Abs(summary.LogLoss.V-loss) > 1e-9 {
		t.Errorf("the export scores AUC %v, log loss %v; the state says %+v", auc, loss, summary)
	}
	if auc < 0.7 {
		t.Errorf("AUC %.3f", auc)
	}
	t.Logf("AUC %.5f, log loss %.5f, %.0f %% off the truth at most", auc, loss, 100*m.toTruth())
}
