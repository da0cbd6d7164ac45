package cli

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"tributary/crypto/dp/accountant"
	"tributary/crypto/identity"
	"tributary/participant/internal/store"
	"tributary/protocol/wire"
)

// moneyView is an amount of an account: in nats of Rényi divergence at the account's order, and the ε that it amounts to at its δ.
type moneyView struct {
	Units   uint64  `json:"units"` // of 2⁻⁴⁰ nats
	Nats    float64 `json:"nats"`
	Epsilon float64 `json:"epsilon"`
}

type openingView struct {
	Epsilon      string    `json:"epsilon"` // exact
	Delta        string    `json:"delta"`
	Units        uint64    `json:"units"`
	At           time.Time `json:"at"`
	Acknowledged bool      `json:"acknowledged"`
}

type jobChargesView struct {
	Job     string    `json:"job"`
	Name    string    `json:"name"`
	Charges int       `json:"charges"` // rounds, those that were run again among them
	Units   uint64    `json:"units"`
	Nats    float64   `json:"nats"`
	Last    time.Time `json:"last"`
	Waiting int       `json:"waiting"` // charges that the coordinator hasn't acknowledged
}

type accountView struct {
	Source   string           `json:"source"`
	Account  string           `json:"account,omitempty"` // its name in the ledger
	Unit     string           `json:"unit"`
	Delta    string           `json:"delta"`
	Order    uint32           `json:"order"`
	Lifetime moneyView        `json:"lifetime"` // all that may ever be spent, refills included
	Spent    moneyView        `json:"spent"`
	Left     moneyView        `json:"left"` // epsilon: what is left up to the lifetime's
	Openings []openingView    `json:"openings"`
	Jobs     []jobChargesView `json:"jobs"`
}

// viewAccount computes what is shown of an account. ε equivalents are those at the account's own order, by which it is enforced.
func viewAccount(a *store.Account, charges []store.Charge, key *identity.Key) accountView {
	epsilon := func(u accountant.Units) float64 {
		if u == 0 {
			return 0
		}
		return accountant.EpsilonFromRDP(float64(a.Order), u.Nats(), a.Delta().Float())
	}
	money := func(u accountant.Units) moneyView { return moneyView{uint64(u), u.Nats(), epsilon(u)} }
	v := accountView{Source: a.Source, Unit: wire.UnitName(a.Unit), Delta: a.Delta().String(), Order: uint32(a.Order), Lifetime: money(a.Budget()), Spent: money(a.Spent), Left: money(a.Left()),
		Openings: []openingView{}, Jobs: []jobChargesView{}}
	v.Left.Epsilon = max(0, v.Lifetime.Epsilon-v.Spent.Epsilon)
	if key != nil {
		id := wire.AccountID(key.Public(), a.Source)
		v.Account = hex.EncodeToString(id[:])
	}
	for _, o := range a.Openings {
		v.Openings = append(v.Openings, openingView{o.Cap.Epsilon.String(), o.Cap.Delta.String(), uint64(o.Budget), o.At.UTC(), o.Acknowledged})
	}
	at := map[wire.Digest]int{}
	for _, c := range charges {
		i, ok := at[c.Job]
		if !ok {
			i = len(v.Jobs)
			at[c.Job] = i
			v.Jobs = append(v.Jobs, jobChargesView{Job: hex.EncodeToString(c.Job[:]), Name: c.Name})
		}
		j := &v.Jobs[i]
		j.Charges, j.Units, j.Last = j.Charges+1, j.Units+uint64(c.Units), c.At.UTC()
		j.Nats = accountant.Units(j.Units).Nats()
		if !c.Acknowledged {
			j.Waiting++
		}
	}
	return v
}

func (v accountView) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Source %s: unit %s, δ = %s, order %d\n", v.Source, v.Unit, v.Delta, v.Order)
	for i, o := range v.Openings {
		what, known := "opened", "in the ledger"
		if i > 0 {
			what = "refilled"
		}
		if !o.Acknowledged {
			known = "not yet in the ledger; the running node sends it"
		}
		fmt.Fprintf(&b, "  %-9s %s by ε = %s: %.6g nats (%s)\n", what, o.At.Format(time.DateOnly), o.Epsilon, accountant.Units(o.Units).Nats(), known)
	}
	fmt.Fprintf(&b, "  lifetime  %10.6g nats  ε ≤ %.4g\n", v.Lifetime.Nats, v.Lifetime.Epsilon)
	fmt.Fprintf(&b, "  spent     %10.6g nats  ε ≤ %.4g\n", v.Spent.Nats, v.Spent.Epsilon)
	fmt.Fprintf(&b, "  left      %10.6g nats  ε   %.4g\n", v.Left.Nats, v.Left.Epsilon)
	for _, j := range v.Jobs {
		waiting := ""
		if j.Waiting > 0 {
			waiting = fmt.Sprintf(", %d not yet in the ledger", j.Waiting)
		}
		fmt.Fprintf(&b, "  job %s  %-24s %.6g nats in %d rounds%s\n", j.Job[:12], j.Name, j.Nats, j.Charges, waiting)
	}
	return b.String()
}
