package engine

import (
	"context"
	"encoding/hex"
	"errors"

	"tributary/coordinator/internal/store"
	"tributary/models/optim"
	"tributary/protocol/charter"
	"tributary/protocol/jobspec"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

// Progress is how one member stands in a job.
type Progress struct {
	Name       string
	Data, Seat bool
	Approved   bool
	Uploaded   bool // in the round in progress
	Opened     bool
	BytesSent  uint64
	Note       string // why it is no longer waited for; empty: it is
}

// Info is a job as people are told of it.
type Info struct {
	store.Job
	Kind    string // of the round in progress
	Phase   string
	Members []Progress
	Private bool
	Cohort  int // members with data
	NMin    int // fewest of them that a sum is opened over
	Roster  int // how many the last opened sum is over, 0 before the first
}

// FindJob resolves a digest in hexadecimal, its unique start, or a unique name.
func (e *Engine) FindJob(ctx context.Context, text string) (id wire.Digest, err error) {
	err = e.Store.View(ctx, func(t *store.Tx) error {
		row, err := t.FindJob(text)
		if err == nil {
			id = row.ID
		}
		return err
	})
	return id, err
}

// Info tells how a job stands.
func (e *Engine) Info(ctx context.Context, id wire.Digest) (out Info, err error) {
	var envelopes, approvals, refusals []wire.Envelope
	var sent map[string]uint64
	var under store.Charter
	err = e.Store.View(ctx, func(t *store.Tx) error {
		row, err := t.Job(id)
		if err != nil {
			return err
		}
		out.Job = *row
		if under, err = t.CharterBy(row.Charter); err != nil {
			return err
		}
		if approvals, refusals, err = answers(t, id); err != nil {
			return err
		}
		if out.Roster, err = lastRoster(t, row); err != nil {
			return err
		}
		if row.Round > 0 {
			if envelopes, err = t.Envelopes(id, row.Round); err != nil {
				return err
			}
		}
		sent, err = t.BytesSent(id)
		return err
	})
	if err != nil {
		return out, err
	}
	env, err := wire.ParseEnvelope(out.Manifest)
	if err != nil {
		return out, err
	}
	var m wire.Manifest
	if err := env.Open(&m); err != nil {
		return out, err
	}
	out.Phase = string(round.PhaseIdle)
	done := map[wire.Type]map[wire.Member]bool{wire.TypeApproval: {}, wire.TypeUpload: {}, wire.TypeShareSum: {}}
	for _, env := range append(approvals, envelopes...) {
		switch env.Kind {
		case wire.TypePlan:
			var plan wire.Plan
			if err := env.Open(&plan); err != nil {
				return out, err
			}
			out.Kind, out.Phase = plan.Kind.String(), string(round.PhaseUpload)
		case wire.TypeRoster:
			out.Phase = string(round.PhaseOpen)
		case wire.TypeRelease, wire.TypeAbort:
			out.Kind, out.Phase = "", string(round.PhaseIdle)
		}
		if d, ok := done[env.Kind]; ok {
			d[env.Signer] = true
		}
	}
	out.Private, out.Cohort, out.NMin = m.Kind == wire.Private, len(m.Cohort), int(m.NMin)
	p, notes := round.Proposal{Manifest: &m}, dropouts(refusals)
	for i := range under.Members {
		key := under.Members[i].Card.Key
		if !p.NeedsApproval(key) {
			continue
		}
		name, note := charter.Name(under.Charter, key), notes[key]
		if note == "" && out.Private && out.Round > 0 && !done[wire.TypeApproval][key] {
			note = "didn't approve in time"
		}
		out.Members = append(out.Members, Progress{Name: name, Data: p.InCohort(key), Seat: p.Seat(key) != 0, Approved: done[wire.TypeApproval][key],
			Uploaded: done[wire.TypeUpload][key], Opened: done[wire.TypeShareSum][key], BytesSent: sent[name], Note: note})
	}
	return out, nil
}

// dropouts says why members left a private job.
func dropouts(refusals []wire.Envelope) map[wire.Member]string {
	out := map[wire.Member]string{}
	for i := range refusals {
		var r wire.Refusal
		if refusals[i].Open(&r) == nil {
			out[refusals[i].Signer] = "dropped out (" + r.Rule + ")"
		}
	}
	return out
}

// lastRoster is how many contributions the last opened sum is over.
func lastRoster(t *store.Tx, row *store.Job) (int, error) {
	if row.PrevRelease.IsZero() {
		return 0, nil
	}
	r, err := t.Release(row.PrevRelease)
	if err != nil {
		return 0, err
	}
	envelopes, err := t.Envelopes(row.ID, r.Round)
	for i := range envelopes {
		if envelopes[i].Kind == wire.TypeRoster {
			return rosterSize(&envelopes[i]), err
		}
	}
	return 0, err
}

// Rows lists jobs, newest first, from a page token on.
func (e *Engine) Rows(ctx context.Context, page string, size int) (out []*store.Job, next string, err error) {
	if size <= 0 || size > 500 {
		size = 100
	}
	err = e.Store.View(ctx, func(t *store.Tx) error {
		var before *store.Job
		if page != "" {
			b, err := hex.DecodeString(page)
			if err != nil || len(b) != len(wire.Digest{}) {
				return fail(Invalid, "page-token", "Start without a page token.", "not a page token")
			}
			if before, err = t.Job(wire.Digest(b)); err != nil {
				return err
			}
		}
		out, err = t.ListJobs(before, size+1)
		return err
	})
	if err == nil && len(out) > size {
		out = out[:size]
		next = hex.EncodeToString(out[size-1].ID[:])
	}
	return out, next, err
}

// Cancel ends a job at an operator's word. A job that is over stays as it is.
func (e *Engine) Cancel(ctx context.Context, id wire.Digest, reason string) error {
	if _, open := e.openJob(id); !open {
		return nil
	}
	err := e.Feed(ctx, id, round.Cancel{Reason: reason})
	var ours *Error
	if errors.As(err, &ours) && ours.Code == "job-over" {
		return nil
	}
	return err
}

// Events lists what happened in a job after event number after, and whether the job is over with the last of them.
func (e *Engine) Events(ctx context.Context, id wire.Digest, after uint64) (out []store.Event, over bool, err error) {
	const page = 500
	err = e.Store.View(ctx, func(t *store.Tx) error {
		row, err := t.Job(id)
		if err != nil {
			return err
		}
		out, err = t.Events(id, after, page)
		over = row.EndedMs != 0 && len(out) < page
		return err
	})
	return out, over, err
}

// MaxTrainRounds is how many TRAIN rounds a job has at most.
func (e *Engine) MaxTrainRounds(ctx context.Context, id wire.Digest) (n int, err error) {
	err = e.Store.View(ctx, func(t *store.Tx) error {
		row, err := t.Job(id)
		if err != nil {
			return err
		}
		r, err := jobspec.ParseResolved(row.Resolved)
		if err == nil {
			n = int(r.Model.MaxRounds)
		}
		return err
	})
	return n, err
}

// Export gives a job's model as JSON.
func (e *Engine) Export(ctx context.Context, id wire.Digest) (out []byte, err error) {
	var row *store.Job
	var state []byte
	err = e.Store.View(ctx, func(t *store.Tx) error {
		if row, err = t.Job(id); err != nil {
			return err
		}
		state, err = t.State(id, row.State)
		return err
	})
	if err != nil {
		return nil, err
	}
	r, err := jobspec.ParseResolved(row.Resolved)
	if err != nil {
		return nil, err
	}
	p, err := optim.ParseProgram(r.Program())
	if err != nil {
		return nil, err
	}
	s, err := p.DecodeState(state)
	if err != nil {
		return nil, err
	}
	out, err = optim.Export(p, s)
	if errors.Is(err, optim.ErrNotFitted) {
		return nil, fail(Precondition, "no-model", "Wait for the first training round.", "job %q has no model yet", row.Name)
	}
	return out, err
}
