package ledger

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// Memory is a Store in memory: for tests, and to check records that are already in memory. The zero Memory is an empty log.
// It isn't safe for concurrent use.
type Memory struct {
	records [][]byte
	hashes  []tlog.Hash
}

// Size returns the number of entries.
func (m *Memory) Size() (int64, error) { return int64(len(m.records)), nil }

// ReadHashes returns the stored hashes at the given positions, or ErrOutOfRange.
func (m *Memory) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		if x < 0 || x >= int64(len(m.hashes)) {
			return nil, fmt.Errorf("read ledger hash: %w: position %d of %d", ErrOutOfRange, x, len(m.hashes))
		}
		out[i] = m.hashes[x]
	}
	return out, nil
}

// ReadEntry returns a copy of the record at index, or ErrOutOfRange.
func (m *Memory) ReadEntry(index int64) ([]byte, error) {
	if index < 0 || index >= int64(len(m.records)) {
		return nil, fmt.Errorf("read ledger entry: %w: index %d of %d", ErrOutOfRange, index, len(m.records))
	}
	return append([]byte(nil), m.records[index]...), nil
}

// AppendEntry adds a record, or returns ErrOutOfRange if index isn't the next one or the hashes don't follow the stored ones.
func (m *Memory) AppendEntry(index int64, record []byte, hashes []tlog.Hash) error {
	if index != int64(len(m.records)) || tlog.StoredHashIndex(0, index) != int64(len(m.hashes)) {
		return fmt.Errorf("append ledger entry: %w: index %d, next is %d", ErrOutOfRange, index, len(m.records))
	}
	m.records = append(m.records, append([]byte(nil), record...))
	m.hashes = append(m.hashes, hashes...)
	return nil
}
