package engine

import (
	"context"
	"errors"

	"tributary/coordinator/internal/store"
	"tributary/crypto/dp"
	"tributary/crypto/dp/accountant"
	"tributary/protocol/ledger"
	"tributary/protocol/wire"
)

// Limits of what one member can put into the ledger about its accounts.
const (
	maxAccounts = 256     // a member, one for each source
	maxRefills  = 10_000  // an account
	maxBudget   = 1 << 62 // units, over all refills
)

// putAccount takes a member's word that it opened or refilled an account, once: it is checked like a verifier of the ledger does, logged
// and stored as the account's newest. The same envelope again changes nothing.
func (e *Engine) putAccount(ctx context.Context, env wire.Envelope) error {
	var a wire.Account
	if err := env.Open(&a); err != nil {
		return err
	}
	if a.Member != env.Signer {
		return fail(Denied, "signer", "", "an account of %s signed by %s", a.Member.Short(), env.Signer.Short())
	}
	known := false
	err := e.Store.View(ctx, func(t *store.Tx) (err error) {
		if known, err = t.HasAccount(env.Digest()); err != nil || known {
			return err
		}
		if err := checkOwner(t, a.Member); err != nil {
			return err
		}
		return checkSuccession(t, &a)
	})
	if err != nil || known {
		return err
	}
	// Slow, so not in the writing transaction, and one at a time: whoever sends many caps keeps one core busy, not all.
	e.budgets.Lock()
	err = checkBudget(&a)
	e.budgets.Unlock()
	if err != nil {
		return err
	}
	err = e.Store.Update(context.WithoutCancel(ctx), "commit/account", func(t *store.Tx) error {
		if known, err = t.HasAccount(env.Digest()); err != nil || known {
			return err
		}
		if err := checkOwner(t, a.Member); err != nil {
			return err
		}
		if err := checkSuccession(t, &a); err != nil {
			return err
		}
		entry, err := e.logEntry(t, ledger.Account, env.Bytes())
		if err != nil {
			return err
		}
		return t.PutAccount(&a, &env, entry)
	})
	if err == nil {
		e.changed()
	}
	return err
}

func badAccount(format string, args ...any) error {
	return fail(Invalid, "account", "The node and the coordinator must be of one release; the account's owner compares both versions.", format, args...)
}

// checkBudget recomputes order and budget from the cap: order is the best for the first cap, so an opening's, and the budget is what the
// cap gives at it beside what was there before.
func checkBudget(a *wire.Account) error {
	epsilon, err := dp.NewRational(a.EpsNum, a.EpsDen)
	if err != nil {
		return badAccount("the account's ε: %v", err)
	}
	delta, err := dp.NewRational(a.DeltaNum, a.DeltaDen)
	if err != nil {
		return badAccount("the account's δ: %v", err)
	}
	limit, order := accountant.Cap{Epsilon: epsilon, Delta: delta}, accountant.Order(a.Order)
	if a.Refills == 0 {
		best, err := accountant.BestOrder(limit)
		if err != nil {
			return badAccount("%v", err)
		}
		if best != order {
			return badAccount("an account of ε = %s, δ = %s has order %d, not %d", epsilon, delta, best, order)
		}
	}
	units, err := limit.BudgetAt(order)
	if err != nil {
		return badAccount("%v", err)
	}
	switch {
	case a.Refills > maxRefills:
		return badAccount("refill %d, at most %d", a.Refills, maxRefills)
	case a.Budget > maxBudget || a.PrevBudgets > maxBudget || uint64(units) > maxBudget:
		return badAccount("a budget above %d units", uint64(maxBudget))
	case a.PrevBudgets+uint64(units) != a.Budget:
		return badAccount("a budget of %d units; the cap gives %d beside %d from before", a.Budget, units, a.PrevBudgets)
	}
	return nil
}

func checkOwner(t *store.Tx, m wire.Member) error {
	members, err := t.Members()
	if err != nil {
		return err
	}
	for i := range members {
		if members[i].Card.Key == m && members[i].RevokedMs == 0 {
			return nil
		}
	}
	return fail(Denied, "not-enrolled", "Enrol the participant first.", "%s isn't enrolled", m.Short())
}

// checkSuccession lets an account be opened once, and refilled in order.
func checkSuccession(t *store.Tx, a *wire.Account) error {
	before, err := t.Account(a.Account)
	switch {
	case errors.Is(err, store.ErrNotFound) && a.Refills == 0 && a.PrevBudgets == 0:
		own, err := t.AccountsOf(a.Member)
		if err != nil {
			return err
		}
		if len(own) >= maxAccounts {
			return fail(Precondition, "accounts", "", "this member has %d accounts, more aren't kept", len(own))
		}
		return nil
	case errors.Is(err, store.ErrNotFound) && a.Refills == 0:
		return badAccount("a new account with a budget from before")
	case errors.Is(err, store.ErrNotFound):
		return fail(Busy, "account-order", "Put the account's opening first, then its refills in order.", "refill %d of an account that wasn't opened here", a.Refills)
	case err != nil:
		return err
	case before.Member != a.Member:
		return fail(Denied, "account", "", "the account is another member's")
	case a.Refills > before.Refills+1:
		return fail(Busy, "account-order", "Put the account's refills in order.", "refill %d after refill %d", a.Refills, before.Refills)
	case a.Refills != before.Refills+1:
		return badAccount("refill %d after refill %d: an account is opened once and each refill is one", a.Refills, before.Refills)
	case a.Order != before.Order || a.Unit != before.Unit:
		return badAccount("a refill changes neither order (%d) nor unit (%d)", before.Order, before.Unit)
	case a.PrevBudgets != before.Budget:
		return badAccount("the refill says that the budget was %d units, it was %d", a.PrevBudgets, before.Budget)
	}
	return nil
}
