package store

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"tributary/crypto/dp/accountant"
	"tributary/protocol/wire"
)

const spenderVariable = "TRIBUTARY_TEST_SPENDER"

// TestSpender isn't a test but the process that TestAccountSurvivesKill kills: it spends until it can't, and tells what is spent once
// that is durable.
func TestSpender(t *testing.T) {
	dir := os.Getenv(spenderVariable)
	if dir == "" {
		return
	}
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	key := mustKey(t)
	for n := uint64(0); ; n++ {
		a, err := s.Account("customers")
		if err != nil {
			t.Fatal(err)
		}
		ctx := wire.Digest{byte(n >> 8), byte(n), byte(os.Getpid() >> 8), byte(os.Getpid())}
		err = s.Persist(wire.Digest{1}, uploaded(sumOf(t, a, 0.005)), &Payer{key, "customers", ctx})
		if errors.Is(err, accountant.ErrExhausted) {
			fmt.Println("exhausted")
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if a, err = s.Account("customers"); err != nil {
			t.Fatal(err)
		}
		fmt.Println("spent", uint64(a.Spent))
	}
}

func TestAccountSurvivesKill(t *testing.T) {
	s, _, a := accountWorld(t, 1)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var before accountant.Units
	for try := 0; ; try++ {
		c := exec.Command(program, "-test.run=^TestSpender$", "-test.v")
		c.Env = append(os.Environ(), spenderVariable+"="+s.Dir())
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		kill := 1 + rand.IntN(12) // after so many durable charges, and a little
		told, exhausted := before, false
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if text, ok := strings.CutPrefix(lines.Text(), "spent "); ok {
				n, err := strconv.ParseUint(text, 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				told = accountant.Units(n)
				if kill--; kill == 0 && try < 8 {
					time.Sleep(time.Duration(rand.IntN(4000)) * time.Microsecond)
					c.Process.Kill() // SIGKILL
				}
			}
			exhausted = exhausted || lines.Text() == "exhausted"
		}
		c.Wait()
		now, err := s.Account("customers") // which also recomputes it from the charges
		if err != nil {
			t.Fatal(err)
		}
		if now.Spent < told || now.Spent <= before || now.Spent > now.Budget() || now.Order != a.Order {
			t.Fatalf("%d units are spent after the kill; %d before the run, %d told as durable, budget %d", now.Spent, before, told, now.Budget())
		}
		if before = now.Spent; exhausted {
			if left := now.Left(); left > now.Budget()/190 {
				t.Errorf("exhausted with %d of %d units left", left, now.Budget())
			}
			return
		}
	}
}
