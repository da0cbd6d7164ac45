package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// demo builds the demo and starts it in a folder of its own.
func demo(t *testing.T) (cmd *exec.Cmd, out *bytes.Buffer, dir string) {
	t.Helper()
	dir = t.TempDir()
	binary := filepath.Join(dir, "demo")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", binary, "./deploy/demo")
	build.Dir = root()
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, text)
	}
	out = &bytes.Buffer{}
	cmd = exec.Command(binary, "-bin", filepath.Dir(release.Tributary), "-dir", dir)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, out, dir
}

// left counts processes whose command line mentions the folder.
func left(t *testing.T, dir string) (found []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err == nil && bytes.Contains(line, []byte(dir)) && !bytes.HasPrefix(line, []byte(filepath.Join(dir, "demo")+"\x00")) {
			found = append(found, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}

func TestDemoDoesTheMainJob(t *testing.T) {
	cmd, out, dir := demo(t)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"the same, bit for bit", "delta alone", "federated", "pooled", "bytes uploaded", "milliseconds", "ledger.jsonl"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the demo didn't print %q:\n%s", want, out)
		}
	}
	if processes := left(t, dir); len(processes) > 0 {
		t.Errorf("still running: %v", processes)
	}
	ledgers, _ := filepath.Glob(filepath.Join(dir, "tributary-demo-*", "ledger.jsonl"))
	if len(ledgers) != 1 {
		t.Fatalf("ledgers left: %v", ledgers)
	}
	audit := exec.Command(release.Audit, "show", ledgers[0])
	text, err := audit.CombinedOutput()
	if err != nil || !strings.Contains(string(text), "verified: ") {
		t.Errorf("audit: %v\n%s", err, text)
	}
	data, err := os.ReadFile(ledgers[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{100, len(data) / 3, len(data) / 2, len(data) - 100} {
		edited := bytes.Clone(data)
		edited[at] ^= 1
		file := write(t, filepath.Join(dir, "edited.jsonl"), string(edited))
		if text, err := exec.Command(release.Audit, "show", file).CombinedOutput(); err == nil {
			t.Errorf("an edited byte at %d passed:\n%s", at, text)
		}
	}
}

func TestInterruptedDemoLeavesNoProcess(t *testing.T) {
	cmd, out, dir := demo(t)
	running := 0
	for range 500 {
		if running = max(running, len(left(t, dir))); running >= 5 { // the coordinator and four participants
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if running < 5 {
		t.Fatalf("%d processes started", running)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != 130 {
		t.Errorf("exit %d: %v\n%s", cmd.ProcessState.ExitCode(), err, out)
	}
	if processes := left(t, dir); len(processes) > 0 {
		t.Errorf("still running: %v", processes)
	}
}
