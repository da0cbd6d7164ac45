package main

import (
	"bytes"
	"fmt"
	"io"

	"tributary/protocol/audit"
	"tributary/protocol/wire"
)

// verify prints what was found.
func verify(c *call) int {
	output := c.choice("output", "text", "json")
	witnesses := c.flags.Uint("witnesses", 0, "")
	args, err := c.parse("FILE")
	if err != nil {
		return c.misused(err)
	}
	c.options.Witnesses = int(min(*witnesses, wire.MaxMembers+1))
	b, code, found := c.read(args[0])
	if code != ok {
		return code
	}
	if *output == "json" {
		if !b.Verified() {
			found = unverified
		}
		return c.write(c.json(b.Summary()), found)
	}
	if code := max(c.judge(args[0], b), found); code != ok {
		return code
	}
	for _, n := range b.Notes {
		fmt.Fprintf(c.out, "note: %s\n", n)
	}
	_, err = fmt.Fprintln(c.out, b.Summary())
	return c.write(err, ok)
}

// show prints the entries.
func show(c *call) int {
	args, err := c.parse("FILE")
	if err != nil {
		return c.misused(err)
	}
	_, b, code := c.load(args[0])
	if code != ok {
		return code
	}
	for _, l := range b.Lines() {
		fmt.Fprintln(c.out, l)
	}
	if code := c.judge(args[0], b); code != ok {
		return code
	}
	_, err = fmt.Fprintln(c.out, b.Summary())
	return c.write(err, ok)
}

// report writes what a compliance officer reads. It is written even if the ledger doesn't verify, and then says so at its top.
func report(c *call) int {
	format := c.choice("format", "text", "json", "csv", "html", "pdf")
	member := c.flags.String("member", "", "")
	file := c.flags.String("out", "", "")
	args, err := c.parse("FILE")
	if err != nil {
		return c.misused(err)
	}
	b, code, found := c.read(args[0])
	if code != ok {
		return code
	}
	r := audit.NewReport(b)
	if *member != "" && !r.Only(*member) {
		return c.fail(wrongUsage, "tributary-audit report FILE lists the members", fmt.Errorf("nobody is called %q in this ledger", *member))
	}
	code = max(c.judge(args[0], b), found)
	if *file == "" {
		return c.write(writeReport(c.out, r, *format), code)
	}
	var content bytes.Buffer
	if err := writeReport(&content, r, *format); err != nil {
		return c.write(err, code)
	}
	if err := replace(*file, &content); err != nil {
		return c.fail(wrongUsage, "choose another place with --out", err)
	}
	return code
}

func writeReport(w io.Writer, r *audit.Report, format string) error {
	switch format {
	case "json":
		return (&call{out: w}).json(r)
	case "csv":
		return r.WriteCSV(w)
	case "html":
		return r.WriteHTML(w)
	case "pdf":
		return r.WritePDF(w)
	}
	return r.WriteText(w)
}

// explain says one release.
func explain(c *call) int {
	output := c.choice("output", "text", "json")
	args, err := c.parse("FILE", "RELEASE")
	if err != nil {
		return c.misused(err)
	}
	_, b, code := c.load(args[0])
	if code != ok {
		return code
	}
	x, err := audit.Explain(b, args[1])
	if err != nil {
		return c.fail(wrongUsage, "tributary-audit report FILE lists the releases", err)
	}
	code = c.judge(args[0], b)
	if *output == "json" {
		return c.write(c.json(x), code)
	}
	return c.write(x.WriteText(c.out), code)
}

// diff compares two ledgers.
func diff(c *call) int {
	output := c.choice("output", "text", "json")
	args, err := c.parse("FILE1", "FILE2")
	if err != nil {
		return c.misused(err)
	}
	x, first, code := c.load(args[0])
	if code != ok {
		return code
	}
	y, second, code := c.load(args[1])
	if code != ok {
		return code
	}
	code = max(c.judge(args[0], first), c.judge(args[1], second))
	d := audit.Compare(x, y)
	if *output == "json" {
		err = c.json(d)
	} else {
		err = d.WriteText(c.out, args[0], args[1])
	}
	if err != nil {
		return c.write(err, code)
	}
	switch {
	case d.Relation == audit.Fork && first.Signed() && second.Signed() && first.Coordinator == second.Coordinator:
		return c.fail(unverified, "keep both files: together they prove that the coordinator showed two histories; stop its jobs until that is settled",
			fmt.Errorf("a fork: %s signed both", first.Coordinator))
	case d.Relation == audit.Fork || d.Relation == audit.Other:
		return c.fail(unverified, "compare exports of one coordinator's log", fmt.Errorf("neither ledger goes on from the other"))
	}
	return code
}
