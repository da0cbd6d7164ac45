package cli

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	"tributary/models/optim"
	"tributary/protocol/invite"
	"tributary/protocol/pb"
	"tributary/protocol/wire"
)

const (
	callTimeout = 30 * time.Second
	maxReply    = optim.MaxExport + 1<<10 // bytes: a model's document in its frame
)

func dial(address string, fingerprint [32]byte, certificates ...tls.Certificate) (*grpc.ClientConn, error) {
	config, err := invite.ClientTLS(fingerprint, address)
	if err != nil {
		return nil, err
	}
	config.Certificates = certificates
	return grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(credentials.NewTLS(config)),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxReply)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 20 * time.Second, Timeout: 10 * time.Second}))
}

// call runs f with the operator's service and a time limit.
func (a *app) call(ctx context.Context, f func(context.Context, pb.OperatorClient) error) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return a.connected(ctx, func(_ *login, o pb.OperatorClient) error { return f(ctx, o) })
}

func (a *app) connected(_ context.Context, f func(*login, pb.OperatorClient) error) error {
	l, err := a.readLogin()
	if err != nil {
		return err
	}
	conn, err := dial(l.Address, l.fingerprint, l.certificate)
	if err != nil {
		return err
	}
	defer conn.Close()
	return f(l, pb.NewOperatorClient(conn))
}

func (a *app) loginCommand() *cobra.Command {
	var token string
	cmd := &cobra.Command{Use: "login", Short: "Log this user in with a one-time token", Args: takes()}
	cmd.Flags().StringVar(&token, "token", "", "the token, or @FILE with it (required)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if token == "" {
			return usage(cmd, "--token is missing")
		}
		return a.login(cmd.Context(), token)
	}
	return cmd
}

func (a *app) login(ctx context.Context, text string) error {
	if name, isFile := strings.CutPrefix(text, "@"); isFile {
		data, err := os.ReadFile(name)
		if err != nil {
			return invalid("", "read token: %v", err)
		}
		text = string(data)
	}
	token, err := invite.Parse(strings.TrimSpace(text))
	if err != nil {
		return err
	}
	if token.Kind != invite.Operator {
		return invalid("Use it with `tributary-participant enroll --token …`; `tributary user invite` makes operators' tokens.", "this token is a %s's", token.Kind)
	}
	key, csr, err := newRequest()
	if err != nil {
		return err
	}
	conn, err := dial(token.Address, token.Fingerprint)
	if err != nil {
		return err
	}
	defer conn.Close()
	limited, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	reply, err := pb.NewEnrolmentClient(conn).Enrol(limited, &pb.EnrolRequest{Version: wire.ProtocolVersion, Secret: token.Secret[:], CsrDer: csr})
	if err != nil {
		return err
	}
	l := &login{Address: token.Address, Fingerprint: hex.EncodeToString(token.Fingerprint[:]), Coordinator: hex.EncodeToString(reply.GetCoordinatorKey()),
		Consortium: reply.GetConsortium(), Name: token.Name}
	if err := a.writeLogin(l, key, reply.GetChainDer()); err != nil {
		return err
	}
	return a.print(map[string]any{"name": l.Name, "consortium": l.Consortium, "address": l.Address, "not_after": stamp(reply.GetNotAfterMs())}, func(w io.Writer) {
		fmt.Fprintf(w, "Logged in as %s to %q at %s, until %s.\n", l.Name, l.Consortium, l.Address, when(reply.GetNotAfterMs()))
	})
}
