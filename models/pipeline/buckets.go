package pipeline

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
)

// MaxBuckets bounds the buckets of one feature.
const MaxBuckets = 200

// Buckets make indicators of a number: one for each bucket, with Kind Category and the range in Min and Max. A bucket has its lower
// edge. As other categories they have NAME=other, for folded buckets and for missing values without an indicator.
type Buckets struct {
	Edges     []float64 // ascending, within the range, known to everybody; nil: fitted
	Quantiles int       // how many buckets of about as many rows are fitted; 0 with Edges
}

func (b *Buckets) check(lo, hi float64) error {
	switch {
	case (b.Edges == nil) == (b.Quantiles == 0):
		return errors.New("buckets have edges, or a number of quantiles")
	case b.Edges == nil && (b.Quantiles < 2 || b.Quantiles > MaxBuckets):
		return fmt.Errorf("%d quantiles are not within 2..%d", b.Quantiles, MaxBuckets)
	case b.Edges != nil && (len(b.Edges) < 1 || len(b.Edges) >= MaxBuckets):
		return fmt.Errorf("%d edges are not within 1..%d", len(b.Edges), MaxBuckets-1)
	}
	for i, e := range b.Edges {
		if !(e > lo && e <= hi) || i > 0 && !(e > b.Edges[i-1]) {
			return fmt.Errorf("edge %g is not above the one before, or not above %g and at most %g\nhint: list ascending edges within the contract's range", e, lo, hi)
		}
	}
	return nil
}

// BucketOf is the number of edges that a value reaches, of edges in order: the bucket that it is in.
func BucketOf(edges []float64, x float64) int {
	i, reached := slices.BinarySearch(edges, x)
	for reached && i < len(edges) && edges[i] == x { // equal edges: the buckets between are empty
		i++
	}
	return i
}

// labels name the buckets, and columns their output columns.
func (b *Buckets) labels(name string) (labels, columns []string) {
	if b.Edges == nil {
		for i := range b.Quantiles {
			q := "q" + strconv.Itoa(i+1)
			labels, columns = append(labels, q), append(columns, name+":"+q)
		}
		return labels, columns
	}
	n := len(b.Edges)
	for i := range n + 1 {
		labels = append(labels, BucketLabel(b.Edges, i))
		switch i {
		case 0:
			columns = append(columns, name+"<"+decimal(b.Edges[0]))
		case n:
			columns = append(columns, decimal(b.Edges[n-1])+"<="+name)
		default:
			columns = append(columns, decimal(b.Edges[i-1])+"<="+name+"<"+decimal(b.Edges[i]))
		}
	}
	return labels, columns
}

// BucketLabel names a bucket by its edges: "<18", "18..30", ">=30".
func BucketLabel(edges []float64, bucket int) string {
	switch bucket {
	case 0:
		return "<" + decimal(edges[0])
	case len(edges):
		return ">=" + decimal(edges[bucket-1])
	}
	return decimal(edges[bucket-1]) + ".." + decimal(edges[bucket])
}

func decimal(x float64) string {
	if math.Abs(x) < 1e15 && math.Abs(x) >= 1e-6 || x == 0 {
		return strconv.FormatFloat(x, 'f', -1, 64)
	}
	return strconv.FormatFloat(x, 'g', -1, 64)
}

// derived tells whether a category's codes come from numbers or dates.
func (f *Feature) derived() bool { return f.Kind == Category && (f.Buckets != nil || f.Date != nil) }

// checkDerived checks buckets and parts of dates.
func (f *Feature) checkDerived() error {
	if len(f.Values) != 0 || f.HashBuckets != 0 || f.Cross != nil || f.Log1p || f.Standardize || f.Clip != 0 || f.Scale || f.Quantiles != nil || f.MinCount < 0 {
		return errors.New("buckets and parts of dates have no values, hash buckets, log1p, standardize, scale or clip, and no negative min_count")
	}
	if f.Date != nil {
		if err := f.Date.check(f); err != nil {
			return err
		}
	}
	if f.Buckets == nil {
		return nil
	}
	if err := f.checkRange(); err != nil {
		return err
	}
	return f.Buckets.check(f.Min, f.Max)
}

// name gives a derived category its values.
func (f *Feature) name() {
	switch {
	case !f.derived():
	case f.Buckets != nil:
		f.Values, _ = f.Buckets.labels(f.Name)
	default:
		f.Values = f.Date.values()
	}
}

// columnNames are those of a category's values.
func (f *Feature) columnNames() []string {
	if f.Buckets != nil {
		_, columns := f.Buckets.labels(f.Name)
		return columns
	}
	var out []string
	for _, v := range f.Values {
		out = append(out, f.Name+"="+v)
	}
	return out
}

// width counts the output columns of a category.
func (s *Spec) width(feature int) int {
	f := &s.features[feature]
	if f.MissingIndicator {
		return f.Codes() + 2
	}
	return f.Codes() + 1
}

// Counted counts the output columns of categories whose rows a FIT sum counts: those of fitted buckets follow from their sketch.
func (s *Spec) Counted() int {
	n := 0
	for feature, f := range s.features {
		if f.Kind == Category && s.sketches[feature] == nil {
			n += s.width(feature)
		}
	}
	return n
}

// Edges are the edges of a feature's buckets: n-1 of n, the fitted ones in order though some may be equal; nil if it has none.
func (s *Spec) Edges(f *Fitted, feature int) []float64 {
	spec, k := &s.features[feature], s.sketches[feature]
	switch {
	case spec.Buckets == nil:
		return nil
	case k == nil:
		return spec.Buckets.Edges
	}
	return f.Edges[k.edges0:][:spec.Buckets.Quantiles-1]
}

// Bounds are the fitted values to which a number is clamped, in the contract's units; ok is false if it is to none.
func (s *Spec) Bounds(f *Fitted, feature int) (lo, hi float64, ok bool) {
	k := s.sketches[feature]
	if k == nil || s.features[feature].Kind != Number {
		return 0, 0, false
	}
	return f.Bounds[k.bound], f.Bounds[k.bound+1], true
}

// Code is the code of a number in a feature of buckets, as dataset.Column has it (missing: -1): of fitted ones the bin of the
// sketch, which CategoryColumns takes to its bucket.
func (s *Spec) Code(feature int, x float64) int32 {
	switch k := s.sketches[feature]; {
	case math.IsNaN(x):
		return -1
	case k != nil:
		return int32(k.Bin(x))
	}
	return int32(BucketOf(s.features[feature].Buckets.Edges, x))
}

// bucketColumns is CategoryColumns of fitted buckets: their codes are bins.
func (s *Spec) bucketColumns(f *Fitted, feature int) []int {
	k, edges := s.sketches[feature], s.Edges(f, feature)
	out := make([]int, k.bins+2)
	column := func(at int) int {
		if at < 0 || f.Folded[at] {
			return s.OtherColumn(feature)
		}
		return at
	}
	out[0], out[k.bins+1] = column(s.MissingColumn(feature)), s.OtherColumn(feature)
	for i := range k.bins {
		out[i+1] = column(s.first[feature] + BucketOf(edges, k.Edge(i)))
	}
	return out
}

// bucketCounts are the rows of the output columns of fitted buckets, before folding.
func (s *Spec) bucketCounts(f *Fitted, feature int, t *Totals) []int64 {
	k, edges, out := s.sketches[feature], s.Edges(f, feature), make([]int64, s.width(feature))
	missing := t.Rows
	for i, n := range k.counts(t) {
		out[BucketOf(edges, k.Edge(i))] += n
		missing -= n
	}
	at := s.OtherColumn(feature)
	if m := s.MissingColumn(feature); m >= 0 {
		at = m
	}
	out[at-s.first[feature]] += missing
	return out
}
