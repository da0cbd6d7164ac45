package e2e

import (
	"encoding/json"
	"fmt"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"tributary/deploy/shop"
)

// shown is what this test reads of `job show`.
type shown struct {
	Metrics struct {
		AUC     float64 `json:"auc"`
		HeldOut int64   `json:"held_out_rows"`
		LogLoss float64 `json:"log_loss"`
		Scores  any     `json:"scores"`
	} `json:"metrics"`
	Evaluation struct {
		AUC      float64 `json:"auc"`
		Low      float64 `json:"auc_low"`
		High     float64 `json:"auc_high"`
		Brier    float64 `json:"brier"`
		Lift     []any   `json:"lift"`
		Fairness []struct {
			Column string   `json:"column"`
			Parity *float64 `json:"demographic_parity_difference"`
			Groups []struct {
				Group string `json:"group"`
				Rows  int64  `json:"rows"`
				Shown bool   `json:"shown"`
			} `json:"groups"`
		} `json:"fairness"`
	} `json:"evaluation"`
}

// A data scientist trains two models over real processes, looks at one's quality, also by group, writes its report and its
// curves, and compares both.
func TestRunsAreEvaluatedReportedAndCompared(t *testing.T) {
	c, spec := small(t, release)
	spec = strings.Replace(spec, "  metrics: [auc, log_loss, accuracy]\n", "  metrics: [auc, log_loss, accuracy]\n  groups: [device, country]\n  min_count: 15\n", 1)
	completed(t, c, spec, shop.Contract)
	completed(t, c, strings.NewReplacer("name: churn", "name: shrunk", "l2: 1.0", "l2: 1000.0").Replace(spec), shop.Contract)

	var s shown
	r, err := c.Tributary(t.Context(), "job", "show", "churn", "--output", "json")
	if err != nil || json.Unmarshal([]byte(r.Out), &s) != nil {
		t.Fatalf("%v: %s%s", err, r.Out, r.Err)
	}
	e := s.Evaluation
	if s.Metrics.Scores != nil || e.AUC == 0 || math.Abs(e.AUC-s.Metrics.AUC) > 1e-12 || !(e.Low < e.AUC && e.AUC < e.High) || !(e.Brier > 0 && e.Brier < 0.25) || len(e.Lift) != 10 {
		t.Errorf("%+v", s)
	}
	if len(e.Fairness) != 2 {
		t.Fatalf("fairness by %d columns: %s", len(e.Fairness), r.Out)
	}
	for _, f := range e.Fairness {
		rows, hidden := int64(0), int64(0)
		for _, g := range f.Groups {
			if rows += g.Rows; !g.Shown {
				hidden += g.Rows
			}
			if g.Shown && g.Rows < 15 {
				t.Errorf("%s is shown with %d rows", g.Group, g.Rows)
			}
		}
		if rows != s.Metrics.HeldOut || hidden > 0 && hidden < 15 || f.Parity == nil {
			t.Errorf("%s: %d of %d rows, %d hidden, parity %v", f.Column, rows, s.Metrics.HeldOut, hidden, f.Parity)
		}
	}
	t.Logf("AUC %.4f (%.4f to %.4f), fairness %+v", e.AUC, e.Low, e.High, e.Fairness)

	page, curves := filepath.Join(c.Dir, "report.html"), filepath.Join(c.Dir, "curves")
	if r, err = c.Tributary(t.Context(), "job", "report", "churn", "--out", page, "--curves", curves); err != nil || r.Code != 0 {
		t.Fatalf("%v: exit %d, %s", err, r.Code, r.Err)
	}
	html, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	rest := strings.ReplaceAll(string(html), `xmlns="http://www.w3.org/2000/svg"`, "")
	if outside := regexp.MustCompile(`(?i)<script|<link|<img|https?://|\bsrc=|\bhref=`).FindString(rest); outside != "" {
		t.Errorf("the report has %q", outside)
	}
	for _, want := range []string{"Groups of device", "Training loss", "ROC curve", "alpen", "converged in", "shop-customers@1"} {
		if !strings.Contains(rest, want) {
			t.Errorf("the report lacks %q", want)
		}
	}
	for _, name := range []string{"loss", "roc", "precision-recall", "calibration", "gains", "lift", "scores"} {
		f, err := os.Open(filepath.Join(curves, name+".png"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := png.Decode(f); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		f.Close()
		if svg, err := os.ReadFile(filepath.Join(curves, name+".svg")); err != nil || !strings.HasPrefix(string(svg), "<svg ") {
			t.Errorf("%s: %v", name, err)
		}
	}

	compared, err := c.JSON(t.Context(), "job", "compare", "shrunk", "churn", "--by", "log_loss")
	if err != nil {
		t.Fatal(err)
	}
	best := compared["jobs"].([]any)[0].(map[string]any)
	differences, _ := json.Marshal(compared["differences"])
	if best["name"] != "churn" || !strings.Contains(string(differences), `{"path":"program.model.l2","values":["1","1000"]}`) || len(compared["notes"].([]any)) != 0 {
		t.Errorf("%v, %s, %v", best, differences, compared["notes"])
	}
	if r, err = c.Tributary(t.Context(), "job", "compare", "churn", "none"); err != nil || r.Code != 2 || !strings.Contains(r.Err, "none") {
		t.Errorf("a job that isn't there: %v, exit %d, %s", err, r.Code, r.Err)
	}
}

// ownEvaluation is what this test reads of a participant's `evaluation`.
type ownEvaluation struct {
	Own, All struct {
		HeldOut   int64    `json:"held_out"`
		Positives int64    `json:"positives"`
		AUC       *float64 `json:"auc"`
	}
	Groups []struct {
		Rows  int64
		Shown bool
		AUC   *float64
	}
}

// Each organisation sees the model's quality on its own rows, which add up to all; the coordinator's answers have no word of them.
func TestEachParticipantSeesItsOwnMetricsAlone(t *testing.T) {
	c, spec := small(t, release)
	completed(t, c, strings.Replace(spec, "  metrics: [auc, log_loss, accuracy]\n", "  metrics: [auc, log_loss, accuracy]\n  groups: [country]\n  min_count: 15\n", 1), shop.Contract)
	heldOut, positives, all := int64(0), int64(0), int64(0)
	for _, n := range c.Nodes {
		var own ownEvaluation
		for { // a node verifies the last state and evaluates it after the coordinator is done
			r, err := n.Command(t.Context(), "evaluation", "churn", "--output", "json")
			if err != nil {
				t.Fatal(err)
			}
			if r.Code == 0 {
				if err := json.Unmarshal([]byte(r.Out), &own); err != nil {
					t.Fatal(err)
				}
				break
			}
			if !strings.Contains(r.Out+r.Err, "no-evaluation") {
				t.Fatalf("%s: exit %d, %s%s", n.Name, r.Code, r.Out, r.Err)
			}
			time.Sleep(50 * time.Millisecond)
		}
		if own.Own.AUC == nil || own.All.AUC == nil || *own.Own.AUC == *own.All.AUC || len(own.Groups) == 0 {
			t.Errorf("%s: %+v", n.Name, own)
		}
		for _, g := range own.Groups {
			if g.Shown != (g.Rows >= 15) || !g.Shown && g.AUC != nil {
				t.Errorf("%s: a group of %d rows, shown: %t", n.Name, g.Rows, g.Shown)
			}
		}
		heldOut, positives, all = heldOut+own.Own.HeldOut, positives+own.Own.Positives, own.All.HeldOut
		shows, err := c.Tributary(t.Context(), "job", "show", "churn", "--output", "json")
		if err != nil || strings.Contains(shows.Out, fmt.Sprint(*own.Own.AUC)) {
			t.Errorf("the coordinator knows %s's AUC (%v)", n.Name, err)
		}
	}
	if heldOut != all || positives == 0 {
		t.Errorf("%d of %d held-out rows, %d positives", heldOut, all, positives)
	}
}
