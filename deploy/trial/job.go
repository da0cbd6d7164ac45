package trial

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"tributary/crypto/dp/accountant"
	"tributary/models/optim"
	"tributary/protocol/jobspec"
)

// The setting of every job here: ten participants, of which two may collude, at least nine in a sum, opened by 5 of 7 seats, with
// δ = 1e-5 for one record.
const (
	Participants = 10
	colluding    = 2
	inASum       = 9
	threshold    = 5
	seats        = 7
	delta        = 1e-5
)

// Spec is a private job of ten participants: declared ranges and categories, log1p on the columns named capital_…, rows of unit norm,
// defaults otherwise. ε is a decimal, in nats.
func (d *Data) Spec(epsilon string) string {
	var features strings.Builder
	capital := func(c string) bool { return strings.HasPrefix(c, "capital_") }
	for _, group := range []struct {
		columns   []string
		transform string
	}{
		{slices.DeleteFunc(slices.Clone(d.Numbers), capital), "scale"},
		{slices.DeleteFunc(slices.Clone(d.Numbers), func(c string) bool { return !capital(c) }), "[log1p, scale]"},
		{d.Categories(), "one_hot"},
	} {
		if len(group.columns) > 0 {
			fmt.Fprintf(&features, "  - {columns: [%s], transform: %s}\n", strings.Join(group.columns, ", "), group.transform)
		}
	}
	return fmt.Sprintf(`version: 1
name: %s-private
contract: %s@1
features:
%smodel: {type: logistic_regression, solver: dp_gradient_descent}
evaluate: {holdout: {column: fold, equals: test}, metrics: [auc]}
privacy: {unit: record, epsilon: "%s", delta: "%g"}
run: {mode: sealed, participants: all, min_participants: %d, committee: {threshold: %d, of: %d}}
`, d.Name, d.Name, features.String(), epsilon, delta, inASum, threshold, seats)
}

// Resolve is the job at ε, after edits of the spec: old, new, old, new, ….
func (d *Data) Resolve(epsilon string, edits ...string) (*jobspec.Resolved, error) {
	spec, problems := jobspec.ParseSpec([]byte(strings.NewReplacer(edits...).Replace(d.Spec(epsilon))))
	if len(problems) > 0 {
		return nil, errors.New(problems[0].String())
	}
	contract, problems := jobspec.ParseContract([]byte(d.Contract()))
	if len(problems) > 0 {
		return nil, errors.New(problems[0].String())
	}
	r, problems := jobspec.Resolve(spec, contract, jobspec.Options{F: colluding, Contributors: Participants, Seats: Participants})
	if len(problems) > 0 {
		return nil, errors.New(problems[0].String())
	}
	return r, nil
}

// Cost is what a job may use at most.
type Cost struct {
	Rounds  int
	Epsilon float64 // of all rounds together, in nats at δ = 1e-5, by the accountant's tightest bound
}

// CostOf computes a job's cost from its noise, apart from how that was calibrated.
func CostOf(r *jobspec.Resolved) (Cost, error) {
	p, err := optim.ParseProgram(r.Program())
	if err != nil {
		return Cost{}, err
	}
	var cost Cost
	var releases []accountant.Release
	for _, kind := range []optim.RoundKind{optim.Sketch, optim.Fit, optim.Train, optim.Evaluate} {
		n := p.MaxRounds(kind)
		if n == 0 {
			continue
		}
		_, sum, ok := r.Noise(uint8(kind))
		if !ok {
			return Cost{}, fmt.Errorf("trial: no noise for %v", kind)
		}
		cost.Rounds += n
		// In many dimensions: the continuous Gaussian of variance σ²−4.
		multiplier := math.Sqrt((sum.Sigma2.Float() - 4) / float64(sum.Sensitivity2))
		releases = append(releases, accountant.Release{Mechanism: accountant.Gaussian{Multiplier: multiplier}, Count: uint64(n)})
	}
	report, err := accountant.Epsilon(releases, delta)
	cost.Epsilon = report.Epsilon
	return cost, err
}
