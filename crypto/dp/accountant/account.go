package accountant

import (
	"fmt"
	"math/big"
	"math/bits"

	"tributary/crypto/dp"
)

// Cap is what an account's operator allows over its lifetime: (ε, δ) under the
// account's unit. Epsilon is in nats, in (0, 2^20]; Delta in (0, 1).
type Cap struct {
	Epsilon dp.Rational
	Delta   dp.Rational
}

func (c Cap) check() error {
	if !c.Epsilon.Valid() || c.Epsilon.Num() == 0 || c.Epsilon.Cmp(dp.Integer(1<<20)) > 0 {
		return fmt.Errorf("accountant: cap ε = %s outside (0, 2^20]: %w\nhint: write ε as a decimal such as 1.0", c.Epsilon, ErrCap)
	}
	if !c.Delta.Valid() || c.Delta.Num() == 0 || c.Delta.Num() >= c.Delta.Den() {
		return fmt.Errorf("accountant: cap δ = %s outside (0, 1): %w\nhint: write δ as a decimal such as 1e-5", c.Delta, ErrCap)
	}
	return nil
}

// BudgetAt returns the most RDP at order a, in units of 2^-40 rounded down, that
// still gives (ε, δ)-DP: ε + ln(α/(α−1)) − ln(1/(αδ))/(α−1) [CKS20, Prop. 12].
// It is 0 where that isn't positive.
func (c Cap) BudgetAt(a Order) (Units, error) {
	if err := c.check(); err != nil {
		return 0, err
	}
	if err := a.check(); err != nil {
		return 0, err
	}
	alpha := new(big.Rat).SetInt64(int64(a))
	// All signs turned so that the logarithms are rounded to our disadvantage:
	// budget = ε − [ ln(1/(αδ))/(α−1) − ln(α/(α−1)) ].
	inverse := new(big.Rat).Inv(new(big.Rat).Mul(alpha, c.Delta.Rat()))
	budget := c.Epsilon.Rat()
	share := new(big.Rat).SetFrac64(1, int64(a)-1)
	if inverse.Cmp(big.NewRat(1, 1)) >= 0 {
		upper, _ := logUp(upRat(inverse)).Rat(nil)
		budget.Sub(budget, upper.Mul(upper, share))
	} // αδ > 1: that term would help; leaving it out is sound
	budget.Add(budget, logDown(new(big.Rat).SetFrac64(int64(a), int64(a)-1)))
	if budget.Sign() <= 0 {
		return 0, nil
	}
	units := floorRat(budget.Mul(budget, new(big.Rat).SetInt(one40())))
	if !units.IsUint64() {
		return 0, fmt.Errorf("accountant: budget of ε = %s above 2^64 units: %w\nhint: lower ε", c.Epsilon, ErrCap)
	}
	return Units(units.Uint64()), nil
}

// logDown returns a lower bound of ln r for r ≥ 1 within 2^-190·(1+ln r), logUp
// being within 2^-200.
func logDown(r *big.Rat) *big.Rat {
	upper, _ := logUp(upRat(r)).Rat(nil)
	slack := new(big.Rat).Add(upper, big.NewRat(1, 1))
	slack.Mul(slack, new(big.Rat).SetFrac(big.NewInt(1), new(big.Int).Lsh(big.NewInt(1), 190)))
	lower := upper.Sub(upper, slack)
	if lower.Sign() < 0 {
		return new(big.Rat)
	}
	return lower
}

// BestOrder returns the order that admits the most unsampled Gaussian sums under
// the cap, budget/α being largest; the smallest of equals. It fails with ErrCap if
// no order has a budget.
func BestOrder(c Cap) (Order, error) {
	if err := c.check(); err != nil {
		return 0, err
	}
	value := func(a Order) (Units, error) { return c.BudgetAt(a) }
	better := func(a, b Order, ua, ub Units) bool { // ua/a > ub/b
		h1, l1 := bits.Mul64(uint64(ua), uint64(b))
		h2, l2 := bits.Mul64(uint64(ub), uint64(a))
		return h1 > h2 || h1 == h2 && l1 > l2
	}
	best, bestUnits := Order(2), Units(0)
	for a := Order(2); a <= MaxOrder; a++ {
		u, err := value(a)
		if err != nil {
			return 0, err
		}
		if better(a, best, u, bestUnits) {
			best, bestUnits = a, u
		} else if bestUnits > 0 && a > 2*best+16 { // budget/α has one maximum
			break
		}
	}
	if bestUnits == 0 {
		return 0, fmt.Errorf("accountant: cap (ε = %s, δ = %s) admits no sum at any order up to %d: %w\nhint: raise ε or δ", c.Epsilon, c.Delta, MaxOrder, ErrCap)
	}
	return best, nil
}

// Account is the enforcing filter: charges at one order are added up and never
// exceed the budget. That is (ε, δ)-DP for everything together, even if each
// sum's parameters were chosen after seeing the sums before it [FZ21] and jobs
// run side by side [Han23]. It is a value: Spend returns the account after the
// charge, and its owner makes that durable before the first byte leaves.
type Account struct {
	cap    Cap
	order  Order
	budget Units
	spent  Units
}

// NewAccount opens an account at the best order for its cap.
func NewAccount(c Cap) (Account, error) {
	a, err := BestOrder(c)
	if err != nil {
		return Account{}, err
	}
	return RestoreAccount(c, a, 0)
}

// RestoreAccount returns the account of cap c and order a after spending spent.
// The budget follows from c and a; it can't be given.
func RestoreAccount(c Cap, a Order, spent Units) (Account, error) {
	budget, err := c.BudgetAt(a)
	if err != nil {
		return Account{}, err
	}
	if spent > budget {
		return Account{}, fmt.Errorf("accountant: restore account: %d units spent of %d: %w\nhint: the stored account is damaged; compare it with the ledger", spent, budget, ErrExhausted)
	}
	return Account{c, a, budget, spent}, nil
}

// Cap, Order, Budget, Spent and Left describe the account.
func (a Account) Cap() Cap      { return a.cap }
func (a Account) Order() Order  { return a.order }
func (a Account) Budget() Units { return a.budget }
func (a Account) Spent() Units  { return a.spent }
func (a Account) Left() Units   { return a.budget - a.spent }

// Spend returns the account after charge c, or ErrExhausted with the numbers, or
// ErrOrder if the charge was computed at another order.
func (a Account) Spend(c Charge) (Account, error) {
	if c.order != a.order || a.order == 0 || c.units == 0 {
		return Account{}, fmt.Errorf("accountant: charge at order %d on an account of order %d: %w\nhint: compute the charge at the account's order", c.order, a.order, ErrOrder)
	}
	if c.units > a.Left() {
		return Account{}, fmt.Errorf("accountant: charge of %.6g nats at order %d, %.6g left of %.6g: %w\nhint: the owner may open a refill; a job with more noise or fewer rounds costs less",
			c.units.Nats(), a.order, a.Left().Nats(), a.budget.Nats(), ErrExhausted)
	}
	a.spent += c.units
	return a, nil
}

// Affords returns how many sums of charge c the account can still pay.
func (a Account) Affords(c Charge) uint64 {
	if c.order != a.order || c.units == 0 {
		return 0
	}
	return uint64(a.Left() / c.units)
}

// SmallestVariance returns the smallest integer σ² at which rounds sums of
// squared sensitivity s.Sensitivity2 and rate s.Rate cost at most the budget
// units at order a. s.Sigma2 is ignored. It fails with ErrExhausted if no σ² up
// to 2^62 is enough.
func SmallestVariance(s Sum, rounds uint64, a Order, budget Units) (dp.Rational, error) {
	if rounds == 0 {
		rounds = 1
	}
	fits := func(v uint64) (bool, error) {
		s.Sigma2 = dp.Integer(v)
		c, err := ChargeFor(s, a)
		if err != nil {
			if s.check() == nil && a.check() == nil { // too much noise missing to express the charge
				return false, nil
			}
			return false, err
		}
		return uint64(c.units) <= uint64(budget)/rounds, nil
	}
	low, high := uint64(dp.MinSigma*dp.MinSigma)-1, uint64(dp.MaxSigma2)-1 // low doesn't fit, high does
	if ok, err := fits(high); err != nil || !ok {
		if err == nil {
			err = fmt.Errorf("accountant: %d rounds within %.6g nats at order %d need a variance above 2^62: %w\nhint: fewer rounds, coarser integer units or a larger budget", rounds, budget.Nats(), a, ErrExhausted)
		}
		return dp.Rational{}, err
	}
	for high-low > 1 {
		mid := low + (high-low)/2
		ok, err := fits(mid)
		if err != nil {
			return dp.Rational{}, err
		}
		if ok {
			high = mid
		} else {
			low = mid
		}
	}
	return dp.Integer(high), nil
}
