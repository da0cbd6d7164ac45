package cli

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"tributary/protocol/charter"
	"tributary/protocol/pb"
	"tributary/protocol/wire"
)

func (a *app) charterCommand() *cobra.Command {
	show := &cobra.Command{Use: "show", Short: "Show the newest charter version", Args: takes(), RunE: func(cmd *cobra.Command, _ []string) error {
		return a.call(cmd.Context(), func(ctx context.Context, o pb.OperatorClient) error {
			return a.showCharter(o.ShowCharter(ctx, &pb.ShowCharterRequest{}))
		})
	}}
	r := &pb.ProposeRequest{}
	propose := &cobra.Command{Use: "propose", Short: "Propose the next charter version over the enrolled participants", Args: takes()}
	propose.Flags().Uint32Var(&r.F, "f", 0, "most members that may collude with the coordinator, its own organisation's counted (required)")
	propose.Flags().StringArrayVar(&r.Members, "member", nil, "participant to list (default: all that are enrolled)")
	propose.RunE = func(cmd *cobra.Command, _ []string) error {
		if !cmd.Flags().Changed("f") {
			return usage(cmd, "--f is missing")
		}
		return a.call(cmd.Context(), func(ctx context.Context, o pb.OperatorClient) error { return a.showCharter(o.ProposeCharter(ctx, r)) })
	}
	return commands("charter", "The charter: who counts", show, propose)
}

type charterMember struct {
	Name         string `json:"name"`
	Organisation string `json:"organisation"`
	Role         string `json:"role"`
	Key          string `json:"key"`
}

func (a *app) showCharter(reply *pb.CharterReply, err error) error {
	if err != nil {
		return err
	}
	env, err := wire.ParseEnvelope(reply.GetCharter())
	if err != nil {
		return err
	}
	c, err := charter.Open(&env)
	if err != nil {
		return err
	}
	digest := c.Digest()
	members, rows := []charterMember{}, [][]string{}
	for i := range c.Members {
		m := &c.Members[i]
		members = append(members, charterMember{m.Card.Name, m.Card.Organisation, m.Role.String(), m.Card.Key.String()})
		rows = append(rows, []string{m.Card.Name, m.Card.Organisation, m.Role.String(), m.Card.Key.Short()})
	}
	return a.print(map[string]any{"consortium": c.Consortium, "version": c.Version, "digest": hex.EncodeToString(digest[:]), "phrase": charter.Phrase(digest), "f": c.F,
		"coordinator": map[string]any{"organisation": c.Organisation, "key": c.Coordinator.String()}, "log_origin": c.LogOrigin, "members": members}, func(w io.Writer) {
		fmt.Fprintf(w, "Charter of %q, version %d, f = %d\ndigest  %s\nphrase  %s\ncoordinator  %s, key %s, ledger %s\n\n", c.Consortium, c.Version, c.F,
			hex.EncodeToString(digest[:]), charter.Phrase(digest), c.Organisation, c.Coordinator.Short(), c.LogOrigin)
		table(w, "MEMBER | ORGANISATION | ROLE | KEY", rows)
		fmt.Fprintf(w, "\nEach operator compares the phrase over the telephone and runs\n  tributary-participant charter accept %s\n", hex.EncodeToString(digest[:]))
	})
}
