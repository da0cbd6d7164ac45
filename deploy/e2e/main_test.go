// Package e2e runs the real binaries as separate processes, as their users do.
package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tributary/deploy/consortium"
)

// release and crashing are the binaries under test: as shipped, and with crash points.
var release, crashing consortium.Binaries

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "tributary-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	if release, err = consortium.Build(ctx, root(), filepath.Join(dir, "release"), ""); err == nil {
		crashing, err = consortium.Build(ctx, root(), filepath.Join(dir, "crashing"), "crashpoints")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func root() string {
	dir, err := filepath.Abs("../..")
	if err != nil {
		panic("e2e: " + err.Error())
	}
	return dir
}

// started is a running consortium whose nodes' files were written by fill; it stops with the test.
func started(t *testing.T, bin consortium.Binaries, members []consortium.Member, fill func(*consortium.Node)) *consortium.Consortium {
	t.Helper()
	c, err := consortium.Prepare(t.TempDir(), bin, members)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range c.Nodes {
		fill(n)
	}
	t.Cleanup(func() { finish(t, c) })
	if err := c.Start(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	return c
}

// finish stops everything and, if the test failed, shows the logs.
func finish(t *testing.T, c *consortium.Consortium) {
	if err := c.Stop(); err != nil {
		t.Error(err)
	}
	if !t.Failed() {
		return
	}
	logs, _ := filepath.Glob(filepath.Join(c.Dir, "*.log"))
	for _, file := range logs {
		data, _ := os.ReadFile(file)
		t.Logf("%s:\n%s", filepath.Base(file), data[max(0, len(data)-1500):])
	}
}

// completed submits a job and follows it to its end, which must be good.
func completed(t *testing.T, c *consortium.Consortium, spec, contract string) *consortium.Ended {
	t.Helper()
	job, err := c.Submit(t.Context(), spec, contract, "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	end, err := c.Watch(ctx, job)
	if err != nil {
		t.Fatal(err)
	}
	if end.Status != "completed" {
		t.Fatalf("job %s: %s", end.Status, end.Reason)
	}
	return end
}

func write(t *testing.T, file, text string) string {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
