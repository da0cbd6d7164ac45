package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"tributary/coordinator/internal/ca"
	"tributary/coordinator/internal/engine"
	"tributary/coordinator/internal/store"
	"tributary/crypto/identity"
	"tributary/protocol/invite"
	"tributary/protocol/pb"
	"tributary/protocol/wire"
)

// world is a coordinator on loopback, as `tributary serve` runs it.
type world struct {
	t       *testing.T
	dir     string
	key     *identity.Key
	ca      *ca.CA
	engine  *engine.Engine
	store   *store.Store
	address string
	later   atomic.Int64 // how far the clock is ahead, nanoseconds
	stop    func()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	var err error
	if w.ca, err = ca.Init(w.dir, "shops", time.Now()); err != nil {
		t.Fatal(err)
	}
	if w.key, err = identity.Generate(); err != nil {
		t.Fatal(err)
	}
	w.serve("127.0.0.1:0")
	t.Cleanup(func() { w.stop() })
	return w
}

// serve starts the coordinator over what is in its directory.
func (w *world) serve(address string) {
	w.t.Helper()
	listener, err := Listen(address)
	if err != nil {
		w.t.Fatal(err)
	}
	w.address = listener.Addr().String()
	if w.store, err = store.Open(w.t.Context(), filepath.Join(w.dir, "tributary.db")); err != nil {
		w.t.Fatal(err)
	}
	now := func() time.Time { return time.Now().Add(time.Duration(w.later.Load())) }
	spool, err := store.NewSpool(filepath.Join(w.dir, "spool"))
	if err != nil {
		w.t.Fatal(err)
	}
	w.engine, err = engine.New(w.t.Context(), engine.Config{Consortium: "shops", Organisation: "Hub", LogOrigin: "tributary/shops", Address: w.address,
		Key: w.key, CA: w.ca, Store: w.store, Spool: spool, Log: zap.NewNop(), Now: now})
	if err != nil {
		w.t.Fatal(err)
	}
	s, err := New(Config{Engine: w.engine, CA: w.ca, Hosts: []string{"127.0.0.1"}, Log: zap.NewNop(), Now: now})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, listener) }()
	w.stop = func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
		w.store.Close()
	}
}

// restart stops the coordinator and starts it again at the same address.
func (w *world) restart() {
	w.t.Helper()
	w.stop()
	w.serve(w.address)
}

func newRequest(t *testing.T) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	return key, csr
}

func (w *world) dial(certificates ...tls.Certificate) *grpc.ClientConn {
	return w.dialPinned(w.ca.Fingerprint(), certificates...)
}

func (w *world) dialPinned(fingerprint [32]byte, certificates ...tls.Certificate) *grpc.ClientConn {
	w.t.Helper()
	config, err := invite.ClientTLS(fingerprint, w.address)
	if err != nil {
		w.t.Fatal(err)
	}
	if len(certificates) > 0 {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certificates[0], nil }
	}
	conn, err := grpc.NewClient("passthrough:///"+w.address, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.Close() })
	return conn
}

func (w *world) invite(i engine.Invitation) invite.Token {
	w.t.Helper()
	text, _, err := w.engine.Invite(w.t.Context(), i)
	if err != nil {
		w.t.Fatal(err)
	}
	token, err := invite.Parse(text)
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

// enrol redeems a token and returns a connection with the certificate that it gave.
func (w *world) enrol(token invite.Token, card []byte) (*grpc.ClientConn, tls.Certificate) {
	w.t.Helper()
	key, csr := newRequest(w.t)
	reply, err := pb.NewEnrolmentClient(w.dial()).Enrol(w.t.Context(), &pb.EnrolRequest{Version: wire.ProtocolVersion, Secret: token.Secret[:], CsrDer: csr, MemberCard: card})
	if err != nil {
		w.t.Fatal(err)
	}
	cert := tls.Certificate{Certificate: reply.GetChainDer(), PrivateKey: key}
	return w.dial(cert), cert
}

// member enrols a participant of its own organisation.
func (w *world) member(name string, role wire.Role) (*grpc.ClientConn, *identity.Key) {
	w.t.Helper()
	key, err := identity.Generate()
	if err != nil {
		w.t.Fatal(err)
	}
	card := wire.NewCard(key, name, "Org "+name)
	conn, _ := w.enrol(w.invite(engine.Invitation{Kind: invite.Participant, Name: name, Role: role}), wire.Encode(&card))
	return conn, key
}

func (w *world) operator(name string) pb.OperatorClient {
	w.t.Helper()
	conn, _ := w.enrol(w.invite(engine.Invitation{Kind: invite.Operator, Name: name}), nil)
	return pb.NewOperatorClient(conn)
}

// refused demands a status with a pb.Error of that code, a message, and no internals.
func refused(t *testing.T, err error, want codes.Code, code string) {
	t.Helper()
	s := status.Convert(err)
	for _, d := range s.Details() {
		if e, ok := d.(*pb.Error); ok {
			if s.Code() != want || e.GetCode() != code || e.GetMessage() == "" {
				t.Errorf("%s, %q: %s; want %s, %q", s.Code(), e.GetCode(), e.GetMessage(), want, code)
			}
			return
		}
	}
	t.Errorf("%v; want %s, %q", err, want, code)
}

// handshakeRefused demands that no call came through.
func handshakeRefused(t *testing.T, err error) {
	t.Helper()
	if status.Code(err) != codes.Unavailable {
		t.Errorf("%v, want a refused handshake", err)
	}
}

func freePort(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}
