// Command wide measures one round of federated averaging of a very wide factorization machine without network and disk store: what a
// participant computes and holds, then what the coordinator does. Each role is a process of its own, so that the memory told is its
// alone; the opened sum is that of all participants, three by default.
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
	flag.IntVar(&b.buckets, "buckets", 8192, "of each of a row's 20 open categories")
	flag.IntVar(&b.factors, "factors", 121, "of a column: a model of 19,990,921 coefficients by default")
	flag.IntVar(&b.rows, "rows", 20_000, "of a participant, of 20 columns each")
	flag.IntVar(&b.participants, "participants", 3, "whose uploads are added")
	flag.IntVar(&b.bits, "bits", 40, "of a lane")
	flag.StringVar(&b.role, "role", "", "internal: participant or coordinator")
	flag.StringVar(&b.dir, "dir", "", "internal: where the roles exchange files")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := b.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "wide:", err)
		os.Exit(1)
	}
}
