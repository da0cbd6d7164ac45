package ledger

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// ProveInclusion returns the proof that the entry at index is in the log of the given size: at most 40 hashes.
// It returns ErrOutOfRange unless 0 ≤ index < size ≤ the log's size.
func ProveInclusion(s Store, size, index int64) ([][32]byte, error) {
	if err := checkSize(s, size); err != nil {
		return nil, fmt.Errorf("prove inclusion: %w", err)
	}
	if index < 0 || index >= size {
		return nil, fmt.Errorf("prove inclusion: %w: index %d of %d", ErrOutOfRange, index, size)
	}
	proof, err := tlog.ProveRecord(size, index, s)
	if err != nil {
		return nil, fmt.Errorf("prove inclusion of entry %d in %d: %w", index, size, err)
	}
	return fromHashes(proof), nil
}

// VerifyInclusion reports whether proof shows that record is the entry at index of the log with that head. The head must come
// from a verified checkpoint. A refusal wraps ErrNotIncluded, whatever is wrong with the proof.
func VerifyInclusion(head Head, index int64, record []byte, proof [][32]byte) error {
	if err := head.check(); err != nil {
		return fmt.Errorf("%w: %w", ErrNotIncluded, err)
	}
	if index < 0 || index >= head.Size {
		return fmt.Errorf("%w: %w: index %d of %d", ErrNotIncluded, ErrOutOfRange, index, head.Size)
	}
	if err := tlog.CheckRecord(toHashes(proof), head.Size, head.Root, index, tlog.RecordHash(record)); err != nil {
		return fmt.Errorf("%w: entry %d of %d (hint: keep the record, the proof and the checkpoint: together they are evidence)", ErrNotIncluded, index, head.Size)
	}
	return nil
}

// ProveConsistency returns the proof that the log of size new extends the log of size old. An old size of 0 has the empty
// proof. It returns ErrOutOfRange unless 0 ≤ old ≤ new ≤ the log's size.
func ProveConsistency(s Store, old, new int64) ([][32]byte, error) {
	if err := checkSize(s, new); err != nil {
		return nil, fmt.Errorf("prove consistency: %w", err)
	}
	if old < 0 || old > new {
		return nil, fmt.Errorf("prove consistency: %w: from size %d to %d", ErrOutOfRange, old, new)
	}
	if old == 0 {
		return [][32]byte{}, nil
	}
	proof, err := tlog.ProveTree(new, old, s)
	if err != nil {
		return nil, fmt.Errorf("prove consistency from %d to %d: %w", old, new, err)
	}
	return fromHashes(proof), nil
}

// VerifyConsistency reports whether proof shows that the log with head new extends the log with head old, which the caller
// verified and kept. Only when it returns nil may new replace old. A refusal wraps ErrFork, whatever is wrong with the proof:
// a log that can't show that it only grew is treated as one that didn't. The zero Head as old accepts any new head.
func VerifyConsistency(old, new Head, proof [][32]byte) error {
	if old == (Head{}) {
		old = EmptyHead()
	}
	for _, h := range []Head{old, new} {
		if err := h.check(); err != nil {
			return fmt.Errorf("%w: %w", ErrFork, err)
		}
	}
	switch {
	case new.Size < old.Size:
		return fmt.Errorf("%w: it shrank from %d to %d entries (hint: ask the coordinator's operator; a log that lost entries starts under a new charter version)", ErrFork, old.Size, new.Size)
	case old.Size == 0:
		if len(proof) != 0 {
			return fmt.Errorf("%w: a proof of %d hashes from the empty log", ErrFork, len(proof))
		}
		return nil
	}
	if err := tlog.CheckTree(toHashes(proof), new.Size, new.Root, old.Size, old.Root); err != nil {
		return fmt.Errorf("%w: from size %d to %d (hint: keep both checkpoints: signed, they prove the fork; don't go on)", ErrFork, old.Size, new.Size)
	}
	return nil
}

func fromHashes(hashes []tlog.Hash) [][32]byte {
	out := make([][32]byte, len(hashes))
	for i, h := range hashes {
		out[i] = h
	}
	return out
}

func toHashes(proof [][32]byte) []tlog.Hash {
	out := make([]tlog.Hash, len(proof))
	for i, h := range proof {
		out[i] = h
	}
	return out
}
