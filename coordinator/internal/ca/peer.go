package ca

import (
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"

	"tributary/protocol/invite"
)

// Kind says what a certificate's holder is.
type Kind string

// The kinds of certificate.
const (
	Participant Kind = "participant"
	Operator    Kind = "operator"
	Server      Kind = "server"
)

// Peer is who a certificate of this authority speaks for.
type Peer struct {
	Kind       Kind
	Name       string
	IdentityPK [32]byte // the Ed25519 identity key of a participant; zero otherwise
	Serial     string   // lower-case hex
}

// uri returns the only URI name that a certificate for the subject carries.
func (s Subject) uri() string {
	id := s.Name
	if s.Kind == Participant {
		id = hex.EncodeToString(s.IdentityPK[:])
	}
	return "tributary:" + string(s.Kind) + ":" + id
}

// PeerFromCert returns who cert speaks for. It accepts only the names that Issue writes, and says nothing about who issued
// the certificate or whether it is valid now: call it on certificates that were verified against the root. Errors wrap ErrPeer.
func PeerFromCert(cert *x509.Certificate) (Peer, error) {
	if cert == nil || cert.SerialNumber == nil || cert.SerialNumber.Sign() <= 0 {
		return Peer{}, fmt.Errorf("%w: no certificate with a serial number", ErrPeer)
	}
	if cert.IsCA {
		return Peer{}, fmt.Errorf("%w: it is an authority's own", ErrPeer)
	}
	if len(cert.URIs) != 1 || len(cert.EmailAddresses) != 0 {
		return Peer{}, fmt.Errorf("%w: %d URI names and %d e-mail addresses, want 1 and 0", ErrPeer, len(cert.URIs), len(cert.EmailAddresses))
	}
	uri := cert.URIs[0].String()
	parts := strings.Split(uri, ":")
	if len(parts) != 3 {
		return Peer{}, fmt.Errorf("%w: URI name %.128q", ErrPeer, uri)
	}
	s := Subject{Kind: Kind(parts[1]), Name: cert.Subject.CommonName}
	if s.Kind == Participant {
		pk, err := hex.DecodeString(parts[2])
		if err != nil || len(pk) != len(s.IdentityPK) {
			return Peer{}, fmt.Errorf("%w: URI name %.128q", ErrPeer, uri)
		}
		copy(s.IdentityPK[:], pk)
	}
	if err := invite.CheckName(s.Name); err != nil {
		return Peer{}, fmt.Errorf("%w: %w", ErrPeer, err)
	}
	usage, known := s.Kind.usage()
	if !known || s.uri() != uri || s.Kind == Participant && s.IdentityPK == [32]byte{} {
		return Peer{}, fmt.Errorf("%w: URI name %.128q for %q", ErrPeer, uri, s.Name)
	}
	hosts := len(cert.DNSNames) + len(cert.IPAddresses)
	if (hosts != 0) != (s.Kind == Server) {
		return Peer{}, fmt.Errorf("%w: %d host names for a %s", ErrPeer, hosts, s.Kind)
	}
	if len(cert.ExtKeyUsage) != 1 || cert.ExtKeyUsage[0] != usage || len(cert.UnknownExtKeyUsage) != 0 {
		return Peer{}, fmt.Errorf("%w: key usage isn't a %s's", ErrPeer, s.Kind)
	}
	return Peer{Kind: s.Kind, Name: s.Name, IdentityPK: s.IdentityPK, Serial: cert.SerialNumber.Text(16)}, nil
}

// usage returns the one extended key usage of a kind, so that no client certificate can serve and no server's can call.
func (k Kind) usage() (usage x509.ExtKeyUsage, known bool) {
	switch k {
	case Participant, Operator:
		return x509.ExtKeyUsageClientAuth, true
	case Server:
		return x509.ExtKeyUsageServerAuth, true
	}
	return x509.ExtKeyUsageAny, false
}
