// Package consortium starts one coordinator and its participants as separate processes on loopback and drives them by their
// command lines, as their users would. The demo, the end-to-end tests and the benchmarks share it.
package consortium

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Binaries are the paths of the three binaries.
type Binaries struct{ Tributary, Participant, Audit string }

// Build compiles the binaries into dir, statically, with the given build tags.
func Build(ctx context.Context, root, dir, tags string) (Binaries, error) {
	args := []string{"build", "-trimpath", "-buildvcs=false", "-tags", tags, "-o", dir + "/",
		"./coordinator/cmd/tributary", "./participant/cmd/tributary-participant", "./protocol/cmd/tributary-audit"}
	r, err := Run(ctx, "go", []string{"CGO_ENABLED=0", "PWD=" + root}, append([]string{"-C", root}, args...)...)
	if err != nil {
		return Binaries{}, err
	}
	if r.Code != 0 {
		return Binaries{}, fmt.Errorf("build: %s", r.Err)
	}
	return In(dir), nil
}

// In names the binaries in a folder.
func In(dir string) Binaries {
	return Binaries{filepath.Join(dir, "tributary"), filepath.Join(dir, "tributary-participant"), filepath.Join(dir, "tributary-audit")}
}

// Member is one participant to be.
type Member struct {
	Name         string
	Organisation string
	Role         string // data, committee, both
	Config       string // the participant's YAML without `coordinator` and `data_dir`
}

// Node is one participant.
type Node struct {
	Member
	Dir     string // holds participant.yaml and whatever the member put there
	Process *Process
	c       *Consortium
}

// Consortium is one coordinator with its participants.
type Consortium struct {
	Dir         string
	Address     string
	Bin         Binaries
	Coordinator *Process
	Nodes       []*Node
	Env         []string // for every process
}

// Prepare makes the folders; Start does the rest. Files that members need go to NodeDir first.
func Prepare(dir string, bin Binaries, members []Member) (*Consortium, error) {
	c := &Consortium{Dir: dir, Bin: bin}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c.Address = listener.Addr().String()
	listener.Close()
	for _, m := range members {
		n := &Node{Member: m, Dir: filepath.Join(dir, m.Name), c: c}
		if err := os.MkdirAll(n.Dir, 0o700); err != nil {
			return nil, err
		}
		config := fmt.Sprintf("version: 1\nname: %s\ncoordinator: %s\ndata_dir: %s\n%s", m.Name, c.Address, filepath.Join(n.Dir, "node"), m.Config)
		if err := os.WriteFile(filepath.Join(n.Dir, "participant.yaml"), []byte(config), 0o600); err != nil {
			return nil, err
		}
		c.Nodes = append(c.Nodes, n)
	}
	return c, nil
}

func (c *Consortium) coordinatorDir() string { return filepath.Join(c.Dir, "coordinator") }

// Start sets everything up as people would: init, serve, login, invite and enrol each member, propose the charter, accept it at
// each node, and run the nodes.
func (c *Consortium) Start(ctx context.Context, f int) error {
	r, err := c.JSON(ctx, "init", "--dir", c.coordinatorDir(), "--consortium", "demo-shops", "--organisation", "Hub", "--address", c.Address)
	if err != nil {
		return err
	}
	if err := c.StartCoordinator(ctx); err != nil {
		return err
	}
	if _, err := c.JSON(ctx, "login", "--token", text(r["token"])); err != nil {
		return err
	}
	for _, n := range c.Nodes {
		if err := n.Enrol(ctx); err != nil {
			return err
		}
	}
	proposed, err := c.JSON(ctx, "charter", "propose", "--f", fmt.Sprint(f))
	if err != nil {
		return err
	}
	for _, n := range c.Nodes {
		if _, err := n.JSON(ctx, "charter", "accept", text(proposed["digest"])); err != nil {
			return err
		}
		if err := n.Run(); err != nil {
			return err
		}
	}
	return nil
}

// Enrol invites the member and redeems its token at the node.
func (n *Node) Enrol(ctx context.Context) error {
	invited, err := n.c.JSON(ctx, "participant", "invite", n.Name, "--organisation", n.Organisation, "--role", n.Role)
	if err != nil {
		return err
	}
	_, err = n.JSON(ctx, "enroll", "--token", text(invited["token"]), "--organisation", n.Organisation)
	return err
}

// StartCoordinator runs `tributary serve` and waits until it answers.
func (c *Consortium) StartCoordinator(ctx context.Context, env ...string) error {
	p, err := start("coordinator", filepath.Join(c.Dir, "coordinator.log"), c.Bin.Tributary, append(c.Env, env...), "serve", "--dir", c.coordinatorDir(), "--listen", c.Address)
	if err != nil {
		return err
	}
	c.Coordinator = p
	for range 400 {
		conn, err := net.DialTimeout("tcp", c.Address, 100*time.Millisecond)
		if err == nil {
			conn.Close()
			return nil
		}
		select {
		case <-p.Exited():
			log, _ := os.ReadFile(p.Log)
			return fmt.Errorf("the coordinator ended: %s", log)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(25 * time.Millisecond):
		}
	}
	return fmt.Errorf("the coordinator doesn't answer on %s", c.Address)
}

// Run starts the node in the background.
func (n *Node) Run(env ...string) error {
	p, err := start(n.Name, filepath.Join(n.c.Dir, n.Name+".log"), n.c.Bin.Participant, append(n.c.Env, env...), "--config", n.config(), "run")
	n.Process = p
	return err
}

func (n *Node) config() string { return filepath.Join(n.Dir, "participant.yaml") }

// Stop ends every process.
func (c *Consortium) Stop() error {
	all := []*Process{c.Coordinator}
	for _, n := range c.Nodes {
		all = append(all, n.Process)
	}
	return stopAll(all)
}

// Tributary runs the coordinator's command line.
func (c *Consortium) Tributary(ctx context.Context, args ...string) (Result, error) {
	return Run(ctx, c.Bin.Tributary, append(c.Env, "TRIBUTARY_HOME="+filepath.Join(c.Dir, "operator")), args...)
}

// JSON runs the coordinator's command line with --output json and returns its answer; a non-zero exit is an error.
func (c *Consortium) JSON(ctx context.Context, args ...string) (map[string]any, error) {
	r, err := c.Tributary(ctx, append(args, "--output", "json")...)
	if err != nil {
		return nil, err
	}
	return decode("tributary "+strings.Join(args, " "), r)
}

// Command runs the participant's command line.
func (n *Node) Command(ctx context.Context, args ...string) (Result, error) {
	return Run(ctx, n.c.Bin.Participant, n.c.Env, append([]string{"--config", n.config()}, args...)...)
}

// JSON runs the participant's command line with --output json; a non-zero exit is an error.
func (n *Node) JSON(ctx context.Context, args ...string) (map[string]any, error) {
	r, err := n.Command(ctx, append(args, "--output", "json")...)
	if err != nil {
		return nil, err
	}
	return decode(n.Name+": tributary-participant "+strings.Join(args, " "), r)
}

// CommandError is a command that ended with a non-zero exit code.
type CommandError struct {
	Command string
	Result
}

func (e *CommandError) Error() string {
	return fmt.Sprintf("%s: exit %d: %s%s", e.Command, e.Code, e.Err, e.Out)
}

func decode(command string, r Result) (map[string]any, error) {
	if r.Code != 0 {
		return nil, &CommandError{command, r}
	}
	var out map[string]any
	if err := json.Unmarshal([]byte(r.Out), &out); err != nil {
		return nil, fmt.Errorf("%s printed no JSON object: %w: %s", command, err, r.Out)
	}
	return out, nil
}

func text(v any) string { s, _ := v.(string); return s }
