package audit

import (
	"slices"

	"tributary/protocol/wire"
)

// closed is the closed job's digest: the manifest's with the approvals that are in the ledger when the first round is begun (SPEC §4).
func (j *Job) closed() wire.Digest {
	members := make([]wire.Member, 0, len(j.approvals))
	for m := range j.approvals {
		members = append(members, m)
	}
	slices.SortFunc(members, wire.Member.Compare)
	parts := [][]byte{j.ID[:]}
	for _, m := range members {
		parts = append(parts, wire.Encode(j.approvals[m]))
	}
	return wire.Hash("closed-job", parts...)
}

// plan begins a round: everything later in it is bound to the plan's context.
func (b *Book) plan(at At, o *wire.Plan) {
	j := b.job(at, RulePlan, "a plan", o.Job)
	if j == nil {
		return
	}
	b.over(at, "a plan", j)
	for _, r := range j.Rounds {
		switch ended := r.Release != nil || r.Abort != nil; {
		case r.Plan == nil:
		case r.Plan.Round == o.Round:
			b.find(at, RuleTwice, "round %d of job %s was planned before, in entry %d", o.Round, short(j.ID), r.Planned.Entry)
			return
		case !ended:
			b.find(at, RuleOrder, "round %d of job %s is begun while round %d hasn't ended", o.Round, short(j.ID), r.Plan.Round)
		}
	}
	ctx := o.Context(j.closed())
	if r := b.rounds[ctx]; r != nil {
		b.find(at, RulePlan, "round %d is planned after entry %d, which belongs to it", o.Round, r.Seen.Entry)
		return
	}
	if o.Round <= j.planned {
		b.find(at, RuleOrder, "round %d of job %s is planned after round %d", o.Round, short(j.ID), j.planned)
	}
	j.planned = max(j.planned, o.Round)
	step := uint32(len(j.sums))
	if want := j.kindAt(step); o.Step != step || want != 0 && o.Kind != want {
		b.find(at, RulePlan, "round %d is planned as step %d, %s; %d sums of job %s were opened before", o.Round, o.Step, o.Kind, step, short(j.ID))
	}
	state, release := j.Manifest.State0, wire.Digest{}
	if step > 0 {
		last := j.sums[step-1].Release
		state, release = last.NextState, last.Digest()
	}
	if !state.IsZero() && o.StateDigest != state || o.PrevRelease != release {
		b.find(at, RulePlan, "round %d starts from state %s after release %s, the last sum gave state %s in release %s", o.Round, short(o.StateDigest), short(o.PrevRelease), short(state), short(release))
	}
	if size := int64(o.LedgerSize); o.LedgerSize > uint64(at.Entry) {
		b.find(at, RulePlan, "round %d names a ledger of %d entries, there were %d", o.Round, o.LedgerSize, at.Entry)
	} else if head, err := b.export.HeadAt(size); err != nil || head.Root != o.LedgerRoot {
		b.find(at, RulePlan, "round %d names another ledger of %d entries than this one: the members were shown a fork", o.Round, o.LedgerSize)
	}
	r := &Round{Ctx: ctx, Seen: at, Plan: o, Planned: at, Job: j, Number: o.Round, Step: o.Step, Kind: o.Kind}
	b.rounds[ctx] = r
	j.Rounds = append(j.Rounds, r)
}

// asPlanned compares a round's end with its plan.
func (b *Book) asPlanned(at At, r *Round, what string, round uint64, step uint32, kind wire.RoundKind) {
	if p := r.Plan; p != nil && (p.Round != round || p.Step != step || p.Kind != kind) {
		b.find(at, RulePlan, "%s of round %d, step %d, %s; the plan in entry %d says round %d, step %d, %s", what, round, step, kind, r.Planned.Entry, p.Round, p.Step, p.Kind)
	}
}

// policy takes a member's word on its own rules.
func (b *Book) policy(at At, signer wire.Member, o *wire.Policy) {
	known := b.policies[o.Member]
	next, prev := uint32(1), wire.Digest{}
	if n := len(known); n > 0 {
		next, prev = known[n-1].Version+1, known[n-1].Digest()
	}
	switch {
	case signer != o.Member:
		b.find(at, RulePolicy, "the policy of %s is signed by %s", b.Name(o.Member), b.Name(signer))
		return
	case b.enrolled[o.Member] == nil:
		b.find(at, RulePolicy, "%s states a policy and was never enrolled", b.Name(o.Member))
	case o.Version != next || o.Prev != prev:
		b.find(at, RulePolicy, "version %d of the policy of %s doesn't follow version %d: one is missing", o.Version, b.Name(o.Member), next-1)
	}
	b.policies[o.Member] = append(known, Stated{at, o})
}

// certificate takes the record of a certificate, for a key that may be new.
func (b *Book) certificate(at At, o *wire.Certificate) {
	_, gone := b.revoked[o.Member]
	if b.enrolled[o.Member] == nil || gone {
		b.find(at, RuleEnrolment, "a certificate for %s, who isn't enrolled", b.Name(o.Member))
	}
	b.issued[o.Member] = append(b.issued[o.Member], Issued{at, o})
}
