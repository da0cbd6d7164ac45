package secagg

import "fmt"

// A coefficient's message is Σ_i u_i·2^(i·SumBits) over its Lanes lanes, u_i the
// lane in offset-binary: u = v + 2^(b−1), 0 ≤ u < 2^b. Lanes behind the last are
// zero. Messages stay below 2^(Lanes·SumBits) ≤ 2^92, in sums too.

// checkLanes returns an error unless lanes has the layout's length and each is
// in −2^(b−1) … 2^(b−1)−1.
func (p *Params) checkLanes(lanes []int64) error {
	if len(lanes) != p.length {
		return fmt.Errorf("%w: %d lanes, the parameters have %d (hint: quantise with the same Params)",
			ErrShape, len(lanes), p.length)
	}
	offset := p.laneOffset()
	var bad uint64
	for _, v := range lanes {
		bad |= uint64(v+offset) >> p.bits // also if v+offset is negative or wrapped
	}
	if bad == 0 {
		return nil
	}
	for i, v := range lanes {
		if uint64(v+offset)>>p.bits != 0 {
			return fmt.Errorf("%w: lane %d doesn't fit %d bits (hint: quantise with the same Params)",
				ErrOutOfLane, i, p.bits)
		}
	}
	panic("secagg: a lane changed while it was checked")
}

// message returns 2^ErrorBits times the message of at most Lanes lanes.
func (p *Params) message(lanes []int64) (hi, lo uint64) {
	offset, b, l := p.laneOffset(), uint(p.sumBits), uint(p.errorBits)
	for i := len(lanes) - 1; i >= 0; i-- {
		hi = hi<<b | lo>>(64-b)
		lo = lo<<b | uint64(lanes[i]+offset)
	}
	return hi<<l | lo>>(64-l), lo << l
}

// lanesOf splits the message of a sum of n contributions: used lanes go to dst
// as signed sums (dst is nil to check only). It reports whether each lane is at
// most n(2^b−1) and whatever follows the used lanes is zero.
func (p *Params) lanesOf(hi, lo uint64, n, used int, dst []int64) bool {
	b := uint(p.sumBits)
	limit := uint64(n) * (1<<p.bits - 1)
	offset := int64(n) << (p.bits - 1)
	for i := range used {
		u := lo & (1<<b - 1)
		if u > limit {
			return false
		}
		if dst != nil {
			dst[i] = int64(u) - offset
		}
		lo = lo>>b | hi<<(64-b)
		hi >>= b
	}
	return hi|lo == 0
}
