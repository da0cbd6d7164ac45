package store

import (
	"errors"
	"path/filepath"
	"testing"

	"tributary/protocol/wire"
)

func TestAccountsAreTheirNewestWordWithAllCharges(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tributary.db")
	s := opened(t, file)
	key := newKey(t)
	m := key.Public()
	first, second, unknown := wire.AccountID(m, "a"), wire.AccountID(m, "b"), wire.AccountID(m, "c")
	c := &wire.Charter{Consortium: "c", Version: 1, Organisation: "o", Coordinator: key.Public(), LogOrigin: "l"}
	charter := wire.Sign(key, c)
	jobs := []wire.Digest{{1}, {2}}
	put := func(tx *Tx, entry int64, o wire.Object) error {
		e := wire.Sign(key, o)
		if g, ok := o.(*wire.Charge); ok {
			return tx.PutCharge(g, &e, entry)
		}
		return tx.PutAccount(o.(*wire.Account), &e, entry)
	}
	update(t, s, func(tx *Tx) error {
		if err := tx.PutCharter(c, &charter); err != nil {
			return err
		}
		for i, id := range jobs {
			j := &Job{ID: id, Name: "j", SubmitToken: string(rune('a' + i)), Charter: c.Digest(), Status: "proposed", Manifest: []byte{1}, Resolved: []byte{1}, Contract: []byte{byte(i)}, Spec: []byte{1}}
			if err := tx.PutJob(j, []byte("state")); err != nil {
				return err
			}
		}
		for i, o := range []wire.Object{
			&wire.Account{Member: m, Account: first, Unit: 1, Order: 20, Budget: 1000},
			&wire.Account{Member: m, Account: second, Unit: 1, Order: 30, Budget: 500},
			&wire.Charge{Job: jobs[0], Ctx: wire.Digest{1}, Member: m, Account: first, Order: 20, Units: 100, Spent: 100},
			&wire.Charge{Job: jobs[0], Ctx: wire.Digest{2}, Member: m, Account: first, Order: 20, Units: 100, Spent: 200},
			&wire.Account{Member: m, Account: first, Unit: 1, Order: 20, Budget: 2000, PrevBudgets: 1000, Refills: 1},
			&wire.Charge{Job: jobs[1], Ctx: wire.Digest{3}, Member: m, Account: second, Order: 30, Units: 7, Spent: 7},
		} {
			if err := put(tx, int64(i), o); err != nil {
				return err
			}
		}
		return nil
	})
	again := &wire.Charge{Job: jobs[0], Ctx: wire.Digest{2}, Member: m, Account: second, Order: 30, Units: 1, Spent: 8}
	if err := s.Update(t.Context(), "test", func(tx *Tx) error { return put(tx, 9, again) }); err == nil {
		t.Error("a member was charged twice for one round")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = opened(t, file)
	view(t, s, func(tx *Tx) error {
		a, err := tx.Account(first)
		if err != nil || a.Budget != 2000 || a.Refills != 1 || a.Spent != 200 || a.Charges != 2 || a.Entry != 4 {
			t.Errorf("%+v, %v", a, err)
		}
		if _, err := tx.Account(unknown); !errors.Is(err, ErrNotFound) {
			t.Errorf("an unknown account: %v", err)
		}
		own, err := tx.AccountsOf(m)
		if err != nil || len(own) != 2 || own[0].Account.Account != first || own[1].Spent != 7 {
			t.Errorf("%+v, %v", own, err)
		}
		if none, err := tx.AccountsOf(wire.Member{9}); err != nil || len(none) != 0 {
			t.Errorf("%+v, %v", none, err)
		}
		paid, err := tx.PaidBy(m)
		if err != nil || len(paid) != 2 || paid[0].Account != second || paid[1].Account != first || paid[1].Contract[0] != 0 {
			t.Errorf("%+v, %v", paid, err)
		}
		if from, ok, err := tx.PaidFrom(jobs[1], m); err != nil || !ok || from != second {
			t.Errorf("%x, %t, %v", from, ok, err)
		}
		if _, ok, err := tx.PaidFrom(jobs[1], wire.Member{9}); err != nil || ok {
			t.Errorf("%t, %v", ok, err)
		}
		return nil
	})
}

// TestDatabasesOfTheFirstSchemaAreBroughtUpToDate: what was there before private jobs stays.
func TestDatabasesOfTheFirstSchemaAreBroughtUpToDate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tributary.db")
	s := opened(t, file)
	update(t, s, func(tx *Tx) error {
		if err := tx.PutUser("anna", 1); err != nil {
			return err
		}
		for _, undo := range []string{`DROP TABLE promotions`, `DROP TABLE policies`, `DROP TABLE cosignatures`, `DROP TABLE charges`, `DROP TABLE accounts`, `PRAGMA user_version = 1`} {
			if err := tx.exec(undo); err != nil {
				return err
			}
		}
		return nil
	})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = opened(t, file)
	view(t, s, func(tx *Tx) error {
		users, err := tx.Users()
		if err != nil || len(users) != 1 {
			t.Errorf("%v, %v", users, err)
		}
		_, err = tx.AccountsOf(wire.Member{})
		return err
	})
}
