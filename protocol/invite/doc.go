// Package invite is the one-time token by which a participant or an operator first reaches the coordinator, and the TLS side
// of it: whoever holds a token knows the coordinator's address and the fingerprint of its certificate authority, so the very
// first connection is already authenticated, and holds a secret that is good for one enrolment.
//
// Both roles need it and can't import one another. A token is a password until it is used or expires: hand it over on a
// channel that you would trust with one. Its checksum finds typing errors, not forgers; only the coordinator's record of the
// secret makes a token valid.
package invite
