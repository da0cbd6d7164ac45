// Command tributary-audit reads an exported ledger offline: it needs no network, no database and no key.
package main

import (
	"fmt"
	"os"
)

const usage = `Usage: tributary-audit show FILE

Checks an exported ledger (tributary ledger export FILE) and prints its entries: the Merkle root over the entries is
that of the signed checkpoint, the checkpoint is signed by the coordinator that the first charter names, and every
entry's own signature verifies.

Exit codes: 0 all verified, 1 internal error, 2 usage or a file that can't be read, 3 the ledger doesn't verify.
`

func main() {
	if len(os.Args) == 2 && (os.Args[1] == "--help" || os.Args[1] == "help") {
		fmt.Print(usage)
		return
	}
	if len(os.Args) != 3 || os.Args[1] != "show" {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	os.Exit(show(os.Args[2], os.Stdout, os.Stderr))
}
