package engine

import (
	"strings"
	"testing"

	"tributary/participant/internal/store"
	"tributary/protocol/wire"
)

// A node states its policy once, and again only when its operator changes it; each version names the one before.
func TestPolicyIsStatedWhenItChanges(t *testing.T) {
	w := newWorld(t, "alpen", "baltic", "coast", "delta")
	m := w.members[0]
	stated := func() (out []wire.Policy) {
		w.fake.mu.Lock()
		defer w.fake.mu.Unlock()
		for _, p := range w.fake.policies {
			if p.Member == m.key.Public() {
				out = append(out, p)
			}
		}
		return out
	}
	w.start(m)
	w.until("the first policy", func() bool { return len(stated()) == 1 })
	if err := w.stop(m); err != nil {
		t.Fatal(err)
	}
	w.start(m)
	w.until("the charter", func() bool { return w.fake.puts[wire.TypePolicy] >= 1 })
	if err := w.stop(m); err != nil {
		t.Fatal(err)
	}
	if got := stated(); len(got) != 1 || got[0].Version != 1 || !strings.Contains(got[0].Text, "approve: automatic") {
		t.Fatalf("%+v", got)
	}
	w.configure(m, "contracts: [shop-customers@1], privacy: [private], approve: manual")
	w.start(m)
	w.until("the second policy", func() bool { return len(stated()) == 2 })
	got := stated()
	if got[1].Version != 2 || got[1].Prev != got[0].Digest() || !strings.Contains(got[1].Text, "approve: manual") || !strings.Contains(got[1].Text, "privacy: [private]") {
		t.Errorf("%+v", got[1])
	}
	w.until("its acknowledgement", func() bool {
		w.fake.mu.Lock()
		defer w.fake.mu.Unlock()
		return w.fake.asked[m.key.Public()] > 0
	})
	if err := w.stop(m); err != nil {
		t.Fatal(err)
	}
	w.with(m, func(s *store.Store) {
		all, err := s.AllWords()
		if err != nil || len(all) != 2 || !all[0].Acknowledged || !all[1].Acknowledged {
			t.Errorf("%+v, %v", all, err)
		}
	})
}
