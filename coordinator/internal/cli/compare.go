package cli

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"tributary/coordinator/internal/evaluation"
	"tributary/protocol/jobspec"
	"tributary/protocol/pb"
)

// compared is a job beside others.
type compared struct {
	Job        string                 `json:"job"`
	Name       string                 `json:"name"`
	Status     string                 `json:"status"`
	Quality    quality                `json:"metrics"`
	Evaluation *evaluation.Evaluation `json:"evaluation"` // null: not measured

	resolved *jobspec.Resolved
}

// measure is a row of a comparison.
type measure struct {
	key, name string
	smaller   bool // is better
	of        func(*compared) *float64
}

func measures() []measure {
	count := func(n int64) *float64 {
		v := float64(n)
		return known(v)
	}
	evaluated := func(f func(*evaluation.Evaluation) *float64) func(*compared) *float64 {
		return func(c *compared) *float64 {
			if c.Evaluation == nil {
				return nil
			}
			return f(c.Evaluation)
		}
	}
	return []measure{
		{"auc", "AUC", false, func(c *compared) *float64 {
			if c.Evaluation != nil {
				return c.Evaluation.AUC
			}
			return c.Quality.AUC
		}},
		{"", "  95 % from", false, evaluated(func(e *evaluation.Evaluation) *float64 { return e.AUCLow })},
		{"", "  95 % to", false, evaluated(func(e *evaluation.Evaluation) *float64 { return e.AUCHigh })},
		{"average_precision", "average precision", false, evaluated(func(e *evaluation.Evaluation) *float64 { return e.AveragePrecision })},
		{"log_loss", "log loss", true, func(c *compared) *float64 { return c.Quality.LogLoss }},
		{"accuracy", "accuracy", false, func(c *compared) *float64 { return c.Quality.Accuracy }},
		{"brier", "Brier score", true, evaluated(func(e *evaluation.Evaluation) *float64 { return e.Brier })},
		{"calibration_error", "calibration error", true, evaluated(func(e *evaluation.Evaluation) *float64 { return e.CalibrationError })},
		{"recall", "recall", false, func(c *compared) *float64 { return c.Quality.Recall }},
		{"ndcg", "NDCG", false, func(c *compared) *float64 { return c.Quality.NDCG }},
		{"map", "MAP", false, func(c *compared) *float64 { return c.Quality.MAP }},
		{"coverage", "coverage", false, func(c *compared) *float64 { return c.Quality.Coverage }},
		{"rmse", "RMSE", true, func(c *compared) *float64 { return c.Quality.RMSE }},
		{"mae", "MAE", true, func(c *compared) *float64 { return c.Quality.MAE }},
		{"r2", "R²", false, func(c *compared) *float64 { return c.Quality.R2 }},
		{"", "objective", true, func(c *compared) *float64 { return known(c.Quality.Objective) }},
		{"", "training log loss", true, func(c *compared) *float64 { return known(c.Quality.TrainLoss) }},
		{"", "training RMSE", true, func(c *compared) *float64 { return c.Quality.TrainRMSE }},
		{"", "training rows", false, func(c *compared) *float64 { return count(c.Quality.Rows) }},
		{"", "held-out rows", false, func(c *compared) *float64 { return count(c.Quality.HeldOut) }},
		{"", "training rounds", false, func(c *compared) *float64 { return count(int64(c.Quality.TrainRounds)) }},
	}
}

func (a *app) compareCommand() *cobra.Command {
	var by string
	var folds bool
	var keys []string
	for _, m := range measures() {
		if m.key != "" {
			keys = append(keys, m.key)
		}
	}
	cmd := &cobra.Command{Use: "compare JOB JOB…", Short: "Compare jobs: metrics side by side, and what their specs differ in",
		Long: "Compare jobs: metrics side by side, and what their resolved specs differ in. With --by, the best comes first.\n" +
			"The interval of an AUC is that job's own: whether two models differ by more than chance isn't known from sums."}
	cmd.Flags().StringVar(&by, "by", "", "rank by "+strings.Join(keys, ", ")+" (default: in the order given)")
	cmd.Flags().BoolVar(&folds, "folds", false, "average the jobs whose specs differ in name and hold-out only")
	threshold := thresholdFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		at, err := threshold()
		switch {
		case err != nil:
			return err
		case len(args) < 2:
			return usage(cmd, "two JOBs at least are compared")
		case by != "" && !slices.Contains(keys, by):
			return usage(cmd, "--by %s: it is one of %s", by, strings.Join(keys, ", "))
		}
		return a.call(cmd.Context(), func(ctx context.Context, o pb.OperatorClient) error { return a.compare(ctx, o, args, by, folds, at) })
	}
	return cmd
}

func (a *app) compare(ctx context.Context, o pb.OperatorClient, names []string, by string, folds bool, threshold float64) error {
	var jobs []*compared
	for _, name := range names {
		j, err := o.GetJob(ctx, &pb.GetJobRequest{Job: name})
		if err != nil {
			return fmt.Errorf("job %s: %w", name, err)
		}
		c, err := compareOne(j, threshold)
		if err != nil {
			return err
		}
		jobs = append(jobs, c)
	}
	if folds {
		return a.showFolds(jobs, by)
	}
	return a.showComparison(jobs, by)
}

func compareOne(j *pb.JobInfo, threshold float64) (*compared, error) {
	r, err := jobspec.ParseResolved(j.GetResolvedJson())
	if err != nil {
		return nil, fmt.Errorf("read the spec of job %s: %w", j.GetName(), err)
	}
	text, scores := evaluation.Split(j.GetMetricsJson())
	return &compared{hex.EncodeToString(j.GetJob()), j.GetName(), j.GetStatus(), readQuality(string(text)), evaluation.Of(scores, threshold), r}, nil
}

// showComparison ranks the jobs, if asked, and prints them.
func (a *app) showComparison(jobs []*compared, by string) error {
	for _, m := range measures() {
		if m.key == by && by != "" {
			slices.SortStableFunc(jobs, func(x, y *compared) int { return m.order(m.of(x), m.of(y)) })
		}
	}
	var resolved []*jobspec.Resolved
	for _, c := range jobs {
		resolved = append(resolved, c.resolved)
	}
	variations, notes := jobspec.Variations(resolved...), incomparable(jobs)
	document := map[string]any{"jobs": jobs, "differences": append([]jobspec.Variation{}, variations...), "notes": append([]string{}, notes...)}
	if by != "" {
		document["ranked_by"] = by
	}
	return a.print(document, func(w io.Writer) {
		header, status, digests := []string{"METRIC"}, []string{"status"}, []string{"job"}
		for _, c := range jobs {
			header, status, digests = append(header, c.Name), append(status, c.Status), append(digests, c.Job[:min(len(c.Job), 12)])
		}
		rows := [][]string{digests, status}
		if len(jobs) == 2 {
			header = append(header, "DIFFERENCE")
		}
		for _, m := range append(measures(), gaps(jobs)...) {
			row := []string{m.name}
			if !slices.ContainsFunc(jobs, func(c *compared) bool { return m.of(c) != nil }) {
				continue // of other kinds of models
			}
			for _, c := range jobs {
				row = append(row, shownMeasure(m.of(c)))
			}
			if x, y := m.of(jobs[0]), m.of(jobs[len(jobs)-1]); len(jobs) == 2 && x != nil && y != nil {
				row = append(row, fmt.Sprintf("%+.6g", *y-*x))
			}
			rows = append(rows, row)
		}
		table(w, strings.Join(header, " | "), rows)
		for _, n := range notes {
			fmt.Fprintf(w, "Note: %s\n", n)
		}
		fmt.Fprintln(w)
		if len(variations) == 0 {
			fmt.Fprintln(w, "The resolved specs are equal.")
			return
		}
		rows = nil
		for _, v := range variations {
			if derived(v.Path) {
				continue
			}
			row := []string{v.Path}
			for _, value := range v.Values {
				row = append(row, orDash(value))
			}
			rows = append(rows, row)
		}
		header[0] = "SPEC"
		table(w, strings.Join(header[:len(jobs)+1], " | "), rows)
	})
}

// derived tells whether a field follows from others: of a private job's noise, from ε, δ and the rounds. JSON lists it.
func derived(path string) bool {
	return strings.HasPrefix(path, "private.kinds.") || strings.HasPrefix(path, "program.private.") || path == "private.order" || path == "private.scale"
}

// gaps are the differences between groups, of columns that any job is evaluated by.
func gaps(jobs []*compared) (out []measure) {
	seen := map[string]bool{}
	for _, c := range jobs {
		if c.Evaluation == nil {
			continue
		}
		for _, f := range c.Evaluation.Fairness {
			if seen[f.Column] {
				continue
			}
			seen[f.Column] = true
			of := func(value func(*evaluation.Fairness) *float64) func(*compared) *float64 {
				return func(c *compared) *float64 {
					if c.Evaluation != nil {
						for i := range c.Evaluation.Fairness {
							if c.Evaluation.Fairness[i].Column == f.Column {
								return value(&c.Evaluation.Fairness[i])
							}
						}
					}
					return nil
				}
			}
			out = append(out, measure{"", "parity difference by " + f.Column, true, of(func(f *evaluation.Fairness) *float64 { return f.DemographicParity })},
				measure{"", "opportunity difference by " + f.Column, true, of(func(f *evaluation.Fairness) *float64 { return f.EqualOpportunity })})
		}
	}
	return out
}

func shownMeasure(v *float64) string {
	if v != nil && *v == float64(int64(*v)) {
		return fmt.Sprintf("%.0f", *v)
	}
	return evaluation.Number(v)
}

// order puts the better first, and the unknown last.
func (m *measure) order(x, y *float64) int {
	switch {
	case x == nil || y == nil:
		return cmp.Compare(boolean(x == nil), boolean(y == nil))
	case m.smaller:
		return cmp.Compare(*x, *y)
	}
	return cmp.Compare(*y, *x)
}

func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}

// incomparable says why the jobs' metrics can't be set against each other, if so.
func incomparable(jobs []*compared) (notes []string) {
	first := jobs[0]
	differ := func(f func(*compared) string) bool {
		return slices.ContainsFunc(jobs, func(c *compared) bool { return f(c) != f(first) })
	}
	if differ(func(c *compared) string { return fmt.Sprint(c.resolved.Contract, c.resolved.ContractDigest) }) {
		notes = append(notes, "the jobs have different contracts: their rows aren't the same.")
	}
	if differ(func(c *compared) string { return fmt.Sprint(c.resolved.Participants) }) {
		notes = append(notes, "the jobs have different participants: their rows aren't the same.")
	}
	if differ(func(c *compared) string { return fmt.Sprint(c.resolved.Holdout) }) {
		notes = append(notes, "the jobs hold out different rows: one may have trained on rows that another is judged by.")
	} else if len(notes) == 0 && !slices.ContainsFunc(jobs, func(c *compared) bool { return c.Quality.Noised || c.Quality.HeldOut == 0 }) &&
		differ(func(c *compared) string { return fmt.Sprint(c.Quality.HeldOut, c.Quality.Rows) }) {
		notes = append(notes, "the participants' rows changed between the jobs.")
	}
	if slices.ContainsFunc(jobs, func(c *compared) bool { return c.Quality.Noised }) {
		notes = append(notes, "metrics of private jobs are noisy.")
	}
	return notes
}
