package engine

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"tributary/participant/internal/client"
	"tributary/participant/internal/store"
	"tributary/protocol/charter"
	"tributary/protocol/ledger"
	"tributary/protocol/wire"
)

// witness cosigns the coordinator's newest checkpoint when that is due: once after the start and after each job that was verified to its
// end. It never stops the node: that the coordinator can't be reached shows in the next call too, and a plan of a forked ledger is
// refused by itself.
func (n *Node) witness(ctx context.Context) {
	if !n.cosignDue || n.Now().Before(n.retryCosign) {
		return
	}
	err := n.cosign(ctx)
	if errors.Is(err, client.ErrUnreachable) || ctx.Err() != nil {
		n.retryCosign = n.Now().Add(maxBackoff)
		return
	}
	n.cosignDue = false
	switch {
	case err == nil:
	case errors.Is(err, ledger.ErrFork):
		n.Log.Error("the coordinator shows another ledger than before: nothing is cosigned; keep this line and compare heads with the other operators", zap.Error(err))
	default:
		n.Log.Warn("the newest checkpoint isn't cosigned", zap.Error(err))
	}
}

// cosign does so if the checkpoint is the coordinator's and extends the last head seen; that head is stored before it signs.
func (n *Node) cosign(ctx context.Context) error {
	accepted, err := n.Store.Charter()
	if errors.Is(err, store.ErrNotFound) {
		return nil // nothing says whose log this is
	}
	if err != nil {
		return err
	}
	self, ok := charter.Find(accepted, n.self)
	if !ok {
		return nil
	}
	seen, err := n.Store.Head()
	if err != nil {
		return err
	}
	checkpoint, proof, err := n.Client.Checkpoint(ctx, seen)
	if err != nil {
		return err
	}
	head, err := ledger.VerifyCheckpoint(accepted.LogOrigin, accepted.Coordinator[:], checkpoint)
	if err != nil {
		return err
	}
	if err := ledger.VerifyConsistency(seen, head, proof); err != nil {
		return fmt.Errorf("%w; seen: %d entries, root %x; shown now: %q", err, seen.Size, seen.Root, checkpoint)
	}
	last, err := n.Store.LastCosigned()
	if err != nil || head.Size == 0 || head == last {
		return err
	}
	if err := n.Store.Cosigning(seen, head); err != nil {
		return err
	}
	signed, err := ledger.Cosign(checkpoint, charter.Witness(accepted, self).Name, n.Identity.Ed25519(), n.Now())
	if err != nil {
		return err
	}
	if err := n.Store.Sending(wire.Digest{}, "cosignature", int64(len(signed)), sha256.Sum256(signed)); err != nil {
		return err
	}
	if err := n.Client.PutCosignature(ctx, signed); err != nil {
		return err
	}
	n.Log.Info("cosigned the ledger", zap.Int64("entries", head.Size))
	return n.Store.Cosigned(head)
}
