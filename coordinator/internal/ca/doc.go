// Package ca is the coordinator's embedded certificate authority: one ECDSA P-256 root in the data directory, which issues
// short-lived certificates to the server itself, to participants and to operators, and one-time invitation tokens.
//
// Its certificates only carry traffic. Whoever holds the root key can impersonate any participant or operator on the wire, but
// can't sign an approval, an upload or a share sum: those are checked against the identity keys in the charter, which each
// member's operator accepted. The root key is trusted for availability and for confidentiality of metadata, not for the
// guarantees of secure aggregation.
//
// A certificate request proves possession of a key and nothing else: every name in a certificate comes from the coordinator.
package ca
