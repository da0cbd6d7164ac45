package audit

import (
	"math/bits"
	"slices"

	"tributary/crypto/dp"
	"tributary/crypto/dp/accountant"
	"tributary/protocol/charter"
	"tributary/protocol/wire"
)

func (b *Book) manifest(at At, m *wire.Manifest) {
	j := &Job{At: at, ID: m.Digest(), Manifest: m, Charter: b.charters[m.CharterDigest], Approvals: map[wire.Member]At{}, approvals: map[wire.Member]*wire.Approval{}, pays: map[wire.Member]wire.Digest{}}
	if old := b.jobs[j.ID]; old != nil {
		b.find(at, RuleTwice, "job %s was proposed before, in entry %d", short(j.ID), old.Entry)
		return
	}
	b.jobs[j.ID] = j
	b.Jobs = append(b.Jobs, j)
	if j.Charter == nil {
		b.find(at, RuleManifest, "job %s is under charter %s, which isn't in the ledger before it", short(j.ID), short(m.CharterDigest))
		return
	}
	b.cohort(j)
	b.committee(j)
	for i := range m.Rounds {
		b.noise(j, &m.Rounds[i])
	}
}

func (b *Book) cohort(j *Job) {
	m, c := j.Manifest, j.Charter
	if m.F != c.F {
		b.find(j.At, RuleManifest, "f is %d, the charter's is %d", m.F, c.F)
	}
	least, quorum := max(3, int(m.F)+2), int(m.F)+2
	if m.Mode == wire.Noised { // no noise is shared, nothing is hidden among others
		least, quorum = 1, 1
	}
	if len(m.Cohort) < least {
		b.find(j.At, RuleCohort, "a cohort of %d, at least %d", len(m.Cohort), least)
	}
	switch n := int(m.NMin); {
	case m.Kind == wire.Exact && n != len(m.Cohort):
		b.find(j.At, RuleCohort, "an exact job's roster is its cohort: n_min is %d, the cohort has %d", n, len(m.Cohort))
	case n < quorum || n > len(m.Cohort):
		b.find(j.At, RuleCohort, "n_min is %d, it must be %d to %d", n, quorum, len(m.Cohort))
	}
	for _, key := range m.Cohort {
		if member, ok := charter.Find(c, key); !ok || !member.Role.HasData() {
			b.find(j.At, RuleCohort, "cohort member %s isn't a member with data in charter version %d", b.Name(key), c.Version)
		}
	}
}

func (b *Book) committee(j *Job) {
	m := j.Manifest
	if m.Mode == wire.Noised {
		if m.Kind != wire.Private {
			b.find(j.At, RuleManifest, "an exact job isn't sealed: its sums carry no noise")
		}
		if len(m.Committee) != 0 || m.T != 0 {
			b.find(j.At, RuleCommittee, "a noised job has a committee of %d", len(m.Committee))
		}
		return
	}
	if err := charter.Quorum(int(m.T), len(m.Committee), int(m.F)); err != nil {
		b.find(j.At, RuleCommittee, "%v", err)
	}
	seen := map[wire.Member]bool{}
	for _, seat := range m.Committee {
		if member, ok := charter.Find(j.Charter, seat.Member); !ok || !member.Role.HasSeat() {
			b.find(j.At, RuleCommittee, "seat %d is held by %s, who may not hold one under charter version %d", seat.Index, b.Name(seat.Member), j.Charter.Version)
		}
		if seen[seat.Member] {
			b.find(j.At, RuleCommittee, "%s holds two seats", b.Name(seat.Member))
		}
		seen[seat.Member] = true
	}
}

// noise checks what a manifest says of one kind of round's noise.
func (b *Book) noise(j *Job, r *wire.RoundSpec) {
	m, d := j.Manifest, r.DP
	if m.Kind == wire.Exact {
		if d != (wire.DP{}) {
			b.find(j.At, RuleManifest, "%s rounds of an exact job name noise", r.Kind)
		}
		return
	}
	if r.MaxRounds == 0 {
		return
	}
	honest := int(m.NMin) - max(1, int(m.F))
	if m.Mode == wire.Noised {
		honest = 1
	}
	switch _, ok := sumOf(d); {
	case d.Mechanism != wire.MechanismDiscreteGaussian || !ok:
		b.find(j.At, RuleManifest, "%s rounds of a private job: mechanism %d with Δ² = %d, σ_i² = %d, h = %d, q = %d/%d is no noise that can be charged", r.Kind, d.Mechanism, d.Sensitivity, d.Sigma2Local, d.H, d.QNum, d.QDen)
	case int(d.H) != honest:
		b.find(j.At, RuleManifest, "%s rounds count the noise of %d contributors, that of %d counts", r.Kind, d.H, honest)
	case d.Unit < wire.UnitRecord || d.Unit > wire.UnitSilo:
		b.find(j.At, RuleManifest, "%s rounds protect no known unit: %d", r.Kind, d.Unit)
	case d.Sigma2Local < dp.MinSigma*dp.MinSigma:
		b.find(j.At, RuleManifest, "%s rounds: σ_i² = %d, at least %d", r.Kind, d.Sigma2Local, dp.MinSigma*dp.MinSigma)
	}
}

// sumOf is the sum that a round's noise parameters describe: σ² = h·σ_i².
func sumOf(d wire.DP) (accountant.Sum, bool) {
	high, sigma2 := bits.Mul64(d.Sigma2Local, uint64(d.H))
	rate, err := dp.NewRational(d.QNum, d.QDen)
	if high != 0 || sigma2 == 0 || err != nil {
		return accountant.Sum{}, false
	}
	s := accountant.Sum{Sensitivity2: d.Sensitivity, Sigma2: dp.Integer(sigma2), Rate: rate}
	_, err = accountant.ChargeFor(s, 2)
	return s, err == nil
}

// named reports whether the manifest gives the member a part.
func (j *Job) named(m wire.Member) bool {
	return slices.Contains(j.Manifest.Cohort, m) || j.seat(m) != 0
}

func (j *Job) seat(m wire.Member) uint16 {
	for _, s := range j.Manifest.Committee {
		if s.Member == m {
			return s.Index
		}
	}
	return 0
}

// job finds the job that an entry is of, which must be known.
func (b *Book) job(at At, rule, what string, id wire.Digest) *Job {
	j := b.jobs[id]
	if j == nil {
		b.find(at, rule, "%s of job %s, which isn't in the ledger before it", what, short(id))
	}
	return j
}

// over finds entries of a job after its end.
func (b *Book) over(at At, what string, j *Job) {
	if j.Finish != nil {
		b.find(at, RuleFinished, "%s of job %s after its end in entry %d", what, short(j.ID), j.Finished.Entry)
	}
}

func (b *Book) approval(at At, signer wire.Member, a *wire.Approval) {
	j := b.job(at, RuleApproval, "an approval", a.Job)
	if j == nil {
		return
	}
	b.over(at, "an approval", j)
	old, twice := j.Approvals[a.Member]
	switch {
	case signer != a.Member:
		b.find(at, RuleApproval, "the approval of %s is signed by %s", b.Name(a.Member), b.Name(signer))
		return
	case !j.named(a.Member):
		b.find(at, RuleApproval, "%s approved and has no part in job %s", b.Name(a.Member), short(j.ID))
	case twice:
		b.find(at, RuleTwice, "%s approved before, in entry %d", b.Name(a.Member), old.Entry)
	case j.planned > 0:
		b.find(at, RuleApproval, "%s approved after the first round was begun", b.Name(a.Member))
		return
	case (j.seat(a.Member) != 0) != (len(a.SeatKey) != 0):
		b.find(at, RuleApproval, "%s has a seat without a key, or a key without a seat", b.Name(a.Member))
	}
	j.Approvals[a.Member], j.approvals[a.Member] = at, a
}

func (b *Book) refusal(at At, signer wire.Member, r *wire.Refusal) {
	j := b.job(at, RuleRefusal, "a refusal", r.Job)
	if j == nil {
		return
	}
	if !j.named(signer) {
		b.find(at, RuleRefusal, "%s refused and has no part in job %s", b.Name(signer), short(j.ID))
	}
	j.Refusals = append(j.Refusals, Refusal{at, signer, r})
}

func (b *Book) finish(at At, f *wire.Finish) {
	j := b.job(at, RuleFinished, "the end", f.Job)
	if j == nil {
		return
	}
	b.over(at, "a second end", j)
	state := j.Manifest.State0
	if n := len(j.sums); n > 0 {
		state = j.sums[n-1].Release.NextState
	}
	if !state.IsZero() && f.State != state {
		b.find(at, RuleOrder, "job %s ends with state %s, its last sum gave %s", short(j.ID), short(f.State), short(state))
	}
	if f.Outcome == wire.OutcomeCompleted && (len(j.sums) == 0 || j.kindAt(uint32(len(j.sums))) != 0) {
		b.find(at, RuleOrder, "job %s is called completed after %d sums: more belong to it", short(j.ID), len(j.sums))
	}
	if j.Finish == nil {
		j.Finish, j.Finished = f, at
	}
}
