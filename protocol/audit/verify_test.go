package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"tributary/protocol/ledger"
	"tributary/protocol/wire"
)

func TestHonestLedgerVerifies(t *testing.T) {
	b := story(t, nil).verify()
	for _, f := range b.Findings {
		t.Error(f)
	}
	if s := b.Summary(); !s.Verified || s.Jobs != 3 || s.Sums != 7 || s.Charges != 19 || s.Accounts != 5 {
		t.Errorf("%+v", s)
	}
	if b := Verify(story(t, nil).read(), Options{Coordinator: testKey(100).Public()}); !b.Verified() {
		t.Error("with the right key of the coordinator:", b.Findings)
	}
}

func TestLedgerThatGoesOnFromAnotherLogSaysSo(t *testing.T) {
	b := story(t, map[string]func(wire.Object){
		"charter/1": as(func(o *wire.Charter) { o.Version, o.Prev = 4, wire.Digest{1} }),
		"charter/2": as(func(o *wire.Charter) { o.Version = 5 }),
	}).verify()
	if !b.Verified() || len(b.Notes) != 1 || !strings.Contains(b.Notes[0], "version 4: what happened before is in another log") {
		t.Error(b.Findings, b.Notes)
	}
}

// everything writes whatever can be written of a book: nothing in a bad ledger may stop that.
func everything(t *testing.T, b *Book) {
	t.Helper()
	r := NewReport(b)
	_, err := json.Marshal(r)
	for _, err := range []error{err, r.WriteText(io.Discard), r.WriteCSV(io.Discard), r.WriteHTML(io.Discard)} {
		if err != nil {
			t.Error(err)
		}
	}
	for _, l := range b.Lines() {
		x, err := Explain(b, fmt.Sprint(l.Index))
		if err == nil {
			err = x.WriteText(io.Discard)
		} else if errors.Is(err, ErrNoRelease) {
			err = nil
		}
		if err != nil {
			t.Error(err)
		}
	}
}

// as changes an object of a known type.
func as[T wire.Object](f func(T)) func(wire.Object) { return func(o wire.Object) { f(o.(T)) } }

// TestEveryBrokenRuleIsFoundAndNamed changes the honest story in one way each. Every change is signed by whoever signs such entries:
// only the rules can find it.
func TestEveryBrokenRuleIsFoundAndNamed(t *testing.T) {
	type changes = map[string]func(wire.Object)
	stranger := testKey(66)
	for name, c := range map[string]struct {
		change      changes      // as the ledger is made
		edit        func(*world) // afterwards
		entry, rule string
		text        string
	}{
		"entry signed by another than the coordinator": {edit: func(w *world) { w.rows[w.index("exact/1/release")].key = stranger }, entry: "exact/1/release", rule: RuleSignature, text: "only the coordinator"},
		"entry of another kind than its object":        {edit: func(w *world) { w.rows[w.index("exact/1/release")].kind = ledger.Finish }, entry: "exact/1/release", rule: RuleSignature, text: "a Release where a Finish belongs"},
		"card of a key that isn't held":                {change: changes{"enrol/delta": as(func(o *wire.Enrolment) { o.Card.Proof[0] ^= 1 })}, entry: "enrol/delta", rule: RuleEnrolment, text: "doesn't prove"},
		"member enrolled with the coordinator's key":   {change: changes{"enrol/delta": as(func(o *wire.Enrolment) { o.Card = wire.NewCard(testKey(100), "hub", "Hub") })}, entry: "enrol/delta", rule: RuleEnrolment, text: "coordinator's key"},
		"charter before an enrolment":                  {edit: func(w *world) { w.move("enrol/delta", "exact") }, entry: "charter/1", rule: RuleEnrolment, text: "lists delta, who wasn't enrolled before"},
		"charter with another role than enrolled":      {change: changes{"enrol/delta": as(func(o *wire.Enrolment) { o.Role = wire.RoleData })}, entry: "charter/1", rule: RuleEnrolment, text: "delta AG as both, the enrolment says"},
		"charter that skips a version":                 {change: changes{"charter/2": as(func(o *wire.Charter) { o.Version = 3 })}, entry: "charter/2", rule: RuleCharter, text: "version 3 doesn't follow 1"},
		"charter that names another as previous":       {change: changes{"charter/2": as(func(o *wire.Charter) { o.Prev[0] ^= 1 })}, entry: "charter/2", rule: RuleCharter, text: "doesn't name the accepted version 1"},
		"charter of another consortium":                {change: changes{"charter/2": as(func(o *wire.Charter) { o.Consortium = "banks" })}, entry: "charter/2", rule: RuleCharter, text: "became"},
		"charter for another log":                      {change: changes{"charter/2": as(func(o *wire.Charter) { o.LogOrigin = "shops/other" })}, entry: "charter/2", rule: RuleCharter, text: "is for the log"},
		"charter with the hub's own members":           {change: changes{"charter/2": as(func(o *wire.Charter) { o.F = 0; o.Organisation = "alpen AG" })}, entry: "charter/2", rule: RuleCharter, text: "coordinator's own organisation"},
		"revocation of a stranger":                     {change: changes{"revoke/edel": as(func(o *wire.Revocation) { o.Member = stranger.Public() })}, entry: "revoke/edel", rule: RuleEnrolment, text: "never enrolled"},

		"job under an unknown charter":        {change: changes{"private": as(func(o *wire.Manifest) { o.CharterDigest[0] ^= 1 })}, entry: "private", rule: RuleManifest, text: "isn't in the ledger before it"},
		"job proposed before its charter":     {edit: func(w *world) { w.move("private", "charter/2") }, entry: "private", rule: RuleManifest, text: "isn't in the ledger before it"},
		"job proposed twice":                  {edit: func(w *world) { w.again("private", "twice") }, entry: "twice", rule: RuleTwice, text: "was proposed before"},
		"job with another f":                  {change: changes{"private": as(func(o *wire.Manifest) { o.F = 0 })}, entry: "private", rule: RuleManifest, text: "f is 0, the charter's is 1"},
		"cohort of two":                       {change: changes{"exact": as(func(o *wire.Manifest) { o.Cohort = o.Cohort[:2]; o.NMin = 2 })}, entry: "exact", rule: RuleCohort, text: "a cohort of 2, at least 3"},
		"cohort with a stranger":              {change: changes{"private": as(func(o *wire.Manifest) { o.Cohort[4] = wire.Member{0xff} })}, entry: "private", rule: RuleCohort, text: "isn't a member with data"},
		"exact job whose roster may shrink":   {change: changes{"exact": as(func(o *wire.Manifest) { o.NMin = 2 })}, entry: "exact", rule: RuleCohort, text: "an exact job's roster is its cohort"},
		"lowered n_min":                       {change: changes{"private": as(func(o *wire.Manifest) { o.NMin = 2 })}, entry: "private", rule: RuleCohort, text: "n_min is 2, it must be 3 to 5"},
		"quorum too small":                    {change: changes{"private": as(func(o *wire.Manifest) { o.T = 2 })}, entry: "private", rule: RuleCommittee, text: "threshold 2 of 3"},
		"two seats for one":                   {change: changes{"private": as(func(o *wire.Manifest) { o.Committee[1].Member = o.Committee[0].Member })}, entry: "private", rule: RuleCommittee, text: "alpen holds two seats"},
		"seat of a stranger":                  {change: changes{"private": as(func(o *wire.Manifest) { o.Committee[1].Member = stranger.Public() })}, entry: "private", rule: RuleCommittee, text: "may not hold one"},
		"sealed job called noised":            {change: changes{"private": as(func(o *wire.Manifest) { o.Mode = wire.Noised })}, entry: "private", rule: RuleCommittee, text: "a noised job has a committee of 3"},
		"exact job called noised":             {change: changes{"exact": as(func(o *wire.Manifest) { o.Mode, o.Committee, o.T = wire.Noised, nil, 0 })}, entry: "exact", rule: RuleManifest, text: "an exact job isn't sealed"},
		"private job without a unit":          {change: changes{"private": as(func(o *wire.Manifest) { o.Rounds[0].DP.Unit = 4 })}, entry: "private", rule: RuleManifest, text: "protect no known unit"},
		"exact job that names noise":          {change: changes{"exact": as(func(o *wire.Manifest) { o.Rounds[1].DP.H = 1 })}, entry: "exact", rule: RuleManifest, text: "train rounds of an exact job name noise"},
		"private job without noise":           {change: changes{"private": as(func(o *wire.Manifest) { o.Rounds[2].DP = wire.DP{} })}, entry: "private", rule: RuleManifest, text: "evaluate rounds of a private job"},
		"noise of colluders counted":          {change: changes{"private": as(func(o *wire.Manifest) { o.Rounds[1].DP.H = 3 })}, entry: "private", rule: RuleManifest, text: "count the noise of 3 contributors"},
		"noise too small to be a sum's share": {change: changes{"private": as(func(o *wire.Manifest) { o.Rounds[1].DP.Sigma2Local = 9 })}, entry: "private", rule: RuleManifest, text: "σ_i² = 9, at least 16"},

		"approval of an unknown job": {edit: func(w *world) { w.move("private/approve/alpen", "private") }, entry: "private/approve/alpen", rule: RuleApproval, text: "isn't in the ledger before it"},
		"approval by another":        {edit: func(w *world) { w.rows[w.index("private/approve/alpen")].key = w.keys[1] }, entry: "private/approve/alpen", rule: RuleApproval, text: "signed by baltic"},
		"approval by one who has no part": {edit: func(w *world) {
			r := &w.rows[w.index("exact/approve/alpen")]
			r.key, r.o.(*wire.Approval).Member = w.keys[3], w.member(3)
		}, entry: "exact/approve/alpen", rule: RuleApproval, text: "delta approved and has no part"},
		"approval twice":                        {edit: func(w *world) { w.again("private/approve/alpen", "twice"); w.move("twice", "private/1/plan") }, entry: "twice", rule: RuleTwice, text: "alpen approved before"},
		"approval without the seat's key":       {change: changes{"private/approve/alpen": as(func(o *wire.Approval) { o.SeatKey = nil })}, entry: "private/approve/alpen", rule: RuleApproval, text: "a seat without a key"},
		"approval after the first sum":          {edit: func(w *world) { w.move("private/approve/delta", "private/2/abort") }, entry: "private/approve/delta", rule: RuleApproval, text: "after the first round was begun"},
		"exact sum that not all have approved":  {edit: func(w *world) { w.drop("exact/approve/coast") }, entry: "exact/1/release", rule: RuleApproval, text: "missing: [coast]"},
		"private sum that a seat hasn't agreed": {edit: func(w *world) { w.drop("private/approve/coast") }, entry: "private/1/release", rule: RuleApproval, text: "missing: [coast]"},

		"sum that a seat without data hasn't agreed": {change: changes{"private": as(func(o *wire.Manifest) { o.Cohort = slices.Delete(o.Cohort, 2, 3) })}, edit: func(w *world) { w.drop("private/approve/coast") }, entry: "private/1/release", rule: RuleApproval, text: "missing: [coast]"},

		"released twice":                        {edit: func(w *world) { w.again("exact/3/release", "twice"); w.move("twice", "exact/4/release") }, entry: "twice", rule: RuleTwice, text: "round 3 ended before"},
		"round number released in another plan": {change: changes{"exact/3/release": as(func(o *wire.Release) { o.Round = 1 })}, entry: "exact/3/release", rule: RuleTwice, text: "round 1 of job"},
		"aborted and released":                  {change: changes{"exact/3/release": as(func(o *wire.Release) { o.Round = 2 })}, entry: "exact/3/release", rule: RuleTwice, text: "round 2 of job"},
		"rounds backwards":                      {change: changes{"exact/1/release": as(func(o *wire.Release) { o.Round = 9 })}, entry: "exact/3/release", rule: RuleOrder, text: "round 3 after round 9"},
		"step skipped":                          {change: changes{"exact/3/release": as(func(o *wire.Release) { o.Step = 2 })}, entry: "exact/3/release", rule: RuleOrder, text: "step 2, 1 sums"},
		"kinds out of order":                    {change: changes{"exact/3/release": as(func(o *wire.Release) { o.Kind = wire.Evaluate }), "exact/4/release": as(func(o *wire.Release) { o.Kind = wire.Train })}, entry: "exact/4/release", rule: RuleOrder, text: "a sum of kind train after 2 sums, the last of kind evaluate"},
		"more rounds than agreed":               {change: changes{"exact/3/release": as(func(o *wire.Release) { o.Kind = wire.Fit })}, entry: "exact/3/release", rule: RuleOrder, text: "a sum of kind fit more than the 1 agreed"},
		"private round that isn't due":          {change: changes{"private/3/release": as(func(o *wire.Release) { o.Kind = wire.Evaluate })}, entry: "private/3/release", rule: RuleOrder, text: "a sum of kind evaluate after 1 sums"},
		"kind that the job doesn't have":        {change: changes{"exact": as(func(o *wire.Manifest) { o.Rounds = o.Rounds[:2] })}, entry: "exact/4/release", rule: RuleOrder, text: "no such rounds"},
		"release of an unknown job":             {change: changes{"exact/1/release": as(func(o *wire.Release) { o.Job[0] ^= 1 })}, entry: "exact/1/release", rule: RuleOrder, text: "isn't in the ledger before it"},
		"abort of an unknown job":               {change: changes{"exact/2/abort": as(func(o *wire.Abort) { o.Job[0] ^= 1 })}, entry: "exact/2/abort", rule: RuleOrder, text: "isn't in the ledger before it"},
		"end of an unknown job":                 {change: changes{"exact/finish": as(func(o *wire.Finish) { o.Job[0] ^= 1 })}, entry: "exact/finish", rule: RuleFinished, text: "isn't in the ledger before it"},
		"release of another job's context": {edit: func(w *world) {
			w.rows[w.index("private/5/release")].o.(*wire.Release).Ctx = w.rows[w.index("exact/1/release")].o.(*wire.Release).Ctx
		}, entry: "private/5/release", rule: RuleTwice, text: "is of a round of job"},
		"suspect at another's seat":             {change: changes{"exact/1/release": as(func(o *wire.Release) { o.Suspects = []wire.Seat{{Index: 3, Member: testKeyOf(0)}} })}, entry: "exact/1/release", rule: RuleCommittee, text: "who doesn't hold it"},
		"round that charges and is never ended": {edit: func(w *world) { w.drop("private/2/abort") }, entry: "private/3/plan", rule: RuleOrder, text: "begun while round 2 hasn't ended"},
		"one context in two jobs": {edit: func(w *world) {
			w.rows[w.index("second/1/charge/alpen")].o.(*wire.Charge).Ctx = w.rows[w.index("private/1/roster")].o.(*wire.Roster).Ctx
		}, entry: "second/1/charge/alpen", rule: RuleCharge, text: "is of a round of job"},
		"end with another state":      {change: changes{"exact/finish": as(func(o *wire.Finish) { o.State = wire.Digest{8} })}, entry: "exact/finish", rule: RuleOrder, text: "its last sum gave"},
		"private job completed early": {edit: func(w *world) { w.move("private/finish", "private/5/release"); w.drop("private/5/release") }, entry: "private/finish", rule: RuleOrder, text: "completed after 3 sums"},
		"sum after the job's end":     {edit: func(w *world) { w.move("exact/4/release", "charter/2") }, entry: "exact/4/release", rule: RuleFinished, text: "a release of job"},
		"roster after the job's end": {edit: func(w *world) {
			w.move("private/5/roster", "refill/alpen")
			w.move("private/5/release", "refill/alpen")
		}, entry: "private/5/roster", rule: RuleFinished, text: "a roster of job"},
		"abort after the job's end":              {edit: func(w *world) { w.move("exact/2/abort", "charter/2") }, entry: "exact/2/abort", rule: RuleFinished, text: "an abort of job"},
		"approval after the job's end":           {edit: func(w *world) { w.move("second/approve/delta", "second/refusal") }, entry: "second/approve/delta", rule: RuleFinished, text: "an approval of job"},
		"job that ends twice":                    {edit: func(w *world) { w.again("exact/finish", "twice") }, entry: "twice", rule: RuleFinished, text: "a second end"},
		"refusal by one who has no part":         {edit: func(w *world) { r := &w.rows[w.index("second/refusal")]; r.key = w.keys[4] }, entry: "second/refusal", rule: RuleRefusal, text: "edel refused and has no part"},
		"refusal of an unknown job":              {change: changes{"second/refusal": as(func(o *wire.Refusal) { o.Job[0] ^= 1 })}, entry: "second/refusal", rule: RuleRefusal, text: "isn't in the ledger"},
		"roster of nobody's round":               {change: changes{"private/5/roster": as(func(o *wire.Roster) { o.Ctx[0] ^= 1 })}, entry: "private/5/roster", rule: RuleRoster, text: "belongs to no job's round"},
		"roster that isn't the released one":     {change: changes{"private/4/release": as(func(o *wire.Release) { o.Root[0] ^= 1 })}, entry: "private/4/release", rule: RuleRoster, text: "the sum is of roster"},
		"private sum without a roster":           {edit: func(w *world) { w.drop("private/4/roster") }, entry: "private/4/release", rule: RuleRoster, text: "without its roster"},
		"roster after its sum":                   {edit: func(w *world) { w.move("private/4/release", "private/4/roster") }, entry: "private/4/roster", rule: RuleRoster, text: "which ended"},
		"second roster":                          {edit: func(w *world) { w.again("private/4/roster", "twice"); w.move("twice", "private/4/release") }, entry: "twice", rule: RuleTwice, text: "a second roster"},
		"roster below n_min":                     {change: changes{"private/4/roster": as(func(o *wire.Roster) { o.Entries = o.Entries[:2] })}, entry: "private/4/roster", rule: RuleRoster, text: "a roster of 2, n_min is 3"},
		"roster with a stranger":                 {change: changes{"private/4/roster": as(func(o *wire.Roster) { o.Entries = append(o.Entries, wire.RosterEntry{Member: wire.Member{0xff}}) })}, entry: "private/4/roster", rule: RuleRoster, text: "who isn't in the cohort"},
		"roster with one who refused":            {change: changes{"private/4/roster": as(func(o *wire.Roster) { o.Entries[2].Member = testKeyOf(4) })}, entry: "private/4/roster", rule: RuleRoster, text: "edel, who hadn't approved"},
		"roster with one who wasn't charged":     {edit: func(w *world) { w.drop("private/4/charge/baltic") }, entry: "private/4/roster", rule: RuleCharge, text: "baltic, whose account wasn't charged"},
		"charged after the roster":               {edit: func(w *world) { w.move("private/4/charge/baltic", "private/4/release") }, entry: "private/4/roster", rule: RuleCharge, text: "baltic, whose account wasn't charged"},
		"exact roster without one of the cohort": {edit: func(w *world) { w.exactRoster(0, 1) }, entry: "exact/1/roster", rule: RuleRoster, text: "the roster of 2 isn't the exact job's cohort of 3"},

		"account signed by another":             {edit: func(w *world) { w.rows[w.index("account/alpen")].key = w.keys[1] }, entry: "account/alpen", rule: RuleAccount, text: "signed by baltic"},
		"account of one who isn't enrolled":     {edit: func(w *world) { w.move("account/edel", "enrol/edel") }, entry: "account/edel", rule: RuleAccount, text: "never enrolled"},
		"account of another's number":           {change: changes{"account/edel": as(func(o *wire.Account) { o.Account = wire.AccountID(testKeyOf(0), "crm") })}, entry: "account/edel", rule: RuleAccount, text: "belongs to alpen"},
		"account refilled before it is opened":  {edit: func(w *world) { w.drop("account/alpen") }, entry: "refill/alpen", rule: RuleAccount, text: "never opened"},
		"budget above the cap":                  {change: changes{"account/alpen": as(func(o *wire.Account) { o.Budget++ })}, entry: "account/alpen", rule: RuleAccount, text: "its cap gives"},
		"another order than the cap's best":     {change: changes{"account/alpen": as(func(o *wire.Account) { o.Order++ })}, entry: "account/alpen", rule: RuleAccount, text: "the best one for its cap is"},
		"cap that is no cap":                    {change: changes{"account/alpen": as(func(o *wire.Account) { o.DeltaDen = 0 })}, entry: "account/alpen", rule: RuleAccount, text: "the cap of account"},
		"cap that admits no sum":                {change: changes{"account/alpen": as(func(o *wire.Account) { o.EpsDen = 1 << 60 })}, entry: "account/alpen", rule: RuleAccount, text: "admits no sum"},
		"refill at no order":                    {change: changes{"refill/alpen": as(func(o *wire.Account) { o.Order = 1 })}, entry: "refill/alpen", rule: RuleAccount, text: "the budget of account"},
		"refill skipped":                        {change: changes{"refill/alpen": as(func(o *wire.Account) { o.Refills = 2 })}, entry: "refill/alpen", rule: RuleAccount, text: "refill 2 of account"},
		"refill that forgets the budget before": {change: changes{"refill/alpen": as(func(o *wire.Account) { o.PrevBudgets -= 5; o.Budget -= 5 })}, entry: "refill/alpen", rule: RuleAccount, text: "says that its budget was"},
		"refill at another order":               {change: changes{"refill/alpen": as(func(o *wire.Account) { o.Order++ })}, entry: "refill/alpen", rule: RuleAccount, text: "can't change order"},

		"charge signed by another":          {edit: func(w *world) { w.rows[w.index("private/1/charge/alpen")].key = w.keys[1] }, entry: "private/1/charge/alpen", rule: RuleCharge, text: "signed by baltic"},
		"charge of an unknown job":          {change: changes{"private/1/charge/alpen": as(func(o *wire.Charge) { o.Job[0] ^= 1 })}, entry: "private/1/charge/alpen", rule: RuleCharge, text: "isn't in the ledger"},
		"charge of an exact job":            {edit: func(w *world) { w.exactCharge() }, entry: "exact/charge", rule: RuleCharge, text: "a charge for exact job"},
		"charge to no account":              {edit: func(w *world) { w.drop("account/delta") }, entry: "private/1/charge/delta", rule: RuleCharge, text: "which it hasn't opened"},
		"charge to another's account":       {change: changes{"private/1/charge/alpen": as(func(o *wire.Charge) { o.Account = wire.AccountID(testKeyOf(1), "crm") })}, entry: "private/1/charge/alpen", rule: RuleCharge, text: "which it hasn't opened"},
		"charge outside the cohort":         {change: changes{"second": as(func(o *wire.Manifest) { o.Cohort = append(o.Cohort[:0:0], o.Cohort[1:]...) })}, entry: "second/1/charge/alpen", rule: RuleCharge, text: "isn't in the cohort"},
		"charged twice":                     {edit: func(w *world) { w.again("private/4/charge/alpen", "twice"); w.move("twice", "private/4/roster") }, entry: "twice", rule: RuleTwice, text: "alpen was charged for this round before"},
		"charge too small":                  {change: changes{"private/3/charge/coast": as(func(o *wire.Charge) { o.Units--; o.Spent-- })}, entry: "private/3/charge/coast", rule: RuleCharge, text: "costs"},
		"less noise than was charged":       {change: changes{"private": as(func(o *wire.Manifest) { o.Rounds[1].DP.Sigma2Local /= 2 })}, entry: "private/3/charge/coast", rule: RuleCharge, text: "costs"},
		"charge at another order":           {change: changes{"private/3/charge/coast": as(func(o *wire.Charge) { o.Order++ })}, entry: "private/3/charge/coast", rule: RuleCharge, text: "charged at order"},
		"aborted round charged too little":  {change: changes{"private/2/charge/alpen": as(func(o *wire.Charge) { o.Units--; o.Spent-- })}, entry: "private/2/charge/alpen", rule: RuleCharge, text: "costs"},
		"late charge too small":             {change: changes{"second/1/late/charge/coast": as(func(o *wire.Charge) { o.Units--; o.Spent-- })}, entry: "second/1/late/charge/coast", rule: RuleCharge, text: "costs"},
		"charge dropped from the ledger":    {edit: func(w *world) { w.drop("private/2/charge/alpen") }, entry: "private/3/charge/alpen", rule: RuleBudget, text: "a charge is missing"},
		"charge taken back":                 {change: changes{"private/3/charge/alpen": as(func(o *wire.Charge) { o.Spent -= o.Units })}, entry: "private/3/charge/alpen", rule: RuleBudget, text: "was taken back"},
		"account overspent":                 {change: changes{"account/coast": as(func(o *wire.Account) { o.Budget = 1 << 34 })}, entry: "private/3/charge/coast", rule: RuleBudget, text: "has spent"},
		"two accounts for one job":          {edit: func(w *world) { w.otherAccount() }, entry: "private/3/charge/alpen", rule: RuleCharge, text: "its rounds before were charged to"},
		"charge after all of a job's sums":  {edit: func(w *world) { w.chargeAfterAll() }, entry: "after/plan", rule: RuleFinished, text: "a plan of job"},
		"round whose plan is missing":       {edit: func(w *world) { w.drop("private/3/plan") }, entry: "private/3/charge/alpen", rule: RulePlan, text: "wasn't planned before"},
		"plan after what belongs to it":     {edit: func(w *world) { w.move("private/3/plan", "private/3/roster") }, entry: "private/3/plan", rule: RulePlan, text: "which belongs to it"},
		"plan replayed":                     {edit: func(w *world) { w.again("private/3/plan", "twice"); w.move("twice", "private/4/plan") }, entry: "twice", rule: RuleTwice, text: "was planned before"},
		"plan of an unknown job":            {change: changes{"private/3/plan": as(func(o *wire.Plan) { o.Job[0] ^= 1 })}, entry: "private/3/plan", rule: RulePlan, text: "isn't in the ledger"},
		"plan of another step":              {change: changes{"private/3/plan": as(func(o *wire.Plan) { o.Step = 0 })}, entry: "private/3/plan", rule: RulePlan, text: "1 sums of job"},
		"plan of another kind":              {change: changes{"private/3/plan": as(func(o *wire.Plan) { o.Kind = wire.Evaluate })}, entry: "private/3/plan", rule: RulePlan, text: "planned as step 1, evaluate"},
		"plan from a chosen state":          {change: changes{"private/3/plan": as(func(o *wire.Plan) { o.StateDigest[0] ^= 1 })}, entry: "private/3/plan", rule: RulePlan, text: "starts from state"},
		"first plan from a chosen state":    {change: changes{"exact/1/plan": as(func(o *wire.Plan) { o.StateDigest[0] ^= 1 })}, entry: "exact/1/plan", rule: RulePlan, text: "starts from state"},
		"plan after another release":        {change: changes{"private/3/plan": as(func(o *wire.Plan) { o.PrevRelease[0] ^= 1 })}, entry: "private/3/plan", rule: RulePlan, text: "after release"},
		"plan shown with a fork":            {change: changes{"private/3/plan": as(func(o *wire.Plan) { o.LedgerRoot[0] ^= 1 })}, entry: "private/3/plan", rule: RulePlan, text: "shown a fork"},
		"plan of a ledger to come":          {change: changes{"private/3/plan": as(func(o *wire.Plan) { o.LedgerSize = 1 << 40 })}, entry: "private/3/plan", rule: RulePlan, text: "there were"},
		"plan numbered backwards":           {change: changes{"private/1/plan": as(func(o *wire.Plan) { o.Round = 9 })}, entry: "private/2/plan", rule: RuleOrder, text: "planned after round 9"},
		"release that isn't as planned":     {change: changes{"private/3/release": as(func(o *wire.Release) { o.Step = 2 })}, entry: "private/3/release", rule: RulePlan, text: "the plan in entry"},
		"abort that isn't as planned":       {change: changes{"exact/2/abort": as(func(o *wire.Abort) { o.Round = 7 })}, entry: "exact/2/abort", rule: RulePlan, text: "the plan in entry"},
		"plan after the job's end":          {edit: func(w *world) { w.move("exact/4/plan", "charter/2") }, entry: "exact/4/plan", rule: RuleFinished, text: "a plan of job"},
		"round with one more approval":      {edit: func(w *world) { w.drop("private/approve/delta") }, entry: "private/1/charge/alpen", rule: RulePlan, text: "of other approvals"},
		"policy signed by another":          {edit: func(w *world) { w.rows[w.index("policy/alpen")].key = w.keys[1] }, entry: "policy/alpen", rule: RulePolicy, text: "signed by baltic"},
		"policy of a stranger":              {edit: func(w *world) { w.move("policy/alpen", "enrol/alpen") }, entry: "policy/alpen", rule: RulePolicy, text: "never enrolled"},
		"policy version that is missing":    {edit: func(w *world) { w.drop("policy/alpen") }, entry: "policy/alpen/2", rule: RulePolicy, text: "one is missing"},
		"policy that rewrites the last":     {change: changes{"policy/alpen/2": as(func(o *wire.Policy) { o.Prev[0] ^= 1 })}, entry: "policy/alpen/2", rule: RulePolicy, text: "one is missing"},
		"certificate for a stranger":        {change: changes{"certificate/alpen": as(func(o *wire.Certificate) { o.Member = stranger.Public() })}, entry: "certificate/alpen", rule: RuleEnrolment, text: "who isn't enrolled"},
		"certificate for one revoked":       {edit: func(w *world) { w.again("certificate/edel", "late") }, entry: "late", rule: RuleEnrolment, text: "who isn't enrolled"},
		"certificate by another":            {edit: func(w *world) { w.rows[w.index("certificate/alpen")].key = w.keys[1] }, entry: "certificate/alpen", rule: RuleSignature, text: "only the coordinator"},
		"ledger that isn't the coordinator": {edit: func(w *world) { w.hub = stranger }, entry: "", rule: RuleCheckpoint, text: "signed"},
		"ledger without a charter":          {edit: func(w *world) { w.rows = w.rows[:4] }, entry: "", rule: RuleCheckpoint, text: "no charter"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := story(t, c.change)
			if c.edit != nil {
				c.edit(w)
			}
			entry := int64(-1)
			if c.entry != "" {
				entry = int64(w.index(c.entry))
			}
			b := w.verify()
			everything(t, b)
			for _, f := range b.Findings {
				if f.Entry == entry && f.Rule == c.rule && strings.Contains(f.Text, c.text) {
					return
				}
			}
			t.Errorf("want entry %d (%s), rule %s, %q; found:", entry, c.entry, c.rule, c.text)
			for _, f := range b.Findings {
				t.Log(f)
			}
		})
	}
}
