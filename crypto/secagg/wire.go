package secagg

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Every object starts with four bytes: "TS", its kind, its version. Integers in
// headers are big-endian. Sizes are fixed or follow from the Params, and are
// checked before anything is allocated. There is one encoding of each value.
//
//	payload         'P'  b(1) 0(1) n_max(2) lanes(4) coefficients(4) ctx(32) residues
//	share sum       'S'  seat(2) count(2) 4,096 elements of 17 bits
//	sealed share    'E'  encapsulated key(1,120) ciphertext(8,704) tag(16)
//	seat public key 'K'  MLKEM768-X25519 public key(1,216)
//	seat key        'k'  MLKEM768-X25519 seed(32), secret
const (
	// PayloadVersion is the version of the payload format and of the expansion of
	// the public polynomials.
	PayloadVersion = 1
	// ShareVersion is the version of the formats of the key layer.
	ShareVersion = 1

	headerBytes        = 4
	payloadHeaderBytes = headerBytes + 12 + len(Context{})

	// ShareSumBytes is the size of an encoded share sum.
	ShareSumBytes = headerBytes + 4 + vectorBytes
	// SealedShareBytes is the size of a sealed share.
	SealedShareBytes = headerBytes + encapsulatedBytes + vectorBytes + tagBytes
	// SeatPublicKeyBytes is the size of a seat's public key.
	SeatPublicKeyBytes = headerBytes + 1216
	// SeatKeyBytes is the size of a seat's secret key.
	SeatKeyBytes = headerBytes + 32

	encapsulatedBytes = 1120 // ML-KEM-768 ciphertext (1,088) and X25519 share (32)
	tagBytes          = 16   // of AES-256-GCM
)

// ErrMalformed means that bytes aren't the one encoding of an object of the
// expected kind, version, size and parameters.
var ErrMalformed = errors.New("secagg: malformed")

type kind byte

const (
	kindPayload       kind = 'P'
	kindShareSum      kind = 'S'
	kindSealedShare   kind = 'E'
	kindSeatPublicKey kind = 'K'
	kindSeatKey       kind = 'k'
)

func (k kind) String() string {
	switch k {
	case kindPayload:
		return "payload"
	case kindShareSum:
		return "share sum"
	case kindSealedShare:
		return "sealed share"
	case kindSeatPublicKey:
		return "seat public key"
	case kindSeatKey:
		return "seat key"
	}
	return "unknown object"
}

func (k kind) version() byte {
	if k == kindPayload {
		return PayloadVersion
	}
	return ShareVersion
}

// header appends the four bytes that open an object.
func (k kind) header(dst []byte) []byte { return append(dst, 'T', 'S', byte(k), k.version()) }

// body checks size and header of an encoded object and returns what follows.
func (k kind) body(src []byte, size int) ([]byte, error) {
	if len(src) != size {
		return nil, fmt.Errorf("%w: %v of %d bytes, want %d (hint: transfer cut short, or other parameters)",
			ErrMalformed, k, len(src), size)
	}
	if src[0] != 'T' || src[1] != 'S' || src[2] != byte(k) {
		return nil, fmt.Errorf("%w: not a %v (hint: another kind of object was sent)", ErrMalformed, k)
	}
	if src[3] != k.version() {
		return nil, fmt.Errorf("%w: %v of version %d, want %d (hint: upgrade the older side)",
			ErrMalformed, k, src[3], k.version())
	}
	return src[headerBytes:], nil
}

// payloadHeader returns the header of every payload under p and ctx.
func (p *Params) payloadHeader(ctx Context) [payloadHeaderBytes]byte {
	h := kindPayload.header(make([]byte, 0, payloadHeaderBytes))
	h = append(h, byte(p.bits), 0)
	h = binary.BigEndian.AppendUint16(h, uint16(p.contributors))
	h = binary.BigEndian.AppendUint32(h, uint32(p.length))
	h = binary.BigEndian.AppendUint32(h, uint32(p.coeffs))
	h = append(h, ctx[:]...)
	return [payloadHeaderBytes]byte(h)
}

// checkPayloadHeader compares a received header with the one expected and says
// what differs.
func checkPayloadHeader(got, want *[payloadHeaderBytes]byte) error {
	if _, err := kindPayload.body(got[:], payloadHeaderBytes); err != nil {
		return err
	}
	if *got == *want {
		return nil
	}
	if [payloadHeaderBytes - 32]byte(got[:]) != [payloadHeaderBytes - 32]byte(want[:]) {
		return fmt.Errorf("%w: payload of other parameters (hint: the sender works on another job or round)", ErrMalformed)
	}
	return fmt.Errorf("%w: payload of another context (hint: the sender works on another round)", ErrMalformed)
}
