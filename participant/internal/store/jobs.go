package store

import (
	"bytes"
	"database/sql"
	"encoding/gob"
	"errors"
	"fmt"
	"strings"
	"time"

	"tributary/crypto/secagg"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

// Status is how a job stands at this node.
type Status string

// The statuses. Pending and approved jobs are open; the others are over.
const (
	Pending  Status = "pending"  // waits for the operator
	Approved Status = "approved" // this member's approval is stored, its seat key made
	Refused  Status = "refused"  // by a check, the policy or the operator
	Finished Status = "finished" // the last release was verified
	Ended    Status = "ended"    // aborted, cancelled or expired
)

// Open reports whether the job still goes on.
func (s Status) Open() bool { return s == Pending || s == Approved }

// What is to become of a pending job. It is stored before it is carried out, so that a crash between doesn't lose it.
const (
	DecideApprove   = "approve"   // by the operator
	DecideDeny      = "deny"      // by the operator
	DecideAutomatic = "automatic" // approve, by policy
)

// Job is one job as it was shown to this node.
type Job struct {
	Job      wire.Digest // the manifest's digest
	Name     string
	Status   Status
	Bundle   []byte // wire.Bundle as first fetched
	Expires  time.Time
	Seen     time.Time
	Source   string   // id of the bound data; empty without data
	Rows     [32]byte // digest of the frozen rows; zero without data
	Text     string   // what the operator is asked to approve
	Why      string   // why it waits, was refused or ended; for this operator only
	Decision string   // one of the Decide constants; empty: the operator's is awaited
	Reason   string   // the operator's, never sent

	Refusal   []byte // envelope of a refusal before the job closed
	Approval  []byte // envelope, stored before it is sent
	Delivered bool   // refusal or approval reached the coordinator
	Closed    []byte // wire.Bundle with all approvals, once seen
	Record    *round.Record
}

const jobColumns = `job, name, status, bundle, expires_ms, seen_ms, source, rows_digest, text, why, decision, reason, refusal, approval, delivered, closed, record`

func scanJob(scan func(...any) error) (*Job, error) {
	var j Job
	var id, rows, record []byte
	var expires, seen int64
	if err := scan(&id, &j.Name, &j.Status, &j.Bundle, &expires, &seen, &j.Source, &rows, &j.Text, &j.Why, &j.Decision, &j.Reason,
		&j.Refusal, &j.Approval, &j.Delivered, &j.Closed, &record); err != nil {
		return nil, err
	}
	copy(j.Job[:], id)
	copy(j.Rows[:], rows)
	j.Expires, j.Seen = time.UnixMilli(expires), time.UnixMilli(seen)
	if record != nil {
		j.Record = new(round.Record)
		if err := gob.NewDecoder(bytes.NewReader(record)).Decode(j.Record); err != nil {
			return nil, fmt.Errorf("record of job %x: %w", id[:4], err)
		}
	}
	return &j, nil
}

// AddJob stores a job when it is first seen.
func (s *Store) AddJob(j *Job) error {
	return s.change("job", func(tx *sql.Tx) error {
		_, err := tx.Exec(`INSERT INTO jobs (job, name, status, bundle, expires_ms, seen_ms, source, rows_digest, text, why, decision, refusal) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			j.Job[:], j.Name, j.Status, j.Bundle, j.Expires.UnixMilli(), j.Seen.UnixMilli(), j.Source, j.Rows[:], j.Text, j.Why, j.Decision, j.Refusal)
		return err
	})
}

// Job returns a job, or ErrNotFound.
func (s *Store) Job(id wire.Digest) (*Job, error) {
	j, err := scanJob(s.db.QueryRow(`SELECT `+jobColumns+` FROM jobs WHERE job = ?`, id[:]).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read job %x: %w", id[:4], err)
	}
	return j, nil
}

// Jobs lists all jobs, or only the open ones, oldest first.
func (s *Store) Jobs(openOnly bool) ([]*Job, error) {
	query := `SELECT ` + jobColumns + ` FROM jobs`
	if openOnly {
		query += ` WHERE status IN ('pending', 'approved')`
	}
	rows, err := s.db.Query(query + ` ORDER BY seen_ms, job`)
	if err != nil {
		return nil, fmt.Errorf("read jobs: %w", err)
	}
	defer rows.Close()
	var out []*Job
	for rows.Next() {
		j, err := scanJob(rows.Scan)
		if err != nil {
			return nil, fmt.Errorf("read jobs: %w", err)
		}
		out = append(out, j)
	}
	return out, wrap("read jobs", rows.Err())
}

// Decide records the operator's word on a pending job; the running node carries it out. ErrDecided if it doesn't wait.
func (s *Store) Decide(id wire.Digest, decision, reason string) error {
	return s.change("decision", func(tx *sql.Tx) error {
		return one(ErrDecided)(tx.Exec(`UPDATE jobs SET decision = ?, reason = ? WHERE job = ? AND status = 'pending'`, decision, reason, id[:]))
	})
}

// Refuse stores a signed refusal before it is sent.
func (s *Store) Refuse(id wire.Digest, refusal []byte, why string) error {
	return s.change("refusal", func(tx *sql.Tx) error {
		return one(ErrNotFound)(tx.Exec(`UPDATE jobs SET status = 'refused', refusal = ?, why = ?, delivered = 0 WHERE job = ?`, refusal, why, id[:]))
	})
}

// Use is one exact job that took part on a source.
type Use struct {
	Source   string
	Contract string
	Job      wire.Digest
	Name     string
	Cohort   []wire.Member // sorted
	Rows     [32]byte
	Same     []string // ids of sources that read the same file; not stored
}

// Approve stores this member's approval and the source's use in one transaction, before the approval is sent. use is nil at a seat
// without data, and in a private job. ErrAccountExists if the source, or one that reads the same file, has a privacy account by now.
func (s *Store) Approve(id wire.Digest, approval []byte, use *Use) error {
	return s.change("approval", func(tx *sql.Tx) error {
		if use != nil {
			for _, source := range append([]string{use.Source}, use.Same...) {
				var has bool
				if err := tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM accounts WHERE source = ?)`, source).Scan(&has); err != nil {
					return err
				}
				if has {
					return fmt.Errorf("%w: %s", ErrAccountExists, source)
				}
			}
			var cohort []byte
			for _, m := range use.Cohort {
				cohort = append(cohort, m[:]...)
			}
			if _, err := tx.Exec(`INSERT INTO uses (source, contract, job, name, cohort, rows_digest, at_ms) VALUES (?, ?, ?, ?, ?, ?, ?)`,
				use.Source, use.Contract, id[:], use.Name, cohort, use.Rows[:], time.Now().UnixMilli()); err != nil {
				return err
			}
		}
		return one(ErrDecided)(tx.Exec(`UPDATE jobs SET status = 'approved', approval = ? WHERE job = ? AND status = 'pending'`, approval, id[:]))
	})
}

// Uses lists the exact jobs approved on a source, oldest first.
func (s *Store) Uses(sources ...string) ([]Use, error) {
	args := make([]any, len(sources))
	for i, source := range sources {
		args[i] = source
	}
	marks := strings.TrimSuffix(strings.Repeat("?,", len(sources)), ",")
	rows, err := s.db.Query(`SELECT source, contract, job, name, cohort, rows_digest FROM uses WHERE source IN (`+marks+`) ORDER BY n`, args...)
	if err != nil {
		return nil, fmt.Errorf("read uses: %w", err)
	}
	defer rows.Close()
	var out []Use
	for rows.Next() {
		var u Use
		var job, cohort, digest []byte
		if err := rows.Scan(&u.Source, &u.Contract, &job, &u.Name, &cohort, &digest); err != nil {
			return nil, fmt.Errorf("read uses: %w", err)
		}
		copy(u.Job[:], job)
		copy(u.Rows[:], digest)
		for ; len(cohort) >= len(wire.Member{}); cohort = cohort[len(wire.Member{}):] {
			u.Cohort = append(u.Cohort, wire.Member(cohort[:len(wire.Member{})]))
		}
		out = append(out, u)
	}
	return out, wrap("read uses", rows.Err())
}

// Delivered records that the coordinator has the approval or the refusal.
func (s *Store) Delivered(id wire.Digest) error {
	return s.change("delivered", func(tx *sql.Tx) error {
		return one(ErrNotFound)(tx.Exec(`UPDATE jobs SET delivered = 1 WHERE job = ?`, id[:]))
	})
}

// CloseJob keeps the job's closed form, the first one seen for ever.
func (s *Store) CloseJob(id wire.Digest, bundle []byte) error {
	return s.change("closed", func(tx *sql.Tx) error {
		return one(ErrDecided)(tx.Exec(`UPDATE jobs SET closed = ? WHERE job = ? AND closed IS NULL`, bundle, id[:]))
	})
}

// Persist carries out round's effect: record, sealed upload, ledger head and charge in one transaction. by is needed exactly if the
// effect charges; accountant.ErrExhausted if the account can't pay: then nothing is stored.
func (s *Store) Persist(id wire.Digest, p round.Persist, by *Payer) error {
	if (p.Charge != nil) != (by != nil) {
		return errors.New("store record: a charge without a payer, or a payer without a charge")
	}
	var record bytes.Buffer
	if err := gob.NewEncoder(&record).Encode(p.Record); err != nil {
		return fmt.Errorf("store record: %w", err)
	}
	what := "record"
	if by != nil {
		what = "charge"
	}
	return s.change(what, func(tx *sql.Tx) error {
		if by != nil {
			if err := charge(tx, id, *p.Charge, by); err != nil {
				return err
			}
		}
		if p.Sealed != nil {
			shares := wire.Bundle{Items: p.Sealed.Shares}
			if _, err := tx.Exec(`INSERT INTO sealed (job, payload, shares) VALUES (?, ?, ?) ON CONFLICT (job) DO UPDATE SET payload = excluded.payload, shares = excluded.shares`,
				id[:], p.Sealed.Payload, shares.Bytes()); err != nil {
				return err
			}
		}
		if p.Head != nil {
			if err := saveHead(tx, *p.Head); err != nil {
				return err
			}
		}
		return one(ErrNotFound)(tx.Exec(`UPDATE jobs SET record = ? WHERE job = ?`, record.Bytes(), id[:]))
	})
}

// Sealed returns the upload that was stored last.
func (s *Store) Sealed(id wire.Digest) (*secagg.Upload, error) {
	var u secagg.Upload
	var shares []byte
	err := s.db.QueryRow(`SELECT payload, shares FROM sealed WHERE job = ?`, id[:]).Scan(&u.Payload, &shares)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read sealed upload: %w", err)
	}
	bundle, err := wire.ParseBundle(shares)
	if err != nil {
		return nil, fmt.Errorf("read sealed upload: %w", err)
	}
	u.Shares = bundle.Items
	return &u, nil
}

// End closes a job for good and drops its payload.
func (s *Store) End(id wire.Digest, status Status, why string) error {
	return s.change("end", func(tx *sql.Tx) error {
		if _, err := tx.Exec(`DELETE FROM sealed WHERE job = ?`, id[:]); err != nil {
			return err
		}
		_, err := tx.Exec(`UPDATE jobs SET status = ?, why = ? WHERE job = ? AND status IN ('pending', 'approved')`, status, why, id[:])
		return err
	})
}

// one demands that a statement changed exactly one row.
func one(otherwise error) func(sql.Result, error) error {
	return func(r sql.Result, err error) error {
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n != 1 {
			return errors.Join(otherwise, err)
		}
		return nil
	}
}
