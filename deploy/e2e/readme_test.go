package e2e

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// block is a fenced block of the README: a script for some machines, or a file on them.
type block struct {
	language string
	machines string // alpen, baltic, coast; each: one after the other; every: the same file on all
	file     string
	lines    []string
}

func readmeBlocks(t *testing.T) []block {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root(), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var out []block
	open := false
	for _, line := range strings.Split(string(data), "\n") {
		switch {
		case open && line == "```":
			open = false
		case open:
			out[len(out)-1].lines = append(out[len(out)-1].lines, line)
		case strings.HasPrefix(line, "```"):
			open = true
			info := append(strings.Fields(line[3:]), "", "", "")
			out = append(out, block{language: info[0], machines: info[1], file: info[2]})
		}
	}
	return out
}

// machine is a network namespace with a shell in it; its processes die with the shell.
type machine struct {
	name, dir, address string
	shell              *exec.Cmd
	in                 io.WriteCloser
	out                *bufio.Reader
	token              string
}

var machineNames = []string{"alpen", "baltic", "coast"}

// machines are three namespaces on one bridge in a fourth; where that isn't allowed the test is left out.
func machines(t *testing.T) []*machine {
	t.Helper()
	id := fmt.Sprintf("trib%d", os.Getpid()%10000)
	ip := func(args ...string) error {
		out, err := exec.Command("ip", args...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
		}
		return nil
	}
	hub := id + "-hub"
	if err := ip("netns", "add", hub); err != nil {
		t.Skipf("no network namespaces here: %v", err)
	}
	t.Cleanup(func() { ip("netns", "del", hub) })
	must := func(args ...string) {
		t.Helper()
		if err := ip(args...); err != nil {
			t.Fatal(err)
		}
	}
	must("-n", hub, "link", "add", "br0", "type", "bridge")
	must("-n", hub, "link", "set", "br0", "up")
	var out []*machine
	for i, name := range machineNames {
		ns := id + "-" + name
		must("netns", "add", ns)
		t.Cleanup(func() { ip("netns", "del", ns) })
		m := &machine{name: name, dir: t.TempDir(), address: fmt.Sprintf("10.77.0.%d", i+1)}
		must("-n", ns, "link", "add", "eth0", "type", "veth", "peer", "name", name, "netns", hub)
		must("-n", hub, "link", "set", name, "master", "br0")
		must("-n", hub, "link", "set", name, "up")
		must("-n", ns, "link", "set", "lo", "up")
		must("-n", ns, "addr", "add", m.address+"/24", "dev", "eth0")
		must("-n", ns, "link", "set", "eth0", "up")
		m.start(t, ns)
		out = append(out, m)
	}
	return out
}

func (m *machine) start(t *testing.T, ns string) {
	t.Helper()
	m.shell = exec.Command("ip", "netns", "exec", ns, "unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "bash")
	m.shell.Env = append(os.Environ(), "PATH="+filepath.Dir(release.Tributary)+":"+os.Getenv("PATH"), "HOME="+m.dir, "TRIBUTARY_HOME="+filepath.Join(m.dir, "operator"))
	m.shell.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := m.shell.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	m.shell.Stdout, m.shell.Stderr = writer, writer
	if err := m.shell.Start(); err != nil {
		t.Fatal(err)
	}
	writer.Close()
	m.in, m.out = in, bufio.NewReader(reader)
	t.Cleanup(func() {
		in.Close()
		m.shell.Process.Kill()
		m.shell.Wait()
		reader.Close()
	})
}

// here puts the machine's own folders in the place of the README's paths, and the coordinator's address for its name.
func (m *machine) here(text string, coordinator string) string {
	pairs := []string{"coordinator.example.org", coordinator}
	for _, path := range []string{"/var/lib/", "/etc/tributary", "/srv/shop", "/tmp/"} {
		pairs = append(pairs, path, m.dir+path)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// do runs one line and returns what it printed and its exit code. A line in the background writes to a log.
func (m *machine) do(t *testing.T, line string) (string, int) {
	t.Helper()
	if command, background := strings.CutSuffix(line, "&"); background {
		line = fmt.Sprintf("%s >>%s/log 2>&1 </dev/null &", command, m.dir)
	} else if !strings.HasPrefix(line, "export ") {
		line += " </dev/null"
	}
	fmt.Fprintf(m.in, "%s\necho \"<<$?>>\"\n", line)
	var out strings.Builder
	for {
		text, err := m.out.ReadString('\n')
		if err != nil {
			t.Fatalf("%s: the shell ended: %v\n%s", m.name, err, out.String())
		}
		var code int
		if n, _ := fmt.Sscanf(text, "<<%d>>", &code); n == 1 {
			return out.String(), code
		}
		out.WriteString(text)
	}
}

// customers writes a machine's file as the README describes it.
func (m *machine) customers(t *testing.T, seed uint64) {
	t.Helper()
	random := rand.New(rand.NewPCG(5, seed))
	var b strings.Builder
	separator, header, yes, no, tail, file := ",", "customer_id,age,basket_90d,country,churned", "yes", "no", "", "customers.csv"
	if m.name == "alpen" {
		separator, header, yes, no, tail, file = ";", "customer_id;age;warenkorb;land;churned;einwilligung", "1", "0", ";ja", "kunden.csv"
	}
	b.WriteString(header + "\n")
	for i := range 400 {
		basket, age := fmt.Sprintf("%.2f", random.ExpFloat64()*80), 18+random.IntN(60)
		if random.IntN(12) == 0 {
			basket = ""
		}
		label := no
		if random.IntN(100) < age {
			label = yes
		}
		b.WriteString(strings.Join([]string{fmt.Sprint(i), fmt.Sprint(age), basket, []string{"DE", "FR", "NL", "SE"}[random.IntN(4)], label}, separator) + tail + "\n")
	}
	write(t, m.path(t, "/srv/shop/"+file), b.String())
}

func (m *machine) path(t *testing.T, file string) string {
	t.Helper()
	path := m.here(file, "")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

var (
	tokenPattern  = regexp.MustCompile(`tributary-invite-[a-z2-7]+`)
	digestPattern = regexp.MustCompile(`[0-9a-f]{64}`)
)

// TestReadmeOnThreeMachines runs the README's own commands on three machines, as three organisations would.
func TestReadmeOnThreeMachines(t *testing.T) {
	all := machines(t)
	for i, m := range all {
		m.customers(t, uint64(i))
		if err := os.MkdirAll(filepath.Join(m.dir, "tmp"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(m.dir, "var/lib"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if t.Failed() {
			for _, m := range all {
				log, _ := os.ReadFile(filepath.Join(m.dir, "log"))
				t.Logf("%s:\n%s", m.name, log)
			}
		}
	})
	invited, commands := 0, 0
	var said strings.Builder
	run := func(m *machine, line string) {
		t.Helper()
		digest := ""
		if strings.Contains(line, "DIGEST") {
			digest = digestPattern.FindString(said.String())
			line = strings.ReplaceAll(line, "DIGEST", digest)
		}
		line = m.here(strings.ReplaceAll(line, "TOKEN", m.token), all[0].address)
		out, code := m.do(t, line)
		for range 50 { // a job takes a moment to reach the nodes, and a server to listen
			if code == 0 || !strings.Contains(line, "approve") && !strings.Contains(line, "login") {
				break
			}
			time.Sleep(200 * time.Millisecond)
			out, code = m.do(t, line)
		}
		t.Logf("%s$ %s\n%s", m.name, line, out)
		if code != 0 {
			t.Fatalf("%s: exit %d", line, code)
		}
		if strings.Contains(line, "charter show") {
			said.Reset()
		}
		said.WriteString(out)
		commands++
		if token := tokenPattern.FindString(out); token != "" {
			if strings.Contains(line, " invite ") {
				all[invited].token = token
				invited++
			} else {
				m.token = token
			}
		}
	}
	for _, b := range readmeBlocks(t) {
		on := all
		for i, name := range machineNames {
			if b.machines == name {
				on = all[i : i+1]
			}
		}
		switch {
		case b.machines == "":
		case b.file != "":
			for _, m := range on {
				write(t, m.path(t, b.file), m.here(strings.Join(b.lines, "\n")+"\n", all[0].address))
			}
		default:
			for _, m := range on {
				for _, line := range b.lines {
					run(m, line)
				}
			}
		}
	}
	if commands < 20 {
		t.Errorf("only %d commands found in the README", commands)
	}
	for _, want := range []string{"completed", "verified"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("nothing said %q", want)
		}
	}
}
