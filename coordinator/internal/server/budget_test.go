package server

import (
	"bytes"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"tributary/protocol/forecast"
	"tributary/protocol/ledger"
	"tributary/protocol/pb"
	"tributary/protocol/wire"
)

// planned brings the first data node to its upload in round 1: charged, nothing sent.
func planned(t *testing.T, s *shops) *node {
	t.Helper()
	for _, n := range s.all() {
		n.turn() // approves
	}
	n := s.data[0]
	n.hold = true
	for n.charge.Kind == 0 {
		n.turn()
	}
	return n
}

func TestUploadWithoutItsExactChargeIsRefused(t *testing.T) {
	s := newShops(t, "2m", 2)
	n := planned(t, s)
	sent, err := wire.ParseEnvelope(n.machine.Record().Upload)
	if err != nil {
		t.Fatal(err)
	}
	refused(t, n.upload(sent, n.sealed, nil), codes.FailedPrecondition, "budget")
	var good wire.Charge
	if err := n.charge.Open(&good); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*wire.Charge)
		want   codes.Code
		code   string
	}{
		"too little":            {func(g *wire.Charge) { g.Units--; g.Spent-- }, codes.FailedPrecondition, "budget"},
		"too much":              {func(g *wire.Charge) { g.Units++; g.Spent++ }, codes.FailedPrecondition, "budget"},
		"another order":         {func(g *wire.Charge) { g.Order++ }, codes.FailedPrecondition, "budget"},
		"another round":         {func(g *wire.Charge) { g.Ctx[0] ^= 1 }, codes.FailedPrecondition, "context"},
		"another job":           {func(g *wire.Charge) { g.Job[0] ^= 1 }, codes.FailedPrecondition, "context"},
		"an unknown account":    {func(g *wire.Charge) { g.Account[0] ^= 1 }, codes.Unavailable, "account-unknown"},
		"another's account":     {func(g *wire.Charge) { g.Account = wire.AccountID(s.data[1].key.Public(), "customers") }, codes.FailedPrecondition, "budget"},
		"another member's name": {func(g *wire.Charge) { g.Member = s.data[1].key.Public() }, codes.FailedPrecondition, "budget"},
		"charges left out":      {func(g *wire.Charge) { g.Spent++ }, codes.Unavailable, "charge-order"},
		"more than the budget":  {func(g *wire.Charge) { g.Spent = 1 << 62 }, codes.Unavailable, "account-order"},
	} {
		t.Run(name, func(t *testing.T) {
			g := good
			c.change(&g)
			refused(t, n.tell(&g), c.want, c.code)
		})
	}
	refused(t, n.upload(sent, n.sealed, nil), codes.FailedPrecondition, "budget")
	for range 2 { // once is enough, twice is the same
		if err := n.give(n.charge); err != nil {
			t.Fatal(err)
		}
	}
	s.restart()
	if err := n.give(n.charge); err != nil {
		t.Fatal(err)
	}
	if err := n.upload(sent, n.sealed, nil); err != nil {
		t.Fatal(err)
	}
	n.hold = false
	runUntil(t, s.all(), s.over)
	if info := s.info(); info.GetStatus() != "completed" || s.entries()[ledger.Charge] != 16 {
		t.Errorf("%s: %s", info.GetStatus(), info.GetReason())
	}
}

func TestLateChargesAreLoggedInTheirOrder(t *testing.T) {
	s := newShops(t, "1h", 2)
	n := planned(t, s)
	first := n.charge
	s.run(n, func() bool { return s.info().GetStep() == 1 })
	for n.charge.Digest() == first.Digest() { // charged for round 2 too
		n.turn()
	}
	refused(t, n.give(n.charge), codes.Unavailable, "charge-order")
	if err := n.give(first); err != nil {
		t.Fatal(err)
	}
	if err := n.give(n.charge); err != nil {
		t.Fatal(err)
	}
	s.run(n, s.over)
	second := n.charge
	for range 2 {
		if err := n.give(second); err != nil {
			t.Fatal(err)
		}
	}
	if info := s.info(); info.GetStatus() != "completed" {
		t.Fatalf("%s: %s", info.GetStatus(), info.GetReason())
	}
	if count := s.entries(); count[ledger.Charge] != 3*4+2 {
		t.Errorf("%d charges", count[ledger.Charge])
	}
}

func TestAccountsAreCheckedAndLoggedOnce(t *testing.T) {
	s := newShops(t, "2m", 2)
	n := s.data[0]
	opening := n.opening("8")
	if err := n.tell(opening); err != nil { // the same once more
		t.Fatal(err)
	}
	units, err := n.account.Cap().BudgetAt(n.account.Order())
	if err != nil {
		t.Fatal(err)
	}
	refill := *opening
	refill.Refills, refill.PrevBudgets, refill.Budget = 1, opening.Budget, opening.Budget+uint64(units)
	second := refill
	second.Refills, second.PrevBudgets, second.Budget = 2, refill.Budget, refill.Budget+uint64(units)
	for name, c := range map[string]struct {
		of     wire.Account
		change func(*wire.Account)
		want   codes.Code
		code   string
	}{
		"another opening":       {*s.data[0].opening("7"), func(*wire.Account) {}, codes.InvalidArgument, "account"},
		"another order":         {*opening, func(a *wire.Account) { a.Account[0] ^= 1; a.Order++ }, codes.InvalidArgument, "account"},
		"a larger budget":       {*opening, func(a *wire.Account) { a.Account[0] ^= 1; a.Budget++ }, codes.InvalidArgument, "account"},
		"no ε":                  {*opening, func(a *wire.Account) { a.Account[0] ^= 1; a.EpsDen = 0 }, codes.InvalidArgument, "account"},
		"opened with a past":    {*opening, func(a *wire.Account) { a.Account[0] ^= 1; a.PrevBudgets, a.Budget = 1, a.Budget+1 }, codes.InvalidArgument, "account"},
		"another member's":      {*opening, func(a *wire.Account) { a.Member = s.data[1].key.Public() }, codes.PermissionDenied, "signer"},
		"another's account":     {refill, func(a *wire.Account) { a.Account = wire.AccountID(s.data[1].key.Public(), "customers") }, codes.PermissionDenied, "account"},
		"a refill left out":     {second, func(*wire.Account) {}, codes.Unavailable, "account-order"},
		"refill of nothing":     {refill, func(a *wire.Account) { a.Account[0] ^= 1 }, codes.Unavailable, "account-order"},
		"refill changes budget": {refill, func(a *wire.Account) { a.PrevBudgets++; a.Budget++ }, codes.InvalidArgument, "account"},
	} {
		t.Run(name, func(t *testing.T) {
			a := c.of
			c.change(&a)
			refused(t, n.tell(&a), c.want, c.code)
		})
	}
	for range 2 {
		for _, a := range []*wire.Account{&refill, &second} {
			if err := n.tell(a); err != nil {
				t.Fatal(err)
			}
		}
		s.restart()
	}
	if count := s.entries(); count[ledger.Account] != 4+2 {
		t.Errorf("%d account entries", count[ledger.Account])
	}
	if _, err := s.operator.Revoke(t.Context(), &pb.RevokeRequest{Kind: "participant", Name: "shop-0"}); err != nil {
		t.Fatal(err)
	}
	again := *opening
	again.Account[0] ^= 1
	refused(t, n.tell(&again), codes.Unauthenticated, "revoked")
}

func TestForecastComparesTheJobWithWhatTheAccountsHaveLeft(t *testing.T) {
	s := newShops(t, "2m", 2)
	ask := func() *forecast.Forecast {
		t.Helper()
		reply, err := s.operator.ForecastJob(t.Context(), &pb.JobRequest{SpecYaml: privateSpec("2m", 2), ContractYaml: []byte(contractYAML)})
		if err != nil || len(reply.GetProblems()) > 0 {
			t.Fatalf("%v, %v", reply.GetProblems(), err)
		}
		f, err := forecast.Parse(reply.GetForecastJson())
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	before := ask()
	if len(before.Accounts) != 4 || len(before.Unknown) != 0 || before.Sums != 4 {
		t.Fatalf("%+v", before)
	}
	runUntil(t, s.all(), s.over)
	after := ask()
	for i, a := range after.Accounts {
		b := before.Accounts[i]
		if !b.Affords || b.Left != b.Budget || a.Left != b.Left-b.Total || uint64(a.Left) != uint64(s.data[i].account.Left()) {
			t.Errorf("%s had %d left, the job took %d, now %d; its own account says %d", a.Member, b.Left, b.Total, a.Left, s.data[i].account.Left())
		}
	}
	// A second source: the one that paid under this contract counts.
	other := *s.data[0].opening("1")
	other.Account = wire.AccountID(s.data[0].key.Public(), "suppliers")
	if err := s.data[0].tell(&other); err != nil {
		t.Fatal(err)
	}
	if got := ask().Accounts; len(got) != 4 || got[0].Left != after.Accounts[0].Left {
		t.Errorf("%+v", got)
	}
	// An account that counts rows pays for no job that protects users.
	users := bytes.Replace(privateSpec("2m", 2), []byte("unit: record"), []byte("unit: user"), 1)
	told, err := s.operator.ForecastJob(t.Context(), &pb.JobRequest{SpecYaml: users, ContractYaml: []byte(contractYAML)})
	if err != nil || len(told.GetProblems()) > 0 {
		t.Fatalf("%v, %v", told.GetProblems(), err)
	}
	if f, err := forecast.Parse(told.GetForecastJson()); err != nil || f.Unit != "user" || len(f.Accounts) != 0 || len(f.Unknown) != 4 {
		t.Errorf("%v: %+v", err, f)
	}
	_, err = s.operator.ForecastJob(t.Context(), &pb.JobRequest{SpecYaml: []byte(specYAML[:strings.Index(specYAML, "run:")] + "run: {mode: sealed, committee: {threshold: 3, of: 3}}\n"), ContractYaml: []byte(contractYAML)})
	refused(t, err, codes.InvalidArgument, "exact")
	reply, err := s.operator.ForecastJob(t.Context(), &pb.JobRequest{SpecYaml: privateSpec("1y", 2), ContractYaml: []byte(contractYAML)})
	if err != nil || len(reply.GetProblems()) == 0 || len(reply.GetForecastJson()) != 0 {
		t.Errorf("%v, %v", reply, err)
	}
}

// TestNoChargeOrAccountIsTakenThatWasNotStored: what the store refuses is neither in the ledger nor in memory, and comes again.
func TestNoChargeOrAccountIsTakenThatWasNotStored(t *testing.T) {
	s := newShops(t, "2m", 2)
	n := planned(t, s)
	sent, err := wire.ParseEnvelope(n.machine.Record().Upload)
	if err != nil {
		t.Fatal(err)
	}
	second := *n.opening("2")
	second.Account = wire.AccountID(n.key.Public(), "suppliers")
	for _, table := range []string{"charges", "envelopes", "ledger_entries"} {
		sabotage(t, s.world, `CREATE TRIGGER broken BEFORE INSERT ON `+table+` BEGIN SELECT RAISE(ABORT, 'disk full'); END`)
		refused(t, n.give(n.charge), codes.Internal, "internal")
		refused(t, n.upload(sent, n.sealed, nil), codes.FailedPrecondition, "budget")
		sabotage(t, s.world, `DROP TRIGGER broken`)
	}
	for _, table := range []string{"accounts", "ledger_hashes"} {
		sabotage(t, s.world, `CREATE TRIGGER broken BEFORE INSERT ON `+table+` BEGIN SELECT RAISE(ABORT, 'disk full'); END`)
		refused(t, n.tell(&second), codes.Internal, "internal")
		sabotage(t, s.world, `DROP TRIGGER broken`)
	}
	if count := s.entries(); count[ledger.Charge] != 0 || count[ledger.Account] != 4 {
		t.Errorf("%v", count)
	}
	for _, e := range []error{n.give(n.charge), n.tell(&second), n.upload(sent, n.sealed, nil)} {
		if e != nil {
			t.Fatal(e)
		}
	}
	if count := s.entries(); count[ledger.Charge] != 1 || count[ledger.Account] != 5 {
		t.Errorf("%v", count)
	}
}

// A member's policy is logged once a version, in order; what isn't the next version of its own policy is refused.
func TestPoliciesAreLoggedInTheirOrder(t *testing.T) {
	s := newShops(t, "2m", 2)
	n, other := s.data[0], s.data[1]
	one := &wire.Policy{Member: n.key.Public(), Version: 1, Text: "approve: manual"}
	two := &wire.Policy{Member: n.key.Public(), Version: 2, Prev: one.Digest(), Text: "approve: automatic"}
	refused(t, n.tell(two), codes.Unavailable, "policy-order")
	for range 2 {
		if err := n.tell(one); err != nil {
			t.Fatal(err)
		}
	}
	refused(t, n.tell(&wire.Policy{Member: n.key.Public(), Version: 1, Text: "another first"}), codes.InvalidArgument, "policy")
	refused(t, n.tell(&wire.Policy{Member: n.key.Public(), Version: 2, Prev: wire.Digest{1}, Text: "of another first"}), codes.InvalidArgument, "policy")
	refused(t, n.tell(&wire.Policy{Member: other.key.Public(), Version: 1, Text: "another's"}), codes.PermissionDenied, "signer")
	if err := n.tell(two); err != nil {
		t.Fatal(err)
	}
	s.restart()
	if err := n.tell(two); err != nil {
		t.Fatal(err)
	}
	if count := s.entries(); count[ledger.Policy] != 2 {
		t.Errorf("%d policies", count[ledger.Policy])
	}
	if count := s.entries(); count[ledger.Certificate] != count[ledger.Enrolment] || count[ledger.Certificate] == 0 {
		t.Errorf("%d certificates for %d enrolments", count[ledger.Certificate], count[ledger.Enrolment])
	}
}
