package dp_test

import (
	"fmt"

	"tributary/crypto/dp"
)

// One participant's part of one private sum: ten contributors of which two may
// collude, nine needed.
func Example() {
	sigma2 := dp.Integer(7 << 20)
	local, err := dp.LocalVariance(sigma2, dp.Contributors{Min: 9, Colluder: 2})
	if err != nil {
		panic(err)
	}
	p, err := dp.NewParams(dp.Options{
		Segments: []dp.Segment{
			{Name: "gradient", Length: 108, Clip: 1 << 10, Rounding: dp.Stochastic},
			{Name: "canary", Length: 1000, Rounding: dp.TowardZero},
		},
		Bits:  32,
		Local: local,
	})
	if err != nil {
		panic(err)
	}
	sum, err := dp.Draw(p) // the noise, before any record is read
	if err != nil {
		panic(err)
	}
	defer sum.Discard()
	record := make([]float64, p.Length())
	record[0] = 512.5 // a gradient in integer units
	if err := sum.Add(record); err != nil {
		panic(err)
	}
	noised, err := sum.Release()
	if err != nil {
		panic(err)
	}
	lanes, err := noised.Take()
	fmt.Println(len(lanes), err, "Δ² =", p.Sensitivity2(), "σ_i² =", local)
	// Output: 1108 <nil> Δ² = 1049633 σ_i² = 1048576
}
