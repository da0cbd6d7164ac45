package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"tributary/participant/internal/engine"
	"tributary/protocol/wire"
)

func (a *app) run() *cobra.Command {
	var restored, verbose bool
	c := &cobra.Command{
		Use:   "run [--restored]",
		Short: "Take part: ask the coordinator for tasks until stopped",
		Long: "Dials the coordinator and listens on nothing. Stop it with SIGTERM (exit code 0) or Ctrl-C (130); it goes on where it was.\n" +
			"After restoring data_dir from a copy, start it once with --restored: the seat keys in it must not be used again and are erased.",
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error { return a.work(c.Context(), restored, verbose) },
	}
	c.Flags().BoolVar(&restored, "restored", false, "data_dir was restored from a copy: erase every job's seat key first")
	c.Flags().BoolVar(&verbose, "verbose", false, "log more")
	return c
}

func (a *app) work(ctx context.Context, restored, verbose bool) error {
	n, err := a.enrolled()
	if err != nil {
		return err
	}
	defer n.close()
	unlock, err := n.store.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	log := logger(a.err, verbose)
	defer log.Sync()
	if restored {
		if err := n.store.SeatKeys().EraseAll(); err != nil {
			return err
		}
		log.Warn("erased all seat keys: the data directory was restored from a copy")
		if accounts, err := n.store.Accounts(); err != nil || len(accounts) > 0 {
			log.Warn("the privacy accounts are those of the copy: compare `budget show` with the charges in the coordinator's ledger before any private job", zap.Error(err))
		}
	}
	if left := time.Until(n.credentials.NotAfter()); left <= 0 {
		return &failure{Exit: exitUnauthorised, Code: "expired", Message: fmt.Sprintf("this node's certificate ended at %s", n.credentials.NotAfter().UTC().Format(time.RFC3339)),
			Hint: "ask the coordinator's operator for a new invitation and enrol again: nothing is lost"}
	}
	node, err := engine.New(engine.Options{Config: n.config, Store: n.store, Identity: n.identity, Client: n.client, Credentials: n.credentials, Log: log, Now: time.Now})
	if err != nil {
		return err
	}
	log.Info("started", zap.String("name", n.enrolment.Name), zap.String("consortium", n.enrolment.Consortium), zap.String("identity", n.identity.Public().Short()))
	err = node.Run(ctx)
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	log.Info("stopped")
	return err
}

// logger writes lines for people and machines alike. Nothing derived from rows is ever given to it.
func logger(w io.Writer, verbose bool) *zap.Logger {
	level := zapcore.InfoLevel
	if verbose {
		level = zapcore.DebugLevel
	}
	encoding := zap.NewProductionEncoderConfig()
	encoding.EncodeTime = zapcore.ISO8601TimeEncoder
	return zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(encoding), zapcore.Lock(zapcore.AddSync(w)), level))
}

func (a *app) version() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of the program and of the protocol",
		Args:  exactly(),
		RunE: func(*cobra.Command, []string) error {
			version := "devel"
			if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
				version = info.Main.Version
			}
			return a.print(map[string]any{"version": version, "protocol": wire.ProtocolVersion}, fmt.Sprintf("tributary-participant %s, protocol %d\n", version, wire.ProtocolVersion))
		},
	}
}
