package main

import (
	"bytes"
	"os"
	"testing"
	"time"

	"tributary/protocol/charter"
	"tributary/protocol/ledger"
	"tributary/protocol/wire"
)

func TestVerifyDemandsAsManyWitnessesAsAsked(t *testing.T) {
	file := export(t, "good.jsonl", nil)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	x, err := ledger.ReadExport(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var log ledger.Memory
	for _, e := range x.Entries {
		if _, err := ledger.Append(&log, e); err != nil {
			t.Fatal(err)
		}
	}
	cosigned := func(name string, by byte) string {
		checkpoint, err := ledger.Cosign(x.Checkpoint, ledger.WitnessName("shops/log", name), key(by).Ed25519(), time.Unix(1_795_000_000, 0))
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := ledger.WriteExport(&b, &log, checkpoint); err != nil {
			t.Fatal(err)
		}
		return write(t, "cosigned.jsonl", b.Bytes())
	}
	name := names(t, x)[key(1).Public()]
	one, stranger := cosigned(name, 1), cosigned(name, 9)
	for _, c := range []struct {
		args  []string
		code  int
		words string
	}{
		{[]string{"verify", one}, ok, "cosigned by " + name + "; not by "},
		{[]string{"verify", one, "--witnesses", "1"}, ok, "verified: 10 entries"},
		{[]string{"verify", one, "--witnesses", "2"}, unverified, "1 members cosigned, want at least 2"},
		{[]string{"verify", one, "--witnesses", "-1"}, wrongUsage, "invalid value"},
		{[]string{"verify", one, "--output", "json"}, ok, `"cosigned": [`},
		{[]string{"verify", file, "--witnesses", "1"}, unverified, "0 members cosigned, want at least 1"},
		{[]string{"verify", file}, ok, "cosigned by no member"},
		{[]string{"verify", stranger}, unverified, "(cosignature)"},
		{[]string{"report", stranger}, unverified, "Verified  NO"},
	} {
		code, out, problems := called(c.args...)
		if code != c.code || !bytes.Contains([]byte(out+problems), []byte(c.words)) {
			t.Errorf("%v: exit code %d, want %d and %q:\n%s%s", c.args, code, c.code, c.words, out, problems)
		}
	}
}

// names are the members' by their keys, as the charter has them.
func names(t *testing.T, x *ledger.Export) map[wire.Member]string {
	t.Helper()
	out := map[wire.Member]string{}
	for _, e := range x.Entries {
		if c := charter.OfEntry(e, key(100).Public()); c != nil {
			for i := range c.Members {
				out[c.Members[i].Card.Key] = c.Members[i].Card.Name
			}
		}
	}
	return out
}
