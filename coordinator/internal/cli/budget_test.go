package cli

import (
	"bytes"
	"strings"
	"testing"

	"tributary/crypto/identity"
	"tributary/protocol/jobspec"
	"tributary/protocol/ledger"
	"tributary/protocol/pb"
	"tributary/protocol/wire"
)

func TestBudgetsAreWhatTheLedgerShows(t *testing.T) {
	key, err := identity.Generate()
	if err != nil {
		t.Fatal(err)
	}
	m := key.Public()
	card := wire.NewCard(key, "alpen", "Alpen")
	first, second := wire.AccountID(m, "customers"), wire.AccountID(m, "others")
	x := &ledger.Export{}
	coordinator, err := identity.Generate()
	if err != nil {
		t.Fatal(err)
	}
	add := func(kind ledger.Kind, o wire.Object) {
		signer := key
		if kind == ledger.Enrolment {
			signer = coordinator
		}
		e := wire.Sign(signer, o)
		x.Entries = append(x.Entries, ledger.Entry{Kind: kind, AtMs: uint64(len(x.Entries) + 1), Object: e.Bytes()})
	}
	add(ledger.Enrolment, &wire.Enrolment{Card: card, Role: wire.RoleData})
	add(ledger.Account, &wire.Account{Member: m, Account: first, Unit: 1, EpsNum: 1, EpsDen: 1, DeltaNum: 1, DeltaDen: 100000, Order: 20, Budget: 1000})
	add(ledger.Account, &wire.Account{Member: m, Account: second, Unit: 1, EpsNum: 1, EpsDen: 2, DeltaNum: 1, DeltaDen: 100000, Order: 40, Budget: 500})
	add(ledger.Charge, &wire.Charge{Member: m, Account: first, Order: 20, Units: 100, Spent: 100})
	add(ledger.Charge, &wire.Charge{Member: m, Account: first, Order: 20, Units: 150, Spent: 250})
	add(ledger.Account, &wire.Account{Member: m, Account: first, Unit: 1, EpsNum: 3, EpsDen: 1, DeltaNum: 1, DeltaDen: 100000, Order: 20, Budget: 2000, PrevBudgets: 1000, Refills: 1})
	got, err := budgets(x)
	if err != nil || len(got) != 2 {
		t.Fatalf("%v, %v", got, err)
	}
	if b := got[0]; b.Member != "alpen" || b.Epsilon != "3" || b.Delta != "1e-05" || b.Budget != 2000 || b.Spent != 250 || b.Left != 1750 || b.Used != 12.5 || b.Refills != 1 || b.Charges != 2 || b.Changed != stamp(6) {
		t.Errorf("%+v", b)
	}
	if b := got[1]; b.Epsilon != "0.5" || b.Left != 500 || b.Charges != 0 {
		t.Errorf("%+v", b)
	}
	names := nameBook{}
	for i, want := range []string{"", "opened account", "", "", "account ", "refill 1 of account"} {
		if text := names.read(x.Entries[i]); !strings.Contains(text.Detail, want) {
			t.Errorf("entry %d: %+v, want %q", i, text, want)
		}
	}
	x.Entries = x.Entries[3:4]
	if _, err := budgets(x); err == nil || !strings.Contains(err.Error(), "isn't in the ledger") {
		t.Errorf("a charge to an unknown account: %v", err)
	}
}

func TestValidatedPrivateJobsTellTheirCost(t *testing.T) {
	c, problems := jobspec.ParseContract([]byte("version: 1\nname: shop\nrevision: 1\nkey: id\nmax_rows: 100000\nlabel: {column: y, positive: \"1\", negative: \"0\"}\ncolumns:\n  age: {type: number, min: 0, max: 100}\n"))
	if problems != nil {
		t.Fatal(problems)
	}
	s, problems := jobspec.ParseSpec([]byte("version: 1\nname: j\ncontract: shop@1\nfeatures:\n  - {columns: [age], transform: scale}\nmodel: {type: logistic_regression, max_rounds: 3}\n" +
		"privacy: {unit: record, epsilon: \"1.0\", delta: \"1e-5\"}\nrun: {mode: sealed}\n"))
	if problems != nil {
		t.Fatal(problems)
	}
	r, problems := jobspec.Resolve(s, c, jobspec.Options{F: 1, Members: []string{"a", "b", "c", "d"}, Seats: 4})
	if problems != nil {
		t.Fatal(problems)
	}
	line, err := costLine(r)
	if err != nil || !strings.Contains(line, "at δ = 1e-5 in 4 sums over 3 or more of 4 participants") {
		t.Errorf("%q, %v", line, err)
	}
	var b bytes.Buffer
	a := &app{Streams: Streams{Out: &b}}
	if err := a.showJob(&pb.JobInfo{Job: []byte{1, 2, 3, 4, 5, 6}, Name: "j", Status: "running", Private: true, Cohort: 4, NMin: 3, Roster: 3, ResolvedJson: r.Canonical(),
		Members: []*pb.MemberProgress{{Name: "d", Data: true, Note: "dropped out (budget)"}}}, nil, defaultThreshold); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"3 of 4 contributed to the last sum, at least 3 do", "ε = 1.0, δ = 1e-5 for each record; counts and metrics are noisy", "dropped out (budget)"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "objective") {
		t.Errorf("an objective that nobody knows:\n%s", b.String())
	}
}
