package round

import (
	"bytes"
	"errors"
	"slices"

	"tributary/crypto/identity"
	"tributary/crypto/secagg"
	"tributary/protocol/charter"
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
		State    []byte           // only used when the job isn't Verifiable
		Seen     ledger.Head      // the last head that this node saw of this coordinator
		Proof    [][32]byte       // consistency from Seen to the plan's head
		Released *ReleaseInLedger // inclusion of the last release under the plan's head; nil at step 0
	}
	// Trained brings the local sums, segment by segment, for the plan accepted last.
	Trained struct{ Segments [][]float64 }
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
		Head   *ledger.Head // the ledger head seen with a plan, nil when unchanged
	}
	// Seal asks for SealNow. It exists so that StageEncrypting is durable before a key is made.
	Seal struct{ Next SealNow }
	// SendUpload sends the stored upload, from where the coordinator says it stands.
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
	sealing bool // between the Seal effect and SealNow: a key is made at most once, never after a restart
}

type seenShare struct {
	upload wire.Digest
	share  secagg.Share
}

// NewMember starts or, with a stored record, restarts the member's side. seatKey is nil without a seat.
func NewMember(key *identity.Key, job *Job, seatKey *secagg.SeatKey, rec *Record) (*Member, error) {
	m := &Member{key: key, self: key.Public(), job: job, seatKey: seatKey, shares: map[wire.Member]seenShare{}}
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

// Checked counts the uploads of this round whose share this seat holds opened in memory.
func (m *Member) Checked() int { return len(m.shares) }

// Context is the current plan's, zero before any.
func (m *Member) Context() wire.Digest {
	if m.plan == nil {
		return wire.Digest{}
	}
	return m.plan.Context(m.job.Closed)
}

// NeedsEvidence reports whether a plan with this step can't be judged without evidence of the last release.
func (m *Member) NeedsEvidence(step uint32) bool {
	return m.job.InCohort(m.self) && step > m.rec.Step
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

func (m *Member) planArrived(in PlanArrived) ([]Effect, error) {
	plan, err := OpenPlan(m.job, &in.Plan)
	if err != nil {
		return nil, err
	}
	data := in.Plan.Bytes()
	switch {
	case plan.Round < m.rec.Round:
		return nil, refuse(RulePlan, "", "round %d after round %d", plan.Round, m.rec.Round)
	case plan.Round == m.rec.Round && m.plan != nil:
		if !bytes.Equal(data, m.rec.Plan) {
			return nil, refuse(RulePlan, "Keep both plans: they show that the coordinator plays two games.", "a second plan for round %d", plan.Round)
		}
		return m.resume()
	}
	head := ledger.Head{Size: int64(plan.LedgerSize), Root: plan.LedgerRoot}
	if err := ledger.VerifyConsistency(in.Seen, head, in.Proof); err != nil {
		return nil, refuse(RuleLedger, "Compare ledger heads with the other operators.", "the plan's ledger doesn't extend the last one seen: %v", err)
	}
	next := m.rec
	if m.job.InCohort(m.self) {
		if err := m.followState(&next, plan, head, in); err != nil {
			return nil, err
		}
	} else if plan.Step < m.rec.Step {
		return nil, refuse(RuleStep, "", "step %d after step %d", plan.Step, m.rec.Step)
	} else {
		next.Step = plan.Step
	}
	next.Round, next.Plan, next.Stage, next.Upload = plan.Round, data, StagePlanned, nil
	next.OpenedRoot, next.ShareSum = wire.Digest{}, nil
	m.rec, m.plan, m.shares = next, plan, map[wire.Member]seenShare{}
	effects := []Effect{Persist{Record: m.rec, Head: &head}}
	if m.job.InCohort(m.self) {
		effects = append(effects, Train{plan, m.rec.State})
	}
	return effects, nil
}

// followState brings the record's state to the plan's, by evidence, and checks that kind and step are that state's (G8).
func (m *Member) followState(next *Record, plan *wire.Plan, head ledger.Head, in PlanArrived) error {
	switch {
	case plan.Step == m.rec.Step:
	case plan.Step == m.rec.Step+1 && in.Evidence != nil:
		v, err := m.verify(in.Evidence, in.Payloads, in.State)
		if err != nil {
			return err
		}
		next.State, next.Step, next.PrevRelease = v.State, plan.Step, v.Release.Digest()
	case plan.Step == m.rec.Step+1:
		return refuse(RuleState, "", "a plan for step %d without evidence of the last release", plan.Step)
	default:
		return refuse(RuleStep, "", "a plan for step %d, this member has verified step %d", plan.Step, m.rec.Step)
	}
	if plan.StateDigest != StateDigest(next.State) {
		return refuse(RuleState, "Stop: the coordinator trains another state than the sums give.", "the plan's state isn't the one that the sums gave")
	}
	if plan.PrevRelease != next.PrevRelease {
		return refuse(RuleState, "", "the plan names another last release")
	}
	if err := checkInLedger(next.PrevRelease, head, in.Released); err != nil {
		return err
	}
	kind, step, err := m.job.model.Inspect(next.State)
	if err != nil {
		return refuse(RuleState, "", "the state doesn't parse: %v", err)
	}
	if kind != uint8(plan.Kind) || step != plan.Step {
		return refuse(RuleStep, "", "a plan for %s at step %d, the state says kind %d at step %d", plan.Kind, plan.Step, kind, step)
	}
	return nil
}

func checkInLedger(release wire.Digest, head ledger.Head, in *ReleaseInLedger) error {
	if release.IsZero() {
		return nil
	}
	if in == nil {
		return refuse(RuleLedger, "", "the last release isn't shown to be in the ledger")
	}
	entry, err := ledger.ParseEntry(in.Entry)
	if err != nil || entry.Kind != ledger.Release {
		return refuse(RuleLedger, "", "what is shown as the last release isn't a release entry")
	}
	e, err := wire.ParseEnvelope(entry.Object)
	if err != nil {
		return refuse(RuleLedger, "", "release entry: %v", err)
	}
	var r wire.Release
	if err := e.Open(&r); err != nil || r.Digest() != release {
		return refuse(RuleLedger, "", "the ledger's entry is another release")
	}
	if err := ledger.VerifyInclusion(head, in.Index, in.Entry, in.Proof); err != nil {
		return refuse(RuleLedger, "", "the last release isn't in the ledger: %v", err)
	}
	return nil
}

func (m *Member) verify(v *Evidence, payloads Payloads, given []byte) (*Verified, error) {
	if !m.job.Verifiable() {
		release, err := OpenRelease(m.job, &v.Release)
		if err != nil {
			return nil, err
		}
		if StateDigest(given) != release.NextState {
			return nil, refuse(RuleState, "", "the fetched state isn't the release's")
		}
		return &Verified{Release: release, State: given}, nil
	}
	out, err := Verify(m.job, m.self, m.rec.State, v, payloads)
	if err != nil {
		return nil, err
	}
	if out.Plan.Round != m.rec.Round || m.rec.Stage != StageUploaded || out.Own != digestOf(m.rec.Upload) {
		return nil, refuse(RuleOwnEntry, "", "the opened roster doesn't hold this member's own upload of round %d", m.rec.Round)
	}
	return out, nil
}

func digestOf(envelope []byte) wire.Digest { return wire.Hash("envelope", envelope) }

// resume answers the identical plan again: the same bytes, or "lost".
func (m *Member) resume() ([]Effect, error) {
	if !m.job.InCohort(m.self) {
		return nil, nil
	}
	switch m.rec.Stage {
	case StagePlanned:
		return []Effect{Train{m.plan, m.rec.State}}, nil
	case StageUploaded:
		e, err := wire.ParseEnvelope(m.rec.Upload)
		if err != nil {
			return nil, err
		}
		return []Effect{SendUpload{e}}, nil
	}
	lost := &Refused{Rule: RuleLost, Hint: "The node stopped while it encrypted; the step is run again in a new round."}
	return []Effect{Send{m.Refusal(lost, "upload")}}, nil
}

func (m *Member) trained(in Trained) ([]Effect, error) {
	if m.plan == nil || m.rec.Stage != StagePlanned {
		return nil, refuse(RulePlan, "", "nothing to train for")
	}
	lanes, err := m.job.Params(m.plan.Kind).Quantise(in.Segments)
	if err != nil {
		return nil, refuse(RuleLanes, "A value is larger than the contract's ranges allow; run `tributary-participant check`.", "%v", err)
	}
	m.rec.Stage, m.sealing = StageEncrypting, true
	return []Effect{Persist{Record: m.rec}, Seal{SealNow{lanes}}}, nil
}

func (m *Member) seal(in SealNow) ([]Effect, error) {
	if !m.sealing || in.lanes == nil {
		return nil, refuse(RulePlan, "", "nothing to seal")
	}
	m.sealing = false
	ctx := m.Context()
	sealed, err := secagg.Encrypt(m.job.Params(m.plan.Kind), secagg.Context(ctx), secagg.Member(m.self), m.job.seats, in.lanes)
	clear(in.lanes)
	if err != nil {
		return nil, err
	}
	u := &wire.Upload{Ctx: ctx, PayloadDigest: BlobDigest(sealed.Payload), PayloadLen: uint64(len(sealed.Payload))}
	for _, share := range sealed.Shares {
		u.ShareDigests = append(u.ShareDigests, BlobDigest(share))
	}
	e := wire.Sign(m.key, u)
	m.rec.Stage, m.rec.Upload = StageUploaded, e.Bytes()
	return []Effect{Persist{Record: m.rec, Sealed: sealed}, SendUpload{e}}, nil
}

// shareSeen opens one sealed share. What its sender signed but doesn't open is complained of; what isn't what the sender signed is
// refused, since whoever brought it may have changed it.
func (m *Member) shareSeen(in ShareSeen) ([]Effect, error) {
	index := m.job.Seat(m.self)
	if index == 0 || m.seatKey == nil {
		return nil, refuse(RuleCommittee, "", "this member holds no seat key for the job")
	}
	if m.plan == nil {
		return nil, refuse(RuleContext, "", "a share before any plan")
	}
	u, err := OpenUpload(m.job, m.plan, &in.Upload)
	if err != nil {
		return nil, err
	}
	sender, name := in.Upload.Signer, charter.Name(m.job.Charter, in.Upload.Signer)
	if BlobDigest(in.Sealed) != u.ShareDigests[index-1] {
		return nil, refuse(RuleShare, "", "the share from %s isn't the one that it signed", name)
	}
	if old, ok := m.shares[sender]; ok && old.upload != in.Upload.Digest() {
		return nil, refuse(RuleUpload, "Keep both: they show that a member uploaded twice.", "a second upload by %s", name)
	}
	share, err := m.seatKey.OpenShare(secagg.Context(u.Ctx), secagg.Member(sender), secagg.Member(m.self), index, in.Sealed)
	if err != nil {
		complaint := &wire.Complaint{Ctx: u.Ctx, Sender: sender, ShareDigest: u.ShareDigests[index-1]}
		return []Effect{Send{wire.Sign(m.key, complaint)}}, nil
	}
	m.shares[sender] = seenShare{in.Upload.Digest(), share}
	return nil, nil
}

// rosterArrived is the last check before anything opens (G3, G4).
func (m *Member) rosterArrived(in RosterArrived) ([]Effect, error) {
	index := m.job.Seat(m.self)
	if index == 0 || m.seatKey == nil {
		return nil, refuse(RuleCommittee, "", "this member holds no seat key for the job")
	}
	if m.plan == nil {
		return nil, refuse(RuleContext, "", "a roster before any plan")
	}
	roster, err := OpenRoster(m.job, m.plan, &in.Roster)
	if err != nil {
		return nil, err
	}
	root := roster.Root()
	if len(m.rec.ShareSum) > 0 {
		if root != m.rec.OpenedRoot {
			return nil, refuse(RuleRosterTwice, "Keep both rosters: they show an attempt to open two sums.", "a second roster for round %d", m.rec.Round)
		}
		e, err := wire.ParseEnvelope(m.rec.ShareSum)
		if err != nil {
			return nil, err
		}
		return []Effect{Send{e}}, nil
	}
	if m.rec.Stage == StageUploaded {
		own := slices.IndexFunc(roster.Entries, func(e wire.RosterEntry) bool { return e.Member == m.self })
		if own >= 0 && roster.Entries[own].Upload != digestOf(m.rec.Upload) {
			return nil, refuse(RuleOwnEntry, "", "the roster lists another upload of this member's")
		}
	} else if m.job.InCohort(m.self) && slices.ContainsFunc(roster.Entries, func(e wire.RosterEntry) bool { return e.Member == m.self }) {
		return nil, refuse(RuleOwnEntry, "", "the roster lists an upload that this member never made")
	}
	shares := make([]secagg.Share, 0, len(roster.Entries))
	for _, entry := range roster.Entries {
		seen, ok := m.shares[entry.Member]
		if !ok {
			return nil, ErrSharesMissing
		}
		if seen.upload != entry.Upload {
			return nil, refuse(RuleRoster, "", "the roster lists another upload by %s than was checked", charter.Name(m.job.Charter, entry.Member))
		}
		shares = append(shares, seen.share)
	}
	sum := secagg.SumShares(shares)
	e := wire.Sign(m.key, &wire.ShareSum{Ctx: m.Context(), Root: root, Index: index, Sum: sum.Bytes()})
	m.rec.OpenedRoot, m.rec.ShareSum = root, e.Bytes()
	return []Effect{Persist{Record: m.rec}, Send{e}}, nil
}

func (m *Member) lastRelease(in LastRelease) ([]Effect, error) {
	if m.job.InCohort(m.self) && m.job.Verifiable() {
		v, err := m.verify(in.Evidence, in.Payloads, nil)
		if err != nil {
			return nil, err
		}
		kind, _, err := m.job.model.Inspect(v.State)
		if err != nil || kind != Done {
			return nil, refuse(RuleStep, "", "a last release whose state isn't done")
		}
		m.rec.State, m.rec.Step, m.rec.PrevRelease = v.State, v.Plan.Step+1, v.Release.Digest()
	}
	return m.end(), nil
}

func (m *Member) end() []Effect {
	m.rec.Finished = true
	return []Effect{Persist{Record: m.rec}, EraseSeatKey{}}
}
