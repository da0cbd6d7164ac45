// Command tributary is the coordinator of a consortium, and the command line of those who use it.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"tributary/coordinator/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Run(ctx, os.Args[1:], cli.Streams{Out: os.Stdout, Err: os.Stderr})
	stop()
	os.Exit(code)
}
