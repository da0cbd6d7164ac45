package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"tributary/coordinator/internal/report"
	"tributary/protocol/pb"
)

func (a *app) reportCommand() *cobra.Command {
	var out, dir string
	cmd := &cobra.Command{Use: "report JOB", Short: "Write a report of a job that is over: one HTML page, curves as pictures", Args: takes("JOB"),
		Long: "Write a report of a job that is over: its spec, participants, loss by round, metrics and curves, as one HTML page that opens without a network.\n" +
			"--curves writes each curve as SVG and PNG, too."}
	cmd.Flags().StringVar(&out, "out", "", "HTML file to write")
	cmd.Flags().StringVar(&dir, "curves", "", "folder to write the curves to")
	threshold := thresholdFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		at, err := threshold()
		switch {
		case err != nil:
			return err
		case out == "" && dir == "":
			return usage(cmd, "--out is missing")
		}
		return a.writeReport(cmd.Context(), args[0], out, dir, at)
	}
	return cmd
}

func (a *app) writeReport(ctx context.Context, job, out, dir string, threshold float64) error {
	var r *report.Report
	err := a.call(ctx, func(ctx context.Context, o pb.OperatorClient) (err error) {
		r, err = readReport(ctx, o, job, threshold)
		return err
	})
	if err != nil {
		return err
	}
	var files []string
	if out != "" {
		var page bytes.Buffer
		if err := r.WriteHTML(&page); err != nil {
			return err
		}
		if err := os.WriteFile(out, page.Bytes(), 0o644); err != nil {
			return invalid("Choose another with --out.", "write report: %v", err)
		}
		files = append(files, out)
	}
	if dir != "" {
		curves, err := r.WriteCurves(dir)
		if err != nil {
			return invalid("Choose another with --curves.", "write curves: %v", err)
		}
		files = append(files, curves...)
	}
	return a.print(map[string]any{"job": r.Job, "files": files}, func(w io.Writer) {
		for _, f := range files {
			fmt.Fprintf(w, "Wrote %s.\n", f)
		}
	})
}

// readReport collects a report. Only a job that is over has its last event.
func readReport(ctx context.Context, o pb.OperatorClient, job string, threshold float64) (*report.Report, error) {
	j, err := o.GetJob(ctx, &pb.GetJobRequest{Job: job})
	if err != nil {
		return nil, err
	}
	if j.GetEndedMs() == 0 {
		return nil, &failure{exit: exitRefused, Code: "job-open", Message: fmt.Sprintf("job %s is %s", j.GetName(), j.GetStatus()), Hint: "`tributary job watch` waits until it is over."}
	}
	in := report.Input{Job: j, Threshold: threshold, At: when}
	var last *pb.Event
	if err := follow(ctx, o, fmt.Sprintf("%x", j.GetJob()), &last, func(e *pb.Event) { in.Events = append(in.Events, e) }); err != nil {
		return nil, err
	}
	r := report.New(in)
	r.Facts, r.Quality = jobRows(j), qualityRows(j, r.Evaluation)
	r.Members.Header, r.Members.Rows = memberRows(j)
	return r, nil
}
