package secagg_test

import (
	"bytes"
	"fmt"

	"tributary/crypto/secagg"
)

func Example() {
	p, err := secagg.NewParams(secagg.Options{
		Contributors: 3, Bits: 24, Threshold: 2, Seats: 3,
		Segments: []secagg.Segment{
			{Name: "rows", Length: 1, ScaleNum: 1, ScaleDen: 1},
			{Name: "gradient", Length: 2, ScaleNum: 1<<23 - 1, ScaleDen: 1},
		},
	})
	check(err)
	ctx := secagg.Context{1} // the digest of the round's Plan

	// Each seat makes a key for the job.
	keys, seats := make([]*secagg.SeatKey, 3), make([]secagg.Seat, 3)
	for i := range keys {
		keys[i], err = secagg.GenerateSeatKey()
		check(err)
		seats[i] = secagg.Seat{Index: uint16(i + 1), Member: secagg.Member{byte(i + 1)}, PublicKey: keys[i].Public()}
	}

	// Each contributor seals its vector; the coordinator adds, the seats unseal.
	acc := secagg.NewAccumulator(p, ctx)
	shares := make([][]secagg.Share, len(seats))
	for _, s := range seats {
		lanes, err := p.Quantise([][]float64{{100}, {0.25, -0.5}})
		check(err)
		up, err := secagg.Encrypt(p, ctx, s.Member, seats, lanes)
		check(err)
		check(acc.AddReader(bytes.NewReader(up.Payload)))
		for i, seat := range seats {
			share, err := keys[i].OpenShare(ctx, s.Member, seat.Member, seat.Index, up.Shares[i])
			check(err)
			shares[i] = append(shares[i], share)
		}
	}

	// Any two seats open the sum.
	var replies []secagg.Reply
	for _, i := range []int{2, 0} {
		sum, err := secagg.ParseShareSum(secagg.SumShares(shares[i]).Bytes())
		check(err)
		replies = append(replies, secagg.Reply{Index: seats[i].Index, Sum: sum})
	}
	opened, err := acc.Open(replies)
	check(err)
	fmt.Printf("%.4f\n", p.Dequantise(opened.Values))
	// Output: [[300.0000] [0.7500 -1.5000]]
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
