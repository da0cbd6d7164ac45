package cli

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"tributary/crypto/dp"
	"tributary/crypto/dp/accountant"
	"tributary/protocol/ledger"
	"tributary/protocol/wire"
)

func (a *app) budgetCommand() *cobra.Command {
	show := &cobra.Command{Use: "show", Short: "Fetch the ledger, verify it, and show all privacy accounts in it", Args: takes(), RunE: func(cmd *cobra.Command, _ []string) error {
		return a.showBudgets(cmd.Context())
	}}
	return commands("budget", "Privacy accounts: show", show)
}

// budget is a privacy account as the ledger shows it. Units are 2⁻⁴⁰ of RDP at the account's order.
type budget struct {
	Member  string  `json:"member"`
	Account string  `json:"account"`
	Unit    string  `json:"unit"`
	Epsilon string  `json:"epsilon"` // of what was added last
	Delta   string  `json:"delta"`
	Order   uint32  `json:"order"`
	Budget  uint64  `json:"budget,string"`
	Spent   uint64  `json:"spent,string"`
	Left    uint64  `json:"left,string"`
	Used    float64 `json:"used_percent"`
	Refills uint32  `json:"refills"`
	Charges int     `json:"charges"`
	Changed string  `json:"changed"` // the last opening, refill or charge
}

// budgets reads the accounts out of a ledger, by when they were opened.
func budgets(x *ledger.Export) (out []*budget, err error) {
	names, byID := nameBook{}, map[wire.Digest]*budget{}
	for i, e := range x.Entries {
		names.read(e)
		if e.Kind != ledger.Account && e.Kind != ledger.Charge {
			continue
		}
		env, err := wire.ParseEnvelope(e.Object)
		if err != nil {
			return nil, fmt.Errorf("ledger entry %d: %w", i, err)
		}
		var b *budget
		if e.Kind == ledger.Charge {
			var g wire.Charge
			if err := env.Open(&g); err != nil {
				return nil, fmt.Errorf("ledger entry %d: %w", i, err)
			}
			if b = byID[g.Account]; b == nil {
				return nil, fmt.Errorf("ledger entry %d charges an account that isn't in the ledger\nhint: `tributary-audit verify` says more", i)
			}
			b.Spent, b.Charges = max(b.Spent, g.Spent), b.Charges+1
		} else {
			var o wire.Account
			if err := env.Open(&o); err != nil {
				return nil, fmt.Errorf("ledger entry %d: %w", i, err)
			}
			if b = byID[o.Account]; b == nil {
				b = &budget{Member: names.of(o.Member), Account: hex.EncodeToString(o.Account[:]), Unit: wire.UnitName(o.Unit)}
				byID[o.Account] = b
				out = append(out, b)
			}
			b.Epsilon, b.Delta = fraction(o.EpsNum, o.EpsDen), fraction(o.DeltaNum, o.DeltaDen)
			b.Order, b.Budget, b.Refills = o.Order, o.Budget, o.Refills
		}
		b.Left, b.Changed = b.Budget-min(b.Spent, b.Budget), stamp(int64(e.AtMs))
		if b.Budget > 0 {
			b.Used = 100 * float64(b.Spent) / float64(b.Budget)
		}
	}
	return out, nil
}

// fraction shows a rational as people write it: 1/100000 as 1e-05.
func fraction(num, den uint64) string {
	r, err := dp.NewRational(num, den)
	if err != nil {
		return "-"
	}
	return fmt.Sprintf("%g", r.Float())
}

func (a *app) showBudgets(ctx context.Context) error {
	x, _, err := a.fetchLedger(ctx, false)
	if err != nil {
		return err
	}
	all, err := budgets(x)
	if err != nil {
		return err
	}
	if all == nil {
		all = []*budget{}
	}
	return a.print(map[string]any{"size": x.Head.Size, "accounts": all}, func(w io.Writer) {
		rows := [][]string{}
		nats := func(units uint64) string { return fmt.Sprintf("%.6f", accountant.Units(units).Nats()) }
		for _, b := range all {
			epsilon := b.Epsilon
			if b.Refills > 0 {
				epsilon = fmt.Sprintf("%s, refill %d", epsilon, b.Refills)
			}
			rows = append(rows, []string{b.Member, b.Account[:12], b.Unit, epsilon, b.Delta, fmt.Sprint(b.Order), nats(b.Budget), nats(b.Spent), nats(b.Left), fmt.Sprintf("%.1f %%", b.Used), fmt.Sprint(b.Charges)})
		}
		table(w, "MEMBER | ACCOUNT | UNIT | ε | δ | ORDER | BUDGET | SPENT | LEFT | USED | CHARGES", rows)
		fmt.Fprintf(w, "\nBudget, spent and left are RDP in nats at the account's order; %d entries of %s, signature and root verified\n", x.Head.Size, x.Origin)
	})
}
