package dp

import (
	"errors"
	"fmt"
	"slices"
)

// Errors of a Sum and of what it releases.
var (
	ErrLength    = errors.New("wrong number of lanes")
	ErrSpent     = errors.New("already released")
	ErrOutOfLane = errors.New("a noised value is outside its lane")
)

// Sum adds up the clipped contributions of units and releases them once, with
// noise. Its noise was drawn before it could take a unit: there is no other way
// to make one. It isn't safe for concurrent use.
//
//	Draw → Add … → Release | Discard
type Sum struct {
	params Params
	noise  []int64 // nil: released or discarded
	total  []int64
	coins  *Coins // for stochastic rounding
	unit   []int64
	units  int
}

// Draw samples all noise of one private sum and returns the empty sum. Call it
// once per (job, round), before data is read; call Release or Discard in the end.
func Draw(p Params) (*Sum, error) {
	coins, err := NewCoins()
	if err != nil {
		return nil, err
	}
	return draw(p, coins)
}

func draw(p Params, coins *Coins) (*Sum, error) {
	if p.length == 0 {
		coins.Erase()
		return nil, fmt.Errorf("dp: draw noise: empty parameters: %w\nhint: make them with NewParams", ErrParams)
	}
	s := &Sum{params: p, noise: make([]int64, p.length), total: make([]int64, p.length), coins: coins}
	if err := coins.Gaussian(s.noise, p.local); err != nil {
		s.Discard()
		return nil, err
	}
	longest := 0
	for _, seg := range p.segments {
		longest = max(longest, seg.Length)
	}
	s.unit = make([]int64, longest)
	return s, nil
}

// Add is AddSparse of a contribution with a value for every lane.
func (s *Sum) Add(unit []float64) error {
	if len(unit) != s.params.length {
		return fmt.Errorf("dp: add unit of %d lanes to a sum of %d: %w\nhint: one value per lane, segments in order", len(unit), s.params.length, ErrLength)
	}
	lanes := make([]int, len(unit))
	for i := range lanes {
		lanes[i] = i
	}
	return s.AddSparse(lanes, unit)
}

// AddSparse clips one unit's contribution, in integer units, segment by segment,
// rounds it and adds it. It is given by the lanes that aren't zero, ascending, and
// their values: rounding keeps zeros. Values of a canary's lanes are ignored. A
// contribution that holds NaN or Inf adds nothing: an error would tell of the
// data. Errors tell only of misuse.
func (s *Sum) AddSparse(lanes []int, values []float64) error {
	if s.noise == nil {
		return fmt.Errorf("dp: add unit: %w\nhint: draw a new sum", ErrSpent)
	}
	if len(lanes) != len(values) {
		return fmt.Errorf("dp: add unit of %d lanes and %d values: %w\nhint: one value per lane", len(lanes), len(values), ErrLength)
	}
	for i, lane := range lanes {
		if lane < 0 || lane >= s.params.length || i > 0 && lane <= lanes[i-1] {
			return fmt.Errorf("dp: add unit: lane %d to a sum of %d lanes, or not ascending: %w\nhint: segments in order, each lane once", lane, s.params.length, ErrLength)
		}
	}
	if s.units == 1<<31 {
		return fmt.Errorf("dp: add unit: more than 2^31 units: %w\nhint: split the sum", ErrLength)
	}
	s.units++
	if !finite(values) {
		return nil
	}
	end := 0
	for _, seg := range s.params.segments {
		end += seg.Length
		n, _ := slices.BinarySearch(lanes, end)
		if seg.Clip > 0 && n > 0 {
			out := s.unit[:n]
			s.coins.roundClipped(out, values[:n], seg)
			for i, v := range out { // |v| ≤ 2^30.5 and at most 2^31 units: no overflow
				s.total[lanes[i]] += v
			}
		}
		lanes, values = lanes[n:], values[n:]
	}
	return nil
}

// Release clamps each lane to ±Clamp, adds the noise and gives the result out as
// a Noised; everything else is erased. It fails with ErrOutOfLane, having erased
// the sum too, if a noised value doesn't fit its lane (probability below 10^-31
// a lane): the participant then sits the round out.
func (s *Sum) Release() (*Noised, error) {
	if s.noise == nil {
		return nil, fmt.Errorf("dp: release sum: %w\nhint: a sum is released once", ErrSpent)
	}
	defer s.Discard()
	clamp, lane := s.params.clamp, s.params.lane
	values := make([]int64, len(s.total))
	fits := true
	for i, v := range s.total {
		v = min(max(v, -clamp), clamp) + s.noise[i] // |noise| < 2^52: no overflow
		fits = fits && v >= -lane && v <= lane
		values[i] = v
	}
	if !fits {
		clear(values)
		return nil, fmt.Errorf("dp: release sum: %w\nhint: sit this round out", ErrOutOfLane)
	}
	return &Noised{values: values}, nil
}

// Discard erases noise, sum and coins. It may be called at any time, also twice.
func (s *Sum) Discard() {
	clear(s.noise)
	clear(s.total)
	clear(s.unit)
	s.noise, s.total, s.unit = nil, nil, nil
	s.coins.Erase()
}

// Noised is a vector that may leave: it carries its noise. It gives its values
// out once, to what sends them.
type Noised struct{ values []int64 }

// Take returns the noised lanes, in the order of the segments; a second call fails with ErrSpent.
func (n *Noised) Take() ([]int64, error) {
	if n.values == nil {
		return nil, fmt.Errorf("dp: take noised values: %w\nhint: persist the first answer and send it again", ErrSpent)
	}
	v := n.values
	n.values = nil
	return v, nil
}
