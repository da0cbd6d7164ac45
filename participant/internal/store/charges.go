package store

import (
	"database/sql"
	"errors"
	"fmt"
	"time"

	"tributary/crypto/dp/accountant"
	"tributary/crypto/identity"
	"tributary/protocol/wire"
)

// Payer says which account an upload of a private job is charged to, and for which round.
type Payer struct {
	Key    *identity.Key
	Source string
	Ctx    wire.Digest
}

// Charge is what one upload cost an account, for ever, whatever became of the upload.
type Charge struct {
	Job          wire.Digest
	Name         string // of the job
	Source       string
	Units        accountant.Units
	Spent        accountant.Units // by the account after it
	At           time.Time
	Envelope     []byte // of the signed wire.Charge
	Acknowledged bool   // by the coordinator, which has it in its ledger
}

// charge spends from an account within the transaction that stores the upload. A round that was charged is never charged again.
func charge(tx *sql.Tx, job wire.Digest, sum accountant.Sum, by *Payer) error {
	a, err := readAccount(tx, by.Source)
	if err != nil {
		return err
	}
	c, err := accountant.ChargeFor(sum, a.Order)
	if err != nil {
		return err
	}
	spent, err := a.After(c)
	if err != nil {
		return err
	}
	member := by.Key.Public()
	e := wire.Sign(by.Key, &wire.Charge{Job: job, Ctx: by.Ctx, Member: member, Account: wire.AccountID(member, a.Source), Order: uint32(a.Order), Units: uint64(c.Units()), Spent: uint64(spent)})
	if _, err := tx.Exec(`INSERT INTO charges (ctx, job, source, units, spent, at_ms, envelope) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		by.Ctx[:], job[:], a.Source, c.Units(), spent, time.Now().UnixMilli(), e.Bytes()); err != nil {
		return err
	}
	return one(ErrNoAccount)(tx.Exec(`UPDATE accounts SET spent = ? WHERE source = ?`, spent, a.Source))
}

const chargeColumns = `charges.job, coalesce(jobs.name, ''), charges.source, units, spent, at_ms, envelope, acknowledged FROM charges LEFT JOIN jobs USING (job)`

func scanCharge(scan func(...any) error) (Charge, error) {
	var c Charge
	var job []byte
	var ms int64
	err := scan(&job, &c.Name, &c.Source, &c.Units, &c.Spent, &ms, &c.Envelope, &c.Acknowledged)
	copy(c.Job[:], job)
	c.At = time.UnixMilli(ms)
	return c, err
}

// ChargeOf returns the charge of a round by its context, or ErrNotFound.
func (s *Store) ChargeOf(ctx wire.Digest) (*Charge, error) {
	c, err := scanCharge(s.db.QueryRow(`SELECT `+chargeColumns+` WHERE ctx = ?`, ctx[:]).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read charge: %w", err)
	}
	return &c, nil
}

// Charges lists a source's charges, oldest first.
func (s *Store) Charges(source string) ([]Charge, error) {
	rows, err := s.db.Query(`SELECT `+chargeColumns+` WHERE charges.source = ? ORDER BY n`, source)
	if err != nil {
		return nil, fmt.Errorf("read charges: %w", err)
	}
	defer rows.Close()
	var out []Charge
	for rows.Next() {
		c, err := scanCharge(rows.Scan)
		if err != nil {
			return nil, fmt.Errorf("read charges: %w", err)
		}
		out = append(out, c)
	}
	return out, wrap("read charges", rows.Err())
}

// Word is a signed policy, opening or charge that the coordinator hasn't acknowledged.
type Word struct {
	Envelope []byte
	Opening  bool        // of an account
	Job      wire.Digest // of a charge
	Source   string      // empty for a policy

	Acknowledged bool
}

// Words lists what the coordinator hasn't acknowledged: all policies, then all openings and refills, then all charges, oldest first
// within an account.
func (s *Store) Words() ([]Word, error) {
	return s.words(0)
}

// AllWords is Words with those that the coordinator acknowledged.
func (s *Store) AllWords() ([]Word, error) { return s.words(1) }

// words lists the signed words whose acknowledged is at most that.
func (s *Store) words(most int) ([]Word, error) {
	rows, err := s.db.Query(`SELECT envelope, 0, zeroblob(0), '', n, 0, acknowledged FROM policies WHERE acknowledged <= ?1
		UNION ALL SELECT envelope, 1, zeroblob(0), source, n, 1, acknowledged FROM openings WHERE acknowledged <= ?1
		UNION ALL SELECT envelope, 0, job, source, n, 2, acknowledged FROM charges WHERE acknowledged <= ?1 ORDER BY 6, 4, 5`, most)
	if err != nil {
		return nil, fmt.Errorf("read signed words: %w", err)
	}
	defer rows.Close()
	var out []Word
	for rows.Next() {
		var w Word
		var job []byte
		var n, rank int64
		if err := rows.Scan(&w.Envelope, &w.Opening, &job, &w.Source, &n, &rank, &w.Acknowledged); err != nil {
			return nil, fmt.Errorf("read signed words: %w", err)
		}
		copy(w.Job[:], job)
		out = append(out, w)
	}
	return out, wrap("read signed words", rows.Err())
}

// Acknowledge records that the coordinator has a policy, an opening or a charge, by its envelope.
func (s *Store) Acknowledge(envelope []byte) error {
	return s.change("acknowledged", func(tx *sql.Tx) error {
		for _, table := range []string{"policies", "openings", "charges"} {
			if _, err := tx.Exec(`UPDATE `+table+` SET acknowledged = 1 WHERE envelope = ?`, envelope); err != nil {
				return err
			}
		}
		return nil
	})
}

// Unacknowledge lets all of a source's words be sent again, or all policies if it is empty: the coordinator doesn't have them (any more).
func (s *Store) Unacknowledge(source string) error {
	return s.change("unacknowledged", func(tx *sql.Tx) error {
		if source == "" {
			_, err := tx.Exec(`UPDATE policies SET acknowledged = 0`)
			return err
		}
		for _, table := range []string{"openings", "charges"} {
			if _, err := tx.Exec(`UPDATE `+table+` SET acknowledged = 0 WHERE source = ?`, source); err != nil {
				return err
			}
		}
		return nil
	})
}
