package pipeline

import (
	"fmt"
	"math"
)

// Private jobs fit quantiles, means and deviations from noised counts, in a round of their own before FIT. A row adds 1 for each of
// its numbers that isn't missing to the number's bin, and 1 to the bin's block of blockBins neighbours: the rows below an edge are then
// a sum of few blocks and fewer than blockBins bins, whose noises add up to less than those of all bins below would [QYL13]. Of blocks
// and their bins the least-squares estimate is taken, which halves what noise is left [HRMS10], and of the rows below the edges the
// nearest that never fall.
//
// [HRMS10] M. Hay, V. Rastogi, G. Miklau, D. Suciu: Boosting the Accuracy of Differentially Private Histograms Through Consistency.
// PVLDB 3(1), 2010.
// [QYL13] W. Qardaji, W. Yang, N. Li: Understanding Hierarchical Methods for Differentially Private Histograms. PVLDB 6(14), 2013.

const (
	blockBins = 16
	maxBlocks = MaxBins / blockBins

	// NoisedLanes counts the lanes of a noised sketch: its blocks, then its bins. So many are sent even of one with fewer bins, that
	// their number hangs on the number of sketches alone.
	NoisedLanes = maxBlocks + MaxBins

	MaxNoised = 256 // sketches of a private job
)

// Sketched counts the features with a sketch. The 1s that a row adds to noised sketches have an L2 norm of at most √(2·Sketched).
func (s *Spec) Sketched() (n int) {
	for _, k := range s.sketches {
		if k != nil {
			n++
		}
	}
	return n
}

// NoisedSum counts the lanes of all noised sketches.
func (s *Spec) NoisedSum() int { return s.Sketched() * NoisedLanes }

// NoisedAt gives the two lanes of a noised sketch, ascending, that a row in a bin adds to.
func NoisedAt(bin int) (block, lane int) { return bin / blockBins, maxBlocks + bin }

// FitNoised adds to a pipeline that Plain gave what noised counts tell, in rows, of each feature with a sketch in order: bounds and edges
// as Fit finds them in sketches, and mean and deviation of numbers that are standardised, as if rows lay evenly in their bins, within the
// bounds. Any finite counts give a pipeline. The rows are those of each such feature, noised.
func (s *Spec) FitNoised(out *Fitted, counts []float64) (rows []int64, err error) {
	if len(counts) != s.NoisedSum() {
		return nil, fmt.Errorf("%w: the noised sketches have the wrong shape", ErrInconsistent)
	}
	for feature, k := range s.sketches {
		if k == nil {
			continue
		}
		blocks := (k.bins + blockBins - 1) / blockBins
		bins := denoise(counts[:blocks], counts[maxBlocks:maxBlocks+k.bins])
		counts = counts[NoisedLanes:]
		total := int64(0)
		for _, n := range bins {
			total += n
		}
		rows = append(rows, total)
		if total == 0 { // noise around nothing: no bin is better than another
			for i := range bins {
				bins[i] = 1
			}
		}
		f := &s.features[feature]
		if f.Kind != Number {
			out.Edges = append(out.Edges, k.edges(bins, f.Buckets.Quantiles)...)
			continue
		}
		lo, hi := k.bounds(bins, *f.Quantiles)
		out.Bounds = append(out.Bounds, lo, hi)
		if f.Standardize {
			at := s.number[feature]
			out.Mean[at], out.SD[at] = s.binMoments(feature, bins, lo, hi)
		}
	}
	return rows, nil
}

// denoise gives the rows by bin that noised counts of blocks and bins tell, none below 0.
func denoise(blocks, bins []float64) []int64 {
	below := make([]float64, 0, len(bins)) // rows in this bin and those before
	sum := 0.0
	for b, block := range blocks {
		in := bins[b*blockBins : min((b+1)*blockBins, len(bins))]
		apart := block
		for _, n := range in {
			apart -= n
		}
		for _, n := range in {
			sum += n + apart/float64(len(in)+1)
			below = append(below, sum)
		}
	}
	out, last := make([]int64, len(bins)), int64(0)
	for i, v := range rising(below) {
		n := int64(math.Floor(min(max(v, 0), 1<<53) + 0.5))
		out[i], last = n-last, n
	}
	return out
}

// rising gives the values nearest by least squares that never fall: neighbours that do are put together at their mean.
func rising(values []float64) []float64 {
	type level struct {
		sum float64
		n   int
	}
	var levels []level
	for _, v := range values {
		levels = append(levels, level{v, 1})
		for n := len(levels); n > 1 && float64(levels[n-2].sum*float64(levels[n-1].n)) >= float64(levels[n-1].sum*float64(levels[n-2].n)); n-- {
			levels[n-2].sum += levels[n-1].sum
			levels[n-2].n += levels[n-1].n
			levels = levels[:n-1]
		}
	}
	out := make([]float64, 0, len(values))
	for _, l := range levels {
		for range l.n {
			out = append(out, l.sum/float64(l.n))
		}
	}
	return out
}

// binMoments are mean and deviation of a number's place in its range, over rows that lie evenly in their bins and are clamped to
// bounds, which are edges of bins.
func (s *Spec) binMoments(feature int, bins []int64, lo, hi float64) (mean, sd float64) {
	k, total := s.sketches[feature], 0.0
	each := func(f func(n, from, to float64)) {
		for i, n := range bins {
			if n > 0 {
				f(float64(n), s.Unit(feature, min(max(k.Edge(i), lo), hi)), s.Unit(feature, min(max(k.Edge(i+1), lo), hi)))
			}
		}
	}
	each(func(n, from, to float64) {
		total += n
		mean += float64(n * float64((from+to)/2))
	})
	mean /= total
	square := 0.0
	each(func(n, from, to float64) {
		away, width := float64((from+to)/2)-mean, to-from
		square += float64(n * (float64(away*away) + float64(width*width)/12))
	})
	return min(max(mean, 0), 1), min(max(math.Sqrt(square/total), minNoisedSD), 1)
}

// minNoisedSD is the least deviation of a standardised number in a private job, of its range.
const minNoisedSD = 0x1p-24

// CheckNoised refuses what FitNoised can't give.
func (s *Spec) CheckNoised(f *Fitted) error {
	if err := s.checkLearnt(f); err != nil {
		return err
	}
	for feature := range s.features {
		n := s.number[feature]
		if n < 0 {
			continue
		}
		mean, sd := f.Mean[n], f.SD[n]
		if !s.features[feature].Standardize && (mean != 0 || sd != 1) || !(mean >= 0 && mean <= 1 && sd >= minNoisedSD && sd <= 1) {
			return fmt.Errorf("%w: column %q has mean %g and deviation %g of its range", ErrInconsistent, s.features[feature].Name, mean, sd)
		}
	}
	return nil
}

// scaled maps a value of a private job's number, within its bounds, to [-1, 1].
func (s *Spec) scaled(f *Fitted, feature int, x float64) float64 {
	spec, u := &s.features[feature], s.Unit(feature, x)
	if spec.Standardize {
		n := s.number[feature]
		z := (u - f.Mean[n]) / f.SD[n]
		return min(max(z/spec.Clip, -1), 1)
	}
	a, b := 0.0, 1.0
	if lo, hi, ok := s.Bounds(f, feature); ok {
		a, b = s.Unit(feature, lo), s.Unit(feature, hi)
	}
	if !(a < b) {
		return 0
	}
	return float64(2*((u-a)/(b-a))) - 1
}

// naturalScaled is Natural of such a number: what is 0 after scaling, and what is 1 above it. Where both bounds are one value, all
// numbers are 0 after scaling, whatever the deviation is: 1.
func (s *Spec) naturalScaled(f *Fitted, feature int) (mean, sd float64) {
	spec, lo, hi := &s.features[feature], s.ranges[feature][0], s.ranges[feature][1]
	if spec.Standardize {
		n := s.number[feature]
		return lo + float64((hi-lo)*f.Mean[n]), float64(float64((hi-lo)*f.SD[n]) * spec.Clip)
	}
	if a, b, ok := s.Bounds(f, feature); ok {
		lo, hi = spec.Transform(a), spec.Transform(b)
	}
	if !(lo < hi) {
		return lo, 1
	}
	return float64(lo/2) + float64(hi/2), float64(hi/2) - float64(lo/2)
}
