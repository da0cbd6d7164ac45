// Package attack has no code, only tests that attack the privacy of a job with
// what an attacker sees of it: sealed payloads, and opened sums with their
// noise. Whole rounds run in one process with the product's own noise, sealing
// and opening. Each attack has a control, on which it must succeed: the same
// data in the clear, or noise that is too small.
//
// # False alarms
//
// Data come from fixed seeds, noise and keys from crypto/rand, so each test
// fails a correct product with some probability, which it states: all of them
// together below 5·10⁻⁵ a run.
//
// # Sources
//
//   - [SNJ23] Steinke, Nasr, Jagielski: Privacy auditing with one (1) training run, NeurIPS 2023, Theorem 5.2.
//   - [ZLH19] Zhu, Liu, Han: Deep leakage from gradients, NeurIPS 2019; for linear models the leak is exact algebra.
package attack
