package store

import (
	"bytes"
	"crypto/rand"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"tributary/protocol/charter"
	"tributary/protocol/ledger"
	"tributary/protocol/wire"
)

// Enrolment is what a node learnt when it enrolled. Address and Fingerprint are where and by which authority it reaches the
// coordinator from then on.
type Enrolment struct {
	Fingerprint  [32]byte
	Address      string
	Coordinator  wire.Member
	Consortium   string
	Name         string
	Organisation string
	Role         string
}

// SaveEnrolment stores it, over an earlier one.
func (s *Store) SaveEnrolment(e Enrolment) error {
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return s.change("enrolment", func(tx *sql.Tx) error { return set(tx, "enrolment", data) })
}

// Enrolment returns it, or ErrNotFound.
func (s *Store) Enrolment() (Enrolment, error) {
	var e Enrolment
	data, err := s.get("enrolment")
	if err == nil && data == nil {
		err = ErrNotFound
	}
	if err == nil {
		err = json.Unmarshal(data, &e)
	}
	if err != nil {
		return Enrolment{}, fmt.Errorf("read enrolment: %w", err)
	}
	return e, nil
}

// AcceptCharter records the operator's acceptance. It must follow the last accepted one; accepting that one again does nothing.
func (s *Store) AcceptCharter(e *wire.Envelope) error {
	next, err := charter.Open(e)
	if err != nil {
		return fmt.Errorf("accept charter: %w", err)
	}
	last, err := s.Charter()
	switch {
	case errors.Is(err, ErrNotFound):
	case err != nil:
		return fmt.Errorf("accept charter: %w", err)
	case last.Digest() == next.Digest():
		return nil
	default:
		if err := charter.Follows(last, next); err != nil {
			return fmt.Errorf("accept charter: %w", err)
		}
	}
	digest := next.Digest()
	return s.change("charter", func(tx *sql.Tx) error {
		_, err := tx.Exec(`INSERT INTO charters (digest, version, envelope, accepted_ms) VALUES (?, ?, ?, ?)`, digest[:], next.Version, e.Bytes(), time.Now().UnixMilli())
		return err
	})
}

// Charter is the last accepted version, or ErrNotFound.
func (s *Store) Charter() (*wire.Charter, error) {
	return s.charter(`SELECT envelope FROM charters ORDER BY version DESC LIMIT 1`)
}

// CharterByDigest is an accepted version, or ErrNotFound.
func (s *Store) CharterByDigest(d wire.Digest) (*wire.Charter, error) {
	return s.charter(`SELECT envelope FROM charters WHERE digest = ?`, d[:])
}

func (s *Store) charter(query string, args ...any) (*wire.Charter, error) {
	var data []byte
	err := s.db.QueryRow(query, args...).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read accepted charter: %w", err)
	}
	e, err := wire.ParseEnvelope(data)
	if err != nil {
		return nil, fmt.Errorf("read accepted charter: %w", err)
	}
	return charter.Open(&e)
}

// Head is the last ledger head seen; the zero head before any.
func (s *Store) Head() (ledger.Head, error) {
	data, err := s.get("head")
	if err != nil {
		return ledger.Head{}, fmt.Errorf("read ledger head: %w", err)
	}
	head, err := parseHead(data)
	return head, wrap("read ledger head", err)
}

// saveHead moves the head forward; a smaller one is ignored.
func saveHead(tx *sql.Tx, h ledger.Head) error {
	var old []byte
	err := tx.QueryRow(`SELECT value FROM meta WHERE key = 'head'`).Scan(&old)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	switch before := headBytes(h); {
	case len(old) != len(before):
	case int64(binary.BigEndian.Uint64(old)) > h.Size:
		return nil
	case int64(binary.BigEndian.Uint64(old)) == h.Size && !bytes.Equal(old, before):
		return fmt.Errorf("another ledger head of %d entries than the one that was seen", h.Size)
	}
	return set(tx, "head", headBytes(h))
}

// Secret is a source's hold-out secret: made once from crypto/rand, fixed for ever, never sent.
func (s *Store) Secret(source string) ([32]byte, error) {
	var secret []byte
	read := func() error {
		return s.db.QueryRow(`SELECT secret FROM secrets WHERE source = ?`, source).Scan(&secret)
	}
	err := read()
	if errors.Is(err, sql.ErrNoRows) {
		fresh := make([]byte, 32)
		rand.Read(fresh)
		err = s.change("secret", func(tx *sql.Tx) error {
			_, err := tx.Exec(`INSERT INTO secrets (source, secret) VALUES (?, ?) ON CONFLICT DO NOTHING`, source, fresh)
			return err
		})
		if err == nil {
			err = read()
		}
	}
	if err == nil && len(secret) != 32 {
		err = fmt.Errorf("%d bytes, want 32", len(secret))
	}
	if err != nil {
		return [32]byte{}, fmt.Errorf("read hold-out secret of source %s: %w", source, err)
	}
	return [32]byte(secret), nil
}

// Sent is one thing that left the machine, or was about to.
type Sent struct {
	At     time.Time
	Times  int // it was sent, the same bytes each time
	Job    wire.Digest
	Kind   string
	Bytes  int64
	Digest wire.Digest
}

// Sending records what is about to leave; it must return before the first byte does.
func (s *Store) Sending(job wire.Digest, kind string, bytes int64, digest wire.Digest) error {
	return s.change("outbox", func(tx *sql.Tx) error {
		_, err := tx.Exec(`INSERT INTO outbox (at_ms, times, job, kind, bytes, digest) VALUES (?, 1, ?, ?, ?, ?) ON CONFLICT (kind, digest) DO UPDATE SET times = times + 1`,
			time.Now().UnixMilli(), job[:], kind, bytes, digest[:])
		return err
	})
}

// Outbox lists all that left, oldest first.
func (s *Store) Outbox() ([]Sent, error) {
	rows, err := s.db.Query(`SELECT at_ms, times, job, kind, bytes, digest FROM outbox ORDER BY n`)
	if err != nil {
		return nil, fmt.Errorf("read outbox: %w", err)
	}
	defer rows.Close()
	var out []Sent
	for rows.Next() {
		var one Sent
		var ms int64
		var job, digest []byte
		if err := rows.Scan(&ms, &one.Times, &job, &one.Kind, &one.Bytes, &digest); err != nil {
			return nil, fmt.Errorf("read outbox: %w", err)
		}
		one.At = time.UnixMilli(ms)
		copy(one.Job[:], job)
		copy(one.Digest[:], digest)
		out = append(out, one)
	}
	return out, wrap("read outbox", rows.Err())
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}
