package audit

import (
	"fmt"
	"slices"
	"time"

	"tributary/crypto/dp/accountant"
	"tributary/protocol/charter"
	"tributary/protocol/ledger"
	"tributary/protocol/wire"
)

// Options of Verify.
type Options struct {
	// Coordinator is the key that must have signed, known from elsewhere. Zero: the key that the first charter names is believed,
	// so compare its phrase with the one that operators accepted.
	Coordinator wire.Member
	// Witnesses is how many members at least must have cosigned the checkpoint.
	Witnesses int
}

// Verify replays the ledger in x. The book says what it shows; what is wrong is in its Findings.
func Verify(x *ledger.Export, o Options) *Book {
	b := &Book{Origin: x.Origin, Head: x.Head, Coordinator: o.Coordinator, names: names{}, charters: map[wire.Digest]*wire.Charter{}, enrolled: map[wire.Member]*wire.Enrolment{}, revoked: map[wire.Member]At{},
		jobs: map[wire.Digest]*Job{}, rounds: map[wire.Digest]*Round{}, accounts: map[wire.Digest]*Account{}, orders: map[accountant.Cap]order{},
		policies: map[wire.Member][]Stated{}, issued: map[wire.Member][]Issued{}, export: x}
	b.checkpoint(x, o)
	reader := &Reader{names: b.names}
	for i, e := range x.Entries {
		at := At{int64(i), e.AtMs}
		if i == 0 {
			b.First = at
		}
		b.Last = at
		line, object, signer, err := reader.read(e)
		b.lines = append(b.lines, line)
		if err != nil {
			b.find(at, RuleSignature, "%v", err)
			continue
		}
		b.entry(at, signer, object)
	}
	b.close()
	b.cosignatures(x, o)
	return b
}

func (b *Book) find(at At, rule, format string, args ...any) {
	b.Findings = append(b.Findings, Finding{at.Entry, rule, plain(fmt.Sprintf(format, args...))})
}

// checkpoint finds out whose log this is and checks the signature over its head.
func (b *Book) checkpoint(x *ledger.Export, o Options) {
	whole, origin := At{Entry: -1}, x.Origin
	for _, e := range x.Entries {
		if e.Kind != ledger.Charter {
			continue
		}
		object, _, err := open(e)
		if c, ok := object.(*wire.Charter); ok && err == nil {
			if b.Coordinator.IsZero() {
				b.Coordinator = c.Coordinator
			} else if c.Coordinator != b.Coordinator {
				b.find(whole, RuleCheckpoint, "the first charter names the coordinator %s, not the one that was asked for, %s", c.Coordinator, b.Coordinator)
			}
			origin = c.LogOrigin
			if c.Version != 1 {
				b.Notes = append(b.Notes, fmt.Sprintf("The first charter here is version %d: what happened before is in another log.", c.Version))
			}
			break
		}
	}
	if b.Coordinator.IsZero() {
		b.find(whole, RuleCheckpoint, "the ledger has no charter, so nothing says whose signature counts; name the coordinator's key with --coordinator")
		return
	}
	own, _ := ledger.SplitCosignatures(x.Checkpoint)
	if head, err := ledger.VerifyCheckpoint(origin, b.Coordinator[:], own); err != nil {
		b.find(whole, RuleCheckpoint, "%v", err)
	} else if head != x.Head {
		b.find(whole, RuleCheckpoint, "entries and checkpoint have different heads")
	}
}

// entry applies the rules to one entry whose signature is valid.
func (b *Book) entry(at At, signer wire.Member, object wire.Object) {
	switch object.(type) {
	case *wire.Approval, *wire.Refusal, *wire.Charge, *wire.Account, *wire.Policy:
	default:
		if !b.Coordinator.IsZero() && signer != b.Coordinator {
			b.find(at, RuleSignature, "signed by %s, only the coordinator %s makes such entries", b.Name(signer), b.Coordinator.Short())
			return
		}
	}
	switch o := object.(type) {
	case *wire.Enrolment:
		b.enrolment(at, o)
	case *wire.Charter:
		b.charter(at, o)
	case *wire.Revocation:
		if b.enrolled[o.Member] == nil {
			b.find(at, RuleEnrolment, "%s is revoked and was never enrolled", b.Name(o.Member))
		}
		b.revoked[o.Member] = at
	case *wire.Manifest:
		b.manifest(at, o)
	case *wire.Approval:
		b.approval(at, signer, o)
	case *wire.Refusal:
		b.refusal(at, signer, o)
	case *wire.Roster:
		b.roster(at, o)
	case *wire.Release:
		b.release(at, o)
	case *wire.Abort:
		b.abort(at, o)
	case *wire.Finish:
		b.finish(at, o)
	case *wire.Account:
		b.account(at, signer, o)
	case *wire.Charge:
		b.charge(at, signer, o)
	case *wire.Plan:
		b.plan(at, o)
	case *wire.Policy:
		b.policy(at, signer, o)
	case *wire.Certificate:
		b.certificate(at, o)
	}
}

// close judges what only the end of the ledger shows.
func (b *Book) close() {
	for _, r := range b.listed {
		if r.Job == nil {
			b.find(r.Listed, RuleRoster, "the roster of context %s belongs to no job's round", short(r.Ctx))
		}
	}
	for _, j := range b.Jobs {
		if j.Finish == nil {
			b.Notes = append(b.Notes, fmt.Sprintf("Job %s hadn't ended when this ledger was exported.", short(j.ID)))
		}
	}
}

func when(ms uint64) string { return stamp(time.UnixMilli(int64(ms))) }

// Summary is a verdict in short.
type Summary struct {
	Verified    bool      `json:"verified"`
	Origin      string    `json:"origin"`
	Consortium  string    `json:"consortium"`
	Entries     int64     `json:"entries"`
	Root        string    `json:"root"`
	Coordinator string    `json:"coordinator"`
	Charter     uint32    `json:"charter"` // the newest version, 0 for none
	Phrase      string    `json:"phrase"`  // of its digest, as operators compared it when they accepted it
	Charters    int       `json:"charters"`
	Jobs        int       `json:"jobs"`
	Sums        int       `json:"sums"`
	Charges     int       `json:"charges"`
	Accounts    int       `json:"accounts"`
	Cosigned    []string  `json:"cosigned"` // members whose cosignatures the checkpoint has
	Silent      []string  `json:"silent"`   // the newest charter's other members
	Findings    []Finding `json:"findings"`
	Notes       []string  `json:"notes"`
}

// Summary says what was verified.
func (b *Book) Summary() Summary {
	s := Summary{Verified: b.Verified(), Origin: plain(b.Origin), Entries: b.Head.Size, Root: hexOf(b.Head.Root[:]), Coordinator: b.Coordinator.String(), Charters: len(b.Charters),
		Jobs: len(b.Jobs), Accounts: len(b.Accounts), Cosigned: b.list(b.Cosigned), Silent: b.list(b.Silent), Findings: append([]Finding{}, b.Findings...), Notes: append([]string{}, b.Notes...)}
	for _, j := range b.Jobs {
		s.Sums += len(j.sums)
	}
	for _, a := range b.Accounts {
		s.Charges += len(a.Charges)
	}
	if n := len(b.Charters); n > 0 {
		newest := b.Charters[n-1]
		s.Consortium, s.Charter, s.Phrase = plain(newest.Consortium), newest.Version, charter.Phrase(newest.Digest())
	}
	return s
}

// String is the summary as a terminal shows it.
func (s Summary) String() string {
	if !s.Verified {
		return fmt.Sprintf("not verified: %d findings in %d entries, root %s", len(s.Findings), s.Entries, s.Root[:16])
	}
	text := fmt.Sprintf("verified: %d entries, root %s, signed by the coordinator %s of %q; %d jobs, %d opened sums, %d charges to %d accounts",
		s.Entries, s.Root[:16], s.Coordinator[:8], s.Consortium, s.Jobs, s.Sums, s.Charges, s.Accounts)
	if s.Charter > 0 {
		text += fmt.Sprintf("\nnewest charter: version %d, phrase %s\n%s", s.Charter, s.Phrase, s.cosigners())
	}
	return text
}

// Lines are the entries as sentences.
func (b *Book) Lines() []Line { return b.lines }

// Signed reports whether the coordinator's signature over the head holds, whatever else was found.
func (b *Book) Signed() bool {
	return !slices.ContainsFunc(b.Findings, func(f Finding) bool { return f.Rule == RuleCheckpoint })
}
