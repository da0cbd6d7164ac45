package ledger

import "errors"

// Sentinels of the decisions that a caller takes. Every error that this package makes wraps one of them; errors of a Store, a
// reader or a writer are passed on with context.
var (
	// ErrMalformed: bytes that aren't the canonical encoding of an entry, a checkpoint or an export.
	ErrMalformed = errors.New("malformed ledger data")
	// ErrOutOfRange: an index or size that the log doesn't have.
	ErrOutOfRange = errors.New("outside the ledger")
	// ErrFork: the newer head isn't shown to extend the older one. Stop: sign and open nothing under it.
	ErrFork = errors.New("ledger fork: the newer head does not extend the older one")
	// ErrNotIncluded: the record isn't shown to be in the log at that index.
	ErrNotIncluded = errors.New("record not shown to be in the ledger")
	// ErrSignature: a checkpoint whose signatures aren't exactly the expected ones, all valid.
	ErrSignature = errors.New("checkpoint not signed by exactly the expected keys")
	// ErrTampered: records that don't add up to the root or digest that covers them.
	ErrTampered = errors.New("ledger records do not match their root")
	// ErrTruncated: an export that ends early.
	ErrTruncated = errors.New("ledger export ends early")
)
