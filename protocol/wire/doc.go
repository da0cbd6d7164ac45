// Package wire defines the canonical objects that coordinator and participants sign and hash, and the envelope
// that carries a signature.
//
// Each value has exactly one encoding: big-endian integers, length-prefixed strings and lists, no optional
// field. Protobuf carries these bytes but is never what is signed, since one protobuf message has many
// encodings. The numbered description is protocol/SPEC.md §2.
package wire

import (
	"crypto/sha256"

	"tributary/crypto/identity"
)

// ProtocolVersion is the one version of the objects and of the round that this build speaks.
const ProtocolVersion = 1

// Limits on what is decoded; beyond them an object is refused before memory is allocated for it.
const (
	MaxMembers   = 1638 // the codec's largest number of contributors
	MaxSeats     = 64
	MaxSegments  = 64
	MaxRounds    = 10_000
	MaxObject    = 1 << 20 // bytes of any object's body
	MaxNameBytes = 256
	MaxTextBytes = 4096
)

// Digest is a SHA-256 value.
type Digest [sha256.Size]byte

// IsZero tells an absent digest.
func (d Digest) IsZero() bool { return d == Digest{} }

// Member is an identity key.
type Member = identity.PublicKey

const domain = "tributary/v1/"

// Hash is SHA-256 over "tributary/v1/" ‖ label ‖ 0 ‖ the parts, each with its length as u64. The lengths make
// it injective in the parts.
func Hash(label string, parts ...[]byte) Digest {
	h := sha256.New()
	h.Write([]byte(domain + label))
	h.Write([]byte{0})
	c := codec{}
	for _, part := range parts {
		c.data = c.data[:0]
		n := uint64(len(part))
		c.u64(&n)
		h.Write(c.data)
		h.Write(part)
	}
	return Digest(h.Sum(nil))
}
