package engine

import (
	"context"
	"time"

	"go.uber.org/zap"

	"tributary/coordinator/internal/store"
	"tributary/crypto/secagg"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

const (
	shareBytes = secagg.SealedShareBytes
	keepLast   = 24 * time.Hour // how long a finished exact job's last payloads are kept for members that don't come for them
)

// dropStates removes an exact job's states that nobody needs any more, in the transaction that moves it on: of a wide model each has hundreds
// of megabytes. Its machine goes on from the state that the row names, and so do an export, a warm start, and members that fetch instead
// of verifying. No member of its cohort is a round behind, since no round opens without it; the state before stays for one that is
// fetching it, until the job ends. Members of private jobs may be left out of rounds and come late: their states stay.
func dropStates(t *store.Tx, j *job, row *store.Job) error {
	switch {
	case j.proposal.Private():
		return nil
	case row.EndedMs != 0:
		return t.KeepStates(row.ID, row.State)
	case row.State != j.row.State:
		return t.KeepStates(row.ID, row.State, j.row.State)
	}
	return nil
}

// delivery lists the cohort members of a completed exact job that haven't verified its last state yet. A member that has contributed
// holds the job until it has, so one that asks without holding it, or holding its last release, is done.
type delivery map[wire.Member]bool

// tidy removes the uploads of all rounds but the last opened one, whose payloads members fetch to verify the state, and the one in
// progress. A failure costs room, not correctness. The job is locked.
func (e *Engine) tidy(j *job) {
	keep := map[wire.Digest]bool{}
	if j.machine != nil {
		for i := range j.machine.View().Uploads {
			keep[j.machine.View().Uploads[i].Digest()] = true
		}
	}
	inProgress := j.machine != nil && j.machine.View().Plan != nil
	var err error
	if !j.proposal.Private() { // whose members fetch states instead
		err = e.Store.View(context.WithoutCancel(e.stop), func(t *store.Tx) error { return keepLastUploads(t, &j.row, keep) })
	}
	if err == nil && inProgress {
		return // an upload of this round may be half here
	}
	if err == nil {
		err = e.Spool.Keep(j.row.ID, keep)
	}
	if err != nil {
		e.Log.Warn("clean spool", zap.Error(err))
	}
}

func keepLastUploads(t *store.Tx, row *store.Job, keep map[wire.Digest]bool) error {
	if row.PrevRelease.IsZero() {
		return nil
	}
	r, err := t.Release(row.PrevRelease)
	if err != nil {
		return err
	}
	envelopes, err := t.Envelopes(row.ID, r.Round)
	if err != nil {
		return err
	}
	for i := range envelopes {
		if envelopes[i].Kind == wire.TypeUpload {
			keep[envelopes[i].Digest()] = true
		}
	}
	return nil
}

// ended takes a job that is over out of those that run. The job is locked.
func (e *Engine) ended(j *job) {
	e.drop(j.row.ID)
	if j.row.Status != string(round.Completed) || j.proposal.Private() {
		if err := e.Spool.Keep(j.row.ID, nil); err != nil {
			e.Log.Warn("clean spool", zap.Error(err))
		}
		return
	}
	e.await(j.row.ID, j.proposal.Manifest)
}

func (e *Engine) await(id wire.Digest, m *wire.Manifest) {
	d := delivery{}
	for _, member := range m.Cohort {
		d[member] = true
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.done[id] = d
}

// restoreEnded keeps or removes what a finished job left in the spool.
func (e *Engine) restoreEnded(row *store.Job) error {
	if row.Status == string(round.Completed) && e.Now().UnixMilli()-row.EndedMs < keepLast.Milliseconds() {
		env, err := wire.ParseEnvelope(row.Manifest)
		if err != nil {
			return err
		}
		var m wire.Manifest
		if err := env.Open(&m); err != nil {
			return err
		}
		if m.Kind == wire.Exact {
			e.await(row.ID, &m)
			return nil
		}
	}
	return e.Spool.Keep(row.ID, nil)
}

// collect removes the last payloads of the jobs that m, who still has those given to finish, doesn't need, nor anybody else.
func (e *Engine) collect(m wire.Member, unfinished map[wire.Digest]bool) {
	var over []wire.Digest
	e.mu.Lock()
	for id, d := range e.done {
		if !unfinished[id] {
			delete(d, m)
		}
		if len(d) == 0 {
			delete(e.done, id)
			over = append(over, id)
		}
	}
	e.mu.Unlock()
	for _, id := range over {
		if err := e.Spool.Keep(id, nil); err != nil {
			e.Log.Warn("clean spool", zap.Error(err))
		}
	}
}
