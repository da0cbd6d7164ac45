package cli

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"tributary/protocol/pb"
)

func (a *app) promoteCommand() *cobra.Command {
	r := &pb.PromoteRequest{}
	c := &cobra.Command{
		Use: "promote JOB --as ALIAS", Short: "Let a name stand for a completed job's model", Args: takes("JOB"),
		Long: "`model show` and `model export` take the alias in place of a job from then on, also where a job has the same name. What it stood for before is kept: `model rollback` returns to it.",
	}
	c.Flags().StringVar(&r.Alias, "as", "", "the alias, for example production")
	c.Flags().StringVar(&r.Reason, "reason", "", "why, for the history")
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if r.Alias == "" {
			return usage(cmd, "--as is missing")
		}
		r.Job = args[0]
		return a.call(cmd.Context(), func(ctx context.Context, o pb.OperatorClient) error {
			reply, err := o.PromoteModel(ctx, r)
			return a.printAlias(reply, err)
		})
	}
	return c
}

func (a *app) rollbackCommand() *cobra.Command {
	var reason string
	c := &cobra.Command{Use: "rollback ALIAS", Short: "Return an alias to the model that it stood for before", Args: takes("ALIAS")}
	c.Flags().StringVar(&reason, "reason", "", "why, for the history")
	c.RunE = func(cmd *cobra.Command, args []string) error {
		return a.call(cmd.Context(), func(ctx context.Context, o pb.OperatorClient) error {
			now, err := o.GetAlias(ctx, &pb.GetAliasRequest{Alias: args[0]})
			if err != nil {
				return err
			}
			reply, err := o.RollbackModel(ctx, &pb.RollbackRequest{Alias: args[0], Promotion: now.GetPromotion(), Reason: reason})
			return a.printAlias(reply, err)
		})
	}
	return c
}

func (a *app) printAlias(reply *pb.ModelAlias, err error) error {
	if err != nil {
		return err
	}
	v := viewAlias(reply)
	return a.print(v, func(w io.Writer) {
		fmt.Fprintf(w, "%s stands for job %s (%s).\n", v.Alias, v.Name, v.Job[:12])
	})
}

// aliasView is an alias with its history, newest first.
type aliasView struct {
	Alias   string          `json:"alias"`
	Job     string          `json:"job"`
	Name    string          `json:"name"`
	History []promotionView `json:"history"`
	current uint64
}

type promotionView struct {
	Promotion       uint64 `json:"promotion"`
	Job             string `json:"job"`
	Name            string `json:"name"`
	By              string `json:"by"`
	At              string `json:"at"`
	Reason          string `json:"reason,omitempty"`
	WithdrawnBy     string `json:"withdrawn_by,omitempty"`
	WithdrawnAt     string `json:"withdrawn_at,omitempty"`
	WithdrawnReason string `json:"withdrawn_reason,omitempty"`
	atMs, endMs     int64
}

func viewAlias(m *pb.ModelAlias) aliasView {
	v := aliasView{Alias: m.GetAlias(), Job: hex.EncodeToString(m.GetJob()), Name: m.GetName(), History: []promotionView{}, current: m.GetPromotion()}
	for _, p := range m.GetHistory() {
		v.History = append(v.History, promotionView{p.GetPromotion(), hex.EncodeToString(p.GetJob()), p.GetName(), p.GetBy(), stamp(p.GetAtMs()), p.GetReason(),
			p.GetWithdrawnBy(), stamp(p.GetWithdrawnMs()), p.GetWithdrawnReason(), p.GetAtMs(), p.GetWithdrawnMs()})
	}
	return v
}

func (v aliasView) show(w io.Writer) {
	rows := [][]string{}
	for _, p := range v.History {
		state := "before"
		switch {
		case p.Promotion == v.current:
			state = "now"
		case p.WithdrawnBy != "":
			state = "rolled back by " + p.WithdrawnBy + " at " + when(p.endMs)
			if p.WithdrawnReason != "" {
				state += ": " + p.WithdrawnReason
			}
		}
		rows = append(rows, []string{v.Alias, p.Job[:12], p.Name, p.By, when(p.atMs), orDash(p.Reason), state})
	}
	table(w, "ALIAS | JOB | NAME | PROMOTED BY | AT | REASON | ", rows)
}
