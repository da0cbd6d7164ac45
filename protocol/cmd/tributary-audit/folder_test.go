package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tributary/crypto/identity"
	"tributary/protocol/audit"
	"tributary/protocol/ledger"
	"tributary/protocol/wire"
)

// folderOf copies files into one folder.
func folderOf(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(f)), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestVerifyOfAFolderComparesAllThatIsInIt(t *testing.T) {
	revoke := func(b byte) func(*ledger.Memory, func(ledger.Kind, *identity.Key, wire.Object)) {
		return func(_ *ledger.Memory, add func(ledger.Kind, *identity.Key, wire.Object)) {
			add(ledger.Revocation, key(100), &wire.Revocation{Member: key(b).Public(), Reason: "left"})
		}
	}
	good, grown, forked := export(t, "good.jsonl", nil), export(t, "grown.jsonl", revoke(1)), export(t, "forked.jsonl", revoke(2))
	own := func(name, of string, words ...audit.OwnWord) string {
		data, err := os.ReadFile(of)
		if err != nil {
			t.Fatal(err)
		}
		x, err := audit.ReadFile(data)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := audit.WriteOwn(&b, &audit.Own{Member: key(1).Public(), Head: x.Head, Words: words}); err != nil {
			t.Fatal(err)
		}
		return write(t, name, b.Bytes())
	}
	e := wire.Sign(key(1), &wire.Policy{Member: key(1).Public(), Version: 1, Text: "approve: manual"})
	dropped := audit.OwnWord{Envelope: e.Bytes(), Acknowledged: true}
	damaged := write(t, "damaged.jsonl", []byte("{}"))
	for _, c := range []struct {
		name  string
		files []string
		code  int
		words string
	}{
		{"one export", []string{good}, ok, "verified: 10 entries"},
		{"two of one ledger", []string{good, grown}, ok, "verified: 11 entries"},
		{"with a member's records", []string{good, grown, own("a.own", good)}, ok, "members' own records: 1"},
		{"a fork", []string{grown, forked}, unverified, "neither ledger goes on from the other"},
		{"a member saw a fork", []string{forked, own("a.own", grown)}, unverified, "a fork"},
		{"a member saw more", []string{good, own("a.own", grown)}, unverified, "ask for a newer export"},
		{"a word was dropped", []string{good, own("a.own", good, dropped)}, unverified, "isn't in the ledger: it was dropped"},
		{"a damaged export", []string{good, damaged}, unverified, "damaged.jsonl"},
		{"damaged records", []string{good, write(t, "b.own", []byte("x"))}, unverified, "not a member's own records"},
		{"nothing", nil, wrongUsage, "has no file *.jsonl"},
	} {
		dir := folderOf(t, c.files...)
		for _, command := range []string{"verify", "report"} {
			code, out, problems := called(command, dir)
			if want := c.words; code != c.code || command == "verify" && !strings.Contains(out+problems, want) {
				t.Errorf("%s %s: exit code %d, want %d and %q:\n%s%s", command, c.name, code, c.code, want, out, problems)
			}
		}
	}
}
