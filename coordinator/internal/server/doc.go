// Package server offers the engine over gRPC with TLS 1.3: Enrolment to whoever has a token, Participant to enrolled participants,
// Operator to operators. It decides who may call what, and how large anything may be; everything else is the engine's.
//
// A certificate says only who carries the traffic. What a participant signs is checked against the charter's identity keys by the
// round, and an envelope is only taken from its signer.
package server
