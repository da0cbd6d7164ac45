package audit

import (
	"slices"

	"tributary/protocol/wire"
)

// round finds or starts the round of a context. j is nil where only a roster names the context.
func (b *Book) round(at At, j *Job, ctx wire.Digest) *Round {
	r := b.rounds[ctx]
	if r == nil {
		r = &Round{Ctx: ctx, Seen: at}
		b.rounds[ctx] = r
		if j != nil {
			b.find(at, RulePlan, "the round of context %s wasn't planned before: its plan is missing, or of other approvals", short(ctx))
		}
	}
	if r.Job == nil && j != nil {
		r.Job, r.Step = j, uint32(len(j.sums))
		r.Kind = j.kindAt(r.Step)
		j.Rounds = append(j.Rounds, r)
		if r.Roster != nil {
			b.contributors(r)
		}
	}
	return r
}

func (b *Book) roster(at At, o *wire.Roster) {
	r := b.round(at, nil, o.Ctx)
	switch {
	case r.Roster != nil:
		b.find(at, RuleTwice, "a second roster for the round of context %s, the first is entry %d", short(o.Ctx), r.Listed.Entry)
		return
	case r.Release != nil || r.Abort != nil:
		b.find(at, RuleRoster, "a roster for the round of context %s, which ended in entry %d", short(o.Ctx), r.Ended.Entry)
	}
	r.Roster, r.Listed = o, at
	b.listed = append(b.listed, r)
	if r.Job != nil {
		b.over(at, "a roster", r.Job)
		b.contributors(r)
	}
}

// contributors judges whose contributions a roster lists, once its job is known.
func (b *Book) contributors(r *Round) {
	j, o, at := r.Job, r.Roster, r.Listed
	switch n := len(o.Entries); {
	case j.Manifest.Kind == wire.Exact && !isCohort(o, j.Manifest):
		b.find(at, RuleRoster, "the roster of %d isn't the exact job's cohort of %d", n, len(j.Manifest.Cohort))
	case n < int(j.Manifest.NMin):
		b.find(at, RuleRoster, "a roster of %d, n_min is %d", n, j.Manifest.NMin)
	}
	for _, e := range o.Entries {
		name := b.Name(e.Member)
		if !slices.Contains(j.Manifest.Cohort, e.Member) {
			b.find(at, RuleRoster, "the roster lists %s, who isn't in the cohort", name)
			continue
		}
		if approved, ok := j.Approvals[e.Member]; !ok || approved.Entry > at.Entry {
			b.find(at, RuleRoster, "the roster lists %s, who hadn't approved the job", name)
		}
		if j.Manifest.Kind == wire.Private && !slices.ContainsFunc(r.Charges, func(c *Charge) bool { return c.Member == e.Member && c.Entry < at.Entry }) {
			b.find(at, RuleCharge, "the roster lists %s, whose account wasn't charged for this round before", name)
		}
	}
}

func isCohort(o *wire.Roster, m *wire.Manifest) bool {
	return slices.EqualFunc(o.Entries, m.Cohort, func(e wire.RosterEntry, k wire.Member) bool { return e.Member == k })
}

// closed finds a sum that is opened before the job's approvals allow it.
func (b *Book) closed(at At, j *Job) {
	missing, have := []string{}, 0
	for _, m := range j.Manifest.Cohort {
		if _, ok := j.Approvals[m]; ok {
			have++
		} else if j.Manifest.Kind == wire.Exact || j.seat(m) != 0 {
			missing = append(missing, b.Name(m))
		}
	}
	for _, s := range j.Manifest.Committee {
		if _, ok := j.Approvals[s.Member]; !ok && !slices.Contains(j.Manifest.Cohort, s.Member) {
			missing = append(missing, b.Name(s.Member))
		}
	}
	if len(missing) > 0 || have < int(j.Manifest.NMin) {
		b.find(at, RuleApproval, "a sum is opened with %d approvals of the cohort, n_min is %d; missing: %v", have, j.Manifest.NMin, missing)
	}
}

func (b *Book) release(at At, o *wire.Release) {
	j := b.job(at, RuleOrder, "a release", o.Job)
	if j == nil {
		return
	}
	b.over(at, "a release", j)
	r := b.ends(at, j, o.Ctx, o.Round)
	if r == nil {
		return
	}
	if o.Step != uint32(len(j.sums)) {
		b.find(at, RuleOrder, "step %d, %d sums of job %s were opened before", o.Step, len(j.sums), short(j.ID))
	}
	b.asPlanned(at, r, "a release", o.Round, o.Step, o.Kind)
	b.kind(at, j, o)
	if len(j.sums) == 0 {
		b.closed(at, j)
	}
	known := r.Roster != nil && r.Listed.Entry < at.Entry
	switch {
	case !known && j.Manifest.Kind == wire.Private:
		b.find(at, RuleRoster, "a private sum without its roster in the ledger")
	case known && r.Roster.Root() != o.Root:
		b.find(at, RuleRoster, "the sum is of roster %s, entry %d lists %s", short(o.Root), r.Listed.Entry, short(r.Roster.Root()))
	}
	for _, s := range o.Suspects {
		if j.seat(s.Member) != s.Index {
			b.find(at, RuleCommittee, "names %s at seat %d, who doesn't hold it", b.Name(s.Member), s.Index)
		}
	}
	r.Release, r.Ended, r.Number, r.Kind = o, at, o.Round, o.Kind
	j.sums = append(j.sums, r)
}

// kind checks that a job's kinds of round come in order and no more often than agreed.
func (b *Book) kind(at At, j *Job, o *wire.Release) {
	spec, ok := j.Manifest.Round(o.Kind)
	if !ok {
		b.find(at, RuleOrder, "a sum of kind %s, the manifest has no such rounds", o.Kind)
		return
	}
	n := 0
	for _, r := range j.sums {
		if r.Kind == o.Kind {
			n++
		}
	}
	last := wire.Kinds[0]
	if len(j.sums) > 0 {
		last = j.sums[len(j.sums)-1].Kind
	}
	switch want := j.kindAt(uint32(len(j.sums))); {
	case n >= int(spec.MaxRounds):
		b.find(at, RuleOrder, "a sum of kind %s more than the %d agreed", o.Kind, spec.MaxRounds)
	case o.Kind.Compare(last) < 0 || want != 0 && want != o.Kind:
		b.find(at, RuleOrder, "a sum of kind %s after %d sums, the last of kind %s", o.Kind, len(j.sums), last)
	}
}

func (b *Book) abort(at At, o *wire.Abort) {
	j := b.job(at, RuleOrder, "an abort", o.Job)
	if j == nil {
		return
	}
	b.over(at, "an abort", j)
	if r := b.ends(at, j, o.Ctx, o.Round); r != nil {
		b.asPlanned(at, r, "an abort", o.Round, r.Step, r.Kind)
		r.Abort, r.Ended, r.Number = o, at, o.Round
	}
}

// ends checks that a round may end here, and returns nil if it ended before or is another job's.
func (b *Book) ends(at At, j *Job, ctx wire.Digest, number uint64) *Round {
	r := b.rounds[ctx]
	switch {
	case r != nil && r.Job != nil && r.Job != j:
		b.find(at, RuleTwice, "context %s is of a round of job %s", short(ctx), short(r.Job.ID))
		return nil
	case r != nil && (r.Release != nil || r.Abort != nil):
		b.find(at, RuleTwice, "round %d ended before, in entry %d", number, r.Ended.Entry)
		return nil
	}
	for _, old := range j.Rounds {
		if old.Number == number && (old.Release != nil || old.Abort != nil) {
			b.find(at, RuleTwice, "round %d of job %s ended before, in entry %d", number, short(j.ID), old.Ended.Entry)
			return nil
		}
	}
	if number <= j.round {
		b.find(at, RuleOrder, "round %d after round %d", number, j.round)
	}
	j.round = max(j.round, number)
	r = b.round(at, j, ctx)
	for _, open := range j.Rounds {
		if open != r && open.Release == nil && open.Abort == nil && open.Number == 0 {
			open.Number = number // said once
			b.find(open.Seen, RuleOrder, "the round of context %s is begun here and never ended, round %d of job %s ended in entry %d", short(open.Ctx), number, short(j.ID), at.Entry)
		}
	}
	return r
}
