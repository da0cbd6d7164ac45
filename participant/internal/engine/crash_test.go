package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tributary/participant/internal/store"
	"tributary/protocol/pb"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

// crashOnce stops a member the first time that an effect is about to be carried out.
func (w *world) crashOnce(m *member, at func(round.Effect) bool) *atomic.Bool {
	var done atomic.Bool
	w.observe = func(who *member, e round.Effect) error {
		if who == m && at(e) && done.CompareAndSwap(false, true) {
			return errStopped
		}
		return nil
	}
	return &done
}

// restart waits for the crash and starts the member again.
func (w *world) restart(m *member, crashed *atomic.Bool) {
	w.t.Helper()
	w.until("the crash", crashed.Load)
	select {
	case err := <-m.done:
		if !errors.Is(err, errStopped) {
			w.t.Fatalf("the node stopped by %v", err)
		}
	case <-time.After(10 * time.Second):
		w.t.Fatal("the node didn't stop by itself")
	}
	m.cancel, m.done = nil, nil
	w.start(m)
}

func TestCrashBetweenEncryptingAndStoringIsToldAsLost(t *testing.T) {
	w := newWorld(t, "alpen", "baltic", "coast", "delta")
	m := w.members[0]
	crashed := w.crashOnce(m, func(e round.Effect) bool {
		p, ok := e.(round.Persist)
		return ok && p.Sealed != nil
	})
	w.startAll()
	job := w.submit(specText)
	w.restart(m, crashed)
	w.ends(job, round.Completed)
	lost := w.fake.refused()
	if len(lost) != 1 || lost[0].Rule != string(round.RuleLost) {
		t.Errorf("refusals %v, want one of rule lost", lost)
	}
	if v := w.fake.view(job); v.Round <= uint64(v.Step) {
		t.Errorf("round %d at step %d: the step wasn't run again in a new round", v.Round, v.Step)
	}
}

func TestSameBytesAreSentAfterARestart(t *testing.T) {
	w := newWorld(t, "alpen", "baltic", "coast", "delta")
	m := w.members[0]
	self := m.key.Public()
	var sent atomic.Int32
	crashed := w.crashOnce(m, func(e round.Effect) bool {
		if _, ok := e.(round.SendUpload); !ok {
			return false
		}
		if sent.Add(1) == 1 { // the first try breaks off after the header and one part
			w.fake.mu.Lock()
			w.fake.partsLeft[self] = 2
			w.fake.mu.Unlock()
			return false
		}
		return true
	})
	w.start(m)
	job := w.submit(specText)
	for _, other := range w.members[1:] {
		w.start(other)
	}
	w.restart(m, crashed)
	w.ends(job, round.Completed)
	w.fake.mu.Lock()
	uploads := w.fake.uploads[self]
	w.fake.mu.Unlock()
	if len(uploads) < 2 || uploads[0] != uploads[1] {
		t.Errorf("the uploads of the first round are %x", uploads)
	}
	if n := w.fake.puts[wire.TypeRefusal]; n != 0 {
		t.Errorf("%d refusals: %v", n, w.fake.refusals)
	}
}

func TestNodeKilledAtAnyEffectGoesOnToTheSameState(t *testing.T) {
	if testing.Short() {
		t.Log("one effect of each kind only")
	}
	for _, kind := range []string{"round.Persist#1", "round.Persist#4", "round.Train#2", "round.Seal#2", "round.SendUpload#2", "round.Send#1", "round.Send#2", "round.EraseSeatKey#1"} {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t, "alpen", "baltic", "coast", "delta")
			m, seen := w.members[0], map[string]int{}
			crashed := w.crashOnce(m, func(e round.Effect) bool {
				name := fmt.Sprintf("%T", e)
				seen[name]++
				return fmt.Sprintf("%s#%d", name, seen[name]) == kind
			})
			w.startAll()
			job := w.submit(specText)
			w.restart(m, crashed)
			w.ends(job, round.Completed)
			w.closed(m, job)
			w.with(m, func(s *store.Store) {
				if n, _ := s.SeatKeys().Count(); n != 0 {
					t.Error("the seat key is still there")
				}
			})
			if digest := round.StateDigest(w.job(m, job).Record.State); digest != round.StateDigest(w.fake.view(job).State) {
				t.Error("another state")
			}
		})
	}
}

func TestRowsThatChangeEndTheJob(t *testing.T) {
	w := newWorld(t, "alpen", "baltic", "coast", "delta")
	m := w.members[0]
	changed := w.crashOnce(m, func(e round.Effect) bool {
		train, ok := e.(round.Train)
		return ok && train.Plan.Kind == wire.Train
	})
	w.startAll()
	job := w.submit(specText)
	w.until("the crash", changed.Load)
	w.stop(m)
	w.writeRows(m, 199, 1)
	w.start(m)
	w.ends(job, round.Aborted)
	if r := w.fake.refused()[0]; r.Rule != string(round.RuleRows) || r.Phase != "train" {
		t.Errorf("%+v", r)
	}
	w.closed(m, job)
}

func TestTouchedFileWithTheSameRowsGoesOn(t *testing.T) {
	w := newWorld(t, "alpen", "baltic", "coast", "delta")
	m := w.members[0]
	w.observe = func(who *member, e round.Effect) error {
		if _, ok := e.(round.Train); ok && who == m {
			later := time.Now().Add(time.Hour)
			os.Chtimes(filepath.Join(m.dir, "customers.csv"), later, later)
		}
		return nil
	}
	w.startAll()
	w.ends(w.submit(specText), round.Completed)
}

func TestRestoredSeatLosesItsKeysAndTheJobGoesOn(t *testing.T) {
	w := newWorld(t, "alpen", "baltic", "coast", "delta")
	m := w.members[0]
	crashed := w.crashOnce(m, func(e round.Effect) bool {
		train, ok := e.(round.Train)
		return ok && train.Plan.Kind == wire.Train
	})
	w.startAll()
	job := w.submit(strings.Replace(specText, "max_rounds: 3", "max_rounds: 1", 1))
	w.until("the crash", crashed.Load)
	w.stop(m)
	w.with(m, func(s *store.Store) {
		if n, _ := s.SeatKeys().Count(); n != 1 {
			t.Errorf("%d keys before", n)
		}
		if err := s.SeatKeys().EraseAll(); err != nil {
			t.Fatal(err)
		}
	})
	w.start(m)
	w.ends(job, round.Completed)
	for _, r := range w.fake.refused() {
		if r.Rule != string(round.RuleCommittee) || r.Phase != "open" {
			t.Errorf("%+v", r)
		}
	}
}

func TestJobExpiresByTheNodesOwnClock(t *testing.T) {
	w := newWorld(t, "alpen", "baltic", "coast", "delta")
	var ahead atomic.Int64
	w.now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	m := w.members[0]
	w.start(m) // the others never approve
	job := w.submit(specText)
	w.until("the approval", func() bool { return len(w.fake.view(job).Approvals) == 1 })
	w.with(m, func(s *store.Store) {
		if n, _ := s.SeatKeys().Count(); n != 1 {
			t.Errorf("%d keys before", n)
		}
	})
	w.stop(m)
	ahead.Store(int64(2 * time.Hour))
	w.start(m)
	w.closed(m, job)
	w.with(m, func(s *store.Store) {
		if n, _ := s.SeatKeys().Count(); n != 0 {
			t.Error("the key outlived the job")
		}
	})
	if why := w.job(m, job).Why; !strings.Contains(why, "expired") {
		t.Error(why)
	}
}

func TestSecondPlanForOneRoundIsRefused(t *testing.T) {
	w := newWorld(t, "alpen", "baltic", "coast", "delta")
	m := w.members[0]
	var shown atomic.Int32
	w.fake.mu.Lock()
	w.fake.onTask = func(member wire.Member, task *pb.Task) {
		if member == m.key.Public() && task.Phase == pb.Phase_PHASE_PLAN && shown.Add(1) > 1 {
			e, _ := wire.ParseEnvelope(task.Object)
			var p wire.Plan
			e.Open(&p)
			p.DeadlineMs++
			e = wire.Sign(w.fake.key, &p)
			task.Object = e.Bytes()
		}
	}
	w.fake.mu.Unlock()
	crashed := w.crashOnce(m, func(e round.Effect) bool { _, ok := e.(round.SendUpload); return ok })
	w.startAll()
	job := w.submit(specText)
	w.restart(m, crashed)
	w.ends(job, round.Aborted)
	if r := w.fake.refused()[0]; r.Rule != string(round.RulePlan) {
		t.Errorf("%+v", r)
	}
}
