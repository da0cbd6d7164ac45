package ca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	// rootYears is the life of a root certificate.
	rootYears = 10
	// skew is how far before now a certificate's validity begins, for peers whose clocks are behind.
	skew = 5 * time.Minute
	// maxConsortiumBytes bounds the consortium's name in the root's subject.
	maxConsortiumBytes = 64
)

// CA is a loaded authority. It is immutable and safe for concurrent use.
type CA struct {
	root *x509.Certificate
	key  *ecdsa.PrivateKey
}

// Init makes a new authority for the consortium (1 to 64 bytes of printable text) and stores it in the existing directory dir:
// ca.pem, and ca.key readable by the owner only. It returns ErrExists, and changes nothing, if either file is there.
func Init(dir, consortium string, now time.Time) (*CA, error) {
	if err := checkAbsent(dir); err != nil {
		return nil, fmt.Errorf("make certificate authority: %w", err)
	}
	if err := checkConsortium(consortium); err != nil {
		return nil, fmt.Errorf("make certificate authority: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make certificate authority: %w", err)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, fmt.Errorf("make certificate authority: %w", err)
	}
	now = now.UTC()
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{Organization: []string{consortium}, CommonName: "Tributary root"},
		NotBefore:             now.Add(-skew),
		NotAfter:              now.AddDate(rootYears, 0, 0),
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make certificate authority: %w", err)
	}
	root, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make certificate authority: %w", err)
	}
	if err := save(dir, root, key); err != nil {
		return nil, fmt.Errorf("make certificate authority: %w", err)
	}
	return &CA{root: root, key: key}, nil
}

// Fingerprint returns the SHA-256 of the root's DER, which invitations carry and clients pin.
func (c *CA) Fingerprint() [32]byte { return sha256.Sum256(c.root.Raw) }

// RootDER returns a copy of the root certificate's DER.
func (c *CA) RootDER() []byte { return append([]byte(nil), c.root.Raw...) }

// NotAfter returns when the root expires, and with it everything it issued.
func (c *CA) NotAfter() time.Time { return c.root.NotAfter }

func (c *CA) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(c.root)
	return pool
}

// newSerial returns a random positive serial number of 127 bits, never 0.
func newSerial() (*big.Int, error) {
	b := make([]byte, 16)
	if _, err := rand.Read(b); err != nil {
		return nil, err
	}
	b[0] = b[0]&0x7f | 0x40 // positive, and of fixed length in hex
	return new(big.Int).SetBytes(b), nil
}

func checkConsortium(s string) error {
	if len(s) == 0 || len(s) > maxConsortiumBytes || !utf8.ValidString(s) {
		return fmt.Errorf("%w: consortium name of %d bytes, want 1 to %d of UTF-8", ErrSubject, len(s), maxConsortiumBytes)
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return fmt.Errorf("%w: consortium name %q has a character that can't be printed", ErrSubject, s)
		}
	}
	return nil
}
