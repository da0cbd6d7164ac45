package store

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"tributary/protocol/ledger"
)

var _ ledger.Store = (*Tx)(nil)

// Size returns the ledger's number of entries, this transaction's included.
func (t *Tx) Size() (int64, error) {
	var n int64
	err := t.row(`SELECT COALESCE(MAX(n) + 1, 0) FROM ledger_entries`).Scan(&n)
	return n, err
}

// ReadHashes returns the stored hashes at the given positions, or ledger.ErrOutOfRange.
func (t *Tx) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, n := range indexes {
		var b []byte
		if err := t.row(`SELECT hash FROM ledger_hashes WHERE n = ?`, n).Scan(&b); err != nil {
			return nil, fmt.Errorf("read ledger hash %d: %w: %w", n, ledger.ErrOutOfRange, err)
		}
		if copy(out[i][:], b) != len(out[i]) || len(b) != len(out[i]) {
			return nil, fmt.Errorf("read ledger hash %d: %w: %d bytes", n, ledger.ErrTampered, len(b))
		}
	}
	return out, nil
}

// ReadEntry returns the record at index exactly as appended, or ledger.ErrOutOfRange.
func (t *Tx) ReadEntry(index int64) ([]byte, error) {
	var b []byte
	if err := t.row(`SELECT record FROM ledger_entries WHERE n = ?`, index).Scan(&b); err != nil {
		return nil, fmt.Errorf("read ledger entry %d: %w: %w", index, ledger.ErrOutOfRange, err)
	}
	return b, nil
}

// AppendEntry adds a record and its hashes; the primary keys refuse what isn't next.
func (t *Tx) AppendEntry(index int64, record []byte, hashes []tlog.Hash) error {
	size, err := t.Size()
	if err != nil {
		return err
	}
	if index != size {
		return fmt.Errorf("append ledger entry: %w: index %d, next is %d", ledger.ErrOutOfRange, index, size)
	}
	if err := t.exec(`INSERT INTO ledger_entries (n, record) VALUES (?, ?)`, index, record); err != nil {
		return err
	}
	first := tlog.StoredHashIndex(0, index)
	for i := range hashes {
		if err := t.exec(`INSERT INTO ledger_hashes (n, hash) VALUES (?, ?)`, first+int64(i), hashes[i][:]); err != nil {
			return err
		}
	}
	return nil
}
