package round

import (
	"fmt"

	"tributary/protocol/wire"
)

// View is what a coordinator shows of its machine; slices are the machine's own and must not be changed.
type View struct {
	Snapshot
	Phase    Phase
	Kind     wire.RoundKind // of the round in progress
	Context  wire.Digest
	Deadline uint64
	Closed   bool // all have approved
}

// View shows the machine.
func (c *Coordinator) View() View {
	v := View{Snapshot: c.at, Phase: PhaseIdle, Context: c.ctx, Closed: c.job != nil}
	if c.plan != nil {
		v.Phase, v.Kind, v.Deadline = PhaseUpload, c.plan.Kind, c.plan.DeadlineMs
	}
	if c.roster != nil {
		v.Phase = PhaseOpen
	}
	return v
}

// Proposal is the job's.
func (c *Coordinator) Proposal() *Proposal { return c.proposal }

// NextClock is when the machine next needs a Clock, Unix milliseconds: at once between rounds.
func (c *Coordinator) NextClock() uint64 {
	switch {
	case c.at.Status.Final():
		return 1<<63 - 1
	case c.job == nil && c.proposal.Private() && !c.late:
		return min(c.closeMs(), c.proposal.Manifest.ExpiresMs)
	case c.job == nil:
		return c.proposal.Manifest.ExpiresMs
	case c.plan == nil, c.proposal.Noised() && c.roster != nil && !c.opening: // no seat's task brings a restarted one on
		return 0
	}
	at := c.proposal.Manifest.ExpiresMs
	if c.at.Status == Running && !c.allUploaded() && !c.late {
		at = min(at, c.plan.DeadlineMs)
	}
	if c.quorumMs != 0 && c.roster == nil {
		at = min(at, c.quorumMs+checkGraceMs)
	}
	if c.failedMs != 0 && !c.opening {
		at = min(at, c.failedMs+openGraceMs)
	}
	return at
}

// Holds is what a node says that it holds when it asks for its next task. Whoever serves the question also feeds Checked to the
// machine as CheckedCame, each time: the machine doesn't store it.
type Holds struct {
	Round   uint64 // of the plan that it accepted last
	Phase   TaskPhase
	Checked int
}

// TaskPhase is what a member is asked to do; the numbers are the services' Phase.
type TaskPhase uint8

// The tasks.
const (
	TaskNone    TaskPhase = 0
	TaskApprove TaskPhase = 1
	TaskPlan    TaskPhase = 2
	TaskCheck   TaskPhase = 3
	TaskOpen    TaskPhase = 4
	TaskRelease TaskPhase = 5
)

// Task tells what a member should do next in this job, given what it holds, or TaskNone. object is the envelope that goes with it. Who
// asks isn't absent any more.
func (c *Coordinator) Task(m wire.Member, holds Holds) (phase TaskPhase, object *wire.Envelope) {
	if !c.proposal.NeedsApproval(m) {
		return TaskNone, nil
	}
	delete(c.absent, m)
	if c.at.Status == Completed && holds.Phase != TaskRelease {
		return TaskRelease, nil
	}
	if c.at.Status.Final() {
		return TaskNone, nil
	}
	if c.job != nil && c.job.Seat(m) == 0 && !c.job.Contributes(m) {
		return TaskNone, nil // it didn't approve in time
	}
	if c.job == nil {
		if _, ok := c.approved[m]; ok || holds.Phase == TaskApprove || c.dropped[m] {
			return TaskNone, nil
		}
		return TaskApprove, nil
	}
	if c.plan == nil {
		return TaskNone, nil
	}
	_, uploaded := c.uploads[m]
	waits := c.job.Contributes(m) && !uploaded && !c.dropped[m] && !c.gaveUp[m] && c.roster == nil
	if holds.Round != c.at.Round && (waits || c.job.Seat(m) != 0) || waits {
		return TaskPlan, c.at.Plan
	}
	if c.job.Seat(m) == 0 {
		return TaskNone, nil
	}
	if _, replied := c.replies[m]; c.roster != nil && !replied && !c.refused[m] {
		return TaskOpen, c.at.Roster
	}
	if c.roster == nil && holds.Checked < len(c.at.Uploads) {
		return TaskCheck, nil
	}
	return TaskNone, nil
}

// AcceptsUpload checks an upload's commitment before a byte of it is spooled.
func (c *Coordinator) AcceptsUpload(e *wire.Envelope) (*wire.Upload, error) {
	if c.plan == nil {
		return nil, refuse(RuleContext, "", "no round is open")
	}
	u, err := OpenUpload(c.job, c.plan, e)
	if err != nil {
		return nil, err
	}
	_, here := c.uploads[e.Signer]
	if !here && (c.roster != nil || c.dropped[e.Signer]) {
		return nil, refuse(RuleRoster, "", "this member isn't waited for in this round")
	}
	if c.proposal.Private() && !c.charged[e.Signer] {
		return nil, refuse(RuleBudget, "", "an upload without the charge for it")
	}
	for i := range c.at.Uploads {
		if c.at.Uploads[i].Signer == e.Signer && c.at.Uploads[i].Digest() != e.Digest() {
			return nil, refuse(RuleUpload, "", "this member has uploaded something else in this round")
		}
	}
	return u, nil
}

// Receipt signs that an upload arrived whole.
func (c *Coordinator) Receipt(e *wire.Envelope) (wire.Envelope, error) {
	var u wire.Upload
	if err := e.Open(&u); err != nil {
		return wire.Envelope{}, fmt.Errorf("sign receipt: %w", err)
	}
	return wire.Sign(c.key, &wire.Receipt{Ctx: u.Ctx, Upload: e.Digest()}), nil
}
