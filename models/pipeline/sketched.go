package pipeline

import (
	"fmt"
	"math"
	"slices"
)

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
