package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tributary/crypto/dp"
	"tributary/crypto/dp/accountant"
	"tributary/crypto/identity"
	"tributary/crypto/secagg"
	"tributary/participant/internal/store"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

// charged stores a private job with two charges of a source.
func charged(t *testing.T, config string) {
	t.Helper()
	s, err := store.Open(filepath.Join(filepath.Dir(config), "state"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	key, err := identity.Load(filepath.Join(s.Dir(), store.IdentityFile))
	if err != nil {
		t.Fatal(err)
	}
	id := wire.Digest{0xab, 0xcd, 0xef}
	if err := s.AddJob(&store.Job{Job: id, Name: "churn", Status: store.Pending, Bundle: []byte{1}, Source: "customers", Seen: time.Now(), Expires: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		sum := accountant.Sum{Sensitivity2: 1 << 20, Sigma2: dp.Integer(1 << 24), Rate: dp.Integer(1)}
		p := round.Persist{Record: round.Record{Stage: round.StageUploaded}, Sealed: &secagg.Upload{Payload: []byte{1}, Shares: [][]byte{{1}}}, Charge: &sum}
		if err := s.Persist(id, p, &store.Payer{Key: key, Source: "customers", Ctx: wire.Digest{byte(i + 1)}}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOperatorOpensAndReadsAnAccount(t *testing.T) {
	config := folder(t, "alpen")
	run(t, config, "budget", "show").expect(t, exitOK, "No privacy accounts", "budget open SOURCE")
	run(t, config, "budget", "open", "customers").expect(t, exitUsage, "--epsilon is missing")
	run(t, config, "budget", "open", "customers", "--epsilon", "ten", "--delta", "1e-5").expect(t, exitUsage, `--epsilon "ten" is not a positive decimal`)
	run(t, config, "budget", "open", "customers", "--epsilon", "10", "--delta", "1").expect(t, exitUsage, "outside (0, 1)", "hint: write δ")
	run(t, config, "budget", "open", "orders", "--epsilon", "10", "--delta", "1e-5").expect(t, exitUsage, `binds no source "orders"`, "customers")
	run(t, config, "budget", "refill", "customers", "--epsilon", "10").expect(t, exitUsage, "no privacy account", "budget open")
	run(t, config, "budget", "open", "customers", "--epsilon", "10.0", "--delta", "1e-5").expect(t, exitOK,
		"Source customers: unit record, δ = 1/100000, order ", "opened", "by ε = 10:", "not yet in the ledger", "lifetime", "ε ≤ 10", "What this means", "before its first byte leaves", "Exact jobs are refused on this source")
	run(t, config, "budget", "open", "customers", "--epsilon", "20", "--delta", "1e-5").expect(t, exitRefused, "has a privacy account", "hint: an account stays for ever")
	charged(t, config)
	run(t, config, "budget", "show").expect(t, exitOK, "job abcdef000000  churn", "in 2 rounds, 2 not yet in the ledger")
	var shown struct{ Accounts []accountView }
	if err := json.Unmarshal([]byte(run(t, config, "budget", "show", "--output", "json").out), &shown); err != nil || len(shown.Accounts) != 1 {
		t.Fatalf("%v, %v", shown, err)
	}
	v := shown.Accounts[0]
	want, err := accountant.NewAccount(accountant.Cap{Epsilon: dp.Integer(10), Delta: must(dp.NewRational(1, 100_000))})
	if err != nil {
		t.Fatal(err)
	}
	if v.Order != uint32(want.Order()) || v.Lifetime.Units != uint64(want.Budget()) || v.Spent.Units+v.Left.Units != v.Lifetime.Units || v.Spent.Units != v.Jobs[0].Units || v.Jobs[0].Charges != 2 {
		t.Errorf("%+v", v)
	}
	if e := v.Lifetime.Epsilon; e < 9.999 || e > 10.001 || v.Spent.Epsilon <= 0 || v.Spent.Epsilon+v.Left.Epsilon < 9.999 {
		t.Errorf("ε %g over the lifetime, %g spent, %g left", e, v.Spent.Epsilon, v.Left.Epsilon)
	}
	if v.Openings[0].Epsilon != "10" || v.Openings[0].Delta != "1/100000" || len(v.Account) != 64 {
		t.Errorf("%+v", v)
	}
}

func must(r dp.Rational, err error) dp.Rational {
	if err != nil {
		panic(err)
	}
	return r
}

func TestRefillIsAnExplicitActAndForgetsNothing(t *testing.T) {
	config := folder(t, "alpen")
	run(t, config, "budget", "open", "customers", "--epsilon", "10", "--delta", "1e-5").expect(t, exitOK)
	charged(t, config)
	run(t, config, "budget", "refill", "customers", "--epsilon", "8").expect(t, exitUsage, "weakens the promise", "hint: give --yes")
	run(t, config, "budget", "refill", "customers", "--epsilon", "0.5", "--yes").expect(t, exitUsage, "admits nothing at order", "hint: give an ε above")
	run(t, config, "budget", "refill", "customers", "--epsilon", "8", "--yes").expect(t, exitOK, "by ε = 10:", "refilled", "by ε = 8:", "lifetime", "What is spent stays spent")
	var shown struct{ Accounts []accountView }
	if err := json.Unmarshal([]byte(run(t, config, "budget", "show", "--output", "json").out), &shown); err != nil {
		t.Fatal(err)
	}
	v := shown.Accounts[0]
	if len(v.Openings) != 2 || v.Lifetime.Units != v.Openings[0].Units+v.Openings[1].Units || v.Spent.Units == 0 || v.Lifetime.Epsilon <= 10 {
		t.Errorf("%+v", v)
	}
}

func TestOneFileHasOneAccount(t *testing.T) {
	config := folder(t, "alpen")
	text, _ := os.ReadFile(config)
	more := "  - {contract: other@1, id: again, source: {csv: ./customers.csv}}\n"
	if err := os.WriteFile(config, append(text, more...), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, config, "budget", "open", "customers", "--epsilon", "10", "--delta", "1e-5").expect(t, exitOK)
	run(t, config, "budget", "open", "again", "--epsilon", "10", "--delta", "1e-5").expect(t, exitRefused, "has a privacy account: customers")
}

// A recommender's source gets no account that its jobs can't use, for it would stay for ever.
func TestRecommendersSourcesProtectUsers(t *testing.T) {
	config := folder(t, "alpen")
	dir := filepath.Dir(config)
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text, _ := os.ReadFile(config)
	text = bytes.Replace(text, []byte("policy: {"), []byte("policy: {privacy: [private], "), 1)
	write(filepath.Base(config), string(text)+"  - {contract: purchases@1, id: bought, source: {csv: ./purchases.csv}}\n")
	run(t, config, "check").expect(t, exitUsage, "purchases.yaml: no such file", "contract_file: FILE")
	write("purchases.yaml", purchasesYAML)
	write("purchases.csv", "customer,article\nc1,a1\n")
	run(t, config, "check").expect(t, exitUnauthorised, "budget open bought --epsilon E --delta D --unit user`", "budget open customers --epsilon E --delta D`")
	run(t, config, "budget", "open", "bought", "--epsilon", "10", "--delta", "1e-5").expect(t, exitUsage, "has no label", "add --unit user")
	run(t, config, "budget", "open", "bought", "--epsilon", "10", "--delta", "1e-5", "--unit", "user").expect(t, exitOK, "unit user")
	run(t, config, "budget", "open", "customers", "--epsilon", "10", "--delta", "1e-5").expect(t, exitOK, "unit record")
}

func TestCheckShowsAccounts(t *testing.T) {
	f, config := newFake(t), folder(t, "alpen")
	run(t, config, "enroll", "--token", encode(t, f.token("alpen"))).expect(t, exitOK)
	text, _ := os.ReadFile(config)
	if err := os.WriteFile(config, []byte(strings.Replace(string(text), "policy: {", "policy: {privacy: [private], ", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, config, "check").expect(t, exitOK, "Privacy account of customers: none", "budget open customers", "privacy [private]")
	run(t, config, "budget", "open", "customers", "--epsilon", "3", "--delta", "1e-6").expect(t, exitOK, "(in the ledger)")
	run(t, config, "budget", "refill", "customers", "--epsilon", "3", "--yes").expect(t, exitOK)
	if len(f.accounts) != 2 || f.accounts[1].Refills != 1 || f.accounts[1].PrevBudgets != f.accounts[0].Budget {
		t.Errorf("the coordinator was told %+v", f.accounts)
	}
	run(t, config, "check").expect(t, exitOK, "Privacy account of customers: ε ", "left at δ = 1/1000000")
	var v checkView
	if err := json.Unmarshal([]byte(run(t, config, "check", "--output", "json").out), &v); err != nil || len(v.Accounts) != 1 || v.Accounts[0].Source != "customers" {
		t.Errorf("%+v, %v", v.Accounts, err)
	}
}
