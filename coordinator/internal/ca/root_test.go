package ca

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func testNow() time.Time { return time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC) }

func newCA(t *testing.T) (*CA, string) {
	t.Helper()
	dir := t.TempDir()
	c, err := Init(dir, "Shops of the Alps & Baltic", testNow())
	if err != nil {
		t.Fatal(err)
	}
	return c, dir
}

func TestRootSurvivesARestart(t *testing.T) {
	made, dir := newCA(t)
	loaded, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if loaded.Fingerprint() != made.Fingerprint() || loaded.Fingerprint() != sha256.Sum256(loaded.RootDER()) {
		t.Fatal("fingerprint changed")
	}
	if !loaded.key.Equal(made.key) {
		t.Fatal("key changed")
	}
	root := loaded.root
	if root.Subject.Organization[0] != "Shops of the Alps & Baltic" || !root.IsCA || !root.MaxPathLenZero || root.MaxPathLen != 0 ||
		root.KeyUsage != x509.KeyUsageCertSign || root.PublicKey.(*ecdsa.PublicKey).Curve != elliptic.P256() {
		t.Fatalf("root %+v", root)
	}
	if want := testNow().AddDate(10, 0, 0); !loaded.NotAfter().Equal(want) {
		t.Fatalf("root valid to %v, want %v", loaded.NotAfter(), want)
	}
}

func TestKeyIsReadableByItsOwnerOnly(t *testing.T) {
	_, dir := newCA(t)
	info, err := os.Stat(filepath.Join(dir, "ca.key"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o600 {
		t.Fatalf("ca.key has mode %v", info.Mode())
	}
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != 2 {
		t.Fatalf("%v, %v: want ca.key and ca.pem alone", names, err)
	}
	for _, mode := range []fs.FileMode{0o640, 0o604, 0o660} {
		if err := os.Chmod(filepath.Join(dir, "ca.key"), mode); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(dir); !errors.Is(err, ErrStorage) || !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("mode %v: %v", mode, err)
		}
	}
}

func TestAnAuthorityIsNeverOverwritten(t *testing.T) {
	_, dir := newCA(t)
	read := func() []byte {
		key, err := os.ReadFile(filepath.Join(dir, "ca.key"))
		if err != nil {
			t.Fatal(err)
		}
		cert, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
		if err != nil {
			t.Fatal(err)
		}
		return append(key, cert...)
	}
	before := read()
	if _, err := Init(dir, "again", testNow()); !errors.Is(err, ErrExists) {
		t.Fatal(err)
	}
	if err := writeNew(dir, keyFile, 0o600, "PRIVATE KEY", []byte{1}); !errors.Is(err, ErrExists) {
		t.Fatal(err)
	}
	if !bytes.Equal(before, read()) {
		t.Fatal("files changed")
	}
	for _, name := range []string{"ca.key", "ca.pem"} {
		half := t.TempDir()
		if err := os.WriteFile(filepath.Join(half, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Init(half, "new", testNow()); !errors.Is(err, ErrExists) {
			t.Errorf("with only %s: %v", name, err)
		}
	}
}

func TestDamagedFilesAreRefused(t *testing.T) {
	_, otherDir := newCA(t)
	other := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(otherDir, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(p384)
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		name string
		data []byte // nil: file removed
	}{
		"no key":               {"ca.key", nil},
		"no certificate":       {"ca.pem", nil},
		"empty key":            {"ca.key", []byte{}},
		"empty certificate":    {"ca.pem", []byte{}},
		"another's key":        {"ca.key", other("ca.key")},
		"another's root":       {"ca.pem", other("ca.pem")},
		"two keys":             {"ca.key", append(other("ca.key"), other("ca.key")...)},
		"certificate for key":  {"ca.key", other("ca.pem")},
		"key for certificate":  {"ca.pem", other("ca.key")},
		"key of another curve": {"ca.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})},
		"nonsense key":         {"ca.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")})},
		"nonsense certificate": {"ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})},
		"huge certificate":     {"ca.pem", make([]byte, maxFileBytes+1)},
	} {
		_, dir := newCA(t)
		path := filepath.Join(dir, c.name)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if c.data != nil {
			if err := os.WriteFile(path, c.data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Load(dir); !errors.Is(err, ErrStorage) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestInitNeedsANameAndADirectory(t *testing.T) {
	for _, name := range []string{"", strings.Repeat("x", 65), "a\nb", "\xff"} {
		if _, err := Init(t.TempDir(), name, testNow()); !errors.Is(err, ErrSubject) {
			t.Errorf("consortium %q: %v", name, err)
		}
	}
	if _, err := Init(filepath.Join(t.TempDir(), "missing"), "name", testNow()); !errors.Is(err, ErrStorage) {
		t.Errorf("missing directory: %v", err)
	}
}
