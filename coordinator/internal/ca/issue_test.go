package ca

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"math/big"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"
)

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func request(t *testing.T, key crypto.Signer, template *x509.CertificateRequest) []byte {
	t.Helper()
	if template == nil {
		template = &x509.CertificateRequest{}
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func alpenShop() Subject {
	return Subject{Kind: Participant, Name: "alpen-shop", IdentityPK: [32]byte{0xa1, 31: 0x0f}}
}

func issued(t *testing.T, c *CA, key crypto.Signer, s Subject, ttl time.Duration) *x509.Certificate {
	t.Helper()
	out, err := c.Issue(request(t, key, nil), s, ttl, testNow())
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(out.Chain[0])
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Chain) != 2 || !bytes.Equal(out.Chain[1], c.RootDER()) {
		t.Fatalf("chain of %d", len(out.Chain))
	}
	if !out.NotAfter.Equal(cert.NotAfter) || out.Serial != cert.SerialNumber.Text(16) || len(out.Serial) != 32 {
		t.Fatalf("issued %v %q, certificate %v %x", out.NotAfter, out.Serial, cert.NotAfter, cert.SerialNumber)
	}
	return cert
}

func TestCertificateSaysWhoTheCoordinatorEnrolled(t *testing.T) {
	c, _ := newCA(t)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []crypto.Signer{newKey(t), ed} {
		for _, s := range []Subject{
			alpenShop(),
			{Kind: Operator, Name: "admin"},
			{Kind: Server, Name: "coordinator", Hosts: []string{"coordinator.example.org", "localhost", "192.0.2.7", "2001:db8::1"}},
		} {
			cert := issued(t, c, key, s, DefaultTTL)
			usage, _ := s.Kind.usage()
			_, err := cert.Verify(x509.VerifyOptions{Roots: c.pool(), CurrentTime: testNow(), KeyUsages: []x509.ExtKeyUsage{usage}})
			if err != nil {
				t.Fatalf("%s: %v", s.Kind, err)
			}
			peer, err := PeerFromCert(cert)
			want := Peer{Kind: s.Kind, Name: s.Name, IdentityPK: s.IdentityPK, Serial: cert.SerialNumber.Text(16)}
			if err != nil || peer != want {
				t.Fatalf("peer %+v, %v; want %+v", peer, err, want)
			}
			for _, h := range s.Hosts {
				if err := cert.VerifyHostname(h); err != nil {
					t.Errorf("host %s: %v", h, err)
				}
			}
			if want := testNow().Add(DefaultTTL); !cert.NotAfter.Equal(want) {
				t.Errorf("valid to %v, want %v", cert.NotAfter, want)
			}
			if cert.IsCA || cert.KeyUsage != x509.KeyUsageDigitalSignature || !key.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(cert.PublicKey) {
				t.Errorf("certificate %+v", cert)
			}
		}
	}
	want := "tributary:participant:a1" + strings.Repeat("0", 60) + "0f"
	if got := issued(t, c, ed, alpenShop(), time.Hour).URIs[0].String(); got != want {
		t.Errorf("participant's URI %q, want %q", got, want)
	}
	if got := issued(t, c, ed, Subject{Kind: Operator, Name: "admin"}, time.Hour).URIs[0].String(); got != "tributary:operator:admin" {
		t.Errorf("operator's URI %q", got)
	}
}

func TestNamesInARequestAreIgnored(t *testing.T) {
	c, _ := newCA(t)
	other, err := url.Parse("tributary:operator:admin")
	if err != nil {
		t.Fatal(err)
	}
	greedy := &x509.CertificateRequest{
		Subject:        pkix.Name{CommonName: "admin", Organization: []string{"Tributary"}},
		DNSNames:       []string{"coordinator.example.org"},
		EmailAddresses: []string{"admin@example.org"},
		IPAddresses:    []net.IP{net.IPv4(192, 0, 2, 7)},
		URIs:           []*url.URL{other},
		ExtraExtensions: []pkix.Extension{
			{Id: []int{2, 5, 29, 19}, Critical: true, Value: []byte{0x30, 0x03, 0x01, 0x01, 0xff}}, // basicConstraints: CA
			{Id: []int{2, 5, 29, 37}, Value: []byte{0x30, 0x0a, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01}},
		},
	}
	key := newKey(t)
	out, err := c.Issue(request(t, key, greedy), alpenShop(), time.Hour, testNow())
	if err != nil {
		t.Fatal(err)
	}
	got, err := x509.ParseCertificate(out.Chain[0])
	if err != nil {
		t.Fatal(err)
	}
	plain := issued(t, c, key, alpenShop(), time.Hour)
	if !bytes.Equal(got.RawSubject, plain.RawSubject) || len(got.Extensions) != len(plain.Extensions) {
		t.Fatalf("subject %v, %d extensions; want %v, %d", got.Subject, len(got.Extensions), plain.Subject, len(plain.Extensions))
	}
	for i, e := range plain.Extensions {
		if g := got.Extensions[i]; !g.Id.Equal(e.Id) || g.Critical != e.Critical || !bytes.Equal(g.Value, e.Value) {
			t.Errorf("extension %v: %x, want %v: %x", g.Id, g.Value, e.Id, e.Value)
		}
	}
	if peer, err := PeerFromCert(got); err != nil || peer.Kind != Participant || peer.Name != "alpen-shop" {
		t.Errorf("peer %+v, %v", peer, err)
	}
}

func TestOtherKeyTypesAreRefused(t *testing.T) {
	c, _ := newCA(t)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	requests := map[string][]byte{"RSA": request(t, rsaKey, nil)}
	for _, curve := range []elliptic.Curve{elliptic.P224(), elliptic.P384(), elliptic.P521()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		requests[curve.Params().Name] = request(t, key, nil)
	}
	good := request(t, newKey(t), nil)
	tampered := append([]byte(nil), good...)
	tampered[len(tampered)-1] ^= 1
	requests["broken signature"] = tampered
	requests["nothing"] = nil
	requests["nonsense"] = []byte("certificate, please")
	requests["a byte more"] = append(append([]byte(nil), good...), 0)
	requests["huge"] = make([]byte, maxRequestBytes+1)
	for name, der := range requests {
		if _, err := c.Issue(der, alpenShop(), time.Hour, testNow()); !errors.Is(err, ErrRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := c.Issue(good, alpenShop(), time.Hour, testNow()); err != nil {
		t.Errorf("the unchanged request: %v", err)
	}
}

func TestImpossibleSubjectsAreRefused(t *testing.T) {
	c, _ := newCA(t)
	csr := request(t, newKey(t), nil)
	pk := [32]byte{1}
	hosts := []string{"localhost"}
	for name, s := range map[string]Subject{
		"no kind":                      {Name: "x", IdentityPK: pk},
		"unknown kind":                 {Kind: "root", Name: "x"},
		"no name":                      {Kind: Operator},
		"name with a colon":            {Kind: Operator, Name: "admin:x"},
		"name with a slash":            {Kind: Operator, Name: "../x"},
		"long name":                    {Kind: Operator, Name: strings.Repeat("x", 64)},
		"participant without identity": {Kind: Participant, Name: "x"},
		"operator with identity":       {Kind: Operator, Name: "x", IdentityPK: pk},
		"operator with hosts":          {Kind: Operator, Name: "x", Hosts: hosts},
		"participant with hosts":       {Kind: Participant, Name: "x", IdentityPK: pk, Hosts: hosts},
		"server without hosts":         {Kind: Server, Name: "x"},
		"server with identity":         {Kind: Server, Name: "x", IdentityPK: pk, Hosts: hosts},
		"wildcard host":                {Kind: Server, Name: "x", Hosts: []string{"*.example.org"}},
		"host with port":               {Kind: Server, Name: "x", Hosts: []string{"example.org:8443"}},
		"empty host":                   {Kind: Server, Name: "x", Hosts: []string{""}},
		"empty label":                  {Kind: Server, Name: "x", Hosts: []string{"a..b"}},
		"umlaut host":                  {Kind: Server, Name: "x", Hosts: []string{"häuser.example"}},
		"too many hosts":               {Kind: Server, Name: "x", Hosts: strings.Split(strings.Repeat("h ", 65)+"h", " ")},
	} {
		if _, err := c.Issue(csr, s, time.Hour, testNow()); !errors.Is(err, ErrSubject) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, ttl := range []time.Duration{0, -time.Hour, MaxTTL + 1} {
		if _, err := c.Issue(csr, alpenShop(), ttl, testNow()); !errors.Is(err, ErrSubject) {
			t.Errorf("lifetime %v: %v", ttl, err)
		}
	}
}

func TestNothingOutlivesTheRoot(t *testing.T) {
	c, _ := newCA(t)
	csr := request(t, newKey(t), nil)
	late := c.NotAfter().Add(-time.Hour)
	out, err := c.Issue(csr, alpenShop(), DefaultTTL, late)
	if err != nil || !out.NotAfter.Equal(c.NotAfter()) {
		t.Errorf("an hour before the root's end: to %v, %v", out.NotAfter, err)
	}
	for _, now := range []time.Time{c.NotAfter(), testNow().Add(-time.Hour)} {
		if _, err := c.Issue(csr, alpenShop(), DefaultTTL, now); !errors.Is(err, ErrRootExpired) {
			t.Errorf("at %v: %v", now, err)
		}
	}
}

// Certificates of the root's own key that this package wouldn't write.
func TestOnlyNamesAsIssuedArePeers(t *testing.T) {
	c, _ := newCA(t)
	id := hex.EncodeToString(bytes.Repeat([]byte{0xab}, 32))
	client, server := x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth
	for name, w := range map[string]struct {
		cn    string
		uris  []string
		usage []x509.ExtKeyUsage
		edit  func(*x509.Certificate)
		ok    bool
	}{
		"as issued":            {"shop", []string{"tributary:participant:" + id}, []x509.ExtKeyUsage{client}, nil, true},
		"no URI":               {"shop", nil, []x509.ExtKeyUsage{client}, nil, false},
		"two URIs":             {"shop", []string{"tributary:participant:" + id, "tributary:operator:shop"}, []x509.ExtKeyUsage{client}, nil, false},
		"capitals":             {"shop", []string{"tributary:participant:" + strings.ToUpper(id)}, []x509.ExtKeyUsage{client}, nil, false},
		"short identity":       {"shop", []string{"tributary:participant:" + id[2:]}, []x509.ExtKeyUsage{client}, nil, false},
		"long identity":        {"shop", []string{"tributary:participant:" + id + "ab"}, []x509.ExtKeyUsage{client}, nil, false},
		"zero identity":        {"shop", []string{"tributary:participant:" + strings.Repeat("0", 64)}, []x509.ExtKeyUsage{client}, nil, false},
		"no identity":          {"shop", []string{"tributary:participant:"}, []x509.ExtKeyUsage{client}, nil, false},
		"another scheme":       {"shop", []string{"spiffe:participant:" + id}, []x509.ExtKeyUsage{client}, nil, false},
		"path form":            {"shop", []string{"tributary:/participant/" + id}, []x509.ExtKeyUsage{client}, nil, false},
		"query":                {"shop", []string{"tributary:operator:shop?x"}, []x509.ExtKeyUsage{client}, nil, false},
		"fourth part":          {"shop", []string{"tributary:operator:shop:x"}, []x509.ExtKeyUsage{client}, nil, false},
		"unknown kind":         {"shop", []string{"tributary:admin:shop"}, []x509.ExtKeyUsage{client}, nil, false},
		"operator, other name": {"shop", []string{"tributary:operator:admin"}, []x509.ExtKeyUsage{client}, nil, false},
		"operator, no name":    {"", []string{"tributary:operator:"}, []x509.ExtKeyUsage{client}, nil, false},
		"name with a space":    {"a b", []string{"tributary:participant:" + id}, []x509.ExtKeyUsage{client}, nil, false},
		"server's usage":       {"shop", []string{"tributary:participant:" + id}, []x509.ExtKeyUsage{server}, nil, false},
		"both usages":          {"shop", []string{"tributary:participant:" + id}, []x509.ExtKeyUsage{client, server}, nil, false},
		"no usage":             {"shop", []string{"tributary:participant:" + id}, nil, nil, false},
		"unknown usage": {"shop", []string{"tributary:participant:" + id}, []x509.ExtKeyUsage{client},
			func(c *x509.Certificate) { c.UnknownExtKeyUsage = append(c.UnknownExtKeyUsage, []int{1, 2, 3}) }, false},
		"an authority": {"shop", []string{"tributary:participant:" + id}, []x509.ExtKeyUsage{client},
			func(c *x509.Certificate) { c.BasicConstraintsValid, c.IsCA = true, true }, false},
		"host name": {"shop", []string{"tributary:participant:" + id}, []x509.ExtKeyUsage{client},
			func(c *x509.Certificate) { c.DNSNames = []string{"localhost"} }, false},
		"e-mail": {"shop", []string{"tributary:participant:" + id}, []x509.ExtKeyUsage{client},
			func(c *x509.Certificate) { c.EmailAddresses = []string{"a@b"} }, false},
		"server without host": {"shop", []string{"tributary:server:shop"}, []x509.ExtKeyUsage{server}, nil, false},
	} {
		template := &x509.Certificate{SerialNumber: big.NewInt(5), Subject: pkix.Name{CommonName: w.cn}, NotAfter: testNow(), ExtKeyUsage: w.usage}
		for _, s := range w.uris {
			u, err := url.Parse(s)
			if err != nil {
				t.Fatal(err)
			}
			template.URIs = append(template.URIs, u)
		}
		if w.edit != nil {
			w.edit(template)
		}
		der, err := x509.CreateCertificate(rand.Reader, template, c.root, newKey(t).Public(), c.key)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		peer, err := PeerFromCert(cert)
		if w.ok != (err == nil) || err != nil && !errors.Is(err, ErrPeer) {
			t.Errorf("%s: %+v, %v", name, peer, err)
		}
	}
	for name, cert := range map[string]*x509.Certificate{"nil": nil, "empty": {}, "root": c.root} {
		if _, err := PeerFromCert(cert); !errors.Is(err, ErrPeer) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
