package store

import (
	"fmt"

	"tributary/protocol/wire"
)

// Account is a member's privacy account as its newest entry in the ledger says, with what was charged to it since it was opened.
type Account struct {
	wire.Account
	Entry   int64  // index in the ledger of the opening or the last refill
	Spent   uint64 // units of 2⁻⁴⁰ at the account's order, the largest that its owner signed
	Charges int    // in the ledger
}

// HasAccount reports whether the envelope with that digest is stored.
func (t *Tx) HasAccount(envelope wire.Digest) (bool, error) {
	var n int
	err := t.row(`SELECT COUNT(*) FROM accounts WHERE digest = ?`, envelope[:]).Scan(&n)
	return n > 0, err
}

// PutAccount stores a member's word on one of its accounts as the newest. entry is where the ledger has it.
func (t *Tx) PutAccount(a *wire.Account, e *wire.Envelope, entry int64) error {
	digest := e.Digest()
	return t.exec(`INSERT INTO accounts (digest, account, member, entry, data) VALUES (?, ?, ?, ?, ?)`, digest[:], a.Account[:], a.Member[:], entry, e.Bytes())
}

// Account finds an account as it now is, or ErrNotFound.
func (t *Tx) Account(id wire.Digest) (Account, error) {
	found, err := t.accounts(`WHERE a.account = ?`, id[:])
	if err != nil {
		return Account{}, err
	}
	if len(found) == 0 {
		return Account{}, fmt.Errorf("account: %w", ErrNotFound)
	}
	return found[0], nil
}

// Accounts lists all accounts as they now are, by when they were opened.
func (t *Tx) Accounts() ([]Account, error) { return t.accounts(``) }

// AccountsOf lists a member's accounts as they now are, by when they were opened.
func (t *Tx) AccountsOf(m wire.Member) ([]Account, error) {
	return t.accounts(`WHERE a.member = ?`, m[:])
}

func (t *Tx) accounts(where string, args ...any) (out []Account, err error) {
	err = t.each(func(scan func(...any) error) error {
		var data []byte
		var a Account
		var spent int64
		if err := scan(&data, &a.Entry, &spent, &a.Charges); err != nil {
			return err
		}
		e, err := wire.ParseEnvelope(data)
		if err != nil {
			return err
		}
		a.Spent = uint64(spent)
		out = append(out, a)
		return e.Open(&out[len(out)-1].Account)
	}, `SELECT a.data, a.entry,
		(SELECT COALESCE(MAX(c.spent), 0) FROM charges c WHERE c.account = a.account),
		(SELECT COUNT(*) FROM charges c WHERE c.account = a.account)
		FROM (SELECT account, MAX(seq) AS newest, MIN(seq) AS opened FROM accounts GROUP BY account) n JOIN accounts a ON a.seq = n.newest `+where+` ORDER BY n.opened`, args...)
	return out, err
}

// HasCharge reports whether the envelope with that digest is stored as a charge.
func (t *Tx) HasCharge(envelope wire.Digest) (bool, error) {
	var n int
	err := t.row(`SELECT COUNT(*) FROM charges WHERE digest = ?`, envelope[:]).Scan(&n)
	return n > 0, err
}

// PaidFrom tells which account a member's charges for a job go to; ok is false before the first.
func (t *Tx) PaidFrom(job wire.Digest, m wire.Member) (account wire.Digest, ok bool, err error) {
	err = t.each(func(scan func(...any) error) error {
		var b []byte
		ok = true
		defer func() { copy(account[:], b) }()
		return scan(&b)
	}, `SELECT account FROM charges WHERE job = ? AND member = ? LIMIT 1`, job[:], m[:])
	return account, ok, err
}

// Paid is which account a job was charged to.
type Paid struct {
	Account  wire.Digest
	Contract []byte // canonical JSON, of the job
}

// PaidBy lists the jobs that a member was charged for, newest charge first.
func (t *Tx) PaidBy(m wire.Member) (out []Paid, err error) {
	err = t.each(func(scan func(...any) error) error {
		var p Paid
		var account []byte
		if err := scan(&account, &p.Contract); err != nil {
			return err
		}
		copy(p.Account[:], account)
		out = append(out, p)
		return nil
	}, `SELECT c.account, j.contract FROM charges c JOIN jobs j ON j.id = c.job WHERE c.member = ? GROUP BY c.account, c.job ORDER BY MAX(c.entry) DESC`, m[:])
	return out, err
}

// PutCharge remembers what the ledger's entry charges to an account. It is an error if the member was charged for that context before.
func (t *Tx) PutCharge(g *wire.Charge, e *wire.Envelope, entry int64) error {
	digest := e.Digest()
	return t.exec(`INSERT INTO charges (digest, account, member, job, ctx, units, spent, entry) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		digest[:], g.Account[:], g.Member[:], g.Job[:], g.Ctx[:], int64(g.Units), int64(g.Spent), entry)
}
