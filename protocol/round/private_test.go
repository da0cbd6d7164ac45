package round

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"tributary/crypto/dp"
	"tributary/crypto/dp/accountant"
	"tributary/protocol/wire"
)

// noiseParams are those of one member's part of the toy sum.
func noiseParams(t *testing.T) dp.Params {
	t.Helper()
	p, err := dp.NewParams(dp.Options{Bits: 20, Local: dp.Integer(16), Segments: []dp.Segment{
		{Name: "rows", Length: 1, Clip: 1, Rounding: dp.TowardZero}, {Name: "values", Length: 2, Clip: 100, Rounding: dp.Stochastic}, dp.Canary()}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func noised(t *testing.T, rows float64) *dp.Noised {
	t.Helper()
	sum, err := dp.Draw(noiseParams(t))
	if err != nil {
		t.Fatal(err)
	}
	for range int(rows) {
		if err := sum.AddSparse([]int{0, 1, 2}, []float64{1, 90, 10}); err != nil {
			t.Fatal(err)
		}
	}
	out, err := sum.Release()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// privateWorld has four members with data, three of them on a committee of 3 of 3; n_min is 3, f is 1, so h is 2.
func privateWorld(t *testing.T) *world {
	t.Helper()
	return privateWorldOn(t, Terms{Private: true, NMin: 3}, toyNoise(t))
}

func toyNoise(t *testing.T) wire.DP {
	return wire.DP{Mechanism: wire.MechanismDiscreteGaussian, Unit: wire.UnitRecord, Sensitivity: noiseParams(t).Sensitivity2(), Sigma2Local: 16, H: 2, QNum: 1, QDen: 1}
}

// noisedWorld is privateWorld without seats: each sends its noised values in clear.
func noisedWorld(t *testing.T) *world {
	t.Helper()
	noise := toyNoise(t)
	noise.H = 1
	return privateWorldOn(t, Terms{Private: true, Noised: true, NMin: 3}, noise)
}

func privateWorldOn(t *testing.T, terms Terms, noise wire.DP) *world {
	t.Helper()
	seats := 3
	if terms.Noised {
		seats = 0
	}
	terms.Noise = map[wire.RoundKind]wire.DP{wire.Fit: noise, wire.Train: noise, wire.Evaluate: noise}
	w := newWorldOn(t, terms, seats)
	for _, n := range w.nodes {
		n.rows *= 100
		a, err := accountant.NewAccount(accountant.Cap{Epsilon: dp.Integer(1 << 19), Delta: decimal(t, "1e-5")})
		if err != nil {
			t.Fatal(err)
		}
		n.account = &a
	}
	return w
}

func decimal(t *testing.T, s string) dp.Rational {
	t.Helper()
	r, err := dp.ParseRational(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// spend charges the node's account, as its store does with the upload.
func (w *world) spend(n *node, sum accountant.Sum) error {
	charge, err := accountant.ChargeFor(sum, n.account.Order())
	if err != nil {
		w.t.Fatal(err)
	}
	after, err := n.account.Spend(charge)
	if err != nil {
		return refuse(RuleBudget, "", "%v", err)
	}
	*n.account = after
	e := wire.Sign(n.key, &wire.Charge{Job: w.proposal.Job, Ctx: n.member.Context(), Member: n.key.Public(), Account: wire.AccountID(n.key.Public(), "customers"),
		Order: uint32(after.Order()), Units: uint64(charge.Units()), Spent: uint64(after.Spent())})
	n.charge = &e
	return nil
}

func TestPrivateJobRunsAndCharges(t *testing.T) {
	w := privateWorld(t)
	w.run(nil)
	if v := w.coord.View(); v.Status != Completed || v.Round != 4 {
		t.Fatalf("job %s in round %d: %s\n%s", v.Status, v.Round, v.Reason, w.trace.String())
	}
	for _, n := range w.nodes {
		sum, err := n.member.job.ChargeOf(wire.Train)
		if err != nil {
			t.Fatal(err)
		}
		one, err := accountant.ChargeFor(*sum, n.account.Order())
		if err != nil {
			t.Fatal(err)
		}
		if n.account.Spent() != 4*one.Units() {
			t.Errorf("%s spent %d units, want 4 of %d", n.name, n.account.Spent(), one.Units())
		}
	}
}

func TestG1NoSumWithoutNoiseInAPrivateJob(t *testing.T) {
	w := privateWorld(t)
	w.untilPhase(1, PhaseUpload)
	n := w.nodes[3]
	w.restart(n)
	if _, err := n.member.Step(w.planInput(n, *w.coord.View().Plan)); err != nil {
		t.Fatal(err)
	}
	_, err := n.member.Step(Trained{[][]float64{{10}, {1, 1}}})
	wantRule(t, err, RuleBudget)
	noise := noised(t, 1)
	if _, err := n.member.Step(NoisedSum{noise}); err != nil {
		t.Fatal(err)
	}
	if _, err := noise.Take(); !errors.Is(err, dp.ErrSpent) {
		t.Errorf("a noised sum was left to be sent twice: %v", err)
	}
	exact := newWorld(t)
	exact.untilPhase(1, PhaseUpload)
	m := exact.nodes[0]
	exact.restart(m)
	if _, err := m.member.Step(exact.planInput(m, *exact.coord.View().Plan)); err != nil {
		t.Fatal(err)
	}
	_, err = m.member.Step(NoisedSum{noised(t, 1)})
	wantRule(t, err, RuleManifest)
}

func TestG5UploadWithoutItsChargeIsRefused(t *testing.T) {
	w := privateWorld(t)
	w.untilPhase(1, PhaseUpload)
	n := w.nodes[3]
	w.restart(n)
	if err := w.step(n, w.planInput(n, *w.coord.View().Plan)); err != nil {
		t.Fatal(err)
	}
	good := *n.charge
	other := privateWorld(t)
	other.untilPhase(1, PhaseUpload)
	for name, change := range map[string]func(*wire.Charge){
		"too little":      func(g *wire.Charge) { g.Units-- },
		"another context": func(g *wire.Charge) { g.Ctx[0] ^= 1 },
		"another order":   func(g *wire.Charge) { g.Order++ },
		"another member":  func(g *wire.Charge) { g.Member = w.nodes[0].key.Public() },
	} {
		var g wire.Charge
		if err := good.Open(&g); err != nil {
			t.Fatal(err)
		}
		change(&g)
		if g.Spent < g.Units {
			g.Spent = g.Units
		}
		_, err := OpenCharge(n.member.job, w.coord.plan, ptr(wire.Sign(n.key, &g)))
		var r *Refused
		if !errors.As(err, &r) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Without any charge nothing is taken in.
	w2 := privateWorld(t)
	w2.untilPhase(1, PhaseUpload)
	m := w2.nodes[3]
	w2.restart(m)
	m.account = nil
	effects, err := m.member.Step(w2.planInput(m, *w2.coord.View().Plan))
	if err != nil || len(effects) == 0 {
		t.Fatal(err)
	}
	if _, err := m.member.Step(NoisedSum{noised(t, 10)}); err != nil {
		t.Fatal(err)
	}
	_, err = w2.coord.AcceptsUpload(ptr(wire.Sign(m.key, &wire.Upload{Ctx: w2.coord.View().Context, PayloadLen: uint64(w2.proposal.Params(wire.Fit).PayloadBytes()), ShareDigests: make([]wire.Digest, 3)})))
	wantRule(t, err, RuleBudget)
}

func ptr[T any](v T) *T { return &v }

func TestExhaustedAccountStopsTheMemberNotTheJob(t *testing.T) {
	w := privateWorld(t)
	poor := w.nodes[3] // without a seat
	w.untilPhase(2, PhaseUpload)
	empty, err := accountant.RestoreAccount(poor.account.Cap(), poor.account.Order(), poor.account.Budget())
	if err != nil {
		t.Fatal(err)
	}
	*poor.account = empty
	w.run(nil)
	v := w.coord.View()
	if v.Status != Completed || len(v.Refusals) != 1 {
		t.Fatalf("job %s with %d dropouts: %s\n%s", v.Status, len(v.Refusals), v.Reason, w.trace.String())
	}
	if poor.account.Spent() != poor.account.Budget() {
		t.Error("the account changed")
	}
}

func TestExhaustedSeatGoesOnOpening(t *testing.T) {
	w := privateWorld(t)
	poor := w.nodes[1] // with a seat: three of three are needed to open
	w.untilPhase(2, PhaseUpload)
	empty, err := accountant.RestoreAccount(poor.account.Cap(), poor.account.Order(), poor.account.Budget())
	if err != nil {
		t.Fatal(err)
	}
	*poor.account = empty
	w.run(nil)
	if v := w.coord.View(); v.Status != Completed || len(v.Refusals) != 1 {
		t.Fatalf("job %s with %d dropouts: %s\n%s", v.Status, len(v.Refusals), v.Reason, w.trace.String())
	}
}

func TestFewerThanNMinEndThePrivateJob(t *testing.T) {
	w := privateWorld(t)
	w.untilPhase(2, PhaseUpload)
	silent := w.nodes[2] // with a seat: it just stops
	w.before = func(n *node, _ TaskPhase) bool { return n != silent }
	w.run(nil)
	// Its seat is needed too (3 of 3), and 3 contributors without it are enough: the round waits for the seat until the job expires.
	if v := w.coord.View(); v.Status.Final() {
		t.Fatalf("job %s: %s", v.Status, v.Reason)
	}
	w = privateWorld(t)
	w.untilPhase(2, PhaseUpload)
	for _, n := range w.nodes[3:] {
		if err := w.put(wire.Sign(n.key, &wire.Refusal{Job: w.proposal.Job, Ctx: w.coord.View().Context, Phase: "train", Rule: string(RuleBudget)})); err != nil {
			t.Fatal(err)
		}
	}
	if v := w.coord.View(); v.Status != Running {
		t.Fatalf("job %s with n_min left: %s", v.Status, v.Reason)
	}
	if err := w.put(wire.Sign(w.nodes[2].key, &wire.Refusal{Job: w.proposal.Job, Ctx: w.coord.View().Context, Phase: "train", Rule: string(RuleBudget)})); err != nil {
		t.Fatal(err)
	}
	if v := w.coord.View(); v.Status != Aborted {
		t.Errorf("job %s below n_min", v.Status)
	}
}

func TestSilentContributorIsLeftOutAtTheDeadline(t *testing.T) {
	w := privateWorld(t)
	silent := w.nodes[3]
	w.untilPhase(2, PhaseUpload)
	silent.down = true
	start := w.ms
	w.run(nil)
	if v := w.coord.View(); v.Status != Completed {
		t.Fatalf("job %s: %s\n%s", v.Status, v.Reason, w.trace.String())
	}
	// It is waited for once; in the rounds after that only if it shows itself again.
	if waited := w.ms - start; waited != uint64(w.proposal.Manifest.RoundMs) {
		t.Errorf("waited %d ms for three rounds of %d", waited, w.proposal.Manifest.RoundMs)
	}
	w = privateWorld(t)
	silent = w.nodes[3]
	w.untilPhase(2, PhaseUpload)
	silent.down = true
	w.untilPhase(3, PhaseUpload)
	silent.down = false
	w.run(nil)
	if v := w.coord.View(); v.Status != Completed || silent.stored.Round != v.Round {
		t.Errorf("job %s in round %d; who came back took part up to round %d", v.Status, v.Round, silent.stored.Round)
	}
}

func TestSilentMemberDoesntKeepAPrivateJobFromClosing(t *testing.T) {
	w := privateWorld(t)
	silent := w.nodes[3]
	w.before = func(n *node, _ TaskPhase) bool { return n != silent }
	w.run(nil)
	v := w.coord.View()
	if v.Status != Completed || len(v.Approvals) != 3 {
		t.Fatalf("job %s with %d approvals: %s\n%s", v.Status, len(v.Approvals), v.Reason, w.trace.String())
	}
	if phase, _ := w.coord.Task(silent.key.Public(), Holds{}); phase == TaskPlan {
		t.Error("one who hasn't approved is asked to contribute")
	}
}

func TestPrivateCoordinatorRestartsAnywhere(t *testing.T) {
	for stop := 1; ; stop += 3 {
		w := privateWorld(t)
		silent := w.nodes[3]
		w.before = func(n *node, phase TaskPhase) bool { return n != silent || w.coord.View().Round != 2 }
		left := stop
		w.run(func() bool { left--; return left == 0 })
		if w.coord.View().Status == Completed && left > 0 {
			return
		}
		w.restartCoordinator()
		w.run(nil)
		if v := w.coord.View(); v.Status != Completed {
			t.Fatalf("restarted after turn %d: %s, %s\n%s", stop, v.Status, v.Reason, w.trace.String())
		}
	}
}

func TestRevokedBelowNMinEndsThePrivateJobAtOnce(t *testing.T) {
	w := privateWorld(t)
	w.untilPhase(2, PhaseUpload)
	refusal := &wire.Refusal{Job: w.proposal.Job, Ctx: w.coord.View().Context, Phase: "train", Rule: string(RuleBudget)}
	if err := w.put(wire.Sign(w.nodes[1].key, refusal)); err != nil {
		t.Fatal(err)
	}
	if err := w.feed(Revoked{w.nodes[3].key.Public()}); err != nil {
		t.Fatal(err)
	}
	if v := w.coord.View(); v.Status != Aborted {
		t.Errorf("job %s", v.Status)
	}
}

func TestWhoApprovesAndThenRefusesIsNotWaitedFor(t *testing.T) {
	w := privateWorld(t)
	fickle := w.nodes[3]
	w.approve(fickle)
	if err := w.put(wire.Sign(fickle.key, &wire.Refusal{Job: w.proposal.Job, Phase: "approve", Rule: string(RulePolicy)})); err != nil {
		t.Fatal(err)
	}
	w.restartCoordinator()
	w.before = func(n *node, _ TaskPhase) bool { return n != fickle }
	start := w.ms
	w.run(nil)
	if v := w.coord.View(); v.Status != Completed || w.ms != start {
		t.Errorf("job %s after %d ms: %s\n%s", v.Status, w.ms-start, v.Reason, w.trace.String())
	}
}

// A member can't spend the others' budgets, or the ledger's room, by repeating itself.
func TestRepeatedRefusalsCostNothing(t *testing.T) {
	w := privateWorld(t)
	w.untilPhase(2, PhaseOpen)
	entries := func() int64 { n, _ := w.log.Size(); return n }
	outsider, seat := w.nodes[3], w.nodes[0]
	before := entries()
	lost := wire.Sign(outsider.key, &wire.Refusal{Job: w.proposal.Job, Ctx: w.coord.View().Context, Phase: "upload", Rule: string(RuleLost)})
	if err := w.put(lost); err == nil {
		t.Error("an upload that is here was taken as lost")
	}
	stale := wire.Sign(outsider.key, &wire.Refusal{Job: w.proposal.Job, Phase: "upload", Rule: string(RuleLost)})
	if err := w.put(stale); err == nil {
		t.Error("a loss of no round was taken")
	}
	open := wire.Sign(seat.key, &wire.Refusal{Job: w.proposal.Job, Ctx: w.coord.View().Context, Phase: "open", Rule: string(RuleShare)})
	for range 50 {
		w.put(open)
	}
	if grown := entries() - before; grown > 3 { // the refusal, the abort for want of a quorum, and what may end the job
		t.Errorf("%d ledger entries for one refusal", grown)
	}
}

func TestMemberThatAlwaysLosesItsRoundEndsTheJob(t *testing.T) {
	w := newWorld(t)
	w.untilPhase(1, PhaseUpload)
	n := w.nodes[0]
	for range 3 * maxLost {
		v := w.coord.View()
		if v.Status.Final() {
			break
		}
		if v.Plan == nil {
			if err := w.feed(Clock{}); err != nil {
				t.Fatal(err)
			}
			continue
		}
		w.put(wire.Sign(n.key, &wire.Refusal{Job: w.proposal.Job, Ctx: v.Context, Phase: "upload", Rule: string(RuleLost)}))
	}
	if v := w.coord.View(); v.Status != Aborted {
		t.Errorf("job %s in round %d", v.Status, v.Round)
	}
}

// A sum whose lanes of noise alone don't carry what was agreed ends the job: it is neither applied nor released. Here every member draws
// noise of half the variance that the manifest, and so every charge, names.
func TestMissingNoiseIsFoundAndNothingIsApplied(t *testing.T) {
	for _, noised := range []bool{false, true} {
		noise := toyNoise(t)
		if noise.Sigma2Local = 32; noised {
			noise.H = 1
		}
		w := privateWorldOn(t, Terms{Private: true, Noised: noised, NMin: 3}, noise)
		w.run(nil)
		v := w.coord.View()
		if v.Status != Aborted || !strings.Contains(v.Reason, "the noise isn't the agreed one") || v.Step != 0 || noised != strings.HasPrefix(v.Reason, "alpen") {
			t.Errorf("noised %t: %s at step %d, %s", noised, v.Status, v.Step, v.Reason)
		}
		if len(w.releaseAt) != 0 {
			t.Errorf("noised %t: %d releases", noised, len(w.releaseAt))
		}
		if trace := w.trace.String(); strings.Count(trace, "ledger: abort") != 1 || strings.Count(trace, "ledger: roster") != 1 || strings.Count(trace, "ledger: charge") != 4 {
			t.Errorf("noised %t:\n%s", noised, trace)
		}
	}
}

// A noised job runs to its end without seats, also where the coordinator stops between roster and opening, and where a member is missing.
func TestNoisedJobRunsWithoutACommittee(t *testing.T) {
	w := noisedWorld(t)
	w.untilPhase(1, PhaseUpload)
	w.nodes[3].down = true
	w.run(func() bool { return w.coord.View().Step == 1 })
	if !strings.Contains(w.trace.String(), "roster closed without 1") {
		t.Errorf("a member that is gone is waited for:\n%s", w.trace.String())
	}
	w.nodes[3].down = false
	w.run(nil)
	if v := w.coord.View(); v.Status != Completed || len(w.releaseAt) != 4 {
		t.Fatalf("%s, %s", v.Status, v.Reason)
	}
	sum, err := w.proposal.ChargeOf(wire.Train)
	if err != nil || sum.Sigma2 != dp.Integer(16) {
		t.Errorf("charged by %+v: %v", sum, err)
	}
}

func TestNoisedSumIsOpenedAfterARestart(t *testing.T) {
	w := noisedWorld(t)
	for range 3 { // as if each opening were cut off
		w.lose = true
		w.run(func() bool { return w.coord.View().Roster != nil })
		w.restartCoordinator()
		if at := w.coord.NextClock(); at != 0 {
			t.Fatalf("the restarted coordinator sleeps until %d", at)
		}
	}
	w.lose = false
	w.run(nil)
	if v := w.coord.View(); v.Status != Completed {
		t.Fatalf("%s, %s", v.Status, v.Reason)
	}
}

// What isn't exactly a noised payload is refused.
func TestHostileNoisedPayloadIsRefused(t *testing.T) {
	p := noisedWorld(t).proposal.Params(wire.Train)
	lanes := make([]int64, p.Length())
	top := int64(1)<<(p.Bits()-1) - 1
	lanes[0], lanes[1], lanes[2] = top, -top-1, -1
	payload := packClear(p, lanes)
	if back, err := unpackClear(p, payload); err != nil || !slices.Equal(back, lanes) || len(payload) != ClearBytes(p) {
		t.Errorf("%d bytes, %v", len(payload), err)
	}
	beyond := slices.Clone(payload)
	beyond[2] = 0xff // of 20 bits in three bytes
	for name, bad := range map[string][]byte{"short": payload[:len(payload)-1], "long": append(slices.Clone(payload), 0), "version": append([]byte{0, 2}, payload[2:]...), "empty": nil, "lane": beyond} {
		if _, err := unpackClear(p, bad); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
