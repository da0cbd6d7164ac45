package e2e

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"tributary/deploy/consortium"
	"tributary/deploy/shop"
)

// mapped counts the bytes of a process that are mapped from files of a directory that have no name.
func mapped(t *testing.T, p *consortium.Process, dir string) (total int64) {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", p.PID()))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(maps) {
		var from, to int64
		fields := bytes.Fields(line)
		if len(fields) != 7 || !bytes.HasPrefix(fields[5], []byte(dir)) || string(fields[6]) != "(deleted)" {
			continue
		}
		if string(fields[1]) != "r--s" {
			t.Errorf("%s: not shared and read only: %s", p.Name, line)
		}
		if _, err := fmt.Sscanf(string(fields[0]), "%x-%x", &from, &to); err != nil {
			t.Fatal(err)
		}
		total += to - from
	}
	return total
}

// names lists the files of a directory.
func names(t *testing.T, dir string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			found = append(found, d.Name())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestRowsAreKeptInAFileThatDiesWithTheNode looks at nodes that have trained: their rows are mapped from files in their data
// directories that have no name there, and when they are killed, or end, nothing more is there than before the job.
func TestRowsAreKeptInAFileThatDiesWithTheNode(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("mappings are read from /proc")
	}
	c, spec := small(t, release)
	before := map[string][]string{}
	for _, n := range c.Nodes {
		before[n.Name] = names(t, filepath.Join(n.Dir, "node"))
	}
	completed(t, c, spec, shop.Contract)
	for i, n := range c.Nodes {
		dir := filepath.Join(n.Dir, "node")
		// 300 rows with a tag of 16 bytes each alone take more than a page.
		if got := mapped(t, n.Process, dir); got < 16*300 {
			t.Errorf("%s has mapped %d bytes of its rows", n.Name, got)
		}
		if i%2 == 0 {
			n.Process.Kill()
		} else if err := n.Process.Stop(); err != nil {
			t.Error(err)
		}
		for _, name := range names(t, dir) {
			if !slices.Contains(append(before[n.Name], "seat-keys"), name) { // which the store makes for the first job
				t.Errorf("%s left %s", n.Name, name)
			}
		}
	}
}
