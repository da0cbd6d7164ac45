package store

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"tributary/crypto/dp"
	"tributary/crypto/dp/accountant"
	"tributary/crypto/identity"
	"tributary/crypto/secagg"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

func limit(t *testing.T, epsilon, delta string) accountant.Cap {
	t.Helper()
	e, err1 := dp.ParseRational(epsilon)
	d, err2 := dp.ParseRational(delta)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return accountant.Cap{Epsilon: e, Delta: d}
}

// sumOf is a sum that costs an account a share of its budget, and one unit in a few more.
func sumOf(t *testing.T, a *Account, share float64) accountant.Sum {
	t.Helper()
	const sensitivity2 = 1 << 20
	sigma2 := float64(a.Order) * sensitivity2 / (2 * a.Budget().Nats() * share)
	return accountant.Sum{Sensitivity2: sensitivity2, Sigma2: dp.Integer(uint64(math.Ceil(sigma2)) + 1), Rate: dp.Integer(1)}
}

// accountWorld is a store with an account of source customers and n approved private jobs.
func accountWorld(t *testing.T, n int) (*Store, *identity.Key, *Account) {
	t.Helper()
	s, key := open(t), mustKey(t)
	a, err := s.OpenAccount(key, "customers", nil, wire.UnitRecord, limit(t, "10", "1e-5"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		j := &Job{Job: wire.Digest{byte(i + 1)}, Name: fmt.Sprintf("job-%d", i+1), Status: Pending, Bundle: []byte{1}, Source: "customers", Seen: time.Now(), Expires: time.Now().Add(time.Hour)}
		if err := errors.Join(s.AddJob(j), s.Approve(j.Job, []byte("approval"), nil)); err != nil {
			t.Fatal(err)
		}
	}
	return s, key, a
}

func mustKey(t *testing.T) *identity.Key {
	t.Helper()
	key, err := identity.Generate()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func uploaded(sum accountant.Sum) round.Persist {
	return round.Persist{Record: round.Record{Round: 1, Stage: round.StageUploaded}, Sealed: &secagg.Upload{Payload: []byte{1}, Shares: [][]byte{{2}}}, Charge: &sum}
}

func TestAccountIsOpenedOnceAtTheBestOrder(t *testing.T) {
	s, key, a := accountWorld(t, 0)
	best, _ := accountant.NewAccount(limit(t, "10", "1e-5"))
	if a.Order != best.Order() || a.Budget() != best.Budget() || a.Spent != 0 || a.Delta() != best.Cap().Delta {
		t.Errorf("%+v, want order %d and budget %d", a, best.Order(), best.Budget())
	}
	if got, err := s.Account("customers"); err != nil || !reflect.DeepEqual(got, a) {
		t.Errorf("read back %+v, %v", got, err)
	}
	var o wire.Account
	e, err := wire.ParseEnvelope(a.Openings[0].Envelope)
	if err == nil {
		err = e.Open(&o)
	}
	want := wire.Account{Member: key.Public(), Account: wire.AccountID(key.Public(), "customers"), Unit: wire.UnitRecord, EpsNum: 10, EpsDen: 1, DeltaNum: 1, DeltaDen: 100_000,
		Order: uint32(best.Order()), Budget: uint64(best.Budget())}
	if err != nil || o != want {
		t.Errorf("the signed word is %+v (%v), want %+v", o, err, want)
	}
	if _, err := s.OpenAccount(key, "customers", nil, wire.UnitRecord, limit(t, "20", "1e-5")); !errors.Is(err, ErrAccountExists) {
		t.Errorf("a second one: %v", err)
	}
	if _, err := s.OpenAccount(key, "customers-2", []string{"customers", "customers-2"}, wire.UnitRecord, limit(t, "20", "1e-5")); !errors.Is(err, ErrAccountExists) {
		t.Errorf("a second one for the same file: %v", err)
	}
	if _, err := s.OpenAccount(key, "orders", nil, wire.UnitRecord, limit(t, "0.0000001", "1e-15")); !errors.Is(err, accountant.ErrCap) {
		t.Errorf("a cap that admits nothing: %v", err)
	}
	if _, err := s.Account("orders"); !errors.Is(err, ErrNoAccount) {
		t.Errorf("%v", err)
	}
}

func TestChargeIsStoredWithTheUploadOrNotAtAll(t *testing.T) {
	s, key, a := accountWorld(t, 1)
	job, by := wire.Digest{1}, &Payer{Key: key, Source: "customers", Ctx: wire.Digest{7}}
	p := uploaded(sumOf(t, a, 0.6))
	if err := s.Persist(job, p, nil); err == nil {
		t.Error("an upload was stored without its payer")
	}
	if err := s.Persist(job, round.Persist{}, by); err == nil {
		t.Error("a payer without a charge")
	}
	if err := s.Persist(job, p, by); err != nil {
		t.Fatal(err)
	}
	c, err := s.ChargeOf(wire.Digest{7})
	if err != nil || c.Job != job || c.Name != "job-1" || c.Spent != c.Units || c.Acknowledged {
		t.Fatalf("%+v, %v", c, err)
	}
	var g wire.Charge
	e, _ := wire.ParseEnvelope(c.Envelope)
	if err := e.Open(&g); err != nil || g != (wire.Charge{Job: job, Ctx: wire.Digest{7}, Member: key.Public(), Account: wire.AccountID(key.Public(), "customers"), Order: uint32(a.Order), Units: uint64(c.Units), Spent: uint64(c.Units)}) {
		t.Errorf("%+v, %v", g, err)
	}
	// The same round is never charged again; nor is what can't be paid stored.
	if err := s.Persist(job, p, by); err == nil {
		t.Error("one round was charged twice")
	}
	p.Record.Round, p.Sealed.Payload = 2, []byte{9}
	err = s.Persist(job, p, &Payer{Key: key, Source: "customers", Ctx: wire.Digest{8}})
	if !errors.Is(err, accountant.ErrExhausted) || !strings.Contains(err.Error(), "left of") {
		t.Errorf("%v", err)
	}
	after, err := s.Account("customers")
	if err != nil || after.Spent != c.Units {
		t.Errorf("%+v, %v", after, err)
	}
	if j, err := s.Job(job); err != nil || j.Record.Round != 1 {
		t.Errorf("the record of an upload that wasn't charged was stored: %+v, %v", j.Record, err)
	}
	if sealed, err := s.Sealed(job); err != nil || sealed.Payload[0] != 1 {
		t.Errorf("the upload that wasn't charged was stored: %v, %v", sealed, err)
	}
	if _, err := s.ChargeOf(wire.Digest{8}); !errors.Is(err, ErrNotFound) {
		t.Errorf("%v", err)
	}
}

func TestNothingLowersAnAccount(t *testing.T) {
	s, key, a := accountWorld(t, 1)
	if err := s.Persist(wire.Digest{1}, uploaded(sumOf(t, a, 0.3)), &Payer{key, "customers", wire.Digest{7}}); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		`UPDATE accounts SET spent = 0`, `UPDATE accounts SET spent = spent - 1`, `UPDATE accounts SET rdp_order = 2, spent = spent + 1`, `DELETE FROM accounts`,
		`DELETE FROM openings`, `UPDATE openings SET budget = budget + 1`, `UPDATE openings SET epsilon = '20'`,
		`DELETE FROM charges`, `UPDATE charges SET units = 1`, `UPDATE charges SET spent = 0`, `UPDATE charges SET ctx = zeroblob(32)`} {
		if _, err := s.db.Exec(statement); err == nil {
			t.Errorf("%s was carried out", statement)
		}
	}
	before, _ := s.Account("customers")
	if err := s.End(wire.Digest{1}, Ended, "aborted"); err != nil {
		t.Fatal(err)
	}
	after, err := s.Account("customers")
	if err != nil || after.Spent != before.Spent || after.Spent == 0 {
		t.Errorf("%+v, %v", after, err)
	}
}

func TestDamagedAccountPaysNothing(t *testing.T) {
	for _, damage := range []string{
		`DROP TRIGGER accounts_grow; UPDATE accounts SET spent = 1`,
		`DROP TRIGGER accounts_grow; UPDATE accounts SET rdp_order = 9`,
		`DROP TRIGGER charges_stay; DELETE FROM charges`,
		`DROP TRIGGER openings_fixed; UPDATE openings SET budget = budget * 2`,
		`DROP TRIGGER openings_fixed; UPDATE openings SET epsilon = '1000'`,
		`DROP TRIGGER openings_stay; DELETE FROM openings`} {
		s, key, a := accountWorld(t, 1)
		if err := s.Persist(wire.Digest{1}, uploaded(sumOf(t, a, 0.3)), &Payer{key, "customers", wire.Digest{7}}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.db.Exec(damage); err != nil {
			t.Fatal(damage, err)
		}
		if _, err := s.Account("customers"); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", damage, err)
		}
		if err := s.Persist(wire.Digest{1}, uploaded(sumOf(t, a, 0.3)), &Payer{key, "customers", wire.Digest{8}}); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: paid all the same: %v", damage, err)
		}
	}
}

func TestTwoJobsCantBothTakeTheLastOfAnAccount(t *testing.T) {
	s, key, a := accountWorld(t, 2)
	other, err := Open(s.Dir()) // as another process
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	sum := sumOf(t, a, 0.1)
	c, err := accountant.ChargeFor(sum, a.Order)
	if err != nil {
		t.Fatal(err)
	}
	affordable := int(a.Budget() / c.Units())
	var mu sync.Mutex
	paid, refused := 0, 0
	var wait sync.WaitGroup
	for i := range 2 * affordable {
		wait.Go(func() {
			on := []*Store{s, other}[i%2]
			err := on.Persist(wire.Digest{byte(i%2 + 1)}, uploaded(sum), &Payer{key, "customers", wire.Digest{9, byte(i)}})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				paid++
			case errors.Is(err, accountant.ErrExhausted):
				refused++
			default:
				t.Error(err)
			}
		})
	}
	wait.Wait()
	after, err := other.Account("customers")
	if err != nil || paid != affordable || refused != affordable || after.Spent != accountant.Units(paid)*c.Units() || after.Spent > after.Budget() {
		t.Errorf("%d paid, %d refused, want %d each; %+v, %v", paid, refused, affordable, after, err)
	}
	charges, err := s.Charges("customers")
	if err != nil || len(charges) != paid {
		t.Fatalf("%d charges, %v", len(charges), err)
	}
	for i, one := range charges {
		if one.Spent != accountant.Units(i+1)*c.Units() {
			t.Errorf("charge %d says that %d are spent: the chain has a gap", i+1, one.Spent)
		}
	}
}

func TestRefillAddsABudgetAndForgetsNothing(t *testing.T) {
	s, key, a := accountWorld(t, 1)
	sum := sumOf(t, a, 0.7)
	pay := func(n byte) error {
		return s.Persist(wire.Digest{1}, uploaded(sum), &Payer{key, "customers", wire.Digest{n}})
	}
	if err := pay(1); err != nil {
		t.Fatal(err)
	}
	if err := pay(2); !errors.Is(err, accountant.ErrExhausted) {
		t.Fatal(err)
	}
	if _, err := s.Refill(key, "orders", dp.Integer(1)); !errors.Is(err, ErrNoAccount) {
		t.Errorf("%v", err)
	}
	if _, err := s.Refill(key, "customers", dp.Integer(1)); !errors.Is(err, accountant.ErrCap) || !strings.Contains(err.Error(), "hint: give an ε above") {
		t.Errorf("a refill that admits nothing: %v", err)
	}
	before, _ := s.Account("customers")
	full, err := s.Refill(key, "customers", dp.Integer(8))
	if err != nil {
		t.Fatal(err)
	}
	added, _ := limit(t, "8", "1e-5").BudgetAt(a.Order)
	if full.Order != a.Order || full.Spent != before.Spent || full.Budget() != a.Budget()+added || len(full.Openings) != 2 {
		t.Errorf("%+v", full)
	}
	var o wire.Account
	e, _ := wire.ParseEnvelope(full.Openings[1].Envelope)
	if err := e.Open(&o); err != nil || o.Refills != 1 || o.PrevBudgets != uint64(a.Budget()) || o.Budget != uint64(full.Budget()) || o.EpsNum != 8 {
		t.Errorf("%+v, %v", o, err)
	}
	if err := pay(2); err != nil {
		t.Errorf("after the refill: %v", err)
	}
	if got, err := s.Account("customers"); err != nil || got.Spent != 2*before.Spent {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestWordsAreKeptUntilTheyAreAcknowledged(t *testing.T) {
	s, key, a := accountWorld(t, 1)
	for i := range 2 {
		if err := s.Persist(wire.Digest{1}, uploaded(sumOf(t, a, 0.1)), &Payer{key, "customers", wire.Digest{byte(i + 1)}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Refill(key, "customers", dp.Integer(9)); err != nil {
		t.Fatal(err)
	}
	kinds := func() (out []wire.Type) {
		words, err := s.Words()
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range words {
			e, _ := wire.ParseEnvelope(w.Envelope)
			out = append(out, e.Kind)
		}
		return out
	}
	all := []wire.Type{wire.TypeAccount, wire.TypeAccount, wire.TypeCharge, wire.TypeCharge}
	if got := kinds(); !reflect.DeepEqual(got, all) {
		t.Errorf("%v", got)
	}
	words, _ := s.Words()
	for _, w := range words[:3] {
		if err := s.Acknowledge(w.Envelope); err != nil {
			t.Fatal(err)
		}
	}
	if left, _ := s.Words(); len(left) != 1 || string(left[0].Envelope) != string(words[3].Envelope) {
		t.Errorf("%d words are left", len(left))
	}
	if err := s.Unacknowledge("customers"); err != nil {
		t.Fatal(err)
	}
	if got := kinds(); !reflect.DeepEqual(got, all) {
		t.Errorf("%v", got)
	}
}

func TestAccountAndExactJobExcludeEachOther(t *testing.T) {
	s, key := open(t), mustKey(t)
	id := wire.Digest{1}
	if err := s.AddJob(&Job{Job: id, Name: "exact", Status: Pending, Bundle: []byte{1}, Source: "customers", Seen: time.Now(), Expires: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	use := &Use{Source: "customers", Contract: "shop@1", Name: "exact", Cohort: []wire.Member{{1}}, Same: []string{"customers", "copy"}}
	if _, err := s.OpenAccount(key, "copy", []string{"customers", "copy"}, wire.UnitRecord, limit(t, "1", "1e-5")); err != nil {
		t.Fatal(err) // a job that waits doesn't hinder
	}
	if err := s.Approve(id, []byte("approval"), use); !errors.Is(err, ErrAccountExists) {
		t.Errorf("%v", err)
	}
	use.Source, use.Same = "orders", nil
	if err := s.Approve(id, []byte("approval"), use); err != nil {
		t.Fatal(err)
	}
	if _, err := s.OpenAccount(key, "orders", nil, wire.UnitRecord, limit(t, "1", "1e-5")); !errors.Is(err, ErrExactJob) {
		t.Errorf("%v", err)
	}
	if err := s.End(id, Finished, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := s.OpenAccount(key, "orders", nil, wire.UnitRecord, limit(t, "1", "1e-5")); err != nil {
		t.Errorf("after the job: %v", err)
	}
}
