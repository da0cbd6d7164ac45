// Command tributary-audit reads an exported ledger offline: it needs no network, no database and no key.
package main

import (
	"fmt"
	"io"
	"os"
)

// Exit codes.
const (
	ok         = 0
	internal   = 1
	wrongUsage = 2 // or a file that can't be read or written
	unverified = 3
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, out, problems io.Writer) int {
	if len(args) > 0 && (args[0] == "--help" || args[0] == "-h" || args[0] == "help") {
		fmt.Fprint(out, usage)
		return ok
	}
	commands := map[string]func(*call) int{"verify": verify, "report": report, "explain": explain, "diff": diff, "show": show}
	if len(args) == 0 || commands[args[0]] == nil {
		fmt.Fprint(problems, usage)
		return wrongUsage
	}
	return commands[args[0]](&call{name: args[0], args: args[1:], out: out, problems: problems})
}
