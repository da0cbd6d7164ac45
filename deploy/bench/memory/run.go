package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"tributary/deploy/consortium"
)

const (
	small    = 1_000_000 // bytes of the other participants' files
	maxPeak  = 1 << 30
	megabyte = 1_000_000
)

type bench struct {
	bytes int64
	dir   string
}

func (b *bench) run(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp(b.dir, "tributary-memory-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	root, err := filepath.Abs(".")
	if err != nil {
		return err
	}
	bin, err := consortium.Build(ctx, root, filepath.Join(dir, "bin"), "")
	if err != nil {
		return err
	}
	var members []consortium.Member
	for _, name := range []string{"large", "second", "third"} {
		members = append(members, consortium.Member{Name: name, Organisation: "Organisation " + name, Role: "both", Config: config})
	}
	c, err := consortium.Prepare(dir, bin, members)
	if err != nil {
		return err
	}
	defer func() {
		if stopErr := c.Stop(); err == nil {
			err = stopErr
		}
	}()
	var rows int64
	for i, n := range c.Nodes {
		size := int64(small)
		if i == 0 {
			size = b.bytes
		}
		written, err := writeRows(filepath.Join(n.Dir, "rows.csv"), size, uint64(i))
		if err != nil {
			return err
		}
		if i == 0 {
			rows = written
		}
		if err := os.WriteFile(filepath.Join(n.Dir, "wide.yaml"), []byte(contract()), 0o600); err != nil {
			return err
		}
	}
	if err := c.Start(ctx, 1); err != nil {
		return err
	}
	fmt.Printf("%s, %s/%s, %d processors\n\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	fmt.Printf("A CSV file of %.2f GB: %d rows of %d numbers and 2 categories; logistic regression by Newton's method, all processes on this machine.\n\n", float64(b.bytes)/1e9, rows, numbers)
	submitted := time.Now()
	job, err := c.Submit(ctx, spec, contract(), "")
	if err != nil {
		return err
	}
	end, err := c.Watch(ctx, job)
	if err != nil {
		return err
	}
	if end.Status != "completed" {
		return fmt.Errorf("job %s: %s", end.Status, end.Reason)
	}
	peak, err := peakOf(c.Nodes[0].Process.PID())
	if err != nil {
		return err
	}
	report(end, submitted)
	fmt.Printf("\npeak memory of its participant: %d MB\n", peak/megabyte)
	if peak > maxPeak {
		return fmt.Errorf("more than %d MB", maxPeak/megabyte)
	}
	return nil
}

// report prints what took how long.
func report(end *consortium.Ended, submitted time.Time) {
	fmt.Println("| what | s |")
	fmt.Println("|---|---|")
	planned, first := time.Time{}, true
	for _, e := range end.Events {
		switch e.Phase {
		case "plan":
			if first {
				fmt.Printf("| read, check and freeze, until the first round | %.1f |\n", e.At.Sub(submitted).Seconds())
				first = false
			}
			planned = e.At
		case "apply":
			fmt.Printf("| round %d, %s | %.1f |\n", e.Round, e.Kind, e.At.Sub(planned).Seconds())
		}
	}
}

// peakOf is the most memory that a process had, in bytes: heap and mapped pages together.
func peakOf(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("measure memory, which needs Linux: %w", err)
	}
	_, rest, _ := bytes.Cut(status, []byte("VmHWM:"))
	fields := bytes.Fields(rest)
	if len(fields) == 0 {
		return 0, fmt.Errorf("no VmHWM in /proc/%d/status", pid)
	}
	kb, err := strconv.ParseInt(string(fields[0]), 10, 64)
	return kb << 10, err
}
