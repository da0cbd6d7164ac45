// Package cli is the command line of a participant.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"tributary/crypto/identity"
	"tributary/participant/internal/client"
	"tributary/participant/internal/config"
	"tributary/participant/internal/store"
)

// Exit codes.
const (
	exitOK           = 0
	exitInternal     = 1
	exitUsage        = 2
	exitRefused      = 3
	exitUnreachable  = 5
	exitUnauthorised = 6
	exitInterrupted  = 130
)

// ErrInterrupted is the cause of a context that ended by SIGINT: the exit code is 130 then.
var ErrInterrupted = errors.New("interrupted")

// ConfigVariable names the environment variable that says where the config is.
const ConfigVariable = "TRIBUTARY_PARTICIPANT_CONFIG"

// app is one call of the program.
type app struct {
	out, err io.Writer
	config   string
	output   string
}

// Main runs a command and returns the exit code.
func Main(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	a := &app{out: stdout, err: stderr}
	root := a.root()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if errors.Is(context.Cause(ctx), ErrInterrupted) {
		if err != nil && !errors.Is(err, context.Canceled) {
			a.tell(err)
		}
		return exitInterrupted
	}
	if err == nil {
		return exitOK
	}
	return a.tell(err)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "tributary-participant",
		Short:         "Take part in federated training without showing anyone your data",
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if a.output != "text" && a.output != "json" {
				wrong := a.output
				a.output = "text"
				return &failure{Exit: exitUsage, Code: "usage", Field: "output", Message: fmt.Sprintf("--output %q is not one of text, json", wrong)}
			}
			return nil
		},
	}
	file := os.Getenv(ConfigVariable)
	if file == "" {
		file = "participant.yaml"
	}
	root.PersistentFlags().StringVar(&a.config, "config", file, "the participant's YAML file; default $"+ConfigVariable+" or ./participant.yaml")
	root.PersistentFlags().StringVar(&a.output, "output", "text", "text or json")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return &failure{Exit: exitUsage, Code: "usage", Message: err.Error(), Hint: "see " + c.CommandPath() + " --help"}
	})
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(a.enroll(), a.charter(), a.check(), a.jobs(), a.decide("approve"), a.decide("deny"), a.evaluation(), a.recommend(), a.budget(), a.ledger(), a.run(), a.score(), a.names(), a.version())
	return root
}

// exactly is cobra's argument check with our error.
func exactly(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) == len(names) {
			return nil
		}
		want := "no arguments"
		if len(names) > 0 {
			want = strings.Join(names, " ")
		}
		return &failure{Exit: exitUsage, Code: "usage", Message: fmt.Sprintf("%s takes %s, got %d arguments", c.CommandPath(), want, len(args)), Hint: "see " + c.CommandPath() + " --help"}
	}
}

// print writes the result: as JSON, or as text.
func (a *app) print(v any, text string) error {
	if a.output == "json" {
		e := json.NewEncoder(a.out)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(v)
	}
	_, err := io.WriteString(a.out, text)
	return err
}

// open reads the config and opens the data directory.
func (a *app) open() (*config.Config, *store.Store, error) {
	c, err := config.Load(a.config)
	if err != nil {
		return nil, nil, err
	}
	s, err := store.Open(c.DataDir)
	return c, s, err
}

// node is an enrolled node's parts.
type node struct {
	config      *config.Config
	store       *store.Store
	enrolment   store.Enrolment
	identity    *identity.Key
	credentials *client.Credentials
	client      *client.Client
}

func (n *node) close() {
	n.client.Close()
	n.store.Close()
}

// enrolled opens all that talks to the coordinator.
func (a *app) enrolled() (_ *node, err error) {
	c, s, err := a.open()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	n := &node{config: c, store: s}
	if n.enrolment, err = s.Enrolment(); errors.Is(err, store.ErrNotFound) {
		return nil, client.ErrNotEnrolled
	}
	if err != nil {
		return nil, err
	}
	if n.enrolment.Name != c.Name {
		return nil, &failure{Exit: exitUsage, Code: "config", Field: "name", Message: fmt.Sprintf("the config's name is %q, this data directory is enrolled as %q", c.Name, n.enrolment.Name),
			Hint: "correct name or data_dir in " + c.Path}
	}
	if n.identity, err = identity.Load(filepath.Join(c.DataDir, store.IdentityFile)); err != nil {
		return nil, err
	}
	if n.credentials, err = client.LoadCredentials(filepath.Join(c.DataDir, store.TLSKeyFile), filepath.Join(c.DataDir, store.ChainFile)); err != nil {
		return nil, err
	}
	address := n.enrolment.Address
	if c.Coordinator != "" {
		address = c.Coordinator
	}
	n.client, err = client.Dial(client.Options{Address: address, Fingerprint: n.enrolment.Fingerprint, Credentials: n.credentials})
	return n, err
}
