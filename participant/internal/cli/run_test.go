package cli

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tributary/crypto/secagg"
	"tributary/participant/internal/store"
	"tributary/protocol/wire"
)

// asParticipant makes the test binary behave as the program, so that a node can be looked at from outside.
const asParticipant = "TRIBUTARY_TEST_AS_PARTICIPANT"

func TestMain(m *testing.M) {
	if os.Getenv(asParticipant) == "" {
		os.Exit(m.Run())
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		cause := context.Canceled
		if <-signals == syscall.SIGINT {
			cause = ErrInterrupted
		}
		cancel(cause)
	}()
	os.Exit(Main(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// process starts `run` in a process of its own and waits until the coordinator sees it.
func process(t *testing.T, f *fake, config string, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.Command(os.Args[0], append([]string{"--config", config, "run"}, args...)...)
	c.Env = append(os.Environ(), asParticipant+"=1")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	before := f.count(&f.waiting)
	for range 6000 {
		if f.count(&f.waiting) > before {
			return c
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the node doesn't call")
	return nil
}

func enrolled(t *testing.T) (*fake, string) {
	t.Helper()
	f, config := newFake(t), folder(t, "alpen")
	run(t, config, "enroll", "--token", encode(t, f.token("alpen"))).expect(t, exitOK)
	return f, config
}

func TestNodeListensOnNothing(t *testing.T) {
	f, config := enrolled(t)
	c := process(t, f, config)
	own := sockets(t, c.Process.Pid)
	connected := 0
	for _, table := range []string{"tcp", "tcp6", "udp", "udp6", "raw", "raw6"} {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", c.Process.Pid, table))
		if err != nil {
			continue // no IPv6 here
		}
		for _, line := range strings.Split(string(data), "\n")[1:] {
			fields := strings.Fields(line) // sl local remote state … inode at 9
			if len(fields) < 10 || !own[fields[9]] {
				continue
			}
			switch {
			case strings.HasPrefix(table, "tcp") && fields[3] == "01":
				connected++
			default:
				t.Errorf("the node has a %s socket at %s in state %s", table, fields[1], fields[3])
			}
		}
	}
	unix, _ := os.ReadFile(fmt.Sprintf("/proc/%d/net/unix", c.Process.Pid))
	for _, line := range strings.Split(string(unix), "\n") {
		if fields := strings.Fields(line); len(fields) > 6 && own[fields[6]] && fields[3] == "00010000" {
			t.Errorf("the node listens on a Unix socket: %s", line)
		}
	}
	if connected != 1 {
		t.Errorf("%d connections, want the one to the coordinator", connected)
	}
}

// sockets are the inodes of a process's open sockets.
func sockets(t *testing.T, pid int) map[string]bool {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for _, e := range entries {
		if target, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil && strings.HasPrefix(target, "socket:[") {
			out[strings.Trim(target, "socket:[]")] = true
		}
	}
	return out
}

func TestNodeStopsCleanly(t *testing.T) {
	f, config := enrolled(t)
	for signal, want := range map[syscall.Signal]int{syscall.SIGTERM: exitOK, syscall.SIGINT: exitInterrupted} {
		c := process(t, f, config)
		if err := c.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		c.Wait()
		if code := c.ProcessState.ExitCode(); code != want {
			t.Errorf("%v: exit %d, want %d", signal, code, want)
		}
	}
}

func TestSecondNodeOnOneDirectoryIsRefused(t *testing.T) {
	f, config := enrolled(t)
	process(t, f, config)
	run(t, config, "run").expect(t, exitRefused, "another process", "hint: stop the other")
	run(t, config, "jobs").expect(t, exitOK) // looking is allowed
	run(t, config, "enroll", "--token", encode(t, f.token("alpen"))).expect(t, exitRefused, "another process")
}

func TestRestoredNodeErasesItsKeys(t *testing.T) {
	f, config := enrolled(t)
	s, err := store.Open(filepath.Join(filepath.Dir(config), "state"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	key, _ := secagg.GenerateSeatKey()
	if err := s.SeatKeys().Put(wire.Digest{1}, key); err != nil {
		t.Fatal(err)
	}
	c := process(t, f, config)
	c.Process.Signal(syscall.SIGTERM)
	c.Wait()
	if n, _ := s.SeatKeys().Count(); n != 1 {
		t.Errorf("%d keys after an ordinary start", n)
	}
	process(t, f, config, "--restored")
	if n, _ := s.SeatKeys().Count(); n != 0 {
		t.Errorf("%d keys after --restored", n)
	}
}

func TestCertificateIsRenewedInItsLastThird(t *testing.T) {
	f, config := newFake(t), folder(t, "alpen")
	f.life = 10 * time.Minute
	run(t, config, "enroll", "--token", encode(t, f.token("alpen"))).expect(t, exitOK)
	process(t, f, config)
	if n := f.count(&f.renewed); n != 0 {
		t.Errorf("renewed %d times too early", n)
	}
	f2, config2 := newFake(t), folder(t, "alpen")
	f2.age, f2.life = 10*time.Minute, time.Minute
	run(t, config2, "enroll", "--token", encode(t, f2.token("alpen"))).expect(t, exitOK)
	f2.age = 0
	c := process(t, f2, config2)
	if n := f2.count(&f2.renewed); n != 1 {
		t.Errorf("renewed %d times, want once", n)
	}
	c.Process.Signal(syscall.SIGTERM)
	c.Wait()
	run(t, config2, "check").expect(t, exitOK, "Coordinator: reached")
}

func TestExpiredCertificateIsTold(t *testing.T) {
	f, config := newFake(t), folder(t, "alpen")
	f.life = 500 * time.Millisecond
	run(t, config, "enroll", "--token", encode(t, f.token("alpen"))).expect(t, exitOK)
	time.Sleep(time.Second)
	run(t, config, "run").expect(t, exitUnauthorised, "certificate ended", "hint: ask the coordinator's operator for a new invitation")
}
