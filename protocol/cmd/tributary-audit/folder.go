package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tributary/protocol/audit"
	"tributary/protocol/ledger"
)

// What a folder's files are called.
const (
	exportSuffix = ".jsonl" // tributary ledger export
	ownSuffix    = ".own"   // tributary-participant ledger export
)

// one is an export of a folder.
type one struct {
	file   string
	export *ledger.Export
	book   *audit.Book
}

// folder verifies all that is in a folder: every export by itself and that each is the start of the longest, and the members' own records
// against the longest. A code other than ok is final; findings aren't.
func (c *call) folder(dir string) (*audit.Book, int) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, c.fail(wrongUsage, "name a folder that can be read", err)
	}
	var all []one
	var own []string
	code := ok
	for _, f := range files {
		file := filepath.Join(dir, f.Name())
		switch {
		case strings.HasSuffix(f.Name(), ownSuffix):
			own = append(own, file)
		case strings.HasSuffix(f.Name(), exportSuffix):
			options := c.options
			c.options.Witnesses = 0 // the longest one's checkpoint alone is to be cosigned by so many
			x, b, failed := c.load(file)
			c.options = options
			if failed != ok {
				code = max(code, failed)
				continue
			}
			all = append(all, one{file, x, b})
		}
	}
	if code != ok {
		return nil, code
	}
	if len(all) == 0 {
		return nil, c.fail(wrongUsage, "put exports (tributary ledger export) and members' own records (tributary-participant ledger export) there", fmt.Errorf("%s has no file *%s", dir, exportSuffix))
	}
	slices.SortStableFunc(all, func(a, b one) int { return int(a.export.Head.Size - b.export.Head.Size) })
	last := all[len(all)-1]
	book := audit.Verify(last.export, c.options)
	for _, o := range all[:len(all)-1] {
		code = max(code, c.judge(o.file, o.book))
		if d := audit.Compare(o.export, last.export); d.Relation == audit.Fork || d.Relation == audit.Other {
			code = c.fail(unverified, "keep both: if one key signed them they prove that the coordinator showed two histories", fmt.Errorf("%s and %s: neither ledger goes on from the other", o.file, last.file))
		}
	}
	for _, file := range own {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, c.fail(wrongUsage, "name a folder that can be read", err)
		}
		records, err := audit.ReadOwn(data)
		if errors.Is(err, audit.ErrOwn) {
			code = c.fail(unverified, "ask its member for the file again", fmt.Errorf("%s: %w", file, err))
			continue
		}
		book.Against(records)
	}
	book.Notes = append(book.Notes, fmt.Sprintf("Compared: exports: %d, the longest %s; members' own records: %d.", len(all), filepath.Base(last.file), len(own)))
	return book, code
}

// read verifies a file or a folder.
func (c *call) read(path string) (*audit.Book, int, int) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		b, code := c.folder(path)
		if b == nil {
			return nil, code, ok
		}
		return b, ok, code
	}
	_, b, code := c.load(path)
	return b, code, ok
}
