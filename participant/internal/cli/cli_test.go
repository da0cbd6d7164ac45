package cli

import (
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tributary/participant/internal/store"
	"tributary/protocol/charter"
	"tributary/protocol/wire"
)

// expect checks exit code and words of an answer.
func (a answer) expect(t *testing.T, code int, words ...string) {
	t.Helper()
	if a.code != code {
		t.Fatalf("exit %d, want %d\n%s%s", a.code, code, a.out, a.err)
	}
	for _, word := range words {
		if !strings.Contains(a.out+a.err, word) {
			t.Errorf("no word of %q in\n%s%s", word, a.out, a.err)
		}
	}
}

func TestNodeEnrolsAndAcceptsTheCharter(t *testing.T) {
	f, config := newFake(t), folder(t, "alpen")
	run(t, config, "charter", "show").expect(t, exitUnauthorised, "isn't enrolled", "hint: run `tributary-participant enroll")
	run(t, config, "enroll", "--token", encode(t, f.token("alpen")), "--organisation", "Alpen AG").expect(t, exitOK, "Enrolled as alpen (Alpen AG) in shops, role both", "charter show")
	for _, name := range []string{store.IdentityFile, store.TLSKeyFile, store.ChainFile, store.DatabaseFile} {
		info, err := os.Stat(filepath.Join(filepath.Dir(config), "state", name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	f.invent("baltic", "coast")
	digest := f.charters[2].Digest()
	full := hex.EncodeToString(digest[:])
	run(t, config, "charter", "show").expect(t, exitOK, full, charter.Phrase(digest), "version 3", "(this node)", "baltic AG", "charter accept")
	run(t, config, "charter", "accept", full[:15]).expect(t, exitUsage, "not a digest")
	run(t, config, "charter", "accept", strings.Repeat("0", 16)).expect(t, exitRefused, full)
	run(t, config, "charter", "accept", full[:16]).expect(t, exitOK, "Accepted version 3")
	run(t, config, "charter", "show").expect(t, exitOK, "Accepted here.")
	f.invent("delta", "elbe") // two versions on: both follow, and the newest digest covers the one between
	digest = f.charters[4].Digest()
	run(t, config, "charter", "show").expect(t, exitOK, "Accepted here is version 3")
	run(t, config, "charter", "accept", hex.EncodeToString(digest[:])).expect(t, exitOK, "Accepted version 5")
	var shown map[string]any
	if err := json.Unmarshal([]byte(run(t, config, "charter", "show", "--output", "json").out), &shown); err != nil || shown["accepted"] != true || shown["f"] != 1.0 {
		t.Errorf("%v, %v", shown, err)
	}
}

func TestCharterThatDoesntFollowIsRefused(t *testing.T) {
	f, config := newFake(t), folder(t, "alpen")
	run(t, config, "enroll", "--token", encode(t, f.token("alpen"))).expect(t, exitOK)
	digest := f.charters[0].Digest()
	run(t, config, "charter", "accept", hex.EncodeToString(digest[:])).expect(t, exitOK)
	f.invent("ghost")
	forged := *f.charters[1]
	forged.Prev = wire.Digest{1}
	f.charters[1] = &forged
	digest = forged.Digest()
	run(t, config, "charter", "accept", hex.EncodeToString(digest[:])).expect(t, exitRefused, "invalid charter")
}

func TestFailedEnrolmentLosesNothing(t *testing.T) {
	f, config := newFake(t), folder(t, "alpen")
	identity := filepath.Join(filepath.Dir(config), "state", store.IdentityFile)
	wrong := f.token("alpen")
	wrong.Fingerprint[0]++
	run(t, config, "enroll", "--token", encode(t, wrong)).expect(t, exitUnauthorised, "certificate authority", "hint: ")
	key, err := os.ReadFile(identity)
	if err != nil {
		t.Fatal(err)
	}
	unreachable := f.token("alpen")
	unreachable.Address = "127.0.0.1:1"
	run(t, config, "enroll", "--token", encode(t, unreachable)).expect(t, exitUnreachable, "hint: check the address")
	run(t, config, "enroll", "--token", encode(t, f.token("baltic"))).expect(t, exitUsage, `the invitation is for "baltic", the config's name is "alpen"`)
	run(t, config, "enroll", "--token", "tributary-invite-nonsense").expect(t, exitUsage, "hint: ")
	run(t, config, "enroll").expect(t, exitUsage, "--token is missing")
	good := encode(t, f.token("alpen"))
	run(t, config, "enroll", "--token", good).expect(t, exitOK)
	run(t, config, "enroll", "--token", good).expect(t, exitUnauthorised, "already used", "hint: ask the coordinator's operator")
	run(t, config, "charter", "show").expect(t, exitOK) // the certificate of before still serves
	run(t, config, "enroll", "--token", encode(t, f.token("alpen"))).expect(t, exitOK)
	if again, _ := os.ReadFile(identity); string(again) != string(key) {
		t.Error("the identity changed")
	}
}

func TestCheckTellsCountsAndWhatIsWrong(t *testing.T) {
	f, config := newFake(t), folder(t, "alpen")
	run(t, config, "check").expect(t, exitUnauthorised, "3 rows fit the contract", "isn't enrolled")
	run(t, config, "enroll", "--token", encode(t, f.token("alpen"))).expect(t, exitOK)
	run(t, config, "check").expect(t, exitOK, "3 rows fit the contract", "age                      missing 1, other 0, at the contract's bounds 1", "missing 0, other 1", "Coordinator: reached", "none accepted")
	csv := filepath.Join(filepath.Dir(config), "customers.csv")
	if err := os.WriteFile(csv, []byte("id,age,country,churned\n1,20,DE,yes\n2,old,DE,no\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, config, "check").expect(t, exitUsage, "row 3, column age", "Coordinator: reached")
	a := run(t, config, "check", "--output", "json")
	a.expect(t, exitUsage)
	var told struct{ Error failure }
	if err := json.Unmarshal([]byte(a.out), &told); err != nil || told.Error.Code != "data" || !strings.Contains(told.Error.Message, "row 3") {
		t.Errorf("%s: %v", a.out, err)
	}
}

func TestConfigErrorsTellTheirLine(t *testing.T) {
	config := folder(t, "alpen")
	text, _ := os.ReadFile(config)
	os.WriteFile(config, []byte(strings.Replace(string(text), "policy:", "polcy:", 1)), 0o600)
	for _, command := range [][]string{{"check"}, {"jobs"}, {"run"}, {"charter", "show"}, {"approve", "x"}, {"enroll", "--token", "x"}} {
		a := run(t, config, command...)
		if command[0] == "enroll" {
			a.expect(t, exitUsage)
			continue
		}
		a.expect(t, exitUsage, config, "line 4", `unknown key "polcy"`, "hint: ")
	}
	run(t, filepath.Join(t.TempDir(), "none.yaml"), "jobs").expect(t, exitUsage, "none.yaml", "hint: give the right path")
}

func TestUsageErrors(t *testing.T) {
	config := folder(t, "alpen")
	run(t, config, "approve").expect(t, exitUsage, "takes JOB")
	run(t, config, "jobs", "--nonsense").expect(t, exitUsage, "--nonsense", "--help")
	run(t, config, "jobs", "--output", "xml").expect(t, exitUsage, "text, json")
	run(t, config, "approve", "churn").expect(t, exitUsage, `there is no job "churn"`)
	run(t, config, "version").expect(t, exitOK, "protocol 1")
	run(t, config, "jobs").expect(t, exitOK, "No jobs yet")
	if a := run(t, config, "jobs", "--output", "json"); strings.TrimSpace(a.out) != "{\n  \"jobs\": []\n}" {
		t.Errorf("%q", a.out)
	}
}

func TestOperatorDecidesByDigitsOrName(t *testing.T) {
	config := folder(t, "alpen")
	dir := filepath.Join(filepath.Dir(config), "state")
	s, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"churn", "churn", "basket"} {
		j := &store.Job{Job: wire.Digest{0xab, 0xcd, byte(i)}, Name: name, Status: store.Pending, Text: "What the sums tell", Seen: time.Now(), Expires: time.Now().Add(time.Hour), Bundle: []byte{1}}
		if err := s.AddJob(j); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	run(t, config, "jobs").expect(t, exitOK, "What the sums tell", "tributary-participant approve abcd00")
	run(t, config, "approve", "churn").expect(t, exitUsage, "more than one job")
	run(t, config, "approve", "abcd").expect(t, exitUsage, "no job")
	run(t, config, "approve", "ABCD01").expect(t, exitOK, "approve")
	run(t, config, "deny", "basket", "--reason", "too early").expect(t, exitOK, "deny")
	run(t, config, "jobs").expect(t, exitOK, "approve was given here", "deny was given here")
	s, err = store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if j, err := s.Job(wire.Digest{0xab, 0xcd, 2}); err != nil || j.Decision != "deny" || j.Reason != "too early" {
		t.Errorf("%+v, %v", j, err)
	}
}

func TestUnwritableDataDirectoryIsNamed(t *testing.T) {
	config := folder(t, "alpen")
	file := filepath.Join(filepath.Dir(config), "state")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, config, "jobs").expect(t, exitUsage, "data directory", file, "hint: set data_dir")
	if info, _ := os.Stat(file); info.Mode() != fs.FileMode(0o600) {
		t.Error("the file was changed")
	}
}
