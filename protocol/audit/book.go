package audit

import (
	"time"

	"tributary/crypto/dp/accountant"
	"tributary/protocol/ledger"
	"tributary/protocol/wire"
)

// Finding is something that the ledger shows and shouldn't. Entry is -1 where it is about the ledger as a whole.
type Finding struct {
	Entry int64  `json:"entry"`
	Rule  string `json:"rule"`
	Text  string `json:"text"`
}

// The rules that findings name.
const (
	RuleCheckpoint  = "checkpoint"  // the coordinator's signature, the root, or another log
	RuleCosignature = "cosignature" // the members'
	RuleSignature   = "signature"   // an entry isn't what its kind and signature claim, or has the wrong signer
	RuleCharter     = "charter"
	RuleEnrolment   = "enrolment"
	RuleManifest    = "manifest"
	RuleCommittee   = "committee"
	RuleCohort      = "cohort"
	RuleApproval    = "approval"
	RuleOrder       = "order"  // rounds and steps out of order
	RuleTwice       = "twice"  // what may happen once happened again
	RuleRoster      = "roster" // whose contributions a sum is over
	RuleFinished    = "finished"
	RuleRefusal     = "refusal"
	RuleAccount     = "account"
	RuleCharge      = "charge"
	RuleBudget      = "budget"
	RulePlan        = "plan"   // how a round was begun
	RulePolicy      = "policy" // what a member says of its own rules
)

// At is a fact's place in the ledger; Ms is the coordinator's clock, Unix milliseconds.
type At struct {
	Entry int64
	Ms    uint64
}

func (a At) time() time.Time { return time.UnixMilli(int64(a.Ms)).UTC() }

// Book is what a ledger shows, with what is wrong in it.
type Book struct {
	Origin      string
	Head        ledger.Head
	Coordinator wire.Member // zero where nothing names it
	Charters    []*wire.Charter
	Jobs        []*Job
	Accounts    []*Account
	Findings    []Finding
	Notes       []string // what isn't wrong but should be known
	First, Last At

	// Cosigned and Silent are the newest charter's members, the revoked ones left out, by whether they cosigned the checkpoint.
	Cosigned, Silent []wire.Member
	cosignedAt       []uint64 // Unix seconds, of Cosigned

	lines    []Line
	names    names
	charters map[wire.Digest]*wire.Charter
	enrolled map[wire.Member]*wire.Enrolment
	revoked  map[wire.Member]At
	people   []wire.Member // in the order of their first enrolment
	jobs     map[wire.Digest]*Job
	rounds   map[wire.Digest]*Round // by context
	accounts map[wire.Digest]*Account
	listed   []*Round // with a roster, in order
	policies map[wire.Member][]Stated
	issued   map[wire.Member][]Issued
	export   *ledger.Export
	orders   map[accountant.Cap]order
}

// Job is one job.
type Job struct {
	At
	ID        wire.Digest
	Manifest  *wire.Manifest
	Charter   *wire.Charter // nil: unknown
	Approvals map[wire.Member]At
	Refusals  []Refusal
	Rounds    []*Round // in the order in which they are first heard of
	Finish    *wire.Finish
	Finished  At

	sums  []*Round // that were opened, in order
	round uint64   // the highest that ended
	pays  map[wire.Member]wire.Digest

	approvals map[wire.Member]*wire.Approval
	planned   uint64 // the highest round that was begun
}

// Refusal is a member's no.
type Refusal struct {
	At
	Member wire.Member
	*wire.Refusal
}

// Round is one attempt at one sum.
type Round struct {
	Job     *Job // nil while only a roster names the context
	Ctx     wire.Digest
	Number  uint64         // 0 until its end tells
	Step    uint32         // sums opened before it
	Kind    wire.RoundKind // 0: can't be told
	Seen    At
	Plan    *wire.Plan // nil: it isn't in the ledger before what belongs to the round
	Planned At
	Charges []*Charge

	Roster  *wire.Roster
	Listed  At
	Release *wire.Release
	Abort   *wire.Abort
	Ended   At // where Release or Abort is set
}

// Charge is what one contribution to one round cost an account.
type Charge struct {
	At
	*wire.Charge
	Round   *Round
	Account *Account
}

// Account is one privacy account of a member, over all refills.
type Account struct {
	Member  wire.Member
	ID      wire.Digest
	Opened  []Opened // the opening, then each refill
	Charges []*Charge
	spent   uint64
}

// Opened is one opening or refill.
type Opened struct {
	At
	*wire.Account
}

// Stated is one version of a member's policy.
type Stated struct {
	At
	*wire.Policy
}

// Issued is one certificate of a member.
type Issued struct {
	At
	*wire.Certificate
}

// Now is the account's last opening or refill.
func (a *Account) Now() Opened { return a.Opened[len(a.Opened)-1] }

// Spent is what the account has spent in all, in units of 2⁻⁴⁰ at its order, as its owner last signed.
func (a *Account) Spent() uint64 { return a.spent }

// Verified reports whether nothing was found.
func (b *Book) Verified() bool { return len(b.Findings) == 0 }

// Name is what people call a key.
func (b *Book) Name(m wire.Member) string { return b.names.of(m) }

// opened reports whether a charge's round was opened with its member in it.
func (c *Charge) opened() bool {
	if c.Round == nil || c.Round.Release == nil || c.Round.Roster == nil {
		return false
	}
	for _, e := range c.Round.Roster.Entries {
		if e.Member == c.Member {
			return true
		}
	}
	return false
}

// sum is what the opened vector of a kind of round surely carries, from the manifest's integers.
func (j *Job) sum(kind wire.RoundKind) (accountant.Sum, bool) {
	spec, ok := j.Manifest.Round(kind)
	if !ok || j.Manifest.Kind != wire.Private {
		return accountant.Sum{}, false
	}
	return sumOf(spec.DP)
}

// kindAt is the kind of a private job's round after step opened sums: all rounds of each kind, in order, whatever the data.
func (j *Job) kindAt(step uint32) wire.RoundKind {
	if j.Manifest.Kind != wire.Private {
		return 0
	}
	for i := range j.Manifest.Rounds {
		if n := uint32(j.Manifest.Rounds[i].MaxRounds); step < n {
			return j.Manifest.Rounds[i].Kind
		} else {
			step -= n
		}
	}
	return 0
}
