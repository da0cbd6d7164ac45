package pipeline

import "math"

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

// edge finds the number of an edge: where the last bin is the range's upper end alone, that is the bin's lower edge.
func (k *Sketch) edge(x float64) (int, bool) {
	i := k.Bin(x)
	if k.Edge(i) == x {
		return i, true
	}
	return k.bins, x == k.hi
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
