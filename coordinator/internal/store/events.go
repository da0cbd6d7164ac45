package store

import "tributary/protocol/wire"

// Event is something that happened in a job, for whoever watches.
type Event struct {
	N       uint64 // ascending within a job, from 1
	AtMs    int64
	Round   uint64
	Step    uint32
	Kind    string
	Phase   string
	Member  string  // name; empty: the coordinator
	Loss    float64 // objective of the opened sum, nats; 0: none
	Bytes   uint64
	Message string
	Status  string
	Metrics string // JSON; empty: none
}

// PutEvent appends an event and gives it its number.
func (t *Tx) PutEvent(job wire.Digest, e *Event) error {
	var n int64
	if err := t.row(`SELECT COALESCE(MAX(n), 0) + 1 FROM events WHERE job = ?`, job[:]).Scan(&n); err != nil {
		return err
	}
	e.N = uint64(n)
	return t.exec(`INSERT INTO events (job, n, at_ms, round, step, kind, phase, member, loss, bytes, message, status, metrics)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		job[:], n, e.AtMs, int64(e.Round), int64(e.Step), e.Kind, e.Phase, e.Member, e.Loss, int64(e.Bytes), e.Message, e.Status, e.Metrics)
}

// Events lists at most limit events after number after.
func (t *Tx) Events(job wire.Digest, after uint64, limit int) (out []Event, err error) {
	err = t.each(func(scan func(...any) error) error {
		var e Event
		var n, round, step, bytes int64
		if err := scan(&n, &e.AtMs, &round, &step, &e.Kind, &e.Phase, &e.Member, &e.Loss, &bytes, &e.Message, &e.Status, &e.Metrics); err != nil {
			return err
		}
		e.N, e.Round, e.Step, e.Bytes = uint64(n), uint64(round), uint32(step), uint64(bytes)
		out = append(out, e)
		return nil
	}, `SELECT n, at_ms, round, step, kind, phase, member, loss, bytes, message, status, metrics FROM events WHERE job = ? AND n > ? ORDER BY n LIMIT ?`,
		job[:], int64(min(after, 1<<62)), limit)
	return out, err
}

// BytesSent sums what each member uploaded in a job, by name.
func (t *Tx) BytesSent(job wire.Digest) (map[string]uint64, error) {
	out := map[string]uint64{}
	err := t.each(func(scan func(...any) error) error {
		var name string
		var n int64
		if err := scan(&name, &n); err != nil {
			return err
		}
		out[name] = uint64(n)
		return nil
	}, `SELECT member, SUM(bytes) FROM events WHERE job = ? AND phase = 'upload' GROUP BY member`, job[:])
	return out, err
}
