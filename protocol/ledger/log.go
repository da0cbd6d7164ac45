package ledger

import (
	"crypto/sha256"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// MaxSize bounds the number of entries that a log may claim. It is far above any real log and far below 2^62, where
// sumdb/tlog's search for a power of two would not end: a hostile size must not hang a verifier.
const MaxSize = 1 << 40

// Store is where a log lives: one SQL transaction, or Memory. A Store is used by one goroutine at a time.
//
// All calls of one Append, and the state that the entry evidences, must be in one serialisable transaction: they become
// durable together or not at all. An entry, once durable, is never changed or removed.
type Store interface {
	// Size returns the number of entries, including those appended in this transaction.
	Size() (int64, error)
	// ReadHashes returns the stored hashes at the given positions, as many and in that order, or an error (tlog.HashReader).
	ReadHashes(indexes []int64) ([]tlog.Hash, error)
	// ReadEntry returns the record at index, 0 ≤ index < Size, exactly as appended.
	ReadEntry(index int64) ([]byte, error)
	// AppendEntry adds the record at index, which must equal Size, or it returns an error, and its hashes at consecutive
	// positions from tlog.StoredHashIndex(0, index). It must not keep the slices.
	AppendEntry(index int64, record []byte, hashes []tlog.Hash) error
}

// Head is the state of a log: how many entries it has and the Merkle root over them. The zero Head stands for "nothing seen
// yet" and is accepted wherever an old head is; EmptyHead is that of a log without entries.
type Head struct {
	Size int64
	Root [32]byte
}

// EmptyHead returns the head of a log without entries, whose root is SHA-256 of nothing [RFC6962, §2.1].
func EmptyHead() Head { return Head{Root: sha256.Sum256(nil)} }

func (h Head) check() error {
	if h.Size < 0 || h.Size > MaxSize {
		return fmt.Errorf("%w: size %d, want 0 to %d", ErrOutOfRange, h.Size, int64(MaxSize))
	}
	if h.Size == 0 && h != EmptyHead() {
		return fmt.Errorf("%w: a head of size 0 with a root of something", ErrMalformed)
	}
	return nil
}

// Append adds e at the end of the log and returns its index.
func Append(s Store, e Entry) (int64, error) {
	record, err := e.Marshal()
	if err != nil {
		return 0, fmt.Errorf("append to ledger: %w", err)
	}
	index, err := s.Size()
	if err != nil {
		return 0, fmt.Errorf("append to ledger: %w", err)
	}
	if index < 0 || index >= MaxSize {
		return 0, fmt.Errorf("append to ledger: %w: size %d, want 0 to %d", ErrOutOfRange, index, int64(MaxSize)-1)
	}
	hashes, err := tlog.StoredHashes(index, record, s)
	if err != nil {
		return 0, fmt.Errorf("append to ledger: entry %d: %w", index, err)
	}
	if err := s.AppendEntry(index, record, hashes); err != nil {
		return 0, fmt.Errorf("append to ledger: entry %d: %w", index, err)
	}
	return index, nil
}

// CurrentHead returns the head of the whole log.
func CurrentHead(s Store) (Head, error) {
	size, err := s.Size()
	if err != nil {
		return Head{}, fmt.Errorf("read ledger head: %w", err)
	}
	return HeadAt(s, size)
}

// HeadAt returns the head that the log had when it had size entries, or ErrOutOfRange.
func HeadAt(s Store, size int64) (Head, error) {
	if err := checkSize(s, size); err != nil {
		return Head{}, fmt.Errorf("read ledger head: %w", err)
	}
	root, err := tlog.TreeHash(size, s)
	if err != nil {
		return Head{}, fmt.Errorf("read ledger head at %d: %w", size, err)
	}
	return Head{Size: size, Root: root}, nil
}

// checkSize reports whether the log has had the given size.
func checkSize(s Store, size int64) error {
	have, err := s.Size()
	if err != nil {
		return err
	}
	if size < 0 || size > have || size > MaxSize {
		return fmt.Errorf("%w: size %d, the log has %d entries", ErrOutOfRange, size, have)
	}
	return nil
}
