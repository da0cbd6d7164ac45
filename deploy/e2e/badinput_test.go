package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tributary/deploy/consortium"
	"tributary/deploy/shop"
)

// says demands an exit code other than 0 and, somewhere in what was printed, each of the words: the place and the remedy.
func says(t *testing.T, r consortium.Result, err error, code int, words ...string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if r.Code != code {
		t.Errorf("exit %d, want %d", r.Code, code)
	}
	for _, word := range append(words, "hint: ") {
		if !strings.Contains(r.Err+r.Out, word) {
			t.Errorf("nothing says %q:\n%s%s", word, r.Err, r.Out)
		}
	}
}

// offer submits a job that can't run and returns why it ended.
func offer(t *testing.T, c *consortium.Consortium, spec string) *consortium.Ended {
	t.Helper()
	job, err := c.Submit(t.Context(), spec, shop.Contract, "")
	if err != nil {
		t.Fatal(err)
	}
	end, err := c.Watch(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	return end
}

func TestBadInputInSpecs(t *testing.T) {
	c, spec := small(t, release)
	contract := write(t, filepath.Join(c.Dir, "terms.yaml"), shop.Contract)
	for _, b := range []struct {
		name, old, new string
		words          []string
	}{
		{"unknown key", "solver: newton", "solvr: newton", []string{"solvr", "did you mean solver"}},
		{"NaN", "l2: 1.0", "l2: .nan", []string{"l2"}},
		{"infinity", "tolerance: 1.0e-8", "tolerance: .inf", []string{"tolerance"}},
		{"unknown column", "[age, discount_share]", "[age, discount_shar]", []string{"discount_shar", "discount_share"}},
		{"wrong transform", "transform: one_hot}", "transform: standardize}", []string{"country", "one_hot"}},
		{"a committee that two liars could split", "{threshold: 3, of: 4}", "{threshold: 2, of: 4}", []string{"threshold"}},
		{"no privacy", "privacy: exact\n", "", []string{"privacy"}},
		{"not a number", "max_rounds: 10", "max_rounds: ten", []string{"max_rounds", "ten"}},
	} {
		t.Run(b.name, func(t *testing.T) {
			if !strings.Contains(spec, b.old) {
				t.Fatalf("the spec lacks %q", b.old)
			}
			file := write(t, filepath.Join(t.TempDir(), "job.yaml"), strings.ReplaceAll(spec, b.old, b.new))
			line := strings.Count(spec[:strings.Index(spec, b.old)], "\n") + 1
			if b.new != "" {
				b.words = append(b.words, fmt.Sprintf("job.yaml:%d:", line))
			}
			for _, verb := range []string{"validate", "submit"} {
				r, err := c.Tributary(t.Context(), "job", verb, file, "--contract", contract)
				says(t, r, err, 2, append(b.words, "job.yaml")...)
			}
		})
	}
	r, err := c.Tributary(t.Context(), "job", "validate", filepath.Join(c.Dir, "none.yaml"))
	says(t, r, err, 2, "none.yaml")
	all := strings.NewReplacer("solver: newton", "solvr: newton", "max_rounds: 10", "max_rounds: ten", "l2: 1.0", "l2: -1").Replace(spec)
	r, err = c.Tributary(t.Context(), "job", "validate", write(t, filepath.Join(c.Dir, "many.yaml"), all), "--contract", contract)
	says(t, r, err, 2, "solvr", "ten", "l2") // all at once
	// Nothing was lost: the good spec still runs.
	completed(t, c, spec, shop.Contract)
}

// spoiled rewrites baltic's rows and tells what `check` says and how a job ends.
func TestBadInputInData(t *testing.T) {
	c, spec := small(t, release)
	node := c.Nodes[1]
	file := filepath.Join(node.Dir, "customers.csv")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(string(good), "\n")
	spoil := func(row, column int, value string) string { // row as an editor numbers it
		out := append([]string{}, rows...)
		cells := strings.Split(out[row-1], ",")
		cells[column] = value
		out[row-1] = strings.Join(cells, ",")
		return strings.Join(out, "\n")
	}
	for _, b := range []struct {
		name, data string
		words      []string
	}{
		{"wrong type in row 17", spoil(17, 1, "old"), []string{"row 17", "age", "customers.csv"}},
		{"out of the contract's range", spoil(9, 3, "70000"), []string{"row 9", "basket_90d", "5000"}},
		{"NaN", spoil(5, 6, "NaN"), []string{"row 5", "discount_share"}},
		{"a category that isn't listed", spoil(7, 8, "fridge"), []string{"row 7", "device"}},
		{"a label that is neither", spoil(3, 12, "perhaps"), []string{"row 3", "churned"}},
		{"a missing column", strings.Replace(string(good), "visits_30d", "visits", 1), []string{"visits_30d", "customers.csv"}},
		{"empty data", rows[0] + "\n", []string{"no rows", "customers.csv"}},
	} {
		t.Run(b.name, func(t *testing.T) {
			write(t, file, b.data)
			r, err := node.Command(t.Context(), "check")
			if err != nil {
				t.Fatal(err)
			}
			says(t, r, nil, 2, b.words...)
			if end := offer(t, c, spec); end.Status != "aborted" || !strings.Contains(end.Reason, "baltic") || !strings.Contains(end.Reason, "check") {
				t.Errorf("job %s: %s", end.Status, end.Reason)
			}
		})
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	r, err := node.Command(t.Context(), "check")
	says(t, r, err, 2, "customers.csv")
	write(t, file, string(good))
	completed(t, c, spec, shop.Contract)
}

func TestOneClassOverTheWholeCohort(t *testing.T) {
	c, spec := small(t, release)
	for _, n := range c.Nodes {
		files, _ := filepath.Glob(filepath.Join(n.Dir, "customers.csv*"))
		shops := shop.Generate(3, []int{300, 300, 300, 300})
		for i := range shops {
			if shops[i].Name != n.Name {
				continue
			}
			for j := range shops[i].Customers {
				shops[i].Customers[j].Churned = false
			}
			if err := shops[i].Write(files[0]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if end := offer(t, c, spec); end.Status != "aborted" || !strings.Contains(end.Reason, "class") {
		t.Errorf("job %s: %s", end.Status, end.Reason)
	}
}

func TestBadTokensAndAuthorities(t *testing.T) {
	c, _ := small(t, release)
	other, _ := small(t, release)
	fresh := func(token, name string) (consortium.Result, error) {
		dir := t.TempDir()
		config := write(t, filepath.Join(dir, "participant.yaml"), fmt.Sprintf("version: 1\nname: %s\ndata_dir: node\npolicy: {contracts: [], privacy: [exact], modes: [sealed]}\ndata: []\n", name))
		return consortium.Run(t.Context(), c.Bin.Participant, nil, "--config", config, "enroll", "--token", token, "--organisation", "Echo Ltd")
	}
	invite := func(c *consortium.Consortium, args ...string) string {
		r, err := c.JSON(t.Context(), append([]string{"participant", "invite"}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		return r["token"].(string)
	}
	token := invite(c, "echo")
	if r, err := fresh(token, "echo"); err != nil || r.Code != 0 {
		t.Fatalf("a good token: %d %v %s", r.Code, err, r.Err)
	}
	r, err := fresh(token, "echo")
	says(t, r, err, 6, "already used")
	short := invite(c, "foxtrot", "--ttl", "1s")
	time.Sleep(1500 * time.Millisecond)
	r, err = fresh(short, "foxtrot")
	says(t, r, err, 6, "expired")
	r, err = fresh(token[:len(token)-3]+"aaa", "echo")
	says(t, r, err, 2, "token")
	// The token of another consortium at this one's address: its authority isn't the one in the token.
	elsewhere := invite(other, "golf")
	dir := t.TempDir()
	config := write(t, filepath.Join(dir, "participant.yaml"), fmt.Sprintf("version: 1\nname: golf\ncoordinator: %s\ndata_dir: node\npolicy: {contracts: [], privacy: [exact], modes: [sealed]}\ndata: []\n", c.Address))
	r, err = consortium.Run(t.Context(), c.Bin.Participant, nil, "--config", config, "enroll", "--token", elsewhere, "--organisation", "Golf")
	says(t, r, err, 6, "authority")
	// Nothing was lost: the right address takes the same token.
	write(t, config, strings.Replace(fmt.Sprintf("version: 1\nname: golf\ncoordinator: %s\ndata_dir: node\npolicy: {contracts: [], privacy: [exact], modes: [sealed]}\ndata: []\n", c.Address), c.Address, other.Address, 1))
	if r, err = consortium.Run(t.Context(), c.Bin.Participant, nil, "--config", config, "enroll", "--token", elsewhere, "--organisation", "Golf"); err != nil || r.Code != 0 {
		t.Errorf("the token at its own coordinator: %d %v %s", r.Code, err, r.Err)
	}
	// A digest that isn't the offered charter's.
	r, err = c.Nodes[0].Command(t.Context(), "charter", "accept", strings.Repeat("ab", 32))
	says(t, r, err, 3, "charter")
}

func TestPortInUseAndUnwritableDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "coordinator")
	r, err := consortium.Run(t.Context(), release.Tributary, nil, "init", "--dir", dir, "--consortium", "shops", "--organisation", "Hub", "--address", "127.0.0.1:1")
	if err != nil || r.Code != 0 {
		t.Fatalf("init: %d %v %s", r.Code, err, r.Err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	r, err = consortium.Run(t.Context(), release.Tributary, nil, "serve", "--dir", dir, "--listen", listener.Addr().String())
	says(t, r, err, 2, "in use", listener.Addr().String())
	r, err = consortium.Run(t.Context(), release.Tributary, nil, "init", "--dir", dir, "--consortium", "shops", "--organisation", "Hub")
	says(t, r, err, 2, dir) // never overwritten
	// Root isn't stopped by modes: a read-only mount is what can't be written.
	locked := t.TempDir()
	if err := syscall.Mount("tmpfs", locked, "tmpfs", syscall.MS_RDONLY, ""); err != nil {
		t.Skipf("no read-only mount here: %v", err)
	}
	t.Cleanup(func() { exec.Command("umount", locked).Run() })
	r, err = consortium.Run(t.Context(), release.Tributary, nil, "init", "--dir", filepath.Join(locked, "c"), "--consortium", "shops", "--organisation", "Hub")
	says(t, r, err, 2, locked)
	config := write(t, filepath.Join(t.TempDir(), "participant.yaml"), "version: 1\nname: echo\ndata_dir: "+filepath.Join(locked, "node")+"\npolicy: {contracts: [], privacy: [exact], modes: [sealed]}\ndata: []\n")
	r, err = consortium.Run(t.Context(), release.Participant, nil, "--config", config, "check")
	says(t, r, err, 2, locked)
}
