// Command bench measures what a round costs beyond training: it runs the real binaries on loopback with 4, 16 and 64 participants
// and a model of 100 coefficients over few rows, and prints each round's time by phase, beside the training that
// it contains.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
)

func main() {
	sizes := flag.String("participants", "4,16,64", "numbers of participants, separated by commas")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *sizes); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}
