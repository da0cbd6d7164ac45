// Package charter checks who counts in a consortium.
//
// A charter is made by the coordinator and means nothing until an operator accepts its digest, which
// operators compare over another channel. A coordinator therefore can't invent members: their keys would
// show in a digest that no operator has accepted. The rules are protocol/SPEC.md §3.
package charter

import (
	"errors"
	"fmt"

	"tributary/crypto/identity"
	"tributary/protocol/wire"
)

// ErrInvalid says that a charter breaks a rule; the error names it.
var ErrInvalid = errors.New("invalid charter")

// Check tells whether the charter may be proposed or accepted at all: proven and distinct cards with distinct names,
// and at most F members of the coordinator's own organisation, since those may collude with it.
func Check(t *wire.Charter) error {
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
	}
	switch {
	case t.Consortium == "":
		return refuse("consortium has no name")
	case t.Version == 0:
		return refuse("version is 0, the first is 1")
	case (t.Version == 1) != t.Prev.IsZero():
		return refuse("version %d with previous digest %x", t.Version, t.Prev[:4])
	case t.Coordinator.IsZero():
		return refuse("coordinator has no key")
	case t.LogOrigin == "":
		return refuse("ledger has no origin")
	case len(t.Members) == 0:
		return refuse("no members")
	}
	names, own := map[string]bool{}, 0
	for i := range t.Members {
		m := &t.Members[i]
		switch {
		case m.Card.Name == "" || m.Card.Organisation == "":
			return refuse("member %s has no name or no organisation", m.Card.Key.Short())
		case names[m.Card.Name]:
			return refuse("two members are called %q", m.Card.Name)
		case m.Card.Key == t.Coordinator:
			return refuse("member %q has the coordinator's key", m.Card.Name)
		case !m.Card.Proven():
			return refuse("member %q doesn't prove that it holds its key", m.Card.Name)
		}
		names[m.Card.Name] = true
		if m.Card.Organisation == t.Organisation {
			own++
		}
	}
	if own > int(t.F) {
		return refuse("%d members are the coordinator's own organisation %q, at most f = %d may be", own, t.Organisation, t.F)
	}
	return nil
}

// Find looks a member up by key.
func Find(t *wire.Charter, key wire.Member) (*wire.CharterMember, bool) {
	for i := range t.Members {
		if t.Members[i].Card.Key == key {
			return &t.Members[i], true
		}
	}
	return nil, false
}

// ByName looks a member up by name.
func ByName(t *wire.Charter, name string) (*wire.CharterMember, bool) {
	for i := range t.Members {
		if t.Members[i].Card.Name == name {
			return &t.Members[i], true
		}
	}
	return nil, false
}

// Name is the member's name, or the start of its key when the charter doesn't list it.
func Name(t *wire.Charter, key wire.Member) string {
	if m, ok := Find(t, key); ok {
		return m.Card.Name
	}
	return key.Short()
}

// Open reads a proposed charter: signed by the coordinator that it names, and valid.
func Open(e *wire.Envelope) (*wire.Charter, error) {
	var t wire.Charter
	if err := e.Open(&t); err != nil {
		return nil, err
	}
	if e.Signer != t.Coordinator {
		return nil, fmt.Errorf("%w: signed by %s, it names %s as coordinator", ErrInvalid, e.Signer.Short(), t.Coordinator.Short())
	}
	if err := Check(&t); err != nil {
		return nil, err
	}
	return &t, nil
}

// Follows checks that next is the version after old: same consortium and coordinator, and it names old's digest.
func Follows(old, next *wire.Charter) error {
	switch {
	case next.Version != old.Version+1:
		return fmt.Errorf("%w: version %d doesn't follow %d", ErrInvalid, next.Version, old.Version)
	case next.Prev != old.Digest():
		return fmt.Errorf("%w: version %d doesn't name the accepted version %d as its previous", ErrInvalid, next.Version, old.Version)
	case next.Consortium != old.Consortium:
		return fmt.Errorf("%w: consortium %q became %q", ErrInvalid, old.Consortium, next.Consortium)
	case next.Coordinator != old.Coordinator:
		return fmt.Errorf("%w: the coordinator's key changed", ErrInvalid)
	}
	return nil
}

// Quorum checks t of m against f: t ≥ ⌈(m+f+1)/2⌉, so that any two quorums share an honest member, and t ≤ m−f, so that
// f absent seats don't stop a job; t = m = 3 at f = 1 is allowed, where one seat can stop it.
func Quorum(t, m, f int) error {
	if t == 3 && m == 3 && f == 1 {
		return nil
	}
	low, high := (m+f+2)/2, m-f
	if t < low || t > high || f < 0 || m > wire.MaxSeats {
		return fmt.Errorf("%w: a committee with threshold %d of %d doesn't stand f = %d: threshold must be %d…%d (3 of 4, 5 of 7; or 3 of 3 at f = 1)",
			ErrInvalid, t, m, f, low, high)
	}
	return nil
}

// Phrase is what operators compare over the telephone.
func Phrase(digest wire.Digest) string { return identity.Phrase(digest) }
