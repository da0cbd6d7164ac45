package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"tributary/protocol/wire"
)

// Version is this release's.
const Version = "0.1.0"

// Streams are where a command reads and writes.
type Streams struct{ Out, Err io.Writer }

// app is what commands share: the global flags and where to print.
type app struct {
	Streams
	home  string // of the client's state
	json  bool
	lines bool // JSON documents are one a line
}

// Run runs one command and returns its exit code. ctx ends when the user interrupts.
func Run(ctx context.Context, args []string, s Streams) int {
	a := &app{Streams: s}
	root := a.root()
	root.SetArgs(args)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if ctx.Err() != nil {
		err = &failure{exit: exitInterrupted, Code: "interrupted", Message: "interrupted"}
	}
	return a.report(err)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "tributary",
		Short:         "Train one model on data that nobody shows: the coordinator and its command line",
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          group,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usage(c, "%v", err) })
	flags := root.PersistentFlags()
	var output string
	flags.StringVar(&a.home, "home", "", "folder of this user's login (default $TRIBUTARY_HOME, or tributary in the user's configuration folder)")
	flags.StringVarP(&output, "output", "o", "text", "text or json")
	root.PersistentPreRunE = func(c *cobra.Command, _ []string) error {
		if a.home == "" {
			a.home = defaultHome()
		}
		switch output {
		case "text":
		case "json":
			a.json = true
		default:
			return usage(c, "--output %s: it is text or json", output)
		}
		return nil
	}
	root.AddCommand(a.initCommand(), a.serveCommand(), a.versionCommand(), a.userCommand(), a.loginCommand(), a.participantCommand(),
		a.charterCommand(), a.jobCommand(), a.budgetCommand(), a.modelCommand(), a.ledgerCommand())
	return root
}

func defaultHome() string {
	if home := os.Getenv("TRIBUTARY_HOME"); home != "" {
		return home
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return ".tributary"
	}
	return filepath.Join(dir, "tributary")
}

// group is what a command that only has subcommands does by itself.
func group(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage(c, "unknown command %q", strings.Join(append([]string{c.CommandPath()}, args[0]), " "))
	}
	return c.Help()
}

func commands(use, short string, subs ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, RunE: group}
	c.AddCommand(subs...)
	return c
}

// takes demands exactly the named arguments.
func takes(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return usage(c, "%s is missing", names[len(args)])
		case len(args) > len(names):
			return usage(c, "unexpected argument %q", args[len(names)])
		}
		return nil
	}
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the release and the protocol version", Args: takes(), RunE: func(*cobra.Command, []string) error {
		return a.print(map[string]any{"version": Version, "protocol": wire.ProtocolVersion}, func(w io.Writer) {
			fmt.Fprintf(w, "tributary %s, protocol %d\n", Version, wire.ProtocolVersion)
		})
	}}
}

// terminal reports whether w is one.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}
