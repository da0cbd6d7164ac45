// Package accountant computes what differentially private releases cost. All of
// it is pure functions and values. Two families of types don't mix:
//
// # Enforcement
//
// An Account has a Cap (ε, δ), one integer RDP Order fixed when it is opened, and
// a budget in Units of 2^-40. ChargeFor turns the integers of one opened Sum into a
// Charge at that order, by 256-bit arithmetic rounded upward: the same integer on
// every machine, and never too small. Spend refuses what exceeds the budget. A sum
// against a fixed budget at one fixed order is a valid privacy filter, even where
// parameters are chosen from earlier results [FZ21] and jobs run concurrently [Han23].
//
// # Reports
//
// Epsilon and Delta say what a list of Releases guarantees together, from closed
// forms or the privacy loss distribution: an upper bound always, and within 0.2 %
// in the tests' vectors. It holds for parameters that were fixed beforehand; taken
// as a stopping rule it would not be valid [Reg26]. So nothing turns a Report
// into a Charge. RDP, EpsilonFromRDP, ZCDPEpsilon, SmallestGaussian and
// SmallestSampled belong here: numbers for people, in float64.
//
// # The distribution's bound, step by step
//
//  1. Each mechanism's dominating pair is put on a grid so that P- and Q-mass of
//     every cell are kept ("connect the dots" [DGGKM22]): δ can only rise. Quadrature
//     and rounding, below 10^-11 of a cell, are moved up one cell beside that, and
//     once more taken as a factor e^(10^-11·uses) on δ.
//  2. Masses are tilted by e^(t·loss), with t near the best RDP order less one, so
//     that the region around ε holds the bulk and rounding errors are small beside δ.
//  3. They are composed by FFT. With F the transform's error rate [Hig02], k uses
//     and p̃ a tilted mass function, the result's error is at most
//     Σk·(F·‖p̃‖₂ + 3u) + F in the 2-norm: forward errors have size F√n‖p̃‖₂, all
//     spectra are at most 1 in size, powers err by 3ku, and the inverse divides by
//     √n. By Cauchy-Schwarz with the weights e^(−tx)(1−e^(−x)) it is added to δ.
//  4. Mass that wraps around the window from above is bounded by Chernoff from the
//     gridded laws themselves and counts in full. Mass that wraps otherwise only adds.
//  5. Losses beyond a tail of at most 10^-7·δ in all count as infinite.
//  6. ε is raised by 10^-15 + 4·10^-15·|loss| per use for the rounding of losses.
//
// math.Exp, Log, Erfc and their kin are trusted to be within 2·10^-16 relative.
//
// # Many dimensions
//
// The privacy loss of the discrete Gaussian in one dimension is no bound in
// several. Charges don't depend on it (moments at integer orders agree exactly); in
// reports a Sum counts as continuous Gaussian noise of variance σ²−4, and δ rises by
// (1+e^ε)·2^27·2^-110 a release.
//
// # Sources
//
//   - [BS16] Bun, Steinke: Concentrated differential privacy, TCC 2016.
//   - [BW18] Balle, Wang: Improving the Gaussian mechanism for differential privacy, ICML 2018.
//   - [CKS20] Canonne, Kamath, Steinke: The discrete Gaussian for differential privacy, NeurIPS 2020.
//   - [CT65] Cooley, Tukey: An algorithm for the machine calculation of complex Fourier series, 1965.
//   - [DGGKM22] Doroshenko, Ghazi, Kamath, Kumar, Manurangsi: Connect the dots, PoPETs 2022.
//   - [DRS22] Dong, Roth, Su: Gaussian differential privacy, JRSS B 2022.
//   - [FZ21] Feldman, Zrnic: Individual privacy accounting via a Rényi filter, NeurIPS 2021.
//   - [Han23] Haney et al.: Concurrent composition for interactive differential privacy, CCS 2023, arXiv 2309.05901.
//   - [Hig02] Higham: Accuracy and stability of numerical algorithms, 2nd ed., SIAM 2002.
//   - [KLS21] Kairouz, Liu, Steinke: The distributed discrete Gaussian mechanism, ICML 2021.
//   - [KOV15] Kairouz, Oh, Viswanath: The composition theorem for differential privacy, ICML 2015.
//   - [Mir17] Mironov: Rényi differential privacy, CSF 2017.
//   - [MP12] Micciancio, Peikert: Trapdoors for lattices, EUROCRYPT 2012 (Lemma 2.4: smoothing).
//   - [MTZ19] Mironov, Talwar, Zhang: Rényi differential privacy of the sampled Gaussian mechanism, 2019.
//   - [Reg26] Regehr et al.: on natural filters, arXiv 2602.15815, 2026.
//   - [TW14] Trefethen, Weideman: The exponentially convergent trapezoidal rule, SIAM Review 2014.
//   - [ZDW22] Zhu, Dong, Wang: Optimal accounting of differential privacy via characteristic function, AISTATS 2022.
package accountant
