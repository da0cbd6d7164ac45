package engine

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"tributary/crypto/dp"
	"tributary/crypto/dp/accountant"
	"tributary/crypto/secagg"
	"tributary/participant/internal/store"
	"tributary/protocol/pb"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

// privateText is a job of four sums: FIT, TRAIN twice, EVALUATE.
const privateText = `version: 1
name: churn-private
contract: shop-customers@1
features:
  - {columns: [age], transform: scale}
  - {columns: [country], transform: one_hot}
model: {type: logistic_regression, l2: 1.0, solver: dp_gradient_descent, max_rounds: 2}
evaluate: {holdout: 0.2}
privacy: {unit: record, epsilon: "4", delta: "1e-5"}
run: {mode: sealed, min_participants: 3, committee: {threshold: 3, of: 4}, round_timeout: 1m, expires: 1h}
`

func capOf(t *testing.T, epsilon, delta string) accountant.Cap {
	t.Helper()
	e, err := dp.ParseRational(epsilon)
	if err != nil {
		t.Fatal(err)
	}
	d, err := dp.ParseRational(delta)
	if err != nil {
		t.Fatal(err)
	}
	return accountant.Cap{Epsilon: e, Delta: d}
}

// privateWorld is a consortium whose members allow private jobs and have accounts with a cap; "" for none.
func privateWorld(t *testing.T, epsilon string) *world {
	w := newWorld(t, "alpen", "baltic", "coast", "delta")
	for _, m := range w.members {
		w.configure(m, "contracts: [shop-customers@1], privacy: [private, exact], approve: automatic")
		if epsilon != "" {
			w.openAccount(m, epsilon)
		}
	}
	return w
}

func (w *world) openAccount(m *member, epsilon string) { w.openUnit(m, wire.UnitRecord, epsilon) }

func (w *world) openUnit(m *member, unit uint8, epsilon string) {
	w.with(m, func(s *store.Store) {
		if _, err := s.OpenAccount(m.key, "customers", nil, unit, capOf(w.t, epsilon, "1e-5")); err != nil {
			w.t.Fatal(err)
		}
	})
}

// account reads a member's account.
func (w *world) account(m *member) (*store.Account, []store.Charge) {
	w.t.Helper()
	var a *store.Account
	var charges []store.Charge
	w.with(m, func(s *store.Store) {
		var err1, err2 error
		a, err1 = s.Account("customers")
		charges, err2 = s.Charges("customers")
		if err := errors.Join(err1, err2); err != nil {
			w.t.Fatal(err)
		}
	})
	return a, charges
}

// checkOrder checks that no upload's header came before its charge, and no charge before its account.
func (w *world) checkOrder(m *member) {
	w.t.Helper()
	w.fake.mu.Lock()
	defer w.fake.mu.Unlock()
	charges, uploads, accounts := map[wire.Digest]bool{}, map[wire.Digest]bool{}, 0
	for _, one := range w.fake.said {
		if one.by != m.key.Public() {
			continue
		}
		switch one.kind {
		case wire.TypeAccount:
			accounts++
		case wire.TypeCharge:
			charges[one.digest] = true
			if accounts == 0 {
				w.t.Errorf("%s sent a charge before its account", m.name)
			}
		case wire.TypeUpload:
			if uploads[one.digest] = true; len(charges) < len(uploads) {
				w.t.Errorf("%s sent upload %d after %d charges", m.name, len(uploads), len(charges))
			}
		}
	}
}

func TestPrivateJobIsChargedBeforeTheFirstByteLeaves(t *testing.T) {
	w := privateWorld(t, "10")
	w.startAll()
	job := w.submit(privateText)
	w.ends(job, round.Completed)
	for _, m := range w.members {
		w.closed(m, job)
		w.checkOrder(m)
		if j := w.job(m, job); j.Status != store.Finished || j.Rows != [32]byte{} {
			t.Errorf("%s: %s, %s", m.name, j.Status, j.Why)
		}
		a, charges := w.account(m)
		if len(charges) != 4 || a.Spent == 0 || a.Spent != charges[3].Spent { // FIT, TRAIN twice, EVALUATE
			t.Errorf("%s: %d charges, %d units spent", m.name, len(charges), a.Spent)
		}
		// The whole job costs at most what its own ε allows at its own order, so at another order its ε is below too.
		if epsilon := accountant.EpsilonFromRDP(float64(a.Order), a.Spent.Nats(), 1e-5); epsilon > 10 || epsilon < 2 {
			t.Errorf("%s: the job of ε = 4 amounts to ε ≤ %g at the account's order %d", m.name, epsilon, a.Order)
		}
		w.with(m, func(s *store.Store) {
			if uses, err := s.Uses("customers"); len(uses) != 0 || err != nil {
				t.Errorf("%s: a private job counts as an exact one: %v, %v", m.name, uses, err)
			}
			if words, err := s.Words(); len(words) != 0 || err != nil {
				t.Errorf("%s: %d words aren't acknowledged (%v)", m.name, len(words), err)
			}
			sent, err := s.Outbox()
			if err != nil {
				t.Fatal(err)
			}
			kinds := map[string]int{}
			for _, one := range sent {
				kinds[one.Kind]++
			}
			if kinds["Account"] != 1 || kinds["Charge"] != 4 || kinds["Upload"] != 4 {
				t.Errorf("%s: the outbox shows %v", m.name, kinds)
			}
		})
	}
	if n := w.fake.fetched[pb.FetchKind_FETCH_STATE]; n < 3*len(w.members) {
		t.Errorf("%d states were fetched", n)
	}
	if n := w.fake.fetched[pb.FetchKind_FETCH_PAYLOAD] + w.fake.fetched[pb.FetchKind_FETCH_EVIDENCE]; n != 0 {
		t.Errorf("%d pieces of evidence were fetched in a private job", n)
	}
	if len(w.fake.refused()) != 0 {
		t.Errorf("refusals: %+v", w.fake.refused())
	}
}

func TestKilledBetweenChargeAndUploadSendsTheSameBytes(t *testing.T) {
	w := privateWorld(t, "10")
	m := w.members[0]
	sends := 0
	crashed := w.crashOnce(m, func(e round.Effect) bool {
		if _, ok := e.(round.SendUpload); ok {
			sends++
		}
		return sends == 2
	})
	w.startAll()
	job := w.submit(privateText)
	w.until("the crash", crashed.Load)
	<-m.done
	m.cancel = nil
	before, charges := w.account(m)
	if len(charges) != 2 || charges[1].Acknowledged || before.Spent != charges[1].Spent {
		t.Errorf("the charge isn't durable before it is sent: %+v", charges)
	}
	sealed := w.job(m, job).Record.Upload
	w.fake.mu.Lock()
	seen := len(w.fake.uploads[m.key.Public()])
	w.fake.mu.Unlock()
	if seen != 1 {
		t.Errorf("%d uploads arrived before the second charge", seen)
	}
	w.start(m)
	w.ends(job, round.Completed)
	w.closed(m, job)
	w.checkOrder(m)
	e, err := wire.ParseEnvelope(sealed)
	if err != nil {
		t.Fatal(err)
	}
	after, charges := w.account(m)
	if w.fake.uploads[m.key.Public()][1] != e.Digest() {
		t.Error("another upload was sent after the restart")
	}
	if len(charges) != 4 || after.Spent != charges[3].Spent || after.Order != before.Order {
		t.Errorf("%d charges after the restart, want one a round", len(charges))
	}
	if n := w.fake.puts[wire.TypeRefusal]; n != 0 {
		t.Errorf("%d refusals: %v", n, w.fake.refusals)
	}
}

func TestKilledBeforeTheChargeIsLostAndCostsNothing(t *testing.T) {
	w := privateWorld(t, "10")
	m := w.members[0]
	crashed := w.crashOnce(m, func(e round.Effect) bool {
		p, ok := e.(round.Persist)
		if ok && p.Charge != nil { // once the others have paid for the round
			w.until("the others' uploads", func() bool {
				w.fake.mu.Lock()
				defer w.fake.mu.Unlock()
				return len(w.fake.jobs[0].machine.View().Uploads) == 3
			})
		}
		return ok && p.Charge != nil
	})
	w.startAll()
	job := w.submit(privateText)
	w.restart(m, crashed)
	w.ends(job, round.Completed)
	for i, other := range w.members {
		w.closed(other, job)
		a, charges := w.account(other)
		want := 4 // the round goes on without the one that lost it, which isn't charged for it
		if i == 0 {
			want = 3
		}
		if len(charges) != want || a.Spent != charges[want-1].Spent {
			t.Errorf("%s: %d charges, want %d", other.name, len(charges), want)
		}
		w.checkOrder(other)
	}
	if r := w.fake.refused(); len(r) != 1 || r[0].Rule != string(round.RuleLost) {
		t.Errorf("%+v", r)
	}
}

func TestJobThatTheAccountCantAffordIsRefusedAtApproval(t *testing.T) {
	w := privateWorld(t, "1")
	w.start(w.members[0])
	job := w.submit(privateText)
	j := w.refuses(w.members[0], job, round.RuleBudget)
	a, charges := w.account(w.members[0])
	if len(charges) != 0 || !strings.Contains(j.Why, "the job costs") || !strings.Contains(j.Why, fmt.Sprintf("%.6g left of %.6g", a.Left().Nats(), a.Budget().Nats())) {
		t.Errorf("%q, %d charges", j.Why, len(charges))
	}
	if hint := w.fake.refused()[0].Hint; hint != exhaustedHint || strings.ContainsAny(hint, "0123456789") {
		t.Errorf("%q left the machine", hint)
	}
}

func TestExhaustedAccountRefusesAndNothingLeaves(t *testing.T) {
	w := privateWorld(t, "10")
	tight := w.members[0]
	w.configure(tight, "contracts: [shop-customers@1], privacy: [private], approve: manual")
	w.startAll()
	first := w.submit(privateText)
	second := w.submit(strings.Replace(privateText, "l2: 1.0", "l2: 2.0", 1))
	w.waits(tight, first)
	w.waits(tight, second)
	// Each alone can be paid for, a fifth of the budget, and is approved; both can't: an approval reserves nothing.
	w.stop(tight)
	a, _ := w.account(tight)
	w.with(tight, func(s *store.Store) {
		spend(t, s, tight, a, 0.65)
	})
	a, _ = w.account(tight)
	w.decide(tight, first, "approve", "")
	w.decide(tight, second, "approve", "")
	w.start(tight)
	w.until("both jobs' ends", func() bool { return w.fake.view(first).Status.Final() && w.fake.view(second).Status.Final() })
	for _, job := range []wire.Digest{first, second} {
		if v := w.fake.view(job); v.Status != round.Completed { // it goes on without the one that can't pay
			t.Errorf("job %s: %s", v.Status, v.Reason)
		}
		w.closed(tight, job)
	}
	refusals := 0
	for _, r := range w.fake.refused() {
		if r.Rule == string(round.RuleBudget) {
			refusals++
		}
	}
	after, charges := w.account(tight)
	if refusals == 0 || after.Spent > after.Budget() || after.Spent < a.Spent {
		t.Errorf("%d refusals, %d units of %d spent", refusals, after.Spent, after.Budget())
	}
	w.fake.mu.Lock()
	defer w.fake.mu.Unlock()
	distinct := map[wire.Digest]bool{}
	for _, d := range w.fake.uploads[tight.key.Public()] {
		distinct[d] = true
	}
	if len(distinct) > len(charges)-1 { // one charge was made by this test
		t.Errorf("%d uploads left for %d charges", len(distinct), len(charges)-1)
	}
}

// spend charges a share of an account's budget to a job that isn't any.
func spend(t *testing.T, s *store.Store, m *member, a *store.Account, share float64) {
	t.Helper()
	const sensitivity2 = 1 << 20
	sigma2 := uint64(math.Ceil(float64(a.Order) * sensitivity2 / (2 * a.Budget().Nats() * share)))
	sum := accountant.Sum{Sensitivity2: sensitivity2, Sigma2: dp.Integer(sigma2 + 1), Rate: dp.Integer(1)}
	id := wire.Digest{0xee}
	if err := s.AddJob(&store.Job{Job: id, Name: "earlier", Status: store.Approved, Bundle: []byte{1}, Source: "customers", Seen: time.Now(), Expires: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	p := round.Persist{Record: round.Record{Stage: round.StageUploaded}, Sealed: &secagg.Upload{Payload: []byte{1}, Shares: [][]byte{{1}}}, Charge: &sum}
	if err := s.Persist(id, p, &store.Payer{Key: m.key, Source: "customers", Ctx: wire.Digest{0xee}}); err != nil {
		t.Fatal(err)
	}
	c, err := s.ChargeOf(wire.Digest{0xee})
	if err == nil {
		err = errors.Join(s.Acknowledge(c.Envelope), s.End(id, store.Ended, ""))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestRefilledAccountPaysAgain(t *testing.T) {
	w := privateWorld(t, "10")
	m := w.members[0]
	a, _ := w.account(m)
	w.with(m, func(s *store.Store) { spend(t, s, m, a, 0.95) })
	w.startAll()
	job := w.submit(privateText)
	w.ends(job, round.Aborted)
	if r := w.fake.refused()[0]; r.Rule != string(round.RuleBudget) {
		t.Errorf("%+v", r)
	}
	w.with(m, func(s *store.Store) { // while the node runs
		if _, err := s.Refill(m.key, "customers", dp.Integer(10)); err != nil {
			t.Fatal(err)
		}
	})
	before, _ := w.account(m)
	w.ends(w.submit(strings.Replace(privateText, "l2: 1.0", "l2: 2.0", 1)), round.Completed)
	after, _ := w.account(m)
	if after.Spent <= before.Spent || after.Spent <= a.Budget() || after.Order != a.Order {
		t.Errorf("%d units spent, %d before, first budget %d", after.Spent, before.Spent, a.Budget())
	}
	w.fake.mu.Lock()
	defer w.fake.mu.Unlock()
	own := slices.DeleteFunc(slices.Clone(w.fake.accounts), func(a wire.Account) bool { return a.Member != m.key.Public() })
	if len(own) != 2 || own[1].Refills != 1 || own[1].PrevBudgets != own[0].Budget || own[1].Budget != 2*own[0].Budget {
		t.Errorf("%+v", own)
	}
}

func TestExactJobIsRefusedOnASourceWithAnAccount(t *testing.T) {
	t.Run("its own", func(t *testing.T) {
		w := privateWorld(t, "10")
		w.start(w.members[0])
		job := w.submit(specText)
		if j := w.refuses(w.members[0], job, round.RuleBudget); !strings.Contains(j.Why, "exact jobs are refused") {
			t.Error(j.Why)
		}
		if hint := w.fake.refused()[0].Hint; hint != exactHint {
			t.Error(hint)
		}
	})
	t.Run("another id of the same file", func(t *testing.T) {
		w := privateWorld(t, "")
		m := w.members[0]
		w.with(m, func(s *store.Store) {
			if _, err := s.OpenAccount(m.key, "copy", nil, wire.UnitRecord, capOf(t, "10", "1e-5")); err != nil {
				t.Fatal(err)
			}
		})
		second := m.config.Data[0]
		second.ID, second.Contract = "copy", "other@1"
		m.config.Data = append(m.config.Data, second)
		w.start(m)
		w.refuses(m, w.submit(specText), round.RuleBudget)
	})
	t.Run("opened while the job waits", func(t *testing.T) {
		w := privateWorld(t, "")
		m := w.members[0]
		w.configure(m, "contracts: [shop-customers@1], privacy: [private, exact]")
		w.start(m)
		job := w.submit(specText)
		w.waits(m, job)
		w.openAccount(m, "10")
		w.decide(m, job, "approve", "")
		w.refuses(m, job, round.RuleBudget)
	})
}

func TestPrivateJobIsRefusedWithoutAccountOrPolicy(t *testing.T) {
	w := privateWorld(t, "")
	w.start(w.members[0])
	job := w.submit(privateText)
	if j := w.refuses(w.members[0], job, round.RuleBudget); !strings.Contains(j.Why, "budget open customers") {
		t.Error(j.Why)
	}
	w = privateWorld(t, "10")
	w.configure(w.members[0], "contracts: [shop-customers@1], approve: automatic")
	w.start(w.members[0])
	job = w.submit(privateText)
	if j := w.refuses(w.members[0], job, round.RulePolicy); !strings.Contains(j.Why, "policy.privacy doesn't allow private jobs") {
		t.Error(j.Why)
	}
}

func TestApprovalTellsWhatThisNodesAccountPays(t *testing.T) {
	w := privateWorld(t, "10")
	m := w.members[0]
	w.configure(m, "contracts: [shop-customers@1], privacy: [private]")
	w.start(m)
	text := w.waits(m, w.submit(privateText)).Text
	a, _ := w.account(m)
	for _, want := range []string{"Job churn-private", "This participant's own account", fmt.Sprintf("of the %.4g left at order %d", a.Left().Nats(), a.Order), "are left after it", "at δ = 1/100000; the account allows 10"} {
		if !strings.Contains(text, want) {
			t.Errorf("no word of %q in\n%s", want, text)
		}
	}
}

func TestNothingIsUploadedWhileTheAccountIsntInTheLedger(t *testing.T) {
	w := privateWorld(t, "10")
	w.fake.deaf = true
	w.startAll()
	job := w.submit(privateText)
	w.until("a plan", func() bool {
		j := w.job(w.members[0], job)
		return j != nil && j.Record != nil && j.Record.Stage == round.StageUploaded
	})
	time.Sleep(200 * time.Millisecond)
	w.fake.mu.Lock()
	for _, one := range w.fake.said {
		if one.kind == wire.TypeUpload || one.kind == wire.TypeCharge {
			t.Errorf("a %s left before its account was acknowledged", one.kind)
		}
	}
	w.fake.deaf = false
	w.fake.mu.Unlock()
	w.ends(job, round.Completed)
	for _, m := range w.members {
		w.checkOrder(m)
	}
}

func TestWordsThatTheCoordinatorLostAreSentAgain(t *testing.T) {
	w := privateWorld(t, "10")
	m := w.members[0]
	trains := 0
	crashed := w.crashOnce(m, func(e round.Effect) bool {
		if _, ok := e.(round.Train); ok {
			trains++
		}
		return trains == 3
	})
	w.startAll()
	job := w.submit(privateText)
	w.until("the crash", crashed.Load)
	w.fake.mu.Lock()
	w.fake.accounts = nil
	w.fake.mu.Unlock()
	w.restart(m, crashed)
	w.ends(job, round.Completed)
	if a, charges := w.account(m); len(charges) != 4 || a.Spent != charges[3].Spent {
		t.Errorf("%d charges", len(charges))
	}
}
