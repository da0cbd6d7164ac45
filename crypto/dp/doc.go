// Package dp draws the noise of differentially private sums, bounds what one
// unit can add to them, and makes sure that a sum leaves at most once, noised.
//
// # Mechanism
//
// A unit is a record, all records of one user, or a whole silo. Each unit's
// contribution is clipped in L2 and rounded to integers; the squared integer
// norm is then checked against Δ², so that the L2 sensitivity of the integer sum
// is exactly Δ under adding or removing a unit, whatever the floating-point
// arithmetic before it did [CSVW22]. Coordinates of the sum are clamped, then
// discrete Gaussian noise of variance σ_i² is added. Where h participants that
// are honest and present add σ_i² = σ²/h each, the opened sum carries at least
// σ² ([KLS21]; LocalVariance).
//
// # Noise
//
// Discrete Gaussian and discrete Laplace noise are sampled exactly [CKS20] from
// AES-256-CTR coins that are keyed from crypto/rand for one round and erased.
// There is no floating point between the coins and the noise [Mir12]. The
// samplers don't run in constant time: their time tells about |noise|. So Draw
// samples all noise before any unit is added; what is left to do afterwards,
// clamping and adding, doesn't depend on the noise.
//
// # Conditions
//
//   - one Draw per (job, round), and its result is used for one sum only;
//   - σ_i ≥ 4 (NewParams refuses less): a sum of independent discrete Gaussians
//     is then within a factor 1 ± 10·Σ_k exp(-2π²σ_i²k/(k+1)) < 1 ± 2^-220 of one
//     discrete Gaussian per coordinate, for up to 10⁶ of them [KLS21, Thm. 1];
//   - clamp counts, refused units and batch sizes stay with the participant.
//
// # Not given
//
// A snapshot of the running process that is started twice draws the same noise
// twice. Go can't clear the cipher's expanded key; it becomes unreachable. The
// guarantee is for integers that leave: what is derived from them is as private.
//
// # Sources
//
//   - [CKS20] Canonne, Kamath, Steinke: The discrete Gaussian for differential privacy, NeurIPS 2020.
//   - [CSVW22] Casacuberta, Shoemate, Vadhan, Wagaman: Widespread underestimation of sensitivity in
//     differentially private libraries, CCS 2022.
//   - [KLS21] Kairouz, Liu, Steinke: The distributed discrete Gaussian mechanism for federated learning with
//     secure aggregation, ICML 2021.
//   - [Lem19] Lemire: Fast random integer generation in an interval, ACM TOMACS 2019.
//   - [Mir12] Mironov: On significance of the least significant bits for differential privacy, CCS 2012.
//   - [SP800-90A] NIST: Recommendation for random number generation using deterministic random bit generators.
package dp
