package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // the database driver

	"tributary/protocol/crashpoint"
)

// Sentinels of the decisions that a caller takes.
var (
	// ErrNotFound: no such row.
	ErrNotFound = errors.New("not found")
	// ErrConflict: a row that must be unique is there already, with something else in it.
	ErrConflict = errors.New("exists already")
	// ErrAmbiguous: a short name stands for several rows.
	ErrAmbiguous = errors.New("ambiguous")
	// ErrSchema: the database was written by a newer version.
	ErrSchema = errors.New("database of another version")
)

const readers = 4 // connections that read; one more writes

// Store is an open database. It is safe for concurrent use.
type Store struct{ write, read *sql.DB }

// Tx is one transaction. It is used by one goroutine, and only until the function that it was given to returns.
type Tx struct {
	ctx context.Context
	tx  *sql.Tx
}

// Open opens or makes the database in file, readable by the owner only, and brings its schema up to date.
func Open(ctx context.Context, file string) (*Store, error) {
	s, err := open(ctx, file)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", file, err)
	}
	return s, nil
}

func open(ctx context.Context, file string) (*Store, error) {
	path, err := filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	dsn := func(more string) string {
		q := "_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)" + more
		return (&url.URL{Scheme: "file", Path: path, RawQuery: q}).String()
	}
	s := &Store{}
	if s.write, err = sql.Open("sqlite", dsn("&_txlock=immediate")); err != nil {
		return nil, err
	}
	s.write.SetMaxOpenConns(1)
	if s.read, err = sql.Open("sqlite", dsn("&_pragma=query_only(1)")); err != nil {
		return nil, errors.Join(err, s.write.Close())
	}
	s.read.SetMaxOpenConns(readers)
	if err := s.migrate(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close waits for what is running and closes the database.
func (s *Store) Close() error { return errors.Join(s.read.Close(), s.write.Close()) }

// Update runs f in the one writing transaction and commits, or changes nothing if f or the commit fails. name is the persist
// point's, for the crash harness.
func (s *Store) Update(ctx context.Context, name string, f func(*Tx) error) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin %s: %w", name, err)
	}
	defer tx.Rollback() // does nothing after a commit
	if err := f(&Tx{ctx, tx}); err != nil {
		return err
	}
	crashpoint.Here("coordinator/" + name + "/before")
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit %s: %w", name, err)
	}
	crashpoint.Here("coordinator/" + name + "/after")
	return nil
}

// View runs f on a snapshot of the last commit.
func (s *Store) View(ctx context.Context, f func(*Tx) error) error {
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("begin reading: %w", err)
	}
	defer tx.Rollback()
	return f(&Tx{ctx, tx})
}

func (t *Tx) exec(query string, args ...any) error {
	_, err := t.tx.ExecContext(t.ctx, query, args...)
	return err
}

// change is exec that must change exactly one row, or it is ErrNotFound.
func (t *Tx) change(query string, args ...any) error {
	result, err := t.tx.ExecContext(t.ctx, query, args...)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return errors.Join(ErrNotFound, err)
	}
	return nil
}

func (t *Tx) row(query string, args ...any) *sql.Row {
	return t.tx.QueryRowContext(t.ctx, query, args...)
}

// each calls f for every row.
func (t *Tx) each(f func(scan func(...any) error) error, query string, args ...any) error {
	rows, err := t.tx.QueryContext(t.ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// notFound turns database/sql's sentinel into this package's.
func notFound(what string, err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%s: %w", what, ErrNotFound)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", what, err)
	}
	return nil
}
