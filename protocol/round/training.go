package round

import (
	"bytes"
	"tributary/crypto/secagg"
	"tributary/protocol/ledger"
	"tributary/protocol/wire"
)

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
	if m.job.Contributes(m.self) {
		if err := m.followState(&next, plan, head, in); err != nil {
			return nil, err
		}
	} else if plan.Step < m.rec.Step {
		return nil, refuse(RuleStep, "", "step %d after step %d", plan.Step, m.rec.Step)
	} else {
		next.Step = plan.Step
	}
	// The coordinator ends a job after maxFailures of these; a member doesn't rely on it, or one sum could be opened, or charged, again and
	// again under one step.
	if plan.Step > m.rec.Step {
		next.Failures = 0
	} else if m.rec.Stage == StageUploaded || len(m.rec.ShareSum) > 0 {
		if next.Failures++; next.Failures >= maxFailures {
			return nil, refuse(RulePlan, "The step was run several times without a release: submit the job again.", "a plan after %d rounds of step %d without a release", next.Failures, plan.Step)
		}
	}
	next.Round, next.Plan, next.Stage, next.Upload = plan.Round, data, StagePlanned, nil
	next.OpenedRoot, next.ShareSum = wire.Digest{}, nil
	m.rec, m.plan, m.shares, m.accused = next, plan, map[wire.Member]seenShare{}, map[wire.Member]bool{}
	effects := []Effect{Persist{Record: m.rec, Head: &head}}
	if m.job.Contributes(m.self) {
		effects = append(effects, Train{plan, m.rec.State})
	}
	return effects, nil
}

// followState brings the record's state to the plan's, by evidence, and checks that kind and step are that state's (G8).
func (m *Member) followState(next *Record, plan *wire.Plan, head ledger.Head, in PlanArrived) error {
	switch {
	case !m.job.Verifiable():
		if plan.Step < m.rec.Step {
			return refuse(RuleStep, "", "step %d after step %d", plan.Step, m.rec.Step)
		}
		if plan.StateDigest != StateDigest(next.State) {
			next.State = in.State
		}
		next.Step, next.PrevRelease = plan.Step, plan.PrevRelease
	case plan.Step == m.rec.Step:
	case plan.Step == m.rec.Step+1 && in.Evidence != nil:
		v, err := m.verify(in.Evidence, in.Payloads)
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

func (m *Member) verify(v *Evidence, payloads Payloads) (*Verified, error) {
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
	if !m.job.Contributes(m.self) {
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
	if m.plan == nil || m.rec.Stage != StagePlanned || m.sealing {
		return nil, refuse(RulePlan, "", "nothing to train for")
	}
	if m.job.Private() {
		return nil, refuse(RuleBudget, "", "a sum without noise in a private job")
	}
	lanes, err := m.job.Params(m.plan.Kind).Quantise(in.Segments)
	if err != nil {
		return nil, refuse(RuleLanes, "A value is larger than the contract's ranges allow; run `tributary-participant check`.", "%v", err)
	}
	return m.encrypting(lanes), nil
}

func (m *Member) noisedSum(in NoisedSum) ([]Effect, error) {
	if m.plan == nil || m.rec.Stage != StagePlanned || m.sealing {
		return nil, refuse(RulePlan, "", "nothing to train for")
	}
	if !m.job.Private() {
		return nil, refuse(RuleManifest, "", "a noised sum in an exact job")
	}
	lanes, err := in.Sum.Take()
	if err != nil {
		return nil, err
	}
	if want := m.job.Params(m.plan.Kind).Length(); len(lanes) != want {
		return nil, refuse(RuleLanes, "", "a noised sum of %d lanes, want %d", len(lanes), want)
	}
	return m.encrypting(lanes), nil
}

// encrypting makes it durable that keys may exist before one does.
func (m *Member) encrypting(lanes []int64) []Effect {
	m.rec.Stage, m.sealing = StageEncrypting, true
	return []Effect{Persist{Record: m.rec}, Seal{SealNow{lanes}}}
}

func (m *Member) seal(in SealNow) ([]Effect, error) {
	if !m.sealing || in.lanes == nil {
		return nil, refuse(RulePlan, "", "nothing to seal")
	}
	m.sealing = false
	ctx := m.Context()
	var sealed *secagg.Upload
	var err error
	if m.job.Noised() { // trained() takes no sum without noise in a private job
		sealed = &secagg.Upload{Payload: packClear(m.job.Params(m.plan.Kind), in.lanes)}
	} else {
		sealed, err = secagg.Encrypt(m.job.Params(m.plan.Kind), secagg.Context(ctx), secagg.Member(m.self), m.job.seats, in.lanes)
	}
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
	persist := Persist{Record: m.rec, Sealed: sealed}
	if m.job.Private() {
		if persist.Charge, err = m.job.ChargeOf(m.plan.Kind); err != nil {
			return nil, err
		}
	}
	return []Effect{persist, SendUpload{e}}, nil
}
