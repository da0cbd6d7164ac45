package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

var write = flag.Bool("write", false, "write the golden files anew")

type result struct {
	code     int
	out, err string
}

func run(t *testing.T, args ...string) result {
	t.Helper()
	return runIn(t.Context(), args...)
}

func runIn(ctx context.Context, args ...string) result {
	var out, err bytes.Buffer
	code := Run(ctx, args, Streams{&out, &err})
	return result{code, out.String(), err.String()}
}

func TestHelpOfEveryCommand(t *testing.T) {
	var all strings.Builder
	var walk func(c *cobra.Command, path []string)
	walk = func(c *cobra.Command, path []string) {
		r := run(t, append(path, "--help")...)
		if r.code != 0 || r.err != "" {
			t.Errorf("%v --help: %d, %s", path, r.code, r.err)
		}
		fmt.Fprintf(&all, "$ tributary %s--help\n%s\n", strings.Join(append(path, ""), " "), r.out)
		for _, sub := range c.Commands() {
			walk(sub, append(path[:len(path):len(path)], sub.Name()))
		}
	}
	walk((&app{}).root(), nil)
	file := filepath.Join("testdata", "help.txt")
	if *write {
		if err := os.WriteFile(file, []byte(all.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if all.String() != string(want) {
		t.Errorf("help differs from %s; look at it and run the test with -write\n%s", file, all.String())
	}
}

func TestWrongUseExitsWithTwoAndSaysHowItIsUsed(t *testing.T) {
	home := t.TempDir()
	for line, want := range map[string]string{
		"nonsense":                         "unknown command",
		"job nonsense":                     `unknown command "tributary job nonsense"`,
		"job show":                         "JOB is missing",
		"job show a b":                     `unexpected argument "b"`,
		"job list --nonsense":              "unknown flag",
		"job list --output xml":            "it is text or json",
		"charter propose":                  "--f is missing",
		"charter propose --f -1":           "invalid argument",
		"login":                            "--token is missing",
		"login --token nonsense":           "not an invitation token",
		"serve":                            "--dir is missing",
		"init --dir " + home:               "--consortium is missing",
		"serve --dir " + home:              "is no coordinator's data directory",
		"job submit missing.yaml":          "no such file",
		"job validate --contract x y.yaml": "no such file",
		"job forecast":                     "SPEC is missing",
		"job forecast missing.yaml":        "no such file",
		"model promote abcdef":             "--as is missing",
		"model rollback":                   "ALIAS is missing",
		"budget show x":                    `unexpected argument "x"`,
	} {
		r := run(t, append(strings.Fields(line), "--home", home)...)
		if r.code != exitUsage || !strings.Contains(r.err, want) || !strings.Contains(r.err, "hint: ") || !strings.HasPrefix(r.err, "tributary: ") {
			t.Errorf("%s: exit %d\n%s", line, r.code, r.err)
		}
	}
}

func TestWithoutLoginExitsWithSix(t *testing.T) {
	r := run(t, "job", "list", "--home", t.TempDir())
	if r.code != exitUnauthorised || !strings.Contains(r.err, "nobody is logged in") || !strings.Contains(r.err, "hint: ") {
		t.Errorf("exit %d, %s", r.code, r.err)
	}
	r = run(t, "job", "list", "--home", t.TempDir(), "--output", "json")
	var document struct{ Error failure }
	if err := json.Unmarshal([]byte(r.out), &document); err != nil || document.Error.Code != "not-logged-in" || document.Error.Hint == "" || r.err != "" {
		t.Errorf("%v: %s%s", err, r.out, r.err)
	}
}

func TestInterruptedExitsWith130(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r := runIn(ctx, "job", "list", "--home", t.TempDir()); r.code != exitInterrupted {
		t.Errorf("exit %d, %s", r.code, r.err)
	}
}

// address finds a free port on loopback.
func address(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// served is a coordinator with its first operator logged in.
type served struct {
	t               *testing.T
	dir, home, addr string
	stop            func() result
}

func serve(t *testing.T) *served {
	t.Helper()
	s := &served{t: t, dir: filepath.Join(t.TempDir(), "data"), home: t.TempDir(), addr: address(t)}
	r := run(t, "init", "--dir", s.dir, "--consortium", "Shops", "--organisation", "Hub", "--address", s.addr, "--output", "json")
	var made struct{ Token string }
	if err := json.Unmarshal([]byte(r.out), &made); err != nil || r.code != 0 {
		t.Fatalf("init: %d, %v, %s%s", r.code, err, r.out, r.err)
	}
	s.start()
	t.Cleanup(func() { s.stop() })
	if r := s.run("login", "--token", made.Token); r.code != 0 {
		t.Fatalf("login: %s", r.err)
	}
	return s
}

func (s *served) start() {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan result, 1)
	go func() { done <- runIn(ctx, "serve", "--dir", s.dir, "--listen", s.addr) }()
	stopped := false
	var last result
	s.stop = func() result {
		if !stopped {
			cancel()
			last, stopped = <-done, true
		}
		return last
	}
	for range 200 {
		if c, err := net.Dial("tcp", s.addr); err == nil {
			c.Close()
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.t.Fatalf("the coordinator doesn't listen: %s", s.stop().err)
}

func (s *served) run(args ...string) result {
	s.t.Helper()
	return run(s.t, append(args, "--home", s.home)...)
}

func (s *served) token(args ...string) string {
	s.t.Helper()
	r := s.run(append(args, "--output", "json")...)
	var made struct{ Token string }
	if err := json.Unmarshal([]byte(r.out), &made); err != nil || made.Token == "" {
		s.t.Fatalf("%v: %v, %s%s", args, err, r.out, r.err)
	}
	return made.Token
}

func TestServedCommands(t *testing.T) {
	s := serve(t)
	for _, c := range []struct {
		line string
		code int
		want string // in stdout, or stderr when the code isn't 0
	}{
		{"participant invite alpen --organisation Alpen", 0, "tributary-invite-"},
		{"participant invite alpen --role nothing", exitUsage, "Use data, committee or both."},
		{"participant invite no/slash", exitUsage, "name"},
		{"participant list", 0, "invited"},
		{"participant revoke nobody", exitUsage, "not found"},
		{"charter show", exitUsage, "there is no charter yet"},
		{"charter propose --f 1", exitRefused, "nobody is enrolled"},
		{"job list", 0, "STATUS"},
		{"job show abcdef", exitUsage, "not found"},
		{"job watch abcdef", exitUsage, "not found"},
		{"model list", 0, "PROMOTED AS"},
		{"model promote abcdef --as live", exitUsage, "not found"},
		{"model rollback live", exitUsage, `no model is promoted as "live"`},
		{"model show live", exitUsage, "not found"},
		{"model export live --format pmml", exitUsage, "Use json, onnx or onnx-float32."},
		{"budget show", 0, "USED"},
		{"budget show --output json", 0, `"accounts": []`},
		{"ledger show", 0, "0 entries of tributary/shops/"},
		{"serve --dir " + s.dir, exitUsage, "another coordinator uses"},
		{"init --dir " + s.dir + " --consortium x --organisation y", exitUsage, "another coordinator uses"},
		{"version", 0, Version},
	} {
		r := s.run(strings.Fields(c.line)...)
		shown := r.out
		if c.code != 0 {
			shown = r.err
		}
		if r.code != c.code || !strings.Contains(shown, c.want) {
			t.Errorf("%s: exit %d, want %d and %q\n%s%s", c.line, r.code, c.code, c.want, r.out, r.err)
		}
	}
	if r := s.stop(); r.code != 0 {
		t.Errorf("serve: exit %d, %s", r.code, r.err)
	}
	if r := s.run("job", "list"); r.code != exitUnreachable || !strings.Contains(r.err, "hint: ") {
		t.Errorf("without a coordinator: exit %d, %s", r.code, r.err)
	}
	if r := s.run("job", "watch", "abcdef", "--patience", "1s"); r.code != exitUnreachable || !strings.Contains(r.out, "waiting for it") {
		t.Errorf("watch without a coordinator: exit %d, %s%s", r.code, r.out, r.err)
	}
	if r := s.run("init", "--dir", s.dir, "--consortium", "x", "--organisation", "y"); r.code != exitUsage || !strings.Contains(r.err, "already") {
		t.Errorf("init over a coordinator: exit %d, %s", r.code, r.err)
	}
}

func TestTokensOfTheWrongKindAndUsedOnes(t *testing.T) {
	s := serve(t)
	r := s.run("login", "--token", s.token("participant", "invite", "alpen"))
	if r.code != exitUsage || !strings.Contains(r.err, "participant's") {
		t.Errorf("a participant's token: exit %d, %s", r.code, r.err)
	}
	token := s.token("user", "invite", "bob")
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	other := t.TempDir()
	if r := run(t, "login", "--home", other, "--token", "@"+file); r.code != 0 || !strings.Contains(r.out, "Logged in as bob") {
		t.Errorf("exit %d, %s%s", r.code, r.out, r.err)
	}
	if r := run(t, "login", "--home", t.TempDir(), "--token", token); r.code != exitUnauthorised || !strings.Contains(r.err, "already used") {
		t.Errorf("a used token: exit %d, %s", r.code, r.err)
	}
	if r := s.run("participant", "revoke", "bob", "--kind", "operator"); r.code != 0 {
		t.Error(r.err)
	}
	if r := run(t, "job", "list", "--home", other); r.code != exitUnauthorised || !strings.Contains(r.err, "revoked") {
		t.Errorf("a revoked user: exit %d, %s", r.code, r.err)
	}
	if offline := s.token("user", "invite", "carl", "--dir", s.dir); !strings.HasPrefix(offline, "tributary-invite-") {
		t.Error(offline)
	}
}

func TestWrongAuthorityExitsWithSix(t *testing.T) {
	s := serve(t)
	data, err := os.ReadFile(filepath.Join(s.home, "client.json"))
	if err != nil {
		t.Fatal(err)
	}
	var l login
	if err := json.Unmarshal(data, &l); err != nil {
		t.Fatal(err)
	}
	wrong := strings.Replace(string(data), l.Fingerprint, strings.Repeat("ab", 32), 1)
	if err := os.WriteFile(filepath.Join(s.home, "client.json"), []byte(wrong), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := s.run("job", "list"); r.code != exitUnauthorised || !strings.Contains(r.err, "not the pinned one") || !strings.Contains(r.err, "hint: ") {
		t.Errorf("exit %d, %s", r.code, r.err)
	}
}

func TestPortInUseAndBadDirectories(t *testing.T) {
	s := serve(t)
	other := filepath.Join(t.TempDir(), "other")
	if r := run(t, "init", "--dir", other, "--consortium", "x", "--organisation", "y", "--address", s.addr); r.code != 0 {
		t.Fatal(r.err)
	}
	if r := run(t, "serve", "--dir", other, "--listen", s.addr); r.code != exitUsage || !strings.Contains(r.err, "port is in use") || !strings.Contains(r.err, "hint: ") {
		t.Errorf("port in use: exit %d, %s", r.code, r.err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := run(t, "init", "--dir", filepath.Join(file, "dir"), "--consortium", "x", "--organisation", "y"); r.code != exitUsage || !strings.Contains(r.err, "can't be written") || !strings.Contains(r.err, "hint: ") {
		t.Errorf("a directory under a file: exit %d, %s", r.code, r.err)
	}
}

func TestAllProblemsOfAJobAreToldWithPlaces(t *testing.T) {
	dir := t.TempDir()
	spec := filepath.Join(dir, "job.yaml")
	for name, text := range map[string]string{
		"job.yaml": "version: 1\nname: j\ncontract: shop@1\nfeatures:\n  - {columns: [age], transfrm: standardize}\nmodel: {type: logistic_regression, l2: -1}\nprivacy: exact\nrun: {mode: sealed}\n",
		"shop.yaml": "version: 1\nname: shop\nrevision: 1\nkey: id\nmax_rows: 10\nlabel: {column: y, positive: \"1\", negative: \"0\"}\n" +
			"columns:\n  age: {type: number, min: 5, max: 1}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := run(t, "job", "validate", spec, "--contract", filepath.Join(dir, "shop.yaml"), "--home", t.TempDir())
	for _, want := range []string{spec + ":5:", spec + ":6:", filepath.Join(dir, "shop.yaml") + ":8:", "transfrm", "problems\n"} {
		if !strings.Contains(r.err, want) {
			t.Errorf("no %q in\n%s", want, r.err)
		}
	}
	if r.code != exitUsage {
		t.Errorf("exit %d", r.code)
	}
	r = run(t, "job", "validate", spec, "--contract", filepath.Join(dir, "shop.yaml"), "--home", t.TempDir(), "--output", "json")
	var document struct {
		Problems []problem
	}
	if err := json.Unmarshal([]byte(r.out), &document); err != nil || len(document.Problems) < 3 || document.Problems[0].Line == 0 || document.Problems[0].Column == 0 {
		t.Errorf("%v: %s", err, r.out)
	}
}
