package engine

import (
	"context"
	"errors"
	"time"

	"tributary/coordinator/internal/store"
	"tributary/protocol/ledger"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

// Task is what a member should do next: something in a job, or to drop it.
type Task struct {
	Job     wire.Digest
	Round   uint64
	Phase   round.TaskPhase // TaskNone: the job is over without a last release
	Object  []byte          // envelope
	Proof   [][32]byte      // of a plan: from the asked-for ledger size to the plan's
	LeftMs  int64           // until the plan's deadline
	Outcome uint8           // with TaskNone
	Reason  string          // with TaskNone
}

// Asked is what a member says when it asks.
type Asked struct {
	Member     wire.Member
	Holding    map[wire.Digest]round.Holds
	LedgerSize int64 // of the last head that the node saw
	Wait       time.Duration
}

// NextTask waits for something that the member should do, at most a.Wait; nil: nothing.
func (e *Engine) NextTask(ctx context.Context, a Asked) (*Task, error) {
	unfinished := map[wire.Digest]bool{}
	for id, h := range a.Holding {
		unfinished[id] = h.Phase != round.TaskRelease
	}
	e.collect(a.Member, unfinished)
	timer := time.NewTimer(a.Wait)
	defer timer.Stop()
	for {
		changed := e.Changed()
		task, err := e.task(ctx, a)
		if task != nil || err != nil {
			return task, err
		}
		select {
		case <-changed:
		case <-timer.C:
			return nil, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-e.stop.Done():
			return nil, nil
		}
	}
}

func (e *Engine) task(ctx context.Context, a Asked) (*Task, error) {
	for _, j := range e.openJobs() {
		if !j.proposal.NeedsApproval(a.Member) {
			continue
		}
		task, err := e.jobTask(ctx, j, a)
		if task != nil || err != nil {
			return task, err
		}
	}
	for id, holds := range a.Holding {
		if _, open := e.openJob(id); open {
			continue
		}
		task, err := e.lastTask(ctx, id, holds)
		if task != nil || err != nil {
			return task, err
		}
	}
	return nil, nil
}

func (e *Engine) jobTask(ctx context.Context, j *job, a Asked) (*Task, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := e.ready(context.WithoutCancel(ctx), j); err != nil {
		return nil, err
	}
	holds := a.Holding[j.row.ID]
	if j.proposal.Seat(a.Member) != 0 && holds.Checked > 0 {
		if _, err := e.feed(ctx, j, round.CheckedCame{Member: a.Member, Round: holds.Round, Uploads: holds.Checked}); err != nil {
			return nil, err
		}
	}
	phase, object := j.machine.Task(a.Member, holds)
	if phase == round.TaskNone || phase == round.TaskRelease {
		return nil, nil
	}
	view := j.machine.View()
	task := &Task{Job: j.row.ID, Round: view.Round, Phase: phase}
	if left := int64(view.Deadline) - e.Now().UnixMilli(); view.Deadline != 0 {
		task.LeftMs = max(left, 0)
	}
	switch {
	case phase == round.TaskApprove:
		task.Object = j.envelope.Bytes()
	case object != nil:
		task.Object = object.Bytes()
	}
	if phase != round.TaskPlan {
		return task, nil
	}
	var plan wire.Plan
	if err := object.Open(&plan); err != nil {
		return nil, err
	}
	err := e.Store.View(ctx, func(t *store.Tx) (err error) {
		from, to := a.LedgerSize, int64(plan.LedgerSize)
		size, err := t.Size()
		if err != nil {
			return err
		}
		if from > size {
			return fail(Precondition, "ledger", "Compare ledger heads with the other operators: a ledger that lost entries needs a new charter version.",
				"this node saw a ledger of %d entries, there are %d", from, size)
		}
		// A node that saw a later head, with another job's plan, proves the other way round.
		task.Proof, err = ledger.ProveConsistency(t, min(from, to), max(from, to))
		return err
	})
	return task, err
}

// lastTask tells a member that holds a job how it ended.
func (e *Engine) lastTask(ctx context.Context, id wire.Digest, holds round.Holds) (*Task, error) {
	task := &Task{Job: id}
	err := e.Store.View(ctx, func(t *store.Tx) error {
		row, err := t.Job(id)
		if err != nil {
			return err
		}
		task.Round, task.Reason = row.Round, row.Reason
		switch round.Status(row.Status) {
		case round.Completed:
			task.Outcome = wire.OutcomeCompleted
		case round.Aborted:
			task.Outcome = wire.OutcomeAborted
		case round.Cancelled:
			task.Outcome = wire.OutcomeCancelled
		case round.Expired:
			task.Outcome = wire.OutcomeExpired
		default:
			task = nil // it is being taken up again
			return nil
		}
		if task.Outcome != wire.OutcomeCompleted {
			return nil
		}
		if holds.Phase == round.TaskRelease {
			task = nil
			return nil
		}
		task.Phase = round.TaskRelease
		r, err := t.Release(row.PrevRelease)
		if err != nil {
			return err
		}
		task.Object, err = releaseEnvelope(t, r)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return &Task{Job: id, Outcome: wire.OutcomeAborted, Reason: "the coordinator doesn't know this job"}, nil
	}
	return task, err
}

func releaseEnvelope(t *store.Tx, r store.Release) ([]byte, error) {
	envelopes, err := t.Envelopes(r.Job, r.Round)
	if err != nil {
		return nil, err
	}
	for i := range envelopes {
		if envelopes[i].Kind == wire.TypeRelease {
			return envelopes[i].Bytes(), nil
		}
	}
	return nil, store.ErrNotFound
}
