// Package ledger is the consortium's append-only evidence log: what was chartered, approved, released, refused and ended.
//
// Records are leaves of an RFC 6962 Merkle tree. A signed checkpoint fixes the whole history up to its size; an inclusion
// proof shows one record to be part of it; a consistency proof shows that a later checkpoint only appended. What holds:
//
//   - Two histories of one log can't both extend a head that someone remembers (ErrFork).
//   - A changed, missing or reordered record doesn't fit the signed root (ErrNotIncluded, ErrTampered).
//   - Every encoding here is canonical: what parses re-encodes to the same bytes.
//
// What doesn't hold: a log says that something was recorded, not that it is true, and a coordinator that shows different
// histories to participants who never compare heads isn't found by this package alone. Participants therefore keep the last
// head they saw, bind it into every round's context, and cosign only what extends it: VerifyWitnessed says who did.
//
// The package is pure: no clock, no socket, no file. Storage is the caller's Store.
//
// Sources: [RFC6962] Certificate Transparency, §2.1; [CW09] Crosby and Wallach, Efficient Data Structures for
// Tamper-Evident Logging, §3.3 (stored hash order); [C2SP] signed-note, tlog-checkpoint and tlog-cosignature of c2sp.org.
package ledger
