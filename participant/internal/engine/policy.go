package engine

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"tributary/participant/internal/config"
	"tributary/participant/internal/store"
	"tributary/protocol/jobspec"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

// checkPolicy refuses a job outside the operator's policy. Hints are fixed sentences: they are sent.
func checkPolicy(p config.Policy, t *terms) error {
	r := t.resolved
	switch {
	case !slices.Contains(p.Contracts, r.Contract.String()):
		return refusal(round.RulePolicy, "The participant's policy doesn't list this contract.", "policy.contracts doesn't list %s", r.Contract)
	case !slices.Contains(p.Privacy, r.Kind):
		return refusal(round.RulePolicy, "The participant's policy doesn't allow this kind of job.", "policy.privacy doesn't allow %s jobs", r.Kind)
	case !slices.Contains(p.Modes, r.Mode):
		return refusal(round.RulePolicy, "The participant's policy doesn't allow this mode.", "policy.modes doesn't allow mode %s", r.Mode)
	case len(t.proposal.Manifest.Cohort) < p.MinCohort:
		return refusal(round.RulePolicy, "The cohort is smaller than the participant's policy allows.", "a cohort of %d, policy.min_cohort is %d", len(t.proposal.Manifest.Cohort), p.MinCohort)
	}
	for _, f := range r.Features {
		if r.Kind == jobspec.KindExact && f.Folds() && f.MinCount < p.MinCountFloor {
			return refusal(round.RulePolicy, "A min_count is smaller than the participant's policy allows.",
				"column %s folds values with fewer than %d rows, policy.min_count_floor is %d", f.Name, f.MinCount, p.MinCountFloor)
		}
	}
	if names := r.Sketched(); r.Kind == jobspec.KindExact && len(names) > 0 && (p.NoQuantiles || p.MinCountFloor > jobspec.SketchGroup) {
		return refusal(round.RulePolicy, "The participant's policy doesn't allow fitted quantiles: leave clip and buckets with quantiles out, or list the buckets' edges.",
			"quantiles of %s are fitted from counts in fine bins of %d rows or more; policy.quantiles refuses that, or policy.min_count_floor is above", strings.Join(names, ", "), jobspec.SketchGroup)
	}
	if r.Kind == jobspec.KindExact && len(r.Groups) > 0 && r.MinGroup < p.MinCountFloor {
		return refusal(round.RulePolicy, "A min_count is smaller than the participant's policy allows.",
			"groups of %d held-out rows are shown, policy.min_count_floor is %d", r.MinGroup, p.MinCountFloor)
	}
	return nil
}

// precedents are what earlier exact jobs on the same source mean for a new one (G3): two exact sums that differ by one member or
// by some rows give those away.
type precedents struct {
	otherCohorts []jobspec.EarlierDifference
	changedSince string // name of the last job on the source and contract if the rows are others now
}

// automatic reports whether policy may approve by itself.
func (p precedents) automatic() bool { return len(p.otherCohorts) == 0 && p.changedSince == "" }

func findPrecedents(uses []store.Use, t *terms, rows [32]byte) precedents {
	var p precedents
	cohort := t.proposal.Manifest.Cohort
	seen := map[string]bool{}
	last := -1
	for i, u := range uses {
		if u.Contract == t.resolved.Contract.String() {
			last = i
		}
		if slices.Equal(u.Cohort, cohort) {
			continue
		}
		organisations := difference(t.charter, u.Cohort, cohort)
		if key := strings.Join(organisations, " and "); !seen[key] {
			seen[key] = true
			p.otherCohorts = append(p.otherCohorts, jobspec.EarlierDifference{Job: jobLabel(u.Name, u.Job), Organisation: key})
		}
	}
	if last >= 0 && uses[last].Rows != rows {
		p.changedSince = jobLabel(uses[last].Name, uses[last].Job)
	}
	return p
}

func jobLabel(name string, job wire.Digest) string { return fmt.Sprintf("%s (%x)", name, job[:4]) }

// difference names the members that are in one cohort only.
func difference(c *wire.Charter, a, b []wire.Member) []string {
	var out []string
	for _, m := range append(slices.Clone(a), b...) {
		if slices.Contains(a, m) != slices.Contains(b, m) {
			out = append(out, label(c, m))
		}
	}
	slices.Sort(out)
	return out
}

// approvalText is what the operator reads.
func (n *Node) approvalText(t *terms, binding *config.Binding, account *store.Account, p precedents) string {
	m := t.proposal.Manifest
	in := jobspec.ApprovalInput{Job: t.resolved, F: int(m.F), Expires: t.expires().UTC().Format(time.RFC3339), Earlier: p.otherCohorts}
	for _, key := range m.Cohort {
		in.Cohort = append(in.Cohort, label(t.charter, key))
	}
	for _, seat := range m.Committee {
		in.Seats = append(in.Seats, label(t.charter, seat.Member))
	}
	for i := range m.Rounds {
		in.RosterBytes = max(in.RosterBytes, int64(t.proposal.PayloadBytes(m.Rounds[i].Kind))*int64(len(m.Cohort)))
	}
	text := jobspec.ApprovalText(in)
	if p.changedSince != "" {
		text += fmt.Sprintf("The rows of source %s have changed since job %s: the difference of the two jobs' sums is those rows' own.\n", binding.ID, p.changedSince)
	}
	if account != nil {
		text += accountText(t, account)
	}
	if binding == nil {
		text += "This participant holds a seat on the committee and brings no data.\n"
	}
	return text
}

// checkContract compares the job's contract with this participant's own copy; the reason names the column that differs.
func checkContract(t *terms, own *jobspec.Contract) error {
	if bytes.Equal(own.Canonical(), t.contract.Canonical()) {
		return nil
	}
	return refusal(round.RuleData, "The participant's copy of the contract differs from the job's: compare the contract files.",
		"the contract differs: %s", strings.Join(jobspec.Difference(t.contract, own), "; "))
}
