package engine

import (
	"context"
	"errors"
	"slices"

	"tributary/coordinator/internal/store"
	"tributary/crypto/dp/accountant"
	"tributary/protocol/forecast"
	"tributary/protocol/jobspec"
	"tributary/protocol/wire"
)

// Forecast tells what a private job would cost each participant's account, as the ledger shows those, or every problem of the request.
func (e *Engine) Forecast(ctx context.Context, r Request) (*jobspec.Resolved, *forecast.Forecast, []Problem, error) {
	c, problems, err := e.check(ctx, r)
	if err != nil || len(problems) > 0 {
		return nil, nil, problems, err
	}
	var left []forecast.Remaining
	err = e.Store.View(ctx, func(t *store.Tx) error {
		for i := range c.members {
			card := &c.members[i].Card
			if !slices.Contains(c.resolved.Participants, card.Name) {
				continue
			}
			paying, err := payers(t, card.Key, c.resolved, c.contract.Name)
			if err != nil {
				return err
			}
			for _, a := range paying {
				left = append(left, forecast.Remaining{Member: card.Name, Order: accountant.Order(a.Order), Left: accountant.Units(a.Budget - a.Spent), Budget: accountant.Units(a.Budget)})
			}
		}
		return nil
	})
	if err != nil {
		return nil, nil, nil, err
	}
	f, err := forecast.For(c.resolved, left)
	if errors.Is(err, forecast.ErrExact) {
		return nil, nil, nil, fail(Invalid, "exact", "What an exact job's sums tell is in its approval; `privacy: {unit: record, epsilon: …}` makes a private job.", "an exact job has no ε to forecast")
	}
	return c.resolved, f, nil, err
}

// payers are the accounts that a member would pay a job from: of those that count the job's unit, the one that paid for its last job
// under the same contract, or its only one. Which source a contract is bound to is the member's own business, so there may be several, or none.
func payers(t *store.Tx, m wire.Member, r *jobspec.Resolved, contract string) ([]store.Account, error) {
	own, err := t.AccountsOf(m)
	own = slices.DeleteFunc(own, func(a store.Account) bool { return r.Private == nil || wire.UnitName(a.Unit) != r.Private.Unit })
	if err != nil || len(own) < 2 {
		return own, err
	}
	paid, err := t.PaidBy(m)
	if err != nil {
		return nil, err
	}
	for _, p := range paid {
		c, err := jobspec.ParseContractJSON(p.Contract)
		if err != nil {
			return nil, err
		}
		if at := slices.IndexFunc(own, func(a store.Account) bool { return a.Account.Account == p.Account }); c.Name == contract && at >= 0 {
			return own[at : at+1], nil
		}
	}
	return own, nil
}
