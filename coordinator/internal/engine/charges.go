package engine

import (
	"context"
	"errors"
	"fmt"

	"tributary/coordinator/internal/store"
	"tributary/protocol/ledger"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

// putCharge takes the evidence that a member charged one of its accounts for an upload. Of the round in progress it goes to the round,
// which then takes the upload. One that comes later is logged all the same: nothing lowers a charge, and the ledger shows each account's
// without gaps. The same envelope again changes nothing.
func (e *Engine) putCharge(ctx context.Context, env wire.Envelope) error {
	var g wire.Charge
	if err := env.Open(&g); err != nil {
		return err
	}
	known := false
	err := e.Store.View(ctx, func(t *store.Tx) (err error) {
		if known, err = t.HasCharge(env.Digest()); err != nil || known {
			return err
		}
		return checkChain(t, &g)
	})
	if err != nil || known {
		return err
	}
	if id := e.jobOf(g.Ctx); !id.IsZero() {
		return e.Feed(ctx, id, round.ChargeCame{Envelope: env})
	}
	return e.lateCharge(ctx, &g, env)
}

// checkChain checks that a charge follows the account's charges before it: what was spent then and its own units make what is spent now,
// at the account's order and within its budget; and that a job is paid for from one account.
func checkChain(t *store.Tx, g *wire.Charge) error {
	a, err := t.Account(g.Account)
	if errors.Is(err, store.ErrNotFound) {
		return fail(Busy, "account-unknown", "Put the account first.", "a charge to an account that the ledger doesn't have")
	}
	if err != nil {
		return err
	}
	refuse := func(format string, args ...any) error {
		return &round.Refused{Rule: round.RuleBudget, Reason: fmt.Sprintf(format, args...)}
	}
	paid, before, err := t.PaidFrom(g.Job, g.Member)
	switch {
	case err != nil:
		return err
	case a.Member != g.Member:
		return refuse("the charged account is another member's")
	case a.Order != g.Order:
		return refuse("a charge at order %d, the account's is %d", g.Order, a.Order)
	case before && paid != g.Account:
		return refuse("a charge to account %x, this job's rounds before were charged to %x", g.Account[:6], paid[:6])
	case g.Spent > a.Budget:
		return fail(Busy, "account-order", "Put the account's refill first.", "%d units spent of %d", g.Spent, a.Budget)
	case g.Spent-g.Units > a.Spent:
		return fail(Busy, "charge-order", "Put the account's charges before this one first, in the order in which they were made.",
			"the account had spent %d units by this charge, its charges here make %d", g.Spent-g.Units, a.Spent)
	case g.Spent-g.Units < a.Spent:
		return refuse("the account has spent %d units, the charge says that it was %d", a.Spent, g.Spent-g.Units)
	}
	return nil
}

// storeCharge is the part of a transaction that logs a charge.
func (e *Engine) storeCharge(t *store.Tx, object []byte) error {
	env, err := wire.ParseEnvelope(object)
	if err != nil {
		return err
	}
	var g wire.Charge
	if err := env.Open(&g); err != nil {
		return err
	}
	if err := checkChain(t, &g); err != nil {
		return err
	}
	entry, err := e.logEntry(t, ledger.Charge, object)
	if err != nil {
		return err
	}
	return t.PutCharge(&g, &env, entry)
}

// lateCharge logs a charge for a round that is over.
func (e *Engine) lateCharge(ctx context.Context, g *wire.Charge, env wire.Envelope) error {
	var row *store.Job
	var approvals, plans []wire.Envelope
	err := e.Store.View(ctx, func(t *store.Tx) (err error) {
		if row, err = e.member(t, g.Job, g.Member); err != nil {
			return err
		}
		if approvals, _, err = answers(t, g.Job); err != nil {
			return err
		}
		plans, err = t.EnvelopesOf(g.Job, wire.TypePlan)
		return err
	})
	if err != nil {
		return err
	}
	j, err := e.describe(ctx, row)
	if err != nil {
		return err
	}
	closed, err := round.Close(j.proposal, approvals)
	if err != nil {
		return fail(Precondition, "context", "", "a charge for a job that never began")
	}
	for i := range plans {
		plan, err := round.OpenPlan(closed, &plans[i])
		if err != nil {
			return err
		}
		if plan.Context(closed.Closed) != g.Ctx {
			continue
		}
		if _, err := round.OpenCharge(closed, plan, &env); err != nil {
			return err
		}
		return e.Store.Update(context.WithoutCancel(ctx), "commit/charge-late", func(t *store.Tx) error {
			if known, err := t.HasCharge(env.Digest()); err != nil || known {
				return err
			}
			if err := e.storeCharge(t, env.Bytes()); err != nil {
				return err
			}
			return t.PutEnvelope(g.Job, plan.Round, &env, wire.Digest{})
		})
	}
	return fail(Precondition, "context", "Ask for the next task.", "a charge for a round that this job didn't have")
}
