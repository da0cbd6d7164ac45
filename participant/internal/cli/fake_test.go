package cli

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
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"tributary/crypto/identity"
	"tributary/protocol/invite"
	"tributary/protocol/pb"
	"tributary/protocol/wire"
)

// fake enrols by token and then only keeps nodes waiting.
type fake struct {
	pb.UnimplementedEnrolmentServer
	pb.UnimplementedParticipantServer
	t       *testing.T
	key     *identity.Key
	root    *x509.Certificate
	rootKey *ecdsa.PrivateKey
	address string
	life    time.Duration // that issued certificates have left
	age     time.Duration // that they have behind them

	mu       sync.Mutex // guards the rest
	tokens   map[[16]byte]string
	charters []*wire.Charter // oldest first
	accounts []wire.Account
	waiting  int
	renewed  int
}

func newFake(t *testing.T) *fake {
	t.Helper()
	f := &fake{t: t, tokens: map[[16]byte]string{}, life: time.Hour}
	f.key, _ = identity.Generate()
	f.rootKey, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, f.rootKey.Public(), f.rootKey)
	if err != nil {
		t.Fatal(err)
	}
	f.root, _ = x509.ParseCertificate(der)
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	pool := x509.NewCertPool()
	pool.AddCert(f.root)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.address = listener.Addr().String()
	leaf := f.issue("coordinator", key.Public(), x509.ExtKeyUsageServerAuth)
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS13, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: pool,
		Certificates: []tls.Certificate{{Certificate: [][]byte{leaf, f.root.Raw}, PrivateKey: key}}})))
	pb.RegisterEnrolmentServer(server, f)
	pb.RegisterParticipantServer(server, f)
	go server.Serve(listener)
	t.Cleanup(server.Stop)
	return f
}

func (f *fake) issue(name string, key any, usage x509.ExtKeyUsage) []byte {
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<60))
	template := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Second - f.age), NotAfter: time.Now().Add(f.life),
		ExtKeyUsage: []x509.ExtKeyUsage{usage}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, f.root, key, f.rootKey)
	if err != nil {
		f.t.Error(err)
	}
	return der
}

// token invites name.
func (f *fake) token(name string) invite.Token {
	token := invite.Token{Version: invite.Version, Kind: invite.Participant, Fingerprint: sha256.Sum256(f.root.Raw), Address: f.address, Name: name}
	rand.Read(token.Secret[:])
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tokens[token.Secret] = name
	return token
}

func (f *fake) Enrol(_ context.Context, in *pb.EnrolRequest) (*pb.EnrolReply, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	name, ok := f.tokens[[16]byte(in.Secret)]
	if !ok {
		s, _ := status.New(codes.Unauthenticated, "used").WithDetails(&pb.Error{Code: "token-used", Message: "invitation already used", Hint: "ask the coordinator's operator for a new one"})
		return nil, s.Err()
	}
	delete(f.tokens, [16]byte(in.Secret))
	var card wire.MemberCard
	if err := wire.Decode(in.MemberCard, &card); err != nil || !card.Proven() || card.Name != name {
		return nil, status.Error(codes.InvalidArgument, "a bad card")
	}
	csr, err := x509.ParseCertificateRequest(in.CsrDer)
	if err != nil || csr.CheckSignature() != nil {
		return nil, status.Error(codes.InvalidArgument, "a bad request")
	}
	f.join(card)
	self := f.key.Public()
	return &pb.EnrolReply{ChainDer: [][]byte{f.issue(name, csr.PublicKey, x509.ExtKeyUsageClientAuth), f.root.Raw}, CoordinatorKey: self[:], Consortium: "shops", Role: "both"}, nil
}

// join makes a new charter version with one more member; f.mu is held.
func (f *fake) join(card wire.MemberCard) {
	next := &wire.Charter{Consortium: "shops", Version: 1, F: 1, Organisation: "Hub", Coordinator: f.key.Public(), LogOrigin: "shops/log"}
	if n := len(f.charters); n > 0 {
		next.Version, next.Prev = uint32(n+1), f.charters[n-1].Digest()
		next.Members = slices.Clone(f.charters[n-1].Members)
	}
	for _, m := range next.Members {
		if m.Card.Key == card.Key {
			return
		}
	}
	next.Members = append(next.Members, wire.CharterMember{Card: card, Role: wire.RoleBoth})
	slices.SortFunc(next.Members, func(a, b wire.CharterMember) int { return a.Card.Key.Compare(b.Card.Key) })
	f.charters = append(f.charters, next)
}

// invent adds members that nobody enrolled.
func (f *fake) invent(names ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, name := range names {
		key, _ := identity.Generate()
		f.join(wire.NewCard(key, name, name+" AG"))
	}
}

func (f *fake) GetCharter(context.Context, *pb.GetCharterRequest) (*pb.GetCharterReply, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	reply := &pb.GetCharterReply{}
	for i := len(f.charters) - 1; i >= 0; i-- {
		e := wire.Sign(f.key, f.charters[i])
		if i == len(f.charters)-1 {
			reply.Charter = e.Bytes()
		} else {
			reply.Prev = append(reply.Prev, e.Bytes())
		}
	}
	return reply, nil
}

func (f *fake) Next(ctx context.Context, in *pb.NextRequest) (*pb.NextReply, error) {
	f.mu.Lock()
	f.waiting++
	f.mu.Unlock()
	select {
	case <-ctx.Done():
	case <-time.After(time.Duration(in.MaxWaitMs) * time.Millisecond):
	}
	return &pb.NextReply{}, nil
}

func (f *fake) Put(_ context.Context, in *pb.PutRequest) (*pb.PutReply, error) {
	e, err := wire.ParseEnvelope(in.Object)
	var a wire.Account
	if err != nil || e.Open(&a) != nil {
		return nil, status.Error(codes.InvalidArgument, "not an account")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.accounts = append(f.accounts, a)
	return &pb.PutReply{}, nil
}

func (f *fake) Renew(_ context.Context, in *pb.RenewRequest) (*pb.RenewReply, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.renewed++
	f.life = time.Hour
	csr, err := x509.ParseCertificateRequest(in.CsrDer)
	if err != nil {
		return nil, err
	}
	return &pb.RenewReply{ChainDer: [][]byte{f.issue("alpen", csr.PublicKey, x509.ExtKeyUsageClientAuth), f.root.Raw}}, nil
}

func (f *fake) count(what *int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return *what
}

// folder makes a participant's folder with its config, contract and data, and returns the config's path.
func folder(t *testing.T, name string) string {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{
		"participant.yaml": fmt.Sprintf("version: 1\nname: %s\ndata_dir: state\npolicy: {contracts: [shop-customers@1]}\ndata:\n  - {contract: shop-customers@1, id: customers, source: {csv: customers.csv, missing: [\"\", NA]}}\n", name),
		"shop-customers.yaml": "version: 1\nname: shop-customers\nrevision: 1\nkey: id\nmax_rows: 100\nlabel: {column: churned, positive: \"yes\", negative: \"no\"}\n" +
			"columns:\n  age: {type: number, min: 16, max: 110, nullable: true}\n  country: {type: category, values: [DE, FR], other: keep}\n",
		"customers.csv": "id,age,country,churned\n1,20,DE,yes\n2,NA,IT,no\n3,150,FR,no\n",
	}
	for file, text := range files {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "participant.yaml")
}

// answer is what a command printed.
type answer struct {
	code     int
	out, err string
}

func run(t *testing.T, config string, args ...string) answer {
	t.Helper()
	var out, err bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	code := Main(ctx, append([]string{"--config", config}, args...), &out, &err)
	return answer{code, out.String(), err.String()}
}

func encode(t *testing.T, token invite.Token) string {
	t.Helper()
	s, err := token.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return s
}
