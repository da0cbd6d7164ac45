// Command memory measures how much memory a participant needs for a file that is larger than it: it runs the real binaries on
// loopback, three participants of which one has a large CSV file, and an exact job (Newton's method); and prints that
// participant's peak memory, and how long reading and each round took.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
)

func main() {
	var b bench
	flag.Int64Var(&b.bytes, "bytes", 10_000_000_000, "size of the CSV file")
	flag.StringVar(&b.dir, "dir", "", "a folder for the file and the participants' data, of which it takes about three times the file's size (default: a temporary one)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := b.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "memory:", err)
		os.Exit(1)
	}
}
