package audit

import (
	"fmt"
	"strings"
	"time"

	"tributary/crypto/dp/accountant"
	"tributary/protocol/ledger"
	"tributary/protocol/wire"
)

// Line is one entry for people.
type Line struct {
	Index  int64     `json:"index"`
	At     time.Time `json:"at"`
	Kind   string    `json:"kind"`
	Signer string    `json:"signer"`
	Job    string    `json:"job,omitempty"` // the first 12 hexadecimal digits
	Text   string    `json:"text"`
}

// String is the line as a terminal shows it.
func (l Line) String() string {
	job := l.Job
	if job == "" {
		job = "-"
	}
	return fmt.Sprintf("%5d  %s  %-10s  %-12s  %-12s  %s", l.Index, stamp(l.At), l.Kind, job, l.Signer, l.Text)
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }

// names are what people call keys.
type names map[wire.Member]string

func (n names) of(m wire.Member) string {
	if name, ok := n[m]; ok {
		return name
	}
	return m.Short()
}

// learn takes the names that an entry gives.
func (n names) learn(o wire.Object) {
	switch o := o.(type) {
	case *wire.Charter:
		n[o.Coordinator] = "coordinator"
		for _, m := range o.Members {
			n[m.Card.Key] = plain(m.Card.Name)
		}
	case *wire.Enrolment:
		n[o.Card.Key] = plain(o.Card.Name)
	}
}

// Reader turns entries into lines, in order: it learns names from the enrolments and charters that it passes.
type Reader struct {
	names names
	next  int64
}

// NewReader starts at the first entry of a ledger.
func NewReader() *Reader { return &Reader{names: names{}} }

// Read describes the next entry. The error says that the entry's object isn't what its kind and signature claim.
func (r *Reader) Read(e ledger.Entry) (Line, error) {
	line, _, _, err := r.read(e)
	if err != nil {
		return line, fmt.Errorf("entry %d (%s): %w", line.Index, line.Kind, err)
	}
	return line, nil
}

func (r *Reader) read(e ledger.Entry) (Line, wire.Object, wire.Member, error) {
	line := Line{Index: r.next, At: time.UnixMilli(int64(e.AtMs)), Kind: e.Kind.String()}
	r.next++
	o, signer, err := open(e)
	if err != nil {
		line.Text = "unreadable"
		return line, nil, signer, err
	}
	r.names.learn(o)
	r.describe(&line, signer, o)
	line.Signer, line.Text = r.names.of(signer), plain(line.Text)
	return line, o, signer, nil
}

func jobKind(k wire.JobKind) string {
	return map[wire.JobKind]string{wire.Exact: "exact", wire.Private: "private"}[k]
}

func jobMode(m wire.Mode) string {
	return map[wire.Mode]string{wire.Sealed: "sealed", wire.Noised: "noised"}[m]
}

func (r *Reader) describe(line *Line, signer wire.Member, o wire.Object) {
	switch o := o.(type) {
	case *wire.Charter:
		var members []string
		for _, m := range o.Members {
			members = append(members, fmt.Sprintf("%s (%s, %s)", m.Card.Name, m.Card.Organisation, m.Role))
		}
		line.Text = fmt.Sprintf("version %d of %q, f = %d, digest %s: %s", o.Version, o.Consortium, o.F, short(o.Digest()), strings.Join(members, ", "))
	case *wire.Policy:
		line.Text = fmt.Sprintf("%s states version %d of its policy: %s", r.names.of(o.Member), o.Version, strings.ReplaceAll(strings.TrimSpace(o.Text), "\n", "; "))
	case *wire.Certificate:
		line.Text = fmt.Sprintf("%s was issued certificate %s until %s, key %s", r.names.of(o.Member), o.Serial, when(o.NotAfterMs), short(o.Key))
	case *wire.Enrolment:
		line.Text = fmt.Sprintf("%s of %s enrolled as %s, key %s", o.Card.Name, o.Card.Organisation, o.Role, o.Card.Key.Short())
	case *wire.Revocation:
		line.Text = fmt.Sprintf("%s revoked: %s", r.names.of(o.Member), o.Reason)
	case *wire.Manifest:
		line.Job = short(o.Digest())
		line.Text = fmt.Sprintf("%s job proposed: cohort of %d, %s, spec %s", jobKind(o.Kind), len(o.Cohort), committeeText(o), short(o.SpecDigest))
	case *wire.Approval:
		line.Job, line.Text = short(o.Job), r.names.of(o.Member)+" approved"
	case *wire.Account:
		line.Text = fmt.Sprintf("%s %s account %s: ε = %s, δ = %s per %s, order %d, budget %s", r.names.of(o.Member),
			map[bool]string{true: "opened", false: "refilled"}[o.Refills == 0], short(o.Account), number(o.EpsNum, o.EpsDen), number(o.DeltaNum, o.DeltaDen), wire.UnitName(o.Unit), o.Order, nats(o.Budget))
	case *wire.Charge:
		line.Job = short(o.Job)
		line.Text = fmt.Sprintf("%s charged account %s with %s, %s spent: round of context %s", r.names.of(o.Member), short(o.Account), nats(o.Units), nats(o.Spent), short(o.Ctx))
	default:
		r.describeRound(line, signer, o)
	}
}

// committeeText says who opens a job's sums.
func committeeText(m *wire.Manifest) string {
	if m.Mode == wire.Noised {
		return "noised, no committee"
	}
	return fmt.Sprintf("committee %d of %d", m.T, len(m.Committee))
}

func (r *Reader) describeRound(line *Line, signer wire.Member, o wire.Object) {
	switch o := o.(type) {
	case *wire.Plan:
		line.Job = short(o.Job)
		line.Text = fmt.Sprintf("round %d (%s, step %d) begun from state %s", o.Round, o.Kind, o.Step, short(o.StateDigest))
	case *wire.Roster:
		var members []string
		for _, e := range o.Entries {
			members = append(members, r.names.of(e.Member))
		}
		line.Text = fmt.Sprintf("roster %s of %d, round of context %s: %s", short(o.Root()), len(o.Entries), short(o.Ctx), strings.Join(members, ", "))
	case *wire.Release:
		line.Job = short(o.Job)
		line.Text = fmt.Sprintf("round %d (%s, step %d): the sum of roster %s was opened, state %s follows", o.Round, o.Kind, o.Step, short(o.Root), short(o.NextState))
		for _, s := range o.Suspects {
			line.Text += fmt.Sprintf("; the reply of seat %d (%s) was corrected: the seat, or a sender's share to it, is wrong", s.Index, r.names.of(s.Member))
		}
	case *wire.Refusal:
		line.Job, line.Text = short(o.Job), fmt.Sprintf("%s refused in %s (%s)", r.names.of(signer), o.Phase, o.Rule)
	case *wire.Abort:
		line.Job, line.Text = short(o.Job), fmt.Sprintf("round %d aborted in %s (%s): %s", o.Round, o.Phase, o.Code, o.Reason)
		for _, s := range o.Suspects {
			line.Text += "; suspect " + r.names.of(s)
		}
	case *wire.Finish:
		line.Job, line.Text = short(o.Job), fmt.Sprintf("job %s with state %s", outcome(o.Outcome), short(o.State))
		if o.Reason != "" {
			line.Text += ": " + o.Reason
		}
	}
}

func outcome(o uint8) string {
	return []string{"", "completed", "aborted", "cancelled", "expired"}[o]
}

// nats says RDP units of 2⁻⁴⁰ as people read them.
func nats(units uint64) string { return fmt.Sprintf("%.6f nats", accountant.Units(units).Nats()) }
