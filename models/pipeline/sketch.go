package pipeline

import (
	"fmt"
	"math"
	"slices"
)

// Quantiles of a column are fitted from a sketch that can be summed: counts of training rows in bins which the contract's range
// alone determines. So that no bin tells of single rows, each participant counts its rows in groups of SketchGroup neighbours or
// more, see Group: below every edge of a bin it counts fewer than SketchGroup rows too many or too few. As in DDSketch [MRL19] bins are relative: their edges are the numbers with few leading bits in their
// mantissa, so that a bin is found from the bits of a number alone, without a logarithm, and is the same everywhere.
//
// [MRL19] C. Masson, J. E. Rim, H. K. Lee: DDSketch: A Fast and Fully-Mergeable Quantile Sketch with Relative-Error Guarantees.
// PVLDB 12(12), 2019.

// MaxBins bounds the bins of a sketch.
const MaxBins = 512

// SketchGroup is the least number of rows that a participant counts in a bin, as long as it has so many at all.
const SketchGroup = 20

// sketchOctaves is how many powers of two below the range's largest are told apart from zero.
const sketchOctaves = 14

// Sketch divides a range into bins: bin i holds Edge(i) ≤ x < Edge(i+1), the last one its upper edge, too. Each bin is at most
// 2^-Bits of its edge nearer to zero wide, but for those that touch ±Floor or zero: Floor is 2^-14 of the largest power of two
// that a bound of the range reaches. Bits is at least 5, and 4 in ranges of both signs; narrower ranges have more, up to MaxBins bins.
type Sketch struct {
	Bits   int     // of the mantissa that tell bins apart
	Floor  float64 // numbers nearer to zero are one bin
	lo, hi float64
	first  int // key of lo
	bins   int
}

func newSketch(lo, hi float64) *Sketch {
	_, e := math.Frexp(max(math.Abs(lo), math.Abs(hi)))
	for bits := 52; ; bits-- {
		k := &Sketch{Bits: bits, Floor: math.Ldexp(1, e-1-sketchOctaves), lo: lo, hi: hi}
		k.first = k.key(lo)
		k.bins = k.key(hi) - k.first + 1
		if k.bins <= MaxBins || bits == 0 {
			return k
		}
	}
}

// key numbers bins over all numbers, increasing, 0 around zero. The bits of positive floats are ordered as these are.
func (k *Sketch) key(x float64) int {
	shift, floor := 52-k.Bits, math.Float64bits(k.Floor)
	switch {
	case x >= k.Floor:
		return int(math.Float64bits(x)>>shift-floor>>shift) + 1
	case x < -k.Floor: // an edge belongs to the bin above it
		return -int((math.Float64bits(-x)-1)>>shift-floor>>shift) - 1
	}
	return 0
}

// Bins counts the bins.
func (k *Sketch) Bins() int { return k.bins }

// Bin is the bin of a number; one beyond the range belongs to the nearest.
func (k *Sketch) Bin(x float64) int {
	return min(max(k.key(x)-k.first, 0), k.bins-1)
}

// Edge is the lower edge of bin i, for i = Bins() the upper end of the range.
func (k *Sketch) Edge(i int) float64 {
	switch {
	case i <= 0:
		return k.lo
	case i >= k.bins:
		return k.hi
	}
	shift, floor := 52-k.Bits, math.Float64bits(k.Floor)
	switch key := k.first + i; {
	case key > 0:
		return math.Float64frombits((floor>>shift + uint64(key-1)) << shift)
	case key < 0:
		return -math.Float64frombits((floor>>shift + uint64(-key)) << shift)
	}
	return -k.Floor
}

// edge finds the number of an edge.
func (k *Sketch) edge(x float64) (int, bool) {
	if x == k.hi {
		return k.bins, true
	}
	i := k.Bin(x)
	return i, k.Edge(i) == x
}

// Group gives for each bin the one in which its rows are counted: neighbouring bins are put together until they have SketchGroup
// rows, and the rest with the last of them; all are counted where the middle one of their rows lies.
func Group(counts []int64) []int {
	out := make([]int, len(counts))
	start, rows := 0, int64(0)
	last := -1 // the first bin of the last group
	settle := func(from, to int) {
		middle := int64(0)
		for _, n := range counts[from:to] {
			middle += n
		}
		at, half := from, (middle+1)/2
		for half -= counts[at]; half > 0; half -= counts[at] {
			at++
		}
		for i := from; i < to; i++ {
			out[i] = at
		}
	}
	for i, n := range counts {
		if rows += n; rows >= SketchGroup {
			settle(start, i+1)
			last, start, rows = start, i+1, 0
		}
	}
	if start < len(counts) {
		settle(max(last, 0), len(counts))
	}
	return out
}

// quantile gives the bin that the ⌈q·n⌉-th smallest of n values lies in, the smallest for q = 0; counts are by bin.
func quantile(counts []int64, q float64) int {
	n := int64(0)
	for _, c := range counts {
		n += c
	}
	rank := max(int64(-math.Floor(float64(-q*float64(n)))), 1)
	for i, c := range counts {
		if rank -= c; rank <= 0 {
			return i
		}
	}
	return len(counts) - 1
}

// bounds are the values to which a number is clamped: the bins' edges around both quantiles of what is counted. Of rows that are
// counted where they are, each is within a bin's width of the exact quantile, and not inside of it.
func (k *Sketch) bounds(counts []int64, quantiles [2]float64) (lo, hi float64) {
	lo, hi = k.lo, k.hi
	if quantiles[0] > 0 {
		lo = k.Edge(quantile(counts, quantiles[0]))
	}
	if quantiles[1] < 1 {
		hi = k.Edge(quantile(counts, quantiles[1]) + 1)
	}
	return lo, hi
}

// edges cut a range into n buckets of about as many rows: edge j is the bin's edge, within the range, that has the number of rows
// below it nearest to j/n of all, the first of equals. Edges may be equal: the bucket between is empty.
func (k *Sketch) edges(counts []int64, n int) []float64 {
	total := int64(0)
	for _, c := range counts {
		total += c
	}
	var out []float64
	at, below := 1, counts[0]
	for j := 1; j < n; j++ {
		miss := func(rows int64) int64 { return max(int64(n)*rows-int64(j)*total, int64(j)*total-int64(n)*rows) }
		best, rows := at, below
		for i := at + 1; i < k.bins; i++ {
			rows += counts[i-1]
			if miss(rows) < miss(below) {
				best, below = i, rows
			} else if miss(rows) > miss(below) {
				break // it only grows
			}
		}
		at = best
		out = append(out, k.Edge(at))
	}
	return out
}

// sketched says where what belongs to a feature with a sketch lies in Totals and Fitted.
type sketched struct {
	*Sketch
	bin    int // first of Totals.Bins
	moment int // first of Totals.BinSum; of numbers
	bound  int // first of Fitted.Bounds; of numbers
	edges0 int // first of Fitted.Edges; of buckets
}

// sketch lays out the sketch of the next feature, if it has one.
func (s *Spec) sketch(f *Feature) {
	clipped, bucketed := f.Quantiles != nil, f.Buckets != nil && f.Buckets.Quantiles > 0
	if !clipped && !bucketed {
		s.sketches = append(s.sketches, nil)
		return
	}
	k := &sketched{Sketch: newSketch(f.Min, f.Max), bin: s.bins, moment: s.moments, bound: s.bounds, edges0: s.edges}
	s.sketches = append(s.sketches, k)
	s.bins += k.bins
	if clipped {
		s.moments += k.bins
		s.bounds += 2
		return
	}
	s.edges += f.Buckets.Quantiles - 1
}

// SketchOf is the sketch that a feature's quantiles are fitted from, or nil.
func (s *Spec) SketchOf(feature int) *Sketch {
	if k := s.sketches[feature]; k != nil {
		return k.Sketch
	}
	return nil
}

// Lanes of a FIT sum that sketches need.
func (s *Spec) SketchLanes() (bins, moments int) { return s.bins, s.moments }

// Learnt counts Fitted.Bounds and Fitted.Edges.
func (s *Spec) Learnt() (bounds, edges int) { return s.bounds, s.edges }

// counts are the rows by bin of a feature.
func (k *sketched) counts(t *Totals) []int64 { return t.Bins[k.bin : k.bin+k.bins] }

// checkSketches holds sketches to what rows give: counts to the rows, moments to what counts allow and to the whole column's.
func (s *Spec) checkSketches(t *Totals, uncertainty float64) error {
	if len(t.Bins) != s.bins || len(t.BinSum) != s.moments || len(t.BinSquare) != s.moments || len(t.Present) != s.numbers || len(t.Sum) != s.numbers || len(t.Square) != s.numbers {
		return fmt.Errorf("%w: the sketches have the wrong shape", ErrInconsistent)
	}
	for feature, k := range s.sketches {
		if k == nil {
			continue
		}
		f, rows := &s.features[feature], int64(0)
		for i, n := range k.counts(t) {
			if n < 0 || n > t.Rows {
				return fmt.Errorf("%w: column %q: bin %d has %d of %d rows", ErrInconsistent, f.Name, i, n, t.Rows)
			}
			rows += n
		}
		if rows > t.Rows || !f.Nullable && rows != t.Rows || f.Kind == Number && rows != t.Present[s.number[feature]] {
			return fmt.Errorf("%w: column %q: the bins have %d of %d rows", ErrInconsistent, f.Name, rows, t.Rows)
		}
		if f.Kind == Number {
			if err := s.checkMoments(feature, k, t, uncertainty); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Spec) checkMoments(feature int, k *sketched, t *Totals, uncertainty float64) error {
	sum, square := 0.0, 0.0
	for i, count := range k.counts(t) {
		n, first, second := float64(count), t.BinSum[k.moment+i], t.BinSquare[k.moment+i]
		slack := float64(2*uncertainty) + float64(n*0x1p-40)
		// Written so that NaN fails.
		within := second >= -slack && second <= first+slack && first <= n+slack &&
			float64(n*second) >= float64(first*first)-float64(float64(float64(4*n)+2)*slack)
		if !within {
			return fmt.Errorf("%w: column %q: bin %d has %d rows, whose sums are %g and %g of the range", ErrInconsistent, s.features[feature].Name, i, count, first, second)
		}
		sum, square = sum+first, square+second
	}
	at := s.number[feature]
	slack := float64(float64(2*(k.bins+1))*uncertainty) + float64(float64(t.Present[at])*0x1p-40)
	if !(math.Abs(sum-t.Sum[at]) <= slack && math.Abs(square-t.Square[at]) <= slack) {
		return fmt.Errorf("%w: column %q: the bins' sums are %g and %g, the column's %g and %g", ErrInconsistent, s.features[feature].Name, sum, square, t.Sum[at], t.Square[at])
	}
	return nil
}

// fitSketches finds bounds and edges. The totals are checked.
func (s *Spec) fitSketches(f *Fitted, t *Totals) {
	for feature, k := range s.sketches {
		switch spec := &s.features[feature]; {
		case k == nil:
		case spec.Kind == Number:
			lo, hi := k.bounds(k.counts(t), *spec.Quantiles)
			f.Bounds = append(f.Bounds, lo, hi)
		default:
			f.Edges = append(f.Edges, k.edges(k.counts(t), spec.Buckets.Quantiles)...)
		}
	}
}

// asFitted gives the totals of the rows as the fitted bounds and edges make them: moments of clamped numbers and rows by bucket among
// the categories' counts. As bounds and edges are those of bins, both are exact but for the few rows that are counted on the other
// side of one.
func (s *Spec) asFitted(f *Fitted, t Totals) Totals {
	if s.bins == 0 {
		return t
	}
	t.Sum, t.Square = slices.Clone(t.Sum), slices.Clone(t.Square)
	var counts []int64
	for feature := range s.features {
		spec, k := &s.features[feature], s.sketches[feature]
		switch {
		case k == nil && spec.Kind == Category:
			n := min(s.width(feature), len(t.Counts))
			counts, t.Counts = append(counts, t.Counts[:n]...), t.Counts[n:]
		case k == nil:
		case spec.Kind == Category:
			counts = append(counts, s.bucketCounts(f, feature, &t)...)
		default:
			s.clampMoments(f, feature, &t)
		}
	}
	t.Counts = append(counts, t.Counts...) // what is left over shows in the shape
	return t
}

// clampMoments replaces a column's sums by those of its clamped values. Rows that are counted between the bounds though they lie
// beyond don't count for more than clamped values can: of n within [a, b], n·a ≤ Σu ≤ n·b and Σ(u-a)(b-u) ≥ 0.
func (s *Spec) clampMoments(f *Fitted, feature int, t *Totals) {
	k, at := s.sketches[feature], s.number[feature]
	lo, hi := f.Bounds[k.bound], f.Bounds[k.bound+1]
	first, second := 0.0, 0.0
	a, b := s.Unit(feature, lo), s.Unit(feature, hi)
	for i, count := range k.counts(t) {
		n, sum, square := float64(count), t.BinSum[k.moment+i], t.BinSquare[k.moment+i]
		switch below, above := k.Edge(i) < lo, k.Edge(i+1) > hi; {
		case count == 0: // but for the quantisation
			sum, square = 0, 0
		case above:
			sum, square = float64(n*b), float64(n*float64(b*b))
		case below:
			sum, square = float64(n*a), float64(n*float64(a*a))
		default:
			sum = min(max(sum, float64(n*a)), float64(n*b))
			square = min(max(square, float64(sum/n*sum)), float64((a+b)*sum)-float64(n*float64(a*b)))
		}
		first, second = first+sum, second+square
	}
	t.Sum[at], t.Square[at] = first, second
}

// uncertainty bounds the error of a column's sums: those of clamped numbers add up the errors of bins.
func (s *Spec) uncertainty(feature int, one float64) float64 {
	if k := s.sketches[feature]; k != nil {
		return float64(float64(k.bins) * one)
	}
	return one
}

// checkLearnt refuses bounds and edges that aren't those of bins, or aren't in order.
func (s *Spec) checkLearnt(f *Fitted) error {
	if len(f.Bounds) != s.bounds || len(f.Edges) != s.edges {
		return fmt.Errorf("%w: %d bounds and %d edges", ErrInconsistent, len(f.Bounds), len(f.Edges))
	}
	for feature, k := range s.sketches {
		if k == nil {
			continue
		}
		spec := &s.features[feature]
		if spec.Kind == Number {
			lo, hi := f.Bounds[k.bound], f.Bounds[k.bound+1]
			_, okLo := k.edge(lo)
			_, okHi := k.edge(hi)
			if !okLo || !okHi || !(lo <= hi) {
				return fmt.Errorf("%w: column %q is clamped to %g..%g", ErrInconsistent, spec.Name, lo, hi)
			}
			continue
		}
		last := 1
		for _, x := range f.Edges[k.edges0:][:spec.Buckets.Quantiles-1] {
			i, ok := k.edge(x)
			if !ok || i < last || i >= k.bins {
				return fmt.Errorf("%w: column %q has an edge at %g", ErrInconsistent, spec.Name, x)
			}
			last = i
		}
	}
	return nil
}
