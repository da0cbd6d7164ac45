package dp

import (
	"errors"
	"fmt"
	"math/big"
)

// Limits of Params.
const (
	MaxClip   = 1 << 30 // integer units
	MaxLength = 1 << 27 // lanes
	MinSigma  = 4       // integer units: see the package's conditions
)

// ErrParams marks options that don't describe a private sum.
var ErrParams = errors.New("not a private sum")

// Rounding says how a segment's values become integers.
type Rounding uint8

const (
	// Stochastic rounds up or down at random without bias, conditioned on the bound Δ² [KLS21].
	Stochastic Rounding = iota + 1
	// TowardZero cuts the fraction off: no slack in Δ², exact for values that are integers already.
	TowardZero
)

// Segment is a run of lanes whose contributions are clipped together. Values
// and norms are in integer units: the caller has multiplied by its scale.
type Segment struct {
	Name     string
	Length   int      // lanes, at least 1
	Clip     uint64   // L2 norm of one unit's contribution, 0..2^30; 0: a canary, noise only
	Rounding Rounding // Stochastic or TowardZero
}

// Norm2 returns the segment's exact bound on ‖integers of one unit‖₂². For
// clip norm c and d lanes it is c² for TowardZero, and for Stochastic
//
//	min( c² + ⌈d/4⌉ + c + ⌈√d/2⌉,  (c + ⌈√d⌉)² ),
//
// the bound of [KLS21, Thm. 1] at β = e^(-1/2): a rounding meets it with
// probability at least 1−β ≈ 0.39, and Sum draws again until it does. The
// guarantee rests on that check in integers, not on the bound's derivation.
func (s Segment) Norm2() uint64 {
	if s.Clip == 0 {
		return 0
	}
	c, d := s.Clip, uint64(s.Length)
	if s.Rounding == TowardZero {
		return c * c
	}
	root := ceilSqrt(new(big.Int).SetUint64(d)).Uint64()
	return min(c*c+(d+3)/4+c+(root+1)/2, (c+root)*(c+root))
}

// Options describe one participant's part of one private sum.
type Options struct {
	Segments []Segment
	Bits     int      // lane width b, 8..40: a lane holds integers below 2^(b-1) in size
	Local    Rational // σ_i², the variance parameter of this participant's noise, ≥ 16
}

// Params are validated Options, immutable.
type Params struct {
	segments []Segment
	length   int
	bits     int
	local    Rational
	norm2    uint64
	clamp    int64
	lane     int64
}

// NewParams checks o. Errors name the field, its value and its bound.
func NewParams(o Options) (Params, error) {
	fail := func(hint, format string, args ...any) (Params, error) {
		return Params{}, fmt.Errorf("dp: %s: %w\nhint: %s", fmt.Sprintf(format, args...), ErrParams, hint)
	}
	if len(o.Segments) == 0 || len(o.Segments) > 1024 {
		return fail("describe the lanes in segments", "%d segments, want 1 to 1024", len(o.Segments))
	}
	if o.Bits < 8 || o.Bits > 40 {
		return fail("use the codec's lane width", "bits=%d outside [8, 40]", o.Bits)
	}
	if !o.Local.Valid() || o.Local.Cmp(Integer(MinSigma*MinSigma)) < 0 {
		return fail("choose finer integer units, so that the same noise has a larger σ_i", "local variance %s is below %d", o.Local, MinSigma*MinSigma)
	}
	if _, err := newGaussian(o.Local); err != nil {
		return Params{}, err
	}
	p := Params{bits: o.Bits, local: o.Local, lane: 1<<(o.Bits-1) - 1}
	for i, s := range o.Segments {
		switch {
		case s.Length < 1 || s.Length > MaxLength || p.length+s.Length > MaxLength:
			return fail("split the vector", "segment %d (%s): length %d outside [1, 2^27] or too long in all", i, s.Name, s.Length)
		case s.Clip > MaxClip:
			return fail("choose coarser integer units", "segment %d (%s): clip %d above 2^30", i, s.Name, s.Clip)
		case s.Rounding != Stochastic && s.Rounding != TowardZero:
			return fail("set Stochastic or TowardZero", "segment %d (%s): unknown rounding %d", i, s.Name, s.Rounding)
		}
		p.length += s.Length
		p.norm2 += s.Norm2() // at most 1024·2^61.. is checked next
		if p.norm2 > 1<<61 {
			return fail("choose coarser integer units", "squared sensitivity above 2^61 at segment %d (%s)", i, s.Name)
		}
	}
	p.segments = append([]Segment(nil), o.Segments...)
	// ⌈12σ_i⌉ = ⌈√(144·num/den)⌉: noise exceeds it with probability below 2·e^-72.
	square := new(big.Int).SetUint64(o.Local.num)
	square.Mul(square, big.NewInt(144))
	den := new(big.Int).SetUint64(o.Local.den)
	square.Add(square, den).Sub(square, big.NewInt(1)).Quo(square, den)
	reserve := ceilSqrt(square)
	if !reserve.IsInt64() || reserve.Int64() >= p.lane {
		return fail("use wider lanes or coarser integer units", "⌈12σ_i⌉ = %s leaves no room in a lane of %d bits", reserve, o.Bits)
	}
	p.clamp = p.lane - reserve.Int64()
	return p, nil
}

// Length returns the number of lanes.
func (p Params) Length() int { return p.length }

// Sensitivity2 returns Δ², the exact squared L2 sensitivity of the integer sum
// over all segments together, under adding or removing one unit.
func (p Params) Sensitivity2() uint64 { return p.norm2 }

// Local returns σ_i².
func (p Params) Local() Rational { return p.local }

// Clamp returns 2^(b-1)−1−⌈12σ_i⌉: a lane of the sum is clamped to ± this before the noise.
func (p Params) Clamp() int64 { return p.clamp }

// ceilSqrt returns ⌈√n⌉.
func ceilSqrt(n *big.Int) *big.Int {
	r := isqrt(n)
	if new(big.Int).Mul(r, r).Cmp(n) < 0 {
		r.Add(r, big.NewInt(1))
	}
	return r
}
