package ca

import (
	"crypto/tls"
	"errors"
	"fmt"
	"time"
)

// Admission decides which certificates of the root still count. The server applies it in every handshake and must apply it
// again to every call, since a connection may outlive a certificate or a revocation: Check is cheap apart from Revoked.
type Admission struct {
	// Revoked reports whether the peer's serial or identity is revoked, from durable state. It may be called concurrently.
	// An error refuses the call, as one to be tried again.
	Revoked func(Peer) (bool, error)
	// Now is the clock.
	Now func() time.Time
}

// Check returns the peer of a connection whose chain was verified against the root, or ErrNoCertificate, ErrPeer, ErrExpired
// ErrRevoked
// or ErrUndecided.
func (a Admission) Check(state tls.ConnectionState) (Peer, error) {
	if len(state.PeerCertificates) == 0 || len(state.VerifiedChains) == 0 {
		return Peer{}, fmt.Errorf("%w (hint: enrol first; if this node is enrolled, check its certificate file)", ErrNoCertificate)
	}
	leaf := state.PeerCertificates[0]
	peer, err := PeerFromCert(leaf)
	if err != nil {
		return Peer{}, err
	}
	if peer.Kind == Server {
		return Peer{}, fmt.Errorf("%w: a server's certificate can't call", ErrPeer)
	}
	if now := a.Now(); now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) {
		return Peer{}, fmt.Errorf("%w: %s %q is valid from %s to %s (hint: compare clocks; if it has expired, ask for a new invitation and enrol again)", ErrExpired,
			peer.Kind, peer.Name, leaf.NotBefore.Format(time.RFC3339), leaf.NotAfter.Format(time.RFC3339))
	}
	revoked, err := a.Revoked(peer)
	if err != nil {
		return Peer{}, fmt.Errorf("%w: %s %q: %w (hint: try again)", ErrUndecided, peer.Kind, peer.Name, err)
	}
	if revoked {
		return Peer{}, fmt.Errorf("%w: %s %q, serial %s (hint: ask the coordinator's operator)", ErrRevoked, peer.Kind, peer.Name, peer.Serial)
	}
	return peer, nil
}

// ServerTLS returns the TLS 1.3 configuration of the coordinator's listener. A client certificate is optional, because
// enrolment has none yet: each service but enrolment must call a.Check. One that is given must be of this root and admitted, or
// the handshake fails. There is no session resumption, so every connection is checked. The certificate callback returns the
// server's current certificate with the root in its chain, which clients pin.
func (c *CA) ServerTLS(certificate func() (*tls.Certificate, error), a Admission) (*tls.Config, error) {
	if certificate == nil || a.Revoked == nil || a.Now == nil {
		return nil, errors.New("prepare TLS listener: certificate, revocation check and clock are required")
	}
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		ClientAuth:             tls.VerifyClientCertIfGiven,
		ClientCAs:              c.pool(),
		SessionTicketsDisabled: true,
		Time:                   a.Now,
		GetCertificate:         func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate() },
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 {
				return nil
			}
			// A handshake can't say "try again": a peer that can't be decided on is let in, and refused call by call.
			if _, err := a.Check(state); !errors.Is(err, ErrUndecided) {
				return err
			}
			return nil
		},
	}, nil
}
