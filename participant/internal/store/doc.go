// Package store is what a participant remembers: one SQLite file, a file of seat keys beside it, and a lock.
//
// Everything that a promise hangs on (an approval, a plan accepted, a payload encrypted, a roster opened, a privacy account charged)
// is durable before the call that records it returns: WAL with synchronous=FULL. Seat keys live outside the database, so that no backup of it can open
// a sum (see SeatKeys).
package store

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // registers the driver

	"tributary/protocol/crashpoint"
)

// Sentinels of the decisions that a caller takes.
var (
	// ErrNotFound: no such job, charter or enrolment.
	ErrNotFound = errors.New("not in the node's database")
	// ErrPermissions: the data directory can be read or written by others, or can't be written at all.
	ErrPermissions = errors.New("the data directory can't be used")
	// ErrLocked: another process runs the node in this data directory.
	ErrLocked = errors.New("another process runs on this data directory")
	// ErrDecided: a decision about a job that no longer waits for one.
	ErrDecided = errors.New("the job doesn't wait for a decision")
)

// Names of the files in the data directory.
const (
	DatabaseFile = "node.db"
	SeatKeysFile = "seat-keys"
	IdentityFile = "identity.key"
	TLSKeyFile   = "tls.key"
	ChainFile    = "chain.pem"
	lockFile     = "lock"
)

const schema = `
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS charters (digest BLOB PRIMARY KEY, version INTEGER NOT NULL UNIQUE, envelope BLOB NOT NULL, accepted_ms INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS jobs (
  job BLOB PRIMARY KEY, name TEXT NOT NULL, status TEXT NOT NULL, bundle BLOB NOT NULL, expires_ms INTEGER NOT NULL, seen_ms INTEGER NOT NULL,
  source TEXT NOT NULL, rows_digest BLOB NOT NULL, text TEXT NOT NULL, why TEXT NOT NULL,
  decision TEXT NOT NULL DEFAULT '', reason TEXT NOT NULL DEFAULT '',
  refusal BLOB, approval BLOB, delivered INTEGER NOT NULL DEFAULT 0, closed BLOB, record BLOB) STRICT;
CREATE TABLE IF NOT EXISTS sealed (job BLOB PRIMARY KEY, payload BLOB NOT NULL, shares BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS secrets (source TEXT PRIMARY KEY, secret BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS uses (
  n INTEGER PRIMARY KEY, source TEXT NOT NULL, contract TEXT NOT NULL, job BLOB NOT NULL UNIQUE, name TEXT NOT NULL, cohort BLOB NOT NULL,
  rows_digest BLOB NOT NULL, at_ms INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS outbox (
  n INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, times INTEGER NOT NULL, job BLOB NOT NULL, kind TEXT NOT NULL, bytes INTEGER NOT NULL,
  digest BLOB NOT NULL, UNIQUE (kind, digest)) STRICT;
CREATE TABLE IF NOT EXISTS policies (n INTEGER PRIMARY KEY, envelope BLOB NOT NULL, acknowledged INTEGER NOT NULL DEFAULT 0) STRICT;
`

// Store is the node's database. It is safe for concurrent use, also by several processes.
type Store struct {
	db  *sql.DB
	dir string
}

// Open opens, or makes, the database in dir.
func Open(dir string) (*Store, error) {
	if err := prepare(dir); err != nil {
		return nil, fmt.Errorf("open data directory: %w", err)
	}
	path := filepath.Join(dir, DatabaseFile)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open data directory: %w: %w", ErrPermissions, err)
	}
	f.Close()
	dsn := (&url.URL{Scheme: "file", Path: path, RawQuery: "_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate"}).String()
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	db.SetMaxOpenConns(1)
	s := &Store{db: db, dir: dir}
	if _, err := db.Exec(schema + accountSchema + evaluationSchema); err != nil {
		db.Close()
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return s, nil
}

// prepare makes dir with mode 0700. A folder that others can read is refused, unless it is empty and ours to close.
func prepare(dir string) error {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("%w: %w", ErrPermissions, err)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrPermissions, err)
	}
	if !info.IsDir() {
		return fmt.Errorf("%w: %s is no directory", ErrPermissions, dir)
	}
	if info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) == 0 && os.Chmod(dir, 0o700) == nil {
		return nil
	}
	return fmt.Errorf("%w: %s has mode %04o, others can read it", ErrPermissions, dir, info.Mode().Perm())
}

// Dir is the data directory.
func (s *Store) Dir() string { return s.dir }

// Close closes the database.
func (s *Store) Close() error { return s.db.Close() }

// change runs one transaction between two crash points.
func (s *Store) change(what string, f func(tx *sql.Tx) error) error {
	crashpoint.Here("participant/" + what + "/before")
	tx, err := s.db.Begin()
	if err != nil {
		return fmt.Errorf("store %s: %w", what, err)
	}
	if err := f(tx); err != nil {
		tx.Rollback()
		return fmt.Errorf("store %s: %w", what, err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("store %s: %w", what, err)
	}
	crashpoint.Here("participant/" + what + "/after")
	return nil
}

func set(tx *sql.Tx, key string, value []byte) error {
	_, err := tx.Exec(`INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`, key, value)
	return err
}

// get reads a value of meta; nil if it isn't there.
func (s *Store) get(key string) ([]byte, error) {
	var value []byte
	err := s.db.QueryRow(`SELECT value FROM meta WHERE key = ?`, key).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return value, err
}
