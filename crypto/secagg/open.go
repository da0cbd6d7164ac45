package secagg

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"slices"
)

var (
	// ErrUsed means that the accumulator was opened: make a new one.
	ErrUsed = errors.New("secagg: accumulator was already opened")
	// ErrFull means that the accumulator holds Contributors payloads.
	ErrFull = errors.New("secagg: accumulator is full")
	// ErrEmpty means that nothing was added.
	ErrEmpty = errors.New("secagg: accumulator is empty")
	// ErrTooFewReplies means that fewer than t replies are usable: ask more seats.
	ErrTooFewReplies = errors.New("secagg: too few replies")
	// ErrUnopenable means that no key sum of these replies opens the payloads, or
	// two do: ask another seat, or abort the round.
	ErrUnopenable = errors.New("secagg: sum doesn't open")
	// ErrRange means that more than t replies agree on the key sum, and the
	// payloads don't fit it: a contributor's payload and shares don't belong
	// together. Asking other seats doesn't help: abort the round.
	ErrRange = errors.New("secagg: sum out of range")
)

// An Accumulator adds the payloads of one context. Its memory is 16 bytes per
// coefficient, however many payloads it adds. It opens once. It must not be
// copied or used concurrently.
type Accumulator struct {
	p      Params
	ctx    Context
	header [payloadHeaderBytes]byte
	sums   [2][]uint64 // modulo prime0 and prime1
	count  int
	opened bool
	buf    []byte // of AddReader
}

// NewAccumulator returns an empty accumulator. It panics on the zero Params.
func NewAccumulator(p Params, ctx Context) *Accumulator {
	if err := p.check(); err != nil {
		panic("secagg: NewAccumulator: " + err.Error())
	}
	return &Accumulator{p: p, ctx: ctx, header: p.payloadHeader(ctx),
		sums: [2][]uint64{make([]uint64, p.coeffs), make([]uint64, p.coeffs)}}
}

// Count returns the number of payloads added.
func (a *Accumulator) Count() int { return a.count }

// Add checks a payload completely, then adds it: after an error the accumulator
// is as before. The caller has checked who signed it and that it is added once.
// Errors: ErrMalformed, ErrFull, ErrUsed.
func (a *Accumulator) Add(payload []byte) error {
	if err := a.ready(); err != nil {
		return err
	}
	if size := a.p.PayloadBytes(); len(payload) != size {
		return fmt.Errorf("%w: payload of %d bytes, want %d (hint: transfer cut short, or other parameters)",
			ErrMalformed, len(payload), size)
	}
	if err := checkPayloadHeader((*[payloadHeaderBytes]byte)(payload), &a.header); err != nil {
		return err
	}
	body := payload[payloadHeaderBytes:]
	if !residuesCanonical(body, a.p.coeffs) {
		return fmt.Errorf("%w: payload with a coefficient not below its prime, or bits behind the last (hint: the sender is faulty)", ErrMalformed)
	}
	addResidues(a.sums[0], a.sums[1], body)
	a.count++
	return nil
}

// AddReader reads one payload to the end of r and adds it as Add does. It reads
// at most one byte more than a payload has, checks the header before the rest,
// and keeps one payload's buffer for the next call. Errors of r are wrapped.
func (a *Accumulator) AddReader(r io.Reader) error {
	if err := a.ready(); err != nil {
		return err
	}
	size := a.p.PayloadBytes()
	if a.buf == nil {
		a.buf = make([]byte, size+1)
	}
	short := func(n int, err error) error {
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return fmt.Errorf("%w: payload of %d bytes, want %d (hint: transfer cut short)", ErrMalformed, n, size)
		}
		return fmt.Errorf("secagg: read payload: %w", err)
	}
	if n, err := io.ReadFull(r, a.buf[:payloadHeaderBytes]); err != nil {
		return short(n, err)
	}
	if err := checkPayloadHeader((*[payloadHeaderBytes]byte)(a.buf), &a.header); err != nil {
		return err
	}
	n, err := io.ReadFull(r, a.buf[payloadHeaderBytes:])
	n += payloadHeaderBytes
	if n < size || err != nil && err != io.ErrUnexpectedEOF {
		return short(n, err)
	}
	return a.Add(a.buf[:n])
}

func (a *Accumulator) ready() error {
	switch {
	case a.opened:
		return fmt.Errorf("%w (hint: make a new one)", ErrUsed)
	case a.count == a.p.contributors:
		return fmt.Errorf("%w: %d payloads (hint: the roster is longer than the job allows)", ErrFull, a.count)
	}
	return nil
}

// A Reply is the share sum that a seat returned. Index is the seat whose
// signature was checked.
type Reply struct {
	Index uint16
	Sum   ShareSum
}

// Opened is an opened sum.
type Opened struct {
	Values []int64 // length Params.Length: the true signed sums of the lanes
	KMax   int64   // largest magnitude in the key sum
	EMax   int64   // largest magnitude in the error sum
	// Suspects are the seats, ascending, whose reply isn't the one that opens:
	// "seat j, or a sender's share to j", never the seat alone. A contributor
	// can frame a seat with one share off its polynomial.
	Suspects []uint16
}

// Open opens the sum with the replies of at least t distinct seats. Whatever the
// number of replies, a key sum is accepted only if all of key, errors and lanes
// are in range (see acceptBound), so that all openers accept the same sums:
//
//  1. If at most ⌊(r−t)/2⌋ of r replies are wrong, Reed–Solomon decoding finds them.
//  2. Else each t-subset is tried, up to maxSubsets. Two different key sums that
//     open the payloads are refused: the replies don't say which is true.
//
// After success the accumulator is used up. After an error it is as before, and
// Open may be tried with more replies: each honest reply is a fixed function of
// the roster, so that retries tell nothing new. Errors: ErrUsed, ErrEmpty,
// ErrMalformed (indices), ErrTooFewReplies, ErrUnopenable, ErrRange.
func (a *Accumulator) Open(replies []Reply) (*Opened, error) {
	if a.opened {
		return nil, fmt.Errorf("%w (hint: make a new one)", ErrUsed)
	}
	if a.count == 0 {
		return nil, ErrEmpty
	}
	usable, suspects, err := a.screen(replies)
	if err != nil {
		return nil, err
	}
	t := a.p.threshold
	if len(usable.xs) < t {
		return nil, fmt.Errorf("%w: %d usable, want %d (hint: ask other seats)", ErrTooFewReplies, len(usable.xs), t)
	}
	out := &Opened{Values: make([]int64, a.p.length)}
	good, wrong, ok := usable.correct(t)
	if ok && a.tryKey(good.interpolate(), out) {
		return a.finish(out, usable, good, suspects), nil
	}
	if ok && wrong == 0 && len(usable.xs) > t {
		return nil, fmt.Errorf("%w: %d replies agree (hint: abort the round; a contributor's payload and shares don't belong together)",
			ErrRange, len(usable.xs))
	}
	good, err = usable.search(t, func(k *vector) bool { return a.tryKey(k, nil) })
	if err != nil {
		return nil, err
	}
	if !a.tryKey(good.interpolate(), out) {
		panic("secagg: a key sum that opened doesn't open again")
	}
	return a.finish(out, usable, good, suspects), nil
}

// screen sorts out replies that can't be right: sums of another seat or of
// another number of shares.
func (a *Accumulator) screen(replies []Reply) (usable points, suspects []uint16, err error) {
	var seen [MaxSeats + 1]bool
	for _, r := range replies {
		if r.Index < 1 || int(r.Index) > a.p.seats || seen[r.Index] {
			return points{}, nil, fmt.Errorf("%w: reply of seat %d, want seats 1 to %d, each once", ErrMalformed, r.Index, a.p.seats)
		}
		seen[r.Index] = true
		if r.Sum.values == nil || r.Sum.index != r.Index || int(r.Sum.count) != a.count {
			suspects = append(suspects, r.Index)
			continue
		}
		usable.xs, usable.ys = append(usable.xs, uint64(r.Index)), append(usable.ys, r.Sum.values)
	}
	return usable, suspects, nil
}

func (a *Accumulator) finish(out *Opened, usable, good points, suspects []uint16) *Opened {
	rows, _ := usable.offPolynomial(good)
	for _, i := range rows {
		suspects = append(suspects, uint16(usable.xs[i]))
	}
	slices.Sort(suspects)
	out.Suspects = suspects
	a.opened, a.sums, a.buf = true, [2][]uint64{}, nil
	return out
}

// acceptBound returns min(20n, ⌊10σ√n⌋) = min(20n, ⌊√(1024·n)⌋), the largest
// magnitude accepted in a key sum and in an error sum of n contributions. Honest
// ones stay below except with probability 5·10⁻²² per coefficient (see
// gaussianTail). Under a wrong key the errors are spread over 2^ℓ values, of
// which at most 1 in 6 is accepted.
func acceptBound(n int) int64 {
	root := int64(math.Sqrt(float64(1024 * n))) // exact: 1024n < 2^21
	return min(noiseBound*int64(n), root)
}

// tryKey opens all coefficients with a key sum and reports whether everything is
// in range. With out == nil it only checks. It leaves the accumulator as it is.
func (a *Accumulator) tryKey(key *vector, out *Opened) bool {
	p, n := &a.p, a.count
	bound := acceptBound(n)
	var small [ringDegree]int64
	kMax, ok := key.centred(bound, &small)
	if !ok {
		return false
	}
	r := rlweRing()
	k, c := new(poly), new(poly)
	r.keyTransform(&small, k)

	half := uint64(1) << (p.errorBits - 1)
	width := uint(p.lanes*p.sumBits + p.errorBits) // at most 104
	qHi, qLo := bits.Mul64(prime0, prime1)
	var eMax int64
	left := p.length
	var dst []int64
	if out != nil {
		dst = out.Values
	}
	for j := range p.polynomials() {
		r.mask(a.ctx, j, k, c)
		s0, s1 := a.sums[0][j*ringDegree:], a.sums[1][j*ringDegree:]
		for x := range min(ringDegree, len(s0)) {
			hi, lo := r.lift(subtractOnce(s0[x]+prime0-c[0][x], prime0), subtractOnce(s1[x]+prime1-c[1][x], prime1))
			// Shift the errors to the positive side, then reduce modulo Q.
			lo, carry := bits.Add64(lo, half, 0)
			hi += carry
			dLo, borrow := bits.Sub64(lo, qLo, 0)
			if dHi, borrow := bits.Sub64(hi, qHi, borrow); borrow == 0 {
				hi, lo = dHi, dLo
			}
			if hi>>(max(width, 64)-64) != 0 || width < 64 && (hi != 0 || lo>>width != 0) {
				return false
			}
			e := int64(lo&(2*half-1)) - int64(half)
			if e < 0 {
				e = -e
			}
			eMax = max(eMax, e)
			l := uint(p.errorBits)
			hi, lo = hi>>l, lo>>l|hi<<(64-l)
			used := min(p.lanes, left)
			if e > bound || !p.lanesOf(hi, lo, n, used, dst) {
				return false
			}
			left -= used
			if dst != nil {
				dst = dst[used:]
			}
		}
	}
	if out != nil {
		out.KMax, out.EMax = kMax, eMax
	}
	return true
}
