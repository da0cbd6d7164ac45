package client

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"
)

// ErrNotEnrolled says that the node has no certificate yet.
var ErrNotEnrolled = errors.New("this node isn't enrolled")

// Credentials are the node's TLS key and its certificate chain. They only carry traffic; what counts is the identity key.
type Credentials struct {
	key *ecdsa.PrivateKey

	mu   sync.Mutex // guards the rest
	cert *tls.Certificate
}

// NewKey makes a TLS key: ECDSA P-256. The second value is its PEM form for the key file.
func NewKey() (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make TLS key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("make TLS key: %w", err)
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// LoadKey reads a key file; the error wraps fs.ErrNotExist if there is none.
func LoadKey(file string) (*ecdsa.PrivateKey, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read TLS key: %w", err)
	}
	block, rest := pem.Decode(data)
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		return nil, fmt.Errorf("read TLS key: %s is no PEM file", file)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(*ecdsa.PrivateKey)
	if err != nil || !ok || key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("read TLS key: %s isn't an ECDSA P-256 key", file)
	}
	return key, nil
}

// Request is a certificate request of the key; the coordinator takes nothing but the key from it.
func Request(key *ecdsa.PrivateKey, name string) ([]byte, error) {
	return x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}, key)
}

// LoadCredentials reads the node's key and chain; ErrNotEnrolled if one is missing.
func LoadCredentials(keyFile, chainFile string) (*Credentials, error) {
	key, err := LoadKey(keyFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotEnrolled
	}
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(chainFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotEnrolled
	}
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	var chain [][]byte
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		chain = append(chain, block.Bytes)
	}
	c := &Credentials{key: key}
	return c, c.use(chain)
}

// EncodeChain is the form of the chain's file.
func EncodeChain(chain [][]byte) []byte {
	var out []byte
	for _, der := range chain {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return out
}

// CheckChain tells whether a chain that the coordinator issued is for this key and from the pinned authority.
func CheckChain(chain [][]byte, key *ecdsa.PrivateKey, fingerprint [32]byte) error {
	if len(chain) < 2 {
		return answer("a chain of %d certificates, want 2 or more", len(chain))
	}
	if sha256.Sum256(chain[len(chain)-1]) != fingerprint {
		return answer("the chain doesn't end in the invitation's authority")
	}
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return answer("certificate: %v", err)
	}
	root, err := x509.ParseCertificate(chain[len(chain)-1])
	if err != nil {
		return answer("root certificate: %v", err)
	}
	if !key.PublicKey.Equal(leaf.PublicKey) {
		return answer("the certificate is for another key")
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(root)
	for _, der := range chain[1 : len(chain)-1] {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return answer("certificate: %v", err)
		}
		between.AddCert(c)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, CurrentTime: leaf.NotBefore.Add(time.Second)}); err != nil {
		return answer("certificate: %v", err)
	}
	return nil
}

func (c *Credentials) use(chain [][]byte) error {
	if len(chain) == 0 {
		return fmt.Errorf("read certificate: %w", ErrNotEnrolled)
	}
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return fmt.Errorf("read certificate: %w", err)
	}
	if !c.key.PublicKey.Equal(leaf.PublicKey) {
		return errors.New("read certificate: it isn't for the TLS key beside it")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cert = &tls.Certificate{Certificate: chain, PrivateKey: c.key, Leaf: leaf}
	return nil
}

// TLS is the current certificate.
func (c *Credentials) TLS() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cert
}

// NotAfter is when the current certificate ends.
func (c *Credentials) NotAfter() time.Time { return c.TLS().Leaf.NotAfter }

// RenewalDue reports whether less than a third of the certificate's life is left.
func (c *Credentials) RenewalDue(now time.Time) bool {
	leaf := c.TLS().Leaf
	return leaf.NotAfter.Sub(now) < leaf.NotAfter.Sub(leaf.NotBefore)/3
}
