package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"tributary/crypto/secagg"
	"tributary/protocol/crashpoint"
	"tributary/protocol/wire"
)

// seatKeysMagic begins the file; then one record a key: job digest [32], secagg.SeatKeyBytes of key. A key of zeros is an
// erased one; its digest stays until the file is rewritten, so that an erasure torn by a crash is found and done again.
var seatKeysMagic = []byte("TRIBSEAT\x00\x01")

const seatRecordBytes = len(wire.Digest{}) + secagg.SeatKeyBytes

// SeatKeys is the file of all jobs' seat keys. It lies outside the database, so that a backup of that holds none, and must itself
// be left out of every backup. Erasing overwrites the key in place, syncs, and then rewrites the file without it; whatever the
// file was before a rewrite is overwritten too. On copy-on-write file systems and SSDs overwriting can't be promised.
type SeatKeys struct{ path string }

// SeatKeys returns the data directory's.
func (s *Store) SeatKeys() *SeatKeys { return &SeatKeys{filepath.Join(s.dir, SeatKeysFile)} }

// read returns the file and the offsets of its live records.
func (k *SeatKeys) read() (data []byte, live []int, err error) {
	data, err = os.ReadFile(k.path)
	if errors.Is(err, fs.ErrNotExist) {
		return bytes.Clone(seatKeysMagic), nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read seat keys: %w", err)
	}
	if !bytes.HasPrefix(data, seatKeysMagic) || (len(data)-len(seatKeysMagic))%seatRecordBytes != 0 {
		return nil, nil, fmt.Errorf("read seat keys: %s isn't a file of seat keys (%d bytes)", k.path, len(data))
	}
	for at := len(seatKeysMagic); at < len(data); at += seatRecordBytes {
		if [secagg.SeatKeyBytes]byte(data[at+len(wire.Digest{}):]) != [secagg.SeatKeyBytes]byte{} {
			live = append(live, at)
		}
	}
	return data, live, nil
}

// Get returns a job's key, or nil if there is none (any more).
func (k *SeatKeys) Get(job wire.Digest) (*secagg.SeatKey, error) {
	data, live, err := k.read()
	defer clear(data)
	if err != nil {
		return nil, err
	}
	for _, at := range live {
		if bytes.Equal(data[at:at+len(job)], job[:]) {
			key, err := secagg.ParseSeatKey(data[at+len(job) : at+seatRecordBytes])
			return key, wrap("read seat keys", err)
		}
	}
	return nil, nil
}

// Put adds a job's key, durably, before anyone learns its public half. A job has one key for ever: a second one is refused.
func (k *SeatKeys) Put(job wire.Digest, key *secagg.SeatKey) error {
	old, err := k.Get(job)
	if err != nil || old != nil {
		return errors.Join(err, fmt.Errorf("store seat key: job %x has one", job[:4]))
	}
	return k.rewrite(func(wire.Digest) bool { return true }, append(job[:len(job):len(job)], key.Bytes()...))
}

// Erase removes a job's key for good. It does nothing if there is none.
func (k *SeatKeys) Erase(job wire.Digest) error {
	return k.erase(func(d wire.Digest) bool { return d == job })
}

// EraseAll removes every key: what is restored from a copy must not open anything.
func (k *SeatKeys) EraseAll() error { return k.erase(func(wire.Digest) bool { return true }) }

// sweep overwrites and removes what an interrupted rewrite left.
func (k *SeatKeys) sweep() error {
	left := k.path + ".new"
	info, err := os.Stat(left)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sweep seat keys: %w", err)
	}
	f, err := os.OpenFile(left, os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("sweep seat keys: %w", err)
	}
	_, err = f.WriteAt(make([]byte, info.Size()), 0)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close(), os.Remove(left))
}

// Count is the number of keys in the file.
func (k *SeatKeys) Count() (int, error) {
	data, live, err := k.read()
	clear(data)
	return len(live), err
}

func (k *SeatKeys) erase(which func(wire.Digest) bool) error {
	if err := k.sweep(); err != nil {
		return err
	}
	data, live, err := k.read()
	defer clear(data)
	if err != nil {
		return err
	}
	var drop []int
	for _, at := range live {
		if which(wire.Digest(data[at : at+len(wire.Digest{})])) {
			drop = append(drop, at)
		}
	}
	if len(drop) == 0 {
		return nil
	}
	crashpoint.Here("participant/seat-key-erase/before")
	f, err := os.OpenFile(k.path, os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("erase seat key: %w", err)
	}
	for _, at := range drop {
		if _, e := f.WriteAt(make([]byte, secagg.SeatKeyBytes), int64(at+len(wire.Digest{}))); err == nil {
			err = e
		}
	}
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("erase seat key: %w", err)
	}
	crashpoint.Here("participant/seat-key-erase/after")
	return k.rewrite(func(d wire.Digest) bool { return !which(d) }, nil)
}

// rewrite replaces the file by its kept records and one more, and overwrites what the old file's blocks held.
func (k *SeatKeys) rewrite(keep func(wire.Digest) bool, more []byte) error {
	if err := k.sweep(); err != nil {
		return err
	}
	data, live, err := k.read()
	defer clear(data)
	if err != nil {
		return err
	}
	next := bytes.Clone(seatKeysMagic)
	for _, at := range live {
		if keep(wire.Digest(data[at : at+len(wire.Digest{})])) {
			next = append(next, data[at:at+seatRecordBytes]...)
		}
	}
	next = append(next, more...)
	defer clear(next)
	old, err := os.OpenFile(k.path, os.O_WRONLY, 0o600)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("write seat keys: %w", err)
	}
	if old != nil {
		defer old.Close()
	}
	if err := replace(k.path, next); err != nil || old == nil {
		return err
	}
	// The old file has no name any more; its blocks still hold keys.
	if _, err := old.WriteAt(make([]byte, len(data)), 0); err != nil {
		return fmt.Errorf("write seat keys: %w", err)
	}
	return wrap("write seat keys", old.Sync())
}
