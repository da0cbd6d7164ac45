package audit

import (
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"tributary/crypto/dp"
	"tributary/crypto/dp/accountant"
	"tributary/protocol/wire"
)

func capOf(a *wire.Account) (accountant.Cap, error) {
	epsilon, err := dp.NewRational(a.EpsNum, a.EpsDen)
	if err != nil {
		return accountant.Cap{}, err
	}
	delta, err := dp.NewRational(a.DeltaNum, a.DeltaDen)
	return accountant.Cap{Epsilon: epsilon, Delta: delta}, err
}

// number writes a rational as a decimal if that is exact, else as a fraction.
func number(num, den uint64) string {
	r, err := dp.NewRational(num, den)
	if err != nil {
		return "not a number"
	}
	decimal := strings.Replace(strconv.FormatFloat(r.Float(), 'g', -1, 64), "e-0", "e-", 1)
	if back, err := dp.ParseRational(decimal); err == nil && back == r {
		return decimal
	}
	return r.String()
}

// account takes an opening or a refill.
func (b *Book) account(at At, signer wire.Member, o *wire.Account) {
	if signer != o.Member {
		b.find(at, RuleAccount, "the account of %s is signed by %s", b.Name(o.Member), b.Name(signer))
		return
	}
	if b.enrolled[o.Member] == nil {
		b.find(at, RuleAccount, "%s opens an account and was never enrolled", b.Name(o.Member))
	}
	a := b.accounts[o.Account]
	switch {
	case a == nil:
		a = &Account{Member: o.Member, ID: o.Account}
		b.accounts[o.Account] = a
		b.Accounts = append(b.Accounts, a)
		if o.Refills != 0 || o.PrevBudgets != 0 {
			b.find(at, RuleAccount, "account %s is refilled and was never opened", short(o.Account))
		}
	case a.Member != o.Member:
		b.find(at, RuleAccount, "account %s belongs to %s", short(o.Account), b.Name(a.Member))
		return
	default:
		b.refilled(at, a.Now().Account, o)
	}
	b.budget(at, o)
	a.Opened = append(a.Opened, Opened{at, o})
}

func (b *Book) refilled(at At, before, o *wire.Account) {
	switch {
	case o.Refills != before.Refills+1:
		b.find(at, RuleAccount, "refill %d of account %s after refill %d", o.Refills, short(o.Account), before.Refills)
	case o.PrevBudgets != before.Budget:
		b.find(at, RuleAccount, "the refill of account %s says that its budget was %s, it was %s", short(o.Account), nats(o.PrevBudgets), nats(before.Budget))
	case o.Order != before.Order || o.Unit != before.Unit:
		b.find(at, RuleAccount, "a refill can't change order and unit of account %s: order %d became %d, unit %s became %s", short(o.Account), before.Order, o.Order, wire.UnitName(before.Unit), wire.UnitName(o.Unit))
	}
}

// budget recomputes an account's order and budget from its cap.
func (b *Book) budget(at At, o *wire.Account) {
	c, err := capOf(o)
	if err != nil {
		b.find(at, RuleAccount, "the cap of account %s: %v", short(o.Account), err)
		return
	}
	if o.Refills == 0 {
		if best, err := b.order(c); err != nil {
			b.find(at, RuleAccount, "the cap of account %s: %v", short(o.Account), err)
			return
		} else if uint32(best) != o.Order {
			b.find(at, RuleAccount, "account %s has order %d, the best one for its cap is %d", short(o.Account), o.Order, best)
		}
	}
	units, err := c.BudgetAt(accountant.Order(o.Order))
	if err != nil {
		b.find(at, RuleAccount, "the budget of account %s: %v", short(o.Account), err)
		return
	}
	if want, carry := bits.Add64(o.PrevBudgets, uint64(units), 0); carry != 0 || want != o.Budget {
		b.find(at, RuleAccount, "account %s says a budget of %d units, its cap gives %d beside %d from before", short(o.Account), o.Budget, units, o.PrevBudgets)
	}
}

// order is what BestOrder said of a cap.
type order struct {
	best accountant.Order
	err  error
}

// order is BestOrder, remembered: it is slow for small caps and asked for each of many accounts with one cap.
func (b *Book) order(c accountant.Cap) (accountant.Order, error) {
	if o, ok := b.orders[c]; ok {
		return o.best, o.err
	}
	best, err := accountant.BestOrder(c)
	b.orders[c] = order{best, err}
	return best, err
}

// charge takes what a contribution cost. It may come after its round's end, or its job's: a charge is never taken back.
func (b *Book) charge(at At, signer wire.Member, o *wire.Charge) {
	c := &Charge{At: at, Charge: o}
	if signer != o.Member {
		b.find(at, RuleCharge, "a charge of %s is signed by %s", b.Name(o.Member), b.Name(signer))
		return
	}
	if a := b.accounts[o.Account]; a == nil || a.Member != o.Member {
		b.find(at, RuleCharge, "%s charges account %s, which it hasn't opened", b.Name(o.Member), short(o.Account))
	} else {
		c.Account = a
		b.spend(c)
	}
	j := b.job(at, RuleCharge, "a charge", o.Job)
	switch {
	case j == nil:
		return
	case j.Manifest.Kind != wire.Private:
		b.find(at, RuleCharge, "a charge for exact job %s, whose sums have no noise to charge for", short(j.ID))
		return
	case !slices.Contains(j.Manifest.Cohort, o.Member):
		b.find(at, RuleCharge, "%s is charged and isn't in the cohort of job %s", b.Name(o.Member), short(j.ID))
	}
	r := b.round(at, j, o.Ctx)
	if r.Job != j {
		b.find(at, RuleCharge, "context %s is of a round of job %s", short(o.Ctx), short(r.Job.ID))
		return
	}
	if i := slices.IndexFunc(r.Charges, func(d *Charge) bool { return d.Member == o.Member }); i >= 0 {
		b.find(at, RuleTwice, "%s was charged for this round before, in entry %d", b.Name(o.Member), r.Charges[i].Entry)
	}
	if other, ok := j.pays[o.Member]; ok && other != o.Account {
		b.find(at, RuleCharge, "%s charges account %s, its rounds before were charged to %s", b.Name(o.Member), short(o.Account), short(other))
	}
	j.pays[o.Member] = o.Account
	c.Round = r
	r.Charges = append(r.Charges, c)
	b.price(c)
}

// spend goes on with an account's chain.
func (b *Book) spend(c *Charge) {
	a, now := c.Account, c.Account.Now()
	a.Charges = append(a.Charges, c)
	if want, carry := bits.Add64(a.spent, c.Units, 0); carry != 0 || c.Spent != want {
		b.find(c.At, RuleBudget, "account %s had spent %d units and is charged %d, the charge says %d: a charge is missing or was taken back", short(a.ID), a.spent, c.Units, c.Spent)
	}
	a.spent = c.Spent
	if c.Spent > now.Budget {
		b.find(c.At, RuleBudget, "account %s has spent %s of %s", short(a.ID), nats(c.Spent), nats(now.Budget))
	}
	if c.Order != now.Order {
		b.find(c.At, RuleCharge, "charged at order %d, account %s has order %d", c.Order, short(a.ID), now.Order)
	}
}

// price recomputes a charge from the manifest's integers.
func (b *Book) price(c *Charge) {
	j := c.Round.Job
	spec, ok := j.Manifest.Round(c.Round.Kind)
	if !ok {
		b.find(c.At, RuleCharge, "a charge for a round after all %d sums of job %s", len(j.sums), short(j.ID))
		return
	}
	if c.Account != nil && spec.DP.Unit != c.Account.Now().Unit {
		b.find(c.At, RuleCharge, "the job protects each %s, account %s counts each %s", wire.UnitName(spec.DP.Unit), short(c.Charge.Account), wire.UnitName(c.Account.Now().Unit))
	}
	s, ok := j.sum(c.Round.Kind)
	if !ok {
		return // found at the manifest
	}
	want, err := accountant.ChargeFor(s, accountant.Order(c.Order))
	if err != nil {
		b.find(c.At, RuleCharge, "%v", err)
	} else if uint64(want.Units()) != c.Units {
		b.find(c.At, RuleCharge, "charged %d units, a sum of kind %s with Δ² = %d and σ² = %s costs %d at order %d", c.Units, c.Round.Kind, s.Sensitivity2, s.Sigma2, want.Units(), c.Order)
	}
}
