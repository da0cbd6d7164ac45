package audit

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"tributary/protocol/ledger"
	"tributary/protocol/wire"
)

// small is a ledger of eight entries that two of its three members cosigned: to name an edited one, signatures up to it are verified.
func small(t testing.TB) *world {
	w := newWorld(t, nil)
	for i := range 3 {
		w.enrol(i)
	}
	c := w.charter("charter/1", 1, wire.Digest{}, 3)
	w.account("account/alpen", 0, 0, 0)
	m := w.job("private", c, wire.Private, 3)
	w.approve("private", m, 0)
	w.charge("private/1", m, 1, 0)
	w.witnesses = []int{0, 2}
	return w
}

func TestEverySingleByteEditIsRejectedAndItsEntryNamed(t *testing.T) {
	data := small(t).export()
	x, err := ReadFile(data)
	if err != nil {
		t.Fatal(err)
	}
	if b := Verify(x, Options{Witnesses: 2}); !b.Verified() {
		t.Fatal(b.Findings)
	}
	for part := range 4 {
		t.Run(fmt.Sprint(part), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(4, uint64(part)))
			for range 2500 {
				at, by := random.IntN(len(data)), byte(1+random.IntN(255))
				edited := bytes.Clone(data)
				edited[at] ^= by
				_, err := ReadFile(edited)
				if err == nil {
					t.Fatalf("byte %d changed from %q to %q: accepted", at, data[at], edited[at])
				}
				line := bytes.Count(data[:at], []byte("\n")) - 2
				if line < 0 || line >= len(x.Entries) || data[at] == '\n' {
					continue
				}
				if text := err.Error(); !strings.Contains(text, fmt.Sprintf("entry %d:", line)) && !strings.Contains(text, fmt.Sprintf("entry %d ", line)) {
					t.Fatalf("byte %d, in entry %d, changed from %q to %q: %v", at, line, data[at], edited[at], err)
				}
			}
		})
	}
}

func TestRewrittenHistoryNeedsTheCoordinatorsKey(t *testing.T) {
	w := small(t)
	x := w.read()
	var log ledger.Memory
	for _, e := range x.Entries[:len(x.Entries)-1] {
		if _, err := ledger.Append(&log, e); err != nil {
			t.Fatal(err)
		}
	}
	shorter, err := ReadFile(exportOf(t, &log, testKey(66)))
	if err != nil {
		t.Fatal(err)
	}
	if b := Verify(shorter, Options{}); b.Signed() || b.Verified() {
		t.Error("a history signed by another key passed")
	}
	if b := Verify(x, Options{Coordinator: testKey(66).Public()}); b.Signed() {
		t.Error("another coordinator than asked for passed")
	}
}
