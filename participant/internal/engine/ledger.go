package engine

import (
	"context"
	"errors"

	"tributary/participant/internal/client"
	"tributary/protocol/ledger"
	"tributary/protocol/pb"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

// ledgerProof finds the head from which the plan's must follow. With several jobs a plan may be older than the last head seen:
// then the proof must show that the seen head extends the plan's.
func (n *Node) ledgerProof(p *wire.Plan, proof [][]byte) (ledger.Head, [][32]byte, error) {
	seen, err := n.Store.Head()
	if err != nil {
		return ledger.Head{}, nil, err
	}
	hashes, err := client.Hashes(proof)
	if err != nil {
		return ledger.Head{}, nil, err
	}
	plan := ledger.Head{Size: int64(p.LedgerSize), Root: p.LedgerRoot}
	if plan.Size < seen.Size && plan.Size > 0 {
		if err := ledger.VerifyConsistency(plan, seen, hashes); err != nil {
			return ledger.Head{}, nil, refusal(round.RuleLedger, "Compare ledger heads with the other operators.", "the ledger that was seen doesn't extend the plan's: %v", err)
		}
		return plan, nil, nil
	}
	return seen, hashes, nil
}

// gather fetches what a plan must be judged by: the last release's place in the ledger, and its evidence or, where states aren't
// recomputed, the state.
func (n *Node) gather(ctx context.Context, l *live, p *wire.Plan, in *round.PlanArrived) error {
	if !p.PrevRelease.IsZero() {
		reply, err := n.Client.Release(ctx, p.Job, p.PrevRelease, p.LedgerSize)
		if errors.Is(err, client.ErrNotFound) {
			return refusal(round.RuleLedger, "", "the coordinator doesn't have the release that its plan names")
		}
		if err != nil {
			return err
		}
		proof, err := client.Hashes(reply.InclusionProof)
		if err != nil {
			return err
		}
		in.Released = &round.ReleaseInLedger{Index: int64(reply.Index), Entry: reply.Entry, Proof: proof}
	}
	var err error
	if l.member.NeedsEvidence(p.Step) {
		if in.Evidence, in.Payloads, err = n.evidence(ctx, l, p.PrevRelease); err != nil {
			return err
		}
	}
	if l.member.NeedsState(p) {
		in.State, err = n.Client.Fetch(ctx, pb.FetchKind_FETCH_STATE, p.Job, p.StateDigest, l.maxState())
		if errors.Is(err, client.ErrNotFound) {
			return refusal(round.RuleState, "", "the coordinator doesn't have the state that its plan names")
		}
	}
	return err
}

// logged checks that the last release is in the ledger, under the coordinator's signed checkpoint: no plan comes after it whose head
// would show it.
func (n *Node) logged(ctx context.Context, l *live, release wire.Digest) error {
	seen, err := n.Store.Head()
	if err != nil {
		return err
	}
	checkpoint, consistency, err := n.Client.Checkpoint(ctx, seen)
	if errors.Is(err, client.ErrUnreachable) || ctx.Err() != nil {
		return err
	}
	missing := func(err error) error {
		return refusal(round.RuleLedger, "Compare ledger heads with the other operators.", "the last release isn't shown to be in the ledger: %v", err)
	}
	if err != nil {
		return missing(err)
	}
	coordinator := l.terms.charter.Coordinator
	head, err := ledger.VerifyCheckpoint(l.terms.charter.LogOrigin, coordinator[:], checkpoint)
	if err != nil {
		return missing(err)
	}
	if err := ledger.VerifyConsistency(seen, head, consistency); err != nil {
		return missing(err)
	}
	reply, err := n.Client.Release(ctx, l.stored.Job, release, uint64(head.Size))
	if errors.Is(err, client.ErrUnreachable) || ctx.Err() != nil {
		return err
	}
	if err != nil {
		return missing(err)
	}
	proof, err := client.Hashes(reply.InclusionProof)
	if err != nil {
		return missing(err)
	}
	if err := ledger.VerifyInclusion(head, int64(reply.Index), reply.Entry, proof); err != nil {
		return missing(err)
	}
	entry, err := ledger.ParseEntry(reply.Entry)
	if err != nil {
		return missing(err)
	}
	e, err := wire.ParseEnvelope(entry.Object)
	if err != nil {
		return missing(err)
	}
	if r, err := round.OpenRelease(l.closed, &e); err != nil || entry.Kind != ledger.Release || r.Digest() != release {
		return missing(errors.New("its entry is another object"))
	}
	return n.Store.SawHead(head) // what is cosigned next must extend it
}

// maxState is the most bytes of a state of the job that this node fetches: what its own program bounds.
func (l *live) maxState() int { return max(round.MaxVerified, l.terms.program.MaxStateBytes()) }
