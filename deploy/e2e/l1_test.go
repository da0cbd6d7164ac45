package e2e

import (
	"encoding/json"
	"strings"
	"testing"

	"tributary/deploy/shop"
)

// TestAveragedL1OverRealProcesses: four shops average duals. The objective comes close to the one that proximal Newton steps reach in
// another job, and the exported model has coefficients that are exactly 0.
func TestAveragedL1OverRealProcesses(t *testing.T) {
	c, spec := small(t, release)
	model := func(text string) string {
		return spec[:strings.Index(spec, "model:")] + text + "\n" + spec[strings.Index(spec, "evaluate:"):]
	}
	best := completed(t, c, model("model: {type: logistic_regression, l1: 10, l2: 0, solver: newton, max_rounds: 50}"), shop.Contract)
	end := completed(t, c, model("model: {type: logistic_regression, l1: 10, l2: 0, solver: fedavg, max_rounds: 30, tolerance: 1e-9, averaging: {learning_rate: 1.0}}"), shop.Contract)
	excess := end.Objective/best.Objective - 1
	r, err := c.Tributary(t.Context(), "model", "export", end.Job)
	if err != nil || r.Code != 0 {
		t.Fatalf("%v: %s", err, r.Err)
	}
	var exported struct {
		Columns []struct{ Coefficient float64 }
	}
	if err := json.Unmarshal([]byte(r.Out), &exported); err != nil {
		t.Fatal(err)
	}
	zeros := 0
	for _, column := range exported.Columns {
		if column.Coefficient == 0 {
			zeros++
		}
	}
	t.Logf("the objective is %.5f above the optimum, %d of %d coefficients are 0", excess, zeros, len(exported.Columns))
	if !(excess > -1e-6 && excess < 5e-3) || zeros < 3 || zeros > len(exported.Columns)-3 {
		t.Errorf("the objective is %.5f above the optimum, %d of %d coefficients are 0", excess, zeros, len(exported.Columns))
	}
}
