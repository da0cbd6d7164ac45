package ca

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"tributary/protocol/invite"
)

const testAddress = "coordinator.example.org:8443"

// world is a coordinator's listener with a movable clock and a revocation list.
type world struct {
	ca      *CA
	now     time.Time
	revoked map[string]bool
	failure error
	server  *tls.Config
}

func newWorld(t *testing.T) *world {
	t.Helper()
	c, _ := newCA(t)
	w := &world{ca: c, now: testNow(), revoked: map[string]bool{}}
	cert, err := c.ServerCertificate([]string{"coordinator.example.org"}, MaxTTL, testNow())
	if err != nil {
		t.Fatal(err)
	}
	w.server, err = c.ServerTLS(func() (*tls.Certificate, error) { return &cert, nil }, w.admission())
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) admission() Admission {
	return Admission{
		Revoked: func(p Peer) (bool, error) { return w.revoked[p.Serial] || w.revoked[p.Name], w.failure },
		Now:     func() time.Time { return w.now },
	}
}

func (w *world) client(t *testing.T, cert *tls.Certificate) *tls.Config {
	t.Helper()
	config, err := invite.ClientTLS(w.ca.Fingerprint(), testAddress)
	if err != nil {
		t.Fatal(err)
	}
	config.Time = func() time.Time { return w.now }
	if cert != nil {
		config.Certificates = []tls.Certificate{*cert}
	}
	return config
}

func clientCert(t *testing.T, c *CA, s Subject) *tls.Certificate {
	t.Helper()
	key := newKey(t)
	out, err := c.Issue(request(t, key, nil), s, DefaultTTL, testNow())
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: out.Chain, PrivateKey: key}
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

// handshake returns the server's view of a connection, and both errors. The client's error is that of its first read, since a
// TLS 1.3 client ends its handshake before the server has judged its certificate.
func handshake(t *testing.T, server, client *tls.Config) (state tls.ConnectionState, serverErr, clientErr error) {
	t.Helper()
	a, b := pipe(t)
	done := make(chan error, 1)
	go func() {
		conn := tls.Client(a, client)
		_, err := conn.Read(make([]byte, 1))
		if errors.Is(err, io.EOF) {
			err = nil // the server closed after a good handshake
		}
		a.Close()
		done <- err
	}()
	conn := tls.Server(b, server)
	serverErr = conn.Handshake()
	state = conn.ConnectionState()
	if serverErr == nil {
		conn.Close()
	}
	b.Close()
	return state, serverErr, <-done
}

func TestOnlyAdmittedCertificatesConnect(t *testing.T) {
	w := newWorld(t)
	stranger, _ := newCA(t)
	shop := clientCert(t, w.ca, alpenShop())
	shopSerial := serialOf(t, w.ca, shop)

	for name, c := range map[string]struct {
		cert  *tls.Certificate
		setup func()
		fails bool
		want  error // if it fails by our rule
	}{
		"participant":         {cert: shop},
		"operator":            {cert: clientCert(t, w.ca, Subject{Kind: Operator, Name: "admin"})},
		"no certificate":      {cert: nil},
		"another authority's": {cert: clientCert(t, stranger, alpenShop()), fails: true},
		"expired":             {cert: shop, setup: func() { w.now = testNow().Add(DefaultTTL + time.Minute) }, fails: true},
		"not yet valid":       {cert: shop, setup: func() { w.now = testNow().Add(-skew - time.Second) }, fails: true},
		"revoked by serial":   {cert: shop, setup: func() { w.revoked[shopSerial] = true }, fails: true, want: ErrRevoked},
		"revoked by name":     {cert: shop, setup: func() { w.revoked["alpen-shop"] = true }, fails: true, want: ErrRevoked},
		"another one revoked": {cert: shop, setup: func() { w.revoked["baltic-shop"] = true }},
		"revocations unknown": {cert: shop, setup: func() { w.failure = io.ErrUnexpectedEOF }},
		"server's own":        {cert: mustCert(w.server.GetCertificate(nil)), fails: true},
	} {
		w.now, w.failure = testNow(), nil
		clear(w.revoked)
		if c.setup != nil {
			c.setup()
		}
		client := w.client(t, c.cert)
		client.Time = testNow // only the server judges here
		state, serverErr, clientErr := handshake(t, w.server, client)
		if c.fails != (serverErr != nil) || c.fails != (clientErr != nil) {
			t.Errorf("%s: server %v, client %v", name, serverErr, clientErr)
		}
		if c.want != nil && !errors.Is(serverErr, c.want) {
			t.Errorf("%s: %v, want %v", name, serverErr, c.want)
		}
		if serverErr == nil && state.Version != tls.VersionTLS13 {
			t.Errorf("%s: TLS version %x", name, state.Version)
		}
	}
}

func mustCert(c *tls.Certificate, _ error) *tls.Certificate { return c }

func serialOf(t *testing.T, c *CA, cert *tls.Certificate) string {
	t.Helper()
	state, peer := connected(t, c, cert)
	if len(state.VerifiedChains) == 0 {
		t.Fatal("not verified")
	}
	return peer.Serial
}

// connected returns the server's state of a good connection and its peer.
func connected(t *testing.T, c *CA, cert *tls.Certificate) (tls.ConnectionState, Peer) {
	t.Helper()
	w := &world{ca: c, now: testNow()}
	server, err := c.ServerCertificate([]string{"coordinator.example.org"}, time.Hour, testNow())
	if err != nil {
		t.Fatal(err)
	}
	config, err := c.ServerTLS(func() (*tls.Certificate, error) { return &server, nil }, w.admission())
	if err != nil {
		t.Fatal(err)
	}
	state, serverErr, clientErr := handshake(t, config, w.client(t, cert))
	if serverErr != nil || clientErr != nil {
		t.Fatal(serverErr, clientErr)
	}
	peer, err := w.admission().Check(state)
	if err != nil {
		t.Fatal(err)
	}
	return state, peer
}

// A connection may outlive a certificate or a revocation; a call mustn't.
func TestRevocationAndExpiryEndOpenConnections(t *testing.T) {
	w := newWorld(t)
	state, serverErr, _ := handshake(t, w.server, w.client(t, clientCert(t, w.ca, alpenShop())))
	if serverErr != nil {
		t.Fatal(serverErr)
	}
	a := w.admission()
	peer, err := a.Check(state)
	if err != nil || peer.Name != "alpen-shop" || peer.Kind != Participant || peer.IdentityPK != alpenShop().IdentityPK {
		t.Fatalf("%+v, %v", peer, err)
	}
	w.revoked[peer.Serial] = true
	if _, err := a.Check(state); !errors.Is(err, ErrRevoked) {
		t.Errorf("after revocation: %v", err)
	}
	clear(w.revoked)
	w.failure = io.ErrUnexpectedEOF
	if _, err := a.Check(state); !errors.Is(err, ErrUndecided) || errors.Is(err, ErrRevoked) {
		t.Errorf("with revocations that can't be read: %v", err)
	}
	w.failure = nil
	a = w.admission()
	for _, now := range []time.Time{testNow().Add(DefaultTTL + time.Second), testNow().Add(-time.Hour)} {
		w.now = now
		if _, err := a.Check(state); !errors.Is(err, ErrExpired) {
			t.Errorf("at %v: %v", now, err)
		}
	}
	w.now = testNow()
	server := mustCert(w.server.GetCertificate(nil)).Leaf
	calling := tls.ConnectionState{PeerCertificates: []*x509.Certificate{server}, VerifiedChains: [][]*x509.Certificate{{server, w.ca.root}}}
	if _, err := a.Check(calling); !errors.Is(err, ErrPeer) {
		t.Errorf("a server as caller: %v", err)
	}
	state.VerifiedChains = nil
	if _, err := a.Check(state); !errors.Is(err, ErrNoCertificate) {
		t.Errorf("unverified: %v", err)
	}
	anonymous, serverErr, _ := handshake(t, w.server, w.client(t, nil))
	if serverErr != nil {
		t.Fatal(serverErr)
	}
	if _, err := a.Check(anonymous); !errors.Is(err, ErrNoCertificate) {
		t.Errorf("no certificate: %v", err)
	}
}

func TestClientsRefuseAnotherCoordinator(t *testing.T) {
	w, other := newWorld(t), newWorld(t)
	_, _, err := handshake(t, other.server, w.client(t, nil))
	if !errors.Is(err, invite.ErrWrongCA) {
		t.Errorf("another authority: %v", err)
	}
	// A participant of the same consortium can't play the coordinator.
	shop := clientCert(t, w.ca, alpenShop())
	fake := w.server.Clone()
	fake.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return shop, nil }
	if _, _, err := handshake(t, fake, w.client(t, nil)); !errors.Is(err, invite.ErrServerCertificate) {
		t.Errorf("a participant as server: %v", err)
	}
	w.now = testNow().Add(MaxTTL + time.Hour)
	if _, _, err := handshake(t, w.server, w.client(t, nil)); !errors.Is(err, invite.ErrServerCertificate) {
		t.Errorf("expired server certificate: %v", err)
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	w := newWorld(t)
	client := w.client(t, nil)
	client.MinVersion, client.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	if _, serverErr, clientErr := handshake(t, w.server, client); serverErr == nil || clientErr == nil {
		t.Fatalf("TLS 1.2: server %v, client %v", serverErr, clientErr)
	}
}

func TestListenerNeedsItsChecks(t *testing.T) {
	c, _ := newCA(t)
	certificate := func() (*tls.Certificate, error) { return nil, nil }
	full := (&world{}).admission()
	for name, f := range map[string]func() (*tls.Config, error){
		"no certificate": func() (*tls.Config, error) { return c.ServerTLS(nil, full) },
		"no revocation":  func() (*tls.Config, error) { return c.ServerTLS(certificate, Admission{Now: full.Now}) },
		"no clock":       func() (*tls.Config, error) { return c.ServerTLS(certificate, Admission{Revoked: full.Revoked}) },
	} {
		if config, err := f(); err == nil || config != nil {
			t.Errorf("%s: a listener was made", name)
		}
	}
}
