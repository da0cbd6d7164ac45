// Package identity holds the long-lived Ed25519 keys by which organisations are known to one another.
//
// An identity is made where it is used and its private half never leaves that machine. TLS certificates
// carry traffic only; what counts for quorums, cohorts and charters is the identity key [RFC 8032].
package identity

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Sizes in bytes.
const (
	PublicKeySize = ed25519.PublicKeySize
	SignatureSize = ed25519.SignatureSize
)

// ErrBadKey says that a key file or a public key is not an Ed25519 key of the expected size.
var ErrBadKey = errors.New("identity: not an Ed25519 key")

// PublicKey names a member; it is comparable and sorts bytewise.
type PublicKey [PublicKeySize]byte

// String is the whole key in lower-case hexadecimal.
func (p PublicKey) String() string { return hex.EncodeToString(p[:]) }

// Short is the first 8 hexadecimal digits, for people; never compare by it.
func (p PublicKey) Short() string { return hex.EncodeToString(p[:4]) }

// IsZero tells an absent key.
func (p PublicKey) IsZero() bool { return p == PublicKey{} }

// Compare orders keys bytewise: -1, 0 or +1.
func (p PublicKey) Compare(q PublicKey) int {
	for i := range p {
		switch {
		case p[i] < q[i]:
			return -1
		case p[i] > q[i]:
			return 1
		}
	}
	return 0
}

// ParsePublicKey reads 64 hexadecimal digits.
func ParsePublicKey(s string) (PublicKey, error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != PublicKeySize {
		return PublicKey{}, fmt.Errorf("%w: want %d hexadecimal digits", ErrBadKey, 2*PublicKeySize)
	}
	return PublicKey(b), nil
}

// Verify reports whether sig is signer's signature over message. It never panics on bad input.
func Verify(signer PublicKey, message, sig []byte) bool {
	return len(sig) == SignatureSize && ed25519.Verify(signer[:], message, sig)
}

// Key is a private identity. It prints as its public half.
type Key struct{ private ed25519.PrivateKey }

// Generate makes a new identity from crypto/rand.
func Generate() (*Key, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate identity: %w", err)
	}
	return &Key{private}, nil
}

// FromSeed rebuilds an identity from its 32-byte seed [RFC 8032, §5.1.5].
func FromSeed(seed []byte) (*Key, error) {
	if len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("%w: seed of %d bytes, want %d", ErrBadKey, len(seed), ed25519.SeedSize)
	}
	return &Key{ed25519.NewKeyFromSeed(seed)}, nil
}

// Public is the half that others know.
func (k *Key) Public() PublicKey { return PublicKey(k.private.Public().(ed25519.PublicKey)) }

// Sign signs message; callers separate domains.
func (k *Key) Sign(message []byte) []byte { return ed25519.Sign(k.private, message) }

// Ed25519 is the key in the form that the ledger's checkpoint signer takes.
func (k *Key) Ed25519() ed25519.PrivateKey { return k.private }

// String hides the private half from logs.
func (k *Key) String() string { return "identity " + k.Public().Short() }

// Load reads the identity in file, 32 raw bytes.
func Load(file string) (*Key, error) {
	seed, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("load identity: %w", err)
	}
	k, err := FromSeed(seed)
	if err != nil {
		return nil, fmt.Errorf("load identity %s: %w", file, err)
	}
	return k, nil
}

// LoadOrCreate reads the identity in file, or makes one there with mode 0600. The file and its folder are
// synced before it returns, so that a key that anyone has seen survives a crash.
func LoadOrCreate(file string) (*Key, error) {
	if _, err := os.Stat(file); err == nil {
		return Load(file)
	}
	k, err := Generate()
	if err != nil {
		return nil, err
	}
	if err := writeSynced(file, k.private.Seed()); err != nil {
		return nil, fmt.Errorf("create identity: %w", err)
	}
	return k, nil
}

func writeSynced(file string, data []byte) error {
	temporary := file + ".new"
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	if err := os.Rename(temporary, file); err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(file))
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}
