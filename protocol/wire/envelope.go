package wire

import (
	"errors"
	"fmt"

	"tributary/crypto/identity"
)

// Type tells objects apart; it is part of what is signed.
type Type uint16

// The types of objects. Numbers are never reused.
const (
	TypeMemberCard Type = 1 + iota
	TypeCharter
	TypeManifest
	TypeApproval
	TypePlan
	TypeUpload
	TypeReceipt
	TypeComplaint
	TypeRoster
	TypeShareSum
	TypeRelease
	TypeRefusal
	TypeAbort
	TypeEnrolment
	TypeRevocation
	TypeFinish
	TypeCharge
	TypeAccount
	TypePolicy
	TypeCertificate
	typeEnd
)

var typeNames = [typeEnd]string{
	"", "MemberCard", "Charter", "Manifest", "Approval", "Plan", "Upload", "Receipt", "Complaint", "Roster",
	"ShareSum", "Release", "Refusal", "Abort", "Enrolment", "Revocation", "Finish",
	"Charge", "Account", "Policy", "Certificate",
}

// String is the type's name in protocol/SPEC.md.
func (t Type) String() string {
	if t == 0 || t >= typeEnd {
		return fmt.Sprintf("type %d", uint16(t))
	}
	return typeNames[t]
}

// Object is one of the canonical objects.
type Object interface {
	Type() Type
	fields(*codec)
}

// Encode gives the object's one encoding. It panics when a field is out of its limits or order, which
// is the caller's mistake: objects from outside come through Decode.
func Encode(o Object) []byte {
	c := codec{}
	o.fields(&c)
	if c.err != nil {
		panic("wire: encode " + o.Type().String() + ": " + c.err.Error())
	}
	return c.data
}

// Decode reads body, all of it, into o. Errors wrap ErrMalformed.
func Decode(body []byte, o Object) error {
	if len(body) > MaxObject {
		return fmt.Errorf("%w: %s of %d bytes, at most %d", ErrMalformed, o.Type(), len(body), MaxObject)
	}
	c := codec{data: body, decoding: true}
	o.fields(&c)
	if c.err == nil && len(c.data) != 0 {
		c.fail("%d bytes too many", len(c.data))
	}
	if c.err != nil {
		return fmt.Errorf("decode %s: %w", o.Type(), c.err)
	}
	return nil
}

// algEd25519 is the only signature algorithm so far; the byte leaves room for a post-quantum one.
const algEd25519 = 1

// Envelope is an object's body with its signer's signature over "tributary/v1/" ‖ type ‖ version ‖ body.
type Envelope struct {
	Kind   Type
	Signer Member
	Body   []byte
	Sig    [identity.SignatureSize]byte
}

// ErrSignature says that an envelope's signature doesn't verify.
var ErrSignature = errors.New("signature doesn't verify")

func signed(kind Type, body []byte) []byte {
	c := codec{data: []byte(domain)}
	version, k := uint16(ProtocolVersion), uint16(kind)
	c.u16(&k)
	c.u16(&version)
	return append(c.data, body...)
}

// Sign encodes o and signs it.
func Sign(key *identity.Key, o Object) Envelope {
	e := Envelope{Kind: o.Type(), Signer: key.Public(), Body: Encode(o)}
	copy(e.Sig[:], key.Sign(signed(e.Kind, e.Body)))
	return e
}

func (e *Envelope) fields(c *codec) {
	version, alg, kind := uint16(ProtocolVersion), uint8(algEd25519), uint16(e.Kind)
	c.u16(&kind)
	c.u16(&version)
	c.u8(&alg)
	if kind == 0 || kind >= uint16(typeEnd) {
		c.fail("unknown type %d", kind)
	}
	if version != ProtocolVersion {
		c.fail("version %d, this build speaks %d", version, ProtocolVersion)
	}
	if alg != algEd25519 {
		c.fail("unknown signature algorithm %d", alg)
	}
	e.Kind = Type(kind)
	c.fixed(e.Signer[:])
	c.bytes("body", &e.Body, MaxObject)
	c.fixed(e.Sig[:])
}

// Bytes gives the envelope's one encoding.
func (e *Envelope) Bytes() []byte {
	c := codec{}
	e.fields(&c)
	if c.err != nil {
		panic("wire: encode envelope: " + c.err.Error())
	}
	return c.data
}

// Digest identifies the envelope with its signature.
func (e *Envelope) Digest() Digest { return Hash("envelope", e.Bytes()) }

// ParseEnvelope reads one envelope; it doesn't check the signature, Open does.
func ParseEnvelope(data []byte) (Envelope, error) {
	c := codec{data: data, decoding: true}
	var e Envelope
	e.fields(&c)
	if c.err == nil && len(c.data) != 0 {
		c.fail("%d bytes too many", len(c.data))
	}
	if c.err != nil {
		return Envelope{}, fmt.Errorf("decode envelope: %w", c.err)
	}
	return e, nil
}

// Open verifies the signature and reads the body into o, which must be of the envelope's type.
func (e *Envelope) Open(o Object) error {
	if e.Kind != o.Type() {
		return fmt.Errorf("%w: a %s where a %s belongs", ErrMalformed, e.Kind, o.Type())
	}
	if !identity.Verify(e.Signer, signed(e.Kind, e.Body), e.Sig[:]) {
		return fmt.Errorf("%s by %s: %w", e.Kind, e.Signer.Short(), ErrSignature)
	}
	return Decode(e.Body, o)
}
