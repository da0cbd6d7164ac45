// Command curve shows what privacy costs in quality: it trains on the Adult census data as a private job of ten participants does,
// with the real noise and the real encryption, five times at each of several ε, and prints and draws the test AUC. It needs the
// data's two files, adult/adult.data.gz and adult/adult.test.gz, in $TRIBUTARY_DATA.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
)

func main() {
	out := flag.String("out", ".", "folder for curve.png and curve.svg")
	data := flag.String("data", os.Getenv("TRIBUTARY_DATA"), "folder of the reference data; by default $TRIBUTARY_DATA")
	seeds := flag.Int("seeds", 5, "runs at each ε, from 2")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, *data, *out, *seeds); err != nil {
		fmt.Fprintln(os.Stderr, "curve:", err)
		os.Exit(1)
	}
}
