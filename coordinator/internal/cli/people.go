package cli

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"tributary/protocol/pb"
)

func (a *app) userCommand() *cobra.Command {
	var dir string
	var ttl time.Duration
	cmd := &cobra.Command{Use: "invite NAME", Short: "Make a one-time login token for a user", Args: takes("NAME")}
	cmd.Flags().DurationVar(&ttl, "ttl", 7*24*time.Hour, "how long the token can be used, at most 720h")
	cmd.Flags().StringVar(&dir, "dir", "", "on the coordinator's own machine: its data directory; needs no login")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if dir != "" {
			return a.inviteLocally(cmd.Context(), dir, args[0], ttl)
		}
		return a.invite(cmd.Context(), &pb.InviteRequest{Kind: "operator", Name: args[0], TtlMs: ttl.Milliseconds()}, "tributary login --token")
	}
	return commands("user", "Users of the coordinator's command line", cmd)
}

func (a *app) participantCommand() *cobra.Command {
	r := &pb.InviteRequest{Kind: "participant"}
	var ttl time.Duration
	inv := &cobra.Command{Use: "invite NAME", Short: "Make a one-time enrolment token for a participant", Args: takes("NAME")}
	inv.Flags().StringVar(&r.Role, "role", "both", "data (contributes), committee (holds a seat), or both")
	inv.Flags().StringVar(&r.Organisation, "organisation", "", "organisation that must enrol with it (default: any)")
	inv.Flags().DurationVar(&ttl, "ttl", 7*24*time.Hour, "how long the token can be used, at most 720h")
	inv.RunE = func(cmd *cobra.Command, args []string) error {
		r.Name, r.TtlMs = args[0], ttl.Milliseconds()
		return a.invite(cmd.Context(), r, "tributary-participant enroll --token")
	}
	list := &cobra.Command{Use: "list", Short: "List participants and users: invited, enrolled, members, revoked", Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.listPeople(cmd.Context()) }}
	var reason, kind string
	revoke := &cobra.Command{Use: "revoke NAME", Short: "End a participant's (or a user's) admission at once", Args: takes("NAME")}
	revoke.Flags().StringVar(&reason, "reason", "", "kept in the ledger")
	revoke.Flags().StringVar(&kind, "kind", "participant", "participant or operator")
	revoke.RunE = func(cmd *cobra.Command, args []string) error {
		return a.call(cmd.Context(), func(ctx context.Context, o pb.OperatorClient) error {
			if _, err := o.Revoke(ctx, &pb.RevokeRequest{Name: args[0], Kind: kind, Reason: reason}); err != nil {
				return err
			}
			return a.print(map[string]any{"name": args[0], "kind": kind, "status": "revoked"}, func(w io.Writer) {
				fmt.Fprintf(w, "Revoked %s %s. Propose a charter without it before new jobs: `tributary charter propose --f N`.\n", kind, args[0])
			})
		})
	}
	return commands("participant", "Participants: invite, list, revoke", inv, list, revoke)
}

func (a *app) invite(ctx context.Context, r *pb.InviteRequest, use string) error {
	return a.call(ctx, func(ctx context.Context, o pb.OperatorClient) error {
		reply, err := o.Invite(ctx, r)
		if err != nil {
			return err
		}
		return a.print(map[string]any{"name": r.GetName(), "kind": r.GetKind(), "role": r.GetRole(), "token": reply.GetToken(), "expires": stamp(reply.GetExpiresMs())}, func(w io.Writer) {
			fmt.Fprintf(w, "%s\nFor %s, once, until %s: %s TOKEN\n", reply.GetToken(), r.GetName(), when(reply.GetExpiresMs()), use)
		})
	})
}

type person struct {
	Kind         string `json:"kind"`
	Name         string `json:"name"`
	Organisation string `json:"organisation,omitempty"`
	Role         string `json:"role"`
	Status       string `json:"status"`
	Key          string `json:"key,omitempty"`
	LastSeen     string `json:"last_seen,omitempty"`
}

func (a *app) listPeople(ctx context.Context) error {
	return a.call(ctx, func(ctx context.Context, o pb.OperatorClient) error {
		reply, err := o.ListMembers(ctx, &pb.ListRequest{})
		if err != nil {
			return err
		}
		people, rows := []person{}, [][]string{}
		for _, m := range reply.GetMembers() {
			people = append(people, person{m.GetKind(), m.GetName(), m.GetOrganisation(), m.GetRole(), m.GetStatus(), hex.EncodeToString(m.GetKey()), stamp(m.GetLastSeenMs())})
			rows = append(rows, []string{m.GetName(), m.GetKind(), orDash(m.GetOrganisation()), m.GetRole(), m.GetStatus(), orDash(hex.EncodeToString(m.GetKey()[:min(4, len(m.GetKey()))])), when(m.GetLastSeenMs())})
		}
		return a.print(map[string]any{"participants": people}, func(w io.Writer) {
			table(w, "NAME | KIND | ORGANISATION | ROLE | STATUS | KEY | LAST SEEN", rows)
		})
	})
}
