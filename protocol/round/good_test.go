package round

import (
	"testing"
)

func TestGoodJobGivesTheSumsModelToEveryone(t *testing.T) {
	w := newWorld(t)
	w.run(nil)
	v := w.coord.View()
	if v.Status != Completed {
		t.Fatalf("job %s: %s\n%s", v.Status, v.Reason, w.trace.String())
	}
	// Each of the four rounds adds Σ(rows/10)/Σrows = 0.1.
	if got := string(v.State); got != `{"At":4,"Kind":4,"W":0.4}` {
		t.Errorf("final state %s", got)
	}
	for _, n := range w.nodes {
		if !n.stored.Finished || StateDigest(n.stored.State) != StateDigest(v.State) {
			t.Errorf("%s has state %s", n.name, n.stored.State)
		}
		if n.seatKey != nil {
			t.Errorf("%s still has its seat key", n.name)
		}
	}
}

func TestCoordinatorRestartsAnywhere(t *testing.T) {
	w := newWorld(t)
	w.run(nil)
	want := StateDigest(w.coord.View().State)
	for stop := 1; ; stop += 2 {
		w := newWorld(t)
		left := stop
		w.run(func() bool { left--; return left == 0 })
		if w.coord.View().Status == Completed && left > 0 {
			if stop < 20 {
				t.Fatalf("the job had only %d turns", stop)
			}
			return
		}
		w.restartCoordinator()
		w.run(nil)
		if v := w.coord.View(); v.Status != Completed || StateDigest(v.State) != want {
			t.Fatalf("restarted after turn %d: %s, state %s\n%s", stop, v.Status, v.State, w.trace.String())
		}
	}
}

func TestMembersRestartAnywhere(t *testing.T) {
	w := newWorld(t)
	w.run(nil)
	want := StateDigest(w.coord.View().State)
	for stop := 2; ; stop += 3 {
		w := newWorld(t)
		left := stop
		w.run(func() bool { left--; return left == 0 })
		if w.coord.View().Status == Completed && left > 0 {
			return
		}
		for _, n := range w.nodes {
			if n.member != nil && !n.done {
				w.restart(n)
			}
		}
		w.run(nil)
		if v := w.coord.View(); v.Status != Completed || StateDigest(v.State) != want {
			t.Fatalf("restarted after turn %d: %s, state %s\n%s", stop, v.Status, v.State, w.trace.String())
		}
	}
}

func TestModelThatRefusesTheSumEndsTheJob(t *testing.T) {
	w := newWorld(t)
	for _, n := range w.nodes {
		n.rows = 0
	}
	w.run(nil)
	if v := w.coord.View(); v.Status != Aborted || v.Reason != "the cohort has no rows: check the contract's row filter" {
		t.Errorf("job %s: %s", v.Status, v.Reason)
	}
}

func TestExpiredJobErasesItsKeys(t *testing.T) {
	w := newWorld(t)
	w.untilPhase(2, PhaseUpload)
	w.ms = w.proposal.Manifest.ExpiresMs
	if err := w.feed(Clock{}); err != nil {
		t.Fatal(err)
	}
	if v := w.coord.View(); v.Status != Expired {
		t.Errorf("job %s", v.Status)
	}
	n := w.nodes[0]
	if err := w.step(n, Tick{w.ms - 1}); err != nil || n.seatKey == nil {
		t.Errorf("key gone before its time: %v", err)
	}
	if err := w.step(n, Tick{w.ms}); err != nil || n.seatKey != nil {
		t.Errorf("key kept beyond the manifest's expiry: %v", err)
	}
}

func TestRevokedCohortMemberEndsAnExactJob(t *testing.T) {
	w := newWorld(t)
	w.untilPhase(2, PhaseUpload)
	if err := w.feed(Revoked{w.nodes[2].key.Public()}); err != nil {
		t.Fatal(err)
	}
	if v := w.coord.View(); v.Status != Aborted {
		t.Errorf("job %s", v.Status)
	}
	if phase, _ := w.coord.Task(w.nodes[0].key.Public(), Holds{}); phase != TaskNone {
		t.Errorf("an ended job still has tasks: %d", phase)
	}
}
