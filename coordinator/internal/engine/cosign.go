package engine

import (
	"context"
	"fmt"

	"go.uber.org/zap"

	"tributary/coordinator/internal/store"
	"tributary/protocol/charter"
	"tributary/protocol/ledger"
	"tributary/protocol/wire"
)

// signedHead signs the head that the ledger has or had.
func (e *Engine) signedHead(t *store.Tx, size int64) (ledger.Head, []byte, error) {
	head, err := ledger.HeadAt(t, size)
	if err != nil {
		return ledger.Head{}, nil, err
	}
	checkpoint, err := ledger.SignCheckpoint(e.LogOrigin, head, e.Key.Ed25519())
	return head, checkpoint, err
}

// Checkpoint gives the newest checkpoint and the proof that it extends the head of the given size. There is no proof where the ledger is
// smaller than that: whoever asks sees that it shrank.
func (e *Engine) Checkpoint(ctx context.Context, from int64) (checkpoint []byte, proof [][32]byte, err error) {
	err = e.Store.View(ctx, func(t *store.Tx) error {
		size, err := t.Size()
		if err != nil {
			return err
		}
		if _, checkpoint, err = e.signedHead(t, size); err != nil || from > size {
			return err
		}
		proof, err = ledger.ProveConsistency(t, from, size)
		return err
	})
	return checkpoint, proof, err
}

// PutCosignature takes a charter member's cosignature of a checkpoint: the coordinator's own, and that line after it. A member's second
// one of the same head changes nothing.
func (e *Engine) PutCosignature(ctx context.Context, m wire.Member, checkpoint []byte) error {
	return e.Store.Update(context.WithoutCancel(ctx), "commit/cosignature", func(t *store.Tx) error {
		newest, err := t.NewestCharter()
		if err != nil {
			return err
		}
		member, ok := charter.Find(newest.Charter, m)
		if !ok {
			return fail(Denied, "not-a-member", "Only members of the newest charter are witnesses.", "a cosignature of %s, who isn't in charter version %d", m.Short(), newest.Version)
		}
		head, line, err := e.cosignature(checkpoint, charter.Witness(newest.Charter, member))
		if err != nil {
			return fail(Invalid, "cosignature", "The node and the coordinator must be of one release and of one charter.", "%v", err)
		}
		if own, err := ledger.HeadAt(t, head.Size); err != nil || own != head {
			return fail(Precondition, "ledger", "Keep the checkpoint: it is signed, and shows that the coordinator had another ledger. Compare heads with the other operators.", "a cosignature of a head of %d entries that this ledger doesn't have", head.Size)
		}
		if known, err := t.HasCosignature(head.Size, m); err != nil || known {
			return err
		}
		return t.PutCosignature(head.Size, store.Cosignature{Member: m, Line: line})
	})
}

// cosignature verifies that a checkpoint is this coordinator's and has one more line, the witness's, which it returns.
func (e *Engine) cosignature(checkpoint []byte, w ledger.Cosigner) (ledger.Head, []byte, error) {
	key := e.Key.Public()
	head, err := ledger.VerifyCheckpoint(e.LogOrigin, key[:], checkpoint, w)
	if err != nil {
		return head, nil, err
	}
	_, lines := ledger.SplitCosignatures(checkpoint)
	if len(lines) != 1 {
		return head, nil, fmt.Errorf("%w: %d lines after the log's", ledger.ErrMalformed, len(lines))
	}
	return head, lines[0], nil
}

// Ledger runs f on a snapshot of the ledger with a signed checkpoint and its cosignatures: the newest, or, if cosigned, the one that most
// members cosigned, the newest of several.
func (e *Engine) Ledger(ctx context.Context, cosigned bool, f func(s ledger.Store, checkpoint []byte) error) error {
	return e.Store.View(ctx, func(t *store.Tx) error {
		size, err := t.Size()
		if cosigned && err == nil {
			size, err = t.MostCosigned()
			if err == nil && size == 0 {
				err = fail(Precondition, "not-cosigned", "Members cosign when a job completes and when their nodes start; export without --cosigned until then.", "no member has cosigned the ledger yet")
			}
		}
		if err != nil {
			return err
		}
		checkpoint, err := e.witnessed(t, size)
		if err != nil {
			return err
		}
		return f(t, checkpoint)
	})
}

// witnessed is the checkpoint of a size with the cosignatures of those who were members then.
func (e *Engine) witnessed(t *store.Tx, size int64) ([]byte, error) {
	_, checkpoint, err := e.signedHead(t, size)
	if err != nil {
		return nil, err
	}
	stored, err := t.Cosignatures(size)
	if err != nil || len(stored) == 0 {
		return checkpoint, err
	}
	then, err := e.charterAt(t, size)
	if err != nil || then == nil {
		return checkpoint, err
	}
	out, taken := append([]byte(nil), checkpoint...), 0
	for _, c := range stored {
		member, ok := charter.Find(then, c.Member)
		if !ok || taken == ledger.MaxCosigners {
			continue
		}
		if _, _, err := e.cosignature(append(checkpoint[:len(checkpoint):len(checkpoint)], c.Line...), charter.Witness(then, member)); err != nil {
			e.Log.Warn("a stored cosignature doesn't verify and is left out", zap.Int64("size", size), zap.String("member", member.Card.Name), zap.Error(err))
			continue
		}
		out, taken = append(out, c.Line...), taken+1
	}
	return out, nil
}

// charterAt is the newest charter version in the ledger when it had that size; nil: none.
func (e *Engine) charterAt(t *store.Tx, size int64) (*wire.Charter, error) {
	for i := size - 1; i >= 0; i-- {
		record, err := t.ReadEntry(i)
		if err != nil {
			return nil, err
		}
		entry, err := ledger.ParseEntry(record)
		if err != nil {
			return nil, err
		}
		if c := charter.OfEntry(entry, e.Key.Public()); c != nil {
			return c, nil
		}
	}
	return nil, nil
}
