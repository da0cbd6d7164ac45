package consortium

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Metrics are a model's, as measured on the held-out rows.
type Metrics struct {
	AUC      float64 `json:"auc"`
	LogLoss  float64 `json:"log_loss"`
	Accuracy float64 `json:"accuracy"`
	Recall   float64 `json:"recall"` // of recommendations
	Coverage float64 `json:"coverage"`
}

// Event is one line of `tributary job watch --output json`.
type Event struct {
	N       uint64    `json:"n"`
	At      time.Time `json:"at"`
	Round   uint64    `json:"round"`
	Step    uint32    `json:"step"`
	Kind    string    `json:"kind"`
	Phase   string    `json:"phase"`
	Member  string    `json:"member"`
	Loss    float64   `json:"loss"`
	Bytes   uint64    `json:"bytes"`
	Message string    `json:"message"`
	Status  string    `json:"status"`
}

// Ended is a job after its end.
type Ended struct {
	Job       string  `json:"job"`
	Status    string  `json:"status"`
	Reason    string  `json:"reason"`
	Round     uint64  `json:"round"`
	State     string  `json:"state"` // digest
	Converged bool    `json:"converged"`
	Objective float64 `json:"objective"`
	Metrics   Metrics `json:"metrics"`
	Events    []Event `json:"-"`
}

// Rounds counts the opened rounds of a kind.
func (e *Ended) Rounds(kind string) int {
	n := 0
	for _, event := range e.Events {
		if event.Phase == "apply" && event.Kind == kind {
			n++
		}
	}
	return n
}

// Submit submits a job and returns its identifier. token makes it safe to repeat.
func (c *Consortium) Submit(ctx context.Context, spec, contract, token string) (string, error) {
	specFile, contractFile := filepath.Join(c.Dir, "job.yaml"), filepath.Join(c.Dir, "contract.yaml")
	if err := os.WriteFile(specFile, []byte(spec), 0o600); err != nil {
		return "", err
	}
	if err := os.WriteFile(contractFile, []byte(contract), 0o600); err != nil {
		return "", err
	}
	args := []string{"job", "submit", specFile, "--contract", contractFile}
	if token != "" {
		args = append(args, "--token", token)
	}
	r, err := c.JSON(ctx, args...)
	return text(r["job"]), err
}

// Watch follows a job to its end, which may be any, and tells what happened.
func (c *Consortium) Watch(ctx context.Context, job string) (*Ended, error) {
	r, err := c.Tributary(ctx, "job", "watch", job, "--output", "json")
	if err != nil {
		return nil, err
	}
	var events []Event
	for lines := bufio.NewScanner(strings.NewReader(r.Out)); lines.Scan(); {
		var e Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("job watch: %w: %s", err, lines.Text())
		}
		events = append(events, e)
	}
	if len(events) == 0 {
		return nil, &CommandError{"job watch", r}
	}
	end, err := c.Show(ctx, job)
	if err != nil {
		return nil, err
	}
	end.Events = events
	return end, nil
}

// Show tells how a job stands.
func (c *Consortium) Show(ctx context.Context, job string) (*Ended, error) {
	r, err := c.Tributary(ctx, "job", "show", job, "--output", "json")
	if err != nil {
		return nil, err
	}
	if r.Code != 0 {
		return nil, &CommandError{"job show", r}
	}
	var end Ended
	if err := json.Unmarshal([]byte(r.Out), &end); err != nil {
		return nil, fmt.Errorf("job show: %w: %s", err, r.Out)
	}
	return &end, nil
}

// Reach waits until a job is in a round and phase, or over.
func (c *Consortium) Reach(ctx context.Context, job string, reached func(*Ended) bool) error {
	for {
		end, err := c.Show(ctx, job)
		if err != nil {
			return err
		}
		if reached(end) || end.Status != "running" && end.Status != "proposed" && end.Status != "paused" {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Follow shows a job's progress on this process's own terminal until it ends.
func (c *Consortium) Follow(ctx context.Context, job string) error {
	cmd := exec.CommandContext(ctx, c.Bin.Tributary, "job", "watch", job)
	cmd.Env = append(os.Environ(), append(c.Env, "TRIBUTARY_HOME="+filepath.Join(c.Dir, "operator"))...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd.Run()
}
