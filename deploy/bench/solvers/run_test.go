package main

import (
	"math"
	"testing"
)

// What is compared must be a fit: our solvers come near enough to one optimum, by fewer passes than to the optimum itself.
func TestOursReachTheObjective(t *testing.T) {
	for _, prepare := range []func(string, int) (*task, error){dense, sparse} {
		task, err := prepare(t.TempDir(), 8000)
		if err != nil {
			t.Fatal(err)
		}
		fits, err := task.ours()
		if err != nil {
			t.Fatal(err)
		}
		best := task.ask["best"].(float64)
		for _, f := range fits {
			if !(f.Objective <= best*(1+within) && f.Objective >= best*(1-1e-6)) || f.Passes < 1 {
				t.Errorf("%s: %s reached %g in %d passes, the least is %g", task.title, f.Tool, f.Objective, f.Passes, best)
			}
		}
	}
}

func TestSweepsLowerTheObjective(t *testing.T) {
	task, err := factors(t.TempDir(), 5000)
	if err != nil {
		t.Fatal(err)
	}
	fits, err := task.ours()
	if err != nil {
		t.Fatal(err)
	}
	// Without factors all pairs are off by 1.
	if most := 5000 * (1 + alpha*math.Ln2); len(fits) != 1 || !(fits[0].Objective > 0 && fits[0].Objective < most) {
		t.Errorf("%+v, at most %g", fits, most)
	}
}

// A machine's pass is one that learns: held-out rows are told better than by the share of positive ones, and more epochs take longer.
func TestMachineLearns(t *testing.T) {
	task, err := machine(8)(t.TempDir(), 400_000)
	if err != nil {
		t.Fatal(err)
	}
	fits, err := task.ours()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", fits)
	if len(fits) != 1 || !(fits[0].Objective < math.Ln2) || !(fits[0].Objective > 0.3) || fits[0].Passes != machineMany {
		t.Errorf("%+v", fits)
	}
}
