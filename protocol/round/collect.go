package round

import (
	"fmt"
	"slices"
	"tributary/protocol/charter"
	"tributary/protocol/ledger"
	"tributary/protocol/wire"
)

func (c *Coordinator) approvalCame(e *wire.Envelope) error {
	a, err := OpenApproval(c.proposal, e)
	if err != nil {
		return err
	}
	if old, ok := c.approved[a.Member]; ok {
		if old.Digest() == e.Digest() {
			return nil
		}
		return refuse(RuleApprovals, "", "%s has approved before, with another key", charter.Name(c.proposal.Charter, a.Member))
	}
	if c.job != nil {
		return refuse(RuleClosed, "", "the job is closed")
	}
	c.approved[a.Member] = *e
	c.at.Approvals = append(c.at.Approvals, *e)
	c.emit(Store{0, *e}, Log{ledger.Approval, e.Bytes()}, c.note("approve", a.Member, "approved"))
	if len(c.approved) < len(c.proposal.needed()) {
		return nil
	}
	if c.job, err = Close(c.proposal, c.at.Approvals); err != nil {
		return err
	}
	c.at.Status = Running
	c.emit(c.advance(), c.note("approve", wire.Member{}, "all have approved"))
	return nil
}

// startRound signs the plan of the state's next round.
func (c *Coordinator) startRound(now Now) {
	kind, step, err := c.proposal.model.Inspect(c.at.State)
	if err != nil {
		c.finish(Aborted, fmt.Sprintf("the stored state doesn't parse: %v", err))
		return
	}
	c.clearRound()
	c.at.Round++
	c.plan = &wire.Plan{Job: c.job.Job, Round: c.at.Round, Step: step, Kind: wire.RoundKind(kind), StateDigest: StateDigest(c.at.State),
		PrevRelease: c.at.PrevRelease, DeadlineMs: now.Ms + uint64(c.job.Manifest.RoundMs), LedgerSize: uint64(now.Head.Size), LedgerRoot: now.Head.Root}
	e := wire.Sign(c.key, c.plan)
	c.at.Plan, c.ctx = &e, c.plan.Context(c.job.Closed)
	c.emit(Store{c.at.Round, e}, c.advance(), c.note("plan", wire.Member{}, ""))
}

func (c *Coordinator) uploadCame(e *wire.Envelope) error {
	if c.plan == nil {
		return refuse(RuleContext, "", "no round is open")
	}
	u, err := OpenUpload(c.job, c.plan, e)
	if err != nil {
		return err
	}
	name := charter.Name(c.job.Charter, e.Signer)
	if _, ok := c.uploads[e.Signer]; ok {
		for i := range c.at.Uploads {
			if c.at.Uploads[i].Digest() == e.Digest() {
				return nil
			}
		}
		return refuse(RuleUpload, "", "%s has uploaded something else in this round", name)
	}
	if c.roster != nil {
		return refuse(RuleRoster, "", "the roster is closed")
	}
	c.uploads[e.Signer] = u
	c.at.Uploads = append(c.at.Uploads, *e)
	note := c.note("upload", e.Signer, "")
	note.Bytes = u.PayloadLen
	c.emit(Store{c.at.Round, *e}, note)
	if c.at.Status == Paused && len(c.uploads) == len(c.job.Manifest.Cohort) {
		c.at.Status, c.at.Reason = Running, ""
		c.emit(c.advance(), c.note("resumed", wire.Member{}, "all are back"))
	}
	return nil
}

func (c *Coordinator) checkedCame(now Now, in CheckedCame) {
	if c.plan == nil || in.Round != c.at.Round || c.job.Seat(in.Member) == 0 || in.Uploads > len(c.at.Uploads) {
		return
	}
	c.checked[in.Member] = in.Uploads
}

func (c *Coordinator) complaintCame(e *wire.Envelope) error {
	var o wire.Complaint
	if err := e.Open(&o); err != nil {
		return refuse(RuleSignature, "", "%v", err)
	}
	switch {
	case c.plan == nil || o.Ctx != c.ctx:
		return refuse(RuleContext, "", "complaint about another round")
	case c.job.Seat(e.Signer) == 0:
		return refuse(RuleCommittee, "", "complaint by %s, who has no seat", charter.Name(c.job.Charter, e.Signer))
	case c.roster != nil:
		return refuse(RuleRoster, "", "the roster is closed")
	}
	u, ok := c.uploads[o.Sender]
	if !ok || u.ShareDigests[c.job.Seat(e.Signer)-1] != o.ShareDigest {
		return refuse(RuleShare, "", "complaint about a share that wasn't uploaded")
	}
	c.emit(Store{c.at.Round, *e})
	c.abortRound("check", "complaint", fmt.Sprintf("the share from %s doesn't open at the seat of %s: either may be at fault",
		charter.Name(c.job.Charter, o.Sender), charter.Name(c.job.Charter, e.Signer)), o.Sender, e.Signer)
	return nil
}

// maybeClose signs the roster once all have uploaded and the seats have checked: every seat, or a quorum and a short grace.
func (c *Coordinator) maybeClose(now Now) {
	if c.plan == nil || c.roster != nil || len(c.uploads) < len(c.job.Manifest.Cohort) {
		return
	}
	done := 0
	for _, seat := range c.job.Manifest.Committee {
		if c.checked[seat.Member] == len(c.at.Uploads) {
			done++
		}
	}
	if done < int(c.job.Manifest.T) {
		return
	}
	if done < len(c.job.Manifest.Committee)-c.lostSeats() {
		if c.quorumMs == 0 {
			c.quorumMs = now.Ms
		}
		if now.Ms < c.quorumMs+checkGraceMs {
			return
		}
	}
	c.roster = &wire.Roster{Ctx: c.ctx}
	for i := range c.at.Uploads {
		c.roster.Entries = append(c.roster.Entries, wire.RosterEntry{Member: c.at.Uploads[i].Signer, Upload: c.at.Uploads[i].Digest()})
	}
	slices.SortFunc(c.roster.Entries, func(a, b wire.RosterEntry) int { return a.Member.Compare(b.Member) })
	e := wire.Sign(c.key, c.roster)
	c.at.Roster = &e
	c.emit(Store{c.at.Round, e}, c.note("open", wire.Member{}, "roster closed"))
}

func (c *Coordinator) clock(now Now) {
	m := c.proposal.Manifest
	if now.Ms >= m.ExpiresMs {
		c.finish(Expired, "the job's time is over")
		return
	}
	if c.job == nil {
		return
	}
	if c.plan == nil {
		c.startRound(now)
		return
	}
	if c.at.Status == Running && now.Ms >= c.plan.DeadlineMs && len(c.uploads) < len(m.Cohort) {
		c.at.Status = Paused
		c.at.Reason = "waiting for " + c.missing()
		c.emit(c.advance(), c.note("paused", wire.Member{}, c.at.Reason))
	}
	if c.failedMs != 0 && now.Ms >= c.failedMs+openGraceMs && !c.opening {
		c.abortRound("open", "unopenable", fmt.Sprintf("%d of %d replies don't open the sum", c.triedWith, len(m.Committee)))
	}
}

func (c *Coordinator) missing() string {
	text := ""
	for _, member := range c.job.Manifest.Cohort {
		if _, ok := c.uploads[member]; !ok {
			if text != "" {
				text += ", "
			}
			text += charter.Name(c.job.Charter, member)
		}
	}
	return text
}

// lostSeats counts the seats that were revoked or have refused to open this round.
func (c *Coordinator) lostSeats() int {
	lost := 0
	for _, seat := range c.job.Manifest.Committee {
		if c.revoked[seat.Member] || c.refused[seat.Member] {
			lost++
		}
	}
	return lost
}
