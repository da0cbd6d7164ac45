package ledger

import (
	"encoding/binary"
	"fmt"
)

// Kind says what an entry's object is.
type Kind uint16

// The kinds of entry. Numbers are part of the format and never reused.
const (
	Charter    Kind = 1  // a charter version
	Enrolment  Kind = 2  // a member's card, enrolled
	Approval   Kind = 3  // a member's approval of a manifest
	Release    Kind = 4  // a sum was opened and applied
	Refusal    Kind = 5  // a participant refused, with its rule
	Abort      Kind = 6  // a round was aborted, with phase and attribution
	Job        Kind = 7  // a manifest
	Revocation Kind = 8  // a certificate or member was revoked
	Finish     Kind = 9  // a job ended
	Roster     Kind = 10 // whose contributions a sum is over; private jobs
	Charge     Kind = 11 // what an upload cost its sender's account
	Account    Kind = 12 // a privacy account was opened or refilled
	Plan       Kind = 13 // a round was begun
	Policy     Kind = 14 // a participant's own rules, as they changed
	// Certificate: a member was issued a certificate, for a key that may be new.
	Certificate Kind = 15
)

// String returns the kind's name in exports, or "kind(N)" for a number that isn't one.
func (k Kind) String() string {
	switch k {
	case Charter:
		return "charter"
	case Enrolment:
		return "enrolment"
	case Approval:
		return "approval"
	case Release:
		return "release"
	case Refusal:
		return "refusal"
	case Abort:
		return "abort"
	case Job:
		return "job"
	case Revocation:
		return "revocation"
	case Finish:
		return "finish"
	case Roster:
		return "roster"
	case Charge:
		return "charge"
	case Account:
		return "account"
	case Plan:
		return "plan"
	case Policy:
		return "policy"
	case Certificate:
		return "certificate"
	}
	return fmt.Sprintf("kind(%d)", uint16(k))
}

func (k Kind) valid() bool { return k >= Charter && k <= Certificate }

const (
	// EntryVersion is the version of the record encoding.
	EntryVersion = 1
	// MaxObjectBytes bounds an entry's object, 1 MiB. Larger things are logged by digest.
	MaxObjectBytes = 1 << 20
	// MaxAtMs bounds an entry's time: the last millisecond of the year 9999, UTC.
	MaxAtMs = 253402300799999
	// entryHeader is version u16, kind u16, at_ms u64, object length u32.
	entryHeader    = 16
	maxRecordBytes = entryHeader + MaxObjectBytes
)

// Entry is one record of the log: a canonical object (usually a signed envelope) with its kind and the coordinator's time.
type Entry struct {
	Kind   Kind
	AtMs   uint64 // milliseconds since 1970 UTC by the coordinator's clock; evidence of order, not of time
	Object []byte // 1 to MaxObjectBytes bytes
}

// Marshal returns the entry's only encoding, all integers big-endian:
//
//	version u16 ‖ kind u16 ‖ at_ms u64 ‖ length u32 ‖ object
//
// It returns ErrMalformed for an entry that ParseEntry would refuse.
func (e Entry) Marshal() ([]byte, error) {
	if err := e.check(); err != nil {
		return nil, fmt.Errorf("encode ledger entry: %w", err)
	}
	b := make([]byte, 0, entryHeader+len(e.Object))
	b = binary.BigEndian.AppendUint16(b, EntryVersion)
	b = binary.BigEndian.AppendUint16(b, uint16(e.Kind))
	b = binary.BigEndian.AppendUint64(b, e.AtMs)
	b = binary.BigEndian.AppendUint32(b, uint32(len(e.Object)))
	return append(b, e.Object...), nil
}

// ParseEntry decodes a record. It accepts only what Marshal writes and copies the object. Errors wrap ErrMalformed.
func ParseEntry(record []byte) (Entry, error) {
	if len(record) < entryHeader || len(record) > maxRecordBytes {
		return Entry{}, fmt.Errorf("decode ledger entry: %w: %d bytes, want %d to %d", ErrMalformed, len(record), entryHeader+1, maxRecordBytes)
	}
	if v := binary.BigEndian.Uint16(record); v != EntryVersion {
		return Entry{}, fmt.Errorf("decode ledger entry: %w: version %d, this program reads %d (hint: a newer version wrote it; upgrade)", ErrMalformed, v, EntryVersion)
	}
	if n := binary.BigEndian.Uint32(record[12:]); int64(n) != int64(len(record)-entryHeader) {
		return Entry{}, fmt.Errorf("decode ledger entry: %w: object length %d, have %d bytes", ErrMalformed, n, len(record)-entryHeader)
	}
	e := Entry{
		Kind:   Kind(binary.BigEndian.Uint16(record[2:])),
		AtMs:   binary.BigEndian.Uint64(record[4:]),
		Object: append([]byte(nil), record[entryHeader:]...),
	}
	if err := e.check(); err != nil {
		return Entry{}, fmt.Errorf("decode ledger entry: %w", err)
	}
	return e, nil
}

func (e Entry) check() error {
	switch {
	case !e.Kind.valid():
		return fmt.Errorf("%w: unknown %v (hint: a newer version may have written it; upgrade)", ErrMalformed, e.Kind)
	case e.AtMs > MaxAtMs:
		return fmt.Errorf("%w: time %d ms, at most %d (hint: check the clock)", ErrMalformed, e.AtMs, uint64(MaxAtMs))
	case len(e.Object) == 0:
		return fmt.Errorf("%w: a %v entry without an object evidences nothing", ErrMalformed, e.Kind)
	case len(e.Object) > MaxObjectBytes:
		return fmt.Errorf("%w: object of %d bytes, at most %d (hint: log its digest)", ErrMalformed, len(e.Object), MaxObjectBytes)
	}
	return nil
}
