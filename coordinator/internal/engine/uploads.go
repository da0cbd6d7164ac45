package engine

import (
	"context"
	"io"

	"tributary/coordinator/internal/store"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

// maxRefusal bounds a refusal's text, so that what is said of it fits the objects that quote it.
const maxRefusal = 1024

// locked runs f on an open job's machine.
func (e *Engine) locked(id wire.Digest, f func(*job) error) error {
	j, ok := e.openJob(id)
	if !ok {
		return fail(Precondition, "job-over", "Ask for the next task.", "job %x isn't open", id[:6])
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := e.ready(context.WithoutCancel(e.stop), j); err != nil {
		return err
	}
	return f(j)
}

// BeginUpload checks an upload's commitment and makes room for it. Nothing is spooled for a commitment that the round refuses.
func (e *Engine) BeginUpload(id wire.Digest, env wire.Envelope) (*store.Parcel, error) {
	p := &store.Parcel{Job: id, Envelope: env, Share: shareBytes}
	err := e.locked(id, func(j *job) error {
		u, err := j.machine.AcceptsUpload(&env)
		if err != nil {
			return err
		}
		p.Upload = *u
		return e.Spool.Begin(p)
	})
	return p, err
}

// EndUpload checks that all is there, makes it durable, tells the round and signs the receipt.
func (e *Engine) EndUpload(ctx context.Context, p *store.Parcel) ([]byte, error) {
	if err := e.Spool.Complete(p); err != nil {
		return nil, err
	}
	var receipt wire.Envelope
	err := e.locked(p.Job, func(j *job) error {
		if _, err := e.feed(ctx, j, round.UploadCame{Envelope: p.Envelope}); err != nil {
			return err
		}
		var err error
		receipt, err = j.machine.Receipt(&p.Envelope)
		return err
	})
	if err != nil {
		return nil, err
	}
	return receipt.Bytes(), nil
}

// UploadStatus tells how far an upload is, with the receipt once it has arrived.
type UploadStatus struct {
	Payload int64 // bytes
	Shares  int
	Receipt []byte
}

// Uploaded tells how far the upload with that digest is. Unknown ones are at 0.
func (e *Engine) Uploaded(id, upload wire.Digest, m wire.Member) (out UploadStatus, err error) {
	err = e.locked(id, func(j *job) error {
		for _, env := range j.machine.View().Uploads {
			if env.Digest() != upload || env.Signer != m {
				continue
			}
			receipt, err := j.machine.Receipt(&env)
			out.Receipt = receipt.Bytes()
			return err
		}
		p := &store.Parcel{Job: id, Share: shareBytes, Upload: wire.Upload{ShareDigests: make([]wire.Digest, len(j.proposal.Manifest.Committee))}}
		kind := j.machine.View().Kind
		if kind != 0 {
			p.Upload.PayloadLen = uint64(j.proposal.PayloadBytes(kind))
		}
		out.Payload, out.Shares = e.Spool.Status(p, upload)
		return nil
	})
	return out, err
}

// SealedShare is one upload's commitment and the share that it seals to one seat.
type SealedShare struct {
	Upload wire.Envelope
	Sealed []byte
}

// Shares calls f for each sealed share of the open round that is meant for m's own seat, in order of arrival, without the first
// after ones.
func (e *Engine) Shares(id, ctx wire.Digest, m wire.Member, after int, f func(SealedShare) error) error {
	var uploads []wire.Envelope
	var seat uint16
	err := e.locked(id, func(j *job) error {
		v := j.machine.View()
		seat = j.proposal.Seat(m)
		switch {
		case seat == 0:
			return fail(Denied, "no-seat", "", "this member has no seat in job %x", id[:6])
		case v.Context != ctx || ctx.IsZero():
			return fail(Precondition, "context", "Ask for the next task.", "that round isn't open")
		}
		uploads = append(uploads, v.Uploads...)
		return nil
	})
	if err != nil {
		return err
	}
	for i := max(after, 0); i < len(uploads); i++ {
		sealed, err := e.Spool.Read(id, uploads[i].Digest(), store.Part(seat))
		if err != nil {
			return err
		}
		if err := f(SealedShare{uploads[i], sealed}); err != nil {
			return err
		}
	}
	return nil
}

// Payload opens a spooled payload for a member of the job that verifies a sum.
func (e *Engine) Payload(ctx context.Context, id, payload wire.Digest, m wire.Member) (f io.ReadSeekCloser, err error) {
	var upload wire.Digest
	err = e.Store.View(ctx, func(t *store.Tx) error {
		if _, err := e.member(t, id, m); err != nil {
			return err
		}
		upload, err = t.UploadOf(id, payload)
		return err
	})
	if err != nil {
		return nil, err
	}
	return e.Spool.Open(id, upload, 0)
}

// Put takes a member's approval, complaint, share sum, refusal, account, charge or policy.
func (e *Engine) Put(ctx context.Context, env wire.Envelope) error {
	var in round.CoordinatorInput
	var id wire.Digest
	switch env.Kind {
	case wire.TypeAccount:
		return e.putAccount(ctx, env)
	case wire.TypeCharge:
		return e.putCharge(ctx, env)
	case wire.TypePolicy:
		return e.putPolicy(ctx, env)
	case wire.TypeApproval:
		var a wire.Approval
		if err := env.Open(&a); err != nil {
			return err
		}
		in, id = round.ApprovalCame{Envelope: env}, a.Job
	case wire.TypeRefusal:
		var r wire.Refusal
		if err := env.Open(&r); err != nil {
			return err
		}
		if n := len(r.Phase) + len(r.Rule) + len(r.Hint); n > maxRefusal {
			return fail(Invalid, "refusal", "", "a refusal of %d bytes, at most %d", n, maxRefusal)
		}
		in, id = round.RefusalCame{Envelope: env}, r.Job
	case wire.TypeComplaint:
		var o wire.Complaint
		if err := env.Open(&o); err != nil {
			return err
		}
		in, id = round.ComplaintCame{Envelope: env}, e.jobOf(o.Ctx)
	case wire.TypeShareSum:
		var s wire.ShareSum
		if err := env.Open(&s); err != nil {
			return err
		}
		in, id = round.ShareSumCame{Envelope: env}, e.jobOf(s.Ctx)
	default:
		return fail(Invalid, "type", "", "a %s isn't put", env.Kind)
	}
	if id.IsZero() {
		return fail(Precondition, "context", "Ask for the next task.", "%s for a round that isn't open", env.Kind)
	}
	return e.Feed(ctx, id, in)
}

// jobOf finds the open job whose round in progress has that context; zero: none.
func (e *Engine) jobOf(ctx wire.Digest) wire.Digest {
	if ctx.IsZero() {
		return wire.Digest{}
	}
	for _, j := range e.openJobs() {
		j.mu.Lock()
		found := e.ready(context.WithoutCancel(e.stop), j) == nil && j.machine.View().Context == ctx
		j.mu.Unlock()
		if found {
			return j.proposal.Job
		}
	}
	return wire.Digest{}
}
