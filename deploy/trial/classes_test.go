package trial

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"testing"

	"tributary/models/optim"
)

// folder is where the reference data are; a test without them is skipped, in CI it fails.
func folder(t *testing.T) string {
	t.Helper()
	if f := os.Getenv("TRIBUTARY_DATA"); f != "" {
		return f
	}
	return filepath.Join("..", "..", "..", "shared", "data")
}

// Multinomial models of four participants over sealed gradients reach the reference quality. The reference numbers are those of
// a pooled solver with the same penalty.
func TestMultinomialReachesTheReference(t *testing.T) {
	for _, c := range []struct {
		name              string
		read              func(string) (*Data, error)
		model             string
		accuracy, logLoss float64
	}{
		{"letter", Letter, "{type: multinomial_logistic_regression, l2: 1.0}", 0.7730, 0.8751},
		{"shuttle", Shuttle, "{type: multinomial_logistic_regression, l2: 1.0, min_class_rows: 1, max_rounds: 600}", 0.9681, 0.1176},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := c.read(folder(t))
			if errors.Is(err, fs.ErrNotExist) && os.Getenv("CI") != "true" {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			r, err := d.ResolveExact(c.model, "log_loss, accuracy")
			if err != nil {
				t.Fatal(err)
			}
			tables, err := d.Deal(ExactParticipants, 1)
			if err != nil {
				t.Fatal(err)
			}
			damped := 0
			p, s, err := TrainExact(t.Context(), r, tables, func(r optim.Report) {
				if r.Damped {
					damped++
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			m, _ := s.Metrics()
			t.Logf("%d TRAIN rounds (%d shortened), converged %t, objective %.6f, accuracy %.5f, log loss %.5f", s.TrainRounds(), damped, s.Converged(), m.Objective, m.Accuracy.V, m.LogLoss.V)
			if !s.Converged() || math.Abs(m.Accuracy.V-c.accuracy) > 1e-3 || math.Abs(m.LogLoss.V-c.logLoss) > 1e-3 {
				t.Errorf("converged %t, accuracy %.5f, log loss %.5f; want %.4f, %.4f", s.Converged(), m.Accuracy.V, m.LogLoss.V, c.accuracy, c.logLoss)
			}
			right, all, k := int64(0), int64(0), len(p.Label.Classes)
			for i, n := range s.Confusion() {
				if all += n; i%(k+1) == 0 {
					right += n
				}
			}
			if all != m.HeldOut || math.Abs(float64(right)/float64(all)-m.Accuracy.V) > 1e-12 {
				t.Errorf("the confusion matrix has %d rows, %d right", all, right)
			}
		})
	}
}
