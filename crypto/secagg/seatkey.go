package secagg

import (
	"crypto/hpke"
	"errors"
	"fmt"
)

// ErrErased means that a seat key was used after Erase.
var ErrErased = errors.New("secagg: seat key was erased")

// A SeatKey is the secret HPKE key of one seat for one job. Whoever holds t seat
// keys of a job can open each of its contributions: a key lives for one job, in
// one file outside every backup, and is erased when the job ends. A SeatKey
// must not be copied; it may be used concurrently, except for Erase.
type SeatKey struct {
	seed    []byte // 32 bytes, secret
	private hpke.PrivateKey
	public  []byte // encoded
}

// GenerateSeatKey returns a fresh key from the operating system's randomness.
func GenerateSeatKey() (*SeatKey, error) {
	private, err := hpke.MLKEM768X25519().GenerateKey()
	if err != nil {
		return nil, fmt.Errorf("secagg: generate seat key: %w", err)
	}
	seed, err := private.Bytes()
	if err != nil {
		return nil, fmt.Errorf("secagg: generate seat key: %w", err)
	}
	return newSeatKey(seed, private), nil
}

// ParseSeatKey decodes what Bytes returned; the error wraps ErrMalformed.
func ParseSeatKey(b []byte) (*SeatKey, error) {
	seed, err := kindSeatKey.body(b, SeatKeyBytes)
	if err != nil {
		return nil, err
	}
	private, err := hpke.MLKEM768X25519().NewPrivateKey(seed)
	if err != nil {
		return nil, fmt.Errorf("%w: seat key: %w", ErrMalformed, err)
	}
	return newSeatKey(append([]byte(nil), seed...), private), nil
}

func newSeatKey(seed []byte, private hpke.PrivateKey) *SeatKey {
	public := append(kindSeatPublicKey.header(nil), private.PublicKey().Bytes()...)
	return &SeatKey{seed: seed, private: private, public: public}
}

// Public returns the encoded public key, SeatPublicKeyBytes long.
func (k *SeatKey) Public() []byte { return append([]byte(nil), k.public...) }

// Bytes returns the secret key for its file, SeatKeyBytes long, or nil after
// Erase. The caller keeps it secret and out of backups.
func (k *SeatKey) Bytes() []byte {
	if k.private == nil {
		return nil
	}
	return append(kindSeatKey.header(nil), k.seed...)
}

// Erase zeroes the seed and drops the key; OpenShare then returns ErrErased.
// What the standard library derived from the seed is left to the garbage
// collector, and the file is the caller's to remove.
func (k *SeatKey) Erase() {
	clear(k.seed)
	k.seed, k.private = nil, nil
}

// CheckSeatPublicKey reports, as an error that wraps ErrMalformed, whether b
// isn't a public key that shares can be sealed to. A manifest with such a key
// would stop every contributor, so it is checked when the seat announces it.
func CheckSeatPublicKey(b []byte) error {
	public, err := parseSeatPublicKey(b)
	if err != nil {
		return err
	}
	// A trial seal: some X25519 keys parse and then give no shared secret.
	if _, _, err := hpke.NewSender(public, hpke.HKDFSHA256(), hpke.AES256GCM(), nil); err != nil {
		return fmt.Errorf("%w: seat public key: %w", ErrMalformed, err)
	}
	return nil
}

func parseSeatPublicKey(b []byte) (hpke.PublicKey, error) {
	body, err := kindSeatPublicKey.body(b, SeatPublicKeyBytes)
	if err != nil {
		return nil, err
	}
	public, err := hpke.MLKEM768X25519().NewPublicKey(body)
	if err != nil {
		return nil, fmt.Errorf("%w: seat public key: %w", ErrMalformed, err)
	}
	return public, nil
}
