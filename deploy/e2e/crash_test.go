package e2e

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tributary/deploy/consortium"
	"tributary/deploy/shop"
)

// small is a job on four shops of 300 customers.
func small(t *testing.T, bin consortium.Binaries) (*consortium.Consortium, string) {
	t.Helper()
	shops := shop.Generate(3, []int{300, 300, 300, 300})
	var members []consortium.Member
	for _, s := range shops {
		members = append(members, consortium.Member{Name: s.Name, Organisation: s.Company, Role: "both", Config: s.Config()})
	}
	c := started(t, bin, members, func(n *consortium.Node) {
		for i := range shops {
			if shops[i].Name == n.Name {
				if err := shops[i].Write(filepath.Join(n.Dir, shops[i].File())); err != nil {
					t.Fatal(err)
				}
			}
		}
		write(t, filepath.Join(n.Dir, "shop-customers.yaml"), shop.Contract)
	})
	return c, shop.Spec("churn", 3, 4)
}

// TestKilledAtEveryPersistPoint kills the coordinator, and then a participant, with SIGKILL at every place where durable state
// changes during a job, starts it again, and demands the same final state, bit for bit, as the undisturbed job's. The places are
// enumerated by a first run, so that a new one can't be forgotten.
func TestKilledAtEveryPersistPoint(t *testing.T) {
	c, spec := small(t, crashing)
	want := completed(t, c, spec, shop.Contract).State
	if want == "" {
		t.Fatal("the undisturbed job has no state")
	}
	sweep(t, c, spec, func(t *testing.T, end *consortium.Ended) {
		if end.State != want {
			t.Errorf("state %s, want %s", end.State, want)
		}
	})
}

// TestG5AccountSurvivesKillsAtEveryPersistPoint does the same in private jobs. Their states differ by their noise; what must hold is that the job
// completes and that the ledger verifies: each account's charges chain without a gap, each is exact, none is forgotten and none paid twice
// for one upload. Quantiles are fitted, so that SKETCH is among the rounds: what it gave is in the states alone, by which rows are encoded
// after every restart.
func TestG5AccountSurvivesKillsAtEveryPersistPoint(t *testing.T) {
	c := private(t, crashing, []int{300, 300, 300, 300}, "2000")
	spec := strings.NewReplacer("max_rounds: 12", "max_rounds: 2", "[age, discount_share], transform: scale", "[age, discount_share], transform: standardize").
		Replace(shop.PrivateSpec("churn-private", "1.0", 3, 3, 3, "10s"))
	completed(t, c, spec, shop.Contract)
	sweep(t, c, spec, func(*testing.T, *consortium.Ended) {})
	verified(t, c)
}

func sweep(t *testing.T, c *consortium.Consortium, spec string, check func(*testing.T, *consortium.Ended)) {
	for _, victim := range []victim{
		{"coordinator", func() *consortium.Process { return c.Coordinator }, func(env ...string) error { return c.StartCoordinator(t.Context(), env...) }},
		{"participant", func() *consortium.Process { return c.Nodes[1].Process }, func(env ...string) error { return c.Nodes[1].Run(env...) }},
	} {
		t.Run(victim.name, func(t *testing.T) {
			points := victim.enumerate(t, c, spec)
			t.Logf("%d persist points", len(points))
			if len(points) < 10 {
				t.Fatalf("only %d persist points: %v", len(points), points)
			}
			for _, point := range points {
				t.Run(strings.NewReplacer("/", "-", "#", "-").Replace(point), func(t *testing.T) { check(t, victim.killAt(t, c, spec, point)) })
			}
		})
	}
}

type victim struct {
	name    string
	process func() *consortium.Process
	start   func(env ...string) error
}

func (v victim) restart(t *testing.T, env ...string) {
	t.Helper()
	if err := v.process().Stop(); err != nil {
		t.Fatal(err)
	}
	if err := v.start(env...); err != nil {
		t.Fatal(err)
	}
}

// enumerate runs a whole job and returns, for each persist point that it passes, its first and last time.
func (v victim) enumerate(t *testing.T, c *consortium.Consortium, spec string) []string {
	log := filepath.Join(t.TempDir(), "points")
	v.restart(t, "TRIBUTARY_CRASH_LOG="+log)
	completed(t, c, spec, shop.Contract)
	v.settle(t, log)
	data, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	last := map[string]int{}
	var names []string
	for _, line := range strings.Fields(string(data)) {
		name, count, _ := strings.Cut(line, "#")
		n, err := strconv.Atoi(count)
		if err != nil {
			t.Fatal(err)
		}
		if last[name] == 0 {
			names = append(names, name)
		}
		last[name] = n
	}
	var points []string
	for _, name := range names {
		points = append(points, name+"#1")
		if last[name] > 2 && !strings.Contains(name, "cosign") { // whose number hangs on when the last job ended, too
			points = append(points, name+"#"+strconv.Itoa((last[name]+1)/2))
		}
	}
	return points
}

// settle waits until the victim has no more to do for the job.
func (v victim) settle(t *testing.T, log string) {
	t.Helper()
	size := int64(-1)
	for range 100 {
		info, err := os.Stat(log)
		if err == nil && info.Size() == size {
			return
		}
		if err == nil {
			size = info.Size()
		}
		time.Sleep(300 * time.Millisecond)
	}
}

func (v victim) killAt(t *testing.T, c *consortium.Consortium, spec, point string) *consortium.Ended {
	v.restart(t, "TRIBUTARY_CRASH_AT="+point)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	restarted := make(chan bool, 1)
	go func() { // whenever it dies, start it again as it was
		select {
		case <-v.process().Exited():
			killed := v.process().Killed()
			if err := v.start(); err != nil {
				t.Error(err)
			}
			restarted <- killed
		case <-ctx.Done():
			restarted <- false
		}
	}()
	token := strings.NewReplacer("/", "-", "#", "-").Replace(point)
	job, err := "", error(nil)
	for range 20 { // the coordinator may die while it takes the job in: the token makes asking again safe
		if job, err = c.Submit(ctx, spec, shop.Contract, token); err == nil {
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
	end, err := c.Watch(ctx, job)
	for range 20 { // the coordinator may die once the job is over, between two calls of the watching: when a member cosigns
		if err == nil {
			break
		}
		time.Sleep(200 * time.Millisecond)
		end, err = c.Watch(ctx, job)
	}
	if err != nil {
		t.Fatal(err)
	}
	if end.Status != "completed" {
		t.Errorf("job %s: %s", end.Status, end.Reason)
	}
	select {
	case killed := <-restarted:
		if !killed {
			t.Error("the process wasn't killed")
		}
	case <-time.After(10 * time.Second):
		t.Errorf("the process never came to %s", point)
	}
	return end
}

func TestReleaseBinariesHoldNoCrashPoints(t *testing.T) {
	for _, pair := range [][2]string{{release.Tributary, crashing.Tributary}, {release.Participant, crashing.Participant}} {
		for i, file := range pair {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if has := slices.Contains([]bool{strings.Contains(string(data), "TRIBUTARY_CRASH_AT"), strings.Contains(string(data), "TRIBUTARY_CRASH_LOG")}, true); has != (i == 1) {
				t.Errorf("%s mentions crash points: %t", filepath.Base(file), has)
			}
		}
	}
}
