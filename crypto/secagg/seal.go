package secagg

import (
	"crypto/hpke"
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrUnseal means that a sealed share isn't one for this seat key, context,
// sender, recipient and seat, or was changed.
var ErrUnseal = errors.New("secagg: share doesn't unseal")

// Context identifies one round of one closed job: the digest of the Plan and of
// all it depends on. Everything in this package is bound to it.
type Context [32]byte

// Member is a member's Ed25519 identity public key.
type Member [32]byte

// A Seat is one place on the job's committee.
type Seat struct {
	Index     uint16 // 1..m
	Member    Member
	PublicKey []byte // SeatKey.Public
}

// A Share is one contributor's key share for one seat: secret. Only sums leave
// a participant.
type Share struct {
	ctx    Context
	index  uint16
	values *vector
}

// Erase zeroes the share. SumShares must not use it afterwards.
func (s Share) Erase() {
	if s.values != nil {
		clear(s.values[:])
	}
}

// shareInfo is the HPKE info of a share: a fixed-length, domain-separated
// encoding, so that no two tuples share one.
func shareInfo(ctx Context, sender, recipient Member, index uint16) []byte {
	var domain [32]byte
	copy(domain[:], "tributary/secagg/v1/share")
	info := make([]byte, 0, 4*32+2)
	info = append(info, domain[:]...)
	info = append(info, ctx[:]...)
	info = append(info, sender[:]...)
	info = append(info, recipient[:]...)
	return binary.BigEndian.AppendUint16(info, index)
}

// sealShare seals v to the seat.
func sealShare(to hpke.PublicKey, info []byte, v *vector) ([]byte, error) {
	var plain [vectorBytes]byte
	defer clear(plain[:])
	v.pack(plain[:])
	sealed, err := hpke.Seal(to, hpke.HKDFSHA256(), hpke.AES256GCM(), info, plain[:])
	if err != nil {
		return nil, err
	}
	out := append(kindSealedShare.header(make([]byte, 0, SealedShareBytes)), sealed...)
	if len(out) != SealedShareBytes {
		panic("secagg: crypto/hpke returned another size of sealed share")
	}
	return out, nil
}

// OpenShare unseals the share that sender dealt to recipient at seat index. It
// fails with ErrMalformed if sealed has another size, kind or version or holds
// no field elements, and with ErrUnseal if it was made for another context,
// sender, recipient, seat or key, or changed. An opener that gets either refuses
// the whole roster; it never skips a share.
func (k *SeatKey) OpenShare(ctx Context, sender, recipient Member, index uint16, sealed []byte) (Share, error) {
	if k.private == nil {
		return Share{}, ErrErased
	}
	if index < 1 || index > MaxSeats {
		return Share{}, fmt.Errorf("%w: seat %d, want 1 to %d", ErrMalformed, index, MaxSeats)
	}
	body, err := kindSealedShare.body(sealed, SealedShareBytes)
	if err != nil {
		return Share{}, err
	}
	plain, err := hpke.Open(k.private, hpke.HKDFSHA256(), hpke.AES256GCM(), shareInfo(ctx, sender, recipient, index), body)
	if err != nil {
		return Share{}, fmt.Errorf("%w: seat %d (hint: complain of its sender): %w", ErrUnseal, index, err)
	}
	defer clear(plain)
	s := Share{ctx: ctx, index: index, values: new(vector)}
	if err := s.values.unpack(plain); err != nil {
		return Share{}, fmt.Errorf("unseal share of seat %d: %w", index, err)
	}
	return s, nil
}

// A ShareSum is one seat's reply: the sum of its shares over a roster. With t
// of them the sum over that roster opens, and nothing else. The zero ShareSum is
// no reply.
type ShareSum struct {
	index, count uint16
	values       *vector
}

// SumShares adds the shares of one seat in one context, one a contributor. Of no
// shares it is the zero ShareSum. It panics if shares of two seats or contexts
// are mixed, one is the zero Share, or there are more than MaxContributors.
func SumShares(shares []Share) ShareSum {
	if len(shares) == 0 {
		return ShareSum{}
	}
	if len(shares) > MaxContributors {
		panic("secagg: SumShares of more than MaxContributors shares")
	}
	sum := ShareSum{index: shares[0].index, count: uint16(len(shares)), values: new(vector)}
	for _, s := range shares {
		if s.values == nil || s.index != sum.index || s.ctx != shares[0].ctx {
			panic("secagg: SumShares of shares of two seats or contexts, or of the zero Share")
		}
		sum.values.add(s.values)
	}
	return sum
}

// Index returns the seat that replies, 1..m; 0 for the zero ShareSum.
func (s ShareSum) Index() uint16 { return s.index }

// Count returns the number of shares in the sum.
func (s ShareSum) Count() int { return int(s.count) }

// Bytes returns the encoding, ShareSumBytes long; nil for the zero ShareSum.
func (s ShareSum) Bytes() []byte {
	if s.values == nil {
		return nil
	}
	b := kindShareSum.header(make([]byte, 0, ShareSumBytes))
	b = binary.BigEndian.AppendUint16(b, s.index)
	b = binary.BigEndian.AppendUint16(b, s.count)
	b = b[:ShareSumBytes]
	s.values.pack(b[headerBytes+4:])
	return b
}

// ParseShareSum decodes what Bytes returned; the error wraps ErrMalformed. What
// it accepts encodes to the same bytes.
func ParseShareSum(b []byte) (ShareSum, error) {
	body, err := kindShareSum.body(b, ShareSumBytes)
	if err != nil {
		return ShareSum{}, err
	}
	s := ShareSum{index: binary.BigEndian.Uint16(body), count: binary.BigEndian.Uint16(body[2:])}
	if s.index < 1 || s.index > MaxSeats || s.count < 1 || s.count > MaxContributors {
		return ShareSum{}, fmt.Errorf("%w: share sum of seat %d over %d contributors, want 1 to %d over 1 to %d",
			ErrMalformed, s.index, s.count, MaxSeats, MaxContributors)
	}
	s.values = new(vector)
	if err := s.values.unpack(body[4:]); err != nil {
		return ShareSum{}, fmt.Errorf("parse share sum: %w", err)
	}
	return s, nil
}
