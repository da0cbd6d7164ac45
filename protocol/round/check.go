package round

import (
	"crypto/sha256"
	"slices"

	"tributary/crypto/secagg"
	"tributary/protocol/charter"
	"tributary/protocol/wire"
)

// BlobDigest names a payload or a sealed share: plain SHA-256, as anyone can compute it over the bytes.
func BlobDigest(b []byte) wire.Digest { return sha256.Sum256(b) }

// OpenPlan checks a plan's signature and that it is of this job and of a kind that the manifest has.
func OpenPlan(j *Job, e *wire.Envelope) (*wire.Plan, error) {
	var p wire.Plan
	if err := e.Open(&p); err != nil {
		return nil, refuse(RuleSignature, "", "%v", err)
	}
	if e.Signer != j.Charter.Coordinator {
		return nil, refuse(RuleSignature, "", "plan signed by %s, not by the charter's coordinator", e.Signer.Short())
	}
	if p.Job != j.Job {
		return nil, refuse(RuleContext, "", "plan of job %x", p.Job[:4])
	}
	if _, ok := j.Manifest.Round(p.Kind); !ok {
		return nil, refuse(RuleStep, "", "plan of a %s round, which the manifest hasn't", p.Kind)
	}
	if p.Round == 0 {
		return nil, refuse(RulePlan, "", "round 0: the first is 1")
	}
	return &p, nil
}

// OpenUpload checks an upload's commitment: signed by a member of the cohort, for this context, of the sizes that the manifest gives.
func OpenUpload(j *Job, plan *wire.Plan, e *wire.Envelope) (*wire.Upload, error) {
	var u wire.Upload
	if err := e.Open(&u); err != nil {
		return nil, refuse(RuleSignature, "", "%v", err)
	}
	name, payload := charter.Name(j.Charter, e.Signer), j.PayloadBytes(plan.Kind)
	switch {
	case !j.Contributes(e.Signer):
		return nil, refuse(RuleCohort, "", "upload by %s, who isn't in the cohort", name)
	case u.Ctx != plan.Context(j.Closed):
		return nil, refuse(RuleContext, "", "upload by %s is of another round", name)
	case u.PayloadLen != uint64(payload):
		return nil, refuse(RuleUpload, "", "payload of %s has %d bytes, want %d", name, u.PayloadLen, payload)
	case len(u.ShareDigests) != len(j.Manifest.Committee):
		return nil, refuse(RuleUpload, "", "%s sent %d shares for %d seats", name, len(u.ShareDigests), len(j.Manifest.Committee))
	}
	return &u, nil
}

// OpenRoster checks what may be opened at all (G3): signed by the coordinator, of this context, and exactly the cohort.
// A private job's roster may be smaller than its cohort, never than n_min.
func OpenRoster(j *Job, plan *wire.Plan, e *wire.Envelope) (*wire.Roster, error) {
	var r wire.Roster
	if err := e.Open(&r); err != nil {
		return nil, refuse(RuleSignature, "", "%v", err)
	}
	if e.Signer != j.Charter.Coordinator {
		return nil, refuse(RuleSignature, "", "roster signed by %s, not by the charter's coordinator", e.Signer.Short())
	}
	if r.Ctx != plan.Context(j.Closed) {
		return nil, refuse(RuleContext, "", "roster of another round")
	}
	if len(r.Entries) < int(j.Manifest.NMin) {
		return nil, refuse(RuleRoster, "", "roster of %d, at least %d", len(r.Entries), j.Manifest.NMin)
	}
	for _, entry := range r.Entries {
		if !j.Contributes(entry.Member) {
			return nil, refuse(RuleRoster, "", "roster lists %s, who isn't in the cohort", charter.Name(j.Charter, entry.Member))
		}
	}
	if j.Manifest.Kind == wire.Exact && len(r.Entries) != len(j.Manifest.Cohort) {
		return nil, refuse(RuleRoster, "", "roster of %d isn't the cohort of %d", len(r.Entries), len(j.Manifest.Cohort))
	}
	return &r, nil
}

// OpenShareSum checks a seat's reply for this roster.
func OpenShareSum(j *Job, ctx, root wire.Digest, e *wire.Envelope) (secagg.Reply, error) {
	var s wire.ShareSum
	if err := e.Open(&s); err != nil {
		return secagg.Reply{}, refuse(RuleSignature, "", "%v", err)
	}
	name := charter.Name(j.Charter, e.Signer)
	if s.Index == 0 || j.Seat(e.Signer) != s.Index {
		return secagg.Reply{}, refuse(RuleCommittee, "", "share sum for seat %d by %s, whose seat is %d", s.Index, name, j.Seat(e.Signer))
	}
	if s.Ctx != ctx || s.Root != root {
		return secagg.Reply{}, refuse(RuleContext, "", "share sum by %s is for another round or roster", name)
	}
	sum, err := secagg.ParseShareSum(s.Sum)
	if err != nil {
		return secagg.Reply{}, refuse(RuleShare, "", "share sum by %s: %v", name, err)
	}
	return secagg.Reply{Index: s.Index, Sum: sum}, nil
}

// Evidence is all that led from one state to the next; whoever holds the state before can recompute the state after.
type Evidence struct {
	Plan, Roster, Release wire.Envelope
	Uploads, ShareSums    []wire.Envelope
}

// Bundle packs the evidence for transfer: plan, roster, release, then uploads in the roster's order, then share sums.
func (v *Evidence) Bundle() wire.Bundle {
	items := [][]byte{v.Plan.Bytes(), v.Roster.Bytes(), v.Release.Bytes()}
	for i := range v.Uploads {
		items = append(items, v.Uploads[i].Bytes())
	}
	for i := range v.ShareSums {
		items = append(items, v.ShareSums[i].Bytes())
	}
	return wire.Bundle{Items: items}
}

// ParseEvidence reads what Bundle wrote.
func ParseEvidence(b wire.Bundle) (*Evidence, error) {
	if len(b.Items) < 3 {
		return nil, refuse(RuleState, "", "evidence of %d items", len(b.Items))
	}
	v := &Evidence{}
	for i, item := range b.Items {
		e, err := wire.ParseEnvelope(item)
		if err != nil {
			return nil, refuse(RuleState, "", "evidence: %v", err)
		}
		switch {
		case i == 0:
			v.Plan = e
		case i == 1:
			v.Roster = e
		case i == 2:
			v.Release = e
		case e.Kind == wire.TypeShareSum:
			v.ShareSums = append(v.ShareSums, e)
		default:
			v.Uploads = append(v.Uploads, e)
		}
	}
	return v, nil
}

// Payloads finds a payload by its digest; members fetch them, the coordinator has them.
type Payloads func(wire.Digest) ([]byte, error)

// Opening is an opened sum with what it gave.
type Opening struct {
	Sum       [][]float64 // the model's segments; a private sum's canary is checked and cut off
	SumDigest wire.Digest
	KMax      uint64
	EMax      uint64
	Suspects  []wire.Seat
	Fault     error // of a private sum whose noise isn't the agreed one: dp.ErrCanary
	FaultOf   int   // in a noised job: the upload with the fault, by its number; else -1
}

// OpenSum adds the payloads of a checked roster and opens them with the replies. Errors are secagg's.
func OpenSum(j *Job, plan *wire.Plan, uploads []*wire.Upload, replies []secagg.Reply, payloads Payloads) (*Opening, error) {
	params := j.Params(plan.Kind)
	add, finish := sealedSum(params, secagg.Context(plan.Context(j.Closed)), replies)
	if j.Noised() {
		add, finish = j.clearSum(plan.Kind)
	}
	for _, u := range uploads {
		payload, err := payloads(u.PayloadDigest)
		if err != nil {
			return nil, err
		}
		if BlobDigest(payload) != u.PayloadDigest {
			return nil, refuse(RuleUpload, "", "a payload isn't the one that was signed")
		}
		if err := add(payload); err != nil {
			return nil, err
		}
	}
	opened, err := finish()
	if err != nil {
		return nil, err
	}
	o := &Opening{Sum: params.Dequantise(opened.Values), SumDigest: sumDigest(opened.Values), KMax: uint64(opened.KMax), EMax: uint64(opened.EMax), FaultOf: opened.faultOf, Fault: opened.fault}
	if j.Private() {
		last := len(o.Sum) - 1
		if !j.Noised() {
			o.Fault = j.checkCanary(plan.Kind, o.Sum[last], len(uploads))
		}
		o.Sum = o.Sum[:last]
	}
	for _, seat := range j.Manifest.Committee {
		if slices.Contains(opened.Suspects, seat.Index) {
			o.Suspects = append(o.Suspects, seat)
		}
	}
	return o, nil
}

func sumDigest(values []int64) wire.Digest {
	b := make([]byte, 0, 8*len(values))
	for _, v := range values {
		for shift := 56; shift >= 0; shift -= 8 {
			b = append(b, byte(uint64(v)>>shift))
		}
	}
	return wire.Hash("sum", b)
}

// Verified is a transition that a member has recomputed.
type Verified struct {
	Plan    *wire.Plan
	Release *wire.Release
	State   []byte
	Own     wire.Digest // digest of the member's own upload in the roster, zero if it isn't listed
}

// Verify recomputes a transition from the state before it (G8): the roster's uploads and payloads, t share sums, the
// opened sum and the server step must give the state that the release names.
func Verify(j *Job, self wire.Member, before []byte, v *Evidence, payloads Payloads) (*Verified, error) {
	plan, err := OpenPlan(j, &v.Plan)
	if err != nil {
		return nil, err
	}
	release, err := OpenRelease(j, &v.Release)
	if err != nil {
		return nil, err
	}
	roster, err := OpenRoster(j, plan, &v.Roster)
	if err != nil {
		return nil, err
	}
	ctx, root := plan.Context(j.Closed), roster.Root()
	if plan.StateDigest != StateDigest(before) {
		return nil, refuse(RuleState, "", "the evidence starts from another state")
	}
	if release.Ctx != ctx || release.Root != root || release.Round != plan.Round || release.Step != plan.Step || release.Kind != plan.Kind {
		return nil, refuse(RuleState, "", "the release is of another round or roster")
	}
	out := &Verified{Plan: plan, Release: release}
	uploads, err := rosterUploads(j, plan, roster, v.Uploads)
	if err != nil {
		return nil, err
	}
	for _, entry := range roster.Entries {
		if entry.Member == self {
			out.Own = entry.Upload
		}
	}
	replies := make([]secagg.Reply, 0, len(v.ShareSums))
	for i := range v.ShareSums {
		reply, err := OpenShareSum(j, ctx, root, &v.ShareSums[i])
		if err != nil {
			return nil, err
		}
		replies = append(replies, reply)
	}
	opening, err := OpenSum(j, plan, uploads, replies, payloads)
	if err != nil {
		return nil, refuse(RuleState, "", "the evidence doesn't open: %v", err)
	}
	if opening.SumDigest != release.SumDigest {
		return nil, refuse(RuleState, "", "the release names another sum than the uploads give")
	}
	if out.State, err = j.model.Step(before, opening.Sum); err != nil {
		return nil, refuse(RuleState, "", "the server step: %v", err)
	}
	if StateDigest(out.State) != release.NextState {
		return nil, refuse(RuleState, "Stop: the coordinator applied something else than the sum.", "the release's state isn't the one that the sum gives")
	}
	return out, nil
}

// rosterUploads matches envelopes to the roster's entries, in its order, by digest.
func rosterUploads(j *Job, plan *wire.Plan, roster *wire.Roster, envelopes []wire.Envelope) ([]*wire.Upload, error) {
	if len(envelopes) != len(roster.Entries) {
		return nil, refuse(RuleRoster, "", "%d uploads for a roster of %d", len(envelopes), len(roster.Entries))
	}
	uploads := make([]*wire.Upload, len(envelopes))
	for i := range envelopes {
		u, err := OpenUpload(j, plan, &envelopes[i])
		if err != nil {
			return nil, err
		}
		if entry := roster.Entries[i]; entry.Member != envelopes[i].Signer || entry.Upload != envelopes[i].Digest() {
			return nil, refuse(RuleRoster, "", "upload %d isn't the roster's", i+1)
		}
		uploads[i] = u
	}
	return uploads, nil
}

// OpenRelease checks a release's signature and job.
func OpenRelease(j *Job, e *wire.Envelope) (*wire.Release, error) {
	var r wire.Release
	if err := e.Open(&r); err != nil {
		return nil, refuse(RuleSignature, "", "%v", err)
	}
	if e.Signer != j.Charter.Coordinator {
		return nil, refuse(RuleSignature, "", "release signed by %s, not by the charter's coordinator", e.Signer.Short())
	}
	if r.Job != j.Job {
		return nil, refuse(RuleContext, "", "release of job %x", r.Job[:4])
	}
	return &r, nil
}
