package round

import (
	"bytes"
	"fmt"
	"slices"

	"tributary/crypto/dp"
	"tributary/crypto/secagg"
	"tributary/protocol/charter"
	"tributary/protocol/wire"
)

// MaxLifeMs is the longest time that a job's keys may live: 30 days, in milliseconds.
const MaxLifeMs = 30 * 24 * 3600 * 1000

// MaxVerified is the most payload bytes of one roster that members fetch to verify a state (G8). Beyond it the approval says
// that the coordinator is trusted with the model.
const MaxVerified = 64 << 20

// Proposal is a manifest that has passed every check that needs no approval.
type Proposal struct {
	Charter  *wire.Charter
	Manifest *wire.Manifest
	Job      wire.Digest // the manifest's digest
	model    Model
	terms    Terms
	params   map[wire.RoundKind]secagg.Params
}

// Terms are what the resolved spec fixes of privacy; the zero value is an exact job's.
type Terms struct {
	Private bool
	Noised  bool                       // private, and each contribution travels in clear with its whole noise
	NMin    int                        // fewest contributors of a private job's sum
	Noise   map[wire.RoundKind]wire.DP // of each kind of round of a private job
}

// OpenManifest checks a coordinator's proposal against the accepted charter and against the model that the
// resolved spec gives: nothing in it may differ from what the member computes for itself.
func OpenManifest(accepted *wire.Charter, model Model, terms Terms, e *wire.Envelope) (*Proposal, error) {
	var m wire.Manifest
	if err := e.Open(&m); err != nil {
		return nil, refuse(RuleSignature, "", "%v", err)
	}
	if e.Signer != accepted.Coordinator {
		return nil, refuse(RuleCharter, "Ask the coordinator's operator who sent it.", "manifest signed by %s, not by the charter's coordinator", e.Signer.Short())
	}
	p := &Proposal{Charter: accepted, Manifest: &m, Job: m.Digest(), model: model, terms: terms, params: map[wire.RoundKind]secagg.Params{}}
	if m.CharterDigest != accepted.Digest() {
		return nil, refuse(RuleCharter, "Compare `charter show` with the coordinator's and accept the new version if all agree.",
			"the job is under charter %x, the accepted one is %x", m.CharterDigest[:4], p.charterDigest()[:4])
	}
	for _, check := range []func() error{p.checkKind, p.checkCohort, p.checkCommittee, p.checkRounds} {
		if err := check(); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *Proposal) charterDigest() []byte { d := p.Charter.Digest(); return d[:] }

func (p *Proposal) checkKind() error {
	m := p.Manifest
	if p.terms.Noised && !p.terms.Private || (m.Mode == wire.Noised) != p.terms.Noised {
		return refuse(RuleManifest, "", "the manifest and the spec differ in whether updates are sealed, or an exact job isn't")
	}
	if (m.Kind == wire.Private) != p.terms.Private {
		return refuse(RuleManifest, "", "the manifest and the spec differ in whether the job is private")
	}
	if !m.State0.IsZero() && m.State0 != StateDigest(p.model.InitialState()) {
		return refuse(RuleState, "", "state 0 isn't the one that the spec gives")
	}
	if m.RoundMs == 0 || m.ExpiresMs == 0 {
		return refuse(RuleManifest, "", "the manifest has no deadline or no expiry")
	}
	return nil
}

func (p *Proposal) checkCohort() error {
	m := p.Manifest
	if m.F != p.Charter.F {
		return refuse(RuleCohort, "", "f is %d, the charter's is %d", m.F, p.Charter.F)
	}
	if least := max(3, int(m.F)+2); len(m.Cohort) < least && !p.terms.Noised {
		return refuse(RuleCohort, "Invite more organisations: a sum over fewer would show single ones.", "a cohort of %d, at least %d", len(m.Cohort), least)
	}
	for _, key := range m.Cohort {
		member, ok := charter.Find(p.Charter, key)
		if !ok {
			return refuse(RuleCohort, "", "cohort member %s isn't in the charter", key.Short())
		}
		if !member.Role.HasData() {
			return refuse(RuleCohort, "", "cohort member %q holds no data", member.Card.Name)
		}
	}
	switch {
	case !p.terms.Private && int(m.NMin) != len(m.Cohort):
		return refuse(RuleCohort, "", "an exact job's roster is its cohort: n_min is %d, the cohort has %d", m.NMin, len(m.Cohort))
	case p.terms.Noised && (int(m.NMin) != p.terms.NMin || m.NMin < 1 || int(m.NMin) > len(m.Cohort)):
		return refuse(RuleCohort, "", "n_min is %d, the spec's is %d, at least 1 and at most the cohort's %d", m.NMin, p.terms.NMin, len(m.Cohort))
	case p.terms.Private && !p.terms.Noised && (int(m.NMin) != p.terms.NMin || int(m.NMin) < int(m.F)+2 || int(m.NMin) > len(m.Cohort)):
		return refuse(RuleCohort, "", "n_min is %d, the spec's is %d, at least f+2 = %d and at most the cohort's %d", m.NMin, p.terms.NMin, m.F+2, len(m.Cohort))
	}
	return nil
}

func (p *Proposal) checkCommittee() error {
	m := p.Manifest
	if p.terms.Noised {
		if len(m.Committee) != 0 || m.T != 0 {
			return refuse(RuleCommittee, "", "a noised job with a committee: nothing is sealed for it")
		}
		return nil
	}
	if err := charter.Quorum(int(m.T), len(m.Committee), int(m.F)); err != nil {
		return refuse(RuleCommittee, "", "%v", err)
	}
	seen := map[wire.Member]bool{}
	for _, seat := range m.Committee {
		member, ok := charter.Find(p.Charter, seat.Member)
		switch {
		case !ok:
			return refuse(RuleCommittee, "", "seat %d is held by %s, who isn't in the charter", seat.Index, seat.Member.Short())
		case !member.Role.HasSeat():
			return refuse(RuleCommittee, "", "seat %d is held by %q, whose role is data only", seat.Index, member.Card.Name)
		case seen[seat.Member]:
			return refuse(RuleCommittee, "", "%q holds two seats", member.Card.Name)
		}
		seen[seat.Member] = true
	}
	return nil
}

func (p *Proposal) checkRounds() error {
	m := p.Manifest
	want, params, err := roundSpecs(p.model, p.terms, len(m.Cohort), int(m.T), len(m.Committee), func(kind wire.RoundKind) int {
		if r, ok := m.Round(kind); ok {
			return int(r.Codec.Bits)
		}
		return 0
	})
	if err != nil {
		return refuse(RuleManifest, "", "%v", err)
	}
	if len(m.Rounds) != len(want) {
		return refuse(RuleManifest, "", "%d kinds of round, the spec gives %d", len(m.Rounds), len(want))
	}
	for i := range want {
		if !bytes.Equal(wire.Encode(&wire.Manifest{Kind: 1, Mode: 1, Rounds: m.Rounds[i : i+1]}), wire.Encode(&wire.Manifest{Kind: 1, Mode: 1, Rounds: want[i : i+1]})) {
			return refuse(RuleManifest, "", "codec, noise or number of %s rounds aren't those that the spec gives", want[i].Kind)
		}
	}
	p.params = params
	return nil
}

// roundSpecs gives, for each kind of round that the model has, what the manifest must say of it.
func roundSpecs(model Model, terms Terms, n, t, m int, bits func(wire.RoundKind) int) ([]wire.RoundSpec, map[wire.RoundKind]secagg.Params, error) {
	var specs []wire.RoundSpec
	all := map[wire.RoundKind]secagg.Params{}
	for _, kind := range wire.Kinds {
		if model.Limit(uint8(kind)) == 0 {
			continue
		}
		spec, params, err := roundSpec(model, terms, kind, n, bits(kind), t, m)
		if err != nil {
			return nil, nil, fmt.Errorf("%s rounds: %w", kind, err)
		}
		if terms.Private {
			noise, ok := terms.Noise[kind]
			if !ok || noise.Mechanism != wire.MechanismDiscreteGaussian || noise.Sensitivity == 0 || noise.Sigma2Local == 0 || noise.H == 0 {
				return nil, nil, fmt.Errorf("%s rounds of a private job have no noise", kind)
			}
			spec.DP = noise
		}
		specs, all[kind] = append(specs, spec), params
	}
	return specs, all, nil
}

func roundSpec(model Model, terms Terms, kind wire.RoundKind, n, bits, t, m int) (wire.RoundSpec, secagg.Params, error) {
	options := secagg.Options{Contributors: n, Bits: bits, Threshold: t, Seats: m}
	if terms.Noised {
		options.Threshold, options.Seats = 1, 1 // for the lanes' sake: nothing is sealed
	}
	spec := wire.RoundSpec{Kind: kind, MaxRounds: uint16(model.Limit(uint8(kind)))}
	add := func(name string, v [3]uint64) {
		spec.Codec.Segments = append(spec.Codec.Segments, wire.Segment{Name: name, Length: uint32(v[0]), ScaleNum: v[1], ScaleDen: v[2]})
		options.Segments = append(options.Segments, secagg.Segment{Name: name, Length: int(v[0]), ScaleNum: v[1], ScaleDen: v[2]})
	}
	for name, v := range model.Segments(uint8(kind)) {
		add(name, v)
	}
	if terms.Private {
		add(dp.Canary().Name, [3]uint64{dp.CanaryLanes, 1, 1})
	}
	params, err := secagg.NewParams(options)
	if err != nil {
		return wire.RoundSpec{}, secagg.Params{}, err
	}
	c := &spec.Codec
	c.NMax, c.Bits = uint16(n), uint8(bits)
	if terms.Noised {
		return spec, params, nil
	}
	c.Ring = wire.RingV1
	c.SumBits, c.ErrorBits, c.Lanes = uint8(params.SumBits()), uint8(params.ErrorBits()), uint8(params.Lanes())
	return spec, params, nil
}

// Draft is what a coordinator chooses of a manifest; the model gives the rest.
type Draft struct {
	Nonce                     [16]byte
	SpecDigest                wire.Digest
	ContractDigest            wire.Digest
	Cohort                    []wire.Member
	Seats                     []wire.Member
	Threshold, Bits           int
	NowMs, ExpiresMs, RoundMs uint64
}

// NewManifest completes a draft. OpenManifest accepts what it returns, or it is an error.
func NewManifest(c *wire.Charter, model Model, terms Terms, d Draft) (*wire.Manifest, error) {
	m := &wire.Manifest{CharterDigest: c.Digest(), Nonce: d.Nonce, SpecDigest: d.SpecDigest, ContractDigest: d.ContractDigest,
		Kind: wire.Exact, Mode: wire.Sealed, Cohort: slices.Clone(d.Cohort), T: uint16(d.Threshold), F: c.F, NMin: uint16(len(d.Cohort)),
		ExpiresMs: d.ExpiresMs, RoundMs: uint32(d.RoundMs)}
	slices.SortFunc(m.Cohort, wire.Member.Compare)
	for i, seat := range d.Seats {
		m.Committee = append(m.Committee, wire.Seat{Index: uint16(i + 1), Member: seat})
	}
	if terms.Private {
		m.Kind, m.NMin = wire.Private, uint16(terms.NMin)
	}
	if terms.Noised {
		m.Mode = wire.Noised
	}
	var err error
	if m.Rounds, _, err = roundSpecs(model, terms, len(d.Cohort), d.Threshold, len(d.Seats), func(wire.RoundKind) int { return d.Bits }); err != nil {
		return nil, refuse(RuleManifest, "", "%v", err)
	}
	return m, nil
}

// InCohort reports whether the member contributes to this job's sums.
func (p *Proposal) InCohort(m wire.Member) bool { return slices.Contains(p.Manifest.Cohort, m) }

// Seat is the member's seat index, 0 for none.
func (p *Proposal) Seat(m wire.Member) uint16 {
	for _, s := range p.Manifest.Committee {
		if s.Member == m {
			return s.Index
		}
	}
	return 0
}

// Params are the secure aggregation's parameters for one kind of round; of a noised job only what they say of lanes holds.
func (p *Proposal) Params(kind wire.RoundKind) secagg.Params { return p.params[kind] }

// PayloadBytes is the exact size of every payload of a kind of round.
func (p *Proposal) PayloadBytes(kind wire.RoundKind) int {
	if p.terms.Noised {
		return ClearBytes(p.params[kind])
	}
	return p.params[kind].PayloadBytes()
}

// Verifiable reports whether members recompute every state (G8): an exact job no roster of which exceeds MaxVerified. A private
// job's noise holds for any model.
func (p *Proposal) Verifiable() bool {
	if p.terms.Private {
		return false
	}
	for _, params := range p.params {
		if params.PayloadBytes()*len(p.Manifest.Cohort) > MaxVerified {
			return false
		}
	}
	return true
}

// Noised reports whether each contribution travels in clear with its whole noise.
func (p *Proposal) Noised() bool { return p.terms.Noised }

// Private reports whether every opened sum of this job carries noise.
func (p *Proposal) Private() bool { return p.terms.Private }

// NeedsApproval reports whether this member is asked to approve: all of the cohort and all seats.
func (p *Proposal) NeedsApproval(m wire.Member) bool { return p.InCohort(m) || p.Seat(m) != 0 }

// Approve makes the member's signed consent; seatKey is the public half of this job's key, nil without a seat.
func (p *Proposal) approval(member wire.Member, seatKey []byte) wire.Approval {
	return wire.Approval{Job: p.Job, Member: member, SeatKey: seatKey}
}

// Job is a closed job: a manifest with all its approvals. Everything later is bound to it through the context.
type Job struct {
	*Proposal
	Closed       wire.Digest
	seats        []secagg.Seat
	contributors []wire.Member // of the cohort, sorted: in an exact job all, in a private one those that approved
}

// Contributes reports whether the member contributes to this job's sums.
func (j *Job) Contributes(m wire.Member) bool { return slices.Contains(j.contributors, m) }

// Close checks that the approvals are exactly those that the manifest needs, each signed by its member: all of the cohort and all
// seats in an exact job, all seats and at least n_min of the cohort in a private one.
func Close(p *Proposal, approvals []wire.Envelope) (*Job, error) {
	j := &Job{Proposal: p, seats: make([]secagg.Seat, len(p.Manifest.Committee))}
	sorted := slices.Clone(approvals)
	slices.SortFunc(sorted, func(a, b wire.Envelope) int { return a.Signer.Compare(b.Signer) })
	parts := [][]byte{p.Job[:]}
	seen := map[wire.Member]bool{}
	for i := range sorted {
		a, err := OpenApproval(p, &sorted[i])
		if err != nil {
			return nil, err
		}
		if seen[a.Member] {
			return nil, refuse(RuleApprovals, "", "two approvals by %s", charter.Name(p.Charter, a.Member))
		}
		seen[a.Member] = true
		if index := p.Seat(a.Member); index != 0 {
			j.seats[index-1] = secagg.Seat{Index: index, Member: secagg.Member(a.Member), PublicKey: a.SeatKey}
		}
		parts = append(parts, wire.Encode(a))
	}
	for _, member := range p.Manifest.Cohort {
		if seen[member] {
			j.contributors = append(j.contributors, member)
		}
	}
	if len(j.contributors) < int(p.Manifest.NMin) {
		return nil, refuse(RuleApprovals, "", "%d of the cohort have approved, at least %d must", len(j.contributors), p.Manifest.NMin)
	}
	for _, member := range p.needed() {
		if !seen[member] && (!p.terms.Private || p.Seat(member) != 0) {
			return nil, refuse(RuleApprovals, "", "%s hasn't approved the job", charter.Name(p.Charter, member))
		}
	}
	j.Closed = wire.Hash("closed-job", parts...)
	return j, nil
}

func (p *Proposal) needed() []wire.Member {
	out := slices.Clone(p.Manifest.Cohort)
	for _, s := range p.Manifest.Committee {
		if !p.InCohort(s.Member) {
			out = append(out, s.Member)
		}
	}
	return out
}

// OpenApproval checks one approval: by a member that the job needs, for this job, with a seat's key exactly if it has a seat.
func OpenApproval(p *Proposal, e *wire.Envelope) (*wire.Approval, error) {
	var a wire.Approval
	if err := e.Open(&a); err != nil {
		return nil, refuse(RuleSignature, "", "%v", err)
	}
	name := charter.Name(p.Charter, a.Member)
	switch {
	case e.Signer != a.Member:
		return nil, refuse(RuleSignature, "", "approval of %s signed by %s", name, e.Signer.Short())
	case a.Job != p.Job:
		return nil, refuse(RuleContext, "", "approval by %s is for job %x", name, a.Job[:4])
	case !p.NeedsApproval(a.Member):
		return nil, refuse(RuleApprovals, "", "%s has no part in this job", name)
	case (p.Seat(a.Member) != 0) != (len(a.SeatKey) != 0):
		return nil, refuse(RuleApprovals, "", "%s has a seat without a key, or a key without a seat", name)
	case len(a.SeatKey) != 0 && secagg.CheckSeatPublicKey(a.SeatKey) != nil:
		return nil, refuse(RuleApprovals, "", "the seat key of %s: %v", name, secagg.CheckSeatPublicKey(a.SeatKey))
	}
	return &a, nil
}
