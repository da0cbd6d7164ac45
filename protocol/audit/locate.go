package audit

import (
	"bytes"
	"encoding/json"
	"fmt"

	"tributary/protocol/ledger"
)

// ReadFile reads an exported ledger from a file's bytes. Where it was damaged or changed, the error names the entry if an entry shows
// it: package ledger says so of its form and labels, and an entry's own signature of the rest.
func ReadFile(data []byte) (*ledger.Export, error) {
	x, err := ledger.ReadExport(bytes.NewReader(data))
	if err == nil {
		return x, nil
	}
	if found := locate(data); found != nil {
		return nil, fmt.Errorf("%w; %w", found, err)
	}
	return nil, err
}

// locate finds the first entry of a damaged export that isn't what its signer signed.
func locate(data []byte) error {
	for i, line := range bytes.Split(data, []byte("\n")) {
		if i < 2 || len(line) == 0 { // header and checkpoint
			continue
		}
		var row struct{ Record []byte }
		if json.Unmarshal(line, &row) != nil || row.Record == nil {
			continue // the trailer, or what ReadExport names
		}
		e, err := ledger.ParseEntry(row.Record)
		if err == nil {
			_, _, err = open(e)
		}
		if err != nil {
			return fmt.Errorf("entry %d: %w", i-2, err)
		}
	}
	return nil
}
