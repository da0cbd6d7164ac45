package consortium

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Process is one running binary with its output in a log file.
type Process struct {
	Name string
	Log  string // file
	cmd  *exec.Cmd
	done chan struct{}
	err  error // of Wait, once done is closed
}

// start runs a binary in the background. It dies with the process that started it, however that ends.
func start(name, log, binary string, env []string, args ...string) (*Process, error) {
	f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	defer f.Close()
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = f, f
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &Process{Name: name, Log: log, cmd: cmd, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// Exited is closed when the process has ended.
func (p *Process) Exited() <-chan struct{} { return p.done }

// Killed reports whether the process ended by SIGKILL.
func (p *Process) Killed() bool {
	<-p.done
	var exit *exec.ExitError
	if !errors.As(p.err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// PID is the process's number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Kill ends the process with SIGKILL, as a power cut would, and waits for it.
func (p *Process) Kill() {
	p.cmd.Process.Signal(syscall.SIGKILL)
	<-p.done
}

// Stop asks the process to end and kills it if it doesn't within five seconds.
func (p *Process) Stop() error {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return nil
	case <-time.After(5 * time.Second):
		p.Kill()
		return fmt.Errorf("%s didn't stop within 5 s", p.Name)
	}
}

// Result is what a command printed and how it ended.
type Result struct {
	Out, Err string
	Code     int
}

// Run runs a command to its end. An error means that it couldn't be run; a non-zero Code is no error.
func Run(ctx context.Context, binary string, env []string, args ...string) (Result, error) {
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = nil
	}
	if err != nil {
		return Result{}, fmt.Errorf("run %s %s: %w", binary, strings.Join(args, " "), err)
	}
	return Result{out.String(), problems.String(), cmd.ProcessState.ExitCode()}, nil
}

// group stops several processes at once.
func stopAll(processes []*Process) error {
	var wg sync.WaitGroup
	problems := make([]error, len(processes))
	for i, p := range processes {
		if p != nil {
			wg.Go(func() { problems[i] = p.Stop() })
		}
	}
	wg.Wait()
	return errors.Join(problems...)
}
