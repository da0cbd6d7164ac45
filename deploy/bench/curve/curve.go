package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"gonum.org/v1/gonum/stat"

	"tributary/deploy/trial"
)

// point is the quality at one ε.
type point struct {
	Asked    string
	Epsilon  float64 // by the accountant, in nats
	Rounds   int
	Mean, SD float64 // of the test AUC over the seeds
}

func run(ctx context.Context, out io.Writer, data, dir string, seeds int) error {
	if seeds < 2 {
		return fmt.Errorf("%d seeds have no standard deviation\nhint: -seeds 5", seeds)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	d, err := trial.Adult(data)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w\nhint: set TRIBUTARY_DATA to the folder that holds adult/adult.data.gz and adult/adult.test.gz (UCI, gzipped)", err)
	} else if err != nil {
		return err
	}
	fmt.Fprintf(out, "Adult, %d participants, noise and encryption as in a job; test AUC over %d seeds; ε for one record at δ = 1e-5\n", trial.Participants, seeds)
	fmt.Fprintf(out, "%8s %15s %7s %9s %8s\n", "ε asked", "ε by accountant", "rounds", "mean AUC", "sd")
	var points []point
	for _, epsilon := range []string{"0.3", "1", "3"} {
		p, err := measure(ctx, d, epsilon, seeds)
		if err != nil {
			return fmt.Errorf("ε = %s: %w", epsilon, err)
		}
		points = append(points, p)
		fmt.Fprintf(out, "%8s %15.4f %7d %9.4f %8.4f\n", p.Asked, p.Epsilon, p.Rounds, p.Mean, p.SD)
	}
	return drawCurve(dir, points)
}

func measure(ctx context.Context, d *trial.Data, epsilon string, seeds int) (point, error) {
	r, err := d.Resolve(epsilon)
	if err != nil {
		return point{}, err
	}
	cost, err := trial.CostOf(r)
	if err != nil {
		return point{}, err
	}
	var aucs []float64
	for seed := range uint64(seeds) {
		q, err := d.Run(ctx, r, seed)
		if err != nil {
			return point{}, err
		}
		aucs = append(aucs, q.AUC)
	}
	mean, sd := stat.MeanStdDev(aucs, nil)
	return point{epsilon, cost.Epsilon, cost.Rounds, mean, sd}, nil
}
