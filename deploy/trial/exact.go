package trial

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"tributary/crypto/secagg"
	"tributary/models/dataset"
	"tributary/models/local"
	"tributary/models/optim"
	"tributary/protocol/jobspec"
)

// ExactParticipants is how many take part in an exact job here; one of them may be malicious.
const ExactParticipants = 4

// ResolveExact is an exact job of four participants over the data: numbers standardised, categories one-hot whatever their count.
// model is the spec's model, as YAML; metrics are evaluated on the test rows.
func (d *Data) ResolveExact(model, metrics string) (*jobspec.Resolved, error) {
	var features strings.Builder
	if len(d.Numbers) > 0 {
		fmt.Fprintf(&features, "  - {columns: [%s], transform: standardize, clip: 1000}\n", strings.Join(d.Numbers, ", "))
	}
	if c := d.Categories(); len(c) > 0 {
		fmt.Fprintf(&features, "  - {columns: [%s], transform: one_hot, min_count: 1}\n", strings.Join(c, ", "))
	}
	text := fmt.Sprintf(`version: 1
name: %s-exact
contract: %s@1
features:
%smodel: %s
evaluate: {holdout: {column: fold, equals: test}, metrics: [%s]}
privacy: exact
run: {mode: sealed, participants: all, committee: {threshold: %d, of: %d}}
`, d.Name, d.Name, features.String(), model, metrics, threshold, seats)
	spec, problems := jobspec.ParseSpec([]byte(text))
	if len(problems) > 0 {
		return nil, errors.New(problems[0].String())
	}
	contract, problems := jobspec.ParseContract([]byte(d.Contract()))
	if len(problems) > 0 {
		return nil, errors.New(problems[0].String())
	}
	r, problems := jobspec.Resolve(spec, contract, jobspec.Options{F: 1, Contributors: ExactParticipants, Seats: seats})
	if len(problems) > 0 {
		return nil, errors.New(problems[0].String())
	}
	return r, nil
}

// TrainExact runs a whole exact job, one table a participant, with fresh keys; the model is the same every time. follow, if it
// isn't nil, gets the report of each step.
func TrainExact(ctx context.Context, r *jobspec.Resolved, tables []*dataset.Table, follow func(optim.Report)) (*optim.Program, *optim.State, error) {
	p, err := optim.ParseProgram(r.Program())
	if err != nil {
		return nil, nil, err
	}
	c, err := newCommittee()
	if err != nil {
		return nil, nil, err
	}
	rounds := make([]local.Rounds, len(tables))
	for i, t := range tables {
		if rounds[i], err = local.New(p, t); err != nil {
			return nil, nil, err
		}
	}
	s := p.Initial()
	for step := 1; s.Kind() != optim.Done; step++ {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		sums, err := c.round(p, s, len(tables), secagg.Context{byte(step), byte(step >> 8)}, func(i int, codec secagg.Params) ([]int64, error) {
			values, err := rounds[i].Sums(s)
			if err != nil {
				return nil, err
			}
			return codec.Quantise(values)
		})
		if err != nil {
			return nil, nil, fmt.Errorf("step %d: %w", step, err)
		}
		next, report, err := p.Apply(s, sums)
		if err != nil {
			return nil, nil, fmt.Errorf("step %d: %w", step, err)
		}
		// Participants hold the state as bytes.
		if s, err = p.DecodeState(next.Encode()); err != nil {
			return nil, nil, fmt.Errorf("step %d: %w", step, err)
		}
		if follow != nil {
			follow(report)
		}
	}
	return p, s, nil
}
