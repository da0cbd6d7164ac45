package round

import (
	"fmt"
	"slices"
	"tributary/protocol/charter"
	"tributary/protocol/ledger"
	"tributary/protocol/wire"
)

func (c *Coordinator) approvalCame(now Now, e *wire.Envelope) error {
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
	if c.job != nil || c.dropped[a.Member] {
		return refuse(RuleClosed, "", "the job is closed")
	}
	c.approved[a.Member] = *e
	c.at.Approvals = append(c.at.Approvals, *e)
	c.emit(Store{0, *e}, Log{ledger.Approval, e.Bytes()}, c.note("approve", a.Member, "approved"))
	return c.maybeCloseJob(now)
}

// maybeCloseJob closes the job once all have answered; a private one also when RoundMs has passed since it was proposed, without those
// that are silent, if all seats and n_min of the cohort have approved.
func (c *Coordinator) maybeCloseJob(now Now) error {
	waiting := 0
	for _, m := range c.proposal.needed() {
		if _, ok := c.approved[m]; !ok && !c.dropped[m] {
			waiting++
		}
	}
	if waiting > 0 && (!c.proposal.Private() || now.Ms < c.closeMs()) {
		return nil
	}
	job, err := Close(c.proposal, c.at.Approvals)
	if err != nil {
		if waiting > 0 {
			return nil // not enough yet
		}
		return err
	}
	c.job, c.at.Status = job, Running
	message := "all have approved"
	if missing := len(c.proposal.needed()) - len(c.approved); missing > 0 {
		message = fmt.Sprintf("closed without %d that didn't approve", missing)
	}
	c.emit(c.advance(), c.note("approve", wire.Member{}, message))
	return nil
}

func (c *Coordinator) closeMs() uint64 { return c.at.ProposedMs + uint64(c.proposal.Manifest.RoundMs) }

// expected are the contributors that this round waits for: in an exact job all, in a private one those that haven't dropped out and
// aren't absent.
func (c *Coordinator) expected() []wire.Member {
	if !c.proposal.Private() {
		return c.job.contributors
	}
	return slices.DeleteFunc(slices.Clone(c.job.contributors), func(m wire.Member) bool { return c.dropped[m] || c.absent[m] || c.gaveUp[m] })
}

// allUploaded reports whether nobody is waited for any more.
func (c *Coordinator) allUploaded() bool {
	return !slices.ContainsFunc(c.expected(), func(m wire.Member) bool { return c.uploads[m] == nil })
}

// chargeCame takes the evidence that a contributor's account was charged; its upload may follow.
func (c *Coordinator) chargeCame(e *wire.Envelope) error {
	if c.plan == nil || !c.proposal.Private() {
		return refuse(RuleContext, "", "no private round is open")
	}
	if _, err := OpenCharge(c.job, c.plan, e); err != nil {
		return err
	}
	if c.charged[e.Signer] {
		return nil
	}
	c.charged[e.Signer] = true
	c.at.Charges = append(c.at.Charges, *e)
	c.emit(Store{c.at.Round, *e}, Log{ledger.Charge, e.Bytes()})
	return nil
}

// startRound signs the plan of the state's next round.
func (c *Coordinator) startRound(now Now) {
	kind, step, err := c.proposal.model.Inspect(c.at.State)
	if err != nil {
		c.finish(Aborted, fmt.Sprintf("the stored state doesn't parse: %v", err))
		return
	}
	if c.at.Round >= wire.MaxRounds {
		c.finish(Aborted, fmt.Sprintf("%d rounds were not enough", wire.MaxRounds))
		return
	}
	c.clearRound()
	c.at.Round++
	c.plan = &wire.Plan{Job: c.job.Job, Round: c.at.Round, Step: step, Kind: wire.RoundKind(kind), StateDigest: StateDigest(c.at.State),
		PrevRelease: c.at.PrevRelease, DeadlineMs: now.Ms + uint64(c.job.Manifest.RoundMs), LedgerSize: uint64(now.Head.Size), LedgerRoot: now.Head.Root}
	e := wire.Sign(c.key, c.plan)
	c.at.Plan, c.ctx = &e, c.plan.Context(c.job.Closed)
	c.emit(Store{c.at.Round, e}, Log{ledger.Plan, e.Bytes()}, c.advance(), c.note("plan", wire.Member{}, ""))
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
	if c.roster != nil || c.dropped[e.Signer] {
		return refuse(RuleRoster, "", "the roster is closed")
	}
	if c.proposal.Private() && !c.charged[e.Signer] {
		return refuse(RuleBudget, "", "an upload by %s without the charge for it", name)
	}
	c.uploads[e.Signer] = u
	c.at.Uploads = append(c.at.Uploads, *e)
	note := c.note("upload", e.Signer, "")
	note.Bytes = u.PayloadLen
	c.emit(Store{c.at.Round, *e}, note)
	if c.at.Status == Paused && c.allUploaded() {
		c.at.Status, c.at.Reason = Running, ""
		c.emit(c.advance(), c.note("resumed", wire.Member{}, "all are back"))
	}
	return nil
}

func (c *Coordinator) checkedCame(in CheckedCame) {
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
	if c.accused[o.Sender] {
		return nil // it is left out already
	}
	c.emit(Store{c.at.Round, *e})
	if c.proposal.Private() {
		c.accused[o.Sender] = true
		c.at.Complaints = append(c.at.Complaints, *e)
		c.emit(c.note("check", o.Sender, fmt.Sprintf("left out: its share doesn't open at the seat of %s: either may be at fault", charter.Name(c.job.Charter, e.Signer))))
		return nil
	}
	c.abortRound("check", "complaint", fmt.Sprintf("the share from %s doesn't open at the seat of %s: either may be at fault",
		charter.Name(c.job.Charter, o.Sender), charter.Name(c.job.Charter, e.Signer)), o.Sender, e.Signer)
	return nil
}

// maybeClose signs the roster once all that are expected have uploaded, or in a private round at the deadline those that have, and the seats
// have checked: every seat, or a quorum and a short grace.
func (c *Coordinator) maybeClose(now Now) {
	if c.plan == nil || c.roster != nil {
		return
	}
	if !c.allUploaded() {
		if !c.proposal.Private() || now.Ms < c.plan.DeadlineMs {
			return
		}
		if missing := c.missing(); len(c.uploads)-len(c.accused) < int(c.job.Manifest.NMin) {
			c.abortRound("upload", "too-few", fmt.Sprintf("%d of at least %d have uploaded by the deadline; missing: %s", len(c.uploads)-len(c.accused), c.job.Manifest.NMin, missing))
			return
		}
	}
	if usable := len(c.uploads) - len(c.accused); usable < int(c.job.Manifest.NMin) {
		c.abortRound("check", "too-few", fmt.Sprintf("%d uploads of at least %d are without a complaint", usable, c.job.Manifest.NMin))
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
	for _, m := range c.proposal.needed() {
		missed := c.job.Contributes(m) && c.uploads[m] == nil && !c.dropped[m]
		if missed || c.job.Seat(m) != 0 && c.checked[m] < len(c.at.Uploads) {
			c.absent[m] = true
		}
	}
	c.roster = &wire.Roster{Ctx: c.ctx}
	for i := range c.at.Uploads {
		if c.accused[c.at.Uploads[i].Signer] {
			continue
		}
		c.roster.Entries = append(c.roster.Entries, wire.RosterEntry{Member: c.at.Uploads[i].Signer, Upload: c.at.Uploads[i].Digest()})
	}
	slices.SortFunc(c.roster.Entries, func(a, b wire.RosterEntry) int { return a.Member.Compare(b.Member) })
	e := wire.Sign(c.key, c.roster)
	c.at.Roster = &e
	message := "roster closed"
	if left := len(c.job.contributors) - len(c.roster.Entries); left > 0 {
		message = fmt.Sprintf("roster closed without %d", left)
	}
	c.emit(Store{c.at.Round, e}, Log{ledger.Roster, e.Bytes()}, c.note("open", wire.Member{}, message))
}

func (c *Coordinator) clock(now Now) {
	m := c.proposal.Manifest
	if now.Ms >= m.ExpiresMs {
		c.finish(Expired, "the job's time is over")
		return
	}
	if c.job == nil {
		if c.proposal.Private() && now.Ms >= c.closeMs() {
			c.late = true
			if err := c.maybeCloseJob(now); err != nil {
				c.finish(Aborted, err.Error())
			}
		}
		return
	}
	if c.plan == nil {
		c.startRound(now)
		return
	}
	if now.Ms >= c.plan.DeadlineMs {
		c.late = true
	}
	if c.at.Status == Running && now.Ms >= c.plan.DeadlineMs && !c.proposal.Private() && !c.allUploaded() {
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
	for _, member := range c.expected() {
		if _, ok := c.uploads[member]; !ok {
			if text != "" {
				text += ", "
			}
			text += charter.Name(c.job.Charter, member)
		}
	}
	return text
}

// lostSeats counts the seats that were revoked, have refused to open this round, or are absent.
func (c *Coordinator) lostSeats() int {
	lost := 0
	for _, seat := range c.job.Manifest.Committee {
		if c.checked[seat.Member] < len(c.at.Uploads) && (c.revoked[seat.Member] || c.refused[seat.Member] || c.absent[seat.Member]) {
			lost++
		}
	}
	return lost
}
