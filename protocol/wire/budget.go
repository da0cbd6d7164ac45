package wire

import (
	"fmt"
	"slices"
)

// Account is a participant's signed word that it has opened, or refilled, a privacy account for one of its sources. The cap is (EpsNum/EpsDen, DeltaNum/DeltaDen)
// for what was added last; Budget is what the account may spend in all, over all refills, in RDP units of 2⁻⁴⁰ at Order.
type Account struct {
	Member              Member
	Account             Digest // AccountID of member and source
	Unit                uint8  // see the Unit constants
	EpsNum, EpsDen      uint64
	DeltaNum, DeltaDen  uint64
	Order               uint32
	Budget, PrevBudgets uint64 // PrevBudgets: the part of Budget from before the last refill
	Refills             uint32
}

// The privacy units: whose contribution at one participant is hidden.
const (
	UnitRecord = 1 // a row
	UnitUser   = 2 // all rows of one user
	UnitSilo   = 3 // all rows
)

var unitNames = [...]string{UnitRecord: "record", UnitUser: "user", UnitSilo: "silo"}

// UnitName is a unit's name in job specs and reports.
func UnitName(unit uint8) string {
	if unit == 0 || int(unit) >= len(unitNames) {
		return fmt.Sprintf("unit %d", unit)
	}
	return unitNames[unit]
}

// UnitOf is the unit of a name.
func UnitOf(name string) (uint8, bool) {
	i := slices.Index(unitNames[:], name)
	return uint8(max(i, 0)), i > 0
}

// MechanismDiscreteGaussian is the only mechanism so far.
const MechanismDiscreteGaussian = 1

// AccountID names a source's account without naming the source.
func AccountID(m Member, source string) Digest { return Hash("account", m[:], []byte(source)) }

// Type implements Object.
func (*Account) Type() Type { return TypeAccount }

func (a *Account) fields(c *codec) {
	c.fixed(a.Member[:])
	c.fixed(a.Account[:])
	c.u8(&a.Unit)
	if _, ok := UnitOf(UnitName(a.Unit)); !ok {
		c.fail("unknown privacy unit %d", a.Unit)
	}
	c.u64(&a.EpsNum)
	c.u64(&a.EpsDen)
	c.u64(&a.DeltaNum)
	c.u64(&a.DeltaDen)
	c.u32(&a.Order)
	c.u64(&a.Budget)
	c.u64(&a.PrevBudgets)
	c.u32(&a.Refills)
	if a.PrevBudgets > a.Budget {
		c.fail("budget %d smaller than before the refill, %d", a.Budget, a.PrevBudgets)
	}
}

// Charge is a participant's signed word of what one upload cost one of its accounts. It is stored with the charge itself and
// leaves before the first byte of the upload.
type Charge struct {
	Job     Digest
	Ctx     Digest
	Member  Member
	Account Digest
	Order   uint32
	Units   uint64 // of 2⁻⁴⁰ at Order
	Spent   uint64 // by the account in all, after this charge
}

// Type implements Object.
func (*Charge) Type() Type { return TypeCharge }

func (g *Charge) fields(c *codec) {
	c.fixed(g.Job[:])
	c.fixed(g.Ctx[:])
	c.fixed(g.Member[:])
	c.fixed(g.Account[:])
	c.u32(&g.Order)
	c.u64(&g.Units)
	c.u64(&g.Spent)
	if g.Units == 0 || g.Spent < g.Units {
		c.fail("a charge of %d of %d spent", g.Units, g.Spent)
	}
}
