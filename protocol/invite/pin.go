package invite

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// Errors of a pinned connection.
var (
	// ErrWrongCA: the server's chain doesn't end in the pinned root. Someone else may be answering.
	ErrWrongCA = errors.New("the server's certificate authority is not the pinned one")
	// ErrServerCertificate: the right authority, but its certificate doesn't make this server the coordinator at that address now.
	ErrServerCertificate = errors.New("the server's certificate is not valid for this connection")
)

// maxChain bounds what a server may send: leaf, root, and room for an intermediate of an own PKI.
const maxChain = 8

// ClientTLS returns the TLS 1.3 configuration by which a client reaches the coordinator at address (host:port). It trusts one
// root only, the one whose DER has the pinned SHA-256 fingerprint and which the server sends in its chain; the system's roots
// count for nothing. The leaf must be a server certificate for the host, valid now: a participant's own certificate, although
// of the same root, doesn't pass. The caller may set Certificates, GetClientCertificate or Time (before the first use).
//
// InsecureSkipVerify only turns off the standard check, which would need the root beforehand; VerifyConnection replaces it on
// every handshake. Handshakes fail with ErrWrongCA or ErrServerCertificate.
func ClientTLS(fingerprint [32]byte, address string) (*tls.Config, error) {
	host, err := splitAddress(address)
	if err != nil {
		return nil, fmt.Errorf("prepare connection: %w", err)
	}
	config := &tls.Config{
		MinVersion:         tls.VersionTLS13,
		ServerName:         host,
		InsecureSkipVerify: true, // replaced by VerifyConnection
	}
	config.VerifyConnection = func(state tls.ConnectionState) error {
		now := time.Now()
		if config.Time != nil {
			now = config.Time()
		}
		return verifyChain(fingerprint, host, state.PeerCertificates, now)
	}
	return config, nil
}

// verifyChain finds the pinned root in the chain and verifies the leaf against it alone.
func verifyChain(fingerprint [32]byte, host string, chain []*x509.Certificate, now time.Time) error {
	if len(chain) == 0 || len(chain) > maxChain {
		return fmt.Errorf("%w: a chain of %d certificates, want 2 to %d", ErrServerCertificate, len(chain), maxChain)
	}
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	pinned := false
	for _, c := range chain[1:] {
		if sha256.Sum256(c.Raw) == fingerprint && c.IsCA {
			roots.AddCert(c)
			pinned = true
		} else {
			intermediates.AddCert(c)
		}
	}
	if !pinned {
		last := sha256.Sum256(chain[len(chain)-1].Raw)
		return fmt.Errorf("%w: pinned %x, sent %x (hint: check the address; if the coordinator has a new authority, ask its operator for a new invitation; don't go on otherwise)", ErrWrongCA, fingerprint[:8], last[:8])
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots:         roots,
		Intermediates: intermediates,
		DNSName:       host,
		CurrentTime:   now,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &unknown):
		return fmt.Errorf("%w: it sends the pinned root, which did not issue its certificate: %w (hint: check the address)", ErrWrongCA, err)
	case err != nil:
		return fmt.Errorf("%w: %w (hint: compare address and clocks with the coordinator's operator)", ErrServerCertificate, err)
	}
	return nil
}
