// Package store keeps the coordinator's durable state: one SQLite database, and a spool of files for what is too large for it.
//
// Everything that evidences something is written in one transaction with its ledger entry: Tx implements protocol/ledger.Store, so
// that state and evidence become durable together or not at all. There is one writing connection; readers see the last commit.
// A commit is on the disk when Update returns (WAL, synchronous=FULL).
package store
