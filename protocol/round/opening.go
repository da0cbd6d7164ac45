package round

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"tributary/crypto/secagg"
	"tributary/protocol/charter"
	"tributary/protocol/ledger"
	"tributary/protocol/wire"
)

func (c *Coordinator) shareSumCame(e *wire.Envelope) error {
	if c.roster == nil {
		return refuse(RuleContext, "", "no roster is open")
	}
	reply, err := OpenShareSum(c.job, c.ctx, c.roster.Root(), e)
	if err != nil {
		return err
	}
	if _, ok := c.replies[e.Signer]; ok {
		return nil
	}
	c.replies[e.Signer] = reply
	c.at.ShareSums = append(c.at.ShareSums, *e)
	c.emit(Store{c.at.Round, *e}, c.note("open", e.Signer, ""))
	return nil
}

func (c *Coordinator) maybeOpen(now Now) {
	if c.roster == nil || c.opening || len(c.replies) < int(c.job.Manifest.T) || len(c.replies) == c.triedWith {
		return
	}
	c.opening, c.triedWith = true, len(c.replies)
	c.emit(OpenNow{})
}

// Open does the work of OpenNow; it only reads the machine and may take long. payloads finds spooled payloads.
func (c *Coordinator) Open(payloads Payloads) func() (*Opening, error) {
	job, plan := c.job, c.plan
	uploads := make([]*wire.Upload, 0, len(c.uploads))
	for _, entry := range c.roster.Entries {
		uploads = append(uploads, c.uploads[entry.Member])
	}
	replies := make([]secagg.Reply, 0, len(c.replies))
	for _, member := range slices.SortedFunc(maps.Keys(c.replies), wire.Member.Compare) {
		replies = append(replies, c.replies[member])
	}
	return func() (*Opening, error) { return OpenSum(job, plan, uploads, replies, payloads) }
}

func (c *Coordinator) opened(o *Opening) error {
	if c.roster == nil || !c.opening {
		return errors.New("round: an opening that wasn't asked for")
	}
	if o.Fault != nil {
		c.noiseFault(o)
		return nil
	}
	next, err := c.proposal.model.Step(c.at.State, o.Sum)
	if err != nil {
		c.finish(Aborted, err.Error())
		return nil
	}
	kind, _, err := c.proposal.model.Inspect(next)
	if err != nil {
		return err
	}
	release := &wire.Release{Job: c.job.Job, Round: c.plan.Round, Step: c.plan.Step, Kind: c.plan.Kind, Ctx: c.ctx, Root: c.roster.Root(),
		SumDigest: o.SumDigest, NextState: StateDigest(next), KMax: o.KMax, EMax: o.EMax, Suspects: o.Suspects}
	e := wire.Sign(c.key, release)
	c.at.State, c.at.PrevRelease, c.at.PrevContext, c.at.Failures, c.at.Step = next, release.Digest(), c.ctx, 0, c.plan.Step+1
	for _, seat := range o.Suspects {
		c.emit(c.note("open", seat.Member, fmt.Sprintf("the reply of seat %d was corrected: the seat, or a sender's share to it, is wrong", seat.Index)))
	}
	c.emit(Store{c.at.Round, e}, Log{ledger.Release, e.Bytes()}, c.note("apply", wire.Member{}, ""))
	c.clearRound()
	if kind == Done {
		c.finish(Completed, "")
		return nil
	}
	c.emit(c.advance())
	return nil
}

// noiseFault ends a private job whose sum was opened and doesn't carry the agreed noise: nothing of it is applied or published.
func (c *Coordinator) noiseFault(o *Opening) {
	reason, suspects := o.Fault.Error(), []wire.Member(nil)
	if o.FaultOf >= 0 {
		member := c.roster.Entries[o.FaultOf].Member
		suspects = append(suspects, member)
		reason = charter.Name(c.job.Charter, member) + ": " + reason
	}
	c.abortRound("open", "noise", reason, suspects...)
	if !c.at.Status.Final() {
		c.finish(Aborted, reason)
	}
}

// notOpened waits for the replies still missing, and gives the round up when there are none to wait for.
func (c *Coordinator) notOpened(now Now, err error) {
	c.opening, c.failedMs = false, now.Ms
	c.emit(c.note("open", wire.Member{}, fmt.Sprintf("%d replies don't open the sum yet: %v", c.triedWith, err)))
	if len(c.replies)+len(c.refused) >= len(c.job.Manifest.Committee) {
		c.abortRound("open", "unopenable", err.Error())
	}
}
