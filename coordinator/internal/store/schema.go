package store

import (
	"context"
	"fmt"
)

// schemaVersion is the schema that this build reads and writes.
const schemaVersion = 5

// migrations bring the schema from version i to i+1.
var migrations = [schemaVersion]string{`
CREATE TABLE tokens (
	digest BLOB PRIMARY KEY, kind INTEGER NOT NULL, name TEXT NOT NULL, role TEXT NOT NULL, organisation TEXT NOT NULL,
	expires_ms INTEGER NOT NULL, used INTEGER NOT NULL DEFAULT 0, created_ms INTEGER NOT NULL) STRICT;
CREATE TABLE members (
	key BLOB PRIMARY KEY, name TEXT NOT NULL, organisation TEXT NOT NULL, role INTEGER NOT NULL, card BLOB NOT NULL,
	enrolled_ms INTEGER NOT NULL, revoked_ms INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE UNIQUE INDEX members_name ON members(name) WHERE revoked_ms = 0;
CREATE TABLE users (
	name TEXT PRIMARY KEY, enrolled_ms INTEGER NOT NULL, revoked_ms INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE certificates (
	serial TEXT PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, key BLOB NOT NULL, not_after_ms INTEGER NOT NULL,
	revoked INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE charters (
	version INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, envelope BLOB NOT NULL) STRICT;
CREATE TABLE jobs (
	id BLOB PRIMARY KEY, name TEXT NOT NULL, submitted_ms INTEGER NOT NULL, ended_ms INTEGER NOT NULL DEFAULT 0,
	submitted_by TEXT NOT NULL, submit_token TEXT NOT NULL UNIQUE, request BLOB NOT NULL, charter BLOB NOT NULL REFERENCES charters(digest),
	manifest BLOB NOT NULL, resolved BLOB NOT NULL, contract BLOB NOT NULL, spec BLOB NOT NULL,
	status TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '', round INTEGER NOT NULL DEFAULT 0, step INTEGER NOT NULL DEFAULT 0,
	state BLOB NOT NULL, prev_release BLOB NOT NULL, prev_context BLOB NOT NULL, failures INTEGER NOT NULL DEFAULT 0,
	objective REAL NOT NULL DEFAULT 0, converged INTEGER NOT NULL DEFAULT 0, metrics TEXT NOT NULL DEFAULT '') STRICT;
CREATE INDEX jobs_order ON jobs(submitted_ms, id);
CREATE INDEX jobs_name ON jobs(name);
CREATE TABLE states (
	job BLOB NOT NULL REFERENCES jobs(id), digest BLOB NOT NULL, data BLOB NOT NULL, PRIMARY KEY (job, digest)) STRICT;
CREATE TABLE envelopes (
	seq INTEGER PRIMARY KEY AUTOINCREMENT, job BLOB NOT NULL REFERENCES jobs(id), round INTEGER NOT NULL, type INTEGER NOT NULL,
	signer BLOB NOT NULL, digest BLOB NOT NULL, ref BLOB, data BLOB NOT NULL, UNIQUE (job, digest)) STRICT;
CREATE INDEX envelopes_round ON envelopes(job, round, type);
CREATE INDEX envelopes_ref ON envelopes(job, ref) WHERE ref IS NOT NULL;
CREATE TABLE releases (
	digest BLOB PRIMARY KEY, job BLOB NOT NULL REFERENCES jobs(id), round INTEGER NOT NULL, entry INTEGER NOT NULL) STRICT;
CREATE TABLE events (
	job BLOB NOT NULL REFERENCES jobs(id), n INTEGER NOT NULL, at_ms INTEGER NOT NULL, round INTEGER NOT NULL, step INTEGER NOT NULL,
	kind TEXT NOT NULL, phase TEXT NOT NULL, member TEXT NOT NULL, loss REAL NOT NULL, bytes INTEGER NOT NULL, message TEXT NOT NULL,
	status TEXT NOT NULL, metrics TEXT NOT NULL, PRIMARY KEY (job, n)) STRICT, WITHOUT ROWID;
CREATE TABLE ledger_entries (n INTEGER PRIMARY KEY, record BLOB NOT NULL) STRICT;
CREATE TABLE ledger_hashes (n INTEGER PRIMARY KEY, hash BLOB NOT NULL) STRICT;
`, `
CREATE TABLE accounts (
	seq INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL UNIQUE, account BLOB NOT NULL, member BLOB NOT NULL, entry INTEGER NOT NULL,
	data BLOB NOT NULL) STRICT;
CREATE INDEX accounts_account ON accounts(account, seq);
CREATE INDEX accounts_member ON accounts(member, seq);
CREATE TABLE charges (
	digest BLOB PRIMARY KEY, account BLOB NOT NULL, member BLOB NOT NULL, job BLOB NOT NULL REFERENCES jobs(id), ctx BLOB NOT NULL,
	units INTEGER NOT NULL, spent INTEGER NOT NULL, entry INTEGER NOT NULL, UNIQUE (member, ctx)) STRICT;
CREATE INDEX charges_account ON charges(account, entry);
CREATE INDEX charges_job ON charges(job, member);
`, `
CREATE TABLE cosignatures (
	size INTEGER NOT NULL, member BLOB NOT NULL, line BLOB NOT NULL, PRIMARY KEY (size, member)) STRICT, WITHOUT ROWID;
`, `
CREATE TABLE policies (
	member BLOB NOT NULL, version INTEGER NOT NULL, envelope BLOB NOT NULL, PRIMARY KEY (member, version)) STRICT, WITHOUT ROWID;
`, `
CREATE TABLE promotions (
	seq INTEGER PRIMARY KEY AUTOINCREMENT, alias TEXT NOT NULL, job BLOB NOT NULL REFERENCES jobs(id),
	promoted_by TEXT NOT NULL, promoted_ms INTEGER NOT NULL, reason TEXT NOT NULL,
	withdrawn_by TEXT NOT NULL DEFAULT '', withdrawn_ms INTEGER NOT NULL DEFAULT 0, withdrawn_reason TEXT NOT NULL DEFAULT '') STRICT;
CREATE INDEX promotions_alias ON promotions(alias, seq);
CREATE INDEX promotions_job ON promotions(job);
`}

// migrate makes the schema or brings an older one up to date, in one transaction.
func (s *Store) migrate(ctx context.Context) error {
	var version int
	if err := s.write.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version); err != nil {
		return err
	}
	if version > schemaVersion {
		return fmt.Errorf("%w: schema %d, this program knows %d\nhint: run the release that wrote it, or a newer one", ErrSchema, version, schemaVersion)
	}
	if version == schemaVersion {
		return nil
	}
	return s.Update(ctx, "commit/schema", func(t *Tx) error {
		for _, m := range migrations[version:] {
			if err := t.exec(m); err != nil {
				return fmt.Errorf("make schema: %w", err)
			}
		}
		return t.exec(fmt.Sprintf(`PRAGMA user_version = %d`, schemaVersion))
	})
}
