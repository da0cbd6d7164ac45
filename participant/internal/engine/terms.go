package engine

import (
	"fmt"
	"slices"
	"time"

	"tributary/crypto/dp"
	"tributary/models/optim"
	"tributary/protocol/charter"
	"tributary/protocol/jobspec"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

// terms are a job's public documents, checked against each other.
type terms struct {
	charter  *wire.Charter
	proposal *round.Proposal
	resolved *jobspec.Resolved
	contract *jobspec.Contract
	program  *optim.Program
	noise    map[wire.RoundKind]dp.Params // of a private job, by kind of round
}

// clockSlack is how far the coordinator's clock may be ahead of this node's when it sets a job's expiry.
const clockSlack = time.Hour

// bundleItems are a job bundle's fixed items: manifest, resolved spec, contract, charter. Approvals follow.
const bundleItems = 4

func refusal(rule round.Rule, hint, format string, args ...any) error {
	return &round.Refused{Rule: rule, Reason: fmt.Sprintf(format, args...), Hint: hint}
}

// readTerms checks a bundle under an accepted charter: nothing in it may differ from what the node computes for itself. Every
// error is a *round.Refused.
func readTerms(job wire.Digest, accepted *wire.Charter, data []byte) (*terms, error) {
	items, err := bundle(data)
	if err != nil {
		return nil, err
	}
	e, err := wire.ParseEnvelope(items[0])
	if err != nil {
		return nil, refusal(round.RuleManifest, "", "manifest: %v", err)
	}
	t := &terms{charter: accepted}
	if t.resolved, err = jobspec.ParseResolved(items[1]); err != nil {
		return nil, refusal(round.RuleManifest, "Upgrade the older side if the versions differ.", "resolved job: %v", err)
	}
	if t.contract, err = jobspec.ParseContractJSON(items[2]); err != nil {
		return nil, refusal(round.RuleManifest, "Upgrade the older side if the versions differ.", "contract: %v", err)
	}
	if t.program, err = optim.ParseProgram(t.resolved.Program()); err != nil {
		return nil, refusal(round.RuleManifest, "", "program: %v", err)
	}
	privacy, err := t.privacy()
	if err != nil {
		return nil, err
	}
	if t.proposal, err = round.OpenManifest(accepted, t.program, privacy, &e); err != nil {
		return nil, err
	}
	if t.proposal.Job != job {
		return nil, refusal(round.RuleManifest, "", "asked for job %x, got %x", job[:4], t.proposal.Job[:4])
	}
	return t, t.agree()
}

// agree checks that the manifest says what the resolved job and the contract say.
func (t *terms) agree() error {
	m, r := t.proposal.Manifest, t.resolved
	if err := r.Conforms(t.contract); err != nil {
		return refusal(round.RuleManifest, "", "%v", err)
	}
	var names []string
	for _, key := range m.Cohort {
		names = append(names, charter.Name(t.charter, key))
	}
	slices.Sort(names)
	for _, check := range []struct {
		what string
		same bool
	}{
		{"spec digest", m.SpecDigest == r.Digest()},
		{"contract digest", m.ContractDigest == t.contract.Digest()},
		{"cohort", len(r.Participants) == 0 || slices.Equal(names, r.Participants)},
		{"number of contributors", len(m.Cohort) == r.Contributors},
		{"committee", int(m.T) == r.Committee.Threshold && len(m.Committee) == r.Committee.Of},
		{"round timeout", int64(m.RoundMs) == r.RoundTimeout.Milliseconds()},
		{"kind", (m.Kind == wire.Private) == t.private() && (r.Kind == jobspec.KindExact || r.Kind == jobspec.KindPrivate)},
		{"mode", m.Mode == wire.Sealed && r.Mode == jobspec.ModeSealed || m.Mode == wire.Noised && r.Mode == jobspec.ModeNoised && t.private()},
		{"f", !t.private() || int(m.F) == r.F},
		{"n_min", !t.private() || int(m.NMin) == r.NMin},
	} {
		if !check.same {
			return refusal(round.RuleManifest, "", "the manifest's %s isn't the spec's", check.what)
		}
	}
	for i := range m.Rounds {
		if int(m.Rounds[i].Codec.Bits) != r.Bits {
			return refusal(round.RuleManifest, "", "the manifest codes %d bits, the spec says %d", m.Rounds[i].Codec.Bits, r.Bits)
		}
	}
	return t.agreeNoise()
}

// checkExpiry judges a new job's expiry by this node's clock.
func (t *terms) checkExpiry(now time.Time) error {
	expires := t.expires()
	if !now.Before(expires) {
		return refusal(round.RuleExpired, "Compare the clocks.", "the job expired at %s", expires.UTC().Format(time.RFC3339))
	}
	if latest := now.Add(t.resolved.Expires + clockSlack); expires.After(latest) || t.proposal.Manifest.ExpiresMs > uint64(now.Add(clockSlack).UnixMilli())+round.MaxLifeMs {
		return refusal(round.RuleManifest, "Compare the clocks.", "the job expires at %s, later than its spec says", expires.UTC().Format(time.RFC3339))
	}
	return nil
}

func (t *terms) expires() time.Time {
	return time.UnixMilli(int64(min(t.proposal.Manifest.ExpiresMs, 1<<52)))
}

func bundle(data []byte) ([][]byte, error) {
	b, err := wire.ParseBundle(data)
	if err != nil {
		return nil, refusal(round.RuleManifest, "", "%v", err)
	}
	if len(b.Items) < bundleItems {
		return nil, refusal(round.RuleManifest, "", "a job of %d documents, want %d or more", len(b.Items), bundleItems)
	}
	return b.Items, nil
}

// label names a member with its organisation.
func label(c *wire.Charter, key wire.Member) string {
	m, ok := charter.Find(c, key)
	switch {
	case !ok:
		return key.Short()
	case m.Card.Organisation == m.Card.Name:
		return m.Card.Name
	}
	return fmt.Sprintf("%s (%s)", m.Card.Name, m.Card.Organisation)
}
