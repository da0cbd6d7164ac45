package store

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"tributary/crypto/identity"
	"tributary/crypto/secagg"
	"tributary/protocol/charter"
	"tributary/protocol/ledger"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

func open(t *testing.T) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestOnlyTheOwnerCanReadTheDataDirectory(t *testing.T) {
	s := open(t)
	if err := s.WriteFile(ChainFile, []byte("x")); err != nil {
		t.Fatal(err)
	}
	key, _ := secagg.GenerateSeatKey()
	if err := s.SeatKeys().Put(wire.Digest{1}, key); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Secret("customers"); err != nil {
		t.Fatal(err)
	}
	unlock, err := s.Lock()
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	seen := 0
	err = filepath.WalkDir(s.Dir(), func(path string, d fs.DirEntry, err error) error {
		info, _ := d.Info()
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if seen++; info.Mode().Perm() != want {
			t.Errorf("%s has mode %04o, want %04o", path, info.Mode().Perm(), want)
		}
		return err
	})
	if err != nil || seen < 6 { // folder, database with WAL and SHM, chain, keys, lock
		t.Errorf("%d files: %v", seen, err)
	}
}

func TestDirectoryThatOthersReadIsRefused(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "something"), nil, 0o600)
	os.Chmod(dir, 0o755)
	if _, err := Open(dir); !errors.Is(err, ErrPermissions) {
		t.Errorf("%v", err)
	}
	os.Chmod(dir, 0o700)
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	file := filepath.Join(t.TempDir(), "file")
	os.WriteFile(file, nil, 0o600)
	if _, err := Open(file); !errors.Is(err, ErrPermissions) {
		t.Errorf("a file as directory: %v", err)
	}
	if _, err := Open(filepath.Join(file, "below")); !errors.Is(err, ErrPermissions) {
		t.Errorf("below a file: %v", err)
	}
}

func TestTwoNodesCantShareADirectory(t *testing.T) {
	s := open(t)
	unlock, err := s.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Lock(); !errors.Is(err, ErrLocked) {
		t.Errorf("%v", err)
	}
	unlock()
	again, err := s.Lock()
	if err != nil {
		t.Fatal(err)
	}
	again()
}

func TestErasedSeatKeyIsNowhere(t *testing.T) {
	s := open(t)
	keys := s.SeatKeys()
	a, _ := secagg.GenerateSeatKey()
	b, _ := secagg.GenerateSeatKey()
	for i, key := range []*secagg.SeatKey{a, b} {
		if err := keys.Put(wire.Digest{byte(i + 1)}, key); err != nil {
			t.Fatal(err)
		}
	}
	if err := keys.Put(wire.Digest{1}, b); err == nil {
		t.Error("a second key for one job was taken")
	}
	// The inode stays readable through an open descriptor: what was in it must be overwritten, not only unlinked.
	old, err := os.Open(filepath.Join(s.Dir(), SeatKeysFile))
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if err := keys.Erase(wire.Digest{1}); err != nil {
		t.Fatal(err)
	}
	before := make([]byte, 4096)
	n, _ := old.ReadAt(before, 0)
	now, _ := os.ReadFile(filepath.Join(s.Dir(), SeatKeysFile))
	seed := a.Bytes()[4:]
	if n == 0 || bytes.Contains(before[:n], seed) || bytes.Contains(now, seed) {
		t.Error("the erased key is still on disk")
	}
	if got, err := keys.Get(wire.Digest{1}); got != nil || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	got, err := keys.Get(wire.Digest{2})
	if err != nil || got == nil || !bytes.Equal(got.Bytes(), b.Bytes()) {
		t.Errorf("the other key: %v", err)
	}
	// A crash in the middle of overwriting leaves a torn key under its job: erasing again finishes it.
	torn := append(bytes.Clone(now), make([]byte, seatRecordBytes)...)
	torn[len(now)], torn[len(torn)-1] = 9, 7
	os.WriteFile(filepath.Join(s.Dir(), SeatKeysFile), torn, 0o600)
	if err := keys.Erase(wire.Digest{9}); err != nil {
		t.Fatal(err)
	}
	if n, err := keys.Count(); n != 1 || err != nil {
		t.Errorf("%d keys, %v", n, err)
	}
	// An interrupted rewrite leaves a copy of the keys: erasing all sweeps it away.
	os.WriteFile(filepath.Join(s.Dir(), SeatKeysFile+".new"), now, 0o600)
	if err := keys.EraseAll(); err != nil {
		t.Fatal(err)
	}
	if n, err := keys.Count(); n != 0 || err != nil {
		t.Errorf("%d keys, %v", n, err)
	}
	if _, err := os.Stat(filepath.Join(s.Dir(), SeatKeysFile+".new")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the copy is still there")
	}
}

func TestDamagedSeatKeysAreAnError(t *testing.T) {
	s := open(t)
	for _, data := range [][]byte{{}, []byte("TRIBSEAT"), append(bytes.Clone(seatKeysMagic), 1)} {
		os.WriteFile(filepath.Join(s.Dir(), SeatKeysFile), data, 0o600)
		if _, err := s.SeatKeys().Get(wire.Digest{1}); err == nil {
			t.Errorf("%x was read", data)
		}
	}
}

func TestHoldOutSecretIsFixedForEver(t *testing.T) {
	s := open(t)
	a, err := s.Secret("customers")
	if err != nil || a == [32]byte{} {
		t.Fatal(err)
	}
	if b, _ := s.Secret("orders"); b == a {
		t.Error("two sources share a secret")
	}
	s.Close()
	again, err := Open(s.Dir())
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if b, _ := again.Secret("customers"); b != a {
		t.Error("the secret changed")
	}
}

func TestOnlyCharterThatFollowsIsAccepted(t *testing.T) {
	s := open(t)
	coordinator, _ := identity.Generate()
	member, _ := identity.Generate()
	sign := func(c wire.Charter) *wire.Envelope { e := wire.Sign(coordinator, &c); return &e }
	first := wire.Charter{Consortium: "shops", Version: 1, F: 1, Organisation: "Hub", Coordinator: coordinator.Public(), LogOrigin: "shops/log",
		Members: []wire.CharterMember{{Card: wire.NewCard(member, "alpen", "Alpen AG"), Role: wire.RoleBoth}}}
	if _, err := s.Charter(); !errors.Is(err, ErrNotFound) {
		t.Errorf("before any: %v", err)
	}
	if err := s.AcceptCharter(sign(first)); err != nil {
		t.Fatal(err)
	}
	unrelated, second := first, first
	unrelated.Version, unrelated.Prev = 2, wire.Digest{9}
	if err := s.AcceptCharter(sign(unrelated)); !errors.Is(err, charter.ErrInvalid) {
		t.Errorf("unrelated: %v", err)
	}
	second.Version, second.Prev = 2, first.Digest()
	for range 2 { // accepting again changes nothing
		if err := s.AcceptCharter(sign(second)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.AcceptCharter(sign(first)); !errors.Is(err, charter.ErrInvalid) {
		t.Errorf("going back: %v", err)
	}
	got, err := s.Charter()
	if err != nil || got.Version != 2 {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := s.CharterByDigest(first.Digest()); err != nil {
		t.Error("the version before is gone:", err)
	}
}

func TestJobKeepsWhatWasStored(t *testing.T) {
	s := open(t)
	id := wire.Digest{7}
	added := &Job{Job: id, Name: "churn", Status: Pending, Bundle: []byte("bundle"), Expires: time.UnixMilli(5000), Seen: time.UnixMilli(4000), Source: "customers", Rows: [32]byte{3}, Text: "text", Why: "why"}
	if err := s.AddJob(added); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Job(id); err != nil || !reflect.DeepEqual(got, added) {
		t.Errorf("%+v, %v", got, err)
	}
	if err := s.Decide(id, "approve", ""); err != nil {
		t.Fatal(err)
	}
	use := &Use{Source: "customers", Contract: "shop@1", Name: "churn", Cohort: []wire.Member{{1}, {2}, {3}}, Rows: [32]byte{3}}
	if err := s.Approve(id, []byte("approval"), use); err != nil {
		t.Fatal(err)
	}
	if err := s.Decide(id, "deny", ""); !errors.Is(err, ErrDecided) {
		t.Errorf("a decision after the approval: %v", err)
	}
	use.Job = id
	if uses, err := s.Uses("customers"); err != nil || len(uses) != 1 || !reflect.DeepEqual(uses[0], *use) {
		t.Errorf("%+v, %v", uses, err)
	}
	if err := s.CloseJob(id, []byte("closed")); err != nil {
		t.Fatal(err)
	}
	if err := s.CloseJob(id, []byte("another")); !errors.Is(err, ErrDecided) {
		t.Errorf("a second closed form: %v", err)
	}
	record := round.Record{Closed: wire.Digest{1}, Round: 3, Stage: round.StageUploaded, State: []byte{1}, Upload: []byte{2}}
	sealed := &secagg.Upload{Payload: []byte{1, 2}, Shares: [][]byte{{3}, {4}}}
	for size := range int64(3) {
		head := ledger.Head{Size: 10 - size, Root: [32]byte{byte(size + 1)}}
		if err := s.Persist(id, round.Persist{Record: record, Sealed: sealed, Head: &head}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if head, err := s.Head(); err != nil || head.Size != 10 || head.Root != [32]byte{1} {
		t.Errorf("the head went back to %v (%v)", head, err)
	}
	if got, err := s.Job(id); err != nil || !reflect.DeepEqual(got.Record, &record) || string(got.Closed) != "closed" {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := s.Sealed(id); err != nil || !reflect.DeepEqual(got, sealed) {
		t.Errorf("%+v, %v", got, err)
	}
	if err := s.End(id, Finished, "done"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sealed(id); !errors.Is(err, ErrNotFound) {
		t.Errorf("the payload outlived its job: %v", err)
	}
	if open, err := s.Jobs(true); len(open) != 0 || err != nil {
		t.Errorf("%d open jobs, %v", len(open), err)
	}
}

func TestOutboxListsWhatLeft(t *testing.T) {
	s := open(t)
	for _, digest := range []wire.Digest{{1}, {2}, {1}} {
		if err := s.Sending(wire.Digest{7}, "Upload", 100, digest); err != nil {
			t.Fatal(err)
		}
	}
	out, err := s.Outbox()
	if err != nil || len(out) != 2 || out[0].Times != 2 || out[1].Times != 1 || out[0].Bytes != 100 || out[0].Job != (wire.Digest{7}) {
		t.Errorf("%+v, %v", out, err)
	}
}
