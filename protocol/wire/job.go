package wire

import (
	"bytes"
	"slices"
)

// JobKind is how a job's sums are protected.
type JobKind uint8

// The kinds of jobs.
const (
	Private JobKind = 1 // every opened sum carries differential-privacy noise
	Exact   JobKind = 2 // sums without noise over a fixed cohort
)

// Mode is how updates travel.
type Mode uint8

// The modes.
const (
	Sealed Mode = 1 // encrypted under one-time keys; a committee opens sums
	Noised Mode = 2 // in clear, each with its whole noise; without a committee
)

// RoundKind is what a round's sum is for.
type RoundKind uint8

// The kinds of rounds.
const (
	Fit      RoundKind = 1 // statistics of the feature pipeline
	Train    RoundKind = 2
	Evaluate RoundKind = 3
	Sketch   RoundKind = 5 // counts by bin, which FIT needs the quantiles of; 4 is a finished state's
)

// Kinds are all kinds, in the order in which a job's rounds run.
var Kinds = [...]RoundKind{Sketch, Fit, Train, Evaluate}

func (k RoundKind) known() bool { return slices.Contains(Kinds[:], k) }

// Compare orders kinds as Kinds does.
func (k RoundKind) Compare(other RoundKind) int {
	return slices.Index(Kinds[:], k) - slices.Index(Kinds[:], other)
}

// String is the kind as shown to people.
func (k RoundKind) String() string {
	switch k {
	case Fit:
		return "fit"
	case Train:
		return "train"
	case Evaluate:
		return "evaluate"
	case Sketch:
		return "sketch"
	}
	return "unknown"
}

// Seat is a place on one job's committee; Index (1…m) is where its share's polynomial is evaluated.
type Seat struct {
	Index  uint16
	Member Member
}

// Segment is a run of lanes with one scale: lane = round-half-even(value · ScaleNum/ScaleDen).
type Segment struct {
	Name               string
	Length             uint32
	ScaleNum, ScaleDen uint64
}

// Codec fixes how a round's values become lanes; see design §4 for the bounds.
type Codec struct {
	Ring      uint16 // 1: N=4096, the two primes of SPEC §6; 0 with SumBits, ErrorBits and Lanes in a noised job
	NMax      uint16
	Bits      uint8
	SumBits   uint8
	ErrorBits uint8
	Lanes     uint8
	Segments  []Segment
}

// RingV1 is the only ring so far.
const RingV1 = 1

// DP fixes a round's noise; all zero in an exact job.
type DP struct {
	Mechanism   uint8
	Unit        uint8
	Sensitivity uint64 // L2, integer units, joint over all segments
	Sigma2Local uint64 // variance of one participant's noise share, integer units squared
	H           uint16
	QNum, QDen  uint64
}

// RoundSpec is what every round of one kind has in common.
type RoundSpec struct {
	Kind      RoundKind
	MaxRounds uint16
	Codec     Codec
	DP        DP
}

// Manifest is the job as operators approve it.
type Manifest struct {
	CharterDigest  Digest
	Nonce          [16]byte
	SpecDigest     Digest
	ContractDigest Digest
	Kind           JobKind
	Mode           Mode
	State0         Digest
	Cohort         []Member // sorted
	Committee      []Seat   // by index 1…m
	T, F, NMin     uint16
	ExpiresMs      uint64 // Unix milliseconds
	RoundMs        uint32 // from a Plan to its deadline, milliseconds
	Rounds         []RoundSpec
}

// Type implements Object.
func (*Manifest) Type() Type { return TypeManifest }

func (m *Manifest) fields(c *codec) {
	c.fixed(m.CharterDigest[:])
	c.fixed(m.Nonce[:])
	c.fixed(m.SpecDigest[:])
	c.fixed(m.ContractDigest[:])
	c.u8((*uint8)(&m.Kind))
	c.u8((*uint8)(&m.Mode))
	if m.Kind != Private && m.Kind != Exact {
		c.fail("unknown job kind %d", m.Kind)
	}
	if m.Mode != Sealed && m.Mode != Noised {
		c.fail("unknown mode %d", m.Mode)
	}
	c.fixed(m.State0[:])
	list(c, "cohort", &m.Cohort, MaxMembers, func(k *Member) { c.fixed(k[:]) })
	ascending(c, "cohort", m.Cohort, func(a, b *Member) int { return bytes.Compare(a[:], b[:]) })
	list(c, "committee", &m.Committee, MaxSeats, func(s *Seat) {
		c.u16(&s.Index)
		c.fixed(s.Member[:])
	})
	for i, s := range m.Committee {
		if int(s.Index) != i+1 {
			c.fail("seat %d has index %d", i+1, s.Index)
		}
	}
	c.u16(&m.T)
	c.u16(&m.F)
	c.u16(&m.NMin)
	c.u64(&m.ExpiresMs)
	c.u32(&m.RoundMs)
	list(c, "rounds", &m.Rounds, len(Kinds), func(r *RoundSpec) { r.fields(c) })
	ascending(c, "rounds", m.Rounds, func(a, b *RoundSpec) int { return a.Kind.Compare(b.Kind) })
}

func (r *RoundSpec) fields(c *codec) {
	c.u8((*uint8)(&r.Kind))
	if !r.Kind.known() {
		c.fail("unknown round kind %d", r.Kind)
	}
	c.u16(&r.MaxRounds)
	k := &r.Codec
	c.u16(&k.Ring)
	c.u16(&k.NMax)
	c.u8(&k.Bits)
	c.u8(&k.SumBits)
	c.u8(&k.ErrorBits)
	c.u8(&k.Lanes)
	list(c, "segments", &k.Segments, MaxSegments, func(s *Segment) {
		c.text("segment", &s.Name, MaxNameBytes)
		c.u32(&s.Length)
		c.u64(&s.ScaleNum)
		c.u64(&s.ScaleDen)
	})
	d := &r.DP
	c.u8(&d.Mechanism)
	c.u8(&d.Unit)
	c.u64(&d.Sensitivity)
	c.u64(&d.Sigma2Local)
	c.u16(&d.H)
	c.u64(&d.QNum)
	c.u64(&d.QDen)
}

// Digest is the job's identifier.
func (m *Manifest) Digest() Digest { return Hash("manifest", Encode(m)) }

// Round finds what the manifest says of rounds of kind k.
func (m *Manifest) Round(k RoundKind) (*RoundSpec, bool) {
	for i := range m.Rounds {
		if m.Rounds[i].Kind == k {
			return &m.Rounds[i], true
		}
	}
	return nil, false
}

// Approval is one operator's consent, with the seat's public key for this job alone if the member has a seat.
type Approval struct {
	Job     Digest
	Member  Member
	SeatKey []byte // HPKE public key; empty without a seat
}

// Type implements Object.
func (*Approval) Type() Type { return TypeApproval }

func (a *Approval) fields(c *codec) {
	c.fixed(a.Job[:])
	c.fixed(a.Member[:])
	c.bytes("seat key", &a.SeatKey, 4096)
}

// Finish is the ledger's record of how a job ended.
type Finish struct {
	Job     Digest
	Outcome uint8 // see the Outcome constants
	State   Digest
	Reason  string
}

// How a job can end.
const (
	OutcomeCompleted = 1
	OutcomeAborted   = 2
	OutcomeCancelled = 3
	OutcomeExpired   = 4
)

// Type implements Object.
func (*Finish) Type() Type { return TypeFinish }

func (f *Finish) fields(c *codec) {
	c.fixed(f.Job[:])
	c.u8(&f.Outcome)
	if f.Outcome < OutcomeCompleted || f.Outcome > OutcomeExpired {
		c.fail("unknown outcome %d", f.Outcome)
	}
	c.fixed(f.State[:])
	c.text("reason", &f.Reason, MaxTextBytes)
}
