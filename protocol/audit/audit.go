// Package audit reads ledger entries back as sentences for people, checking every signature on the way.
package audit

import (
	"fmt"
	"strings"
	"time"

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
	return fmt.Sprintf("%5d  %s  %-10s  %-12s  %-12s  %s", l.Index, l.At.UTC().Format("2006-01-02 15:04:05"), l.Kind, job, l.Signer, l.Text)
}

// Reader turns entries into lines, in order: it learns names from the enrolments and charters that it passes.
type Reader struct {
	names map[wire.Member]string
	next  int64
}

// NewReader starts at the first entry of a ledger.
func NewReader() *Reader { return &Reader{names: map[wire.Member]string{}} }

func (r *Reader) name(m wire.Member) string {
	if n, ok := r.names[m]; ok {
		return n
	}
	return m.Short()
}

// Read describes the next entry. The error says that the entry's object isn't what its kind and signature claim.
func (r *Reader) Read(e ledger.Entry) (Line, error) {
	line := Line{Index: r.next, At: time.UnixMilli(int64(e.AtMs)), Kind: e.Kind.String()}
	r.next++
	envelope, err := wire.ParseEnvelope(e.Object)
	if err != nil {
		return line, fmt.Errorf("entry %d (%s): %w", line.Index, line.Kind, err)
	}
	if err := r.describe(&line, e.Kind, &envelope); err != nil {
		return line, fmt.Errorf("entry %d (%s): %w", line.Index, line.Kind, err)
	}
	line.Signer = r.name(envelope.Signer)
	return line, nil
}

func short(d wire.Digest) string { return fmt.Sprintf("%x", d[:6]) }

func (r *Reader) describe(line *Line, kind ledger.Kind, e *wire.Envelope) error {
	switch kind {
	case ledger.Charter:
		var c wire.Charter
		if err := e.Open(&c); err != nil {
			return err
		}
		r.names[c.Coordinator] = "coordinator"
		var members []string
		for _, m := range c.Members {
			r.names[m.Card.Key] = m.Card.Name
			members = append(members, fmt.Sprintf("%s (%s, %s)", m.Card.Name, m.Card.Organisation, m.Role))
		}
		line.Text = fmt.Sprintf("version %d of %q, f = %d, digest %s: %s", c.Version, c.Consortium, c.F, short(c.Digest()), strings.Join(members, ", "))
	case ledger.Enrolment:
		var n wire.Enrolment
		if err := e.Open(&n); err != nil {
			return err
		}
		r.names[n.Card.Key] = n.Card.Name
		line.Text = fmt.Sprintf("%s of %s enrolled as %s, key %s", n.Card.Name, n.Card.Organisation, n.Role, n.Card.Key.Short())
	case ledger.Job:
		var m wire.Manifest
		if err := e.Open(&m); err != nil {
			return err
		}
		line.Job = short(m.Digest())
		kind := map[wire.JobKind]string{wire.Exact: "exact", wire.Private: "private"}[m.Kind]
		line.Text = fmt.Sprintf("%s job proposed: cohort of %d, committee %d of %d, spec %s", kind, len(m.Cohort), m.T, len(m.Committee), short(m.SpecDigest))
	case ledger.Approval:
		var a wire.Approval
		if err := e.Open(&a); err != nil {
			return err
		}
		line.Job, line.Text = short(a.Job), r.name(a.Member)+" approved"
	default:
		return r.describeOutcome(line, kind, e)
	}
	return nil
}

func (r *Reader) describeOutcome(line *Line, kind ledger.Kind, e *wire.Envelope) error {
	switch kind {
	case ledger.Release:
		var o wire.Release
		if err := e.Open(&o); err != nil {
			return err
		}
		line.Job = short(o.Job)
		line.Text = fmt.Sprintf("round %d (%s, step %d): the sum of roster %s was opened, state %s follows", o.Round, o.Kind, o.Step, short(o.Root), short(o.NextState))
		for _, s := range o.Suspects {
			line.Text += fmt.Sprintf("; the reply of seat %d (%s) was corrected: the seat, or a sender's share to it, is wrong", s.Index, r.name(s.Member))
		}
	case ledger.Refusal:
		var o wire.Refusal
		if err := e.Open(&o); err != nil {
			return err
		}
		line.Job, line.Text = short(o.Job), fmt.Sprintf("%s refused in %s (%s)", r.name(e.Signer), o.Phase, o.Rule)
	case ledger.Abort:
		var o wire.Abort
		if err := e.Open(&o); err != nil {
			return err
		}
		line.Job, line.Text = short(o.Job), fmt.Sprintf("round %d aborted in %s (%s): %s", o.Round, o.Phase, o.Code, o.Reason)
		for _, s := range o.Suspects {
			line.Text += "; suspect " + r.name(s)
		}
	case ledger.Revocation:
		var o wire.Revocation
		if err := e.Open(&o); err != nil {
			return err
		}
		line.Text = fmt.Sprintf("%s revoked: %s", r.name(o.Member), o.Reason)
	case ledger.Finish:
		var o wire.Finish
		if err := e.Open(&o); err != nil {
			return err
		}
		outcome := []string{"", "completed", "aborted", "cancelled", "expired"}[o.Outcome]
		line.Job, line.Text = short(o.Job), fmt.Sprintf("job %s with state %s", outcome, short(o.State))
		if o.Reason != "" {
			line.Text += ": " + o.Reason
		}
	default:
		return fmt.Errorf("unknown kind %d", kind)
	}
	return nil
}
