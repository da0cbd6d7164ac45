package engine

import (
	"context"
	"errors"
	"slices"

	"tributary/coordinator/internal/store"
	"tributary/protocol/charter"
	"tributary/protocol/invite"
	"tributary/protocol/ledger"
	"tributary/protocol/wire"
)

// ProposeCharter signs the next charter version over the enrolled members, or over the named ones. It counts for nobody until
// operators accept it. What is the newest version already is returned as it is.
func (e *Engine) ProposeCharter(ctx context.Context, f int, names []string) (out store.Charter, err error) {
	if f < 0 || f > wire.MaxMembers {
		return out, fail(Invalid, "f", "f is the number of members that may collude with the coordinator.", "f = %d is not within 0 to %d", f, wire.MaxMembers)
	}
	err = e.Store.Update(ctx, "commit/charter", func(t *store.Tx) error {
		next := &wire.Charter{Consortium: e.Consortium, Version: 1, F: uint16(f), Organisation: e.Organisation, Coordinator: e.Key.Public(), LogOrigin: e.LogOrigin}
		if next.Members, err = charterMembers(t, names); err != nil {
			return err
		}
		newest, err := t.NewestCharter()
		switch {
		case err == nil:
			same := *newest.Charter
			next.Version, next.Prev = same.Version, same.Prev
			if next.Digest() == same.Digest() {
				out = newest
				return nil
			}
			next.Version, next.Prev = newest.Version+1, newest.Digest()
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
		if err := charter.Check(next); err != nil {
			return &Error{Class: Invalid, Code: "charter", Message: "this charter can't be proposed", Hint: "Choose f, or the members, so that the rule holds.", Err: err}
		}
		out = store.Charter{Charter: next, Envelope: wire.Sign(e.Key, next)}
		if err := t.PutCharter(next, &out.Envelope); err != nil {
			return err
		}
		_, err = e.logEntry(t, ledger.Charter, out.Envelope.Bytes())
		return err
	})
	if err == nil {
		e.changed()
	}
	return out, err
}

func charterMembers(t *store.Tx, names []string) (out []wire.CharterMember, err error) {
	members, err := t.Members()
	if err != nil {
		return nil, err
	}
	missing := slices.Clone(names)
	for i := range members {
		m := &members[i]
		if m.RevokedMs != 0 || len(names) > 0 && !slices.Contains(names, m.Card.Name) {
			continue
		}
		out = append(out, wire.CharterMember{Card: m.Card, Role: m.Role})
		missing = slices.DeleteFunc(missing, func(n string) bool { return n == m.Card.Name })
	}
	if len(missing) > 0 {
		return nil, fail(Missing, "member", "`tributary participant list` shows who is enrolled.", "no enrolled participant is called %q", missing[0])
	}
	if len(out) == 0 {
		return nil, fail(Precondition, "no-members", "Invite participants with `tributary participant invite NAME` and let them enrol.", "nobody is enrolled")
	}
	slices.SortFunc(out, func(a, b wire.CharterMember) int { return a.Card.Key.Compare(b.Card.Key) })
	return out, nil
}

// Charters lists all versions, newest first.
func (e *Engine) Charters(ctx context.Context) (out []store.Charter, err error) {
	err = e.Store.View(ctx, func(t *store.Tx) error {
		out, err = t.Charters()
		return err
	})
	if err == nil && len(out) == 0 {
		err = fail(Missing, "no-charter", "The coordinator's operator runs `tributary charter propose --f N`.", "there is no charter yet")
	}
	return out, err
}

// Person is a participant or an operator as people are told of them.
type Person struct {
	Kind         invite.Kind
	Name         string
	Organisation string
	Role         string
	Key          wire.Member
	Status       string // invited, enrolled, member, revoked
	LastSeenMs   int64  // 0: not since the coordinator started
}

// People lists everybody: enrolled, invited and revoked.
func (e *Engine) People(ctx context.Context) (out []Person, err error) {
	var members []store.Member
	var users []store.User
	var tokens []store.Token
	inCharter := map[wire.Member]bool{}
	err = e.Store.View(ctx, func(t *store.Tx) error {
		if members, err = t.Members(); err != nil {
			return err
		}
		if users, err = t.Users(); err != nil {
			return err
		}
		if tokens, err = t.OpenTokens(e.Now().UnixMilli()); err != nil {
			return err
		}
		c, err := t.NewestCharter()
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err == nil {
			for i := range c.Members {
				inCharter[c.Members[i].Card.Key] = true
			}
		}
		return err
	})
	for i := range members {
		m := &members[i]
		p := Person{Kind: invite.Participant, Name: m.Card.Name, Organisation: m.Card.Organisation, Role: m.Role.String(), Key: m.Card.Key, Status: "enrolled", LastSeenMs: e.lastSeen(m.Card.Key)}
		switch {
		case m.RevokedMs != 0:
			p.Status = "revoked"
		case inCharter[m.Card.Key]:
			p.Status = "member"
		}
		out = append(out, p)
	}
	for _, u := range users {
		p := Person{Kind: invite.Operator, Name: u.Name, Role: "operator", Status: "enrolled"}
		if u.RevokedMs != 0 {
			p.Status = "revoked"
		}
		out = append(out, p)
	}
	for _, k := range tokens {
		out = append(out, Person{Kind: k.Kind, Name: k.Name, Organisation: k.Organisation, Role: k.Role, Status: "invited"})
	}
	return out, err
}
