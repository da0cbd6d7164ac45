// Package jobspec reads what people write, a job spec and a data contract, and
// turns it into the canonical documents that are digested, signed and approved.
//
//   - ParseSpec and ParseContract read YAML strictly and report every problem at
//     once, each with its path, line, column and, where there is one, a hint.
//   - Resolve checks a spec against a contract and a cohort and fills in every
//     default. A Resolved has one encoding, Canonical, and one Digest.
//   - ParseResolved and ParseContractJSON read canonical documents: what they
//     accept encodes again to the same bytes.
//   - A private job's noise is derived from its ε and δ in integers, the same at
//     everyone: ParseResolved derives it again and accepts no other. Noise says how
//     one kind of round is noised and charged, Cost what all of them cost an account.
//   - ApprovalText says in words what an operator is asked to approve.
//
// A Resolved holds the program, the JSON document that the packages under models
// read; this package writes it and never interprets it further.
//
// Every name compared or digested is compared byte by byte; strings are UTF-8
// and are not normalised.
package jobspec
