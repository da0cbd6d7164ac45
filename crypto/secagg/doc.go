// Package secagg adds vectors that nobody but their owners sees. Contributors
// seal integer vectors under one-time keys; whoever adds the sealed vectors
// learns their sum, and nothing else, once t of m committee seats return the
// sum of their shares of those keys.
//
// # Scheme
//
// Contributor i draws a key k_i and errors e_ij from a discrete Gaussian (σ = 3.2,
// bounded by 19) and sends, for each polynomial j of R = Z_Q[X]/(X^4096+1),
//
//	c_ij = a_j·k_i + e_ij + 2^ℓ·m_ij mod Q,    a_j = XOF(ctx, j),
//
// m_ij being its lanes in offset-binary. Ciphertexts add; the sum of the keys
// opens the sum of the messages. The key's coefficients are shared over F_65537
// [Sha79]; each seat gets one share sealed by HPKE [RFC9180] with MLKEM768-X25519,
// HKDF-SHA256 and AES-256-GCM, whose info holds context, sender, recipient and
// seat. HPKE's base mode doesn't authenticate the sender: the caller checks a
// signature over the whole upload.
//
// What is learnt from an opened sum is Σm, Σk and Σe. Given those, the payloads
// of two or more honest contributors are pseudorandom under Hint-RLWE [KLSS23];
// at N = 4096 and 104 bits that costs at least 2^128 operations by the lattice
// estimator, with the hints counted as halving σ.
//
// # Conditions
//
// The guarantee holds for the use that the round protocol makes of it, and the
// caller is responsible for these:
//
//   - one Encrypt per (context, contributor); the finished bytes are sent again, never
//     a second encryption;
//   - seats sum the shares of one roster only per context, check its signatures,
//     and refuse rather than skip a share that doesn't unseal;
//   - a roster holds at least two honest contributors;
//   - fewer than t seats collude; seat keys live for one job and are erased.
//
// # Not given
//
// A contributor may seal any vector within the lanes. Acceptance of a key sum
// (Open) is a test of consistency, not a proof. A key sum that is wrong by accident
// passes with probability below 2^-165. One chosen by a liar needs a small δ ≠ 0
// with all a_j·δ close to multiples of 2^ℓ: a lattice problem that isn't claimed to
// be hard, least of all for short payloads. Where no reply is spare (r = t), such a
// δ lets one lying seat shift the opened sum within the lanes' range, as a lying
// contributor can. With spare replies two key sums that both open are refused. The
// scheme as a whole hasn't been reviewed externally.
//
// # Sources
//
//   - [BW86] Berlekamp, Welch: Error correction for algebraic block codes, US 4,633,470.
//   - [KLSS23] Kim, Lee, Seo, Song: Toward practical lattice-based proof of knowledge
//     from Hint-MLWE, CRYPTO 2023.
//   - [Lem19] Lemire: Fast random integer generation in an interval, ACM TOMACS 2019.
//   - [MP12] Micciancio, Peikert: Trapdoors for lattices, EUROCRYPT 2012.
//   - [RFC9180] Hybrid public key encryption; MLKEM768-X25519 by draft-ietf-hpke-pq.
//   - [Sha79] Shamir: How to share a secret, CACM 22(11).
package secagg
