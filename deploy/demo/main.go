// Command demo does the main job end to end on generated data: four shops, each with its own customers, train one churn model and
// nobody sees anyone's customers. It runs the real binaries as separate processes on loopback, in a new folder that it leaves behind.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	bin := flag.String("bin", "bin", "folder of the three binaries (make build)")
	seed := flag.Uint64("seed", 7, "of the generated data")
	into := flag.String("dir", ".", "where the demo's new folder is made")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, *bin, *into, *seed)
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		fmt.Fprintln(os.Stderr, "demo: interrupted; every process was stopped")
		os.Exit(130)
	case err != nil:
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}
