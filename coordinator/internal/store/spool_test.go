package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"tributary/crypto/identity"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

var payload = bytes.Repeat([]byte("payload."), 100)

func share(i int) []byte { return bytes.Repeat([]byte{byte(i)}, 50) }

func parcel(k *identity.Key, ctx byte) *Parcel {
	u := wire.Upload{Ctx: wire.Digest{ctx}, PayloadDigest: round.BlobDigest(payload), PayloadLen: uint64(len(payload)),
		ShareDigests: []wire.Digest{round.BlobDigest(share(1)), round.BlobDigest(share(2))}}
	return &Parcel{Job: wire.Digest{1}, Envelope: wire.Sign(k, &u), Upload: u, Share: 50}
}

func spool(t *testing.T, dir string) *Spool {
	t.Helper()
	s, err := NewSpool(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestUploadResumesAfterARestart(t *testing.T) {
	dir := t.TempDir()
	p := parcel(newKey(t), 1)
	s := spool(t, dir)
	must(t, s.Begin(p))
	must(t, s.Append(p, 0, 0, payload[:300]))
	must(t, s.Append(p, 1, 0, share(1)))

	s = spool(t, dir)
	must(t, s.Begin(p))
	if n, shares := s.Status(p, p.Envelope.Digest()); n != 300 || shares != 1 {
		t.Fatalf("stands at %d and %d shares", n, shares)
	}
	if err := s.Complete(p); !errors.Is(err, ErrIncomplete) {
		t.Errorf("half an upload: %v", err)
	}
	if _, err := s.Read(p.Job, p.Envelope.Digest(), 0); !errors.Is(err, ErrNotFound) {
		t.Errorf("half an upload is shown: %v", err)
	}
	must(t, s.Append(p, 0, 300, payload[300:]))
	must(t, s.Append(p, 2, 0, share(2)))
	must(t, s.Complete(p))
	must(t, s.Complete(p)) // again is no error
	got, err := s.Read(p.Job, p.Envelope.Digest(), 0)
	if err != nil || !bytes.Equal(got, payload) {
		t.Errorf("payload of %d bytes, %v", len(got), err)
	}
	if got, err := s.Read(p.Job, p.Envelope.Digest(), 2); err != nil || !bytes.Equal(got, share(2)) {
		t.Errorf("share 2: %v, %v", got, err)
	}
}

func TestWrongOffsetAndOversizeChangeNothing(t *testing.T) {
	s := spool(t, t.TempDir())
	p := parcel(newKey(t), 1)
	must(t, s.Begin(p))
	must(t, s.Append(p, 0, 0, payload[:100]))
	for name, c := range map[string]struct {
		part   Part
		offset uint64
		data   []byte
		want   error
	}{
		"gap":               {0, 101, payload[:1], ErrOffset},
		"overlap":           {0, 99, payload[:1], ErrOffset},
		"far":               {0, 1 << 63, payload[:1], ErrOffset},
		"more than signed":  {0, 100, make([]byte, len(payload)), ErrOversize},
		"share too long":    {1, 0, make([]byte, 51), ErrOversize},
		"seat out of range": {3, 0, []byte{1}, ErrOversize},
	} {
		if err := s.Append(p, c.part, c.offset, c.data); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if n, shares := s.Status(p, p.Envelope.Digest()); n != 100 || shares != 0 {
			t.Errorf("%s: stands at %d and %d shares", name, n, shares)
		}
	}
}

func TestTornShareIsWrittenOver(t *testing.T) {
	s := spool(t, t.TempDir())
	p := parcel(newKey(t), 1)
	must(t, s.Begin(p))
	must(t, s.Append(p, 1, 0, share(1)[:20]))
	must(t, s.Append(p, 1, 0, share(1)))
	if _, shares := s.Status(p, p.Envelope.Digest()); shares != 1 {
		t.Errorf("%d shares", shares)
	}
}

func TestCorruptUploadIsThrownAway(t *testing.T) {
	s := spool(t, t.TempDir())
	p := parcel(newKey(t), 1)
	must(t, s.Begin(p))
	bad := bytes.Clone(payload)
	bad[700] ^= 1
	must(t, s.Append(p, 0, 0, bad))
	must(t, s.Append(p, 1, 0, share(1)))
	must(t, s.Append(p, 2, 0, share(2)))
	if err := s.Complete(p); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("%v, want ErrCorrupt", err)
	}
	if n, shares := s.Status(p, p.Envelope.Digest()); n != 0 || shares != 0 {
		t.Errorf("stands at %d and %d shares", n, shares)
	}
}

func TestOneBeginningAMember(t *testing.T) {
	dir := t.TempDir()
	s := spool(t, dir)
	k, other := newKey(t), newKey(t)
	must(t, s.Begin(parcel(other, 1)))
	for ctx := range byte(20) {
		must(t, s.Begin(parcel(k, ctx)))
	}
	p := parcel(k, 1)
	entries, err := os.ReadDir(filepath.Join(dir, filepath.Base(s.job(p.Job))))
	if err != nil || len(entries) != 2 {
		t.Errorf("%d beginnings, %v", len(entries), err)
	}
}

func TestKeepRemovesTheRest(t *testing.T) {
	dir := t.TempDir()
	s := spool(t, dir)
	var kept *Parcel
	for ctx := range byte(3) {
		p := parcel(newKey(t), ctx)
		must(t, s.Begin(p))
		must(t, s.Append(p, 0, 0, payload))
		must(t, s.Append(p, 1, 0, share(1)))
		must(t, s.Append(p, 2, 0, share(2)))
		must(t, s.Complete(p))
		kept = p
	}
	must(t, s.Begin(parcel(newKey(t), 9)))
	must(t, s.Keep(kept.Job, map[wire.Digest]bool{kept.Envelope.Digest(): true}))
	entries, err := os.ReadDir(s.job(kept.Job))
	if err != nil || len(entries) != 1 {
		t.Errorf("%d uploads left, %v", len(entries), err)
	}
	if _, err := s.Read(kept.Job, kept.Envelope.Digest(), 0); err != nil {
		t.Error(err)
	}
	must(t, s.Keep(kept.Job, nil))
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("%d jobs left, %v", len(entries), err)
	}
}
