package store

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"tributary/crypto/dp"
	"tributary/crypto/dp/accountant"
	"tributary/crypto/identity"
	"tributary/protocol/wire"
)

// Sentinels of the accounts.
var (
	// ErrAccountExists: the source has an account; it can only be refilled.
	ErrAccountExists = errors.New("the source has a privacy account")
	// ErrNoAccount: the source has none.
	ErrNoAccount = errors.New("the source has no privacy account")
	// ErrExactJob: an exact job runs on the source, which an account excludes.
	ErrExactJob = errors.New("an exact job runs on the source")
	// ErrDamaged: what is stored of an account doesn't hold together. Nothing is spent from it.
	ErrDamaged = errors.New("the stored privacy account is damaged")
)

// The triggers hold against mistakes of this program, not against an owner of the file.
const accountSchema = `
CREATE TABLE IF NOT EXISTS accounts (source TEXT PRIMARY KEY, unit INTEGER NOT NULL, rdp_order INTEGER NOT NULL, spent INTEGER NOT NULL CHECK (spent >= 0)) STRICT;
CREATE TABLE IF NOT EXISTS openings (
  source TEXT NOT NULL REFERENCES accounts, n INTEGER NOT NULL, epsilon TEXT NOT NULL, delta TEXT NOT NULL, budget INTEGER NOT NULL CHECK (budget > 0),
  at_ms INTEGER NOT NULL, envelope BLOB NOT NULL, acknowledged INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (source, n)) STRICT;
CREATE TABLE IF NOT EXISTS charges (
  n INTEGER PRIMARY KEY, ctx BLOB NOT NULL UNIQUE, job BLOB NOT NULL, source TEXT NOT NULL REFERENCES accounts, units INTEGER NOT NULL CHECK (units > 0),
  spent INTEGER NOT NULL, at_ms INTEGER NOT NULL, envelope BLOB NOT NULL, acknowledged INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TRIGGER IF NOT EXISTS accounts_grow BEFORE UPDATE ON accounts WHEN NEW.spent <= OLD.spent OR NEW.rdp_order <> OLD.rdp_order OR NEW.unit <> OLD.unit OR NEW.source <> OLD.source
  BEGIN SELECT RAISE(ABORT, 'what an account has spent only grows'); END;
CREATE TRIGGER IF NOT EXISTS accounts_stay BEFORE DELETE ON accounts BEGIN SELECT RAISE(ABORT, 'an account stays for ever'); END;
CREATE TRIGGER IF NOT EXISTS openings_stay BEFORE DELETE ON openings BEGIN SELECT RAISE(ABORT, 'an opening stays for ever'); END;
CREATE TRIGGER IF NOT EXISTS openings_fixed BEFORE UPDATE OF source, n, epsilon, delta, budget, envelope ON openings BEGIN SELECT RAISE(ABORT, 'an opening is never changed'); END;
CREATE TRIGGER IF NOT EXISTS charges_stay BEFORE DELETE ON charges BEGIN SELECT RAISE(ABORT, 'a charge stays for ever'); END;
CREATE TRIGGER IF NOT EXISTS charges_fixed BEFORE UPDATE OF n, ctx, job, source, units, spent, envelope ON charges BEGIN SELECT RAISE(ABORT, 'a charge is never changed'); END;
`

// maxUnits keeps every number of an account within SQLite's integers.
const maxUnits accountant.Units = 1 << 62

// Opening is how an account was opened, or refilled.
type Opening struct {
	Cap          accountant.Cap
	Budget       accountant.Units // what it adds, at the account's order
	At           time.Time
	Envelope     []byte // of the signed wire.Account
	Acknowledged bool   // by the coordinator, which has it in its ledger
}

// Account is one source's privacy account. Its order was fixed when it was opened, Spent only grows, and its budget is what its
// openings' caps allow at that order, nothing else: all that is charged to it, over all jobs, composes to at most Budget of Rényi
// divergence at Order [FZ21].
type Account struct {
	Source   string
	Unit     uint8 // wire.UnitRecord, UnitUser or UnitSilo
	Order    accountant.Order
	Spent    accountant.Units
	Openings []Opening // at least one, oldest first; the first opened it, the others refilled it
}

// Delta is the account's δ, the same for all refills.
func (a *Account) Delta() dp.Rational { return a.Openings[0].Cap.Delta }

// Budget is what may be spent over the account's whole life.
func (a *Account) Budget() accountant.Units {
	sum := accountant.Units(0)
	for _, o := range a.Openings {
		sum += o.Budget
	}
	return sum
}

// Left is what may still be spent.
func (a *Account) Left() accountant.Units { return a.Budget() - a.Spent }

// After returns what the account has spent after a charge, or accountant.ErrExhausted with the numbers, or accountant.ErrOrder.
func (a *Account) After(c accountant.Charge) (accountant.Units, error) {
	if c.Order() != a.Order || c.Units() == 0 {
		return 0, fmt.Errorf("charge at order %d to the account of source %s, whose order is %d: %w", c.Order(), a.Source, a.Order, accountant.ErrOrder)
	}
	if c.Units() > a.Left() {
		return 0, fmt.Errorf("a charge of %.6g nats at order %d to the account of source %s, %.6g left of %.6g: %w",
			c.Units().Nats(), a.Order, a.Source, a.Left().Nats(), a.Budget().Nats(), accountant.ErrExhausted)
	}
	return a.Spent + c.Units(), nil
}

// querier is a database or a transaction.
type querier interface {
	QueryRow(query string, args ...any) *sql.Row
	Query(query string, args ...any) (*sql.Rows, error)
}

// Account returns a source's account, checked, or ErrNoAccount.
func (s *Store) Account(source string) (*Account, error) {
	a, err := readAccount(s.db, source)
	return a, wrap("read privacy account", err)
}

// Accounts lists all accounts by source.
func (s *Store) Accounts() ([]*Account, error) {
	var sources []string
	rows, err := s.db.Query(`SELECT source FROM accounts ORDER BY source`)
	if err != nil {
		return nil, fmt.Errorf("read privacy accounts: %w", err)
	}
	for rows.Next() {
		var source string
		if err := rows.Scan(&source); err != nil {
			rows.Close()
			return nil, fmt.Errorf("read privacy accounts: %w", err)
		}
		sources = append(sources, source)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, fmt.Errorf("read privacy accounts: %w", err)
	}
	var out []*Account
	for _, source := range sources {
		a, err := s.Account(source)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

func readAccount(q querier, source string) (*Account, error) {
	a := &Account{Source: source}
	err := q.QueryRow(`SELECT unit, rdp_order, spent FROM accounts WHERE source = ?`, source).Scan(&a.Unit, &a.Order, &a.Spent)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("%w: %s", ErrNoAccount, source)
	}
	if err != nil {
		return nil, err
	}
	rows, err := q.Query(`SELECT epsilon, delta, budget, at_ms, envelope, acknowledged FROM openings WHERE source = ? ORDER BY n`, source)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var o Opening
		var epsilon, delta string
		var ms int64
		if err := rows.Scan(&epsilon, &delta, &o.Budget, &ms, &o.Envelope, &o.Acknowledged); err != nil {
			return nil, err
		}
		o.At = time.UnixMilli(ms)
		var err1, err2 error
		o.Cap.Epsilon, err1 = dp.ParseRational(epsilon)
		o.Cap.Delta, err2 = dp.ParseRational(delta)
		if err := errors.Join(err1, err2); err != nil {
			return nil, damaged(source, "%v", err)
		}
		a.Openings = append(a.Openings, o)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, err
	}
	return a, a.check(q)
}

func damaged(source, format string, args ...any) error {
	return fmt.Errorf("%w: source %s: %s\nhint: restore data_dir's newest copy, and compare with the charges in the coordinator's ledger", ErrDamaged, source, fmt.Sprintf(format, args...))
}

// check recomputes everything that can be: the budget from the caps, what is spent from the charges.
func (a *Account) check(q querier) error {
	if len(a.Openings) == 0 {
		return damaged(a.Source, "it was never opened")
	}
	for i, o := range a.Openings {
		if budget, err := o.Cap.BudgetAt(a.Order); err != nil || budget != o.Budget {
			return damaged(a.Source, "opening %d has a budget of %d units, its cap gives %d (%v)", i+1, o.Budget, budget, err)
		}
	}
	var sum, last accountant.Units
	if err := q.QueryRow(`SELECT coalesce(sum(units), 0), coalesce(max(spent), 0) FROM charges WHERE source = ?`, a.Source).Scan(&sum, &last); err != nil {
		return err
	}
	if sum != a.Spent || last != a.Spent || a.Spent > a.Budget() {
		return damaged(a.Source, "%d units are spent of %d, the charges make %d and say %d", a.Spent, a.Budget(), sum, last)
	}
	return nil
}

// OpenAccount opens a source's account, for a unit (wire.UnitRecord or another), at the best order for its cap. same are the sources that read the same file, source itself
// among them: one physical source has one account. The account's signed word is stored with it, to be sent.
func (s *Store) OpenAccount(key *identity.Key, source string, same []string, unit uint8, c accountant.Cap) (*Account, error) {
	order, err := accountant.BestOrder(c)
	if err != nil {
		return nil, err
	}
	var a *Account
	err = s.change("account", func(tx *sql.Tx) error {
		for _, other := range append([]string{source}, same...) {
			switch _, err := readAccount(tx, other); {
			case err == nil:
				return fmt.Errorf("%w: %s", ErrAccountExists, other)
			case !errors.Is(err, ErrNoAccount):
				return err
			}
			var name string
			err := tx.QueryRow(`SELECT jobs.name FROM uses JOIN jobs USING (job) WHERE uses.source = ? AND jobs.status = 'approved'`, other).Scan(&name)
			if err == nil {
				return fmt.Errorf("%w: %s", ErrExactJob, name)
			}
			if !errors.Is(err, sql.ErrNoRows) {
				return err
			}
		}
		if _, err := tx.Exec(`INSERT INTO accounts (source, unit, rdp_order, spent) VALUES (?, ?, ?, 0)`, source, unit, order); err != nil {
			return err
		}
		a = &Account{Source: source, Unit: unit, Order: order}
		return a.add(tx, key, c)
	})
	return a, err
}

// Refill adds the budget of another cap (epsilon, with the account's own δ) at the account's order. What is spent stays spent.
func (s *Store) Refill(key *identity.Key, source string, epsilon dp.Rational) (*Account, error) {
	var a *Account
	err := s.change("account", func(tx *sql.Tx) (err error) {
		if a, err = readAccount(tx, source); err != nil {
			return err
		}
		return a.add(tx, key, accountant.Cap{Epsilon: epsilon, Delta: a.Delta()})
	})
	return a, err
}

// add stores one more opening, signed.
func (a *Account) add(tx *sql.Tx, key *identity.Key, c accountant.Cap) error {
	units, err := c.BudgetAt(a.Order)
	if err != nil {
		return err
	}
	n, before := len(a.Openings), a.Budget()
	switch {
	case units == 0:
		return fmt.Errorf("ε = %s at δ = %s admits nothing at order %d, which was fixed when the account was opened: %w\nhint: give an ε above %.3g", c.Epsilon, c.Delta, a.Order, accountant.ErrCap,
			accountant.EpsilonFromRDP(float64(a.Order), 0, c.Delta.Float()))
	case units > maxUnits-before:
		return fmt.Errorf("a budget of more than 2^62 units: %w\nhint: give a smaller ε", accountant.ErrCap)
	}
	member := key.Public()
	e := wire.Sign(key, &wire.Account{Member: member, Account: wire.AccountID(member, a.Source), Unit: a.Unit, EpsNum: c.Epsilon.Num(), EpsDen: c.Epsilon.Den(),
		DeltaNum: c.Delta.Num(), DeltaDen: c.Delta.Den(), Order: uint32(a.Order), Budget: uint64(before + units), PrevBudgets: uint64(before), Refills: uint32(n)})
	o := Opening{Cap: c, Budget: units, At: time.UnixMilli(time.Now().UnixMilli()), Envelope: e.Bytes()}
	if _, err := tx.Exec(`INSERT INTO openings (source, n, epsilon, delta, budget, at_ms, envelope) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		a.Source, n, c.Epsilon.String(), c.Delta.String(), o.Budget, o.At.UnixMilli(), o.Envelope); err != nil {
		return err
	}
	a.Openings = append(slices.Clip(a.Openings), o)
	return nil
}
