package engine

import (
	"slices"
	"strings"
	"testing"
	"time"

	"tributary/participant/internal/store"
	"tributary/protocol/jobspec"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

// waits waits until a job is pending at a member.
func (w *world) waits(m *member, job wire.Digest) *store.Job {
	w.t.Helper()
	var j *store.Job
	w.until(m.name+" shows the job", func() bool { j = w.job(m, job); return j != nil })
	if j.Status != store.Pending {
		w.t.Fatalf("%s: %s (%s)", m.name, j.Status, j.Why)
	}
	time.Sleep(50 * time.Millisecond) // an approval that shouldn't leave would by now
	for _, e := range w.fake.view(job).Approvals {
		if e.Signer == m.key.Public() {
			w.t.Error("approved without its operator")
		}
	}
	return j
}

func (w *world) decide(m *member, job wire.Digest, decision, reason string) {
	w.t.Helper()
	w.with(m, func(s *store.Store) {
		if err := s.Decide(job, decision, reason); err != nil {
			w.t.Fatal(err)
		}
	})
}

func TestOperatorsApprovalIsCarriedOutByTheRunningNode(t *testing.T) {
	w := newWorld(t, "alpen", "baltic", "coast", "delta")
	m := w.members[0]
	w.configure(m, "contracts: [shop-customers@1]")
	w.startAll()
	job := w.submit(specText)
	j := w.waits(m, job)
	for _, want := range []string{"Job churn, exact", "alpen (ALPEN AG)", "any 3 of 4 seats", "What only one customer has", "only private jobs exclude this"} {
		if !strings.Contains(j.Text, want) {
			t.Errorf("the approval text lacks %q:\n%s", want, j.Text)
		}
	}
	w.decide(m, job, "approve", "")
	w.ends(job, round.Completed)
}

func TestOperatorsDenialEndsTheJobAndItsReasonStaysHere(t *testing.T) {
	w := newWorld(t, "alpen", "baltic", "coast", "delta")
	m := w.members[0]
	w.configure(m, "contracts: [shop-customers@1], approve: manual")
	w.startAll()
	job := w.submit(specText)
	w.waits(m, job)
	w.stop(m) // a decision given while the node is down is carried out when it is started
	w.decide(m, job, "deny", "our works council said no")
	w.start(m)
	w.ends(job, round.Aborted)
	r := w.fake.refused()[0]
	if r.Rule != string(round.RulePolicy) || strings.Contains(r.Hint, "council") {
		t.Errorf("%+v", r)
	}
	if j := w.job(m, job); j.Status != store.Refused || !strings.Contains(j.Why, "council") {
		t.Errorf("%s: %s", j.Status, j.Why)
	}
}

func TestAnotherCohortOnTheSameSourceIsNeverAutomatic(t *testing.T) {
	w := newWorld(t, "alpen", "baltic", "coast", "delta", "elbe")
	m := w.members[0]
	w.startAll()
	names, keys := []string{"alpen", "baltic", "coast", "delta", "elbe"}, w.cohort()
	spec := func(without int) string {
		list := append(append([]string{}, names[:without]...), names[without+1:]...)
		return strings.Replace(specText, "committee", "participants: ["+strings.Join(list, ", ")+"], committee", 1)
	}
	without := func(i int) []wire.Member { return append(append([]wire.Member{}, keys[:i]...), keys[i+1:]...) }
	first := w.fake.propose(w.resolve(spec(4), names), w.contract, sorted(without(4)), keys[:4], nil)
	w.ends(first, round.Completed)
	second := w.fake.propose(w.resolve(strings.Replace(specText, "committee", "participants: all, committee", 1), names), w.contract, sorted(keys), keys[:4], nil)
	j := w.waits(m, second)
	if !strings.Contains(j.Text, "The difference from job churn (") || !strings.Contains(j.Text, "is organisation elbe (ELBE AG)'s own sum.") {
		t.Errorf("the approval text doesn't name the difference:\n%s", j.Text)
	}
	w.decide(m, second, "approve", "")
	for _, other := range w.members[1:4] {
		w.waits(other, second)
		w.decide(other, second, "approve", "")
	}
	w.ends(second, round.Completed)
}

// Two jobs that wait at the same time, one without elbe: neither text could tell of the other, so the second approval isn't given.
func TestG3WaitingJobsThatGiveAMemberAwayTogetherAreNotBothApproved(t *testing.T) {
	w := newWorld(t, "alpen", "baltic", "coast", "delta", "elbe")
	m := w.members[0]
	w.configure(m, "contracts: [shop-customers@1]")
	w.start(m)
	names, keys := []string{"alpen", "baltic", "coast", "delta", "elbe"}, w.cohort()
	four := strings.Replace(specText, "committee", "participants: [alpen, baltic, coast, delta], committee", 1)
	first := w.fake.propose(w.resolve(four, names), w.contract, sorted(keys[:4]), keys[:4], nil)
	second := w.fake.propose(w.resolve(strings.Replace(specText, "committee", "participants: all, committee", 1), names), w.contract, sorted(keys), keys[:4], nil)
	w.waits(m, first)
	w.waits(m, second)
	w.decide(m, first, "approve", "")
	w.until("the first approval", func() bool { return w.job(m, first).Status == store.Approved })
	w.decide(m, second, "approve", "")
	w.until("the refusal", func() bool { return w.job(m, second).Status == store.Refused })
	w.until("the refusal at the coordinator", func() bool { r := w.fake.refused(); return len(r) == 1 && r[0].Rule == string(round.RulePolicy) })
}

func TestStartFromAnEarlierModelIsNeverAutomatic(t *testing.T) {
	w := newWorld(t, "alpen", "baltic", "coast", "delta")
	w.startAll()
	names := []string{"alpen", "baltic", "coast", "delta"}
	r := w.resolve(specText, names)
	r.Start = &jobspec.Start{Model: [32]byte{0xab, 0xcd}, Coefficients: make([]float64, r.Coefficients())}
	r.Start.Coefficients[0] = 0.01
	job := w.fake.propose(r, w.contract, w.cohort(), w.cohort()[:4], nil)
	for _, m := range w.members {
		j := w.waits(m, job)
		if !strings.Contains(j.Why, "abcd") || !strings.Contains(j.Text, "at the coefficients of the model abcd") {
			t.Errorf("%s\n%s", j.Why, j.Text)
		}
		w.decide(m, job, "approve", "")
	}
	w.ends(job, round.Completed)
}

func TestOtherRowsThanTheLastJobsAreNeverApprovedAutomatically(t *testing.T) {
	w := newWorld(t, "alpen", "baltic", "coast", "delta")
	m := w.members[0]
	w.startAll()
	w.ends(w.submit(specText), round.Completed)
	again := w.submit(strings.Replace(specText, "name: churn", "name: churn-again", 1))
	w.ends(again, round.Completed) // the same cohort and rows: automatic
	w.writeRows(m, 201, 7)
	third := w.submit(strings.Replace(specText, "name: churn", "name: churn-later", 1))
	j := w.waits(m, third)
	if !strings.Contains(j.Text, "have changed since job churn-again (") {
		t.Errorf("the approval text doesn't tell:\n%s", j.Text)
	}
}

func TestRowsThatChangeWhileAJobWaitsRefuseIt(t *testing.T) {
	w := newWorld(t, "alpen", "baltic", "coast", "delta")
	m := w.members[0]
	w.configure(m, "contracts: [shop-customers@1]")
	w.start(m)
	job := w.submit(specText)
	w.waits(m, job)
	w.writeRows(m, 150, 3)
	w.decide(m, job, "approve", "")
	w.refuses(m, job, round.RuleRows)
}

func TestTwoJobsRunSideBySide(t *testing.T) {
	w := newWorld(t, "alpen", "baltic", "coast", "delta")
	w.startAll()
	a, b := w.submit(specText), w.submit(strings.Replace(specText, "l2: 1.0", "l2: 2.0", 1))
	w.ends(a, round.Completed)
	w.ends(b, round.Completed)
	if n := w.fake.puts[wire.TypeRefusal]; n != 0 {
		t.Errorf("%d refusals: %v", n, w.fake.refusals)
	}
}

func TestSeatWithoutDataTakesPart(t *testing.T) {
	w := newWorld(t, "alpen", "baltic", "coast", "notary")
	notary := w.members[3]
	notary.config.Data = nil
	w.startAll()
	names := []string{"alpen", "baltic", "coast"}
	job := w.fake.propose(w.resolve(strings.Replace(specText, "committee", "participants: [alpen, baltic, coast], committee", 1), names), w.contract, sorted(w.cohort()[:3]), w.cohort(), nil)
	w.ends(job, round.Completed)
	w.closed(notary, job)
	if j := w.job(notary, job); j.Status != store.Finished || !strings.Contains(j.Text, "brings no data") || j.Source != "" {
		t.Errorf("%s: %s", j.Status, j.Why)
	}
}

func TestPolicysApprovalSurvivesACrash(t *testing.T) {
	w := newWorld(t, "alpen", "baltic", "coast", "delta")
	m := w.members[0]
	w.configure(m, "contracts: [shop-customers@1]")
	w.startAll()
	job := w.submit(specText)
	w.waits(m, job)
	w.stop(m)
	w.decide(m, job, store.DecideAutomatic, "") // as it is stored with the job, before anything follows from it
	w.start(m)
	w.ends(job, round.Completed)
}

func sorted(members []wire.Member) []wire.Member {
	return slices.SortedFunc(slices.Values(members), wire.Member.Compare)
}
