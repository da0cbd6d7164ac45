package engine

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"tributary/coordinator/internal/store"
	"tributary/protocol/charter"
	"tributary/protocol/ledger"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

// job is an open job.
type job struct {
	proposal *round.Proposal // immutable
	envelope wire.Envelope   // of the manifest; immutable

	mu        sync.Mutex
	row       store.Job          // guarded by mu; as stored
	model     *model             // guarded by mu
	machine   *round.Coordinator // guarded by mu; nil when it must be restored from the store
	kick      bool               // guarded by mu; a Clock is due whatever the machine says
	notBefore time.Time          // guarded by mu; no Clock before
}

// Feed gives an input to an open job and carries out its effects. *round.Refused errors are the sender's.
func (e *Engine) Feed(ctx context.Context, id wire.Digest, in round.CoordinatorInput) error {
	j, ok := e.openJob(id)
	if !ok {
		return fail(Precondition, "job-over", "Ask for the next task.", "job %x isn't open", id[:4])
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	_, err := e.feed(ctx, j, in)
	return err
}

// feed is Feed with the job locked; it tells how many effects there were.
func (e *Engine) feed(ctx context.Context, j *job, in round.CoordinatorInput) (int, error) {
	ctx = context.WithoutCancel(ctx) // a caller that goes away doesn't undo a commit
	if err := e.ready(ctx, j); err != nil {
		return 0, err
	}
	if j.row.EndedMs != 0 {
		return 0, nil
	}
	now := round.Now{Ms: e.nowMs()}
	if _, ok := in.(round.Clock); ok {
		head, err := e.Head(ctx)
		if err != nil {
			return 0, err
		}
		now.Head = head
	}
	j.model.report = nil
	effects, err := e.step(j, now, in)
	if err != nil {
		var refused *round.Refused
		if !errors.As(err, &refused) {
			e.forget(j)
		}
		return 0, err
	}
	if len(effects) == 0 {
		if _, ok := in.(round.CheckedCame); ok { // it has no effect, but may begin the grace that the clock must end
			select {
			case e.wake <- struct{}{}:
			default:
			}
		}
		return 0, nil
	}
	if err := e.persist(ctx, j, in, effects); err != nil {
		e.forget(j)
		return 0, fmt.Errorf("store %s: %w", inputName(in), err)
	}
	e.afterwards(j, effects)
	return len(effects), nil
}

// step gives the machine an input. What a member sends must not stop the coordinator for the others: a broken invariant in the
// machine throws the machine away, like an error.
func (e *Engine) step(j *job, now round.Now, in round.CoordinatorInput) (effects []round.CoordinatorEffect, err error) {
	defer func() {
		if broken := recover(); broken != nil {
			err = fmt.Errorf("round machine: %v", broken)
			e.Log.Error("round machine", zap.Any("panic", broken), zap.Stack("stack"))
		}
	}()
	return j.machine.Step(now, in)
}

// ready restores the job's machine if it was thrown away. The job is locked.
func (e *Engine) ready(ctx context.Context, j *job) error {
	if j.machine != nil {
		return nil
	}
	return e.reload(ctx, j)
}

// forget throws the machine away: it may be ahead of the store. Whoever needs it next restores it, at the latest the clock.
func (e *Engine) forget(j *job) {
	j.machine = nil
	e.changed()
}

// persist stores all effects of one input in one transaction.
func (e *Engine) persist(ctx context.Context, j *job, in round.CoordinatorInput, effects []round.CoordinatorEffect) error {
	row := j.row
	var told Metrics
	reported := j.model.report != nil
	if reported {
		var err error
		if told, err = j.model.metrics(j.model.report, j.machine.View().State); err != nil {
			return err
		}
		row.Metrics, row.Converged = told.json(), told.Converged
		if told.Objective != 0 {
			row.Objective = told.Objective
		}
	}
	at := e.nowMs()
	err := e.Store.Update(ctx, "commit/"+inputName(in), func(t *store.Tx) error {
		for _, effect := range effects {
			switch f := effect.(type) {
			case round.Store:
				if err := storeEnvelope(t, row.ID, f); err != nil {
					return err
				}
			case round.Log:
				if f.Kind == ledger.Charge {
					if err := e.storeCharge(t, f.Object); err != nil {
						return err
					}
					continue
				}
				index, err := e.logEntry(t, f.Kind, f.Object)
				if err != nil {
					return err
				}
				if f.Kind == ledger.Release {
					if err := storeRelease(t, row.ID, f.Object, index); err != nil {
						return err
					}
				}
			case round.Advance:
				row.Status, row.Reason, row.Round, row.Step, row.Failures = string(f.Status), f.Reason, f.Round, f.Step, f.Failures
				row.PrevRelease, row.PrevContext, row.State = f.PrevRelease, f.PrevContext, round.StateDigest(f.State)
				if f.Status.Final() {
					row.EndedMs = int64(at)
				}
				if err := t.PutState(row.ID, row.State, f.State); err != nil {
					return err
				}
				if err := dropStates(t, j, &row); err != nil {
					return err
				}
			case round.Note:
				ev := e.event(j, f, int64(at))
				if f.Phase == "apply" && reported {
					brief := told
					brief.Scores, brief.LabelBins = nil, nil
					ev.Loss, ev.Metrics, ev.Message = told.Objective, brief.json(), told.Note
				}
				ev.Status = string(j.machine.View().Status)
				if err := t.PutEvent(row.ID, &ev); err != nil {
					return err
				}
			}
		}
		return t.AdvanceJob(&row)
	})
	if err == nil {
		j.row = row
	}
	return err
}

func storeEnvelope(t *store.Tx, job wire.Digest, f round.Store) error {
	var ref wire.Digest
	if f.Envelope.Kind == wire.TypeUpload {
		var u wire.Upload
		if err := f.Envelope.Open(&u); err != nil {
			return err
		}
		ref = u.PayloadDigest
	}
	return t.PutEnvelope(job, f.Round, &f.Envelope, ref)
}

func storeRelease(t *store.Tx, job wire.Digest, object []byte, index int64) error {
	env, err := wire.ParseEnvelope(object)
	if err != nil {
		return err
	}
	var r wire.Release
	if err := env.Open(&r); err != nil {
		return err
	}
	return t.PutRelease(store.Release{Digest: r.Digest(), Job: job, Round: r.Round, Entry: index})
}

func (e *Engine) event(j *job, n round.Note, at int64) store.Event {
	ev := store.Event{AtMs: at, Round: n.Round, Step: n.Step, Phase: n.Phase, Bytes: n.Bytes, Message: n.Message}
	if n.Kind != 0 {
		ev.Kind = n.Kind.String()
	}
	if !n.Member.IsZero() {
		ev.Member = charter.Name(j.proposal.Charter, n.Member)
	}
	if n.Phase == "open" && n.Member.IsZero() && j.proposal.Private() {
		if size := rosterSize(j.machine.View().Roster); size > 0 && strings.HasPrefix(n.Message, "roster closed") {
			ev.Message += fmt.Sprintf(", %d of %d contribute", size, len(j.proposal.Manifest.Cohort))
		}
	}
	if n.Phase == "upload" {
		ev.Bytes += uint64(len(j.proposal.Manifest.Committee)) * shareBytes
	}
	return ev
}

// rosterSize is how many contributions a sum is over, 0 without a roster.
func rosterSize(e *wire.Envelope) int {
	var r wire.Roster
	if e == nil || e.Open(&r) != nil {
		return 0
	}
	return len(r.Entries)
}

// afterwards does what follows from stored effects: an opening, room in the spool, word to those who wait.
func (e *Engine) afterwards(j *job, effects []round.CoordinatorEffect) {
	for _, effect := range effects {
		switch f := effect.(type) {
		case round.OpenNow:
			e.open(j)
		case round.Store:
			if f.Envelope.Kind == wire.TypeRelease || f.Envelope.Kind == wire.TypeAbort {
				e.tidy(j)
			}
		case round.Note:
			e.Log.Info("job", zap.String("job", hex.EncodeToString(j.row.ID[:6])), zap.Uint64("round", f.Round), zap.String("phase", f.Phase))
		}
	}
	if j.row.EndedMs != 0 {
		e.ended(j)
	}
	e.changed()
}

// open runs an opening beside the job and feeds back what came of it, unless the round is over by then.
func (e *Engine) open(j *job) {
	machine, ctx := j.machine, j.machine.View().Context
	id := j.row.ID
	run := machine.Open(func(payload wire.Digest) ([]byte, error) { return e.payload(id, payload) })
	e.work.Add(1)
	go func() {
		defer e.work.Done()
		opening, err := guarded(run)
		j.mu.Lock()
		defer j.mu.Unlock()
		if j.machine != machine || machine.View().Context != ctx {
			return
		}
		var in round.CoordinatorInput = round.Opened{Opening: opening}
		if err != nil {
			in = round.NotOpened{Err: err}
		}
		if _, err := e.feed(e.stop, j, in); err != nil {
			e.logJob(j, "opening", err)
			j.kick = true
			e.changed()
		}
	}()
}

// guarded turns a panic over what members sent into an opening that failed: it must not take the coordinator down.
func guarded(run func() (*round.Opening, error)) (opening *round.Opening, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("opening stopped: %v", p)
		}
	}()
	return run()
}

// payload finds a spooled payload by its digest.
func (e *Engine) payload(job, digest wire.Digest) ([]byte, error) {
	var upload wire.Digest
	err := e.Store.View(context.WithoutCancel(e.stop), func(t *store.Tx) (err error) {
		upload, err = t.UploadOf(job, digest)
		return err
	})
	var data []byte
	if err == nil {
		data, err = e.Spool.Read(job, upload, 0)
	}
	if err != nil { // the round quotes its reason in the ledger: it must not name paths
		e.Log.Error("read payload", zap.Error(err))
		return nil, errPayload
	}
	return data, nil
}

var errPayload = errors.New("the coordinator can't read a payload that it received")

func (e *Engine) logJob(j *job, what string, err error) {
	e.Log.Warn("job", zap.String("job", hex.EncodeToString(j.row.ID[:6])), zap.String("input", what), zap.Error(err))
}

// inputName names an input in persist points.
func inputName(in round.CoordinatorInput) string {
	switch in.(type) {
	case round.ApprovalCame:
		return "approval"
	case round.UploadCame:
		return "upload"
	case round.CheckedCame:
		return "checked"
	case round.ChargeCame:
		return "charge"
	case round.ComplaintCame:
		return "complaint"
	case round.ShareSumCame:
		return "share-sum"
	case round.RefusalCame:
		return "refusal"
	case round.Cancel:
		return "cancel"
	case round.Revoked:
		return "revoked"
	case round.Opened:
		return "opened"
	case round.NotOpened:
		return "not-opened"
	}
	return "clock"
}
