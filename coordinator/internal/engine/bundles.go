package engine

import (
	"context"

	"tributary/coordinator/internal/store"
	"tributary/protocol/ledger"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

// member checks that a member has a part in a job, whatever became of it.
func (e *Engine) member(t *store.Tx, id wire.Digest, m wire.Member) (*store.Job, error) {
	row, err := t.Job(id)
	if err != nil {
		return nil, err
	}
	env, err := wire.ParseEnvelope(row.Manifest)
	if err != nil {
		return nil, err
	}
	var manifest wire.Manifest
	if err := env.Open(&manifest); err != nil {
		return nil, err
	}
	p := round.Proposal{Manifest: &manifest}
	if !p.NeedsApproval(m) {
		return nil, fail(Denied, "no-part", "", "this member has no part in job %x", id[:6])
	}
	return row, nil
}

// JobBundle is what a member needs to judge a job: manifest, resolved spec, contract, charter, then the approvals so far.
func (e *Engine) JobBundle(ctx context.Context, id wire.Digest, m wire.Member) (out []byte, err error) {
	err = e.Store.View(ctx, func(t *store.Tx) error {
		row, err := e.member(t, id, m)
		if err != nil {
			return err
		}
		under, err := t.CharterBy(row.Charter)
		if err != nil {
			return err
		}
		b := wire.Bundle{Items: [][]byte{row.Manifest, row.Resolved, row.Contract, under.Envelope.Bytes()}}
		approvals, _, err := answers(t, id)
		for i := range approvals {
			b.Items = append(b.Items, approvals[i].Bytes())
		}
		out = b.Bytes()
		return err
	})
	return out, err
}

// State gives a job's state to a member of it.
func (e *Engine) State(ctx context.Context, id, digest wire.Digest, m wire.Member) (out []byte, err error) {
	err = e.Store.View(ctx, func(t *store.Tx) error {
		if _, err := e.member(t, id, m); err != nil {
			return err
		}
		out, err = t.State(id, digest)
		return err
	})
	return out, err
}

// Evidence is the bundle of all that led to a release.
func (e *Engine) Evidence(ctx context.Context, release wire.Digest, m wire.Member) (out []byte, err error) {
	err = e.Store.View(ctx, func(t *store.Tx) error {
		r, err := t.Release(release)
		if err != nil {
			return err
		}
		if _, err := e.member(t, r.Job, m); err != nil {
			return err
		}
		envelopes, err := t.Envelopes(r.Job, r.Round)
		if err != nil {
			return err
		}
		v, err := evidence(envelopes)
		if err != nil {
			return err
		}
		bundle := v.Bundle()
		out = bundle.Bytes()
		return nil
	})
	return out, err
}

// evidence sorts a round's envelopes, uploads in the roster's order.
func evidence(envelopes []wire.Envelope) (*round.Evidence, error) {
	v := &round.Evidence{}
	uploads := map[wire.Digest]wire.Envelope{}
	var roster wire.Roster
	for _, env := range envelopes {
		switch env.Kind {
		case wire.TypePlan:
			v.Plan = env
		case wire.TypeRoster:
			v.Roster = env
			if err := env.Open(&roster); err != nil {
				return nil, err
			}
		case wire.TypeRelease:
			v.Release = env
		case wire.TypeUpload:
			uploads[env.Digest()] = env
		case wire.TypeShareSum:
			v.ShareSums = append(v.ShareSums, env)
		}
	}
	for _, entry := range roster.Entries {
		env, ok := uploads[entry.Upload]
		if !ok {
			return nil, store.ErrNotFound
		}
		v.Uploads = append(v.Uploads, env)
	}
	return v, nil
}

// ReleaseInLedger shows that a release is in the ledger.
type ReleaseInLedger struct {
	Release    []byte // envelope
	Checkpoint []byte
	Index      int64
	Entry      []byte
	Proof      [][32]byte
}

// Released proves a release under the head of the given size, or of the whole ledger if size is 0.
func (e *Engine) Released(ctx context.Context, release wire.Digest, size int64, m wire.Member) (out ReleaseInLedger, err error) {
	err = e.Store.View(ctx, func(t *store.Tx) error {
		r, err := t.Release(release)
		if err != nil {
			return err
		}
		if _, err := e.member(t, r.Job, m); err != nil {
			return err
		}
		newest, err := t.Size()
		if err != nil {
			return err
		}
		if _, out.Checkpoint, err = e.signedHead(t, newest); err != nil {
			return err
		}
		if size == 0 {
			size = newest
		}
		out.Index = r.Entry
		if out.Release, err = releaseEnvelope(t, r); err != nil {
			return err
		}
		if out.Entry, err = t.ReadEntry(r.Entry); err != nil {
			return err
		}
		out.Proof, err = ledger.ProveInclusion(t, size, r.Entry)
		return err
	})
	return out, err
}
