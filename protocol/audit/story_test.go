package audit

import (
	"testing"

	"tributary/protocol/ledger"
	"tributary/protocol/wire"
)

// story is the ledger that most tests change: an exact job with an aborted round, a private one in which a member refuses, another
// drops out of a sum and a round is aborted, a new charter, a refill, and a private job that is cancelled within a round.
func story(t testing.TB, changes map[string]func(wire.Object)) *world {
	w := newWorld(t, changes)
	for i := range 4 {
		w.enrol(i)
	}
	c := w.charter("charter/1", 1, wire.Digest{}, 4)
	for i := range 4 {
		w.account("account/"+people[i], i, 0, 0)
	}
	w.policy("policy/alpen", 0, "contracts: [crm@1]\nprivacy: [exact]\n")
	m := w.job("exact", c, wire.Exact, 3)
	for i := range 3 {
		w.approve("exact", m, i)
	}
	w.release("exact/1", m, 1, 0, wire.Fit, wire.Digest{50})
	w.abort("exact/2", m, 2, w.member(1))
	w.release("exact/3", m, 3, 1, wire.Train, wire.Digest{51})
	w.release("exact/4", m, 4, 2, wire.Evaluate, wire.Digest{52})
	w.finish("exact", m, wire.OutcomeCompleted, wire.Digest{9, 2}, "")

	w.enrol(4)
	w.certificate("certificate/edel", 4)
	c = w.charter("charter/2", 2, c.Digest(), 5)
	w.account("account/edel", 4, 0, 0)
	w.policy("policy/alpen/2", 0, "contracts: [crm@1]\nprivacy: [exact, private]\n")
	w.certificate("certificate/alpen", 0)
	m = w.job("private", c, wire.Private, 5)
	for i := range 4 {
		w.approve("private", m, i)
	}
	w.add("private/refusal", ledger.Refusal, w.keys[4], &wire.Refusal{Job: m.Digest(), Phase: "approve", Rule: "budget", Hint: "The operator may refill the account."})
	w.private("private/1", m, 1, 0, wire.Fit, 0, 1, 2, 3)
	w.charge("private/2", m, 2, 0)
	w.abort("private/2", m, 2)
	w.private("private/3", m, 3, 1, wire.Train, 0, 1, 2, 3)
	w.charge("private/2/late", m, 2, 1)
	w.private("private/4", m, 4, 2, wire.Train, 0, 1, 3)
	w.private("private/5", m, 5, 3, wire.Evaluate, 0, 1, 2, 3)
	w.finish("private", m, wire.OutcomeCompleted, wire.Digest{9, 3}, "")

	a := w.account("", 0, 0, 0) // what alpen opened, to refill from
	w.rows = w.rows[:len(w.rows)-1]
	w.account("refill/alpen", 0, 1, a.Budget)
	w.add("revoke/edel", ledger.Revocation, w.hub, &wire.Revocation{Member: w.member(4), Reason: "left"})
	m = w.job("second", c, wire.Private, 4)
	for i := range 4 {
		w.approve("second", m, i)
	}
	w.charge("second/1", m, 1, 0)
	w.finish("second", m, wire.OutcomeCancelled, wire.Digest{7}, "not needed any more")
	w.add("second/refusal", ledger.Refusal, w.keys[1], &wire.Refusal{Job: m.Digest(), Phase: "plan", Rule: "expired", Hint: "none"})
	w.charge("second/1/late", m, 1, 2)
	return w
}

// policy states a member's next version.
func (w *world) policy(label string, i int, text string) {
	p := &wire.Policy{Member: w.member(i), Version: 1, Text: text}
	for _, r := range w.rows {
		if last, ok := r.o.(*wire.Policy); ok && last.Member == p.Member {
			p.Version, p.Prev = last.Version+1, last.Digest()
		}
	}
	w.add(label, ledger.Policy, w.keys[i], p)
}

func (w *world) certificate(label string, i int) {
	w.add(label, ledger.Certificate, w.hub, &wire.Certificate{Member: w.member(i), Key: wire.Digest{byte(i + 1)}, Serial: "0a0b", NotAfterMs: 1_900_000_000_000})
}

// exactRoster logs a roster for the exact job's first sum.
func (w *world) exactRoster(members ...int) {
	m := w.rows[w.index("exact")].o.(*wire.Manifest)
	root := w.roster("exact/1", m, 1, members...).Root()
	w.rows[w.index("exact/1/release")].o.(*wire.Release).Root = root
	w.move("exact/1/roster", "exact/1/release")
}

func (w *world) exactCharge() {
	m := w.rows[w.index("exact")].o.(*wire.Manifest)
	w.charge("exact", m, 1, 2)
	w.rows[len(w.rows)-1].label = "exact/charge"
}

// otherAccount lets alpen open a second account and charge the third round to it.
func (w *world) otherAccount() {
	w.account("account/other", 0, 0, 0)
	other := wire.AccountID(w.member(0), "other")
	w.rows[w.index("account/other")].o.(*wire.Account).Account = other
	w.move("account/other", "private")
	c := w.rows[w.index("private/3/charge/alpen")].o.(*wire.Charge)
	c.Account, c.Spent = other, c.Units
}

// chargeAfterAll charges coast for a sixth round of the private job, whose four sums have all been opened.
func (w *world) chargeAfterAll() {
	m := w.rows[w.index("private")].o.(*wire.Manifest)
	w.charge("after", m, 6, 2)
}
