package secagg

// gaussianTail[i−1] = round(2^63 · P(|X| ≥ i)) for the discrete Gaussian X over
// the integers with density ∝ exp(−x²/(2·3.2²)), conditioned on |X| ≤ 19 (the
// bound 6σ = 19.2). P(|X| ≥ 20) without the condition is 9.5·10⁻¹⁰; each entry
// is exact to 2^-64, so that the sampler is within 19·2^-63 < 2^-58 of that
// distribution in total variation. A test recomputes the table.
//
// Sums of n such values: the discrete Gaussian is subgaussian with parameter σ
// [MP12, Lem. 2.8] and the condition divides probabilities by at least
// (1 − 10⁻⁹)^n, hence P(|Σ| > 10σ√n) < 2.1·e^−50 < 5·10⁻²² per coefficient, and
// below 10⁻¹⁴ for the largest payload: see acceptBound.
var gaussianTail = [noiseBound - 1]uint64{
	8073499200336068835,
	5883348367537455090,
	3991629177673462826,
	2509698996002623099,
	1456798703296180235,
	778321626311000625,
	381795742823258215,
	171613349400548600,
	70569576413585327,
	26512953373513385,
	9090821950749463,
	2842264096124980,
	809688371034461,
	210032481742562,
	49580198476418,
	10641796038882,
	2071441531483,
	360607528183,
	50861754285,
}

// gaussian returns one sample, |x| ≤ 19, from one word: its low bit is the sign
// and its upper 63 bits choose the magnitude. The time doesn't depend on the
// sample: every entry of the table is compared, without a branch.
func (k *keystream) gaussian() int64 {
	w := k.word()
	u := w >> 1
	var magnitude uint64
	for _, t := range gaussianTail {
		magnitude += (u - t) >> 63 // 1 if u < t; both are below 2^63
	}
	sign := -int64(w & 1)
	return (int64(magnitude) ^ sign) - sign
}
