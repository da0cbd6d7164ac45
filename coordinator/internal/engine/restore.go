package engine

import (
	"context"
	"encoding/hex"

	"go.uber.org/zap"

	"tributary/coordinator/internal/store"
	"tributary/protocol/jobspec"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

// restore loads the jobs that aren't over, and makes room in the spool where a crash left something.
func (e *Engine) restore(ctx context.Context) error {
	var open, ended []*store.Job
	err := e.Store.View(ctx, func(t *store.Tx) (err error) {
		if open, err = t.OpenJobs(); err != nil {
			return err
		}
		ended, err = t.EndedJobs()
		return err
	})
	if err != nil {
		return err
	}
	for _, row := range open {
		j, err := e.load(ctx, row)
		if err != nil { // one job that can't be read must not keep the others from going on; it stays as it is stored
			e.Log.Error("a stored job can't be restored and is left out", zap.String("job", hex.EncodeToString(row.ID[:6])), zap.Error(err))
			continue
		}
		e.add(j)
		e.tidy(j)
	}
	for _, row := range ended {
		if err := e.restoreEnded(row); err != nil {
			e.Log.Error("what an ended job left can't be tidied", zap.String("job", hex.EncodeToString(row.ID[:6])), zap.Error(err))
		}
	}
	return nil
}

// load makes the job of a stored row.
func (e *Engine) load(ctx context.Context, row *store.Job) (*job, error) {
	j, err := e.describe(ctx, row)
	if err != nil {
		return nil, err
	}
	return j, e.reload(ctx, j)
}

// describe is load without the machine.
func (e *Engine) describe(ctx context.Context, row *store.Job) (*job, error) {
	resolved, err := jobspec.ParseResolved(row.Resolved)
	if err != nil {
		return nil, err
	}
	m, err := newModel(resolved.Program())
	if err != nil {
		return nil, err
	}
	env, err := wire.ParseEnvelope(row.Manifest)
	if err != nil {
		return nil, err
	}
	var under store.Charter
	if err := e.Store.View(ctx, func(t *store.Tx) error {
		under, err = t.CharterBy(row.Charter)
		return err
	}); err != nil {
		return nil, err
	}
	p, err := round.OpenManifest(under.Charter, m, termsOf(resolved), &env)
	if err != nil {
		return nil, err
	}
	return &job{proposal: p, envelope: env, row: *row, model: m}, nil
}

// reload rebuilds the job's machine from the store. The job is locked, or not shown to anyone yet.
func (e *Engine) reload(ctx context.Context, j *job) error {
	var s round.Snapshot
	var row *store.Job
	var members []store.Member
	err := e.Store.View(ctx, func(t *store.Tx) (err error) {
		if row, err = t.Job(j.row.ID); err != nil {
			return err
		}
		if members, err = t.Members(); err != nil {
			return err
		}
		s, err = snapshot(t, row)
		return err
	})
	if err != nil {
		return err
	}
	machine, err := round.RestoreCoordinator(e.Key, j.proposal, s)
	if err != nil {
		return err
	}
	j.row, j.machine, j.kick = *row, machine, true
	for i := range members {
		key := members[i].Card.Key
		if members[i].RevokedMs == 0 || !j.proposal.NeedsApproval(key) || row.EndedMs != 0 {
			continue
		}
		if _, err := e.feed(ctx, j, round.Revoked{Member: key}); err != nil {
			return err
		}
	}
	return nil
}

// answers reads what members said to the proposal: who approved, and who dropped out of a private job, then or later.
func answers(t *store.Tx, job wire.Digest) (approvals, refusals []wire.Envelope, err error) {
	all, err := t.Envelopes(job, 0)
	for i := range all {
		if all[i].Kind == wire.TypeRefusal {
			refusals = append(refusals, all[i])
		} else {
			approvals = append(approvals, all[i])
		}
	}
	return approvals, refusals, err
}

// snapshot reads what a machine goes on from.
func snapshot(t *store.Tx, row *store.Job) (round.Snapshot, error) {
	s := round.Snapshot{Status: round.Status(row.Status), Reason: row.Reason, Step: row.Step, PrevRelease: row.PrevRelease,
		PrevContext: row.PrevContext, Round: row.Round, Failures: row.Failures, ProposedMs: uint64(row.SubmittedMs)}
	var err error
	if s.State, err = t.State(row.ID, row.State); err != nil {
		return s, err
	}
	if s.Approvals, s.Refusals, err = answers(t, row.ID); err != nil {
		return s, err
	}
	if row.Round == 0 {
		return s, nil
	}
	envelopes, err := t.Envelopes(row.ID, row.Round)
	if err != nil {
		return s, err
	}
	for i := range envelopes {
		if k := envelopes[i].Kind; k == wire.TypeRelease || k == wire.TypeAbort {
			return s, nil // between rounds
		}
	}
	for i := range envelopes {
		switch envelopes[i].Kind {
		case wire.TypePlan:
			s.Plan = &envelopes[i]
		case wire.TypeUpload:
			s.Uploads = append(s.Uploads, envelopes[i])
		case wire.TypeCharge:
			s.Charges = append(s.Charges, envelopes[i])
		case wire.TypeComplaint:
			s.Complaints = append(s.Complaints, envelopes[i])
		case wire.TypeRoster:
			s.Roster = &envelopes[i]
		case wire.TypeShareSum:
			s.ShareSums = append(s.ShareSums, envelopes[i])
		}
	}
	return s, nil
}
