package audit

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// WritePDF writes what WriteHTML does, on A4 pages that each say whether the ledger verified. The file's date is the ledger's last
// entry's, so that whoever makes it from one ledger gets the same bytes.
func (r *Report) WritePDF(out io.Writer) error {
	made, err := time.Parse(time.DateTime, r.To)
	if err != nil {
		made = time.Unix(0, 0).UTC() // a ledger without entries, or of the year 10000
	}
	f := frame{title: "Privacy report of " + plain(r.Consortium), foot: fmt.Sprintf("%s, %d entries to %s UTC, root %.12s", r.Origin, r.Entries, r.To, r.Root), made: made,
		verdict: "Verified: signatures, rosters and charges", alarm: !r.Verified}
	verified := "yes: every signature, every roster and every charge was recomputed"
	if !r.Verified {
		f.verdict, verified = "NOT VERIFIED: this can't be relied on", "no"
	}
	s := newSheet(f)
	s.heading(0, "Privacy report of "+r.Consortium)
	s.pairs([]string{"Ledger", fmt.Sprintf("%s, %d entries from %s to %s UTC by the coordinator's clock", r.Origin, r.Entries, r.From, r.To)},
		[]string{"Root", r.Root}, []string{"Signed by the coordinator", r.Coordinator}, []string{"Cosigned", r.witnessed()}, []string{"Verified", verified})
	if !r.Verified {
		s.alarmed(true, func() { s.paragraph("This ledger doesn't verify. What follows can't be relied on.", true) })
		for _, f := range r.Findings {
			s.paragraph(f.String(), false)
		}
	}
	for _, n := range r.Notes {
		s.paragraph("Note: "+n, false)
	}
	s.heading(1, "What the figures mean")
	for _, w := range words() {
		s.paragraph(w.Term, true)
		s.paragraph(w.Text, false)
	}
	for _, m := range r.Members {
		s.member(m)
	}
	s.several(r.Several)
	for _, j := range r.Jobs {
		s.job(j)
	}
	if s.numbered {
		s.paragraph(`Letters that this file's fonts lack are written as their Unicode number, such as \u4e2d. The html report shows them.`, false)
	}
	return s.pdf.Output(out)
}

func (s *sheet) member(m MemberReport) {
	s.heading(1, "Member "+m.Name)
	text := fmt.Sprintf("%s, %s, key %s.", m.Organisation, m.Role, m.Key)
	if m.Revoked != "" {
		text += " Revoked " + m.Revoked + "."
	}
	if m.ExactSums > 0 {
		text += fmt.Sprintf(" Exact sums opened with its data: %d; no noise, ε infinite.", m.ExactSums)
	}
	if len(m.Accounts) == 0 {
		text += " No privacy account."
	}
	if rules := m.rules(); rules != "" {
		text += " " + rules
	}
	s.paragraph(text, false)
	for _, a := range m.Accounts {
		s.account(a)
	}
}

func (s *sheet) account(a AccountReport) {
	s.heading(2, "Account "+a.ID[:12])
	s.pairs([]string{"Cap, per " + a.Unit, fmt.Sprintf("ε = %s, δ = %s; enforced at order %d, since %s", a.Epsilon, a.Delta, a.Order, a.Since)},
		[]string{"Budget in all", fmt.Sprintf("%.6f nats, %s: at most ε = %s", a.Budget.Nats, refills(a.Refills), a.Allowed)},
		[]string{"Spent in its lifetime", fmt.Sprintf("%.6f nats, %s: at most ε = %s", a.Spent.Nats, percent(a.Spent.Share), a.Bound)},
		[]string{"Left", fmt.Sprintf("%.6f nats, %s", a.Left.Nats, percent(a.Left.Share))},
		[]string{"ε of what was really opened", a.Opened.String()})
	s.spending("Job", a.Jobs)
	s.spending("Month", a.Periods)
}

func (s *sheet) spending(by string, all []Spending) {
	var rows [][]string
	for _, x := range all {
		rows = append(rows, []string{x.Name, fmt.Sprint(x.Charges), fmt.Sprint(x.Sums), fmt.Sprintf("%.6f", x.Spent.Nats), percent(x.Spent.Share), x.Epsilon.String()})
	}
	s.table([]column{{head: by, width: 34}, right("Charges", 20), right("Opened", 20), right("Spent, nats", 28), right("Of budget", 24), right("ε of what was opened", 48)}, rows)
}

func (s *sheet) several(all []Several) {
	if len(all) == 0 {
		return
	}
	s.heading(1, "Persons whose records several members hold")
	var rows [][]string
	for _, x := range all {
		rows = append(rows, []string{fmt.Sprintf("%d members", x.Members), fmt.Sprint(x.Delta), x.Epsilon.String()})
	}
	s.table([]column{{head: "One record at each of", width: 60}, right("δ", 30), right("ε over all private sums here", 60)}, rows)
}

func (s *sheet) job(j JobReport) {
	s.heading(1, "Job "+j.ID[:12])
	text := fmt.Sprintf("%s, proposed %s (entry %d), %s.", j.Kind, j.Proposed, j.Entry, j.Outcome)
	if j.Reason != "" {
		text += " Reason: " + j.Reason
	}
	s.paragraph(fmt.Sprintf("%s Cohort: %s; at least %d in a sum; f = %d. Its sums were %s.", text, strings.Join(j.Cohort, ", "), j.NMin, j.F, j.openers()), false)
	var releases, refusals, aborts [][]string
	for _, x := range j.Releases {
		releases = append(releases, []string{fmt.Sprint(x.Entry), x.At, fmt.Sprint(x.Round), x.Kind, fmt.Sprint(x.Step), fmt.Sprint(x.Contributors), x.Digest[:12]})
	}
	for _, x := range j.Refusals {
		refusals = append(refusals, []string{fmt.Sprint(x.Entry), x.At, x.Who, x.Phase, x.Rule, x.Text})
	}
	for _, x := range j.Aborts {
		aborts = append(aborts, []string{fmt.Sprint(x.Entry), x.At, fmt.Sprint(x.Round), x.Phase, x.Rule, x.Text})
	}
	entry, at, phase := right("Entry", 16), column{head: "When", width: 34}, column{head: "In", width: 20}
	s.table([]column{entry, at, right("Round", 16), {head: "Kind", width: 26}, right("Step", 16), right("Members", 20), {head: "Release", width: 46}}, releases)
	if len(refusals) > 0 {
		s.heading(2, "Refusals")
		s.table([]column{entry, at, {head: "Who", width: 28}, phase, {head: "Rule", width: 24}, {head: "Hint", width: 52}}, refusals)
	}
	if len(aborts) > 0 {
		s.heading(2, "Aborted rounds")
		s.table([]column{entry, at, right("Round", 16), phase, {head: "Code", width: 24}, {head: "Reason", width: 64}}, aborts)
	}
}
