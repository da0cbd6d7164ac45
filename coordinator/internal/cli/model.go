package cli

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"tributary/coordinator/internal/evaluation"
	"tributary/protocol/pb"
)

func (a *app) modelCommand() *cobra.Command {
	list := &cobra.Command{Use: "list", Short: "List the models of completed jobs", Args: takes(), RunE: func(cmd *cobra.Command, _ []string) error { return a.listModels(cmd.Context()) }}
	show := &cobra.Command{Use: "show JOB", Short: "Show a job's model: quality and coefficients", Args: takes("JOB")}
	shown := thresholdFlag(show)
	show.RunE = func(cmd *cobra.Command, args []string) error {
		threshold, err := shown()
		if err != nil {
			return err
		}
		return a.showModel(cmd.Context(), args[0], threshold)
	}
	r := &pb.ExportRequest{}
	var file string
	export := &cobra.Command{Use: "export JOB", Short: "Write a job's model", Args: takes("JOB")}
	export.Flags().StringVar(&r.Format, "format", "json", "json")
	export.Flags().StringVar(&file, "file", "-", "file to write; - is standard output")
	export.RunE = func(cmd *cobra.Command, args []string) error {
		r.Job = args[0]
		return a.exportModel(cmd.Context(), r, file)
	}
	return commands("model", "Models: list, show, export", list, show, export)
}

// quality is what the coordinator says of a model.
type quality struct {
	Rows        int64    `json:"rows"`
	Objective   float64  `json:"objective"`
	TrainLoss   float64  `json:"train_log_loss"`
	Converged   bool     `json:"converged"`
	TrainRounds int      `json:"train_rounds"`
	MaxRounds   int      `json:"max_rounds"`
	HeldOut     int64    `json:"held_out_rows"`
	AUC         *float64 `json:"auc"`
	LogLoss     *float64 `json:"log_loss"`
	Accuracy    *float64 `json:"accuracy"`
	Frozen      int      `json:"frozen"`
	Noised      bool     `json:"noised"` // a private job's
}

func readQuality(text string) (q quality) {
	if json.Unmarshal([]byte(text), &q) != nil {
		return quality{}
	}
	return q
}

const defaultThreshold = 0.5

// thresholdFlag adds --threshold, and gives its value once the flags are read.
func thresholdFlag(cmd *cobra.Command) func() (float64, error) {
	threshold := cmd.Flags().Float64("threshold", defaultThreshold, "predicted probability from which a row counts as positive")
	return func() (float64, error) {
		if !(*threshold >= 0 && *threshold <= 1) {
			return 0, usage(cmd, "--threshold %g is not within 0 to 1", *threshold)
		}
		return *threshold, nil
	}
}

// verdict says plainly whether the solver converged.
func (q quality) verdict() string {
	if q.Noised {
		return fmt.Sprintf("%d noisy rounds; a private job runs all that are planned and doesn't test for convergence", q.TrainRounds)
	}
	if q.Converged {
		return fmt.Sprintf("converged in %d rounds", q.TrainRounds)
	}
	return fmt.Sprintf("did not converge in %d rounds; raise model.max_rounds, or model.l2 if the classes can be separated", q.TrainRounds)
}

// known is a number that 0 stands for nothing of, or nil.
func known(v float64) *float64 {
	if v == 0 {
		return nil
	}
	return &v
}

type modelInfo struct {
	Job       string          `json:"job"`
	Name      string          `json:"name"`
	State     string          `json:"state"`
	Converged bool            `json:"converged"`
	Objective *float64        `json:"objective,omitempty"` // nats; unknown in private jobs
	Metrics   json.RawMessage `json:"metrics,omitempty"`
	At        string          `json:"at"`
}

func (a *app) listModels(ctx context.Context) error {
	return a.call(ctx, func(ctx context.Context, o pb.OperatorClient) error {
		list, rows := []modelInfo{}, [][]string{}
		for page := ""; ; {
			reply, err := o.ListModels(ctx, &pb.ListRequest{PageToken: page})
			if err != nil {
				return err
			}
			for _, m := range reply.GetModels() {
				q := readQuality(m.GetMetricsJson())
				list = append(list, modelInfo{hex.EncodeToString(m.GetJob()), m.GetName(), hex.EncodeToString(m.GetState()), m.GetConverged(), known(m.GetObjective()), raw(m.GetMetricsJson()), stamp(m.GetAtMs())})
				rows = append(rows, []string{short(m.GetJob()), m.GetName(), evaluation.Number(known(m.GetObjective())), evaluation.Number(q.AUC), evaluation.Number(q.LogLoss), yes(m.GetConverged()), when(m.GetAtMs())})
			}
			if page = reply.GetNextPageToken(); page == "" {
				break
			}
		}
		return a.print(map[string]any{"models": list}, func(w io.Writer) {
			table(w, "JOB | NAME | OBJECTIVE | AUC | LOG LOSS | CONVERGED | AT", rows)
		})
	})
}

// exported is what model show needs of an exported model.
type exported struct {
	Type      string  `json:"type"`
	L2        float64 `json:"l2"`
	Intercept float64 `json:"intercept"`
	Columns   []struct {
		Name        string  `json:"name"`
		Folded      bool    `json:"folded"`
		Coefficient float64 `json:"coefficient"`
		Number      *struct {
			Mean float64 `json:"mean"`
			SD   float64 `json:"sd"`
		} `json:"number"`
	} `json:"columns"`
}

func (a *app) showModel(ctx context.Context, job string, threshold float64) error {
	return a.call(ctx, func(ctx context.Context, o pb.OperatorClient) error {
		j, err := o.GetJob(ctx, &pb.GetJobRequest{Job: job})
		if err != nil {
			return err
		}
		reply, err := o.ExportModel(ctx, &pb.ExportRequest{Job: hex.EncodeToString(j.GetJob()), Format: "json"})
		if err != nil {
			return err
		}
		var m exported
		if err := json.Unmarshal(reply.GetData(), &m); err != nil {
			return fmt.Errorf("read exported model: %w", err)
		}
		metrics, scores := evaluation.Split(j.GetMetricsJson())
		e := evaluation.Of(scores, threshold)
		document := map[string]any{"job": hex.EncodeToString(j.GetJob()), "name": j.GetName(), "status": j.GetStatus(), "state": hex.EncodeToString(j.GetState()),
			"converged": j.GetConverged(), "metrics": metrics, "model": json.RawMessage(reply.GetData())}
		if objective := known(j.GetObjective()); objective != nil {
			document["objective"] = *objective
		}
		if e != nil {
			document["evaluation"] = e
		}
		return a.print(document, func(w io.Writer) { m.show(w, j, e) })
	})
}

func (m *exported) show(w io.Writer, j *pb.JobInfo, e *evaluation.Evaluation) {
	rows := [][]string{{"model", fmt.Sprintf("%s, l2 %g", m.Type, m.L2)}, {"job", hex.EncodeToString(j.GetJob())}, {"name", j.GetName()}, {"state", hex.EncodeToString(j.GetState())}}
	table(w, "", append(rows, qualityRows(j, e)...))
	fmt.Fprintln(w)
	if e != nil {
		e.WriteTables(w)
		fmt.Fprintln(w)
	}
	columns := [][]string{{"(intercept)", fmt.Sprintf("%.9g", m.Intercept), "", "", ""}}
	for _, c := range m.Columns {
		row := []string{c.Name, fmt.Sprintf("%.9g", c.Coefficient), "", "", ""}
		if c.Number != nil {
			row[2], row[3] = fmt.Sprintf("%.6g", c.Number.Mean), fmt.Sprintf("%.6g", c.Number.SD)
		}
		if c.Folded {
			row[4] = "too rare: folded into other"
		}
		columns = append(columns, row)
	}
	table(w, "COLUMN | COEFFICIENT | MEAN | SD | ", columns)
}

// qualityRows are names and values of a model's quality.
func qualityRows(j *pb.JobInfo, e *evaluation.Evaluation) (rows [][]string) {
	q := readQuality(j.GetMetricsJson())
	if j.GetStatus() == "completed" {
		rows = append(rows, []string{"solver", q.verdict()})
	} else {
		rows = append(rows, []string{"solver", "the job is " + j.GetStatus() + ": this is the model so far, not evaluated"})
	}
	if q.Noised {
		rows = append(rows, []string{"privacy", privacy(j.GetResolvedJson())}, []string{"training rows", fmt.Sprintf("about %d", q.Rows)}, []string{"note", "counts and metrics are noisy; the objective isn't known"})
	} else {
		rows = append(rows, []string{"training rows", fmt.Sprint(q.Rows)}, []string{"objective", fmt.Sprintf("%.6f nats", j.GetObjective())})
	}
	if q.HeldOut > 0 {
		rows = append(rows, []string{"held-out rows", fmt.Sprint(q.HeldOut)})
		if e == nil {
			rows = append(rows, []string{"AUC", evaluation.Number(q.AUC)})
		}
		rows = append(rows, []string{"log loss", evaluation.Number(q.LogLoss)}, []string{"accuracy", evaluation.Number(q.Accuracy)})
	}
	if e != nil {
		rows = append(rows, e.Rows()...)
	}
	if q.Frozen > 0 {
		rows = append(rows, []string{"note", fmt.Sprintf("%d columns are collinear or separated and were left at 0; raise l2 to use them", q.Frozen)})
	}
	return rows
}

func (a *app) exportModel(ctx context.Context, r *pb.ExportRequest, file string) error {
	return a.call(ctx, func(ctx context.Context, o pb.OperatorClient) error {
		reply, err := o.ExportModel(ctx, r)
		if err != nil {
			return err
		}
		if file == "-" {
			_, err = a.Out.Write(reply.GetData())
			return err
		}
		if err := os.WriteFile(file, reply.GetData(), 0o644); err != nil {
			return invalid("Choose another with --file.", "write model: %v", err)
		}
		return a.print(map[string]any{"file": file, "bytes": len(reply.GetData())}, func(w io.Writer) { fmt.Fprintf(w, "Wrote %s, %d bytes.\n", file, len(reply.GetData())) })
	})
}
