package trial

import (
	"context"
	"fmt"

	"tributary/crypto/dp"
	"tributary/crypto/secagg"
	"tributary/models/dataset"
	"tributary/models/linear"
	"tributary/models/optim"
	"tributary/protocol/jobspec"
)

// committee opens the sums of one job.
type committee struct {
	keys  []*secagg.SeatKey
	seats []secagg.Seat
}

func newCommittee() (*committee, error) {
	c := &committee{}
	for i := range seats {
		key, err := secagg.GenerateSeatKey()
		if err != nil {
			return nil, err
		}
		c.keys = append(c.keys, key)
		c.seats = append(c.seats, secagg.Seat{Index: uint16(i + 1), Member: secagg.Member{byte(i + 1)}, PublicKey: key.Public()})
	}
	return c, nil
}

// Train runs a whole private job, one table a participant, with fresh noise and fresh keys: two runs differ.
func Train(ctx context.Context, r *jobspec.Resolved, tables []*dataset.Table) (*optim.Program, *optim.State, error) {
	p, err := optim.ParseProgram(r.Program())
	if err != nil {
		return nil, nil, err
	}
	c, err := newCommittee()
	if err != nil {
		return nil, nil, err
	}
	s := p.Initial()
	for step := 1; s.Kind() != optim.Done; step++ {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		sums, err := c.round(p, s, len(tables), secagg.Context{byte(step), byte(step >> 8)}, func(i int, _ secagg.Params) ([]int64, error) {
			return noised(r, p, s, tables[i])
		})
		if err == nil {
			sums, err = withoutCanary(r, s.Kind(), sums, len(tables))
		}
		if err != nil {
			return nil, nil, fmt.Errorf("step %d: %w", step, err)
		}
		if s, _, err = p.Apply(s, sums); err != nil {
			return nil, nil, fmt.Errorf("step %d: %w", step, err)
		}
	}
	return p, s, nil
}

// round is one sum: every participant's part, in lanes, is encrypted, and threshold seats open their total.
func (c *committee) round(p *optim.Program, s *optim.State, participants int, ctx secagg.Context, part func(i int, codec secagg.Params) ([]int64, error)) ([][]float64, error) {
	options := secagg.Options{Contributors: participants, Bits: p.Bits, Threshold: threshold, Seats: seats}
	for _, seg := range p.Layout(s.Kind()) {
		options.Segments = append(options.Segments, secagg.Segment{Name: seg.Name, Length: seg.Length, ScaleNum: seg.ScaleNum, ScaleDen: seg.ScaleDen})
	}
	if p.Private() {
		options.Segments = append(options.Segments, secagg.Segment{Name: dp.Canary().Name, Length: dp.CanaryLanes, ScaleNum: 1, ScaleDen: 1})
	}
	codec, err := secagg.NewParams(options)
	if err != nil {
		return nil, err
	}
	sum := secagg.NewAccumulator(codec, ctx)
	shares := make([][]secagg.Share, threshold)
	for i := range participants {
		lanes, err := part(i, codec)
		if err != nil {
			return nil, err
		}
		sender := secagg.Member{100, byte(i)}
		upload, err := secagg.Encrypt(codec, ctx, sender, c.seats, lanes)
		if err != nil {
			return nil, err
		}
		if err := sum.Add(upload.Payload); err != nil {
			return nil, err
		}
		for j := range shares {
			share, err := c.keys[j].OpenShare(ctx, sender, c.seats[j].Member, c.seats[j].Index, upload.Shares[j])
			if err != nil {
				return nil, err
			}
			shares[j] = append(shares[j], share)
		}
	}
	var replies []secagg.Reply
	for j := range shares {
		replies = append(replies, secagg.Reply{Index: c.seats[j].Index, Sum: secagg.SumShares(shares[j])})
	}
	opened, err := sum.Open(replies)
	if err != nil {
		return nil, err
	}
	return codec.Dequantise(opened.Values), nil
}

// withoutCanary checks the lanes of noise alone of a private sum and cuts them off.
func withoutCanary(r *jobspec.Resolved, kind optim.RoundKind, sum [][]float64, participants int) ([][]float64, error) {
	last := len(sum) - 1
	noise, _, _ := r.Noise(uint8(kind))
	if err := dp.CheckCanary(sum[last], float64(participants)*noise.Local.Float()); err != nil {
		return nil, err
	}
	return sum[:last], nil
}

// noised is one participant's part of a sum, in lanes.
func noised(r *jobspec.Resolved, p *optim.Program, s *optim.State, table *dataset.Table) ([]int64, error) {
	noise, charged, ok := r.Noise(uint8(s.Kind()))
	if !ok {
		return nil, fmt.Errorf("trial: no noise for %v", s.Kind())
	}
	params, err := dp.NewParams(noise)
	if err != nil {
		return nil, err
	}
	local, err := dp.Draw(params)
	if err != nil {
		return nil, err
	}
	design, err := linear.Prepare(p, s, table)
	if err != nil {
		return nil, err
	}
	var batch []int
	if rate := charged.Rate; rate != dp.Integer(1) {
		if batch, err = dp.Sample(rate, design.Units(s)); err != nil {
			return nil, err
		}
	}
	units, err := design.SparseContributions(s, batch)
	if err != nil {
		return nil, err
	}
	for lanes, values := range units {
		if err := local.AddSparse(lanes, values); err != nil {
			return nil, err
		}
	}
	released, err := local.Release()
	if err != nil {
		return nil, err
	}
	return released.Take()
}
