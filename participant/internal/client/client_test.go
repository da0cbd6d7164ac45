package client

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"tributary/crypto/identity"
	"tributary/crypto/secagg"
	"tributary/protocol/invite"
	"tributary/protocol/pb"
	"tributary/protocol/wire"
)

// server answers with what a test wants.
type server struct {
	pb.UnimplementedParticipantServer
	fetch  func(offset uint64, send func(*pb.FetchChunk) error) error
	put    error
	status *pb.UploadStatusReply
	parts  []*pb.UploadPart
	sign   func(u *wire.Upload, e wire.Envelope) wire.Envelope
}

func (s *server) Fetch(in *pb.FetchRequest, stream grpc.ServerStreamingServer[pb.FetchChunk]) error {
	return s.fetch(in.Offset, stream.Send)
}
func (s *server) Put(context.Context, *pb.PutRequest) (*pb.PutReply, error) {
	return &pb.PutReply{}, s.put
}
func (s *server) UploadStatus(context.Context, *pb.UploadStatusRequest) (*pb.UploadStatusReply, error) {
	return s.status, nil
}
func (s *server) Upload(stream grpc.ClientStreamingServer[pb.UploadPart, pb.UploadReply]) error {
	for {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		s.parts = append(s.parts, part)
	}
	e, err := wire.ParseEnvelope(s.parts[0].Data)
	if err != nil {
		return err
	}
	var u wire.Upload
	if err := e.Open(&u); err != nil {
		return err
	}
	receipt := s.sign(&u, e)
	return stream.SendAndClose(&pb.UploadReply{Receipt: receipt.Bytes()})
}

// serve starts s and returns a client of it. A nil fingerprint is the right one.
func serve(t *testing.T, s *server, fingerprint *[32]byte) *Client {
	t.Helper()
	rootKey, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, rootKey.Public(), rootKey)
	if err != nil {
		t.Fatal(err)
	}
	root, _ = x509.ParseCertificate(rootDER)
	issue := func(key *ecdsa.PrivateKey, usage x509.ExtKeyUsage) [][]byte {
		leaf := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{usage}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
		der, err := x509.CreateCertificate(rand.Reader, leaf, root, key.Public(), rootKey)
		if err != nil {
			t.Fatal(err)
		}
		return [][]byte{der, rootDER}
	}
	serverKey, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	pool := x509.NewCertPool()
	pool.AddCert(root)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer(grpc.Creds(credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS13, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool,
		Certificates: []tls.Certificate{{Certificate: issue(serverKey, x509.ExtKeyUsageServerAuth), PrivateKey: serverKey}}})))
	pb.RegisterParticipantServer(g, s)
	go g.Serve(listener)
	t.Cleanup(g.Stop)
	key, _, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	chain := issue(key, x509.ExtKeyUsageClientAuth)
	right := sha256.Sum256(rootDER)
	if err := CheckChain(chain, key, right); err != nil {
		t.Fatal(err)
	}
	if err := CheckChain(issue(serverKey, x509.ExtKeyUsageClientAuth), key, right); !errors.Is(err, ErrAnswer) {
		t.Errorf("a chain for another key: %v", err)
	}
	if err := CheckChain(chain, key, [32]byte{1}); !errors.Is(err, ErrAnswer) {
		t.Errorf("a chain of another authority: %v", err)
	}
	creds := &Credentials{key: key}
	if err := creds.use(chain); err != nil {
		t.Fatal(err)
	}
	if fingerprint == nil {
		fingerprint = &right
	}
	c, err := Dial(Options{Address: listener.Addr().String(), Fingerprint: *fingerprint, Credentials: creds})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func someEnvelope() wire.Envelope {
	key, _ := identity.Generate()
	return wire.Sign(key, &wire.Refusal{Rule: "policy"})
}

func TestAnotherAuthorityIsRefusedBeforeAnythingIsSaid(t *testing.T) {
	c := serve(t, &server{}, &[32]byte{1})
	if err := c.Put(t.Context(), someEnvelope()); !errors.Is(err, invite.ErrWrongCA) {
		t.Errorf("%v", err)
	}
}

func TestServicesErrorsAreTyped(t *testing.T) {
	s := &server{}
	c := serve(t, s, nil)
	for code, want := range map[codes.Code]error{codes.Unavailable: ErrUnreachable, codes.Aborted: ErrUnreachable, codes.Unauthenticated: ErrUnauthorised, codes.PermissionDenied: ErrRefused,
		codes.FailedPrecondition: ErrRefused, codes.InvalidArgument: ErrInvalid, codes.NotFound: ErrNotFound} {
		withDetail, _ := status.New(code, "raw").WithDetails(&pb.Error{Code: "some-code", Field: "job", Message: "what is wrong", Hint: "what to do"})
		s.put = withDetail.Err()
		err := c.Put(t.Context(), someEnvelope())
		var e *Error
		if !errors.Is(err, want) || !errors.As(err, &e) || e.Code != "some-code" || e.Field != "job" || e.Hint != "what to do" || !strings.Contains(err.Error(), "what is wrong") {
			t.Errorf("%v: %v", code, err)
		}
	}
	s.put = nil
	if err := c.Put(t.Context(), someEnvelope()); err != nil {
		t.Error(err)
	}
}

func TestNobodyThereIsUnreachable(t *testing.T) {
	c, err := Dial(Options{Address: "127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Put(t.Context(), someEnvelope()); !errors.Is(err, ErrUnreachable) {
		t.Errorf("%v", err)
	}
}

func TestFetchGoesOnWhereItBroke(t *testing.T) {
	want := make([]byte, 100_000)
	rand.Read(want)
	var offsets []uint64
	s := &server{fetch: func(offset uint64, send func(*pb.FetchChunk) error) error {
		offsets = append(offsets, offset)
		for i := 0; int(offset) < len(want); i++ {
			if i == 2 {
				return status.Error(codes.Unavailable, "broken off")
			}
			end := min(int(offset)+9_000, len(want))
			if err := send(&pb.FetchChunk{Data: want[offset:end], Offset: offset, Total: uint64(len(want))}); err != nil {
				return err
			}
			offset = uint64(end)
		}
		return nil
	}}
	c := serve(t, s, nil)
	got, err := c.Fetch(t.Context(), pb.FetchKind_FETCH_JOB, wire.Digest{}, wire.Digest{}, len(want))
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if !slices.IsSorted(offsets) || len(offsets) != 6 || offsets[1] != 18_000 {
		t.Errorf("asked at %v", offsets)
	}
	if _, err := c.Fetch(t.Context(), pb.FetchKind_FETCH_JOB, wire.Digest{}, wire.Digest{}, len(want)-1); !errors.Is(err, ErrAnswer) {
		t.Errorf("an object over its limit: %v", err)
	}
}

func TestHostileTransfersAreRefused(t *testing.T) {
	for name, chunks := range map[string][]*pb.FetchChunk{
		"a gap":           {{Data: []byte("ab"), Offset: 0, Total: 6}, {Data: []byte("ef"), Offset: 4, Total: 6}},
		"too short":       {{Data: []byte("ab"), Offset: 0, Total: 6}},
		"past its end":    {{Data: []byte("abcdef"), Offset: 0, Total: 3}},
		"a huge total":    {{Data: []byte("a"), Offset: 0, Total: 1 << 62}},
		"wrapping offset": {{Data: []byte("abc"), Offset: 1<<64 - 2, Total: 1}},
	} {
		c := serve(t, &server{fetch: func(_ uint64, send func(*pb.FetchChunk) error) error {
			for _, chunk := range chunks {
				if err := send(chunk); err != nil {
					return err
				}
			}
			return nil
		}}, nil)
		if _, err := c.Fetch(t.Context(), pb.FetchKind_FETCH_JOB, wire.Digest{}, wire.Digest{}, 1000); !errors.Is(err, ErrAnswer) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUploadSendsOnlyWhatIsMissingAndChecksTheReceipt(t *testing.T) {
	coordinator, _ := identity.Generate()
	stranger, _ := identity.Generate()
	member, _ := identity.Generate()
	u := Upload{Job: wire.Digest{1}, Ctx: wire.Digest{2}, Coordinator: coordinator.Public(), Sealed: &secagg.Upload{Payload: make([]byte, 600_000), Shares: [][]byte{{1}, {2}, {3}}}}
	u.Envelope = wire.Sign(member, &wire.Upload{Ctx: u.Ctx, PayloadLen: 600_000})
	receipt := func(key *identity.Key, ctx wire.Digest) func(*wire.Upload, wire.Envelope) wire.Envelope {
		return func(_ *wire.Upload, e wire.Envelope) wire.Envelope {
			return wire.Sign(key, &wire.Receipt{Ctx: ctx, Upload: e.Digest()})
		}
	}
	s := &server{status: &pb.UploadStatusReply{PayloadOffset: 300_000, SharesDone: 2}, sign: receipt(coordinator, u.Ctx)}
	c := serve(t, s, nil)
	if err := c.Upload(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	var kinds []pb.UploadKind
	for _, part := range s.parts {
		kinds = append(kinds, part.Part)
		if len(part.Data) > partBytes {
			t.Errorf("a part of %d bytes", len(part.Data))
		}
	}
	want := []pb.UploadKind{pb.UploadKind_UPLOAD_HEADER, pb.UploadKind_UPLOAD_PAYLOAD, pb.UploadKind_UPLOAD_PAYLOAD, pb.UploadKind_UPLOAD_SHARE}
	if !slices.Equal(kinds, want) || s.parts[1].Offset != 300_000 || s.parts[3].Index != 3 {
		t.Errorf("sent %v", kinds)
	}
	for name, sign := range map[string]func(*wire.Upload, wire.Envelope) wire.Envelope{"a stranger's": receipt(stranger, u.Ctx), "another round's": receipt(coordinator, wire.Digest{3})} {
		s.parts, s.sign = nil, sign
		if err := c.Upload(t.Context(), u); !errors.Is(err, ErrAnswer) {
			t.Errorf("%s receipt: %v", name, err)
		}
	}
	s.status = &pb.UploadStatusReply{PayloadOffset: 600_001}
	if err := c.Upload(t.Context(), u); !errors.Is(err, ErrAnswer) {
		t.Errorf("more than there is: %v", err)
	}
}

func TestRenewalIsDueInTheLastThird(t *testing.T) {
	start := time.Now()
	c := &Credentials{cert: &tls.Certificate{Leaf: &x509.Certificate{NotBefore: start, NotAfter: start.Add(30 * time.Hour)}}}
	for after, want := range map[time.Duration]bool{0: false, 19 * time.Hour: false, 21 * time.Hour: true, 31 * time.Hour: true} {
		if got := c.RenewalDue(start.Add(after)); got != want {
			t.Errorf("after %v: %t", after, got)
		}
	}
}
