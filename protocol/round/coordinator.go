package round

import (
	"errors"
	"fmt"

	"tributary/crypto/identity"
	"tributary/crypto/secagg"
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
	maxLost      = 20   // rounds that one member may lose by stopping, since this process started
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
	ProposedMs  uint64 // when the job was proposed; a private one is closed without the silent after one RoundMs
	Approvals   []wire.Envelope
	Refusals    []wire.Envelope // of members that dropped out of a private job
	// Of the round in progress; Plan is nil between rounds.
	Plan       *wire.Envelope
	Uploads    []wire.Envelope // in order of arrival
	Complaints []wire.Envelope
	Charges    []wire.Envelope
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
	ChargeCame    struct{ Envelope wire.Envelope }
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
func (ChargeCame) coordinatorInput()    {}
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
	charged   map[wire.Member]bool
	accused   map[wire.Member]bool // whose share doesn't open; in a private job left out of the roster
	dropped   map[wire.Member]bool // of a private job, for good
	lost      map[wire.Member]int
	gaveUp    map[wire.Member]bool // lost this round's upload in a private job: not waited for in it
	absent    map[wire.Member]bool // missed the last roster and hasn't asked for a task since: not waited for again
	quorumMs  uint64               // when a quorum had checked all uploads
	failedMs  uint64               // when an opening last failed
	late      bool                 // the deadline's Clock has come: of the round, or of closing a private job
	opening   bool
	triedWith int
	out       []CoordinatorEffect
}

// NewCoordinator starts a job from its proposal.
func NewCoordinator(key *identity.Key, p *Proposal, proposedMs uint64) *Coordinator {
	c := &Coordinator{key: key, proposal: p, at: Snapshot{Status: Proposed, State: p.model.InitialState(), ProposedMs: proposedMs},
		approved: map[wire.Member]wire.Envelope{}, revoked: map[wire.Member]bool{}, dropped: map[wire.Member]bool{}, absent: map[wire.Member]bool{}, lost: map[wire.Member]int{}}
	c.clearRound()
	return c
}

// RestoreCoordinator goes on from what is stored.
func RestoreCoordinator(key *identity.Key, p *Proposal, s Snapshot) (*Coordinator, error) {
	c := NewCoordinator(key, p, s.ProposedMs)
	c.at = s
	for i := range s.Approvals {
		if _, err := OpenApproval(p, &s.Approvals[i]); err != nil {
			return nil, fmt.Errorf("restore job: %w", err)
		}
		c.approved[s.Approvals[i].Signer] = s.Approvals[i]
	}
	for i := range s.Refusals {
		c.dropped[s.Refusals[i].Signer] = true
	}
	if s.Status == Proposed {
		return c, nil
	}
	var err error
	if c.job, err = Close(p, s.Approvals); err != nil {
		if s.Status.Final() {
			return c, nil // it ended before it was closed
		}
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
	for i := range s.Charges {
		c.charged[s.Charges[i].Signer] = true
	}
	for i := range s.Complaints {
		var o wire.Complaint
		if err := s.Complaints[i].Open(&o); err != nil {
			return nil, fmt.Errorf("restore round: %w", err)
		}
		c.accused[o.Sender] = true
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
	c.gaveUp = map[wire.Member]bool{}
	c.charged, c.accused = map[wire.Member]bool{}, map[wire.Member]bool{}
	c.quorumMs, c.failedMs, c.opening, c.triedWith, c.late = 0, 0, false, -1, false
	c.at.Plan, c.at.Roster, c.at.Uploads, c.at.Complaints, c.at.Charges, c.at.ShareSums = nil, nil, nil, nil, nil, nil
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
		err = c.approvalCame(now, &in.Envelope)
	case ChargeCame:
		err = c.chargeCame(&in.Envelope)
	case UploadCame:
		err = c.uploadCame(&in.Envelope)
	case CheckedCame:
		c.checkedCame(in)
	case ComplaintCame:
		err = c.complaintCame(&in.Envelope)
	case ShareSumCame:
		err = c.shareSumCame(&in.Envelope)
	case RefusalCame:
		err = c.refusalCame(now, &in.Envelope)
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

var outcomes = map[Status]uint8{Completed: wire.OutcomeCompleted, Aborted: wire.OutcomeAborted, Cancelled: wire.OutcomeCancelled, Expired: wire.OutcomeExpired}

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
