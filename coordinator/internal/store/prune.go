package store

import "tributary/protocol/wire"

// KeepStates removes all states of a job but those given.
func (t *Tx) KeepStates(job wire.Digest, digests ...wire.Digest) error {
	query, args := `DELETE FROM states WHERE job = ?`, []any{job[:]}
	for i := range digests {
		query, args = query+` AND digest <> ?`, append(args, digests[i][:])
	}
	return t.exec(query, args...)
}

// Prune removes the working records of jobs that ended before a time, Unix milliseconds: events, the rounds' envelopes and all states but
// the last, which is the model; an exact job has no others by then. Jobs, their documents and models stay, and the ledger is never pruned: what was opened and what it cost
// can be recomputed for ever. It returns how many records it removed.
func (t *Tx) Prune(beforeMs int64) (removed int64, err error) {
	const old = `IN (SELECT id FROM jobs WHERE ended_ms > 0 AND ended_ms < ?)`
	for _, query := range []string{
		`DELETE FROM events WHERE job ` + old,
		`DELETE FROM envelopes WHERE job ` + old,
		`DELETE FROM states WHERE job ` + old + ` AND digest <> (SELECT state FROM jobs WHERE jobs.id = states.job)`,
	} {
		result, err := t.tx.ExecContext(t.ctx, query, beforeMs)
		if err != nil {
			return removed, err
		}
		n, err := result.RowsAffected()
		if err != nil {
			return removed, err
		}
		removed += n
	}
	return removed, nil
}
