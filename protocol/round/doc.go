// Package round is the protocol of protocol/SPEC.md as state machines without I/O: what arrives and the time
// go in, effects come out, in the order in which they must happen. There is no clock, goroutine, file or socket here,
// so every attack of the trust model is played in this package's tests.
//
// Coordinator runs one job at the coordinator; Member runs it at one participant, with data, a seat or both. A member believes
// nothing that it can check: Open… and Verify… functions are what both sides use to check what the other sent.
package round

import (
	"fmt"
	"iter"

	"tributary/protocol/wire"
)

// Rule names what a message broke; refusals carry it (SPEC §9).
type Rule string

// The rules. Letters refer to design §2.
const (
	RuleCharter     Rule = "charter"      // not of the accepted charter
	RuleManifest    Rule = "manifest"     // the job's terms don't hold together
	RuleCohort      Rule = "cohort"       // G3: cohort too small, or not members with data
	RuleCommittee   Rule = "committee"    // G2: seats or threshold
	RuleApprovals   Rule = "approvals"    // the closed job lacks or repeats an approval
	RuleClosed      Rule = "closed-twice" // a second closed form of one manifest
	RuleSignature   Rule = "signature"
	RuleContext     Rule = "context"    // G4: of another job, round or plan
	RulePlan        Rule = "plan"       // G4: lower round, or a second plan for one round
	RuleLedger      Rule = "ledger"     // G6: the head doesn't extend the last one, or lacks the release
	RuleState       Rule = "state"      // G8: not what the last sum gives
	RuleStep        Rule = "step"       // G8: kind or step aren't the state's
	RuleRoster      Rule = "roster"     // G3: not the cohort, too small, or not complete
	RuleOwnEntry    Rule = "own-entry"  // G3: the member's own upload is missing or differs
	RuleRosterTwice Rule = "two-roster" // G4: a second roster for one round
	RuleUpload      Rule = "upload"
	RuleShare       Rule = "share"       // a sealed share that doesn't open or isn't what was signed
	RuleLost        Rule = "lost"        // a crash between encrypting and storing: the step needs a new round
	RuleRows        Rule = "rows"        // G3: the rows changed since approval
	RuleLanes       Rule = "lanes"       // a value beyond its lane
	RuleData        Rule = "data"        // the data can't serve the job
	RuleSingledOut  Rule = "singled-out" // G8: the state singles out single records
	RulePolicy      Rule = "policy"      // the operator said no
	RuleExpired     Rule = "expired"     // the manifest's time is over
	RuleBudget      Rule = "budget"      // G5
)

// Refused is the error of every check in this package: the rule, what was found, and what to do about it.
type Refused struct {
	Rule   Rule
	Reason string
	Hint   string
}

func (r *Refused) Error() string { return fmt.Sprintf("refused (%s): %s", r.Rule, r.Reason) }

func refuse(rule Rule, hint, format string, args ...any) error {
	return &Refused{Rule: rule, Reason: fmt.Sprintf(format, args...), Hint: hint}
}

// Model is the job's pure functions of public values; *optim.Program is one. Kinds are wire.RoundKind's
// numbers, and 4 is "done".
type Model interface {
	// InitialState is state 0.
	InitialState() []byte
	// Inspect tells a state's next kind of round and its step, the number of opened rounds before it.
	Inspect(state []byte) (kind uint8, step uint32, err error)
	// Step is the server step: the state after the opened sum, in Shape's segments.
	Step(state []byte, sum [][]float64) (next []byte, err error)
	// Segments yields, in order, each segment of a kind's sum: name, then length, scale numerator and denominator.
	Segments(kind uint8) iter.Seq2[string, [3]uint64]
	// Limit is how many rounds of a kind may be opened.
	Limit(kind uint8) int
}

// Done is Inspect's kind for a finished state.
const Done = 4

// StateDigest identifies a state.
func StateDigest(state []byte) wire.Digest { return wire.Hash("state", state) }
