package store

import (
	"database/sql"
	"errors"
	"fmt"
	"time"

	"tributary/protocol/wire"
)

const evaluationSchema = `
CREATE TABLE IF NOT EXISTS evaluations (job BLOB PRIMARY KEY, evaluation BLOB NOT NULL, at_ms INTEGER NOT NULL) STRICT;
`

// SaveEvaluation keeps what a finished job's model does on this participant's own held-out rows, over what was kept before. It is
// never sent.
func (s *Store) SaveEvaluation(job wire.Digest, evaluation []byte) error {
	return s.change("evaluation", func(tx *sql.Tx) error {
		_, err := tx.Exec(`INSERT INTO evaluations (job, evaluation, at_ms) VALUES (?, ?, ?) ON CONFLICT (job) DO UPDATE SET evaluation = excluded.evaluation, at_ms = excluded.at_ms`,
			job[:], evaluation, time.Now().UnixMilli())
		return err
	})
}

// Evaluation returns it and when it was made, or ErrNotFound.
func (s *Store) Evaluation(job wire.Digest) ([]byte, time.Time, error) {
	var data []byte
	var ms int64
	err := s.db.QueryRow(`SELECT evaluation, at_ms FROM evaluations WHERE job = ?`, job[:]).Scan(&data, &ms)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read evaluation: %w", err)
	}
	return data, time.UnixMilli(ms), nil
}
