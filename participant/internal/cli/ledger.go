package cli

import (
	"bytes"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"tributary/participant/internal/store"
	"tributary/protocol/audit"
)

func (a *app) ledger() *cobra.Command {
	c := &cobra.Command{Use: "ledger", Short: "What this node keeps of the consortium's ledger"}
	c.AddCommand(&cobra.Command{
		Use:   "export FILE",
		Short: "Write this node's own records: the last ledger head that it saw, and its policies, accounts and charges as it signed them",
		Long: "FILE, by custom NAME.own, is for auditors: put it into a folder with the coordinator's exports and run `tributary-audit verify FOLDER`.\n" +
			"What this node saw and signed can then not be dropped, changed or shown otherwise to others unnoticed. It names no source and holds no data.",
		Args: exactly("FILE"),
		RunE: func(_ *cobra.Command, args []string) error { return a.exportOwn(args[0]) },
	})
	return c
}

func (a *app) exportOwn(file string) error {
	n, err := a.enrolled()
	if err != nil {
		return err
	}
	defer n.close()
	own, err := ownRecords(n.store)
	if err != nil {
		return err
	}
	own.Member = n.identity.Public()
	var content bytes.Buffer
	if err := audit.WriteOwn(&content, own); err != nil {
		return err
	}
	if err := os.WriteFile(file+".new", content.Bytes(), 0o600); err != nil {
		return &failure{Exit: exitUsage, Code: "file", Field: "FILE", Message: err.Error(), Hint: "name a file in a folder that can be written"}
	}
	if err := os.Rename(file+".new", file); err != nil {
		return err
	}
	return a.print(map[string]any{"file": file, "entries": own.Head.Size, "words": len(own.Words)},
		fmt.Sprintf("Wrote %s: the ledger's head at %d entries and %d signed words.\n", file, own.Head.Size, len(own.Words)))
}

func ownRecords(s *store.Store) (*audit.Own, error) {
	head, err := s.Head()
	if err != nil {
		return nil, err
	}
	own := &audit.Own{Head: head}
	words, err := s.AllWords()
	if err != nil {
		return nil, err
	}
	for _, w := range words {
		own.Words = append(own.Words, audit.OwnWord{Envelope: w.Envelope, Acknowledged: w.Acknowledged})
	}
	return own, nil
}
