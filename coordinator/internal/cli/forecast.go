package cli

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"tributary/protocol/forecast"
	"tributary/protocol/jobspec"
	"tributary/protocol/pb"
)

func (a *app) forecastCommand() *cobra.Command {
	var contract string
	cmd := &cobra.Command{Use: "forecast SPEC", Short: "Show what a private job would cost each participant's account, before anything runs", Args: takes("SPEC"),
		Long: "Show what a private job would cost before anything runs: the noise of each sum, rounds, bytes and time, and the charges against what is left of\n" +
			"each participant's account as the ledger shows it. It decides nothing: each participant's own account does. For a sweep: each trial's cost, and that of all together."}
	cmd.Flags().StringVar(&contract, "contract", "", "contract file (default: CONTRACT-NAME.yaml beside the spec)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		f, err := readFiles(args[0], contract)
		if err != nil {
			return err
		}
		if f.sweep != nil {
			return a.forecastSweep(cmd.Context(), f)
		}
		return a.call(cmd.Context(), func(ctx context.Context, o pb.OperatorClient) error {
			reply, err := o.ForecastJob(ctx, &pb.JobRequest{SpecYaml: f.spec, ContractYaml: f.contract})
			if err != nil {
				return err
			}
			if err := f.told(reply.GetProblems()); err != nil {
				return err
			}
			told, err := forecast.Parse(reply.GetForecastJson())
			if err != nil {
				return err
			}
			return a.print(map[string]any{"digest": hex.EncodeToString(reply.GetDigest()), "forecast": raw(string(reply.GetForecastJson()))}, func(w io.Writer) {
				io.WriteString(w, told.Text())
			})
		})
	}
	return cmd
}

// costLine sums up what a private job costs, whoever takes part.
func costLine(r *jobspec.Resolved) (string, error) {
	f, err := forecast.For(r, nil)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("It costs each account ε = %.4f at δ = %s in %d sums over %d or more of %d participants; `tributary job forecast` compares that with what they have left.",
		f.EpsilonFilter, f.Delta, f.Sums, f.NMin, f.Participants), nil
}
