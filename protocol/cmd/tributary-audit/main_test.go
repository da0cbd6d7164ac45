package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tributary/crypto/identity"
	"tributary/protocol/ledger"
	"tributary/protocol/wire"
)

// export writes the ledger of one exact job, honest up to what edit changes, and returns the file's name.
func export(t *testing.T, name string, edit func(*ledger.Memory, func(ledger.Kind, *identity.Key, wire.Object))) string {
	t.Helper()
	hub := key(100)
	members := []*identity.Key{key(1), key(2), key(3)}
	slices.SortFunc(members, func(a, b *identity.Key) int { return a.Public().Compare(b.Public()) })
	var log ledger.Memory
	add := func(kind ledger.Kind, k *identity.Key, o wire.Object) {
		e := wire.Sign(k, o)
		if _, err := ledger.Append(&log, ledger.Entry{Kind: kind, AtMs: 1_795_000_000_000, Object: e.Bytes()}); err != nil {
			t.Fatal(err)
		}
	}
	c := &wire.Charter{Consortium: "shops", Version: 1, F: 1, Organisation: "Hub", Coordinator: hub.Public(), LogOrigin: "shops/log"}
	m := &wire.Manifest{Kind: wire.Exact, Mode: wire.Sealed, T: 3, F: 1, NMin: 3, Rounds: []wire.RoundSpec{{Kind: wire.Fit, MaxRounds: 1}}}
	for i, k := range members {
		card := wire.NewCard(k, []string{"alpen", "baltic", "coast"}[i], "AG")
		add(ledger.Enrolment, hub, &wire.Enrolment{Card: card, Role: wire.RoleBoth})
		c.Members = append(c.Members, wire.CharterMember{Card: card, Role: wire.RoleBoth})
		m.Cohort = append(m.Cohort, k.Public())
		m.Committee = append(m.Committee, wire.Seat{Index: uint16(i + 1), Member: k.Public()})
	}
	add(ledger.Charter, hub, c)
	m.CharterDigest = c.Digest()
	add(ledger.Job, hub, m)
	for _, k := range members {
		add(ledger.Approval, k, &wire.Approval{Job: m.Digest(), Member: k.Public(), SeatKey: []byte{1}})
	}
	head, err := ledger.CurrentHead(&log)
	if err != nil {
		t.Fatal(err)
	}
	job := m.Digest()
	parts := [][]byte{job[:]}
	for _, k := range members {
		parts = append(parts, wire.Encode(&wire.Approval{Job: job, Member: k.Public(), SeatKey: []byte{1}}))
	}
	plan := &wire.Plan{Job: job, Round: 1, Kind: wire.Fit, StateDigest: wire.Digest{4}, LedgerSize: uint64(head.Size), LedgerRoot: head.Root}
	add(ledger.Plan, hub, plan)
	r := &wire.Release{Job: job, Round: 1, Kind: wire.Fit, Ctx: plan.Context(wire.Hash("closed-job", parts...)), Root: wire.Digest{2}, NextState: wire.Digest{3}}
	add(ledger.Release, hub, r)
	if edit != nil {
		edit(&log, add)
	}
	if head, err = ledger.CurrentHead(&log); err != nil {
		t.Fatal(err)
	}
	checkpoint, err := ledger.SignCheckpoint("shops/log", head, hub.Ed25519())
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := ledger.WriteExport(&b, &log, checkpoint); err != nil {
		t.Fatal(err)
	}
	return write(t, name, b.Bytes())
}

func key(b byte) *identity.Key { k, _ := identity.FromSeed(bytes.Repeat([]byte{b}, 32)); return k }

func write(t *testing.T, name string, content []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func called(args ...string) (code int, out, problems string) {
	var o, p bytes.Buffer
	code = run(args, &o, &p)
	return code, o.String(), p.String()
}

func TestCommandsSayWhatTheyFoundByExitCodeAndText(t *testing.T) {
	good := export(t, "good.jsonl", nil)
	grown := export(t, "grown.jsonl", func(_ *ledger.Memory, add func(ledger.Kind, *identity.Key, wire.Object)) {
		add(ledger.Revocation, key(100), &wire.Revocation{Member: key(1).Public(), Reason: "left"})
	})
	forked := export(t, "forked.jsonl", func(_ *ledger.Memory, add func(ledger.Kind, *identity.Key, wire.Object)) {
		add(ledger.Revocation, key(100), &wire.Revocation{Member: key(2).Public(), Reason: "left"})
	})
	broken := export(t, "broken.jsonl", func(_ *ledger.Memory, add func(ledger.Kind, *identity.Key, wire.Object)) {
		add(ledger.Revocation, key(1), &wire.Revocation{Member: key(2).Public(), Reason: "by one who may not"})
	})
	data, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	edited := bytes.Clone(data)
	edited[len(edited)/2] ^= 1
	damaged := write(t, "damaged.jsonl", edited)
	hub, other := key(100).Public().String(), key(66).Public().String()
	for _, c := range []struct {
		args  string
		code  int
		words string // in either output
	}{
		{"verify " + good, ok, "verified: 10 entries"},
		{"verify --coordinator " + hub + " " + good, ok, "signed by the coordinator"},
		{"verify " + good + " --coordinator " + other, unverified, "not the one that was asked for"},
		{"verify " + good + " --output json", ok, `"verified": true`},
		{"verify " + broken + " --output json", unverified, `"entry": 10`},
		{"verify " + broken, unverified, "entry 10: signed by"},
		{"verify " + damaged, unverified, "entry "},
		{"verify " + good + ".missing", wrongUsage, "tributary ledger export FILE"},
		{"verify", wrongUsage, "--help"},
		{"verify " + good + " --coordinator 12", wrongUsage, "64 hexadecimal digits"},
		{"verify " + good + " --output yaml", wrongUsage, "want one of [text json]"},
		{"verify --help", ok, "Usage:"},
		{"nothing", wrongUsage, "Usage:"},
		{"show " + good, ok, "version 1 of \"shops\""},
		{"show " + broken, unverified, "by one who may not"},
		{"report " + good, ok, "exact sums opened with its data: 1"},
		{"report " + good + " --format json --member baltic", ok, `"name": "baltic"`},
		{"report " + good + " --format csv", ok, "verified,member"},
		{"report " + good + " --format html", ok, "<!doctype html>"},
		{"report " + good + " --format pdf", ok, "(Verified: signatures, rosters and charges)Tj"},
		{"report " + broken + " --format pdf", unverified, "(NOT VERIFIED: this can't be relied on)Tj"},
		{"report " + good + " --member nobody", wrongUsage, `nobody is called "nobody"`},
		{"report " + broken, unverified, "Verified  NO"},
		{"explain " + good + " 9", ok, "The job is exact"},
		{"explain 9 " + good, wrongUsage, "no such file"},
		{"explain " + good + " 7", wrongUsage, "entry 7 is of kind approval"},
		{"explain --output json " + good + " 9", ok, `"contributors"`},
		{"diff " + good + " " + grown, ok, "baltic revoked: left"},
		{"diff " + grown + " " + good, ok, "goes on from"},
		{"diff " + good + " " + good, ok, "the same ledger"},
		{"diff " + grown + " " + forked, unverified, "FORK at entry 10"},
		{"diff " + grown + " " + forked + " --output json", unverified, `"relation": "fork"`},
		{"diff " + good + " " + broken, unverified, "entry 10: signed by"},
	} {
		code, out, problems := called(strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(out+problems, c.words) {
			t.Errorf("%s: exit code %d, want %d and %q:\n%s%s", c.args, code, c.code, c.words, out, problems)
		}
		if strings.HasSuffix(c.args, "json") || strings.Contains(c.args, "json ") {
			if code != wrongUsage && !json.Valid([]byte(out)) {
				t.Errorf("%s: not JSON:\n%s", c.args, out)
			}
		}
		if code != ok && strings.HasPrefix(problems, "tributary-audit:") && !strings.Contains(problems, "hint: ") {
			t.Errorf("%s: no hint:\n%s", c.args, problems)
		}
	}
}

func TestReportIsWrittenWholeToAFile(t *testing.T) {
	good := export(t, "good.jsonl", nil)
	file := filepath.Join(t.TempDir(), "report.html")
	if code, out, problems := called("report", good, "--format", "html", "--out", file); code != ok || out != "" {
		t.Fatalf("%d %s %s", code, out, problems)
	}
	page, err := os.ReadFile(file)
	if err != nil || !bytes.HasSuffix(bytes.TrimSpace(page), []byte("</html>")) {
		t.Errorf("%v %.200s", err, page)
	}
	if code, _, problems := called("report", good, "--out", filepath.Join(file, "no")); code != wrongUsage || !strings.Contains(problems, "--out") {
		t.Errorf("%d %s", code, problems)
	}
}

func TestPDFReportOfABadLedgerIsWrittenSaysSoAndExits3(t *testing.T) {
	broken := export(t, "broken.jsonl", func(_ *ledger.Memory, add func(ledger.Kind, *identity.Key, wire.Object)) {
		add(ledger.Revocation, key(1), &wire.Revocation{Member: key(2).Public(), Reason: "by one who may not"})
	})
	file := filepath.Join(t.TempDir(), "report.pdf")
	code, out, problems := called("report", broken, "--format", "pdf", "--out", file)
	if code != unverified || out != "" || !strings.Contains(problems, "entry 10: ") {
		t.Errorf("exit code %d, want %d:\n%s%s", code, unverified, out, problems)
	}
	content, err := os.ReadFile(file)
	if err != nil || !bytes.HasPrefix(content, []byte("%PDF-1.")) || !bytes.HasSuffix(bytes.TrimSpace(content), []byte("%%EOF")) {
		t.Fatalf("%v %.200s", err, content)
	}
	for _, want := range []string{"NOT VERIFIED", "This ledger doesn't verify.", "entry 10: signed by"} {
		if !bytes.Contains(content, []byte(want)) {
			t.Errorf("the file lacks %q", want)
		}
	}
}
