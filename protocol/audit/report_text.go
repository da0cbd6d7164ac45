package audit

import (
	"encoding/csv"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// WriteText writes the report for a terminal or a text file.
func (r *Report) WriteText(out io.Writer) error {
	w := &sticky{w: out}
	w.f("Privacy report of %q\n\n", r.Consortium)
	w.f("Ledger    %s, %d entries from %s to %s UTC by the coordinator's clock\n", plain(r.Origin), r.Entries, r.From, r.To)
	w.f("Root      %s\nSigned by the coordinator %s\n", r.Root, r.Coordinator)
	w.f("Cosigned  %s\n", r.witnessed())
	if r.Verified {
		w.f("Verified  yes: every signature, every roster and every charge was recomputed\n")
	} else {
		w.f("Verified  NO: what follows can't be relied on\n")
		for _, f := range r.Findings {
			w.f("  %s\n", f)
		}
	}
	for _, n := range r.Notes {
		w.f("Note      %s\n", n)
	}
	w.f("\nWhat the figures mean\n")
	for _, x := range words() {
		w.f("%s\n", wrapped(x.Term+": "+x.Text, 2, 118))
	}
	for _, m := range r.Members {
		w.f("\nMember %s (%s, %s), key %s\n", m.Name, m.Organisation, m.Role, m.Key[:16])
		if m.Revoked != "" {
			w.f("  revoked %s\n", m.Revoked)
		}
		if rules := m.rules(); rules != "" {
			w.f("%s\n", wrapped(rules, 2, 118))
		}
		if m.ExactSums > 0 {
			w.f("  exact sums opened with its data: %d; no noise, ε infinite\n", m.ExactSums)
		}
		if len(m.Accounts) == 0 {
			w.f("  no privacy account\n")
		}
		for _, a := range m.Accounts {
			w.account(a)
		}
	}
	if len(r.Several) > 0 {
		w.f("\nA person whose records several members hold, over all private sums here\n")
	}
	for _, s := range r.Several {
		w.f("  one record at each of %d members: ε = %s at δ = %g\n", s.Members, s.Epsilon, s.Delta)
	}
	for _, j := range r.Jobs {
		w.job(j)
	}
	return w.err
}

func (w *sticky) account(a AccountReport) {
	w.f("\n  Account %s, per %s, since %s\n", a.ID[:12], a.Unit, a.Since)
	w.f("    cap       ε = %s, δ = %s, enforced at order %d\n", a.Epsilon, a.Delta, a.Order)
	w.f("    budget    %.6f nats in all, %s: at most ε = %s\n", a.Budget.Nats, refills(a.Refills), a.Allowed)
	w.f("    spent     %.6f nats, %s, in its lifetime: at most ε = %s\n", a.Spent.Nats, percent(a.Spent.Share), a.Bound)
	w.f("    left      %.6f nats, %s\n", a.Left.Nats, percent(a.Left.Share))
	w.f("    opened    ε = %s of what was really opened\n", a.Opened)
	if len(a.Jobs) == 0 {
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(by string, rows []Spending) {
		fmt.Fprintf(t, "    %s\tcharges\topened\tspent, nats\tof budget\tε of what was opened\n", by)
		for _, s := range rows {
			fmt.Fprintf(t, "    %s\t%d\t%d\t%.6f\t%s\t%s\n", s.Name, s.Charges, s.Sums, s.Spent.Nats, percent(s.Spent.Share), s.Epsilon)
		}
	}
	row("job", a.Jobs)
	row("month", a.Periods)
	t.Flush()
}

func (w *sticky) job(j JobReport) {
	w.f("\nJob %s: %s, proposed %s (entry %d), %s\n", j.ID[:12], j.Kind, j.Proposed, j.Entry, j.Outcome)
	if j.Reason != "" {
		w.f("  reason: %s\n", j.Reason)
	}
	w.f("  cohort %s; at least %d in a sum; f = %d\n  its sums were %s\n", strings.Join(j.Cohort, ", "), j.NMin, j.F, j.openers())
	for _, s := range j.Releases {
		w.f("  entry %d, %s: round %d (%s, step %d) opened, the sum of %d members, release %s\n", s.Entry, s.At, s.Round, s.Kind, s.Step, s.Contributors, s.Digest[:12])
	}
	for _, s := range j.Refusals {
		w.f("  entry %d, %s: %s refused in %s (%s). %s\n", s.Entry, s.At, s.Who, s.Phase, s.Rule, s.Text)
	}
	for _, s := range j.Aborts {
		w.f("  entry %d, %s: round %d aborted in %s (%s): %s\n", s.Entry, s.At, s.Round, s.Phase, s.Rule, s.Text)
	}
}

// WriteCSV writes one row per member, account, job and month; amounts in units are exact.
func (r *Report) WriteCSV(out io.Writer) error {
	w := csv.NewWriter(out)
	w.Write([]string{"verified", "member", "organisation", "account", "cap_epsilon", "cap_delta", "order", "budget_units", "by", "name", "charges", "opened", "spent_units", "spent_nats", "spent_share", "epsilon_opened"})
	for _, m := range r.Members {
		for _, a := range m.Accounts {
			total := Spending{Name: "lifetime", Spent: a.Spent, Epsilon: a.Opened}
			for _, s := range a.Jobs {
				total.Charges, total.Sums = total.Charges+s.Charges, total.Sums+s.Sums
			}
			row := func(by string, s Spending) {
				w.Write([]string{fmt.Sprint(r.Verified), cell(m.Name), cell(m.Organisation), a.ID, a.Epsilon, a.Delta, fmt.Sprint(a.Order), fmt.Sprint(a.Budget.Units), by, s.Name,
					fmt.Sprint(s.Charges), fmt.Sprint(s.Sums), fmt.Sprint(s.Spent.Units), fmt.Sprintf("%.9f", s.Spent.Nats), fmt.Sprintf("%.6f", s.Spent.Share), s.Epsilon.String()})
			}
			row("account", total)
			for _, s := range a.Jobs {
				row("job", s)
			}
			for _, s := range a.Periods {
				row("month", s)
			}
		}
	}
	w.Flush()
	return w.Error()
}

// cell keeps a name that others chose from being read as a formula by a spreadsheet.
func cell(s string) string {
	if strings.HasPrefix(s, "=") || strings.HasPrefix(s, "+") || strings.HasPrefix(s, "-") || strings.HasPrefix(s, "@") {
		return "'" + s
	}
	return s
}

func refills(n uint32) string {
	if n == 1 {
		return "1 refill"
	}
	return fmt.Sprintf("%d refills", n)
}

func percent(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) }

// String is the finding as a terminal shows it.
func (f Finding) String() string {
	if f.Entry < 0 {
		return fmt.Sprintf("ledger: %s (%s)", f.Text, f.Rule)
	}
	return fmt.Sprintf("entry %d: %s (%s)", f.Entry, f.Text, f.Rule)
}

// sticky keeps the first error of many writes.
type sticky struct {
	w   io.Writer
	err error
}

func (s *sticky) Write(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.w.Write(p)
	s.err = err
	return n, err
}

func (s *sticky) f(format string, args ...any) { fmt.Fprintf(s, format, args...) }

// wrapped breaks a text at spaces.
func wrapped(text string, indent, width int) string {
	var out strings.Builder
	line := 0
	for _, word := range strings.Fields(text) {
		n := len([]rune(word))
		switch {
		case line == 0 && out.Len() == 0:
			out.WriteString(strings.Repeat(" ", indent))
			line = indent
		case line+1+n > width:
			out.WriteString("\n" + strings.Repeat(" ", indent+2))
			line = indent + 2
		default:
			out.WriteByte(' ')
			line++
		}
		out.WriteString(word)
		line += n
	}
	return out.String()
}
