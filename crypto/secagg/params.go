package secagg

import (
	"errors"
	"fmt"
	"math/bits"
	"strconv"
)

// Binding sizes of the scheme. Each carries the reason for its value.
const (
	// ringDegree is N, the number of coefficients of a polynomial.
	ringDegree = 4096

	// prime0 (53 bits) and prime1 (52 bits) are ≡ 1 mod 2N; Q is their product.
	// 2^104 < Q < 2^105. At N = 4096 and σ = 3.2 the lattice estimator gives at
	// least 128 bits up to log2 Q = 106, also for the halved width σ/2 that the
	// hints of an opened sum leave to two honest contributors [KLSS23].
	prime0 = 0x10000000060001
	prime1 = 0xffffffffca001

	// plaintextBits is the largest x with 2^x ≤ Q.
	plaintextBits = 104

	// noiseBound bounds every key and error coefficient: |x| ≤ 19 < noiseBound.
	noiseBound = 20

	// minErrorBits keeps the room below the lanes wide enough that a wrong key
	// sum shows: at most 1 in 6 random coefficients passes the error check (see
	// acceptBound), so 64 of them pass with probability below 2^-165.
	minErrorBits = 12

	// minCoefficients is the least number of coefficients sent, so that a wrong
	// key sum is found in the shortest payload too.
	minCoefficients = 64

	// MaxContributors is the largest n with 20·n < 32768, so that a sum of n keys
	// keeps its sign modulo 65537.
	MaxContributors = 1638

	// MaxSeats bounds the committee; it is a sanity bound, not a security one.
	MaxSeats = 64

	// MinBits and MaxBits bound the width of one contributor's lane.
	MinBits = 8
	MaxBits = 40

	// MaxCoefficients bounds a payload to 220 MB and an accumulator to 268 MB.
	MaxCoefficients = 1 << 24
)

// ErrParams is wrapped by every *ParamError.
var ErrParams = errors.New("secagg: invalid parameters")

// ParamError names the parameter that NewParams refused. It wraps ErrParams.
type ParamError struct {
	Field string // as in Options, for example "Segments[2].ScaleDen"
	Value string // the value given
	Bound string // what was expected
	Hint  string // what to do about it
}

// Error returns the field, its value, its bound and the remedy.
func (e *ParamError) Error() string {
	return fmt.Sprintf("secagg: %s is %s, must be %s (hint: %s)", e.Field, e.Value, e.Bound, e.Hint)
}

// Unwrap returns ErrParams.
func (e *ParamError) Unwrap() error { return ErrParams }

// Options are the parameters of one kind of round, as agreed in the job.
type Options struct {
	Contributors int       // n_max, the largest number of payloads in one sum, 1..MaxContributors
	Bits         int       // b, bits of one contributor's lane, MinBits..MaxBits
	Threshold    int       // t, replies that open, 1..Seats
	Seats        int       // m, size of the committee, 1..MaxSeats
	Segments     []Segment // what the lanes mean, in order
}

// Params are validated, immutable parameters. The zero Params is refused by
// every function of this package. Params may be copied and used concurrently.
type Params struct {
	contributors, bits, threshold, seats      int
	sumBits, errorBits, lanes, length, coeffs int
	segments                                  []Segment
}

// NewParams validates o and derives the layout. Every bound is proved here in
// integers, so that no sum of up to o.Contributors honest payloads can overflow
// a lane, the error room or Q:
//
//   - a lane sum is at most n(2^b−1) < 2^SumBits;
//   - an error sum e has 2|e| ≤ 2·20n < 2^ErrorBits;
//   - Lanes·SumBits + ErrorBits ≤ 104, so that 2^ErrorBits·m + e + 2^(ErrorBits−1)
//     lies in [0, 2^104) and 2^104 ≤ Q;
//   - a key sum is at most 20n < 32768 = ⌊65537/2⌋ in magnitude.
//
// The error holds a *ParamError for errors.As, and wraps ErrParams.
func NewParams(o Options) (Params, error) {
	if err := checkOptions(o); err != nil {
		return Params{}, err
	}
	n := uint64(o.Contributors)
	p := Params{
		contributors: o.Contributors, bits: o.Bits, threshold: o.Threshold, seats: o.Seats,
		segments: append([]Segment(nil), o.Segments...),
	}
	// ⌈log2(x+1)⌉ = bits.Len64(x); n(2^b−1) < 2^51, so nothing overflows here.
	p.sumBits = bits.Len64(n * (1<<o.Bits - 1))
	p.errorBits = max(minErrorBits, bits.Len64(2*n*noiseBound))
	p.lanes = (plaintextBits - p.errorBits) / p.sumBits // ≥ (104−16)/51 = 1
	for i, s := range o.Segments {
		if s.Length > MaxCoefficients*p.lanes-p.length {
			return Params{}, &ParamError{fmt.Sprintf("Segments[%d].Length", i), strconv.Itoa(s.Length),
				fmt.Sprintf("such that all lengths total at most %d", MaxCoefficients*p.lanes),
				"use fewer Bits, or a smaller model"}
		}
		p.length += s.Length
	}
	if p.length == 0 {
		return Params{}, &ParamError{"Segments", "empty", "at least one lane", "give a segment a positive Length"}
	}
	p.coeffs = max(minCoefficients, (p.length+p.lanes-1)/p.lanes)
	return p, nil
}

func checkOptions(o Options) error {
	between := func(field string, v, lo, hi int, hint string) error {
		if v < lo || v > hi {
			return &ParamError{field, strconv.Itoa(v), fmt.Sprintf("%d to %d", lo, hi), hint}
		}
		return nil
	}
	if err := errors.Join(
		between("Contributors", o.Contributors, 1, MaxContributors, "split the cohort"),
		between("Bits", o.Bits, MinBits, MaxBits, "choose the codec's bits in this range"),
		between("Seats", o.Seats, 1, MaxSeats, "choose a smaller committee"),
	); err != nil {
		return err
	}
	if err := between("Threshold", o.Threshold, 1, o.Seats, "t can't exceed the number of seats"); err != nil {
		return err
	}
	seen := make(map[string]bool, len(o.Segments))
	for i, s := range o.Segments {
		field := fmt.Sprintf("Segments[%d]", i)
		switch {
		case s.Name == "" || seen[s.Name]:
			return &ParamError{field + ".Name", strconv.Quote(s.Name), "present and unique", "rename the segment"}
		case s.Length < 0:
			return &ParamError{field + ".Length", strconv.Itoa(s.Length), "0 or more", "fix the layout"}
		case s.ScaleNum == 0:
			return &ParamError{field + ".ScaleNum", "0", "1 or more", "use 1/1 for counts"}
		case s.ScaleDen == 0:
			return &ParamError{field + ".ScaleDen", "0", "1 or more", "use 1/1 for counts"}
		}
		seen[s.Name] = true
	}
	return nil
}

// Contributors returns n_max, the largest number of payloads in one sum.
func (p Params) Contributors() int { return p.contributors }

// Bits returns b, the width of one contributor's lane: −2^(b−1) … 2^(b−1)−1.
func (p Params) Bits() int { return p.bits }

// Threshold returns t, the number of replies that open a sum.
func (p Params) Threshold() int { return p.threshold }

// Seats returns m, the size of the committee.
func (p Params) Seats() int { return p.seats }

// SumBits returns the width of a lane in the sum, ⌈log2(n(2^b−1)+1)⌉.
func (p Params) SumBits() int { return p.sumBits }

// ErrorBits returns ℓ, the room for the error sum below the lanes.
func (p Params) ErrorBits() int { return p.errorBits }

// Lanes returns the number of lanes in one coefficient.
func (p Params) Lanes() int { return p.lanes }

// Length returns the total number of lanes over all segments.
func (p Params) Length() int { return p.length }

// Coefficients returns the number of coefficients of a payload.
func (p Params) Coefficients() int { return p.coeffs }

// PayloadBytes returns the exact size of every payload, in bytes. It depends on
// the parameters only, never on the data.
func (p Params) PayloadBytes() int { return payloadHeaderBytes + residueBytes(p.coeffs) }

// Segments returns a copy of the layout.
func (p Params) Segments() []Segment { return append([]Segment(nil), p.segments...) }

func (p Params) polynomials() int { return (p.coeffs + ringDegree - 1) / ringDegree }

// laneOffset is what offset-binary adds to a lane, 2^(b−1).
func (p Params) laneOffset() int64 { return 1 << (p.bits - 1) }

func (p Params) check() error {
	if p.coeffs == 0 {
		return fmt.Errorf("%w: the zero Params (hint: make them with NewParams)", ErrParams)
	}
	return nil
}
