package engine

import (
	"context"

	"tributary/coordinator/internal/store"
	"tributary/protocol/ledger"
	"tributary/protocol/wire"
)

// maxPolicies bounds how many versions of its rules one member may put into the ledger.
const maxPolicies = 10_000

// putPolicy takes a member's word on its own rules, once and in order, and logs it. The same envelope again changes nothing.
func (e *Engine) putPolicy(ctx context.Context, env wire.Envelope) error {
	var p wire.Policy
	if err := env.Open(&p); err != nil {
		return err
	}
	if p.Member != env.Signer {
		return fail(Denied, "signer", "", "a policy of %s signed by %s", p.Member.Short(), env.Signer.Short())
	}
	err := e.Store.Update(context.WithoutCancel(ctx), "commit/policy", func(t *store.Tx) error {
		if err := checkOwner(t, p.Member); err != nil {
			return err
		}
		last, envelope, err := t.Policy(p.Member)
		if err != nil {
			return err
		}
		next, prev := uint32(1), wire.Digest{}
		if last != nil {
			next, prev = last.Version+1, last.Digest()
		}
		switch {
		case last != nil && envelope.Digest() == env.Digest():
			return nil
		case p.Version > next:
			return fail(Busy, "policy-order", "Put the policy's versions in order.", "version %d of a policy, version %d comes next", p.Version, next)
		case p.Version != next || p.Prev != prev:
			return fail(Invalid, "policy", "A node that lost its database goes on under a new invitation.", "version %d of a policy doesn't follow the %d that are known", p.Version, next-1)
		case p.Version > maxPolicies:
			return fail(Precondition, "policies", "", "this member has put %d versions of its policy, more aren't kept", maxPolicies)
		}
		if _, err := e.logEntry(t, ledger.Policy, env.Bytes()); err != nil {
			return err
		}
		return t.PutPolicy(&p, &env)
	})
	if err == nil {
		e.changed()
	}
	return err
}
