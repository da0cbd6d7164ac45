package store

import (
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"

	"tributary/protocol/ledger"
)

// ErrHeadMoved: another head was stored since the one that a checkpoint was compared with.
var ErrHeadMoved = errors.New("the last ledger head seen has changed meanwhile")

// Cosigning stores the head of a checkpoint that was shown to extend the last head seen. It must return before the checkpoint is cosigned:
// the node then never cosigns a head that doesn't extend this one, whatever it forgets otherwise.
func (s *Store) Cosigning(seen, head ledger.Head) error {
	return s.change("cosign", func(tx *sql.Tx) error {
		var data []byte
		err := tx.QueryRow(`SELECT value FROM meta WHERE key = 'head'`).Scan(&data)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		last, err := parseHead(data)
		if err != nil {
			return err
		}
		if last != seen || head.Size < seen.Size {
			return fmt.Errorf("%w: size %d, compared with size %d", ErrHeadMoved, last.Size, seen.Size)
		}
		return saveHead(tx, head)
	})
}

// Cosigned records that the coordinator has this node's cosignature of a head.
func (s *Store) Cosigned(head ledger.Head) error {
	return s.change("cosigned", func(tx *sql.Tx) error { return set(tx, "cosigned", headBytes(head)) })
}

// LastCosigned is the last head whose cosignature the coordinator has; the zero head before any.
func (s *Store) LastCosigned() (ledger.Head, error) {
	data, err := s.get("cosigned")
	if err != nil {
		return ledger.Head{}, fmt.Errorf("read last cosigned head: %w", err)
	}
	head, err := parseHead(data)
	return head, wrap("read last cosigned head", err)
}

func headBytes(h ledger.Head) []byte {
	return append(binary.BigEndian.AppendUint64(nil, uint64(h.Size)), h.Root[:]...)
}

// parseHead reads a stored head; of nothing it is the zero head.
func parseHead(data []byte) (ledger.Head, error) {
	switch len(data) {
	case 0:
		return ledger.Head{}, nil
	case 40:
		return ledger.Head{Size: int64(binary.BigEndian.Uint64(data)), Root: [32]byte(data[8:])}, nil
	}
	return ledger.Head{}, fmt.Errorf("%d bytes, want 40", len(data))
}

// SawHead moves the last head seen forward to one that extends it.
func (s *Store) SawHead(head ledger.Head) error {
	return s.change("head", func(tx *sql.Tx) error { return saveHead(tx, head) })
}
