package wire

import "bytes"

// Plan opens a round. Its bytes, with the closed job's digest, are the context that every key is bound to.
type Plan struct {
	Job         Digest
	Round       uint64 // never reused within a job
	Step        uint32 // opened rounds before this one
	Kind        RoundKind
	StateDigest Digest
	PrevRelease Digest // of the release that gave the state; zero at step 0
	DeadlineMs  uint64 // Unix milliseconds
	LedgerSize  uint64
	LedgerRoot  Digest
}

// Type implements Object.
func (*Plan) Type() Type { return TypePlan }

func (p *Plan) fields(c *codec) {
	c.fixed(p.Job[:])
	c.u64(&p.Round)
	c.u32(&p.Step)
	c.u8((*uint8)(&p.Kind))
	if !p.Kind.known() {
		c.fail("unknown round kind %d", p.Kind)
	}
	c.fixed(p.StateDigest[:])
	c.fixed(p.PrevRelease[:])
	c.u64(&p.DeadlineMs)
	c.u64(&p.LedgerSize)
	c.fixed(p.LedgerRoot[:])
}

// Context is H(closed job ‖ Plan).
func (p *Plan) Context(closed Digest) Digest { return Hash("ctx", closed[:], Encode(p)) }

// Upload commits its signer to one payload and one sealed share a seat.
type Upload struct {
	Ctx           Digest
	PayloadDigest Digest
	PayloadLen    uint64
	ShareDigests  []Digest // by seat
}

// Type implements Object.
func (*Upload) Type() Type { return TypeUpload }

func (u *Upload) fields(c *codec) {
	c.fixed(u.Ctx[:])
	c.fixed(u.PayloadDigest[:])
	c.u64(&u.PayloadLen)
	list(c, "share digests", &u.ShareDigests, MaxSeats, func(d *Digest) { c.fixed(d[:]) })
}

// Receipt is the coordinator's signed word that an upload arrived whole.
type Receipt struct{ Ctx, Upload Digest }

// Type implements Object.
func (*Receipt) Type() Type { return TypeReceipt }

func (r *Receipt) fields(c *codec) {
	c.fixed(r.Ctx[:])
	c.fixed(r.Upload[:])
}

// Complaint says that a sender's sealed share doesn't open at its signer's seat.
type Complaint struct {
	Ctx         Digest
	Sender      Member
	ShareDigest Digest
}

// Type implements Object.
func (*Complaint) Type() Type { return TypeComplaint }

func (o *Complaint) fields(c *codec) {
	c.fixed(o.Ctx[:])
	c.fixed(o.Sender[:])
	c.fixed(o.ShareDigest[:])
}

// RosterEntry is one contribution to a sum.
type RosterEntry struct {
	Member Member
	Upload Digest // of the upload's envelope with its signature
}

// Roster is the closed list of contributions: what is opened is their sum and nothing else.
type Roster struct {
	Ctx     Digest
	Entries []RosterEntry // sorted by member
}

// Type implements Object.
func (*Roster) Type() Type { return TypeRoster }

func (r *Roster) fields(c *codec) {
	c.fixed(r.Ctx[:])
	list(c, "entries", &r.Entries, MaxMembers, func(e *RosterEntry) {
		c.fixed(e.Member[:])
		c.fixed(e.Upload[:])
	})
	ascending(c, "entries", r.Entries, func(a, b *RosterEntry) int { return bytes.Compare(a.Member[:], b.Member[:]) })
}

// Root is what openers sign.
func (r *Roster) Root() Digest { return Hash("roster", Encode(r)) }

// ShareSum is a seat's sum of its shares over a roster.
type ShareSum struct {
	Ctx   Digest
	Root  Digest
	Index uint16
	Sum   []byte // crypto/secagg's encoding
}

// Type implements Object.
func (*ShareSum) Type() Type { return TypeShareSum }

func (s *ShareSum) fields(c *codec) {
	c.fixed(s.Ctx[:])
	c.fixed(s.Root[:])
	c.u16(&s.Index)
	c.bytes("sum", &s.Sum, 16<<10)
}

// Release is the record of an opened sum and of the state that it gave.
type Release struct {
	Job       Digest
	Round     uint64
	Step      uint32
	Kind      RoundKind
	Ctx       Digest
	Root      Digest
	SumDigest Digest
	NextState Digest
	KMax      uint64 // largest key-sum coefficient, absolute
	EMax      uint64 // largest payload error, absolute
	Suspects  []Seat // replies that were corrected: the seat lied, or a sender's share to it was wrong
}

// Type implements Object.
func (*Release) Type() Type { return TypeRelease }

func (r *Release) fields(c *codec) {
	c.fixed(r.Job[:])
	c.u64(&r.Round)
	c.u32(&r.Step)
	c.u8((*uint8)(&r.Kind))
	if !r.Kind.known() {
		c.fail("unknown round kind %d", r.Kind)
	}
	c.fixed(r.Ctx[:])
	c.fixed(r.Root[:])
	c.fixed(r.SumDigest[:])
	c.fixed(r.NextState[:])
	c.u64(&r.KMax)
	c.u64(&r.EMax)
	list(c, "suspects", &r.Suspects, MaxSeats, func(s *Seat) {
		c.u16(&s.Index)
		c.fixed(s.Member[:])
	})
	ascending(c, "suspects", r.Suspects, func(a, b *Seat) int { return int(a.Index) - int(b.Index) })
}

// Digest identifies the release in the next Plan.
func (r *Release) Digest() Digest { return Hash("release", Encode(r)) }

// Refusal is a participant's signed no, with the rule that it found broken.
type Refusal struct {
	Job   Digest
	Ctx   Digest // zero before a plan
	Phase string
	Rule  string // see protocol/SPEC.md §9
	Hint  string
}

// Type implements Object.
func (*Refusal) Type() Type { return TypeRefusal }

func (r *Refusal) fields(c *codec) {
	c.fixed(r.Job[:])
	c.fixed(r.Ctx[:])
	c.text("phase", &r.Phase, MaxNameBytes)
	c.text("rule", &r.Rule, MaxNameBytes)
	c.text("hint", &r.Hint, MaxTextBytes)
}

// Abort ends a round with a reason; the step is tried again in a new round, or the job ends.
type Abort struct {
	Job      Digest
	Round    uint64
	Ctx      Digest
	Phase    string
	Code     string
	Reason   string
	Suspects []Member
}

// Type implements Object.
func (*Abort) Type() Type { return TypeAbort }

func (a *Abort) fields(c *codec) {
	c.fixed(a.Job[:])
	c.u64(&a.Round)
	c.fixed(a.Ctx[:])
	c.text("phase", &a.Phase, MaxNameBytes)
	c.text("code", &a.Code, MaxNameBytes)
	c.text("reason", &a.Reason, MaxTextBytes)
	list(c, "suspects", &a.Suspects, MaxMembers, func(m *Member) { c.fixed(m[:]) })
	ascending(c, "suspects", a.Suspects, func(x, y *Member) int { return bytes.Compare(x[:], y[:]) })
}
