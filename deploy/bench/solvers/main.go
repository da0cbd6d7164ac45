// Command solvers measures the local solvers beside scikit-learn, liblinear, implicit, xLearn and myFM: the same generated data and objective,
// one core each, one after another in the same run, repeats interleaved. It prints Markdown tables of medians. `make bench-solvers`
// installs the others from PyPI into bin/solvers.
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
	flag.IntVar(&b.rows, "rows", 1_000_000, "rows")
	flag.IntVar(&b.repeats, "repeats", 3, "repeats, of which the median is shown")
	flag.StringVar(&b.only, "only", "", "one table: dense, factors, sparse, machine8 or machine16")
	flag.StringVar(&b.python, "python", "bin/solvers/bin/python", "a Python with scikit-learn, implicit, xLearn and myFM")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := b.run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "solvers:", err)
		os.Exit(1)
	}
}
