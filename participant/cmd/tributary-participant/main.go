// Command tributary-participant is an organisation's own node: it keeps the data, trains on them, and sends only sealed sums.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"tributary/participant/internal/cli"
)

func main() {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		cause := context.Canceled
		if <-signals == syscall.SIGINT {
			cause = cli.ErrInterrupted
		}
		signal.Stop(signals) // a second signal stops at once
		cancel(cause)
	}()
	os.Exit(cli.Main(ctx, os.Args[1:], os.Stdout, os.Stderr))
}
