package store

import (
	"database/sql"
	"errors"
	"fmt"

	"tributary/crypto/identity"
	"tributary/protocol/wire"
)

// StatePolicy signs and stores another version of the node's policy if the text isn't the last version's; the coordinator is to log it.
func (s *Store) StatePolicy(key *identity.Key, text string) error {
	var data []byte
	err := s.db.QueryRow(`SELECT envelope FROM policies ORDER BY n DESC LIMIT 1`).Scan(&data)
	next := &wire.Policy{Member: key.Public(), Version: 1, Text: text}
	switch {
	case errors.Is(err, sql.ErrNoRows):
	case err != nil:
		return fmt.Errorf("read policy: %w", err)
	default:
		e, err := wire.ParseEnvelope(data)
		if err != nil {
			return fmt.Errorf("read policy: %w", err)
		}
		var last wire.Policy
		if err := e.Open(&last); err != nil {
			return fmt.Errorf("read policy: %w", err)
		}
		if last.Text == text && last.Member == next.Member {
			return nil
		}
		if last.Member == next.Member { // after enrolling with another key it starts anew
			next.Version, next.Prev = last.Version+1, last.Digest()
		}
	}
	e := wire.Sign(key, next)
	return s.change("policy", func(tx *sql.Tx) error {
		_, err := tx.Exec(`INSERT INTO policies (envelope) VALUES (?)`, e.Bytes())
		return err
	})
}
