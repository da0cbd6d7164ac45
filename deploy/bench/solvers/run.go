package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
)

// within is how near to the optimum, relatively, a fit's objective must be.
const within = 1e-4

//go:embed peers.py
var peers string

type bench struct {
	rows, repeats int
	only          string // a task's name, or empty
	python        string
}

// fit is one measured fit.
type fit struct {
	Tool       string
	Prepare    float64 // seconds until the first pass; 0 of tools that are given encoded rows
	Seconds    float64 // of the passes, or of one
	Passes     int     // iterations as the tool counts them
	Objective  float64
	preparable bool
}

// task is one comparison.
type task struct {
	title, seconds string // headings of the table and of its Seconds
	objective      string // format; empty: two digits of what is minimised
	// ours fits once, with each solver of this project.
	ours func() ([]fit, error)
	// ask is what peers.py is told: it reads data that has been written to its folder.
	ask map[string]any
}

func (b *bench) run(ctx context.Context, out io.Writer) error {
	runtime.GOMAXPROCS(1)
	dir, err := os.MkdirTemp("", "tributary-solvers-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	versions, err := b.peers(ctx, map[string]any{"task": "versions"})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s, %s, one core each of %d, processor time, medians of %d interleaved repeats.\n", runtime.Version(), versions[0].Tool, runtime.NumCPU(), b.repeats)
	for _, task := range []struct {
		name    string
		prepare func(dir string, rows int) (*task, error)
	}{{"dense", dense}, {"factors", factors}, {"sparse", sparse}, {"machine8", machine(8)}, {"machine16", machine(16)}} {
		if b.only != "" && b.only != task.name {
			continue
		}
		t, err := task.prepare(dir, b.rows)
		if err != nil {
			return err
		}
		if err := b.compare(ctx, out, t); err != nil {
			return fmt.Errorf("%s: %w", t.title, err)
		}
	}
	return nil
}

// compare prints a task's table.
func (b *bench) compare(ctx context.Context, out io.Writer, t *task) error {
	var order []string
	fits := map[string][]fit{}
	for range b.repeats {
		all, err := t.ours()
		if err != nil {
			return err
		}
		runtime.GC()
		others, err := b.peers(ctx, t.ask)
		if err != nil {
			return err
		}
		passes := map[string]int{} // the next repeat needn't look for the shortest fit again
		for _, f := range others {
			passes[f.Tool] = f.Passes
		}
		t.ask["passes"] = passes
		for _, f := range append(all, others...) {
			if fits[f.Tool] == nil {
				order = append(order, f.Tool)
			}
			fits[f.Tool] = append(fits[f.Tool], f)
		}
	}
	heading, digits := "objective", "%.2f"
	if t.objective != "" {
		heading, digits = "log loss", t.objective
	}
	fmt.Fprintf(out, "\n%s\n\n| solver | prepare, s | %s | passes | %s |\n|---|---|---|---|---|\n", t.title, t.seconds, heading)
	for _, tool := range order {
		list := fits[tool]
		prepare := "–"
		if list[0].preparable {
			prepare = fmt.Sprintf("%.2f", median(list, func(f fit) float64 { return f.Prepare }))
		}
		fmt.Fprintf(out, "| %s | %s | %.2f | %d | "+digits+" |\n", tool, prepare, median(list, func(f fit) float64 { return f.Seconds }), list[0].Passes, list[0].Objective)
	}
	return nil
}

// processor is the time that this process has had a core, in seconds: other work on the machine counts little.
func processor() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic("solvers: " + err.Error())
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

func median(list []fit, of func(fit) float64) float64 {
	var values []float64
	for _, f := range list {
		values = append(values, of(f))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// peers runs peers.py once, on one core.
func (b *bench) peers(ctx context.Context, ask map[string]any) ([]fit, error) {
	request, err := json.Marshal(ask)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, b.python, "-W", "ignore", "-c", peers)
	cmd.Env = append(os.Environ(), "OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1", "MKL_NUM_THREADS=1")
	cmd.Stdin, cmd.Stderr = strings.NewReader(string(request)), os.Stderr
	reply, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("peers.py: %w\nhint: make bench-solvers installs what it needs", err)
	}
	var out []fit
	if err := json.Unmarshal(reply, &out); err != nil {
		return nil, fmt.Errorf("peers.py: %w", err)
	}
	return out, nil
}
