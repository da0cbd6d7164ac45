package round

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"tributary/crypto/secagg"
	"tributary/protocol/ledger"
	"tributary/protocol/wire"
)

// Each test plays one attack by a coordinator that signs whatever it likes, alone or with one member. They are named after the
// guarantees of design §2 (G) and the invariants of the protocol (I) that stop them.

// opened brings a world to the point where the seats are asked to open round 1, and gives the honest roster.
func opened(t *testing.T) (*world, *wire.Roster) {
	t.Helper()
	w := newWorld(t)
	w.untilPhase(1, PhaseOpen)
	var r wire.Roster
	if err := w.coord.View().Roster.Open(&r); err != nil {
		t.Fatal(err)
	}
	for _, n := range w.nodes {
		if n.member.Checked() < len(w.nodes) {
			w.check(n)
		}
	}
	return w, &r
}

// planned brings a world to round 2 with nothing uploaded, and gives its honest plan.
func planned(t *testing.T) (*world, wire.Plan) {
	t.Helper()
	w := newWorld(t)
	w.untilPhase(2, PhaseUpload)
	var p wire.Plan
	if err := w.coord.View().Plan.Open(&p); err != nil {
		t.Fatal(err)
	}
	return w, p
}

func (w *world) offerPlan(n *node, p wire.Plan) error {
	_, err := n.member.Step(w.planInput(n, wire.Sign(w.key, &p)))
	return err
}

func (w *world) offerRoster(n *node, r wire.Roster) error {
	_, err := n.member.Step(RosterArrived{wire.Sign(w.key, &r)})
	return err
}

func TestG3OmittedMemberIsRefused(t *testing.T) {
	w, r := opened(t)
	for i := range r.Entries {
		short := *r
		short.Entries = slices.Delete(slices.Clone(r.Entries), i, i+1)
		for _, n := range w.nodes {
			wantRule(t, w.offerRoster(n, short), RuleRoster)
		}
	}
}

func TestG3RosterTooSmallIsRefused(t *testing.T) {
	w, r := opened(t)
	for size := range len(r.Entries) {
		short := wire.Roster{Ctx: r.Ctx, Entries: r.Entries[:size]}
		wantRule(t, w.offerRoster(w.nodes[0], short), RuleRoster)
	}
}

func TestG3RosterThatIsntTheCohortIsRefused(t *testing.T) {
	w, r := opened(t)
	sybil := testKey(77)
	u := wire.Sign(sybil, &wire.Upload{Ctx: r.Ctx})
	other := *r
	other.Entries = slices.Clone(r.Entries)
	other.Entries[3] = wire.RosterEntry{Member: sybil.Public(), Upload: u.Digest()}
	slices.SortFunc(other.Entries, func(a, b wire.RosterEntry) int { return a.Member.Compare(b.Member) })
	wantRule(t, w.offerRoster(w.nodes[0], other), RuleRoster)
	if _, err := w.nodes[0].member.Step(ShareSeen{u, nil}); err == nil {
		t.Error("an upload by a sybil was taken in")
	} else {
		wantRule(t, err, RuleCohort)
	}
}

func TestG3DuplicatedEntryHasNoEncoding(t *testing.T) {
	_, r := opened(t)
	twice := *r
	twice.Entries = slices.Clone(r.Entries)
	twice.Entries[1] = twice.Entries[0]
	defer func() {
		if recover() == nil {
			t.Error("a roster that lists one member twice was encoded")
		}
	}()
	wire.Encode(&twice)
}

func TestG3SubstitutedUploadIsRefused(t *testing.T) {
	w, r := opened(t)
	// A colluding member signs a second upload; the coordinator puts it in the roster in place of the one that was checked.
	colluder := w.nodes[3]
	second := *r
	second.Entries = slices.Clone(r.Entries)
	i := slices.IndexFunc(r.Entries, func(e wire.RosterEntry) bool { return e.Member == colluder.key.Public() })
	second.Entries[i].Upload[0] ^= 1
	for _, n := range w.nodes[:3] {
		wantRule(t, w.offerRoster(n, second), RuleRoster)
	}
	// In place of the opener's own.
	own := slices.IndexFunc(r.Entries, func(e wire.RosterEntry) bool { return e.Member == w.nodes[0].key.Public() })
	second.Entries = slices.Clone(r.Entries)
	second.Entries[own].Upload[0] ^= 1
	wantRule(t, w.offerRoster(w.nodes[0], second), RuleOwnEntry)
}

func TestG4SecondRosterIsRefusedAndTheFirstAnsweredAlike(t *testing.T) {
	w, r := opened(t)
	n := w.nodes[0]
	first, err := n.member.Step(RosterArrived{*w.coord.View().Roster})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := first[0].(Persist); !ok {
		t.Fatalf("the share sum leaves before it is stored: %T first", first[0])
	}
	other := *r
	other.Entries = slices.Clone(r.Entries)
	other.Entries[3].Upload[0] ^= 1
	wantRule(t, w.offerRoster(n, other), RuleRosterTwice)
	again, err := n.member.Step(RosterArrived{*w.coord.View().Roster})
	if err != nil {
		t.Fatal(err)
	}
	a, b := first[1].(Send).Envelope, again[0].(Send).Envelope
	if a.Digest() != b.Digest() {
		t.Error("the same request got other bytes")
	}
	record := n.member.Record()
	n.stored = &record
	w.restart(n) // and after a restart, too
	wantRule(t, w.offerRoster(n, other), RuleRosterTwice)
}

func TestG4SecondPlanForOneRoundIsRefused(t *testing.T) {
	w, p := planned(t)
	n := w.nodes[0]
	if err := w.offerPlan(n, p); err != nil {
		t.Fatal(err)
	}
	p.DeadlineMs++
	wantRule(t, w.offerPlan(n, p), RulePlan)
	p.Round--
	wantRule(t, w.offerPlan(n, p), RulePlan)
}

func TestG4NothingIsEncryptedTwiceForOneRound(t *testing.T) {
	w, p := planned(t)
	n := w.nodes[0]
	effects, err := n.member.Step(w.planInput(n, wire.Sign(w.key, &p)))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := effects[0].(Persist); !ok {
		t.Fatalf("%T before the plan is stored", effects[0])
	}
	effects, err = n.member.Step(Trained{[][]float64{{10}, {1, 1}}})
	if err != nil {
		t.Fatal(err)
	}
	record := effects[0].(Persist).Record
	if record.Stage != StageEncrypting {
		t.Fatalf("stage %d is stored before a key is made", record.Stage)
	}
	n.stored = &record // killed here: a key may have existed
	w.restart(n)
	effects, err = n.member.Step(w.planInput(n, wire.Sign(w.key, &p)))
	if err != nil {
		t.Fatal(err)
	}
	var r wire.Refusal
	if err := openSend(effects[0], &r); err != nil || r.Rule != string(RuleLost) {
		t.Errorf("after a crash while encrypting: %v %+v", err, r)
	}
	if _, err := n.member.Step(Trained{[][]float64{{10}, {1, 1}}}); err == nil {
		t.Error("trained again for the round")
	}
	_, err = n.member.Step(SealNow{[]int64{10, 1, 1}})
	wantRule(t, err, RulePlan)
}

func openSend(e Effect, o wire.Object) error {
	send, ok := e.(Send)
	if !ok {
		return errors.New("not a Send")
	}
	return send.Envelope.Open(o)
}

func TestG4TheStoredUploadIsSentAgainByteForByte(t *testing.T) {
	w := newWorld(t)
	w.untilPhase(1, PhaseUpload)
	n := w.nodes[0]
	w.turn(n)
	first := string(n.stored.Upload)
	w.restart(n)
	effects, err := n.member.Step(w.planInput(n, *w.coord.View().Plan))
	if err != nil {
		t.Fatal(err)
	}
	e := effects[0].(SendUpload).Upload
	if string(e.Bytes()) != first {
		t.Error("another upload after a restart")
	}
}

func TestG8OtherStateDigestIsRefused(t *testing.T) {
	w, p := planned(t)
	p.StateDigest[0] ^= 1
	for _, n := range w.nodes {
		wantRule(t, w.offerPlan(n, p), RuleState)
	}
}

func TestG8StateThatTheLastSumDoesntGiveIsRefused(t *testing.T) {
	w, p := planned(t)
	n := w.nodes[0]
	// The coordinator applies what it likes, and signs a release and a plan that agree with one another.
	evil := toyBytes(toyState{At: 1, Kind: 2, W: 1e9})
	in := w.planInput(n, wire.Envelope{})
	in.Evidence = w.evidence(p.PrevRelease)
	var release wire.Release
	if err := in.Evidence.Release.Open(&release); err != nil {
		t.Fatal(err)
	}
	release.NextState = StateDigest(evil)
	in.Evidence.Release = wire.Sign(w.key, &release)
	index := w.entry(ledger.Release, in.Evidence.Release.Bytes())
	head := w.now().Head
	record, _ := w.log.ReadEntry(index)
	proof, _ := ledger.ProveInclusion(w.log, head.Size, index)
	p.StateDigest, p.PrevRelease, p.LedgerSize, p.LedgerRoot = release.NextState, release.Digest(), uint64(head.Size), head.Root
	in.Plan = wire.Sign(w.key, &p)
	in.Released = &ReleaseInLedger{index, record, proof}
	in.Proof, _ = ledger.ProveConsistency(w.log, n.seen.Size, head.Size)
	_, err := n.member.Step(in)
	wantRule(t, err, RuleState)
}

func TestG8SubstitutedSumIsRefused(t *testing.T) {
	w, p := planned(t)
	n := w.nodes[0]
	in := w.planInput(n, wire.Sign(w.key, &p))
	in.Payloads = func(d wire.Digest) ([]byte, error) {
		b := slices.Clone(w.payloads[d])
		b[len(b)-1] ^= 1
		return b, nil
	}
	_, err := n.member.Step(in)
	wantRule(t, err, RuleState)
}

func TestG8PlanWithoutEvidenceIsRefused(t *testing.T) {
	w, p := planned(t)
	in := w.planInput(w.nodes[0], wire.Sign(w.key, &p))
	in.Evidence = nil
	_, err := w.nodes[0].member.Step(in)
	wantRule(t, err, RuleState)
}

func TestG8AnotherKindOrStepIsRefused(t *testing.T) {
	for name, change := range map[string]func(*wire.Plan){
		"evaluation before training": func(p *wire.Plan) { p.Kind = wire.Evaluate },
		"fitting again":              func(p *wire.Plan) { p.Kind = wire.Fit },
		"a skipped step":             func(p *wire.Plan) { p.Step++ },
		"an old step":                func(p *wire.Plan) { p.Step-- },
	} {
		w, p := planned(t)
		change(&p)
		err := w.offerPlan(w.nodes[0], p)
		var r *Refused
		if !errors.As(err, &r) || r.Rule != RuleStep && r.Rule != RuleState {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestG6ForkedLedgerIsRefused(t *testing.T) {
	w, p := planned(t)
	n := w.nodes[0]
	p.LedgerRoot[0] ^= 1
	wantRule(t, w.offerPlan(n, p), RuleLedger)
	w, p = planned(t)
	n = w.nodes[0]
	in := w.planInput(n, wire.Sign(w.key, &p))
	in.Released = nil
	_, err := n.member.Step(in)
	wantRule(t, err, RuleLedger)
	// Another entry shown as the release.
	in = w.planInput(n, wire.Sign(w.key, &p))
	record, _ := w.log.ReadEntry(0)
	in.Released.Entry = record
	_, err = n.member.Step(in)
	wantRule(t, err, RuleLedger)
}

func TestI1StaleContextIsRefused(t *testing.T) {
	w, p := planned(t)
	// Round 1's roster, uploads and shares are offered again in round 2.
	n := w.nodes[0]
	evidence := w.evidence(p.PrevRelease)
	if err := w.step(n, w.planInput(n, wire.Sign(w.key, &p))); err != nil {
		t.Fatal(err)
	}
	_, err := n.member.Step(RosterArrived{evidence.Roster})
	wantRule(t, err, RuleContext)
	_, err = n.member.Step(ShareSeen{evidence.Uploads[1], w.shares[evidence.Uploads[1].Digest()][0]})
	wantRule(t, err, RuleContext)
	wantRule(t, w.feed(UploadCame{evidence.Uploads[1]}), RuleContext)
	wantRule(t, w.feed(ShareSumCame{evidence.ShareSums[0]}), RuleContext)
}

// A member sends on another member's ciphertext, as it is or negated, as its own: its shares are the other's or
// its own guess, and nothing of the other's opens.
func TestI2CopiedUploadDoesntOpen(t *testing.T) {
	w := newWorld(t)
	w.untilPhase(1, PhaseUpload)
	victim, thief := w.nodes[0], w.nodes[3]
	w.turn(victim)
	thief.spoil = func(u *secagg.Upload) { *u = *victim.sealed }
	// The thief signs the copied payload and shares under its own name.
	w.restart(thief)
	if _, err := thief.member.Step(w.planInput(thief, *w.coord.View().Plan)); err != nil {
		t.Fatal(err)
	}
	u := &wire.Upload{Ctx: w.coord.View().Context, PayloadDigest: BlobDigest(victim.sealed.Payload), PayloadLen: uint64(len(victim.sealed.Payload))}
	for _, s := range victim.sealed.Shares {
		u.ShareDigests = append(u.ShareDigests, BlobDigest(s))
	}
	e := wire.Sign(thief.key, u)
	w.shares[e.Digest()] = victim.sealed.Shares
	if err := w.feed(UploadCame{e}); err != nil {
		t.Fatal(err)
	}
	seat := w.nodes[1]
	w.turn(seat)
	effects, err := seat.member.Step(ShareSeen{e, victim.sealed.Shares[w.proposal.Seat(seat.key.Public())-1]})
	if err != nil {
		t.Fatal(err)
	}
	var complaint wire.Complaint
	if err := openSend(effects[0], &complaint); err != nil || complaint.Sender != thief.key.Public() {
		t.Errorf("a share sealed by another sender: %v %+v", err, complaint)
	}
}

func TestI2CorruptedShareIsComplainedOfAndTheRoundRerun(t *testing.T) {
	w := newWorld(t)
	spoilt := false
	w.before = func(n *node, phase TaskPhase) bool {
		if phase == TaskPlan && n == w.nodes[3] && !spoilt {
			spoilt = true
			// One bit of the share for seat 2 is wrong before it is signed: only that seat can tell.
			n.member = nil
			w.restart(n)
			n.holds.Round = 1
			plan := *w.coord.View().Plan
			if _, err := n.member.Step(w.planInput(n, plan)); err != nil {
				t.Fatal(err)
			}
			if _, err := n.member.Step(Trained{[][]float64{{40}, {4, 1}}}); err != nil {
				t.Fatal(err)
			}
			effects, err := n.member.Step(SealNow{[]int64{40, 4000, 1000}})
			if err != nil {
				t.Fatal(err)
			}
			sealed := effects[0].(Persist).Sealed
			sealed.Shares[1][100] ^= 1
			u := &wire.Upload{Ctx: w.coord.View().Context, PayloadDigest: BlobDigest(sealed.Payload), PayloadLen: uint64(len(sealed.Payload))}
			for _, s := range sealed.Shares {
				u.ShareDigests = append(u.ShareDigests, BlobDigest(s))
			}
			e := wire.Sign(n.key, u)
			n.member.rec.Upload = e.Bytes()
			n.sealed = sealed
			w.upload(n, e)
			return false
		}
		return true
	}
	w.run(nil)
	v := w.coord.View()
	if v.Status != Completed || v.Round != 5 {
		t.Fatalf("job %s in round %d\n%s", v.Status, v.Round, w.trace.String())
	}
	abort := w.abortOf(1)
	suspects := []string{}
	for _, m := range abort.Suspects {
		suspects = append(suspects, w.name(m))
	}
	if abort.Code != "complaint" || !slices.Contains(suspects, "delta") || !slices.Contains(suspects, "baltic") {
		t.Errorf("abort %q names %v, want the sender and the seat", abort.Code, suspects)
	}
}

func (w *world) abortOf(round uint64) wire.Abort {
	var a wire.Abort
	for _, e := range w.rounds[round] {
		if e.Kind == wire.TypeAbort {
			if err := e.Open(&a); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	return a
}

func TestI3ShareThatIsntTheSignedOneIsRefused(t *testing.T) {
	w, _ := opened(t)
	n := w.nodes[0]
	up := w.coord.View().Uploads[1]
	record := n.member.Record()
	n.stored = &record
	w.restart(n)
	index := w.proposal.Seat(n.key.Public()) - 1
	share := slices.Clone(w.shares[up.Digest()][index])
	share[50] ^= 1
	_, err := n.member.Step(ShareSeen{up, share})
	wantRule(t, err, RuleShare)
	// The seat never skips one: without that share it opens nothing.
	for _, u := range w.coord.View().Uploads {
		if u.Signer != up.Signer {
			if _, err := n.member.Step(ShareSeen{u, w.shares[u.Digest()][index]}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := n.member.Step(RosterArrived{*w.coord.View().Roster}); !errors.Is(err, ErrSharesMissing) {
		t.Errorf("opened without a share: %v", err)
	}
}

func TestI3UnsignedUploadIsRefused(t *testing.T) {
	w, _ := opened(t)
	up := w.coord.View().Uploads[1]
	up.Sig[0] ^= 1
	_, err := w.nodes[0].member.Step(ShareSeen{up, nil})
	wantRule(t, err, RuleSignature)
	forged := w.coord.View().Uploads[1]
	forged.Signer = w.nodes[0].key.Public()
	_, err = w.nodes[0].member.Step(ShareSeen{forged, nil})
	wantRule(t, err, RuleSignature)
}

func TestI5ShareForAnotherRoundIsRefused(t *testing.T) {
	w, p := planned(t)
	n := w.nodes[0]
	if err := w.step(n, w.planInput(n, wire.Sign(w.key, &p))); err != nil {
		t.Fatal(err)
	}
	// The upload is signed for round 2, the sealed share inside is round 1's: it doesn't unseal under round 2's context.
	old := w.evidence(p.PrevRelease).Uploads[1]
	sender := w.nodes[slices.IndexFunc(w.nodes, func(n *node) bool { return n.key.Public() == old.Signer })]
	shares := w.shares[old.Digest()]
	u := &wire.Upload{Ctx: p.Context(n.member.job.Closed), PayloadDigest: BlobDigest([]byte("x")), PayloadLen: uint64(w.proposal.Params(p.Kind).PayloadBytes())}
	for _, s := range shares {
		u.ShareDigests = append(u.ShareDigests, BlobDigest(s))
	}
	index := w.proposal.Seat(n.key.Public()) - 1
	effects, err := n.member.Step(ShareSeen{wire.Sign(sender.key, u), shares[index]})
	if err != nil {
		t.Fatal(err)
	}
	var complaint wire.Complaint
	if err := openSend(effects[0], &complaint); err != nil {
		t.Errorf("a share of another round: %v", err)
	}
}

func TestI6TwoQuorumsAlwaysShareAnHonestSeat(t *testing.T) {
	w := newWorld(t)
	m := w.manifest()
	for _, threshold := range []uint16{0, 1, 2, 4} {
		m.T = threshold
		e := wire.Sign(w.key, m)
		_, err := OpenManifest(w.charter, toy{}, w.terms, &e)
		wantRule(t, err, RuleCommittee)
	}
}

func TestI8CohortOfFewerThanThreeIsRefused(t *testing.T) {
	w := newWorld(t)
	for size := range 3 {
		m := w.manifest()
		m.Cohort, m.NMin = m.Cohort[:size], uint16(size)
		e := wire.Sign(w.key, m)
		_, err := OpenManifest(w.charter, toy{}, w.terms, &e)
		wantRule(t, err, RuleCohort)
	}
}

// Two exact sums over cohorts that differ by one member show that member: within a job the roster is always the whole cohort.
func TestI9RostersOfOneJobNeverDiffer(t *testing.T) {
	w := newWorld(t)
	away := w.nodes[2]
	w.before = func(n *node, _ TaskPhase) bool { return n != away || w.coord.View().Round < 2 }
	w.run(func() bool { return w.coord.View().Status == Paused })
	if v := w.coord.View(); v.Status != Paused || v.Reason != "waiting for "+away.name {
		t.Fatalf("job %s: %s", v.Status, v.Reason)
	}
	for range 100 { // whatever time passes, nothing opens without it
		w.ms += 60_000
		if err := w.feed(Clock{}); err != nil {
			t.Fatal(err)
		}
	}
	if w.opens != 1 {
		t.Errorf("%d sums opened, want round 1's alone", w.opens)
	}
	w.before = nil
	w.run(nil)
	if v := w.coord.View(); v.Status != Completed || v.Round != 4 {
		t.Errorf("job %s in round %d after the member came back", v.Status, v.Round)
	}
}

func TestManifestThatDiffersFromTheSpecIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		rule   Rule
		change func(*wire.Manifest)
	}{
		"wider lanes":       {RuleManifest, func(m *wire.Manifest) { m.Rounds[1].Codec.Bits = 24 }},
		"another scale":     {RuleManifest, func(m *wire.Manifest) { m.Rounds[1].Codec.Segments[0].ScaleNum = 7 }},
		"more rounds":       {RuleManifest, func(m *wire.Manifest) { m.Rounds[1].MaxRounds = 50 }},
		"a missing kind":    {RuleManifest, func(m *wire.Manifest) { m.Rounds = m.Rounds[:2] }},
		"noise in exact":    {RuleManifest, func(m *wire.Manifest) { m.Rounds[1].DP.Sigma2Local = 1 }},
		"another state 0":   {RuleState, func(m *wire.Manifest) { m.State0[0] = 1 }},
		"another charter":   {RuleCharter, func(m *wire.Manifest) { m.CharterDigest[0] ^= 1 }},
		"another f":         {RuleCohort, func(m *wire.Manifest) { m.F = 0 }},
		"a smaller n_min":   {RuleCohort, func(m *wire.Manifest) { m.NMin = 3 }},
		"a stranger":        {RuleCohort, func(m *wire.Manifest) { m.Cohort[3] = wire.Member{255} }},
		"a stranger's seat": {RuleCommittee, func(m *wire.Manifest) { m.Committee[0].Member = wire.Member{9} }},
		"two seats for one": {RuleCommittee, func(m *wire.Manifest) { m.Committee[0].Member = m.Committee[1].Member }},
		"another kind":      {RuleManifest, func(m *wire.Manifest) { m.Kind = wire.Private }},
		"noised":            {RuleManifest, func(m *wire.Manifest) { m.Mode = wire.Noised }},
		"no expiry":         {RuleManifest, func(m *wire.Manifest) { m.ExpiresMs = 0 }},
	} {
		w := newWorld(t)
		m := w.manifest()
		c.change(m)
		e := wire.Sign(w.key, m)
		_, err := OpenManifest(w.charter, toy{}, w.terms, &e)
		var r *Refused
		if !errors.As(err, &r) || r.Rule != c.rule {
			t.Errorf("%s: %v, want rule %s", name, err, c.rule)
		}
	}
}

func TestWrongCommitteeIsRefused(t *testing.T) {
	w := newWorld(t)
	w.untilPhase(1, PhaseUpload)
	n := w.nodes[0]
	// The same manifest closed with a seat key that the coordinator made up: its approval isn't the member's.
	approvals := slices.Clone(w.job)
	fake, _ := secagg.GenerateSeatKey()
	a := w.proposal.approval(n.key.Public(), fake.Public())
	approvals[0] = wire.Sign(w.key, &a)
	_, err := Close(w.proposal, approvals)
	wantRule(t, err, RuleSignature)
	// One approval fewer, one twice.
	_, err = Close(w.proposal, w.job[:3])
	wantRule(t, err, RuleApprovals)
	_, err = Close(w.proposal, append(slices.Clone(w.job), w.job[0]))
	wantRule(t, err, RuleApprovals)
	// A colluding member approves twice with two keys: whoever has seen one closed form refuses the other.
	b := w.proposal.approval(w.nodes[3].key.Public(), fake.Public())
	i := slices.IndexFunc(w.job, func(e wire.Envelope) bool { return e.Signer == w.nodes[3].key.Public() })
	approvals = slices.Clone(w.job)
	approvals[i] = wire.Sign(w.nodes[3].key, &b)
	second, err := Close(w.proposal, approvals)
	if err != nil {
		t.Fatal(err)
	}
	w.turn(n)
	_, err = NewMember(n.key, second, n.seatKey, n.stored)
	wantRule(t, err, RuleClosed)
}

func TestMessagesOfStrangersAreRefused(t *testing.T) {
	w, _ := opened(t)
	stranger := testKey(99)
	v := w.coord.View()
	root := wire.Digest{}
	for _, o := range []wire.Object{
		&wire.Complaint{Ctx: v.Context, Sender: w.nodes[0].key.Public()},
		&wire.ShareSum{Ctx: v.Context, Root: root, Index: 1},
		&wire.Refusal{Job: w.proposal.Job, Ctx: v.Context, Phase: "open", Rule: "lost"},
	} {
		var r *Refused
		if err := w.put(wire.Sign(stranger, o)); !errors.As(err, &r) {
			t.Errorf("%s by a stranger: %v", o.Type(), err)
		}
	}
	if got := w.coord.View(); got.Status != Running || got.Phase != PhaseOpen {
		t.Errorf("the job is %s, %s", got.Status, got.Phase)
	}
}

func TestCoordinatorOfAnotherConsortiumIsRefused(t *testing.T) {
	w, p := planned(t)
	other := testKey(98)
	_, err := w.nodes[0].member.Step(w.planInput(w.nodes[0], wire.Sign(other, &p)))
	wantRule(t, err, RuleSignature)
	m := w.manifest()
	e := wire.Sign(other, m)
	_, err = OpenManifest(w.charter, toy{}, w.terms, &e)
	wantRule(t, err, RuleCharter)
}

func TestG1RefusalsCarryNoData(t *testing.T) {
	w, p := planned(t)
	n := w.nodes[0]
	if err := w.offerPlan(n, p); err != nil {
		t.Fatal(err)
	}
	_, err := n.member.Step(Trained{[][]float64{{10}, {1e12, 1}}}) // beyond its lane
	wantRule(t, err, RuleLanes)
	var refused *Refused
	errors.As(err, &refused)
	e := n.member.Refusal(refused, "train")
	var r wire.Refusal
	if err := e.Open(&r); err != nil {
		t.Fatal(err)
	}
	if r.Hint != refused.Hint || r.Rule != string(RuleLanes) {
		t.Errorf("refusal %+v", r)
	}
}

func TestThreeUnopenedRoundsEndTheJob(t *testing.T) {
	w := newWorld(t)
	for _, n := range w.nodes[:2] {
		n.lie = lieAboutShareSum
	}
	w.run(nil)
	v := w.coord.View()
	if v.Status != Aborted || v.Round != 3 {
		t.Errorf("job %s in round %d: %s\n%s", v.Status, v.Round, v.Reason, w.trace.String())
	}
	if got := string(v.State); got != string(toy{}.InitialState()) {
		t.Errorf("state %s, want the last verified one", got)
	}
}

// lieAboutShareSum adds one to a coefficient of the sum.
func lieAboutShareSum(n *node, e wire.Envelope) wire.Envelope {
	var s wire.ShareSum
	if e.Kind != wire.TypeShareSum || e.Open(&s) != nil {
		return e
	}
	for i := len(s.Sum) - 200; i < len(s.Sum)-100; i++ {
		s.Sum[i] ^= 4
		if _, err := secagg.ParseShareSum(s.Sum); err != nil {
			s.Sum[i] ^= 4 // not a field element: leave it
		}
	}
	return wire.Sign(n.key, &s)
}

// A member's words are quoted in what the coordinator signs: they can't be so long that it can't sign.
func TestLongRefusalEndsTheJobAndNothingElse(t *testing.T) {
	for _, hint := range []string{strings.Repeat("x", wire.MaxTextBytes), strings.Repeat("ß", wire.MaxTextBytes/2)} {
		w := newWorld(t)
		w.untilPhase(1, PhaseUpload)
		r := &wire.Refusal{Job: w.proposal.Job, Ctx: w.coord.View().Context, Phase: "plan", Rule: "policy", Hint: hint}
		if err := w.put(wire.Sign(w.nodes[0].key, r)); err != nil {
			t.Fatal(err)
		}
		if v := w.coord.View(); v.Status != Aborted || len(v.Reason) > wire.MaxTextBytes {
			t.Errorf("job %s with a reason of %d bytes", v.Status, len(v.Reason))
		}
	}
}

// A seat that has said that it can't open isn't waited for.
func TestRefusingSeatDoesntSlowTheRoster(t *testing.T) {
	w := newWorld(t)
	w.untilPhase(1, PhaseUpload)
	gone := w.nodes[3]
	w.before = func(n *node, phase TaskPhase) bool { return n != gone || phase == TaskPlan || phase == TaskRelease }
	if err := w.put(wire.Sign(gone.key, &wire.Refusal{Job: w.proposal.Job, Ctx: w.coord.View().Context, Phase: "open", Rule: string(RuleCommittee)})); err != nil {
		t.Fatal(err)
	}
	start := w.ms
	w.run(func() bool { return w.coord.View().Round == 2 })
	if v := w.coord.View(); v.Round != 2 || w.ms != start {
		t.Errorf("round %d after %d ms", v.Round, w.ms-start)
	}
}

// A first plan of round 0 would slip past the rules that compare rounds, the ledger's among them.
func TestG6RoundZeroIsRefused(t *testing.T) {
	w := newWorld(t)
	w.untilPhase(1, PhaseUpload)
	var p wire.Plan
	if err := w.coord.View().Plan.Open(&p); err != nil {
		t.Fatal(err)
	}
	n := w.nodes[0]
	w.restart(n)
	p.Round = 0
	wantRule(t, w.offerPlan(n, p), RulePlan)
}

// A coordinator that opens a sum, hides its release and asks for the step again and again: a member goes along twice, not for ever.
func TestG4StepIsNotRerunForEver(t *testing.T) {
	for _, w := range []*world{newWorld(t), privateWorld(t)} {
		w.untilPhase(2, PhaseUpload)
		n := w.nodes[3]
		var p wire.Plan
		if err := w.coord.View().Plan.Open(&p); err != nil {
			t.Fatal(err)
		}
		n.lie = nil
		for rerun := range 5 {
			effects, err := n.member.Step(w.planInput(n, wire.Sign(w.key, &p)))
			if rerun == maxFailures {
				wantRule(t, err, RulePlan)
				break
			}
			if err != nil {
				t.Fatalf("rerun %d: %v", rerun, err)
			}
			n.seen = *effects[0].(Persist).Head
			if w.terms.Private {
				effects, err = n.member.Step(NoisedSum{noised(t, 10)})
			} else {
				effects, err = n.member.Step(Trained{[][]float64{{10}, {1, 1}}})
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := n.member.Step(effects[1].(Seal).Next); err != nil {
				t.Fatal(err)
			}
			p.Round++
		}
	}
}
