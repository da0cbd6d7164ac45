package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"tributary/participant/internal/client"
	"tributary/protocol/pb"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

// load reads a stored job's terms, under the charter by which it was approved.
func (n *Node) load(l *live) error {
	if l.terms != nil {
		return nil
	}
	items, err := bundle(l.stored.Bundle)
	if err != nil {
		return err
	}
	e, err := wire.ParseEnvelope(items[0])
	if err != nil {
		return err
	}
	var m wire.Manifest
	if err := e.Open(&m); err != nil {
		return err
	}
	accepted, err := n.Store.CharterByDigest(m.CharterDigest)
	if err != nil {
		return err
	}
	l.terms, err = readTerms(l.stored.Job, accepted, l.stored.Bundle)
	return err
}

// join makes the job's machine. The first time, the closed job is fetched, checked and kept for ever.
func (n *Node) join(ctx context.Context, l *live) error {
	if l.member != nil {
		return nil
	}
	if err := n.load(l); err != nil {
		return err
	}
	data := l.stored.Closed
	if data == nil {
		var err error
		if data, err = n.Client.Fetch(ctx, pb.FetchKind_FETCH_JOB, l.stored.Job, l.stored.Job, wire.MaxBundle); err != nil {
			return err
		}
	}
	closed, err := n.closed(l, data)
	if err != nil {
		return err
	}
	if l.stored.Closed == nil {
		if err := n.Store.CloseJob(l.stored.Job, data); err != nil {
			return err
		}
		l.stored.Closed = data
	}
	key, err := n.keys.Get(l.stored.Job)
	if err != nil {
		return err
	}
	l.closed, l.noKey = closed, closed.Seat(n.self) != 0 && key == nil
	l.member, err = round.NewMember(n.Identity, closed, key, l.stored.Record)
	return err
}

// closed checks a closed job: the terms that were approved, and all approvals, this member's own among them byte for byte.
func (n *Node) closed(l *live, data []byte) (*round.Job, error) {
	items, err := bundle(data)
	if err != nil {
		return nil, err
	}
	seen, err := bundle(l.stored.Bundle)
	if err != nil {
		return nil, err
	}
	for i := range bundleItems {
		if !bytes.Equal(items[i], seen[i]) {
			return nil, refusal(round.RuleClosed, "Ask every operator of the cohort which form they see.", "document %d of the closed job isn't the one that was approved", i+1)
		}
	}
	var approvals []wire.Envelope
	own := false
	for _, item := range items[bundleItems:] {
		e, err := wire.ParseEnvelope(item)
		if err != nil {
			return nil, refusal(round.RuleApprovals, "", "approval: %v", err)
		}
		own = own || bytes.Equal(item, l.stored.Approval)
		approvals = append(approvals, e)
	}
	job, err := round.Close(l.terms.proposal, approvals)
	if err != nil {
		return nil, err
	}
	if !own {
		return nil, refusal(round.RuleApprovals, "", "the closed job doesn't hold this member's own approval")
	}
	return job, nil
}

// plan brings a plan to the machine with all that it needs to be judged.
func (n *Node) plan(ctx context.Context, l *live, t *pb.Task) error {
	e, err := wire.ParseEnvelope(t.Object)
	if err != nil {
		return refusal(round.RulePlan, "", "%v", err)
	}
	if err := n.join(ctx, l); err != nil {
		return err
	}
	p, err := round.OpenPlan(l.closed, &e)
	if err != nil {
		return err
	}
	in := round.PlanArrived{Plan: e}
	rec := l.member.Record()
	if p.Round > rec.Round {
		if in.Seen, in.Proof, err = n.ledgerProof(p, t.ConsistencyProof); err != nil {
			return err
		}
		if l.closed.Contributes(n.self) {
			if err := n.gather(ctx, l, p, &in); err != nil {
				return err
			}
		}
	}
	effects, err := l.member.Step(in)
	if err != nil {
		return err
	}
	n.Log.Info("plan", zap.String("job", l.stored.Name), zap.Uint64("round", p.Round), zap.Uint32("step", p.Step), zap.Stringer("kind", p.Kind))
	if l.noKey {
		lost := &round.Refused{Rule: round.RuleCommittee, Reason: "this seat's key was erased", Hint: "The seat's key was erased; the job goes on if a quorum is left."}
		if err := n.send(ctx, l, l.member.Refusal(lost, "open")); err != nil {
			return err
		}
	}
	return n.carry(ctx, l, effects)
}

// evidence fetches what led to a release, payloads included: a broken transfer must not look like false evidence to the machine.
func (n *Node) evidence(ctx context.Context, l *live, release wire.Digest) (*round.Evidence, round.Payloads, error) {
	data, err := n.Client.Fetch(ctx, pb.FetchKind_FETCH_EVIDENCE, l.stored.Job, release, wire.MaxBundle)
	if errors.Is(err, client.ErrNotFound) {
		return nil, nil, refusal(round.RuleState, "", "the coordinator has no evidence of the release that its plan names")
	}
	if err != nil {
		return nil, nil, err
	}
	b, err := wire.ParseBundle(data)
	if err != nil {
		return nil, nil, refusal(round.RuleState, "", "evidence: %v", err)
	}
	evidence, err := round.ParseEvidence(b)
	if err != nil {
		return nil, nil, err
	}
	payloads := map[wire.Digest][]byte{}
	find := func(d wire.Digest) ([]byte, error) {
		if payload, ok := payloads[d]; ok {
			return payload, nil
		}
		return nil, errors.New("payload isn't at hand")
	}
	if !l.terms.proposal.Verifiable() {
		return evidence, find, nil
	}
	if sealed, err := n.Store.Sealed(l.stored.Job); err == nil {
		payloads[round.BlobDigest(sealed.Payload)] = sealed.Payload
	}
	plan, err := round.OpenPlan(l.closed, &evidence.Plan)
	if err != nil {
		return nil, nil, err
	}
	if len(evidence.Uploads) > len(l.closed.Manifest.Cohort) || len(evidence.ShareSums) > len(l.closed.Manifest.Committee) {
		return nil, nil, refusal(round.RuleRoster, "", "evidence of %d uploads and %d share sums", len(evidence.Uploads), len(evidence.ShareSums))
	}
	ctx, cancel := context.WithDeadline(ctx, l.stored.Expires)
	defer cancel()
	for i := range evidence.Uploads {
		u, err := round.OpenUpload(l.closed, plan, &evidence.Uploads[i])
		if err != nil {
			return nil, nil, err
		}
		if payloads[u.PayloadDigest] != nil {
			continue
		}
		payload, err := n.Client.Fetch(ctx, pb.FetchKind_FETCH_PAYLOAD, l.stored.Job, u.PayloadDigest, int(u.PayloadLen))
		if errors.Is(err, client.ErrNotFound) {
			return nil, nil, refusal(round.RuleState, "", "the coordinator has lost a payload that the last release was made of")
		}
		if err != nil {
			return nil, nil, err
		}
		payloads[u.PayloadDigest] = payload
	}
	return evidence, find, nil
}

// check opens the sealed shares that have arrived since the last check.
func (n *Node) check(ctx context.Context, l *live) error {
	if err := n.join(ctx, l); err != nil || l.noKey {
		return err
	}
	return n.openShares(ctx, l, l.member.Checked())
}

func (n *Node) openShares(ctx context.Context, l *live, after int) error {
	return n.Client.Shares(ctx, l.stored.Job, l.member.Context(), after, func(upload wire.Envelope, sealed []byte) error {
		effects, err := l.member.Step(round.ShareSeen{Upload: upload, Sealed: sealed})
		if err != nil {
			return err
		}
		return n.carry(ctx, l, effects)
	})
}

// open answers a roster.
func (n *Node) open(ctx context.Context, l *live, t *pb.Task) error {
	e, err := wire.ParseEnvelope(t.Object)
	if err != nil {
		return refusal(round.RuleRoster, "", "%v", err)
	}
	if err := n.join(ctx, l); err != nil {
		return err
	}
	effects, err := l.member.Step(round.RosterArrived{Roster: e})
	if errors.Is(err, round.ErrSharesMissing) {
		if err := n.openShares(ctx, l, 0); err != nil {
			return err
		}
		if effects, err = l.member.Step(round.RosterArrived{Roster: e}); errors.Is(err, round.ErrSharesMissing) {
			return refusal(round.RuleRoster, "", "the roster lists an upload whose share was never shown to this seat")
		}
	}
	if err != nil {
		return err
	}
	return n.carry(ctx, l, effects)
}

// release verifies the last transition and ends the job.
func (n *Node) release(ctx context.Context, l *live, t *pb.Task) error {
	if err := n.join(ctx, l); err != nil {
		return err
	}
	e, err := wire.ParseEnvelope(t.Object)
	if err != nil {
		return refusal(round.RuleState, "", "release: %v", err)
	}
	r, err := round.OpenRelease(l.closed, &e)
	if err != nil {
		return err
	}
	in := round.LastRelease{}
	if l.closed.Contributes(n.self) && l.closed.Verifiable() && !l.member.Record().Finished {
		if in.Evidence, in.Payloads, err = n.evidence(ctx, l, r.Digest()); err != nil {
			return err
		}
	}
	if l.closed.Contributes(n.self) && !l.closed.Verifiable() && l.terms.private() && l.terms.resolved.Model.Recommendation != nil {
		// No plan names the last state, and this node recommends by it.
		if in.State, err = n.Client.Fetch(ctx, pb.FetchKind_FETCH_STATE, l.stored.Job, r.NextState, l.maxState()); err != nil && !errors.Is(err, client.ErrNotFound) {
			return err
		}
		in.Next = r.NextState
	}
	if err := n.logged(ctx, l, r.Digest()); err != nil {
		return err
	}
	effects, err := l.member.Step(in)
	if err != nil {
		return err
	}
	if err := n.carry(ctx, l, effects); err != nil {
		return err
	}
	if err := n.evaluate(ctx, l, r.NextState); err != nil {
		return err
	}
	return n.finish(l, fmt.Sprintf("completed in %d steps", r.Step+1))
}
