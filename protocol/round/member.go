package round

import (
	"errors"

	"tributary/crypto/dp"
	"tributary/crypto/dp/accountant"
	"tributary/crypto/identity"
	"tributary/crypto/secagg"
	"tributary/protocol/ledger"
	"tributary/protocol/wire"
)

// Stage is how far a member is with the plan that it accepted last.
type Stage uint8

// The stages; each is durable before anything that follows from it leaves.
const (
	StageNone       Stage = 0
	StagePlanned    Stage = 1 // plan accepted, nothing encrypted
	StageEncrypting Stage = 2 // keys may exist in memory; after a crash the round is lost
	StageUploaded   Stage = 3 // payload and shares are stored; the same bytes are sent for ever
)

// Record is what a member must remember of one job, whatever happens. Whoever runs a Member stores it, synced, where an
// effect says so.
type Record struct {
	Closed      wire.Digest
	Step        uint32      // of State
	State       []byte      // the last state that this member verified; state 0 at the start
	PrevRelease wire.Digest // of the release that gave State
	Failures    uint8       // rounds of this step in a row that this member took part in and saw no release of
	Round       uint64      // of Plan
	Plan        []byte      // envelope of the plan accepted last
	Stage       Stage
	Upload      []byte // envelope, from StageUploaded on
	OpenedRoot  wire.Digest
	ShareSum    []byte // envelope, once opened in this round
	Finished    bool
}

// Inputs to Member.Step.
type (
	// PlanArrived brings a plan. Evidence of the last release is needed when the plan's step is later than the
	// record's (see Member.NeedsEvidence).
	PlanArrived struct {
		Plan     wire.Envelope
		Evidence *Evidence
		Payloads Payloads
		State    []byte           // fetched; only used when the job isn't Verifiable
		Seen     ledger.Head      // the last head that this node saw of this coordinator
		Proof    [][32]byte       // consistency from Seen to the plan's head
		Released *ReleaseInLedger // inclusion of the last release under the plan's head; nil at step 0
	}
	// Trained brings the local sums of an exact job, segment by segment, for the plan accepted last.
	Trained struct{ Segments [][]float64 }
	// NoisedSum brings the local sum of a private job with all of this participant's noise in it: there is no other way to put a
	// value into a private sum.
	NoisedSum struct{ Sum *dp.Noised }
	// TrainingFailed says why there are none.
	TrainingFailed struct {
		Rule   Rule
		Reason string
		Hint   string
	}
	// SealNow follows the Seal effect, once the record is stored.
	SealNow struct{ lanes []int64 }
	// ShareSeen brings one upload's commitment and the sealed share for this seat.
	ShareSeen struct {
		Upload wire.Envelope
		Sealed []byte
	}
	// RosterArrived asks this seat to open.
	RosterArrived struct{ Roster wire.Envelope }
	// LastRelease brings the evidence of the release after which the state is done.
	LastRelease struct {
		Evidence *Evidence
		Payloads Payloads
		// State is the state that the release names, fetched, and Next its digest there; only kept when the job isn't Verifiable. nil: the
		// record's stays.
		State []byte
		Next  wire.Digest
	}
	// Ended says that the job is over without a last release.
	Ended struct{}
	// Tick brings the time, Unix milliseconds by the member's own clock; only the job's expiry is judged by it.
	Tick struct{ NowMs uint64 }
)

// ReleaseInLedger shows that a release is an entry of the ledger.
type ReleaseInLedger struct {
	Index int64
	Entry []byte
	Proof [][32]byte
}

// Effects of Member.Step, to be carried out in order.
type (
	// Train asks for the local sums of the verified state.
	Train struct {
		Plan  *wire.Plan
		State []byte
	}
	// Persist must be durable before the next effect. Sealed is what StageUploaded refers to, nil when unchanged.
	Persist struct {
		Record Record
		Sealed *secagg.Upload
		Head   *ledger.Head    // the ledger head seen with a plan, nil when unchanged
		Charge *accountant.Sum // with Sealed, in a private job: what the source's account is charged in the same transaction (G5)
	}
	// Seal asks for SealNow. It exists so that StageEncrypting is durable before a key is made.
	Seal struct{ Next SealNow }
	// SendUpload sends the stored upload, from where the coordinator says it stands; in a private job after the stored charge.
	SendUpload struct{ Upload wire.Envelope }
	// Send puts a signed complaint, share sum or refusal.
	Send struct{ Envelope wire.Envelope }
	// EraseSeatKey erases this job's seat key for good.
	EraseSeatKey struct{}
)

// Input is one of the inputs above, Effect one of the effects.
type (
	Input  interface{ input() }
	Effect interface{ effect() }
)

func (PlanArrived) input()    {}
func (Trained) input()        {}
func (NoisedSum) input()      {}
func (TrainingFailed) input() {}
func (SealNow) input()        {}
func (ShareSeen) input()      {}
func (RosterArrived) input()  {}
func (LastRelease) input()    {}
func (Ended) input()          {}
func (Tick) input()           {}

func (Train) effect()        {}
func (Persist) effect()      {}
func (Seal) effect()         {}
func (SendUpload) effect()   {}
func (Send) effect()         {}
func (EraseSeatKey) effect() {}

// ErrSharesMissing says that the seat hasn't seen every share of the roster yet: fetch them and ask again.
var ErrSharesMissing = errors.New("shares of the roster are missing")

// Member is one participant's side of one job. It isn't safe for concurrent use.
type Member struct {
	key     *identity.Key
	self    wire.Member
	job     *Job
	seatKey *secagg.SeatKey
	rec     Record
	plan    *wire.Plan // of rec.Plan
	shares  map[wire.Member]seenShare
	accused map[wire.Member]bool // whose share of this round this seat has complained of
	sealing bool                 // between the Seal effect and SealNow: a key is made at most once, never after a restart
}

type seenShare struct {
	upload wire.Digest
	share  secagg.Share
}

// NewMember starts or, with a stored record, restarts the member's side. seatKey is nil without a seat.
func NewMember(key *identity.Key, job *Job, seatKey *secagg.SeatKey, rec *Record) (*Member, error) {
	m := &Member{key: key, self: key.Public(), job: job, seatKey: seatKey, shares: map[wire.Member]seenShare{}, accused: map[wire.Member]bool{}}
	if rec == nil {
		m.rec = Record{Closed: job.Closed, State: job.model.InitialState()}
		return m, nil
	}
	m.rec = *rec
	if rec.Closed != job.Closed {
		return nil, refuse(RuleClosed, "Ask every operator of the cohort which form they see.", "a second closed form of job %x", job.Job[:4])
	}
	if len(rec.Plan) > 0 {
		e, err := wire.ParseEnvelope(rec.Plan)
		if err != nil {
			return nil, err
		}
		if m.plan, err = OpenPlan(job, &e); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Record is the durable part as it stands.
func (m *Member) Record() Record { return m.rec }

// Checked counts the uploads of this round whose share this seat has judged: holds opened in memory, or has complained of.
func (m *Member) Checked() int { return len(m.shares) + len(m.accused) }

// Context is the current plan's, zero before any.
func (m *Member) Context() wire.Digest {
	if m.plan == nil {
		return wire.Digest{}
	}
	return m.plan.Context(m.job.Closed)
}

// NeedsEvidence reports whether a plan with this step can't be judged without evidence of the last release.
func (m *Member) NeedsEvidence(step uint32) bool {
	return m.job.Contributes(m.self) && m.job.Verifiable() && step > m.rec.Step
}

// NeedsState reports whether a plan can't be judged without the state that it names, fetched: the job isn't Verifiable.
func (m *Member) NeedsState(p *wire.Plan) bool {
	return m.job.Contributes(m.self) && !m.job.Verifiable() && p.StateDigest != StateDigest(m.rec.State)
}

// Step takes one input. An error of type *Refused is a protocol refusal: Refusal makes its signed form. After any error the
// machine is as before.
func (m *Member) Step(in Input) ([]Effect, error) {
	if m.rec.Finished {
		return nil, nil
	}
	switch in := in.(type) {
	case PlanArrived:
		return m.planArrived(in)
	case Trained:
		return m.trained(in)
	case NoisedSum:
		return m.noisedSum(in)
	case TrainingFailed:
		return []Effect{Send{m.Refusal(&Refused{Rule: in.Rule, Reason: in.Reason, Hint: in.Hint}, "train")}}, nil
	case SealNow:
		return m.seal(in)
	case ShareSeen:
		return m.shareSeen(in)
	case RosterArrived:
		return m.rosterArrived(in)
	case LastRelease:
		return m.lastRelease(in)
	case Tick:
		if in.NowMs >= m.job.Manifest.ExpiresMs {
			return m.end(), nil
		}
		return nil, nil
	case Ended:
		return m.end(), nil
	}
	return nil, errors.New("round: unknown input")
}

// Refusal signs a refusal. Reasons that could tell of data stay here: only rule and hint leave (G1).
func (m *Member) Refusal(r *Refused, phase string) wire.Envelope {
	return wire.Sign(m.key, &wire.Refusal{Job: m.job.Job, Ctx: m.Context(), Phase: phase, Rule: string(r.Rule), Hint: r.Hint})
}

func (m *Member) lastRelease(in LastRelease) ([]Effect, error) {
	if m.job.Contributes(m.self) && m.job.Verifiable() {
		v, err := m.verify(in.Evidence, in.Payloads)
		if err != nil {
			return nil, err
		}
		kind, _, err := m.job.model.Inspect(v.State)
		if err != nil || kind != Done {
			return nil, refuse(RuleStep, "", "a last release whose state isn't done")
		}
		m.rec.State, m.rec.Step, m.rec.PrevRelease = v.State, v.Plan.Step+1, v.Release.Digest()
	}
	if m.job.Contributes(m.self) && !m.job.Verifiable() && in.State != nil {
		kind, step, err := m.job.model.Inspect(in.State)
		if err != nil || kind != Done || StateDigest(in.State) != in.Next {
			return nil, refuse(RuleState, "", "what came as the last state isn't the release's, or isn't done")
		}
		m.rec.State, m.rec.Step = in.State, step
	}
	return m.end(), nil
}

func (m *Member) end() []Effect {
	m.rec.Finished = true
	return []Effect{Persist{Record: m.rec}, EraseSeatKey{}}
}
