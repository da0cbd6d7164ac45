package wire

import (
	"bytes"

	"tributary/crypto/identity"
)

// MemberCard is how an organisation presents its identity key. Proof is the key's signature over the rest, so
// that nobody can present a key that isn't theirs.
type MemberCard struct {
	Name         string // the participant's name, unique in a charter
	Organisation string
	Key          Member
	Proof        [identity.SignatureSize]byte
}

// Type implements Object.
func (*MemberCard) Type() Type { return TypeMemberCard }

func (m *MemberCard) fields(c *codec) {
	c.text("name", &m.Name, MaxNameBytes)
	c.text("organisation", &m.Organisation, MaxNameBytes)
	c.fixed(m.Key[:])
	c.fixed(m.Proof[:])
}

func (m *MemberCard) proven() []byte {
	d := Hash("card", []byte(m.Name), []byte(m.Organisation), m.Key[:])
	return d[:]
}

// NewCard makes the card of key.
func NewCard(key *identity.Key, name, organisation string) MemberCard {
	m := MemberCard{Name: name, Organisation: organisation, Key: key.Public()}
	copy(m.Proof[:], key.Sign(m.proven()))
	return m
}

// Proven reports whether the card's holder had the private key.
func (m *MemberCard) Proven() bool { return identity.Verify(m.Key, m.proven(), m.Proof[:]) }

// Role is what a member does.
type Role uint8

// The roles.
const (
	RoleData      Role = 1 // contributes, holds no seat
	RoleCommittee Role = 2 // holds a seat, has no data
	RoleBoth      Role = 3
)

// Valid reports whether the role is known.
func (r Role) Valid() bool { return r >= RoleData && r <= RoleBoth }

// HasData reports whether the member contributes to sums.
func (r Role) HasData() bool { return r == RoleData || r == RoleBoth }

// HasSeat reports whether the member may sit on a committee.
func (r Role) HasSeat() bool { return r == RoleCommittee || r == RoleBoth }

// String is the role as typed on a command line.
func (r Role) String() string {
	switch r {
	case RoleData:
		return "data"
	case RoleCommittee:
		return "committee"
	case RoleBoth:
		return "both"
	}
	return "unknown"
}

// CharterMember is one member with its role.
type CharterMember struct {
	Card MemberCard
	Role Role
}

// Charter lists who counts. Package charter checks and compares charters.
type Charter struct {
	Consortium   string
	Version      uint32
	Prev         Digest // of the version before; zero at version 1
	F            uint16 // most members that may collude with the coordinator, its own organisation's counted
	Organisation string // the coordinator's
	Coordinator  Member
	LogOrigin    string
	Members      []CharterMember // sorted by key
}

// Type implements Object.
func (*Charter) Type() Type { return TypeCharter }

func (t *Charter) fields(c *codec) {
	c.text("consortium", &t.Consortium, MaxNameBytes)
	c.u32(&t.Version)
	c.fixed(t.Prev[:])
	c.u16(&t.F)
	c.text("organisation", &t.Organisation, MaxNameBytes)
	c.fixed(t.Coordinator[:])
	c.text("log origin", &t.LogOrigin, MaxNameBytes)
	list(c, "members", &t.Members, MaxMembers, func(m *CharterMember) {
		m.Card.fields(c)
		c.u8((*uint8)(&m.Role))
		if !m.Role.Valid() {
			c.fail("unknown role %d", m.Role)
		}
	})
	ascending(c, "members", t.Members, func(a, b *CharterMember) int { return bytes.Compare(a.Card.Key[:], b.Card.Key[:]) })
}

// Digest is what an operator accepts.
func (t *Charter) Digest() Digest { return Hash("charter", Encode(t)) }

// Enrolment is the ledger's record that a card was taken in by a token.
type Enrolment struct {
	Card MemberCard
	Role Role
}

// Type implements Object.
func (*Enrolment) Type() Type { return TypeEnrolment }

func (e *Enrolment) fields(c *codec) {
	e.Card.fields(c)
	c.u8((*uint8)(&e.Role))
	if !e.Role.Valid() {
		c.fail("unknown role %d", e.Role)
	}
}

// Revocation is the ledger's record that a member's certificates no longer count.
type Revocation struct {
	Member Member
	Reason string
}

// Type implements Object.
func (*Revocation) Type() Type { return TypeRevocation }

func (r *Revocation) fields(c *codec) {
	c.fixed(r.Member[:])
	c.text("reason", &r.Reason, MaxTextBytes)
}
