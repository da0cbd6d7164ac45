package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"tributary/protocol/audit"
	"tributary/protocol/ledger"
	"tributary/protocol/wire"
)

var errNoCharter = errors.New("the ledger has no charter, so nothing says whose signature counts")

// show prints the ledger in file and returns the exit code.
func show(file string, out, problems io.Writer) int {
	f, err := os.Open(file)
	if err != nil {
		fmt.Fprintf(problems, "tributary-audit: %v\nhint: name a file written by `tributary ledger export FILE`\n", err)
		return 2
	}
	defer f.Close()
	if err := verify(f, out); err != nil {
		fmt.Fprintf(problems, "tributary-audit: %s: %v\nhint: the file was changed, or the coordinator shows another ledger than it signed; keep it and compare with the other members\n", file, err)
		return 3
	}
	return 0
}

func verify(in io.Reader, out io.Writer) error {
	x, err := ledger.ReadExport(in)
	if err != nil {
		return err
	}
	var coordinator *wire.Charter
	reader := audit.NewReader()
	for _, e := range x.Entries {
		line, err := reader.Read(e)
		if err != nil {
			return err
		}
		if e.Kind == ledger.Charter && coordinator == nil {
			if coordinator, err = openCharter(e.Object); err != nil {
				return err
			}
		}
		fmt.Fprintln(out, line)
	}
	if coordinator == nil {
		return errNoCharter
	}
	if err := x.Verify(coordinator.LogOrigin, coordinator.Coordinator[:]); err != nil {
		return err
	}
	fmt.Fprintf(out, "verified: %d entries, root %x, signed by the coordinator %s of %q\n", x.Head.Size, x.Head.Root[:8], coordinator.Coordinator.Short(), coordinator.Consortium)
	return nil
}

func openCharter(object []byte) (*wire.Charter, error) {
	e, err := wire.ParseEnvelope(object)
	if err != nil {
		return nil, err
	}
	var c wire.Charter
	return &c, e.Open(&c)
}
