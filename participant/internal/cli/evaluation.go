package cli

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"tributary/participant/internal/engine"
	"tributary/participant/internal/quality"
	"tributary/participant/internal/store"
)

type evaluationView struct {
	Job    string `json:"job"`
	Name   string `json:"name"`
	Notice string `json:"notice"`
	*quality.View
}

func (a *app) evaluation() *cobra.Command {
	var threshold float64
	var report string
	c := &cobra.Command{
		Use:   "evaluation JOB",
		Short: "Show what a finished job's model does on this node's own held-out rows",
		Long: "JOB is the job's digest, 6 or more of its first digits, or its name. The running node measures the model when the job ends, on the rows that the job held out here,\n" +
			"and keeps that to itself: nothing is sent or charged. Beside it stand the metrics of the job, over all participants. The coordinator and the other participants can't\n" +
			"see these numbers, and in private jobs they carry no noise: don't pass them on.",
		Args: exactly("JOB"),
		RunE: func(_ *cobra.Command, args []string) error {
			if !(threshold >= 0 && threshold <= 1) {
				return &failure{Exit: exitUsage, Code: "usage", Field: "threshold", Message: fmt.Sprintf("--threshold %g is not within 0 to 1", threshold)}
			}
			return a.showEvaluation(args[0], threshold, report)
		},
	}
	c.Flags().Float64Var(&threshold, "threshold", 0.5, "probability from which a row is taken for positive")
	c.Flags().StringVar(&report, "report", "", "write one HTML page to this file, with the ROC curve, calibration and lift; replaced if it exists")
	return c
}

func (a *app) showEvaluation(typed string, threshold float64, report string) error {
	_, s, err := a.open()
	if err != nil {
		return err
	}
	defer s.Close()
	j, err := find(s, typed)
	if err != nil {
		return err
	}
	e, err := engine.ReadEvaluation(s, j.Job)
	if errors.Is(err, store.ErrNotFound) {
		hint := "a job is evaluated at its end, by a node that has rows for it; its log says why, if it wasn't. `tributary-participant jobs` shows how jobs stand"
		if j.Status.Open() {
			hint = "wait until the job is finished; `tributary-participant jobs` shows how it stands"
		}
		return &failure{Exit: exitRefused, Code: "no-evaluation", Field: "job", Message: fmt.Sprintf("job %s, which is %s, has no evaluation on this node's rows", j.Name, j.Status), Hint: hint}
	}
	if err != nil {
		return err
	}
	view := quality.Of(e, threshold)
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%x), %s\n\n", j.Name, j.Job[:6], e.Type)
	view.Text(&b)
	if report != "" {
		if err := writeReport(s, j, view, report); err != nil {
			return err
		}
		fmt.Fprintf(&b, "Wrote %s.\n", report)
	}
	return a.print(evaluationView{hex.EncodeToString(j.Job[:]), j.Name, quality.Notice, view}, b.String())
}

// writeReport writes the page, for this user alone.
func writeReport(s *store.Store, j *store.Job, view *quality.View, file string) error {
	_, at, err := s.Evaluation(j.Job)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), ".tributary-report-*") // mode 0600
	if err != nil {
		return fmt.Errorf("write report: %w\nhint: --report must be in a folder that exists and that this user may write", err)
	}
	defer os.Remove(tmp.Name()) // it is gone after the rename
	err = errors.Join(view.WriteReport(tmp, quality.Job{Name: j.Name, Job: hex.EncodeToString(j.Job[:]), At: at}), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), file)
	}
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}
