// Package audit checks a ledger offline and says in plain language what it shows.
//
// Verify replays an export from its first entry: the root over all entries, the coordinator's signature of the checkpoint and the
// members' cosignatures, the signature of every entry, and the rules of protocol/SPEC.md §3–§5 and §8 as far as the ledger holds what
// they speak of. What it finds is a list of Findings, each naming an entry. Report, Explain and Compare say what a ledger shows;
// Reader says one entry.
//
// What a verified ledger doesn't show: that the coordinator recorded all that happened (members refuse a history that doesn't extend
// the one they saw, see Compare); that the data were right; that each contributor added the noise it signed for, beyond the
// f + their own that the charge leaves out; who of a committee replied. In an exact job a release names a roster's root only: that
// it is the cohort's is what the seats checked before they opened.
//
// The package is pure: no clock, no file, no network. It links only protocol, crypto and, for one of the report's formats, fpdf.
package audit
