package store

import (
	"encoding/hex"
	"fmt"
	"strings"

	"tributary/protocol/wire"
)

// Job is a job as it stands.
type Job struct {
	ID          wire.Digest
	Name        string
	SubmittedMs int64
	EndedMs     int64 // 0: not final
	SubmittedBy string
	SubmitToken string
	Request     wire.Digest // of what was submitted, so that a token isn't used for two things
	Charter     wire.Digest
	Manifest    []byte // envelope
	Resolved    []byte // canonical JSON
	Contract    []byte // canonical JSON
	Spec        []byte // as written

	Status      string
	Reason      string
	Round       uint64 // highest used
	Step        uint32
	State       wire.Digest
	PrevRelease wire.Digest
	PrevContext wire.Digest
	Failures    int

	Objective float64 // nats, of the last opened sum that has one
	Converged bool
	Metrics   string // JSON of the last opened sum's report, or empty
}

// MinPrefix is the fewest hexadecimal digits that name a job.
const MinPrefix = 6

const jobColumns = `id, name, submitted_ms, ended_ms, submitted_by, submit_token, request, charter, manifest, resolved, contract, spec,
	status, reason, round, step, state, prev_release, prev_context, failures, objective, converged, metrics`

// PutJob adds a job with its first state, or returns ErrConflict if its submit token is in use.
func (t *Tx) PutJob(j *Job, state []byte) error {
	if _, err := t.JobByToken(j.SubmitToken); err == nil {
		return fmt.Errorf("submit token: %w", ErrConflict)
	}
	err := t.exec(`INSERT INTO jobs (`+jobColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		j.ID[:], j.Name, j.SubmittedMs, j.EndedMs, j.SubmittedBy, j.SubmitToken, j.Request[:], j.Charter[:], j.Manifest, j.Resolved, j.Contract, j.Spec,
		j.Status, j.Reason, int64(j.Round), int64(j.Step), j.State[:], j.PrevRelease[:], j.PrevContext[:], j.Failures, j.Objective, j.Converged, j.Metrics)
	if err != nil {
		return err
	}
	return t.PutState(j.ID, j.State, state)
}

// AdvanceJob records how a job stands now; identity and documents never change.
func (t *Tx) AdvanceJob(j *Job) error {
	return t.change(`UPDATE jobs SET ended_ms = ?, status = ?, reason = ?, round = ?, step = ?, state = ?, prev_release = ?, prev_context = ?,
		failures = ?, objective = ?, converged = ?, metrics = ? WHERE id = ?`,
		j.EndedMs, j.Status, j.Reason, int64(j.Round), int64(j.Step), j.State[:], j.PrevRelease[:], j.PrevContext[:],
		j.Failures, j.Objective, j.Converged, j.Metrics, j.ID[:])
}

// PutState keeps a state's bytes.
func (t *Tx) PutState(job, digest wire.Digest, data []byte) error {
	return t.exec(`INSERT INTO states (job, digest, data) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`, job[:], digest[:], data)
}

// State finds a job's state by digest, or ErrNotFound.
func (t *Tx) State(job, digest wire.Digest) ([]byte, error) {
	var b []byte
	return b, notFound("state", t.row(`SELECT data FROM states WHERE job = ? AND digest = ?`, job[:], digest[:]).Scan(&b))
}

// Job finds a job by its digest, or ErrNotFound.
func (t *Tx) Job(id wire.Digest) (*Job, error) { return t.oneJob(`WHERE id = ?`, id[:]) }

// CompletedByState finds the first completed job whose model has that state, or ErrNotFound.
func (t *Tx) CompletedByState(state wire.Digest) (*Job, error) {
	return t.oneJob(`WHERE state = ? AND status = 'completed' ORDER BY ended_ms, id LIMIT 1`, state[:])
}

// JobByToken finds what a submit token made, or ErrNotFound.
func (t *Tx) JobByToken(token string) (*Job, error) { return t.oneJob(`WHERE submit_token = ?`, token) }

// FindJob resolves what a person typed: a digest in hexadecimal, its unique start of MinPrefix digits or more, or a name that only
// one job has. It returns ErrNotFound or ErrAmbiguous.
func (t *Tx) FindJob(text string) (*Job, error) {
	jobs, err := t.jobs(`WHERE name = ? LIMIT 2`, text)
	if err != nil {
		return nil, err
	}
	lower := strings.ToLower(text)
	if digits := strings.Trim(lower, "0123456789abcdef") == ""; digits && len(lower) >= MinPrefix && len(lower) <= 64 {
		byID, err := t.jobs(`WHERE lower(hex(id)) LIKE ? LIMIT 2`, lower+"%")
		if err != nil {
			return nil, err
		}
		for _, j := range byID {
			if len(jobs) == 0 || jobs[0].ID != j.ID {
				jobs = append(jobs, j)
			}
		}
	}
	switch len(jobs) {
	case 0:
		return nil, fmt.Errorf("job %q: %w", text, ErrNotFound)
	case 1:
		return jobs[0], nil
	}
	return nil, fmt.Errorf("job %q: %w: %s, %s and maybe more", text, ErrAmbiguous, hex.EncodeToString(jobs[0].ID[:6]), hex.EncodeToString(jobs[1].ID[:6]))
}

// OpenJobs lists the jobs that aren't over, oldest first.
func (t *Tx) OpenJobs() ([]*Job, error) {
	return t.jobs(`WHERE ended_ms = 0 ORDER BY submitted_ms, id`)
}

// EndedJobs lists the jobs that are over, oldest first.
func (t *Tx) EndedJobs() ([]*Job, error) {
	return t.jobs(`WHERE ended_ms <> 0 ORDER BY submitted_ms, id`)
}

// ListJobs lists jobs, newest first: at most limit, those submitted before the given job (nil: from the newest).
func (t *Tx) ListJobs(before *Job, limit int) ([]*Job, error) {
	if before == nil {
		return t.jobs(`ORDER BY submitted_ms DESC, id DESC LIMIT ?`, limit)
	}
	return t.jobs(`WHERE (submitted_ms, id) < (?, ?) ORDER BY submitted_ms DESC, id DESC LIMIT ?`, before.SubmittedMs, before.ID[:], limit)
}

func (t *Tx) oneJob(where string, args ...any) (*Job, error) {
	jobs, err := t.jobs(where, args...)
	if err != nil {
		return nil, err
	}
	if len(jobs) == 0 {
		return nil, fmt.Errorf("job: %w", ErrNotFound)
	}
	return jobs[0], nil
}

func (t *Tx) jobs(where string, args ...any) (out []*Job, err error) {
	err = t.each(func(scan func(...any) error) error {
		j := &Job{}
		var id, request, charterDigest, state, release, context []byte
		var round, step int64
		if err := scan(&id, &j.Name, &j.SubmittedMs, &j.EndedMs, &j.SubmittedBy, &j.SubmitToken, &request, &charterDigest, &j.Manifest, &j.Resolved, &j.Contract, &j.Spec,
			&j.Status, &j.Reason, &round, &step, &state, &release, &context, &j.Failures, &j.Objective, &j.Converged, &j.Metrics); err != nil {
			return err
		}
		j.Round, j.Step = uint64(round), uint32(step)
		for _, d := range []struct {
			to   *wire.Digest
			from []byte
		}{{&j.ID, id}, {&j.Request, request}, {&j.Charter, charterDigest}, {&j.State, state}, {&j.PrevRelease, release}, {&j.PrevContext, context}} {
			copy(d.to[:], d.from)
		}
		out = append(out, j)
		return nil
	}, `SELECT `+jobColumns+` FROM jobs `+where, args...)
	return out, err
}
