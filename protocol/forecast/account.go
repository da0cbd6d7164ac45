package forecast

import (
	"errors"
	"fmt"
	"math"

	"tributary/crypto/dp/accountant"
	"tributary/protocol/jobspec"
	"tributary/protocol/wire"
)

// Remaining is what one participant's account has left, by its own last word.
type Remaining struct {
	Member string
	Order  accountant.Order // the account's own
	Left   accountant.Units
	Budget accountant.Units // over all refills
}

// Account is what the job takes from one participant's account, at its own order.
type Account struct {
	Member  string           `json:"member"`
	Order   accountant.Order `json:"order"`
	Budget  accountant.Units `json:"budget,string"`
	Left    accountant.Units `json:"left,string"`
	Charges []Charge         `json:"charges"`      // of one round of each kind, as in Kinds
	Total   accountant.Units `json:"total,string"` // 0: more than any account has
	Affords bool             `json:"affords"`      // all sums, each at its first try
	Spare   uint64           `json:"spare"`        // reruns of the dearest round that Left also pays
	More    uint64           `json:"more"`         // jobs like this one that Left pays after it
}

// Charge is what one round of a kind takes from an account.
type Charge struct {
	Kind  string           `json:"kind"`
	Units accountant.Units `json:"units,string"` // 0: more than any account has
}

// account adds what the job takes from a.
func (f *Forecast) account(r *jobspec.Resolved, a Remaining) error {
	if a.Left > a.Budget || a.Order < 2 || a.Order > accountant.MaxOrder {
		return fmt.Errorf("%w: %s has %d left of %d units at order %d\nhint: ask the participant for its account again", ErrAccount, a.Member, a.Left, a.Budget, a.Order)
	}
	out := Account{Member: a.Member, Order: a.Order, Budget: a.Budget, Left: a.Left, Charges: []Charge{}}
	dearest := accountant.Units(0)
	for _, kind := range wire.Kinds {
		n, ok := r.Private.Kind(uint8(kind))
		if !ok {
			continue
		}
		c, err := accountant.ChargeFor(n.Charged(), a.Order)
		switch {
		case errors.Is(err, accountant.ErrSum): // more than any account has
			out.Charges = append(out.Charges, Charge{Kind: kind.String()})
			dearest = math.MaxUint64
		case err != nil:
			return fmt.Errorf("forecast for %s: %w", a.Member, err)
		default:
			out.Charges = append(out.Charges, Charge{kind.String(), c.Units()})
			dearest = max(dearest, c.Units())
		}
	}
	total, err := r.Cost(a.Order)
	switch {
	case err == nil:
		out.Total, out.Affords = total, total <= a.Left
	case !errors.Is(err, accountant.ErrSum):
		return fmt.Errorf("forecast for %s: %w", a.Member, err)
	}
	if out.Affords {
		out.More = uint64((a.Left - total) / total)
		out.Spare = uint64((a.Left - total) / dearest)
	}
	f.Accounts = append(f.Accounts, out)
	return nil
}

// Paid returns how many of the job's rounds an account pays, in their order, each
// opened at its first try.
func (f *Forecast) Paid(a Account) int64 {
	left, rounds := uint64(a.Left), int64(0)
	for i, k := range f.Kinds {
		charge := uint64(a.Charges[i].Units)
		if charge == 0 {
			break
		}
		n := min(uint64(k.Rounds), left/charge)
		rounds += int64(n)
		if n < uint64(k.Rounds) {
			break
		}
		left -= n * charge
	}
	return rounds
}
