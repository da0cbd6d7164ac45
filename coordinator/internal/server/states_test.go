package server

import (
	"bytes"
	"database/sql"
	"path/filepath"
	"testing"

	"tributary/protocol/pb"
)

// kept lists the digests of a job's stored states.
func kept(t *testing.T, w *world, job []byte) (digests [][]byte) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(w.dir, "tributary.db")+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), `SELECT digest FROM states WHERE job = ?`, job)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var d []byte
		if err := rows.Scan(&d); err != nil {
			t.Fatal(err)
		}
		digests = append(digests, d)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return digests
}

// isKept gives what a job's states were judged by: what it was both before and after they were listed, for sums are opened meanwhile.
func isKept(t *testing.T, w *world, operator pb.OperatorClient, job []byte, most int) (info *pb.JobInfo, n int) {
	t.Helper()
	info = jobInfo(t, operator, job)
	states, found := kept(t, w, job), false
	for after := jobInfo(t, operator, job); !bytes.Equal(after.GetState(), info.GetState()) || after.GetStatus() != info.GetStatus(); after = jobInfo(t, operator, job) {
		info, states = after, kept(t, w, job)
	}
	for _, d := range states {
		found = found || bytes.Equal(d, info.GetState())
	}
	if !found || len(states) > most {
		t.Errorf("%s, step %d: %d states, the job's own among them: %t", info.GetStatus(), info.GetStep(), len(states), found)
	}
	return info, len(states)
}

// Of an exact job's states there are two while it runs, and its model afterwards, whatever restarts between; the model is exported and
// started from.
func TestOldStatesOfAnExactJobAreDropped(t *testing.T) {
	w, operator, nodes := consortium(t)
	job := submit(t, operator, "token-one").GetJob()
	turns, steps, two := 0, map[uint32]bool{}, false
	runUntil(t, nodes, func() bool {
		if turns++; turns%13 == 0 {
			w.restart()
		}
		info, n := isKept(t, w, operator, job, 2)
		steps[info.GetStep()] = true
		two = two || n == 2
		return info.GetStatus() == "completed"
	})
	if len(steps) < 4 || !two {
		t.Fatalf("%d steps seen, with two states: %t", len(steps), two)
	}
	info, _ := isKept(t, w, operator, job, 1)
	w.restart()
	isKept(t, w, operator, job, 1)
	startsFrom(t, operator, info)
	if x, err := operator.ExportModel(t.Context(), &pb.ExportRequest{Job: "churn"}); err != nil || len(x.GetData()) == 0 {
		t.Error(err)
	}
	for _, n := range nodes {
		for n.turn() {
		}
		if n.phase != pb.Phase_PHASE_RELEASE {
			t.Errorf("a node ends in %s", n.phase)
		}
	}
}

// A job whose old state can't be dropped hasn't moved on, and does so later: both are one transaction.
func TestAStepWhoseOldStateStaysIsNotTaken(t *testing.T) {
	w, operator, nodes := consortium(t)
	job := submit(t, operator, "token-one").GetJob()
	runUntil(t, nodes, func() bool { return jobInfo(t, operator, job).GetStep() == 1 })
	before := jobInfo(t, operator, job).GetState()
	sabotage(t, w, `CREATE TRIGGER broken BEFORE DELETE ON states BEGIN SELECT RAISE(ABORT, 'disk full'); END`)
	for range 20 {
		for _, n := range nodes {
			n.turn()
		}
	}
	if info := jobInfo(t, operator, job); info.GetStep() != 1 || !bytes.Equal(info.GetState(), before) || len(kept(t, w, job)) != 2 {
		t.Errorf("step %d with %d states", info.GetStep(), len(kept(t, w, job)))
	}
	w.restart()
	sabotage(t, w, `DROP TRIGGER broken`)
	runUntil(t, nodes, func() bool { return jobInfo(t, operator, job).GetStatus() == "completed" })
	isKept(t, w, operator, job, 1)
}

// Members of a private job may be rounds behind: its states stay.
func TestStatesOfAPrivateJobStay(t *testing.T) {
	s := newShops(t, "2m", 2)
	runUntil(t, s.all(), s.over)
	if n := len(kept(t, s.world, s.job)); n != 5 { // the first, and after FIT, two rounds and EVALUATE
		t.Errorf("%d states", n)
	}
}
