package round

import (
	"encoding/binary"

	"tributary/crypto/dp"
	"tributary/crypto/secagg"
	"tributary/protocol/wire"
)

// A noised job's payload is a version, then each lane v as v + 2^(b-1) in ⌈b/8⌉ bytes, big-endian (SPEC §6).
const clearVersion = 1

// ClearBytes is the size of a noised job's payload.
func ClearBytes(p secagg.Params) int { return 2 + p.Length()*laneBytes(p) }

func laneBytes(p secagg.Params) int { return (p.Bits() + 7) / 8 }

// packClear encodes lanes that carry their whole noise; they are within their bounds, as dp.Sum gives out no others.
func packClear(p secagg.Params, lanes []int64) []byte {
	out := binary.BigEndian.AppendUint16(make([]byte, 0, ClearBytes(p)), clearVersion)
	width := laneBytes(p)
	for _, v := range lanes {
		u := uint64(v + 1<<(p.Bits()-1))
		for i := width - 1; i >= 0; i-- {
			out = append(out, byte(u>>(8*i)))
		}
	}
	return out
}

// unpackClear is strict: the size and each lane's bound are checked.
func unpackClear(p secagg.Params, payload []byte) ([]int64, error) {
	if len(payload) != ClearBytes(p) || binary.BigEndian.Uint16(payload) != clearVersion {
		return nil, refuse(RuleUpload, "", "a noised payload of %d bytes, want %d of version %d", len(payload), ClearBytes(p), clearVersion)
	}
	out, width := make([]int64, p.Length()), laneBytes(p)
	for i, at := 0, 2; i < len(out); i, at = i+1, at+width {
		u := uint64(0)
		for _, b := range payload[at : at+width] {
			u = u<<8 | uint64(b)
		}
		if u >= 1<<p.Bits() {
			return nil, refuse(RuleUpload, "", "lane %d of a noised payload is out of its bounds", i)
		}
		out[i] = int64(u) - 1<<(p.Bits()-1)
	}
	return out, nil
}

// openedSum is what payloads add up to.
type openedSum struct {
	secagg.Opened
	fault   error
	faultOf int
}

func sealedSum(p secagg.Params, ctx secagg.Context, replies []secagg.Reply) (add func([]byte) error, finish func() (*openedSum, error)) {
	sum := secagg.NewAccumulator(p, ctx)
	return sum.Add, func() (*openedSum, error) {
		o, err := sum.Open(replies)
		if err != nil {
			return nil, err
		}
		return &openedSum{Opened: *o, faultOf: -1}, nil
	}
}

// clearSum adds a noised job's payloads, and checks the noise of each.
func (j *Job) clearSum(kind wire.RoundKind) (add func([]byte) error, finish func() (*openedSum, error)) {
	p := j.Params(kind)
	out := &openedSum{faultOf: -1}
	out.Values = make([]int64, p.Length())
	n := 0
	add = func(payload []byte) error {
		lanes, err := unpackClear(p, payload)
		if err != nil {
			return err
		}
		canary := make([]float64, dp.CanaryLanes)
		for i, v := range lanes[len(lanes)-dp.CanaryLanes:] {
			canary[i] = float64(v)
		}
		if err := j.checkCanary(kind, canary, 1); err != nil && out.fault == nil {
			out.fault, out.faultOf = err, n
		}
		for i, v := range lanes { // at most 1638 lanes of 40 bits: no overflow
			out.Values[i] += v
		}
		n++
		return nil
	}
	return add, func() (*openedSum, error) { return out, nil }
}

// checkCanary tests the noise of n contributions together.
func (j *Job) checkCanary(kind wire.RoundKind, lanes []float64, n int) error {
	r, ok := j.Manifest.Round(kind)
	if !ok {
		return dp.ErrCanary
	}
	return dp.CheckCanary(lanes, float64(n)*float64(r.DP.Sigma2Local))
}
