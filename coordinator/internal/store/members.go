package store

import (
	"fmt"

	"tributary/protocol/wire"
)

// Member is an enrolled participant. Its key names it for ever; its name is unique among those that aren't revoked.
type Member struct {
	Card       wire.MemberCard
	Role       wire.Role
	EnrolledMs int64
	RevokedMs  int64 // 0: not revoked
}

// PutMember enrols a member, or enrols the same card again. It is ErrConflict if its name or its key belongs to another, or the
// key was revoked.
func (t *Tx) PutMember(m Member) error {
	old, err := t.Members()
	if err != nil {
		return err
	}
	for i := range old {
		o := &old[i]
		switch {
		case o.Card.Key == m.Card.Key && o.RevokedMs != 0:
			return fmt.Errorf("member %q: %w: this key was revoked", m.Card.Name, ErrConflict)
		case o.Card.Key == m.Card.Key && o.Card.Name != m.Card.Name:
			return fmt.Errorf("member %q: %w: this key is enrolled as %q", m.Card.Name, ErrConflict, o.Card.Name)
		case o.Card.Key != m.Card.Key && o.RevokedMs == 0 && o.Card.Name == m.Card.Name:
			return fmt.Errorf("member %q: %w: with another key", m.Card.Name, ErrConflict)
		}
	}
	return t.exec(`INSERT INTO members (key, name, organisation, role, card, enrolled_ms) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (key) DO UPDATE SET organisation = excluded.organisation, role = excluded.role, card = excluded.card`,
		m.Card.Key[:], m.Card.Name, m.Card.Organisation, int64(m.Role), wire.Encode(&m.Card), m.EnrolledMs)
}

// Members lists all that ever enrolled, by time.
func (t *Tx) Members() (out []Member, err error) {
	err = t.each(func(scan func(...any) error) error {
		var m Member
		var role int64
		var card []byte
		if err := scan(&role, &card, &m.EnrolledMs, &m.RevokedMs); err != nil {
			return err
		}
		m.Role = wire.Role(role)
		if err := wire.Decode(card, &m.Card); err != nil {
			return err
		}
		out = append(out, m)
		return nil
	}, `SELECT role, card, enrolled_ms, revoked_ms FROM members ORDER BY enrolled_ms, key`)
	return out, err
}

// RevokeMember revokes the member of that name with all its certificates and returns it, or ErrNotFound.
func (t *Tx) RevokeMember(name string, nowMs int64) (Member, error) {
	members, err := t.Members()
	if err != nil {
		return Member{}, err
	}
	for _, m := range members {
		if m.Card.Name != name || m.RevokedMs != 0 {
			continue
		}
		if err := t.change(`UPDATE members SET revoked_ms = ? WHERE key = ?`, nowMs, m.Card.Key[:]); err != nil {
			return Member{}, err
		}
		return m, t.exec(`UPDATE certificates SET revoked = 1 WHERE kind = 'participant' AND key = ?`, m.Card.Key[:])
	}
	return Member{}, fmt.Errorf("participant %q: %w", name, ErrNotFound)
}

// User is someone who may use the operator's commands.
type User struct {
	Name       string
	EnrolledMs int64
	RevokedMs  int64
}

// PutUser adds a user or lets a known one in again, on another machine or after a revocation.
func (t *Tx) PutUser(name string, nowMs int64) error {
	return t.exec(`INSERT INTO users (name, enrolled_ms) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET revoked_ms = 0`, name, nowMs)
}

// Users lists all users by name.
func (t *Tx) Users() (out []User, err error) {
	err = t.each(func(scan func(...any) error) error {
		var u User
		if err := scan(&u.Name, &u.EnrolledMs, &u.RevokedMs); err != nil {
			return err
		}
		out = append(out, u)
		return nil
	}, `SELECT name, enrolled_ms, revoked_ms FROM users ORDER BY name`)
	return out, err
}

// RevokeUser revokes a user with all certificates, or returns ErrNotFound.
func (t *Tx) RevokeUser(name string, nowMs int64) error {
	if err := t.change(`UPDATE users SET revoked_ms = ? WHERE name = ? AND revoked_ms = 0`, nowMs, name); err != nil {
		return fmt.Errorf("user %q: %w", name, err)
	}
	return t.exec(`UPDATE certificates SET revoked = 1 WHERE kind = 'operator' AND name = ?`, name)
}

// Certificate is what is remembered of an issued certificate.
type Certificate struct {
	Serial, Kind, Name string
	Key                wire.Member // of a participant; zero otherwise
	NotAfterMs         int64
}

// PutCertificate records an issued certificate. One that isn't recorded doesn't count.
func (t *Tx) PutCertificate(c Certificate) error {
	return t.exec(`INSERT INTO certificates (serial, kind, name, key, not_after_ms) VALUES (?, ?, ?, ?, ?)`,
		c.Serial, c.Kind, c.Name, c.Key[:], c.NotAfterMs)
}

// Admitted reports whether a certificate was issued here to that holder and isn't revoked.
func (t *Tx) Admitted(c Certificate) (bool, error) {
	var n int
	err := t.row(`SELECT COUNT(*) FROM certificates WHERE serial = ? AND kind = ? AND name = ? AND key = ? AND revoked = 0`,
		c.Serial, c.Kind, c.Name, c.Key[:]).Scan(&n)
	return n == 1, err
}
