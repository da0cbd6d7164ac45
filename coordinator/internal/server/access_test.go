package server

import (
	"crypto/tls"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"tributary/coordinator/internal/ca"
	"tributary/coordinator/internal/engine"
	"tributary/crypto/identity"
	"tributary/protocol/invite"
	"tributary/protocol/pb"
	"tributary/protocol/wire"
)

func TestWithoutCertificateOnlyEnrolmentAnswers(t *testing.T) {
	w := newWorld(t)
	conn := w.dial()
	_, err := pb.NewOperatorClient(conn).ListJobs(t.Context(), &pb.ListRequest{})
	refused(t, err, codes.Unauthenticated, "no-certificate")
	_, err = pb.NewParticipantClient(conn).Next(t.Context(), &pb.NextRequest{Version: wire.ProtocolVersion})
	refused(t, err, codes.Unauthenticated, "no-certificate")
	stream, err := pb.NewParticipantClient(conn).Upload(t.Context())
	if err == nil {
		_, err = stream.CloseAndRecv()
	}
	refused(t, err, codes.Unauthenticated, "no-certificate")
}

func TestEachKindOfCertificateReachesItsServiceOnly(t *testing.T) {
	w := newWorld(t)
	participant, _ := w.member("alpen", wire.RoleBoth)
	operatorConn, _ := w.enrol(w.invite(engine.Invitation{Kind: invite.Operator, Name: "anna"}), nil)
	if _, err := pb.NewParticipantClient(participant).Next(t.Context(), &pb.NextRequest{Version: wire.ProtocolVersion}); err != nil {
		t.Error(err)
	}
	if _, err := pb.NewOperatorClient(operatorConn).ListJobs(t.Context(), &pb.ListRequest{}); err != nil {
		t.Error(err)
	}
	_, err := pb.NewOperatorClient(participant).ListJobs(t.Context(), &pb.ListRequest{})
	refused(t, err, codes.PermissionDenied, "wrong-kind")
	_, err = pb.NewParticipantClient(operatorConn).Next(t.Context(), &pb.NextRequest{Version: wire.ProtocolVersion})
	refused(t, err, codes.PermissionDenied, "wrong-kind")
	events, err := pb.NewOperatorClient(participant).WatchJob(t.Context(), &pb.WatchRequest{Job: "abcdef"})
	if err == nil {
		_, err = events.Recv()
	}
	refused(t, err, codes.PermissionDenied, "wrong-kind")
}

func TestWrongAuthorityIsRefusedOnBothSides(t *testing.T) {
	w := newWorld(t)
	other, err := ca.Init(t.TempDir(), "others", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	_, err = pb.NewOperatorClient(w.dialPinned(other.Fingerprint())).ListJobs(t.Context(), &pb.ListRequest{})
	handshakeRefused(t, err)
	if err == nil || !strings.Contains(err.Error(), invite.ErrWrongCA.Error()) {
		t.Errorf("a client of another authority: %v", err)
	}
	key, csr := newRequest(t)
	issued, err := other.Issue(csr, ca.Subject{Kind: ca.Operator, Name: "mallory"}, time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	_, err = pb.NewOperatorClient(w.dial(tls.Certificate{Certificate: issued.Chain, PrivateKey: key})).ListJobs(t.Context(), &pb.ListRequest{})
	handshakeRefused(t, err)
}

func TestCertificateThatWasNeverRecordedIsRefused(t *testing.T) {
	w := newWorld(t)
	key, csr := newRequest(t)
	issued, err := w.ca.Issue(csr, ca.Subject{Kind: ca.Operator, Name: "mallory"}, time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	_, err = pb.NewOperatorClient(w.dial(tls.Certificate{Certificate: issued.Chain, PrivateKey: key})).ListJobs(t.Context(), &pb.ListRequest{})
	refused(t, err, codes.Unauthenticated, "revoked")
}

func TestRevocationCountsAtOnceAndOnOpenConnections(t *testing.T) {
	w := newWorld(t)
	anna := w.operator("anna")
	conn, _ := w.member("alpen", wire.RoleBoth)
	alpen := pb.NewParticipantClient(conn)
	bob := w.operator("bob")
	if _, err := alpen.Next(t.Context(), &pb.NextRequest{Version: wire.ProtocolVersion}); err != nil {
		t.Fatal(err)
	}
	for _, r := range []*pb.RevokeRequest{{Name: "alpen", Kind: "participant", Reason: "lost"}, {Name: "bob", Kind: "operator"}} {
		if _, err := anna.Revoke(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	_, err := alpen.Next(t.Context(), &pb.NextRequest{Version: wire.ProtocolVersion})
	refused(t, err, codes.Unauthenticated, "revoked")
	_, err = bob.ListJobs(t.Context(), &pb.ListRequest{})
	refused(t, err, codes.Unauthenticated, "revoked")
	_, err = anna.Revoke(t.Context(), &pb.RevokeRequest{Name: "alpen", Kind: "participant"})
	refused(t, err, codes.NotFound, "not-found")
	w.restart()
	_, err = alpen.Next(t.Context(), &pb.NextRequest{Version: wire.ProtocolVersion})
	refused(t, err, codes.Unauthenticated, "revoked")
}

func TestTokensThatAreUsedExpiredOrUnknownAreToldApart(t *testing.T) {
	w := newWorld(t)
	_, csr := newRequest(t)
	client := pb.NewEnrolmentClient(w.dial())
	try := func(secret []byte) error {
		_, err := client.Enrol(t.Context(), &pb.EnrolRequest{Version: wire.ProtocolVersion, Secret: secret, CsrDer: csr})
		return err
	}
	used := w.invite(engine.Invitation{Kind: invite.Operator, Name: "anna"})
	if err := try(used.Secret[:]); err != nil {
		t.Fatal(err)
	}
	refused(t, try(used.Secret[:]), codes.Unauthenticated, "token-used")
	expired := w.invite(engine.Invitation{Kind: invite.Operator, Name: "bob", TTL: time.Millisecond})
	time.Sleep(5 * time.Millisecond)
	refused(t, try(expired.Secret[:]), codes.Unauthenticated, "token-expired")
	refused(t, try(make([]byte, 16)), codes.Unauthenticated, "token-unknown")
	refused(t, try(nil), codes.InvalidArgument, "token")
}

func TestFailedEnrolmentLeavesTheTokenUsable(t *testing.T) {
	w := newWorld(t)
	key, err := identity.Generate()
	if err != nil {
		t.Fatal(err)
	}
	token := w.invite(engine.Invitation{Kind: invite.Participant, Name: "alpen", Role: wire.RoleData, Organisation: "Alpen AG"})
	_, csr := newRequest(t)
	client := pb.NewEnrolmentClient(w.dial())
	forged := wire.NewCard(key, "alpen", "Alpen AG")
	forged.Proof[0] ^= 1
	for name, card := range map[string]wire.MemberCard{"other name": wire.NewCard(key, "baltic", "Alpen AG"), "other organisation": wire.NewCard(key, "alpen", "Baltic AG"),
		"unproven": forged, "no organisation": wire.NewCard(key, "alpen", "")} {
		_, err := client.Enrol(t.Context(), &pb.EnrolRequest{Version: wire.ProtocolVersion, Secret: token.Secret[:], CsrDer: csr, MemberCard: wire.Encode(&card)})
		t.Run(name, func(t *testing.T) { refused(t, err, codes.InvalidArgument, "card") })
	}
	_, err = client.Enrol(t.Context(), &pb.EnrolRequest{Version: wire.ProtocolVersion, Secret: token.Secret[:], CsrDer: []byte("no request"), MemberCard: nil})
	refused(t, err, codes.InvalidArgument, "card")
	if head, err := w.engine.Head(t.Context()); err != nil || head.Size != 0 {
		t.Errorf("failed enrolments left %d ledger entries, %v", head.Size, err)
	}
	good := wire.NewCard(key, "alpen", "Alpen AG")
	reply, err := client.Enrol(t.Context(), &pb.EnrolRequest{Version: wire.ProtocolVersion, Secret: token.Secret[:], CsrDer: csr, MemberCard: wire.Encode(&good)})
	if err != nil || reply.GetRole() != "data" || reply.GetConsortium() != "shops" {
		t.Fatalf("%v, %v", reply, err)
	}
	if head, err := w.engine.Head(t.Context()); err != nil || head.Size != 2 {
		t.Errorf("an enrolment left %d ledger entries, %v", head.Size, err)
	}
}

func TestVersionThatIsNotSpokenIsRefusedWithThoseThatAre(t *testing.T) {
	w := newWorld(t)
	conn, _ := w.member("alpen", wire.RoleBoth)
	_, err := pb.NewParticipantClient(conn).Next(t.Context(), &pb.NextRequest{Version: wire.ProtocolVersion + 1})
	refused(t, err, codes.FailedPrecondition, "version")
	if err != nil && !strings.Contains(err.Error(), "only 1") {
		t.Errorf("%v names no version", err)
	}
	_, err = pb.NewEnrolmentClient(w.dial()).Enrol(t.Context(), &pb.EnrolRequest{Version: 0})
	refused(t, err, codes.FailedPrecondition, "version")
}

func TestRenewedCertificateIsAdmitted(t *testing.T) {
	w := newWorld(t)
	conn, _ := w.member("alpen", wire.RoleBoth)
	key, csr := newRequest(t)
	reply, err := pb.NewParticipantClient(conn).Renew(t.Context(), &pb.RenewRequest{CsrDer: csr})
	if err != nil {
		t.Fatal(err)
	}
	renewed := pb.NewParticipantClient(w.dial(tls.Certificate{Certificate: reply.GetChainDer(), PrivateKey: key}))
	if _, err := renewed.Next(t.Context(), &pb.NextRequest{Version: wire.ProtocolVersion}); err != nil {
		t.Error(err)
	}
}

func TestTooLargeMessagesAreRefused(t *testing.T) {
	w := newWorld(t)
	_, err := w.operator("anna").ValidateJob(t.Context(), &pb.JobRequest{SpecYaml: make([]byte, maxMessage+1)})
	if err == nil || !strings.Contains(err.Error(), "larger than max") {
		t.Errorf("%v", err)
	}
}

func TestPortInUseIsSaidWithARemedy(t *testing.T) {
	l := freePort(t)
	_, err := Listen(l.Addr().String())
	if err == nil || !strings.Contains(err.Error(), "port is in use\nhint: ") {
		t.Errorf("%v", err)
	}
	if errors.Unwrap(err) != nil {
		t.Errorf("%v repeats the system's words", err)
	}
}
