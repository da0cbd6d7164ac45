package ca

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"tributary/protocol/invite"
)

const (
	// DefaultTTL is the life of a participant's or operator's certificate; it is renewed well before.
	DefaultTTL = 30 * 24 * time.Hour
	// MaxTTL bounds any issued certificate's life.
	MaxTTL = 90 * 24 * time.Hour
	// maxRequestBytes bounds a certificate request.
	maxRequestBytes = 16 << 10
	// maxHosts bounds the names of a server certificate.
	maxHosts = 64
)

// Subject is whom a certificate is issued to, as the coordinator knows it.
type Subject struct {
	Kind       Kind
	Name       string   // see invite.CheckName
	IdentityPK [32]byte // Participant only, and then required
	Hosts      []string // Server only, and then required: DNS names and IP addresses
}

// Issued is a new certificate.
type Issued struct {
	Chain    [][]byte // DER: the certificate, then the root
	NotAfter time.Time
	Serial   string // lower-case hex, as in Peer
}

// Issue makes a certificate for the request's key and the given subject, valid from now for ttl (at most MaxTTL, and never
// beyond the root). Of the request only the key counts, and that its signature proves possession: names, extensions and
// attributes in it are ignored. Keys are ECDSA P-256 or Ed25519. Errors wrap ErrRequest, ErrSubject or ErrRootExpired.
func (c *CA) Issue(csrDER []byte, s Subject, ttl time.Duration, now time.Time) (Issued, error) {
	key, err := requestKey(csrDER)
	if err != nil {
		return Issued{}, fmt.Errorf("issue certificate: %w", err)
	}
	issued, err := c.issue(key, s, ttl, now)
	if err != nil {
		return Issued{}, fmt.Errorf("issue certificate: %w", err)
	}
	return issued, nil
}

// ServerCertificate makes a key, which stays in memory, and a certificate for the coordinator's own listener.
func (c *CA) ServerCertificate(hosts []string, ttl time.Duration, now time.Time) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("issue server certificate: %w", err)
	}
	issued, err := c.issue(key.Public(), Subject{Kind: Server, Name: "coordinator", Hosts: hosts}, ttl, now)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("issue server certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(issued.Chain[0])
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("issue server certificate: %w", err)
	}
	return tls.Certificate{Certificate: issued.Chain, PrivateKey: key, Leaf: leaf}, nil
}

// requestKey returns the public key that a request proves possession of.
func requestKey(der []byte) (any, error) {
	if len(der) > maxRequestBytes {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrRequest, len(der), maxRequestBytes)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	switch key := csr.PublicKey.(type) {
	case ed25519.PublicKey:
	case *ecdsa.PublicKey:
		if key.Curve != elliptic.P256() {
			return nil, fmt.Errorf("%w: ECDSA key on %s (hint: use P-256 or Ed25519)", ErrRequest, key.Curve.Params().Name)
		}
	default:
		return nil, fmt.Errorf("%w: %s key (hint: use ECDSA P-256 or Ed25519)", ErrRequest, csr.PublicKeyAlgorithm)
	}
	switch csr.SignatureAlgorithm {
	case x509.PureEd25519, x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512:
	default:
		return nil, fmt.Errorf("%w: signed with %s (hint: use SHA-256)", ErrRequest, csr.SignatureAlgorithm)
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, fmt.Errorf("%w: its signature doesn't verify: %w", ErrRequest, err)
	}
	return csr.PublicKey, nil
}

func (c *CA) issue(publicKey any, s Subject, ttl time.Duration, now time.Time) (Issued, error) {
	if ttl <= 0 || ttl > MaxTTL {
		return Issued{}, fmt.Errorf("%w: lifetime %v, want more than 0 and at most %v", ErrSubject, ttl, MaxTTL)
	}
	now = now.UTC()
	if now.Before(c.root.NotBefore) || !now.Before(c.root.NotAfter) {
		return Issued{}, fmt.Errorf("%w: valid from %s to %s (hint: check the clock; an expired root needs a new authority and new enrolments)", ErrRootExpired,
			c.root.NotBefore.Format(time.RFC3339), c.root.NotAfter.Format(time.RFC3339))
	}
	template, err := s.template()
	if err != nil {
		return Issued{}, err
	}
	if template.SerialNumber, err = newSerial(); err != nil {
		return Issued{}, err
	}
	template.NotBefore = now.Add(-skew)
	template.NotAfter = now.Add(ttl).Truncate(time.Second)
	if template.NotAfter.After(c.root.NotAfter) {
		template.NotAfter = c.root.NotAfter
	}
	der, err := x509.CreateCertificate(rand.Reader, template, c.root, publicKey, c.key)
	if err != nil {
		return Issued{}, err
	}
	return Issued{Chain: [][]byte{der, c.RootDER()}, NotAfter: template.NotAfter, Serial: template.SerialNumber.Text(16)}, nil
}

// template validates the subject and returns its names and usages.
func (s Subject) template() (*x509.Certificate, error) {
	usage, known := s.Kind.usage()
	if !known {
		return nil, fmt.Errorf("%w: unknown kind %.32q", ErrSubject, s.Kind)
	}
	if err := invite.CheckName(s.Name); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSubject, err)
	}
	if (s.IdentityPK != [32]byte{}) != (s.Kind == Participant) {
		return nil, fmt.Errorf("%w: a participant, and no other, has an identity key", ErrSubject)
	}
	if (len(s.Hosts) != 0) != (s.Kind == Server) || len(s.Hosts) > maxHosts {
		return nil, fmt.Errorf("%w: %d hosts; a server, and no other, has 1 to %d", ErrSubject, len(s.Hosts), maxHosts)
	}
	uri, err := url.Parse(s.uri())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSubject, err)
	}
	t := &x509.Certificate{
		Subject:               pkix.Name{CommonName: s.Name},
		URIs:                  []*url.URL{uri},
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{usage},
		BasicConstraintsValid: true,
	}
	for _, h := range s.Hosts {
		if ip := net.ParseIP(h); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else if validDNSName(h) {
			t.DNSNames = append(t.DNSNames, h)
		} else {
			return nil, fmt.Errorf("%w: host %.64q (hint: a DNS name without wildcard or port, or an IP address)", ErrSubject, h)
		}
	}
	return t, nil
}

func validDNSName(name string) bool {
	if len(name) == 0 || len(name) > 253 {
		return false
	}
	for _, label := range strings.Split(name, ".") {
		if len(label) == 0 || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			c := label[i]
			if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}
