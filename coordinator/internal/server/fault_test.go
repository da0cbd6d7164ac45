package server

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"tributary/protocol/pb"
	"tributary/protocol/wire"
)

// sabotage runs SQL beside the coordinator.
func sabotage(t *testing.T, w *world, query string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(w.dir, "tributary.db")+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), query); err != nil {
		t.Fatal(err)
	}
}

// TestNothingIsShownThatWasNotStored: a database that refuses a write must leave the round as it was, ledger and memory included, and
// the job must go on when it writes again.
func TestNothingIsShownThatWasNotStored(t *testing.T) {
	w, operator, nodes := consortium(t)
	job := submit(t, operator, "token-one").GetJob()
	for _, table := range []string{"envelopes", "events", "ledger_entries", "ledger_hashes"} {
		before, err := w.engine.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		sabotage(t, w, `CREATE TRIGGER broken BEFORE INSERT ON `+table+` BEGIN SELECT RAISE(ABORT, 'disk full'); END`)
		task := nodes[0].next()
		if task.GetPhase() != pb.Phase_PHASE_APPROVE {
			t.Fatalf("%s: task %v", table, task)
		}
		nodes[0].job = [32]byte(task.GetJob())
		refused(t, nodes[0].tryApprove(), codes.Internal, "internal")
		after, err := w.engine.Head(t.Context())
		if err != nil || after != before {
			t.Errorf("%s: the ledger went from %d to %d entries, %v", table, before.Size, after.Size, err)
		}
		for _, m := range jobInfo(t, operator, job).GetMembers() {
			if m.GetApproved() {
				t.Errorf("%s: %s is shown to have approved", table, m.GetName())
			}
		}
		sabotage(t, w, `DROP TRIGGER broken`)
		nodes[0].job = [32]byte{}
	}
	runUntil(t, nodes, func() bool { return jobInfo(t, operator, job).GetStatus() == "completed" })
}

func TestLastPayloadsAreKeptUntilAllHaveVerified(t *testing.T) {
	w, operator, nodes := consortium(t)
	job := submit(t, operator, "token-one").GetJob()
	spooled := func() int {
		t.Helper()
		entries, err := os.ReadDir(filepath.Join(w.dir, "spool"))
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	runUntil(t, nodes, func() bool { return jobInfo(t, operator, job).GetStatus() == "completed" })
	if spooled() != 1 {
		t.Fatalf("%d jobs in the spool right after the end", spooled())
	}
	w.restart()
	for i, n := range nodes {
		if spooled() != 1 {
			t.Fatalf("the payloads are gone before node %d has verified", i)
		}
		for n.turn() {
		}
		n.turn() // tells that it has
	}
	if spooled() != 0 {
		t.Error("the payloads are kept though all have verified")
	}
}

func TestTextsThatNoObjectCanHoldAreRefused(t *testing.T) {
	_, operator, nodes := consortium(t)
	job := submit(t, operator, "token-one").GetJob()
	long := wire.Sign(nodes[0].key, &wire.Refusal{Job: wire.Digest(job), Phase: "approve", Rule: "policy", Hint: strings.Repeat("x", wire.MaxTextBytes)})
	_, err := nodes[0].client.Put(t.Context(), &pb.PutRequest{Object: long.Bytes()})
	refused(t, err, codes.InvalidArgument, "refusal")
	for _, reason := range []string{"a\x00b", strings.Repeat("x", 5000)} {
		_, err = operator.CancelJob(t.Context(), &pb.CancelJobRequest{Job: fmt.Sprintf("%x", job), Reason: reason})
		refused(t, err, codes.InvalidArgument, "reason")
		_, err = operator.Revoke(t.Context(), &pb.RevokeRequest{Kind: "participant", Name: "shop-0", Reason: reason})
		refused(t, err, codes.InvalidArgument, "reason")
	}
	if got := jobInfo(t, operator, job).GetStatus(); got != "proposed" {
		t.Errorf("the job is %s", got)
	}
}

func TestPayloadsThatNobodyFetchesGoAfterADay(t *testing.T) {
	w, operator, nodes := consortium(t)
	job := submit(t, operator, "token-one").GetJob()
	runUntil(t, nodes, func() bool { return jobInfo(t, operator, job).GetStatus() == "completed" })
	w.stop()
	w.later.Store(int64(25 * time.Hour))
	w.serve(w.address)
	if entries, err := os.ReadDir(filepath.Join(w.dir, "spool")); err != nil || len(entries) != 0 {
		t.Errorf("%d jobs left in the spool, %v", len(entries), err)
	}
}
