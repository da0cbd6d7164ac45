package round

import (
	"fmt"
	"slices"
	"strings"
	"tributary/protocol/charter"
	"tributary/protocol/ledger"
	"tributary/protocol/wire"
)

func (c *Coordinator) refusalCame(now Now, e *wire.Envelope) error {
	var r wire.Refusal
	if err := e.Open(&r); err != nil {
		return refuse(RuleSignature, "", "%v", err)
	}
	if r.Job != c.proposal.Job || !c.proposal.NeedsApproval(e.Signer) {
		return refuse(RuleContext, "", "refusal of another job, or by one who has no part in it")
	}
	name := charter.Name(c.proposal.Charter, e.Signer)
	if c.mayDrop(e.Signer, &r) {
		return c.drop(now, e, name+" dropped out ("+r.Rule+"). "+r.Hint)
	}
	if c.job == nil {
		c.emit(Log{ledger.Refusal, e.Bytes()}, c.note("approve", e.Signer, "refused ("+r.Rule+"). "+r.Hint))
		c.finish(Aborted, fmt.Sprintf("%s refused the job (%s). %s", name, r.Rule, r.Hint))
		return nil
	}
	if c.plan == nil || r.Ctx != c.ctx && !r.Ctx.IsZero() && r.Rule != string(RulePlan) && r.Phase != "plan" {
		return refuse(RuleContext, "", "refusal of another round")
	}
	if r.Rule == string(RuleLost) {
		if _, ok := c.uploads[e.Signer]; ok {
			return refuse(RuleUpload, "", "%s says that its upload is lost, it is here", name)
		}
		if r.Ctx != c.ctx || c.roster != nil || !c.job.Contributes(e.Signer) || c.dropped[e.Signer] {
			return refuse(RuleContext, "", "%s isn't waited for in this round", name)
		}
		if c.proposal.Private() { // the round goes on without it; the others have been charged
			if c.gaveUp[e.Signer] {
				return nil
			}
			c.gaveUp[e.Signer] = true
			c.emit(Log{ledger.Refusal, e.Bytes()}, c.note(r.Phase, e.Signer, "stopped while it encrypted"))
			return nil
		}
		if c.lost[e.Signer]++; c.lost[e.Signer] > maxLost {
			c.finish(Aborted, fmt.Sprintf("%s stopped %d times while it encrypted", name, c.lost[e.Signer]))
			return nil
		}
		c.emit(Log{ledger.Refusal, e.Bytes()})
		c.abortRound(r.Phase, r.Rule, name+" stopped while it encrypted", e.Signer)
		return nil
	}
	if _, replied := c.replies[e.Signer]; r.Phase == "open" && (replied || c.refused[e.Signer]) {
		return nil // once is enough
	}
	c.emit(Log{ledger.Refusal, e.Bytes()}, c.note(r.Phase, e.Signer, "refused ("+r.Rule+"). "+r.Hint))
	if r.Phase == "open" && c.job.Seat(e.Signer) != 0 {
		c.loseSeat(e.Signer, fmt.Sprintf("%s refused to open (%s)", name, r.Rule))
		return nil
	}
	c.finish(Aborted, fmt.Sprintf("%s refused in %s (%s). %s", name, r.Phase, r.Rule, r.Hint))
	return nil
}

// mayDrop reports whether a refusal only ends its signer's contributions to a private job: of a member without a seat at any time, of one
// with a seat once the job is closed and unless it is about opening. Its seat then goes on.
func (c *Coordinator) mayDrop(m wire.Member, r *wire.Refusal) bool {
	if !c.proposal.Private() || r.Rule == string(RuleLost) {
		return false
	}
	if c.job == nil {
		return c.proposal.Seat(m) == 0
	}
	return c.job.Contributes(m) && (c.proposal.Seat(m) == 0 || r.Phase != "open")
}

// drop lets a member leave a private job for good; the job goes on while n_min are left.
func (c *Coordinator) drop(now Now, e *wire.Envelope, reason string) error {
	if c.dropped[e.Signer] {
		return nil
	}
	c.dropped[e.Signer] = true
	c.at.Refusals = append(c.at.Refusals, *e)
	c.emit(Store{0, *e}, Log{ledger.Refusal, e.Bytes()}, c.note("dropout", e.Signer, reason))
	if c.tooFewLeft(reason) {
		return nil
	}
	if c.job == nil {
		return c.maybeCloseJob(now)
	}
	return nil
}

// tooFewLeft ends a private job that can't reach n_min any more, and reports whether it did. Who approved and dropped out before the job
// was closed stays in the closed job's approvals and isn't waited for.
func (c *Coordinator) tooFewLeft(reason string) bool {
	left := 0
	for _, m := range c.proposal.Manifest.Cohort {
		if !c.dropped[m] && (c.job == nil || c.job.Contributes(m)) {
			left++
		}
	}
	if left >= int(c.proposal.Manifest.NMin) {
		return false
	}
	c.finish(Aborted, fmt.Sprintf("%s: %d contributors are left, at least %d must be", reason, left, c.proposal.Manifest.NMin))
	return true
}

// loseSeat counts a seat as absent for this round; without a quorum the round is given up.
func (c *Coordinator) loseSeat(m wire.Member, reason string) {
	if _, ok := c.replies[m]; ok {
		return
	}
	c.refused[m] = true
	if len(c.job.Manifest.Committee)-len(c.refused) < int(c.job.Manifest.T) {
		c.abortRound("open", "no-quorum", reason, m)
	}
}

func (c *Coordinator) revokedNow(m wire.Member) {
	if !c.proposal.NeedsApproval(m) {
		return
	}
	name := charter.Name(c.proposal.Charter, m)
	c.revoked[m] = true
	lost := 0
	for _, seat := range c.proposal.Manifest.Committee {
		if c.revoked[seat.Member] {
			lost++
		}
	}
	switch {
	case c.proposal.Private() && c.proposal.Seat(m) == 0:
		c.dropped[m] = true
		c.tooFewLeft(name + " was revoked")
	case c.proposal.InCohort(m) && !c.proposal.Private() || c.job == nil:
		c.finish(Aborted, name+" was revoked")
	case len(c.proposal.Manifest.Committee)-lost < int(c.proposal.Manifest.T):
		c.finish(Aborted, fmt.Sprintf("%s was revoked: fewer than %d seats are left", name, c.proposal.Manifest.T))
	default:
		if c.plan != nil {
			c.loseSeat(m, name+" was revoked")
		}
	}
}

func (c *Coordinator) abortRound(phase, code, reason string, suspects ...wire.Member) {
	slices.SortFunc(suspects, wire.Member.Compare)
	a := &wire.Abort{Job: c.job.Job, Round: c.at.Round, Ctx: c.ctx, Phase: phase, Code: code, Reason: bounded(reason), Suspects: slices.Compact(suspects)}
	e := wire.Sign(c.key, a)
	if len(c.uploads) > 0 {
		c.at.Failures++
	}
	c.emit(Store{c.at.Round, e}, Log{ledger.Abort, e.Bytes()}, c.note("abort", wire.Member{}, code+": "+reason))
	c.clearRound()
	if c.at.Failures >= maxFailures {
		c.finish(Aborted, fmt.Sprintf("%d rounds in a row were uploaded and not opened; the last: %s", c.at.Failures, reason))
		return
	}
	c.at.Status, c.at.Reason = Running, ""
	c.emit(c.advance())
}

func (c *Coordinator) finish(status Status, reason string) {
	reason = bounded(reason)
	c.at.Status, c.at.Reason = status, reason
	f := &wire.Finish{Job: c.proposal.Job, Outcome: outcomes[status], State: StateDigest(c.at.State), Reason: reason}
	e := wire.Sign(c.key, f)
	c.emit(Log{ledger.Finish, e.Bytes()}, c.advance(), c.note("end", wire.Member{}, reason))
}

// bounded cuts a text that quotes a member's words to what an object may hold.
func bounded(text string) string {
	if len(text) <= wire.MaxTextBytes {
		return text
	}
	return strings.ToValidUTF8(text[:wire.MaxTextBytes-3], "") + "…"
}
