package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"

	"tributary/crypto/identity"
	"tributary/protocol/audit"
	"tributary/protocol/ledger"
)

// call is one invocation.
type call struct {
	name          string
	args          []string
	out, problems io.Writer

	flags       *flag.FlagSet
	coordinator string
	options     audit.Options
}

// parse reads flags, which may stand anywhere, and returns the other arguments, which must be as many as names.
func (c *call) parse(names ...string) ([]string, error) {
	if c.flags == nil {
		c.flagSet()
	}
	var rest []string
	for args := c.args; ; {
		if err := c.flags.Parse(args); err != nil {
			return nil, err
		}
		if args = c.flags.Args(); len(args) == 0 {
			break
		}
		rest, args = append(rest, args[0]), args[1:]
	}
	if len(rest) != len(names) {
		return nil, fmt.Errorf("%s takes %v, not %d arguments", c.name, names, len(rest))
	}
	if c.coordinator != "" {
		key, err := identity.ParsePublicKey(c.coordinator)
		if err != nil {
			return nil, fmt.Errorf("--coordinator: %w", err)
		}
		c.options.Coordinator = key
	}
	return rest, nil
}

func (c *call) flagSet() *flag.FlagSet {
	c.flags = flag.NewFlagSet(c.name, flag.ContinueOnError)
	c.flags.SetOutput(io.Discard)
	c.flags.StringVar(&c.coordinator, "coordinator", "", "")
	return c.flags
}

// choice adds a flag that takes one of the values, the first by default.
func (c *call) choice(name string, values ...string) *string {
	if c.flags == nil {
		c.flagSet()
	}
	v := values[0]
	c.flags.Func(name, "", func(s string) error {
		if !slices.Contains(values, s) {
			return fmt.Errorf("want one of %v", values)
		}
		v = s
		return nil
	})
	return &v
}

// fail says what is wrong and what to do about it.
func (c *call) fail(code int, hint string, err error) int {
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(c.out, usage)
		return ok
	}
	fmt.Fprintf(c.problems, "tributary-audit: %v\nhint: %s\n", err, hint)
	return code
}

func (c *call) misused(err error) int { return c.fail(wrongUsage, "see tributary-audit --help", err) }

const tampered = "the file was changed, or the coordinator signed what it may not; keep it, compare it with other members' exports (tributary-audit diff)"

// load reads and verifies a ledger. A code other than ok is final; findings aren't.
func (c *call) load(file string) (*ledger.Export, *audit.Book, int) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, c.fail(wrongUsage, "name a file written by `tributary ledger export FILE`", err)
	}
	x, err := audit.ReadFile(data)
	if err != nil {
		return nil, nil, c.fail(unverified, tampered, fmt.Errorf("%s: %w", file, err))
	}
	return x, audit.Verify(x, c.options), ok
}

// judge prints a book's findings, where a command's own output doesn't, and gives the exit code.
func (c *call) judge(file string, b *audit.Book) int {
	if b.Verified() {
		return ok
	}
	for _, f := range b.Findings {
		fmt.Fprintf(c.problems, "tributary-audit: %s: %s\n", file, f)
	}
	fmt.Fprintf(c.problems, "hint: %s\n", tampered)
	return unverified
}

func (c *call) json(v any) error {
	e := json.NewEncoder(c.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// write ends a command: what it printed counts only if it was written.
func (c *call) write(err error, code int) int {
	if err != nil {
		return c.fail(internal, "check the disk, or where the output goes", err)
	}
	return code
}

// replace writes a file whole or not at all.
func replace(file string, content *bytes.Buffer) error {
	if err := os.WriteFile(file+".new", content.Bytes(), 0o644); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}
