// Package client is the participant's side of the wire: it dials the coordinator over TLS 1.3 with the node's certificate, trusts
// one certificate authority only (the one in the invitation), and turns refusals into typed errors. It listens on nothing.
package client

import (
	"crypto/tls"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"

	"tributary/protocol/invite"
	"tributary/protocol/pb"
)

// Options say whom to dial and as whom.
type Options struct {
	Address     string // host:port
	Fingerprint [32]byte
	Credentials *Credentials // nil only to enrol
}

// Client calls one coordinator. It is safe for concurrent use.
type Client struct {
	opts Options

	mu   sync.Mutex // guards conn
	conn *grpc.ClientConn
	pin  *pin
}

// maxMessage bounds one received message: the largest canonical objects with room for their frame.
const maxMessage = 4 << 20

// Dial prepares a client; the first call connects.
func Dial(o Options) (*Client, error) {
	c := &Client{opts: o}
	return c, c.Redial()
}

// Redial drops the connection and makes a new one, with the certificate as it now is.
func (c *Client) Redial() error {
	config, err := invite.ClientTLS(c.opts.Fingerprint, c.opts.Address)
	if err != nil {
		return err
	}
	p := &pin{verify: config.VerifyConnection}
	config.VerifyConnection = p.check
	if c.opts.Credentials != nil {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c.opts.Credentials.TLS(), nil }
	}
	conn, err := grpc.NewClient("passthrough:///"+c.opts.Address,
		grpc.WithTransportCredentials(credentials.NewTLS(config)),
		grpc.WithIdleTimeout(0),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.3, MaxDelay: 3 * time.Second},
			MinConnectTimeout: 5 * time.Second,
		}))
	if err != nil {
		return fmt.Errorf("dial coordinator: %w", err)
	}
	c.mu.Lock()
	old := c.conn
	c.conn, c.pin = conn, p
	c.mu.Unlock()
	if old != nil {
		old.Close()
	}
	return nil
}

// Close drops the connection.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn.Close()
}

// RetryNow makes the next call connect at once instead of waiting out the backoff.
func (c *Client) RetryNow() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn.ResetConnectBackoff()
}

func (c *Client) calls() (pb.ParticipantClient, *pin) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return pb.NewParticipantClient(c.conn), c.pin
}

// pin remembers why the last handshake's check of the server failed: gRPC only passes its text on.
type pin struct {
	verify func(tls.ConnectionState) error

	mu   sync.Mutex // guards last
	last error
}

func (p *pin) check(state tls.ConnectionState) error {
	err := p.verify(state)
	p.mu.Lock()
	p.last = err
	p.mu.Unlock()
	return err
}

func (p *pin) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}
