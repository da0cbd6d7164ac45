package round

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"tributary/crypto/identity"
	"tributary/crypto/secagg"
	"tributary/protocol/charter"
	"tributary/protocol/ledger"
	"tributary/protocol/wire"
)

// Status is how a job stands.
type Status string

// The statuses; the last four are final.
const (
	Proposed  Status = "proposed" // waiting for approvals
	Running   Status = "running"
	Paused    Status = "paused" // a member is missing after the plan's deadline
	Completed Status = "completed"
	Aborted   Status = "aborted"
	Cancelled Status = "cancelled"
	Expired   Status = "expired"
)

// Final reports whether nothing more happens in the job.
func (s Status) Final() bool { return s != Proposed && s != Running && s != Paused }

// Phase is where a round stands.
type Phase string

// The phases, in order.
const (
	PhaseIdle   Phase = "idle" // between rounds
	PhaseUpload Phase = "upload"
	PhaseOpen   Phase = "open"
)

const (
	maxFailures  = 3    // consecutive uploaded rounds that weren't opened end the job
	checkGraceMs = 2000 // how long the roster waits for slow seats once a quorum has checked
	openGraceMs  = 5000 // how long a failed opening waits for the replies still missing
)

// Snapshot is the durable truth of one job at the coordinator: what RestoreCoordinator goes on from.
type Snapshot struct {
	Status      Status
	Reason      string
	State       []byte
	Step        uint32
	PrevRelease wire.Digest
	PrevContext wire.Digest // of the round that gave State
	Round       uint64      // the highest used
	Failures    int
	Approvals   []wire.Envelope
	// Of the round in progress; Plan is nil between rounds.
	Plan       *wire.Envelope
	Uploads    []wire.Envelope // in order of arrival
	Complaints []wire.Envelope
	Roster     *wire.Envelope
	ShareSums  []wire.Envelope
}

// Inputs to Coordinator.Step; envelopes come from members.
type (
	ApprovalCame struct{ Envelope wire.Envelope }
	UploadCame   struct{ Envelope wire.Envelope } // its payload and shares are spooled, synced
	CheckedCame  struct {
		Member  wire.Member
		Round   uint64
		Uploads int // how many of the round's uploads, in order of arrival, its seat has checked
	}
	ComplaintCame struct{ Envelope wire.Envelope }
	ShareSumCame  struct{ Envelope wire.Envelope }
	RefusalCame   struct{ Envelope wire.Envelope }
	Cancel        struct{ Reason string }
	Revoked       struct{ Member wire.Member }
	// Opened and NotOpened answer the OpenNow effect.
	Opened    struct{ Opening *Opening }
	NotOpened struct{ Err error }
	// Clock makes deadlines fall and starts the next round.
	Clock struct{}
)

// CoordinatorInput is one of the inputs above.
type CoordinatorInput interface{ coordinatorInput() }

func (ApprovalCame) coordinatorInput()  {}
func (UploadCame) coordinatorInput()    {}
func (CheckedCame) coordinatorInput()   {}
func (ComplaintCame) coordinatorInput() {}
func (ShareSumCame) coordinatorInput()  {}
func (RefusalCame) coordinatorInput()   {}
func (Cancel) coordinatorInput()        {}
func (Revoked) coordinatorInput()       {}
func (Opened) coordinatorInput()        {}
func (NotOpened) coordinatorInput()     {}
func (Clock) coordinatorInput()         {}

// Now is the time, Unix milliseconds, and the ledger's head at an input.
type Now struct {
	Ms   uint64
	Head ledger.Head
}

// Effects of Coordinator.Step. All effects of one call are stored in one transaction; only then may anything be shown to anyone.
type (
	// Store keeps an envelope of the round in progress (approvals: of the job).
	Store struct {
		Round    uint64
		Envelope wire.Envelope
	}
	// Log appends an object to the ledger.
	Log struct {
		Kind   ledger.Kind
		Object []byte
	}
	// Advance records the job as it now stands.
	Advance struct {
		Status      Status
		Reason      string
		Round       uint64
		Step        uint32
		State       []byte
		PrevRelease wire.Digest
		PrevContext wire.Digest
		Failures    int
	}
	// OpenNow asks for Coordinator.Open to be run outside the transaction and its answer to be fed back.
	OpenNow struct{}
	// Note is for whoever watches.
	Note struct {
		Round   uint64
		Step    uint32
		Kind    wire.RoundKind
		Phase   string
		Member  wire.Member
		Message string
		Bytes   uint64
	}
)

// CoordinatorEffect is one of the effects above.
type CoordinatorEffect interface{ coordinatorEffect() }

func (Store) coordinatorEffect()   {}
func (Log) coordinatorEffect()     {}
func (Advance) coordinatorEffect() {}
func (OpenNow) coordinatorEffect() {}
func (Note) coordinatorEffect()    {}

// Coordinator runs one job. It isn't safe for concurrent use.
type Coordinator struct {
	key      *identity.Key
	proposal *Proposal
	job      *Job // nil until all have approved
	at       Snapshot
	approved map[wire.Member]wire.Envelope

	plan      *wire.Plan
	ctx       wire.Digest
	uploads   map[wire.Member]*wire.Upload
	roster    *wire.Roster
	replies   map[wire.Member]secagg.Reply
	refused   map[wire.Member]bool // seats that won't open this round
	revoked   map[wire.Member]bool
	checked   map[wire.Member]int
	quorumMs  uint64 // when a quorum had checked all uploads
	failedMs  uint64 // when an opening last failed
	opening   bool
	triedWith int
	out       []CoordinatorEffect
}

// NewCoordinator starts a job from its proposal.
func NewCoordinator(key *identity.Key, p *Proposal) *Coordinator {
	c := &Coordinator{key: key, proposal: p, at: Snapshot{Status: Proposed, State: p.model.InitialState()},
		approved: map[wire.Member]wire.Envelope{}, revoked: map[wire.Member]bool{}}
	c.clearRound()
	return c
}

// RestoreCoordinator goes on from what is stored.
func RestoreCoordinator(key *identity.Key, p *Proposal, s Snapshot) (*Coordinator, error) {
	c := NewCoordinator(key, p)
	c.at = s
	for i := range s.Approvals {
		if _, err := OpenApproval(p, &s.Approvals[i]); err != nil {
			return nil, fmt.Errorf("restore job: %w", err)
		}
		c.approved[s.Approvals[i].Signer] = s.Approvals[i]
	}
	if s.Status == Proposed || s.Plan == nil && len(s.Approvals) < len(p.needed()) {
		return c, nil
	}
	var err error
	if c.job, err = Close(p, s.Approvals); err != nil {
		return nil, fmt.Errorf("restore job: %w", err)
	}
	if s.Plan == nil {
		return c, nil
	}
	if c.plan, err = OpenPlan(c.job, s.Plan); err != nil {
		return nil, fmt.Errorf("restore round: %w", err)
	}
	c.ctx = c.plan.Context(c.job.Closed)
	for i := range s.Uploads {
		if c.uploads[s.Uploads[i].Signer], err = OpenUpload(c.job, c.plan, &s.Uploads[i]); err != nil {
			return nil, fmt.Errorf("restore round: %w", err)
		}
	}
	if s.Roster == nil {
		return c, nil
	}
	if c.roster, err = OpenRoster(c.job, c.plan, s.Roster); err != nil {
		return nil, fmt.Errorf("restore round: %w", err)
	}
	for i := range s.ShareSums {
		if c.replies[s.ShareSums[i].Signer], err = OpenShareSum(c.job, c.ctx, c.roster.Root(), &s.ShareSums[i]); err != nil {
			return nil, fmt.Errorf("restore round: %w", err)
		}
	}
	return c, nil
}

func (c *Coordinator) clearRound() {
	c.plan, c.ctx, c.roster = nil, wire.Digest{}, nil
	c.uploads, c.replies = map[wire.Member]*wire.Upload{}, map[wire.Member]secagg.Reply{}
	c.refused, c.checked = map[wire.Member]bool{}, map[wire.Member]int{}
	c.quorumMs, c.failedMs, c.opening, c.triedWith = 0, 0, false, 0
	c.at.Plan, c.at.Roster, c.at.Uploads, c.at.Complaints, c.at.ShareSums = nil, nil, nil, nil, nil
}

// Step takes one input. After an error the machine may only be thrown away and restored, unless the error is *Refused: then
// nothing has changed.
func (c *Coordinator) Step(now Now, in CoordinatorInput) ([]CoordinatorEffect, error) {
	if c.at.Status.Final() {
		return nil, nil
	}
	c.out = nil
	var err error
	switch in := in.(type) {
	case ApprovalCame:
		err = c.approvalCame(&in.Envelope)
	case UploadCame:
		err = c.uploadCame(&in.Envelope)
	case CheckedCame:
		c.checkedCame(now, in)
	case ComplaintCame:
		err = c.complaintCame(&in.Envelope)
	case ShareSumCame:
		err = c.shareSumCame(&in.Envelope)
	case RefusalCame:
		err = c.refusalCame(&in.Envelope)
	case Opened:
		err = c.opened(in.Opening)
	case NotOpened:
		c.notOpened(now, in.Err)
	case Cancel:
		c.finish(Cancelled, in.Reason)
	case Revoked:
		c.revokedNow(in.Member)
	case Clock:
		c.clock(now)
	default:
		err = errors.New("round: unknown input")
	}
	if err != nil {
		return nil, err
	}
	if !c.at.Status.Final() {
		c.maybeClose(now)
		c.maybeOpen(now)
	}
	return c.out, nil
}

func (c *Coordinator) approvalCame(e *wire.Envelope) error {
	a, err := OpenApproval(c.proposal, e)
	if err != nil {
		return err
	}
	if old, ok := c.approved[a.Member]; ok {
		if old.Digest() == e.Digest() {
			return nil
		}
		return refuse(RuleApprovals, "", "%s has approved before, with another key", charter.Name(c.proposal.Charter, a.Member))
	}
	if c.job != nil {
		return refuse(RuleClosed, "", "the job is closed")
	}
	c.approved[a.Member] = *e
	c.at.Approvals = append(c.at.Approvals, *e)
	c.emit(Store{0, *e}, Log{ledger.Approval, e.Bytes()}, c.note("approve", a.Member, "approved"))
	if len(c.approved) < len(c.proposal.needed()) {
		return nil
	}
	if c.job, err = Close(c.proposal, c.at.Approvals); err != nil {
		return err
	}
	c.at.Status = Running
	c.emit(c.advance(), c.note("approve", wire.Member{}, "all have approved"))
	return nil
}

// startRound signs the plan of the state's next round.
func (c *Coordinator) startRound(now Now) {
	kind, step, err := c.proposal.model.Inspect(c.at.State)
	if err != nil {
		c.finish(Aborted, fmt.Sprintf("the stored state doesn't parse: %v", err))
		return
	}
	c.clearRound()
	c.at.Round++
	c.plan = &wire.Plan{Job: c.job.Job, Round: c.at.Round, Step: step, Kind: wire.RoundKind(kind), StateDigest: StateDigest(c.at.State),
		PrevRelease: c.at.PrevRelease, DeadlineMs: now.Ms + uint64(c.job.Manifest.RoundMs), LedgerSize: uint64(now.Head.Size), LedgerRoot: now.Head.Root}
	e := wire.Sign(c.key, c.plan)
	c.at.Plan, c.ctx = &e, c.plan.Context(c.job.Closed)
	c.emit(Store{c.at.Round, e}, c.advance(), c.note("plan", wire.Member{}, ""))
}

func (c *Coordinator) uploadCame(e *wire.Envelope) error {
	if c.plan == nil {
		return refuse(RuleContext, "", "no round is open")
	}
	u, err := OpenUpload(c.job, c.plan, e)
	if err != nil {
		return err
	}
	name := charter.Name(c.job.Charter, e.Signer)
	if _, ok := c.uploads[e.Signer]; ok {
		for i := range c.at.Uploads {
			if c.at.Uploads[i].Digest() == e.Digest() {
				return nil
			}
		}
		return refuse(RuleUpload, "", "%s has uploaded something else in this round", name)
	}
	if c.roster != nil {
		return refuse(RuleRoster, "", "the roster is closed")
	}
	c.uploads[e.Signer] = u
	c.at.Uploads = append(c.at.Uploads, *e)
	note := c.note("upload", e.Signer, "")
	note.Bytes = u.PayloadLen
	c.emit(Store{c.at.Round, *e}, note)
	if c.at.Status == Paused && len(c.uploads) == len(c.job.Manifest.Cohort) {
		c.at.Status, c.at.Reason = Running, ""
		c.emit(c.advance(), c.note("resumed", wire.Member{}, "all are back"))
	}
	return nil
}

func (c *Coordinator) checkedCame(now Now, in CheckedCame) {
	if c.plan == nil || in.Round != c.at.Round || c.job.Seat(in.Member) == 0 || in.Uploads > len(c.at.Uploads) {
		return
	}
	c.checked[in.Member] = in.Uploads
}

func (c *Coordinator) complaintCame(e *wire.Envelope) error {
	var o wire.Complaint
	if err := e.Open(&o); err != nil {
		return refuse(RuleSignature, "", "%v", err)
	}
	switch {
	case c.plan == nil || o.Ctx != c.ctx:
		return refuse(RuleContext, "", "complaint about another round")
	case c.job.Seat(e.Signer) == 0:
		return refuse(RuleCommittee, "", "complaint by %s, who has no seat", charter.Name(c.job.Charter, e.Signer))
	case c.roster != nil:
		return refuse(RuleRoster, "", "the roster is closed")
	}
	u, ok := c.uploads[o.Sender]
	if !ok || u.ShareDigests[c.job.Seat(e.Signer)-1] != o.ShareDigest {
		return refuse(RuleShare, "", "complaint about a share that wasn't uploaded")
	}
	c.emit(Store{c.at.Round, *e})
	c.abortRound("check", "complaint", fmt.Sprintf("the share from %s doesn't open at the seat of %s: either may be at fault",
		charter.Name(c.job.Charter, o.Sender), charter.Name(c.job.Charter, e.Signer)), o.Sender, e.Signer)
	return nil
}

// maybeClose signs the roster once all have uploaded and the seats have checked: every seat, or a quorum and a short grace.
func (c *Coordinator) maybeClose(now Now) {
	if c.plan == nil || c.roster != nil || len(c.uploads) < len(c.job.Manifest.Cohort) {
		return
	}
	done := 0
	for _, seat := range c.job.Manifest.Committee {
		if c.checked[seat.Member] == len(c.at.Uploads) {
			done++
		}
	}
	if done < int(c.job.Manifest.T) {
		return
	}
	if done < len(c.job.Manifest.Committee)-len(c.revoked) {
		if c.quorumMs == 0 {
			c.quorumMs = now.Ms
		}
		if now.Ms < c.quorumMs+checkGraceMs {
			return
		}
	}
	c.roster = &wire.Roster{Ctx: c.ctx}
	for i := range c.at.Uploads {
		c.roster.Entries = append(c.roster.Entries, wire.RosterEntry{Member: c.at.Uploads[i].Signer, Upload: c.at.Uploads[i].Digest()})
	}
	slices.SortFunc(c.roster.Entries, func(a, b wire.RosterEntry) int { return a.Member.Compare(b.Member) })
	e := wire.Sign(c.key, c.roster)
	c.at.Roster = &e
	c.emit(Store{c.at.Round, e}, c.note("open", wire.Member{}, "roster closed"))
}

func (c *Coordinator) shareSumCame(e *wire.Envelope) error {
	if c.roster == nil {
		return refuse(RuleContext, "", "no roster is open")
	}
	reply, err := OpenShareSum(c.job, c.ctx, c.roster.Root(), e)
	if err != nil {
		return err
	}
	if _, ok := c.replies[e.Signer]; ok {
		return nil
	}
	c.replies[e.Signer] = reply
	c.at.ShareSums = append(c.at.ShareSums, *e)
	c.emit(Store{c.at.Round, *e}, c.note("open", e.Signer, ""))
	return nil
}

func (c *Coordinator) maybeOpen(now Now) {
	if c.roster == nil || c.opening || len(c.replies) < int(c.job.Manifest.T) || len(c.replies) == c.triedWith {
		return
	}
	c.opening, c.triedWith = true, len(c.replies)
	c.emit(OpenNow{})
}

// Open does the work of OpenNow; it only reads the machine and may take long. payloads finds spooled payloads.
func (c *Coordinator) Open(payloads Payloads) func() (*Opening, error) {
	job, plan := c.job, c.plan
	uploads := make([]*wire.Upload, 0, len(c.uploads))
	for _, entry := range c.roster.Entries {
		uploads = append(uploads, c.uploads[entry.Member])
	}
	replies := make([]secagg.Reply, 0, len(c.replies))
	for _, member := range slices.SortedFunc(maps.Keys(c.replies), wire.Member.Compare) {
		replies = append(replies, c.replies[member])
	}
	return func() (*Opening, error) { return OpenSum(job, plan, uploads, replies, payloads) }
}

func (c *Coordinator) opened(o *Opening) error {
	if c.roster == nil || !c.opening {
		return errors.New("round: an opening that wasn't asked for")
	}
	next, err := c.proposal.model.Step(c.at.State, o.Sum)
	if err != nil {
		c.finish(Aborted, err.Error())
		return nil
	}
	kind, _, err := c.proposal.model.Inspect(next)
	if err != nil {
		return err
	}
	release := &wire.Release{Job: c.job.Job, Round: c.plan.Round, Step: c.plan.Step, Kind: c.plan.Kind, Ctx: c.ctx, Root: c.roster.Root(),
		SumDigest: o.SumDigest, NextState: StateDigest(next), KMax: o.KMax, EMax: o.EMax, Suspects: o.Suspects}
	e := wire.Sign(c.key, release)
	c.at.State, c.at.PrevRelease, c.at.PrevContext, c.at.Failures, c.at.Step = next, release.Digest(), c.ctx, 0, c.plan.Step+1
	for _, seat := range o.Suspects {
		c.emit(c.note("open", seat.Member, fmt.Sprintf("the reply of seat %d was corrected: the seat, or a sender's share to it, is wrong", seat.Index)))
	}
	c.emit(Store{c.at.Round, e}, Log{ledger.Release, e.Bytes()}, c.note("apply", wire.Member{}, ""))
	c.clearRound()
	if kind == Done {
		c.finish(Completed, "")
		return nil
	}
	c.emit(c.advance())
	return nil
}

// notOpened waits for the replies still missing, and gives the round up when there are none to wait for.
func (c *Coordinator) notOpened(now Now, err error) {
	c.opening, c.failedMs = false, now.Ms
	c.emit(c.note("open", wire.Member{}, fmt.Sprintf("%d replies don't open the sum yet: %v", c.triedWith, err)))
	if len(c.replies)+len(c.refused) >= len(c.job.Manifest.Committee) {
		c.abortRound("open", "unopenable", err.Error())
	}
}

func (c *Coordinator) refusalCame(e *wire.Envelope) error {
	var r wire.Refusal
	if err := e.Open(&r); err != nil {
		return refuse(RuleSignature, "", "%v", err)
	}
	if r.Job != c.proposal.Job || !c.proposal.NeedsApproval(e.Signer) {
		return refuse(RuleContext, "", "refusal of another job, or by one who has no part in it")
	}
	name := charter.Name(c.proposal.Charter, e.Signer)
	if c.job == nil {
		c.emit(Log{ledger.Refusal, e.Bytes()}, c.note("approve", e.Signer, "refused ("+r.Rule+"). "+r.Hint))
		c.finish(Aborted, fmt.Sprintf("%s refused the job (%s). %s", name, r.Rule, r.Hint))
		return nil
	}
	if c.plan == nil || r.Ctx != c.ctx && !r.Ctx.IsZero() && r.Rule != string(RulePlan) && r.Phase != "plan" {
		return refuse(RuleContext, "", "refusal of another round")
	}
	if r.Rule == string(RuleLost) {
		if _, ok := c.uploads[e.Signer]; ok {
			return refuse(RuleUpload, "", "%s says that its upload is lost, it is here", name)
		}
		c.emit(Log{ledger.Refusal, e.Bytes()})
		c.abortRound(r.Phase, r.Rule, name+" stopped while it encrypted", e.Signer)
		return nil
	}
	c.emit(Log{ledger.Refusal, e.Bytes()}, c.note(r.Phase, e.Signer, "refused ("+r.Rule+"). "+r.Hint))
	if r.Phase == "open" && c.job.Seat(e.Signer) != 0 {
		c.loseSeat(e.Signer, fmt.Sprintf("%s refused to open (%s)", name, r.Rule))
		return nil
	}
	c.finish(Aborted, fmt.Sprintf("%s refused in %s (%s). %s", name, r.Phase, r.Rule, r.Hint))
	return nil
}

// loseSeat counts a seat as absent for this round; without a quorum the round is given up.
func (c *Coordinator) loseSeat(m wire.Member, reason string) {
	if _, ok := c.replies[m]; ok {
		return
	}
	c.refused[m] = true
	if len(c.job.Manifest.Committee)-len(c.refused) < int(c.job.Manifest.T) {
		c.abortRound("open", "no-quorum", reason, m)
	}
}

func (c *Coordinator) revokedNow(m wire.Member) {
	if !c.proposal.NeedsApproval(m) {
		return
	}
	name := charter.Name(c.proposal.Charter, m)
	c.revoked[m] = true
	lost := 0
	for _, seat := range c.proposal.Manifest.Committee {
		if c.revoked[seat.Member] {
			lost++
		}
	}
	switch {
	case c.proposal.InCohort(m) || c.job == nil:
		c.finish(Aborted, name+" was revoked")
	case len(c.proposal.Manifest.Committee)-lost < int(c.proposal.Manifest.T):
		c.finish(Aborted, fmt.Sprintf("%s was revoked: fewer than %d seats are left", name, c.proposal.Manifest.T))
	default:
		if c.plan != nil {
			c.loseSeat(m, name+" was revoked")
		}
	}
}

func (c *Coordinator) clock(now Now) {
	m := c.proposal.Manifest
	if now.Ms >= m.ExpiresMs {
		c.finish(Expired, "the job's time is over")
		return
	}
	if c.job == nil {
		return
	}
	if c.plan == nil {
		c.startRound(now)
		return
	}
	if c.at.Status == Running && now.Ms >= c.plan.DeadlineMs && len(c.uploads) < len(m.Cohort) {
		c.at.Status = Paused
		c.at.Reason = "waiting for " + c.missing()
		c.emit(c.advance(), c.note("paused", wire.Member{}, c.at.Reason))
	}
	if c.failedMs != 0 && now.Ms >= c.failedMs+openGraceMs && !c.opening {
		c.abortRound("open", "unopenable", fmt.Sprintf("%d of %d replies don't open the sum", c.triedWith, len(m.Committee)))
	}
}

func (c *Coordinator) missing() string {
	text := ""
	for _, member := range c.job.Manifest.Cohort {
		if _, ok := c.uploads[member]; !ok {
			if text != "" {
				text += ", "
			}
			text += charter.Name(c.job.Charter, member)
		}
	}
	return text
}

func (c *Coordinator) abortRound(phase, code, reason string, suspects ...wire.Member) {
	slices.SortFunc(suspects, wire.Member.Compare)
	a := &wire.Abort{Job: c.job.Job, Round: c.at.Round, Ctx: c.ctx, Phase: phase, Code: code, Reason: reason, Suspects: slices.Compact(suspects)}
	e := wire.Sign(c.key, a)
	if len(c.uploads) > 0 {
		c.at.Failures++
	}
	c.emit(Store{c.at.Round, e}, Log{ledger.Abort, e.Bytes()}, c.note("abort", wire.Member{}, code+": "+reason))
	c.clearRound()
	if c.at.Failures >= maxFailures {
		c.finish(Aborted, fmt.Sprintf("%d rounds in a row were uploaded and not opened; the last: %s", c.at.Failures, reason))
		return
	}
	c.at.Status, c.at.Reason = Running, ""
	c.emit(c.advance())
}

var outcomes = map[Status]uint8{Completed: wire.OutcomeCompleted, Aborted: wire.OutcomeAborted, Cancelled: wire.OutcomeCancelled, Expired: wire.OutcomeExpired}

func (c *Coordinator) finish(status Status, reason string) {
	c.at.Status, c.at.Reason = status, reason
	f := &wire.Finish{Job: c.proposal.Job, Outcome: outcomes[status], State: StateDigest(c.at.State), Reason: reason}
	e := wire.Sign(c.key, f)
	c.emit(Log{ledger.Finish, e.Bytes()}, c.advance(), c.note("end", wire.Member{}, reason))
}

func (c *Coordinator) emit(effects ...CoordinatorEffect) { c.out = append(c.out, effects...) }

func (c *Coordinator) advance() Advance {
	return Advance{c.at.Status, c.at.Reason, c.at.Round, c.at.Step, c.at.State, c.at.PrevRelease, c.at.PrevContext, c.at.Failures}
}

func (c *Coordinator) note(phase string, m wire.Member, message string) Note {
	n := Note{Round: c.at.Round, Step: c.at.Step, Phase: phase, Member: m, Message: message}
	if c.plan != nil {
		n.Kind = c.plan.Kind
	}
	return n
}
