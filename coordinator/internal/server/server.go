package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	"tributary/coordinator/internal/ca"
	"tributary/coordinator/internal/engine"
	"tributary/protocol/pb"
)

// Limits of a connection and of a message.
const (
	maxMessage  = 4 << 20 // bytes received
	maxStreams  = 64      // calls at a time on one connection
	maxHeader   = 16 << 10
	stopTimeout = 5 * time.Second
	certTTL     = 60 * 24 * time.Hour
)

// Config is what a server works with.
type Config struct {
	Engine *engine.Engine
	CA     *ca.CA
	Hosts  []string // DNS names and addresses in the server's certificate
	Log    *zap.Logger
	Now    func() time.Time
}

// Server answers participants and operators.
type Server struct {
	engine    *engine.Engine
	log       *zap.Logger
	now       func() time.Time
	admission ca.Admission
	grpc      *grpc.Server
	cert      certificate
}

// New makes a server; Serve starts it.
func New(c Config) (*Server, error) {
	s := &Server{engine: c.Engine, log: c.Log, now: c.Now}
	s.admission = ca.Admission{Revoked: c.Engine.Revoked, Now: c.Now}
	s.cert = certificate{ca: c.CA, hosts: c.Hosts, now: c.Now}
	// In the handshake revocations don't count yet: a revoked caller should be told so, in a typed error, at each call.
	handshake := ca.Admission{Revoked: func(ca.Peer) (bool, error) { return false, nil }, Now: c.Now}
	config, err := c.CA.ServerTLS(s.cert.get, handshake)
	if err != nil {
		return nil, err
	}
	s.grpc = grpc.NewServer(
		grpc.Creds(credentials.NewTLS(config)),
		grpc.MaxRecvMsgSize(maxMessage), grpc.MaxConcurrentStreams(maxStreams), grpc.MaxHeaderListSize(maxHeader),
		grpc.ConnectionTimeout(20*time.Second),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 30 * time.Second, Timeout: 15 * time.Second}),
		grpc.ChainUnaryInterceptor(s.unary), grpc.ChainStreamInterceptor(s.stream))
	pb.RegisterEnrolmentServer(s.grpc, &enrolment{s: s})
	pb.RegisterParticipantServer(s.grpc, &participant{s: s})
	pb.RegisterOperatorServer(s.grpc, &operator{s: s})
	return s, nil
}

// Listen opens a TCP listener, with an error that a person can act on.
func Listen(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("listen on %s: the port is in use\nhint: stop what uses it (is a coordinator running already?), or serve on another with --listen", address)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("listen on %s: not permitted\nhint: ports below 1024 need privileges; choose another with --listen", address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("listen on %s: this machine has no such address\nhint: listen on all with --listen :PORT", address)
	case err != nil:
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	return l, nil
}

// Serve answers on l until ctx ends, then lets calls under way finish for a few seconds. It runs the engine's clock meanwhile.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	clock, stopClock := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() { s.engine.Run(clock) })
	failed := make(chan error, 1)
	running.Go(func() { failed <- s.grpc.Serve(l) })
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	stopClock() // long polls leave when the engine stops
	forced := time.AfterFunc(stopTimeout, s.grpc.Stop)
	s.grpc.GracefulStop()
	forced.Stop()
	running.Wait()
	return err
}

// certificate makes the server's certificate and renews it in good time. Its key never touches the disk: clients pin the root.
type certificate struct {
	ca    *ca.CA
	hosts []string
	now   func() time.Time

	mu      sync.Mutex
	current *tls.Certificate // guarded by mu
	renewAt time.Time        // guarded by mu
}

func (c *certificate) get() (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); c.current == nil || now.After(c.renewAt) {
		cert, err := c.ca.ServerCertificate(c.hosts, certTTL, now)
		if err != nil {
			return nil, err
		}
		c.current, c.renewAt = &cert, now.Add(certTTL/2)
	}
	return c.current, nil
}
