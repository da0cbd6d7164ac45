package charter

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"tributary/crypto/identity"
	"tributary/protocol/wire"
)

func sample(t *testing.T) (*wire.Charter, *identity.Key) {
	t.Helper()
	coordinator, _ := identity.Generate()
	c := &wire.Charter{Consortium: "shops", Version: 1, F: 1, Organisation: "Hub", Coordinator: coordinator.Public(), LogOrigin: "shops/log"}
	for _, name := range []string{"alpen", "baltic", "coast"} {
		k, _ := identity.Generate()
		c.Members = append(c.Members, wire.CharterMember{Card: wire.NewCard(k, name, name+" AG"), Role: wire.RoleBoth})
	}
	sorted(c)
	return c, coordinator
}

func sorted(c *wire.Charter) {
	slices.SortFunc(c.Members, func(a, b wire.CharterMember) int { return bytes.Compare(a.Card.Key[:], b.Card.Key[:]) })
}

func TestInventedMembersShowInTheDigest(t *testing.T) {
	c, key := sample(t)
	if err := Check(c); err != nil {
		t.Fatal(err)
	}
	before := c.Digest()
	sybil, _ := identity.Generate()
	c.Members = append(c.Members, wire.CharterMember{Card: wire.NewCard(sybil, "delta", "Delta"), Role: wire.RoleBoth})
	sorted(c)
	if c.Digest() == before {
		t.Error("a member more, the same digest")
	}
	e := wire.Sign(key, c)
	if _, err := Open(&e); err != nil {
		t.Error(err)
	}
	stranger, _ := identity.Generate()
	e = wire.Sign(stranger, c)
	if _, err := Open(&e); !errors.Is(err, ErrInvalid) {
		t.Errorf("charter signed by a stranger: %v", err)
	}
}

func TestSybilsAreRefused(t *testing.T) {
	stolen, _ := identity.Generate()
	for name, spoil := range map[string]func(*wire.Charter){
		"a card without its key":                 func(c *wire.Charter) { c.Members[0].Card.Key = stolen.Public(); sorted(c) },
		"a renamed card":                         func(c *wire.Charter) { c.Members[0].Card.Organisation = "Other" },
		"two of the coordinator's organisation":  func(c *wire.Charter) { c.Organisation = "Same"; ownCards(c, 2) },
		"the coordinator as member":              func(c *wire.Charter) { c.Coordinator = c.Members[1].Card.Key },
		"no members":                             func(c *wire.Charter) { c.Members = nil },
		"a first version with a previous digest": func(c *wire.Charter) { c.Prev[0] = 1 },
	} {
		c, _ := sample(t)
		spoil(c)
		if err := Check(c); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c, _ := sample(t)
	c.Organisation = "Same"
	ownCards(c, 1)
	if err := Check(c); err != nil {
		t.Errorf("one member of the coordinator's organisation at f = 1: %v", err)
	}
}

func ownCards(c *wire.Charter, n int) {
	for i := range n {
		k, _ := identity.Generate()
		c.Members[i].Card = wire.NewCard(k, c.Members[i].Card.Name, "Same")
	}
	sorted(c)
}

func TestChangedCharterMustFollowTheAcceptedOne(t *testing.T) {
	old, _ := sample(t)
	next := *old
	next.Version, next.Prev = 2, old.Digest()
	if err := Follows(old, &next); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*wire.Charter){
		"skipped version":   func(c *wire.Charter) { c.Version = 3 },
		"other previous":    func(c *wire.Charter) { c.Prev[0] ^= 1 },
		"other coordinator": func(c *wire.Charter) { c.Coordinator[0] ^= 1 },
		"other consortium":  func(c *wire.Charter) { c.Consortium = "banks" },
	} {
		c := next
		spoil(&c)
		if err := Follows(old, &c); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Any two quorums must share an honest member: 2t − m > f.
func TestQuorumsShareAnHonestMember(t *testing.T) {
	for m := 1; m <= 12; m++ {
		for f := 0; f <= m; f++ {
			for q := 0; q <= m+1; q++ {
				safe := 2*q-m > f && q <= m
				live := q <= m-f || q == 3 && m == 3 && f == 1
				if got := Quorum(q, m, f) == nil; got != (safe && live) {
					t.Errorf("%d of %d at f = %d: accepted %v, safe %v, live %v", q, m, f, got, safe, live)
				}
			}
		}
	}
	for _, c := range [][3]int{{3, 4, 1}, {5, 7, 2}, {7, 10, 3}, {3, 3, 1}} {
		if err := Quorum(c[0], c[1], c[2]); err != nil {
			t.Error(err)
		}
	}
}
