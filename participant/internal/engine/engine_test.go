package engine

import (
	"strings"
	"testing"

	"tributary/participant/internal/store"
	"tributary/protocol/pb"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

func TestWholeJobCompletesAndEveryMemberVerifiesIt(t *testing.T) {
	w := newWorld(t, "alpen", "baltic", "coast", "delta")
	w.startAll()
	job := w.submit(specText)
	w.ends(job, round.Completed)
	for _, m := range w.members {
		w.closed(m, job)
		j := w.job(m, job)
		if j.Status != store.Finished || round.StateDigest(j.Record.State) != round.StateDigest(w.fake.view(job).State) {
			t.Errorf("%s: %s, %s", m.name, j.Status, j.Why)
		}
		w.with(m, func(s *store.Store) {
			if n, err := s.SeatKeys().Count(); n != 0 || err != nil {
				t.Errorf("%s still holds %d seat keys (%v)", m.name, n, err)
			}
			if _, err := s.Sealed(job); err == nil {
				t.Errorf("%s still holds its payload", m.name)
			}
			sent, err := s.Outbox()
			if err != nil || len(sent) < 1+2*3 {
				t.Errorf("%s: outbox of %d (%v)", m.name, len(sent), err)
			}
		})
	}
	if w.fake.fetched[pb.FetchKind_FETCH_PAYLOAD] == 0 {
		t.Error("nobody verified the states")
	}
	if n := w.fake.puts[wire.TypeRefusal]; n != 0 {
		t.Errorf("%d refusals: %v", n, w.fake.refusals)
	}
}

// Models that average go through the same rounds.
func TestFactorizationMachineJobCompletes(t *testing.T) {
	w := newWorld(t, "alpen", "baltic", "coast", "delta")
	w.startAll()
	spec := strings.Replace(specText, "{type: logistic_regression, l2: 1.0, max_rounds: 3}", "{type: factorization_machine, factors: 3, max_rounds: 3, averaging: {patience: 3}}", 1)
	job := w.submit(spec)
	w.ends(job, round.Completed)
	for _, m := range w.members {
		w.closed(m, job)
		if j := w.job(m, job); round.StateDigest(j.Record.State) != round.StateDigest(w.fake.view(job).State) {
			t.Errorf("%s verified another state", m.name)
		}
	}
	if n := w.fake.puts[wire.TypeRefusal]; n != 0 {
		t.Errorf("%d refusals: %v", n, w.fake.refusals)
	}
}

func TestReleaseThatIsntInTheLedgerIsRefused(t *testing.T) {
	t.Run("before a plan", func(t *testing.T) {
		w := newWorld(t, "alpen", "baltic", "coast", "delta")
		w.fake.forget = func(in *pb.FetchReleaseRequest) bool { return in.LedgerSize > 0 }
		w.startAll()
		w.ends(w.submit(specText), round.Aborted)
		if r := w.fake.refused()[0]; r.Rule != string(round.RuleLedger) || r.Phase != "plan" {
			t.Errorf("%+v", r)
		}
	})
	t.Run("the last one", func(t *testing.T) {
		w := newWorld(t, "alpen", "baltic", "coast", "delta")
		releases := map[string]bool{} // the job opens five; forget is called under the fake's lock
		w.fake.forget = func(in *pb.FetchReleaseRequest) bool {
			releases[string(in.Release)] = true
			return len(releases) == 5
		}
		w.startAll()
		job, m := w.submit(specText), w.members[0]
		w.closed(m, job)
		if j := w.job(m, job); j.Status != store.Ended || !strings.Contains(j.Why, "isn't shown to be in the ledger") {
			t.Errorf("%s: %s", j.Status, j.Why)
		}
		w.with(m, func(s *store.Store) {
			if n, _ := s.SeatKeys().Count(); n != 0 {
				t.Error("the key outlived the job")
			}
		})
	})
}
