package identity

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestSignatureOfAnotherKeyOrMessageIsRefused(t *testing.T) {
	a, _ := Generate()
	b, _ := Generate()
	sig := a.Sign([]byte("plan"))
	if !Verify(a.Public(), []byte("plan"), sig) {
		t.Fatal("own signature refused")
	}
	for name, ok := range map[string]bool{
		"other signer":  Verify(b.Public(), []byte("plan"), sig),
		"other message": Verify(a.Public(), []byte("plaN"), sig),
		"short":         Verify(a.Public(), []byte("plan"), sig[:63]),
		"empty":         Verify(a.Public(), []byte("plan"), nil),
	} {
		if ok {
			t.Errorf("%s: accepted", name)
		}
	}
	sig[5] ^= 1
	if Verify(a.Public(), []byte("plan"), sig) {
		t.Error("flipped bit accepted")
	}
}

func TestIdentityIsKeptAndPrivate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "identity.key")
	a, err := LoadOrCreate(file)
	if err != nil {
		t.Fatal(err)
	}
	b, err := LoadOrCreate(file)
	if err != nil {
		t.Fatal(err)
	}
	if a.Public() != b.Public() {
		t.Error("a second start made another identity")
	}
	info, _ := os.Stat(file)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %o, want 600", info.Mode().Perm())
	}
	if bytes.Contains([]byte(a.String()), a.private.Seed()) {
		t.Error("String shows the seed")
	}
	os.WriteFile(file, []byte("short"), 0o600)
	if _, err := LoadOrCreate(file); !errors.Is(err, ErrBadKey) {
		t.Errorf("truncated key file: %v", err)
	}
}

func TestPhraseFollowsTheDigest(t *testing.T) {
	// 0x7f00 0x0001 is "lusab-babad" in the proquint paper.
	if got := Phrase([32]byte{0x7f, 0, 0, 1}); got != "lusab-babad-babab-babab-babab" {
		t.Error(got)
	}
	seen := map[string]bool{}
	for i := range 10 {
		var d [32]byte
		d[i] = 1
		seen[Phrase(d)] = true
	}
	if len(seen) != 10 {
		t.Error("a byte of the first ten doesn't show in the phrase")
	}
}

func TestParsePublicKey(t *testing.T) {
	k, _ := Generate()
	if p, err := ParsePublicKey(k.Public().String()); err != nil || p != k.Public() {
		t.Error(err)
	}
	for _, bad := range []string{"", "00", k.Public().String() + "00", "zz" + k.Public().String()[2:]} {
		if _, err := ParsePublicKey(bad); !errors.Is(err, ErrBadKey) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
