package invite

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"testing"
	"time"
)

type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func (a *authority) fingerprint() [32]byte { return sha256.Sum256(a.cert.Raw) }

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// newAuthority makes a root, or an intermediate of parent.
func newAuthority(t *testing.T, parent *authority) *authority {
	t.Helper()
	a := &authority{key: newKey(t)}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "same name"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
	}
	issuer, key := template, a.key
	if parent != nil {
		template.Subject.CommonName = "intermediate"
		issuer, key = parent.cert, parent.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, a.key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return a
}

// server makes a certificate, changed by edit, whose chain ends with the given certificates.
func (a *authority) server(t *testing.T, edit func(*x509.Certificate), chain ...*authority) tls.Certificate {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "coordinator"},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Minute),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"coordinator.example.org"}, IPAddresses: []net.IP{net.IPv4(192, 0, 2, 7)},
	}
	if edit != nil {
		edit(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	c := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	for _, x := range chain {
		c.Certificate = append(c.Certificate, x.cert.Raw)
	}
	return c
}

// pipe returns both ends of a loopback connection: unlike net.Pipe's, its writes don't wait for the reader, so an alert that
// crosses a flight blocks nobody.
func pipe(t *testing.T) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return a, b
}

// dial returns the client's error of a handshake.
func dial(t *testing.T, server tls.Certificate, client *tls.Config) error {
	t.Helper()
	a, b := pipe(t)
	defer a.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer b.Close()
		// The server's own error is the client's alert; the test looks at the client.
		_ = tls.Server(b, &tls.Config{Certificates: []tls.Certificate{server}, MinVersion: tls.VersionTLS12}).Handshake()
	}()
	conn := tls.Client(a, client)
	err := conn.Handshake()
	a.Close()
	<-done
	return err
}

func TestOnlyThePinnedAuthorityIsTrusted(t *testing.T) {
	root, other := newAuthority(t, nil), newAuthority(t, nil)
	middle := newAuthority(t, root)
	const name, ip = "coordinator.example.org:8443", "192.0.2.7:8443"
	in := func(d time.Duration) func() time.Time { return func() time.Time { return time.Now().Add(d) } }

	for what, c := range map[string]struct {
		server  tls.Certificate
		address string
		now     func() time.Time
		want    error // nil: accepted
	}{
		"right":                         {root.server(t, nil, root), name, nil, nil},
		"right, by address":             {root.server(t, nil, root), ip, nil, nil},
		"right, with an intermediate":   {middle.server(t, nil, middle, root), name, nil, nil},
		"right, root not last":          {middle.server(t, nil, root, middle), name, nil, nil},
		"another authority":             {other.server(t, nil, other), name, nil, ErrWrongCA},
		"another's, pinned root pasted": {other.server(t, nil, root), name, nil, ErrWrongCA},
		"another's, both roots":         {other.server(t, nil, other, root), name, nil, ErrWrongCA},
		"root not sent":                 {root.server(t, nil), name, nil, ErrWrongCA},
		"another host":                  {root.server(t, nil, root), "elsewhere.example.org:8443", nil, ErrServerCertificate},
		"another host by address":       {root.server(t, nil, root), "192.0.2.8:8443", nil, ErrServerCertificate},
		"expired":                       {root.server(t, nil, root), name, in(2 * time.Minute), ErrServerCertificate},
		"not yet valid":                 {root.server(t, nil, root), name, in(-2 * time.Minute), ErrServerCertificate},
		"root expired":                  {root.server(t, nil, root), name, in(2 * time.Hour), ErrServerCertificate},
		"a participant's certificate": {root.server(t, func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		}, root), name, nil, ErrServerCertificate},
		"no usage": {root.server(t, func(c *x509.Certificate) {
			c.DNSNames, c.IPAddresses = nil, nil
		}, root), name, nil, ErrServerCertificate},
		"long chain": {root.server(t, nil, root, root, root, root, root, root, root, root), name, nil, ErrServerCertificate},
	} {
		config, err := ClientTLS(root.fingerprint(), c.address)
		if err != nil {
			t.Fatal(err)
		}
		config.Time = c.now
		if err := dial(t, c.server, config); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", what, err, c.want)
		}
	}
}

// The pinned certificate itself must be an authority: a leaf that hashes to the fingerprint vouches for nobody.
func TestPinnedLeafIsNoAuthority(t *testing.T) {
	root := newAuthority(t, nil)
	server := root.server(t, nil, root)
	server.Certificate = append(server.Certificate, server.Certificate[0])
	config, err := ClientTLS(sha256.Sum256(server.Certificate[0]), "coordinator.example.org:8443")
	if err != nil {
		t.Fatal(err)
	}
	if err := dial(t, server, config); !errors.Is(err, ErrWrongCA) {
		t.Fatal(err)
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	root := newAuthority(t, nil)
	config, err := ClientTLS(root.fingerprint(), "coordinator.example.org:8443")
	if err != nil {
		t.Fatal(err)
	}
	if config.MinVersion != tls.VersionTLS13 || config.VerifyConnection == nil {
		t.Fatalf("minimum version %x", config.MinVersion)
	}
	for _, address := range []string{"", "host", ":1", "host:", "host:x", "a b:1"} {
		if _, err := ClientTLS(root.fingerprint(), address); !errors.Is(err, ErrMalformed) {
			t.Errorf("address %q: %v", address, err)
		}
	}
}
