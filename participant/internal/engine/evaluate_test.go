package engine

import (
	"errors"
	"strings"
	"testing"

	"tributary/models/local"
	"tributary/participant/internal/store"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

// own reads a member's own evaluation; nil if there is none.
func (w *world) own(m *member, job wire.Digest) *local.Evaluation {
	w.t.Helper()
	var e *Evaluation
	w.with(m, func(s *store.Store) {
		var err error
		if e, err = ReadEvaluation(s, job); err != nil && !errors.Is(err, store.ErrNotFound) {
			w.t.Fatal(err)
		}
	})
	if e == nil {
		return nil
	}
	return e.Own
}

// sent lists the kinds of all that left a member, and counts them.
func (w *world) sent(m *member) map[string]int {
	w.t.Helper()
	out := map[string]int{}
	w.with(m, func(s *store.Store) {
		all, err := s.Outbox()
		if err != nil {
			w.t.Fatal(err)
		}
		for _, one := range all {
			out[one.Kind]++
		}
	})
	return out
}

// Each participant has the model's metrics on its own held-out rows, which add up to the job's; nothing but the objects of the rounds
// leaves.
func TestOwnMetricsAreKeptAndNeverSent(t *testing.T) {
	w := newWorld(t, "alpen", "baltic", "coast", "delta")
	w.startAll()
	job := w.submit(specText)
	w.ends(job, round.Completed)
	heldOut, positives := int64(0), int64(0)
	for _, m := range w.members {
		w.closed(m, job)
		own := w.own(m, job)
		if own == nil || !own.Summary.AUC.Known || own.Scores == nil {
			t.Fatalf("%s: %+v", m.name, own)
		}
		heldOut, positives = heldOut+own.Summary.HeldOut, positives+own.Summary.Positives
		for kind := range w.sent(m) {
			switch kind {
			case wire.TypeApproval.String(), wire.TypeUpload.String(), wire.TypeShareSum.String(), wire.TypePolicy.String(), "cosignature":
			default:
				t.Errorf("%s sent a %s", m.name, kind)
			}
		}
	}
	all, _ := mustFinish(t, w.job(w.members[0], job)).State.Metrics()
	if all.HeldOut != heldOut || all.Positives != positives {
		t.Errorf("%d rows, %d positives; the job has %+v", heldOut, positives, all)
	}
}

// A private job's own evaluation costs nothing and leaves nothing; the account has the job's rounds alone.
func TestOwnMetricsOfAPrivateJobAreNotCharged(t *testing.T) {
	w := privateWorld(t, "10")
	w.startAll()
	job := w.submit(privateText)
	w.ends(job, round.Completed)
	m := w.members[0]
	w.closed(m, job)
	own := w.own(m, job)
	if own == nil || own.Summary.HeldOut == 0 || !own.Summary.LogLoss.Known {
		t.Fatalf("%+v", own)
	}
	uploads := w.sent(m)[wire.TypeUpload.String()]
	if _, charges := w.account(m); len(charges) != uploads || uploads == 0 {
		t.Errorf("%d charges, %d uploads", len(charges), uploads)
	}
}

// Rows that changed after the last round aren't those of the job: there is no evaluation, and the job is finished all the same.
func TestChangedRowsAreNotEvaluated(t *testing.T) {
	w := newWorld(t, "alpen", "baltic", "coast", "delta")
	m := w.members[0]
	w.observe = func(who *member, e round.Effect) error {
		if p, ok := e.(round.Persist); ok && who == m && p.Record.Finished {
			w.writeRows(m, 150, 9)
		}
		return nil
	}
	w.startAll()
	job := w.submit(specText)
	w.ends(job, round.Completed)
	w.closed(m, job)
	if j := w.job(m, job); j.Status != store.Finished || w.own(m, job) != nil {
		t.Errorf("%s: %s, evaluated: %t", j.Status, j.Why, w.own(m, job) != nil)
	}
	other := w.members[1]
	w.closed(other, job)
	if w.own(other, job) == nil {
		t.Error("others aren't evaluated")
	}
	if strings.Contains(w.job(m, job).Why, "refused") {
		t.Error(w.job(m, job).Why)
	}
}

// A coordinator that gives a private job's members another state than the ledger's last release doesn't have them evaluate it.
func TestStateThatIsntTheLastReleasesIsNotEvaluated(t *testing.T) {
	w := privateWorld(t, "10")
	w.fake.forge = func(state []byte) []byte {
		return append([]byte{1}, state...)
	}
	m := w.members[0]
	w.startAll()
	job := w.submit(privateText)
	w.ends(job, round.Completed)
	w.closed(m, job)
	if j := w.job(m, job); j.Status != store.Finished || w.own(m, job) != nil {
		t.Errorf("%s, evaluated: %t", j.Status, w.own(m, job) != nil)
	}
}
