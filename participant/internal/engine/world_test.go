package engine

import (
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
	mathrand "math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"tributary/crypto/identity"
	"tributary/participant/internal/client"
	"tributary/participant/internal/config"
	"tributary/participant/internal/store"
	"tributary/protocol/jobspec"
	"tributary/protocol/pb"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

const contractText = `version: 1
name: shop-customers
revision: 1
key: customer_id
max_rows: 10000
label: {column: churned, positive: "yes", negative: "no"}
columns:
  age:     {type: number, min: 16, max: 110}
  country: {type: category, values: [DE, FR], other: keep}
`

const specText = `version: 1
name: churn
contract: shop-customers@1
features:
  - {columns: [age], transform: standardize}
  - {columns: [country], transform: one_hot, min_count: 5}
model: {type: logistic_regression, l2: 1.0, max_rounds: 3}
evaluate: {holdout: 0.2}
privacy: exact
run: {mode: sealed, committee: {threshold: 3, of: 4}, round_timeout: 2m, expires: 1h}
`

// member is one participant's machine.
type member struct {
	name   string
	key    *identity.Key
	dir    string
	config *config.Config
	cancel context.CancelFunc
	done   chan error
	node   *Node // that was started last
}

// world is a consortium on loopback: a fake coordinator and real nodes.
type world struct {
	t        *testing.T
	fake     *fake
	address  string
	root     *x509.Certificate
	rootKey  *ecdsa.PrivateKey
	contract *jobspec.Contract
	members  []*member
	observe  func(m *member, e round.Effect) error
	now      func() time.Time
	tap      tap
}

func newWorld(t *testing.T, names ...string) *world {
	t.Helper()
	key, _ := identity.Generate()
	w := &world{t: t, now: time.Now}
	w.fake = &fake{t: t, key: key, members: map[string]wire.Member{}, wake: make(chan struct{}), puts: map[wire.Type]int{}, uploads: map[wire.Member][]wire.Digest{}, fetched: map[pb.FetchKind]int{}, partsLeft: map[wire.Member]int{}, charged: map[wire.Digest]bool{}, asked: map[wire.Member]int{}}
	w.fake.charter = &wire.Charter{Consortium: "shops", Version: 1, F: 1, Organisation: "Hub", Coordinator: key.Public(), LogOrigin: "shops/log"}
	w.contract = parseContract(t, contractText)
	w.serve()
	for i, name := range names {
		w.join(name, 200+20*i)
	}
	slices.SortFunc(w.fake.charter.Members, func(a, b wire.CharterMember) int { return a.Card.Key.Compare(b.Card.Key) })
	for _, m := range w.members {
		w.enrol(m)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	go w.fake.tick(ctx)
	return w
}

func parseContract(t *testing.T, text string) *jobspec.Contract {
	t.Helper()
	c, problems := jobspec.ParseContract([]byte(text))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return c
}

func (w *world) serve() {
	w.rootKey, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, w.rootKey.Public(), w.rootKey)
	if err != nil {
		w.t.Fatal(err)
	}
	w.root, _ = x509.ParseCertificate(der)
	serverKey, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	leaf := w.issue("coordinator", serverKey, x509.ExtKeyUsageServerAuth)
	pool := x509.NewCertPool()
	pool.AddCert(w.root)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	server := grpc.NewServer(grpc.StatsHandler(&w.tap), grpc.Creds(credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS13, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool,
		Certificates: []tls.Certificate{{Certificate: [][]byte{leaf, w.root.Raw}, PrivateKey: serverKey}}})))
	pb.RegisterParticipantServer(server, w.fake)
	w.address = listener.Addr().String()
	go server.Serve(listener)
	w.t.Cleanup(server.Stop)
}

func (w *world) issue(name string, key *ecdsa.PrivateKey, usage x509.ExtKeyUsage) []byte {
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<60))
	template := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{usage}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, w.root, key.Public(), w.rootKey)
	if err != nil {
		w.t.Fatal(err)
	}
	return der
}

// join makes a member with its keys, data and config.
func (w *world) join(name string, rows int) *member {
	dir := w.t.TempDir()
	m := &member{name: name, dir: dir}
	s, err := store.Open(filepath.Join(dir, "state"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer s.Close()
	if m.key, err = identity.LoadOrCreate(filepath.Join(s.Dir(), store.IdentityFile)); err != nil {
		w.t.Fatal(err)
	}
	tlsKey, pem, err := client.NewKey()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := s.WriteFile(store.TLSKeyFile, pem); err != nil {
		w.t.Fatal(err)
	}
	chain := [][]byte{w.issue(name, tlsKey, x509.ExtKeyUsageClientAuth), w.root.Raw}
	if err := s.WriteFile(store.ChainFile, client.EncodeChain(chain)); err != nil {
		w.t.Fatal(err)
	}
	w.writeRows(m, rows, 1)
	w.write(m, "shop-customers.yaml", contractText)
	w.configure(m, "contracts: [shop-customers@1], approve: automatic")
	w.fake.members[name] = m.key.Public()
	w.fake.charter.Members = append(w.fake.charter.Members, wire.CharterMember{Card: wire.NewCard(m.key, name, strings.ToUpper(name)+" AG"), Role: wire.RoleBoth})
	w.members = append(w.members, m)
	return m
}

func (w *world) write(m *member, name, text string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(m.dir, name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// writeRows makes rows whose label depends on age and country, with a name so that members differ.
func (w *world) writeRows(m *member, rows int, seed uint64) {
	r := mathrand.New(mathrand.NewPCG(seed, uint64(rows)))
	var b strings.Builder
	b.WriteString("customer_id,age,country,churned\n")
	for i := range rows {
		age, country, label := 20+r.IntN(60), []string{"DE", "FR", "IT"}[r.IntN(3)], "no"
		if r.Float64() < 0.2+float64(age)/200 {
			label = "yes"
		}
		fmt.Fprintf(&b, "%s-%d,%d,%s,%s\n", m.name, i, age, country, label)
	}
	w.write(m, "customers.csv", b.String())
}

func (w *world) configure(m *member, policy string) {
	w.t.Helper()
	text := fmt.Sprintf("version: 1\nname: %s\ndata_dir: state\npolicy: {%s}\ndata:\n  - {contract: shop-customers@1, id: customers, source: {csv: customers.csv}}\n", m.name, policy)
	w.write(m, "participant.yaml", text)
	c, err := config.Load(filepath.Join(m.dir, "participant.yaml"))
	if err != nil {
		w.t.Fatal(err)
	}
	m.config = c
}

func (w *world) enrol(m *member) {
	w.with(m, func(s *store.Store) {
		if err := s.SaveEnrolment(store.Enrolment{Fingerprint: sha256.Sum256(w.root.Raw), Address: w.address, Coordinator: w.fake.key.Public(), Consortium: "shops", Name: m.name}); err != nil {
			w.t.Fatal(err)
		}
		e := wire.Sign(w.fake.key, w.fake.charter)
		if err := s.AcceptCharter(&e); err != nil {
			w.t.Fatal(err)
		}
	})
}

func (w *world) with(m *member, f func(*store.Store)) {
	w.t.Helper()
	s, err := store.Open(m.config.DataDir)
	if err != nil {
		w.t.Fatal(err)
	}
	defer s.Close()
	f(s)
}

// node makes a member's node without running it.
func (w *world) node(m *member) *Node {
	w.t.Helper()
	s, err := store.Open(m.config.DataDir)
	if err != nil {
		w.t.Fatal(err)
	}
	enrolment, err := s.Enrolment()
	if err != nil {
		w.t.Fatal(err)
	}
	creds, err := client.LoadCredentials(filepath.Join(s.Dir(), store.TLSKeyFile), filepath.Join(s.Dir(), store.ChainFile))
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := client.Dial(client.Options{Address: enrolment.Address, Fingerprint: enrolment.Fingerprint, Credentials: creds})
	if err != nil {
		w.t.Fatal(err)
	}
	log := zaptest.NewLogger(w.t, zaptest.Level(zap.WarnLevel), zaptest.WrapOptions(zap.Fields(zap.String("node", m.name))))
	n, err := New(Options{Config: m.config, Store: s, Identity: m.key, Client: c, Credentials: creds, Log: log, Now: w.now})
	if err != nil {
		w.t.Fatal(err)
	}
	if w.observe != nil {
		n.observe = func(e round.Effect) error { return w.observe(m, e) }
	}
	return n
}

// start runs a member's node until stop, the test's end, or its own.
func (w *world) start(m *member) {
	w.t.Helper()
	n := w.node(m)
	m.node = n
	ctx, cancel := context.WithCancel(context.Background())
	m.cancel, m.done = cancel, make(chan error, 1)
	go func() {
		err := n.Run(ctx)
		n.Client.Close()
		n.Store.Close()
		m.done <- err
	}()
	w.t.Cleanup(func() { w.stop(m) })
}

func (w *world) stop(m *member) error {
	if m.cancel == nil {
		return nil
	}
	m.cancel()
	m.cancel = nil
	select {
	case err := <-m.done:
		return err
	case <-time.After(10 * time.Second):
		w.t.Error("the node doesn't stop")
		return nil
	}
}

func (w *world) startAll() {
	for _, m := range w.members {
		w.start(m)
	}
}

func (w *world) cohort() []wire.Member {
	var out []wire.Member
	for _, m := range w.members {
		out = append(out, m.key.Public())
	}
	return out
}

func (w *world) resolve(spec string, members []string) *jobspec.Resolved {
	w.t.Helper()
	s, problems := jobspec.ParseSpec([]byte(spec))
	if len(problems) > 0 {
		w.t.Fatal(problems)
	}
	r, problems := jobspec.Resolve(s, w.contract, jobspec.Options{F: 1, Members: members, Seats: len(w.members)})
	if len(problems) > 0 {
		w.t.Fatal(problems)
	}
	return r
}

// submit proposes the job of a spec to the whole consortium.
func (w *world) submit(spec string) wire.Digest {
	var names []string
	for _, m := range w.members {
		names = append(names, m.name)
	}
	r, cohort := w.resolve(spec, names), []wire.Member(nil)
	for _, m := range w.members {
		if slices.Contains(r.Participants, m.name) {
			cohort = append(cohort, m.key.Public())
		}
	}
	return w.fake.propose(r, w.contract, cohort, w.cohort()[:r.Committee.Of], nil)
}

// until waits for a condition.
func (w *world) until(what string, f func() bool) {
	w.t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if f() {
			return
		}
	}
	w.t.Fatalf("waited in vain: %s", what)
}

func (w *world) ends(job wire.Digest, want round.Status) {
	w.t.Helper()
	w.until("job "+string(want), func() bool { return w.fake.view(job).Status.Final() })
	if v := w.fake.view(job); v.Status != want {
		w.t.Fatalf("job %s: %s", v.Status, v.Reason)
	}
}

func (w *world) job(m *member, id wire.Digest) *store.Job {
	var out *store.Job
	w.with(m, func(s *store.Store) { out, _ = s.Job(id) })
	return out
}

func (w *world) closed(m *member, id wire.Digest) {
	w.t.Helper()
	w.until(m.name+" closes the job", func() bool { j := w.job(m, id); return j != nil && !j.Status.Open() })
}
