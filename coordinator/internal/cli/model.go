package cli

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tributary/coordinator/internal/evaluation"
	"tributary/protocol/pb"
)

func (a *app) modelCommand() *cobra.Command {
	list := &cobra.Command{Use: "list", Short: "List the models of completed jobs", Args: takes(), RunE: func(cmd *cobra.Command, _ []string) error { return a.listModels(cmd.Context()) }}
	show := &cobra.Command{Use: "show JOB|ALIAS", Short: "Show a model: quality and coefficients; of an alias, also what it stood for before", Args: takes("JOB|ALIAS")}
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
	export := &cobra.Command{Use: "export JOB|ALIAS", Short: "Write a model", Args: takes("JOB|ALIAS")}
	export.Flags().StringVar(&r.Format, "format", "json", "json, onnx, or onnx-float32")
	export.Flags().StringVar(&file, "file", "-", "file to write; - is standard output")
	export.RunE = func(cmd *cobra.Command, args []string) error {
		r.Job = args[0]
		return a.exportModel(cmd.Context(), r, file)
	}
	return commands("model", "Models: list, show, promote, rollback, export", list, show, a.promoteCommand(), a.rollbackCommand(), export)
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
	Users       int64    `json:"held_out_users"`
	TopK        int      `json:"top_k"`
	Recall      *float64 `json:"recall"`
	NDCG        *float64 `json:"ndcg"`
	MAP         *float64 `json:"map"`
	Coverage    *float64 `json:"coverage"`
	RMSE        *float64 `json:"rmse"`
	Number      bool     `json:"number"` // of a label that is one
	TrainRMSE   *float64 `json:"train_rmse"`
	MAE         *float64 `json:"mae"`
	R2          *float64 `json:"r2"`
	Frozen      int      `json:"frozen"`
	Noised      bool     `json:"noised"`         // a private job's
	Note        string   `json:"note,omitempty"` // of the last step
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
	if q.TrainRounds < q.MaxRounds { // nothing else than a patience ends a training before
		return fmt.Sprintf("stopped after %d rounds: the held-out loss got no better; the best of them is kept", q.TrainRounds)
	}
	if q.TopK > 0 {
		return fmt.Sprintf("stopped after %d rounds, short of the tolerance", q.TrainRounds)
	}
	if q.Number {
		return fmt.Sprintf("did not converge in %d rounds; raise model.max_rounds", q.TrainRounds)
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
	Objective *float64        `json:"objective,omitempty"` // nats, or of a number half its squared deviations; unknown in private jobs
	Metrics   json.RawMessage `json:"metrics,omitempty"`
	Aliases   []string        `json:"aliases,omitempty"`
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
				list = append(list, modelInfo{hex.EncodeToString(m.GetJob()), m.GetName(), hex.EncodeToString(m.GetState()), m.GetConverged(), known(m.GetObjective()), raw(m.GetMetricsJson()), m.GetAliases(), stamp(m.GetAtMs())})
				rows = append(rows, []string{short(m.GetJob()), m.GetName(), evaluation.Number(known(m.GetObjective())), evaluation.Number(q.AUC), evaluation.Number(q.LogLoss), evaluation.Number(q.Recall), evaluation.Number(q.RMSE), yes(m.GetConverged()), orDash(strings.Join(m.GetAliases(), ", ")), when(m.GetAtMs())})
			}
			if page = reply.GetNextPageToken(); page == "" {
				break
			}
		}
		return a.print(map[string]any{"models": list}, func(w io.Writer) {
			table(w, "JOB | NAME | OBJECTIVE | AUC | LOG LOSS | RECALL | RMSE | CONVERGED | PROMOTED AS | AT", rows)
		})
	})
}

func (a *app) showModel(ctx context.Context, job string, threshold float64) error {
	return a.call(ctx, func(ctx context.Context, o pb.OperatorClient) error {
		alias, err := o.GetAlias(ctx, &pb.GetAliasRequest{Alias: job})
		switch {
		case err == nil:
			job = hex.EncodeToString(alias.GetJob())
		case status.Code(err) != codes.NotFound:
			return err
		}
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
		if alias != nil {
			document["alias"] = viewAlias(alias)
		}
		if e != nil {
			document["evaluation"] = e
		}
		return a.print(document, func(w io.Writer) {
			m.show(w, j, e)
			if alias != nil {
				fmt.Fprintln(w)
				viewAlias(alias).show(w)
			}
		})
	})
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
