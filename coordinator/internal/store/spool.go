package store

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"tributary/protocol/crashpoint"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

// Sentinels of the spool.
var (
	// ErrOffset: the data doesn't continue where the spool stands; ask for the status and go on from there.
	ErrOffset = errors.New("the data doesn't continue where the upload stands")
	// ErrOversize: more bytes than the upload's signed commitment says.
	ErrOversize = errors.New("more bytes than were announced")
	// ErrIncomplete: parts are missing.
	ErrIncomplete = errors.New("the upload isn't complete")
	// ErrCorrupt: the bytes aren't those that were signed; they were thrown away.
	ErrCorrupt = errors.New("the uploaded bytes aren't those that were signed")
)

const partial = ".part" // suffix of an upload's folder until it is whole

// Parcel is one upload: what its signed commitment says, and so what may be spooled for it.
type Parcel struct {
	Job      wire.Digest
	Envelope wire.Envelope // of Upload
	Upload   wire.Upload
	Share    int64 // bytes of each sealed share
}

// Part tells the parts of a parcel apart: 0 is the payload, 1…m the seats' sealed shares.
type Part uint16

// Spool holds payloads and sealed shares on disk, one folder an upload: DIR/<job>/<upload>/{payload, share-1, …}. A folder gets its
// final name when every byte is there, is what was signed, and is on the disk. It is safe for concurrent use.
type Spool struct {
	dir   string
	mu    sync.Mutex
	locks map[string]*folderLock // guarded by mu
}

type folderLock struct {
	sync.Mutex
	users int // guarded by Spool.mu
}

// NewSpool uses dir, which it makes if it isn't there.
func NewSpool(dir string) (*Spool, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make spool: %w", err)
	}
	return &Spool{dir: dir, locks: map[string]*folderLock{}}, nil
}

// lock serialises what happens to one job's folder entry.
func (s *Spool) lock(name string) (unlock func()) {
	s.mu.Lock()
	l, ok := s.locks[name]
	if !ok {
		l = &folderLock{}
		s.locks[name] = l
	}
	l.users++
	s.mu.Unlock()
	l.Lock()
	return func() {
		l.Unlock()
		s.mu.Lock()
		if l.users--; l.users == 0 {
			delete(s.locks, name)
		}
		s.mu.Unlock()
	}
}

func (s *Spool) job(job wire.Digest) string { return filepath.Join(s.dir, hex.EncodeToString(job[:])) }

func (s *Spool) folder(job, upload wire.Digest) string {
	return filepath.Join(s.job(job), hex.EncodeToString(upload[:]))
}

func (p Part) file() string {
	if p == 0 {
		return "payload"
	}
	return "share-" + strconv.Itoa(int(p))
}

func (p *Parcel) size(part Part) int64 {
	if part == 0 {
		return int64(p.Upload.PayloadLen)
	}
	return p.Share
}

// Begin makes room for an upload and throws away what the same signer began otherwise in the same job, so that one member can't
// fill the disk with beginnings.
func (s *Spool) Begin(p *Parcel) error {
	digest := p.Envelope.Digest()
	folder := s.folder(p.Job, digest)
	defer s.lock(folder)()
	if _, err := os.Stat(folder); err == nil {
		return nil
	}
	if _, err := os.Stat(folder + partial); err == nil {
		return nil
	}
	others, err := os.ReadDir(s.job(p.Job))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("spool upload: %w", err)
	}
	for _, o := range others {
		path := filepath.Join(s.job(p.Job), o.Name())
		signer, err := os.ReadFile(filepath.Join(path, "signer"))
		if strings.HasSuffix(o.Name(), partial) && (err != nil || string(signer) == p.Envelope.Signer.String()) {
			if err := os.RemoveAll(path); err != nil {
				return fmt.Errorf("spool upload: %w", err)
			}
		}
	}
	if err := os.MkdirAll(folder+partial, 0o700); err != nil {
		return fmt.Errorf("spool upload: %w", err)
	}
	if err := os.WriteFile(filepath.Join(folder+partial, "signer"), []byte(p.Envelope.Signer.String()), 0o600); err != nil {
		return fmt.Errorf("spool upload: %w", err)
	}
	return nil
}

// Status tells how far the upload of that digest is: bytes of its payload and the number of whole shares, from the first on. Of the
// parcel only the sizes count.
func (s *Spool) Status(p *Parcel, upload wire.Digest) (payload int64, shares int) {
	folder := s.folder(p.Job, upload)
	if _, err := os.Stat(folder); err == nil {
		return p.size(0), len(p.Upload.ShareDigests)
	}
	folder += partial
	payload = fileSize(filepath.Join(folder, Part(0).file()))
	for shares < len(p.Upload.ShareDigests) && fileSize(filepath.Join(folder, Part(shares+1).file())) == p.Share {
		shares++
	}
	return payload, shares
}

func fileSize(name string) int64 {
	info, err := os.Stat(name)
	if err != nil {
		return 0
	}
	return info.Size()
}

// Append writes the next bytes of a part of an upload that was begun. What was there before is left as it is if it fails with
// ErrOffset or ErrOversize.
func (s *Spool) Append(p *Parcel, part Part, offset uint64, data []byte) error {
	folder := s.folder(p.Job, p.Envelope.Digest())
	defer s.lock(folder)()
	size := p.size(part)
	if int(part) > len(p.Upload.ShareDigests) {
		return fmt.Errorf("%w: share %d of %d", ErrOversize, part, len(p.Upload.ShareDigests))
	}
	name := filepath.Join(folder+partial, part.file())
	have := fileSize(name)
	if part > 0 && offset == 0 && have < size {
		have = 0 // a share is sent whole: what a crash left of one is written over
		if err := os.Truncate(name, 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("spool upload: %w", err)
		}
	}
	if offset != uint64(have) {
		return fmt.Errorf("%w: %s at %d, sent from %d", ErrOffset, part.file(), have, offset)
	}
	if have+int64(len(data)) > size {
		return fmt.Errorf("%w: %s of %d bytes, %d announced", ErrOversize, part.file(), have+int64(len(data)), size)
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("spool upload: %w", err)
	}
	_, err = f.Write(data)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("spool upload: %w", err)
	}
	return nil
}

// Complete checks every byte against what was signed and makes the upload durable. ErrIncomplete leaves what is there; ErrCorrupt
// means that it is gone and the upload begins anew.
func (s *Spool) Complete(p *Parcel) error {
	folder := s.folder(p.Job, p.Envelope.Digest())
	defer s.lock(folder)()
	if _, err := os.Stat(folder); err == nil {
		return nil
	}
	digests := append([]wire.Digest{p.Upload.PayloadDigest}, p.Upload.ShareDigests...)
	for i, want := range digests {
		part := Part(i)
		name := filepath.Join(folder+partial, part.file())
		if have := fileSize(name); have != p.size(part) {
			return fmt.Errorf("%w: %s has %d of %d bytes", ErrIncomplete, part.file(), have, p.size(part))
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("check upload: %w", err)
		}
		if round.BlobDigest(data) != want {
			if err := os.RemoveAll(folder + partial); err != nil {
				return fmt.Errorf("drop corrupt upload: %w", err)
			}
			return fmt.Errorf("%w: %s", ErrCorrupt, part.file())
		}
		if err := syncPath(name); err != nil {
			return fmt.Errorf("sync upload: %w", err)
		}
	}
	if err := syncPath(folder + partial); err != nil {
		return fmt.Errorf("sync upload: %w", err)
	}
	crashpoint.Here("coordinator/spool/complete/before")
	if err := os.Rename(folder+partial, folder); err != nil {
		return fmt.Errorf("finish upload: %w", err)
	}
	for _, dir := range []string{s.job(p.Job), s.dir} {
		if err := syncPath(dir); err != nil {
			return fmt.Errorf("sync spool: %w", err)
		}
	}
	crashpoint.Here("coordinator/spool/complete/after")
	return nil
}

func syncPath(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// Open gives a part of a whole upload for reading, or ErrNotFound.
func (s *Spool) Open(job, upload wire.Digest, part Part) (io.ReadSeekCloser, error) {
	f, err := os.Open(filepath.Join(s.folder(job, upload), part.file()))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w: it isn't kept any longer, or not yet whole", part.file(), ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("open upload: %w", err)
	}
	return f, nil
}

// Read gives all bytes of a part of a whole upload, or ErrNotFound.
func (s *Spool) Read(job, upload wire.Digest, part Part) ([]byte, error) {
	f, err := s.Open(job, upload, part)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// Keep removes all of a job's uploads but the given ones.
func (s *Spool) Keep(job wire.Digest, uploads map[wire.Digest]bool) error {
	entries, err := os.ReadDir(s.job(job))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("clean spool: %w", err)
	}
	kept := map[string]bool{}
	for d := range uploads {
		kept[hex.EncodeToString(d[:])] = true
	}
	for _, e := range entries {
		if kept[e.Name()] {
			continue
		}
		path := filepath.Join(s.job(job), e.Name())
		if err := s.remove(path); err != nil {
			return err
		}
	}
	if len(kept) == 0 {
		return s.remove(s.job(job))
	}
	return nil
}

func (s *Spool) remove(path string) error {
	defer s.lock(strings.TrimSuffix(path, partial))()
	if err := os.RemoveAll(path); err != nil {
		return fmt.Errorf("clean spool: %w", err)
	}
	return nil
}
