package secagg

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
)

// A Segment is a named run of lanes with one scale. A real value v becomes the
// lane integer v·ScaleNum/ScaleDen, rounded half to even.
type Segment struct {
	Name     string
	Length   int    // number of lanes; 0 is allowed
	ScaleNum uint64 // 1 or more
	ScaleDen uint64 // 1 or more
}

var (
	// ErrOutOfLane means that a value is NaN, infinite or doesn't fit its lane.
	ErrOutOfLane = errors.New("secagg: value outside its lane")
	// ErrShape means that a slice doesn't have the length of the layout.
	ErrShape = errors.New("secagg: wrong shape")
)

// LaneError says where a value didn't fit. It wraps ErrOutOfLane and doesn't
// hold the value: errors are logged, values must not be.
type LaneError struct {
	Segment string
	Index   int    // within the segment
	Reason  string // "NaN", "infinite" or "outside the lane"
}

// Error names segment and index.
func (e *LaneError) Error() string {
	return fmt.Sprintf("secagg: segment %q, index %d: value is %s (hint: clip it, or agree on another scale or more bits)",
		e.Segment, e.Index, e.Reason)
}

// Unwrap returns ErrOutOfLane.
func (e *LaneError) Unwrap() error { return ErrOutOfLane }

// Quantise turns one slice of real values per segment into lane integers
// (length Params.Length), each exactly value·ScaleNum/ScaleDen rounded half to
// even. It never clamps: a NaN, an infinity or a value outside
// −2^(b−1) … 2^(b−1)−1 is a *LaneError; a wrong shape is ErrShape.
func (p Params) Quantise(segments [][]float64) ([]int64, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	if len(segments) != len(p.segments) {
		return nil, fmt.Errorf("%w: %d segments, the layout has %d (hint: encode with the job's own program)",
			ErrShape, len(segments), len(p.segments))
	}
	lanes := make([]int64, 0, p.length)
	for i, s := range p.segments {
		if len(segments[i]) != s.Length {
			return nil, fmt.Errorf("%w: segment %q has %d values, the layout has %d (hint: encode with the job's own program)",
				ErrShape, s.Name, len(segments[i]), s.Length)
		}
		for k, v := range segments[i] {
			lane, reason := s.quantise(v, p.laneOffset())
			if reason != "" {
				return nil, &LaneError{Segment: s.Name, Index: k, Reason: reason}
			}
			lanes = append(lanes, lane)
		}
	}
	return lanes, nil
}

// Dequantise maps opened sums back to real values, one slice per segment. Each
// is float64(sum)·float64(ScaleDen)/float64(ScaleNum) with one rounding per
// operation, hence the same bits on every platform; |sum| < 2^51 is exact. It
// panics if sum doesn't have Params.Length values.
func (p Params) Dequantise(sum []int64) [][]float64 {
	if len(sum) != p.length {
		panic("secagg: Dequantise of a sum that isn't of these Params")
	}
	out := make([][]float64, len(p.segments))
	for i, s := range p.segments {
		num, den := float64(s.ScaleNum), float64(s.ScaleDen)
		out[i] = make([]float64, s.Length)
		for k := range out[i] {
			out[i][k] = float64(float64(sum[k])*den) / num
		}
		sum = sum[s.Length:]
	}
	return out
}

// quantise rounds v·num/den; offset is 2^(b−1) ≤ 2^39. The quick way takes the
// float64 quotient y: five roundings (num, den, product, quotient, and the final
// difference) leave |y − v·num/den| < 2^40·5·2^-53 < 2^-10, so it decides
// whenever y isn't that close to a tie; else exact integers do.
func (s Segment) quantise(v float64, offset int64) (lane int64, reason string) {
	switch {
	case math.IsNaN(v):
		return 0, "NaN"
	case math.IsInf(v, 0):
		return 0, "infinite"
	}
	y := float64(v*float64(s.ScaleNum)) / float64(s.ScaleDen)
	if !(math.Abs(y) < float64(offset)+1) { // also when the product overflowed
		// v·num overflows float64 only if |v| > 2^959, and den < 2^64: out anyway.
		return 0, "outside the lane"
	}
	r := math.RoundToEven(y)
	if math.Abs(math.Abs(y-r)-0.5) > 1.0/1024 {
		lane = int64(r)
	} else {
		lane = s.quantiseExact(v)
	}
	if lane < -offset || lane >= offset {
		return 0, "outside the lane"
	}
	return lane, ""
}

// quantiseExact rounds |v·num/den| < 2^40, with a fraction near one half, in
// 128-bit integers. It is called with |v·num/den| ≥ 1/2 − 2^-10 only.
func (s Segment) quantiseExact(v float64) int64 {
	frac, exp := math.Frexp(math.Abs(v)) // |v| = frac·2^exp
	hi, lo := bits.Mul64(uint64(math.Ldexp(frac, 53)), s.ScaleNum)
	exp -= 53
	// The quotient is (hi,lo)·2^exp/den. With exp < 0 put 2^-exp to the
	// denominator in steps: floor and a sticky remainder are enough to round.
	var q uint64
	var cmp int // remainder against half the divisor: −1, 0, +1
	if exp >= 0 {
		// v is an integer multiple of 2^exp and the quotient is < 2^41, hence
		// (hi,lo)·2^exp < 2^41·den < 2^105: the shift stays within 128 bits.
		hi, lo = hi<<exp|lo>>(64-exp), lo<<exp
		q, cmp = divHalf(hi, lo, s.ScaleDen)
	} else {
		// floor((hi,lo)/den) = w, remainder r; then shift w right by −exp.
		wHi, r := hi/s.ScaleDen, hi%s.ScaleDen
		wLo, r := bits.Div64(r, lo, s.ScaleDen)
		q, cmp = shiftHalf(wHi, wLo, uint(-exp), r != 0)
	}
	if cmp > 0 || cmp == 0 && q&1 == 1 {
		q++
	}
	if v < 0 {
		return -int64(q)
	}
	return int64(q)
}

// divHalf returns ⌊(hi,lo)/den⌋, which fits 64 bits, and how the remainder
// compares with den/2.
func divHalf(hi, lo, den uint64) (q uint64, cmp int) {
	q, r := bits.Div64(hi, lo, den)
	switch {
	case r > den-r:
		return q, 1
	case r == den-r:
		return q, 0
	}
	return q, -1
}

// shiftHalf returns ⌊(hi,lo)/2^n⌋, which fits 64 bits, and how what was cut off
// (plus a positive rest below one unit, if sticky) compares with one half; n ≥ 1.
func shiftHalf(hi, lo uint64, n uint, sticky bool) (q uint64, cmp int) {
	// top is the highest bit cut off, rest says whether a lower one is set.
	var top, rest uint64
	switch {
	case n < 64:
		q = hi<<(64-n) | lo>>n
		top, rest = lo>>(n-1)&1, lo&(1<<(n-1)-1)
	case n == 64:
		q, top, rest = hi, lo>>63, lo<<1
	default:
		q, top, rest = hi>>(n-64), hi>>(n-65)&1, hi&(1<<(n-65)-1)|lo
	}
	switch {
	case top == 1 && (rest != 0 || sticky):
		return q, 1
	case top == 1:
		return q, 0
	}
	return q, -1
}
