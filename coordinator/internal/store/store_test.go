package store

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tributary/coordinator/internal/ca"
	"tributary/crypto/identity"
	"tributary/protocol/invite"
	"tributary/protocol/ledger"
	"tributary/protocol/wire"
)

func opened(t *testing.T, file string) *Store {
	t.Helper()
	s, err := Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func fresh(t *testing.T) *Store {
	t.Helper()
	return opened(t, filepath.Join(t.TempDir(), "tributary.db"))
}

func update(t *testing.T, s *Store, f func(*Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), "test", f); err != nil {
		t.Fatal(err)
	}
}

func view(t *testing.T, s *Store, f func(*Tx) error) {
	t.Helper()
	if err := s.View(t.Context(), f); err != nil {
		t.Fatal(err)
	}
}

func newKey(t *testing.T) *identity.Key {
	t.Helper()
	k, err := identity.Generate()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func token(name string) Token {
	return Token{TokenRecord: ca.TokenRecord{SecretDigest: ca.SecretDigest([16]byte{1, 2, 3}), Kind: invite.Participant, Name: name, Role: "both",
		ExpiresMs: time.Now().Add(time.Hour).UnixMilli()}, Organisation: "Alpen AG", CreatedMs: 1}
}

func TestDatabaseIsItsOwnersOnly(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tributary.db")
	s := opened(t, file)
	update(t, s, func(tx *Tx) error { return tx.PutUser("anna", 1) })
	files, err := filepath.Glob(file + "*")
	if err != nil || len(files) < 2 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o", filepath.Base(f), info.Mode().Perm())
		}
	}
}

func TestWhatWasCommittedIsThereAfterARestart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tributary.db")
	s := opened(t, file)
	want := token("alpen")
	card := wire.NewCard(newKey(t), "alpen", "Alpen AG")
	update(t, s, func(tx *Tx) error {
		if err := tx.PutToken(want); err != nil {
			return err
		}
		return tx.PutMember(Member{Card: card, Role: wire.RoleBoth, EnrolledMs: 5})
	})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	view(t, opened(t, file), func(tx *Tx) error {
		got, err := tx.Token(want.SecretDigest)
		if err != nil || got != want {
			t.Errorf("token %+v, %v", got, err)
		}
		members, err := tx.Members()
		if err != nil || len(members) != 1 || members[0].Card != card {
			t.Errorf("members %+v, %v", members, err)
		}
		return nil
	})
}

func TestNewerSchemaIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tributary.db")
	s := opened(t, file)
	update(t, s, func(tx *Tx) error { return tx.exec(`PRAGMA user_version = 99`) })
	s.Close()
	if _, err := Open(t.Context(), file); !errors.Is(err, ErrSchema) {
		t.Errorf("%v, want ErrSchema", err)
	}
}

func TestTokenIsUsedOnce(t *testing.T) {
	s := fresh(t)
	k := token("alpen")
	update(t, s, func(tx *Tx) error { return tx.PutToken(k) })
	fault := errors.New("later failure")
	if err := s.Update(t.Context(), "test", func(tx *Tx) error { return errors.Join(tx.UseToken(k.SecretDigest), fault) }); !errors.Is(err, fault) {
		t.Fatal(err)
	}
	update(t, s, func(tx *Tx) error { return tx.UseToken(k.SecretDigest) }) // the failed enrolment didn't use it up
	err := s.Update(t.Context(), "test", func(tx *Tx) error { return tx.UseToken(k.SecretDigest) })
	if !errors.Is(err, ca.ErrTokenUsed) {
		t.Errorf("second use: %v", err)
	}
	view(t, s, func(tx *Tx) error {
		if open, err := tx.OpenTokens(0); err != nil || len(open) != 0 {
			t.Errorf("open tokens %v, %v", open, err)
		}
		if _, err := tx.Token([32]byte{9}); !errors.Is(err, ErrNotFound) {
			t.Errorf("unknown token: %v", err)
		}
		return nil
	})
}

func TestRollbackLeavesStateAndLedgerUnchanged(t *testing.T) {
	s := fresh(t)
	entry := ledger.Entry{Kind: ledger.Enrolment, AtMs: 1, Object: []byte("card")}
	write := func(name string, fault error) error {
		return s.Update(t.Context(), "test", func(tx *Tx) error {
			if err := tx.PutUser(name, 1); err != nil {
				return err
			}
			if _, err := ledger.Append(tx, entry); err != nil {
				return err
			}
			return fault
		})
	}
	head := func() (h ledger.Head, users int) {
		view(t, s, func(tx *Tx) (err error) {
			u, err := tx.Users()
			if err != nil {
				return err
			}
			users = len(u)
			h, err = ledger.CurrentHead(tx)
			return err
		})
		return h, users
	}
	for i := range 5 {
		if err := write(string(rune('a'+i)), nil); err != nil {
			t.Fatal(err)
		}
	}
	before, users := head()
	if before.Size != 5 || users != 5 {
		t.Fatalf("head %d, users %d", before.Size, users)
	}
	fault := errors.New("fault")
	if err := write("z", fault); !errors.Is(err, fault) {
		t.Fatal(err)
	}
	if after, n := head(); after != before || n != users {
		t.Errorf("a rolled back transaction left head %v with %d users, before %v with %d", after, n, before, users)
	}
	if err := write("z", nil); err != nil {
		t.Fatal(err)
	}
	after, _ := head()
	view(t, s, func(tx *Tx) error {
		proof, err := ledger.ProveConsistency(tx, before.Size, after.Size)
		if err != nil {
			return err
		}
		if err := ledger.VerifyConsistency(before, after, proof); err != nil {
			t.Error(err)
		}
		record, err := tx.ReadEntry(5)
		if err != nil {
			return err
		}
		inclusion, err := ledger.ProveInclusion(tx, after.Size, 5)
		if err != nil {
			return err
		}
		if err := ledger.VerifyInclusion(after, 5, record, inclusion); err != nil {
			t.Error(err)
		}
		return nil
	})
	err := s.Update(t.Context(), "test", func(tx *Tx) error { return tx.AppendEntry(3, []byte("again"), nil) })
	if !errors.Is(err, ledger.ErrOutOfRange) {
		t.Errorf("an entry was overwritten: %v", err)
	}
}

func TestMemberKeysAndNamesAreNotTakenOver(t *testing.T) {
	s := fresh(t)
	first, second := newKey(t), newKey(t)
	put := func(k *identity.Key, name string) error {
		return s.Update(t.Context(), "test", func(tx *Tx) error {
			return tx.PutMember(Member{Card: wire.NewCard(k, name, "Org"), Role: wire.RoleData, EnrolledMs: 1})
		})
	}
	certificate := Certificate{Serial: "4a", Kind: "participant", Name: "alpen", Key: first.Public()}
	if err := put(first, "alpen"); err != nil {
		t.Fatal(err)
	}
	update(t, s, func(tx *Tx) error { return tx.PutCertificate(certificate) })
	if err := put(first, "alpen"); err != nil {
		t.Errorf("the same card again: %v", err)
	}
	if err := put(second, "alpen"); !errors.Is(err, ErrConflict) {
		t.Errorf("another key under the name: %v", err)
	}
	if err := put(first, "baltic"); !errors.Is(err, ErrConflict) {
		t.Errorf("the key under another name: %v", err)
	}
	admitted := func() (ok bool) {
		view(t, s, func(tx *Tx) (err error) {
			ok, err = tx.Admitted(certificate)
			return err
		})
		return ok
	}
	if !admitted() {
		t.Error("an issued certificate isn't admitted")
	}
	update(t, s, func(tx *Tx) error {
		_, err := tx.RevokeMember("alpen", 2)
		return err
	})
	if admitted() {
		t.Error("a revoked member's certificate is admitted")
	}
	if err := put(first, "alpen"); !errors.Is(err, ErrConflict) {
		t.Errorf("a revoked key came back: %v", err)
	}
	if err := put(second, "alpen"); err != nil {
		t.Errorf("a new key under a revoked name: %v", err)
	}
}

func TestJobsAreFoundByUniqueStartOrName(t *testing.T) {
	s := fresh(t)
	key := newKey(t)
	c := &wire.Charter{Consortium: "c", Version: 1, Organisation: "o", Coordinator: key.Public(), LogOrigin: "l",
		Members: []wire.CharterMember{{Card: wire.NewCard(newKey(t), "alpen", "Alpen"), Role: wire.RoleBoth}}}
	env := wire.Sign(key, c)
	ids := []wire.Digest{{0xab, 0xcd, 0xef, 1}, {0xab, 0xcd, 0xef, 2}, {0x12, 0x34, 0x56}}
	update(t, s, func(tx *Tx) error {
		if err := tx.PutCharter(c, &env); err != nil {
			return err
		}
		for i, id := range ids {
			j := &Job{ID: id, Name: []string{"churn", "churn", "other"}[i], SubmitToken: string(rune('a' + i)), Charter: c.Digest(), Status: "proposed", SubmittedMs: int64(i),
				Manifest: []byte{1}, Resolved: []byte{1}, Contract: []byte{1}, Spec: []byte{1}}
			if err := tx.PutJob(j, []byte("state")); err != nil {
				return err
			}
		}
		return nil
	})
	if err := s.Update(t.Context(), "test", func(tx *Tx) error { return tx.PutJob(&Job{ID: wire.Digest{7}, SubmitToken: "a"}, nil) }); !errors.Is(err, ErrConflict) {
		t.Errorf("a submit token made two jobs: %v", err)
	}
	view(t, s, func(tx *Tx) error {
		for text, want := range map[string]error{"abcdef01": nil, "ABCDEF02": nil, "other": nil, "123456": nil, "abcdef": ErrAmbiguous, "churn": ErrAmbiguous, "12345": ErrNotFound, "%": ErrNotFound, "": ErrNotFound} {
			if _, err := tx.FindJob(text); !errors.Is(err, want) {
				t.Errorf("%q: %v, want %v", text, err, want)
			}
		}
		page, err := tx.ListJobs(nil, 2)
		if err != nil || len(page) != 2 || page[0].Name != "other" {
			t.Fatalf("%v, %v", page, err)
		}
		rest, err := tx.ListJobs(page[1], 2)
		if err != nil || len(rest) != 1 || rest[0].ID != ids[0] {
			t.Errorf("%v, %v", rest, err)
		}
		return nil
	})
}

func TestReadersCannotWrite(t *testing.T) {
	s := fresh(t)
	if err := s.View(t.Context(), func(tx *Tx) error { return tx.PutUser("eve", 1) }); err == nil {
		t.Error("a View wrote")
	}
}
