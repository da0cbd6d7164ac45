package ledger

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// Signature types of C2SP signed-note key ids.
const (
	algEd25519     = 0x01
	algCosignature = 0x04
)

// Cosigner is a key that is expected to have countersigned a checkpoint. Its name is a note key name, like an origin.
type Cosigner struct {
	Name string
	Key  ed25519.PublicKey
}

// Cosign appends to a checkpoint the C2SP tlog-cosignature "cosignature/v1" of the named key, made at the given time (whole
// seconds). It is safe only for a checkpoint that the caller verified, whose head it showed to extend the last head that it
// cosigned, and which it stored first: a cosignature says "I have seen no other history".
func Cosign(checkpoint []byte, name string, priv ed25519.PrivateKey, at time.Time) ([]byte, error) {
	if err := checkName("cosigner", name); err != nil {
		return nil, fmt.Errorf("cosign checkpoint: %w", err)
	}
	if len(priv) != ed25519.PrivateKeySize || at.Unix() < 0 {
		return nil, fmt.Errorf("cosign checkpoint: %w: private key of %d bytes at Unix time %d", ErrSignature, len(priv), at.Unix())
	}
	origin, head, err := readCheckpoint(checkpoint)
	if err != nil {
		return nil, fmt.Errorf("cosign checkpoint: %w", err)
	}
	seconds := uint64(at.Unix())
	sig := binary.BigEndian.AppendUint64(nil, seconds)
	sig = append(sig, ed25519.Sign(priv, cosigned(seconds, []byte(checkpointText(origin, head))))...)
	id := keyID(name, algCosignature, priv.Public().(ed25519.PublicKey))
	return appendSignature(append([]byte(nil), checkpoint...), name, id, sig), nil
}

// cosigned is the message under a cosignature: the time is signed too.
func cosigned(seconds uint64, text []byte) []byte {
	return append([]byte("cosignature/v1\ntime "+strconv.FormatUint(seconds, 10)+"\n"), text...)
}

// keyID is the C2SP signed-note key id: the first four bytes of SHA-256(name ‖ newline ‖ type ‖ key).
func keyID(name string, alg byte, key ed25519.PublicKey) uint32 {
	sum := sha256.Sum256(append([]byte(name+"\n"+string(alg)), key...))
	return binary.BigEndian.Uint32(sum[:])
}

func appendSignature(msg []byte, name string, id uint32, sig []byte) []byte {
	raw := append(binary.BigEndian.AppendUint32(nil, id), sig...)
	return append(msg, "— "+name+" "+base64.StdEncoding.EncodeToString(raw)+"\n"...)
}

// verifier implements note.Verifier for both signature types.
type verifier struct {
	name string
	id   uint32
	ok   func(msg, sig []byte) bool
}

func (v *verifier) Name() string                { return v.name }
func (v *verifier) KeyHash() uint32             { return v.id }
func (v *verifier) Verify(msg, sig []byte) bool { return v.ok(msg, sig) }

func newLogVerifier(origin string, pub ed25519.PublicKey) (note.Verifier, error) {
	if len(pub) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("%w: the log's public key has %d bytes, want %d", ErrSignature, len(pub), ed25519.PublicKeySize)
	}
	return &verifier{origin, keyID(origin, algEd25519, pub), func(msg, sig []byte) bool {
		return len(sig) == ed25519.SignatureSize && ed25519.Verify(pub, msg, sig)
	}}, nil
}

func newCosignerVerifier(c Cosigner) (note.Verifier, error) {
	if err := checkName("cosigner", c.Name); err != nil {
		return nil, err
	}
	if len(c.Key) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("%w: cosigner %q's public key has %d bytes, want %d", ErrSignature, c.Name, len(c.Key), ed25519.PublicKeySize)
	}
	return &verifier{c.Name, keyID(c.Name, algCosignature, c.Key), func(msg, sig []byte) bool {
		return len(sig) == 8+ed25519.SignatureSize &&
			ed25519.Verify(c.Key, cosigned(binary.BigEndian.Uint64(sig), msg), sig[8:])
	}}, nil
}
