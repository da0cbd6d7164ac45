package main

import (
	"errors"
	"fmt"
	"math"

	"tributary/deploy/shop"
	"tributary/models/dataset"
	"tributary/models/linear"
	"tributary/models/metrics"
	"tributary/models/optim"
	"tributary/protocol/jobspec"
)

// program resolves the demo's own spec for the given number of contributors.
func program(spec string, members []string) (*optim.Program, error) {
	s, problems := jobspec.ParseSpec([]byte(spec))
	if len(problems) > 0 {
		return nil, errors.New(problems[0].String())
	}
	c, problems := jobspec.ParseContract([]byte(shop.Contract))
	if len(problems) > 0 {
		return nil, errors.New(problems[0].String())
	}
	resolved, problems := jobspec.Resolve(s, c, jobspec.Options{F: 1, Members: members, Seats: len(members)})
	if len(problems) > 0 {
		return nil, errors.New(problems[0].String())
	}
	return optim.ParseProgram(resolved.Program())
}

// fitted trains on one table in plain floating point, without lanes and without encryption: what a single machine with that
// data gives. Newton is run to the last bit of progress, beyond the job's tolerance.
func fitted(p *optim.Program, t *dataset.Table) (*optim.State, error) {
	s := p.Initial()
	for s.Kind() != optim.Done {
		sums, err := linear.Sums(p, s, t)
		if err != nil {
			return nil, err
		}
		if s, _, err = p.Apply(s, sums); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// heldOut measures a model on the held-out rows of all organisations together.
func heldOut(p *optim.Program, s *optim.State, t *dataset.Table) (auc, loss float64, err error) {
	scores, err := linear.Score(p, s, t)
	if err != nil {
		return 0, 0, err
	}
	positives, negatives := make([]int64, metrics.Bins), make([]int64, metrics.Bins)
	rows := 0.0
	for i, score := range scores {
		if !t.HeldOut[i] {
			continue
		}
		rows++
		if t.Label[i] {
			positives[metrics.Bin(score)]++
			loss -= math.Log(score)
		} else {
			negatives[metrics.Bin(score)]++
			loss -= math.Log1p(-score)
		}
	}
	a, err := metrics.AUC(positives, negatives)
	if err != nil {
		return 0, 0, err
	}
	if !a.Known {
		return 0, 0, fmt.Errorf("no held-out rows of both classes")
	}
	return a.V, loss / rows, nil
}

// distance is the largest difference between two models' coefficients, per natural unit of the transformed value.
func distance(p *optim.Program, a, b *optim.State) float64 {
	x, y := natural(p, a), natural(p, b)
	most := 0.0
	for i := range x {
		most = max(most, math.Abs(x[i]-y[i]))
	}
	return most
}

// natural gives the coefficients of the numbers per unit of the transformed value, and of the other columns as they are.
func natural(p *optim.Program, s *optim.State) []float64 {
	w := s.Coefficients()
	out := make([]float64, len(w)-1)
	for i, c := range p.Pipeline().Columns() {
		out[i] = w[i]
		if f := p.Pipeline().Features()[c.Feature]; f.Standardize && c.Name == f.Name {
			_, sd := p.Pipeline().Natural(s.Fitted(), c.Feature)
			out[i] /= sd
		}
	}
	return out
}

// toTruth is the largest difference between a model's number coefficients and the true effects, in units of the truth's own size.
func toTruth(p *optim.Program, s *optim.State) float64 {
	w, most := natural(p, s), 0.0
	for _, e := range shop.Numbers {
		for i, c := range p.Pipeline().Columns() {
			if c.Name == e.Column {
				most = max(most, math.Abs(w[i]-e.PerUnit)/math.Abs(e.PerUnit))
			}
		}
	}
	return most
}
