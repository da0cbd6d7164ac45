package optim

import "tributary/models/pipeline"

// Transforms of numbers and dates: buckets, parts of dates, and clamping to quantiles. What they need of FIT are sketches, see
// pipeline.Sketch: the training rows of each bin, and of numbers Σu and Σu² over them.

const (
	segBins           = "bins"
	segBinSumWhole    = "bin_sum_whole"
	segBinSumPart     = "bin_sum_part"
	segBinSquareWhole = "bin_square_whole"
	segBinSquarePart  = "bin_square_part"
	kindBuckets       = "buckets"
	kindDatePart      = "date_part"
	keyClipQuantiles  = "clip_quantiles"
)

func (p *Program) layoutSketches(add func(name string, length int, scale uint64)) {
	bins, moments := p.spec.SketchLanes()
	add(segBins, bins, 1)
	add(segBinSumWhole, moments, 1)
	add(segBinSumPart, moments, p.lane())
	add(segBinSquareWhole, moments, 1)
	add(segBinSquarePart, moments, p.lane())
}

func encodeSketches(values map[string][]float64, t pipeline.Totals) {
	values[segBins] = floats(t.Bins)
	values[segBinSumWhole], values[segBinSumPart] = parts(t.BinSum)
	values[segBinSquareWhole], values[segBinSquarePart] = parts(t.BinSquare)
}

func decodeSketches(v map[string][]float64, t *pipeline.Totals) {
	t.Bins = counts(v[segBins])
	t.BinSum, t.BinSquare = join(v[segBinSumWhole], v[segBinSumPart]), join(v[segBinSquareWhole], v[segBinSquarePart])
}

// learnt writes what quantiles were fitted: bounds []f64, edges []f64, each only where the program has such features.
func (e *encoder) learnt(f *pipeline.Fitted) {
	for _, list := range [][]float64{f.Bounds, f.Edges} {
		if len(list) > 0 {
			e.list(list)
		}
	}
}

func (d *decoder) learnt(spec *pipeline.Spec, f *pipeline.Fitted) {
	bounds, edges := spec.Learnt()
	if bounds > 0 {
		f.Bounds = d.list(bounds)
	}
	if edges > 0 {
		f.Edges = d.list(edges)
	}
}

type documentDate struct {
	Column string `json:"column"`
	Part   string `json:"part"`
	First  string `json:"first"`
	Last   string `json:"last"`
}

type documentDerived struct {
	Name             string        `json:"name"`
	Kind             string        `json:"kind"`
	Min              *float64      `json:"min,omitempty"`
	Max              *float64      `json:"max,omitempty"`
	Nullable         bool          `json:"nullable"`
	MissingIndicator bool          `json:"missing_indicator"`
	MinCount         *int64        `json:"min_count,omitempty"`
	Edges            []float64     `json:"edges,omitempty"`
	Quantiles        int           `json:"quantiles,omitempty"`
	Date             *documentDate `json:"date,omitempty"`
}

// documentDerived is the document of buckets or a part of a date, nil of another feature.
func (p *Program) documentDerived(f *pipeline.Feature) any {
	if f.Kind != pipeline.Category || f.Buckets == nil && f.Date == nil {
		return nil
	}
	out := documentDerived{Name: f.Name, Kind: kindDatePart, Nullable: f.Nullable, MissingIndicator: f.MissingIndicator, MinCount: &f.MinCount, Date: documentDateOf(f)}
	if p.Private() {
		out.MinCount = nil
	}
	if b := f.Buckets; b != nil {
		out.Kind, out.Min, out.Max, out.Edges, out.Quantiles = kindBuckets, &f.Min, &f.Max, b.Edges, b.Quantiles
	}
	return out
}

func documentDateOf(f *pipeline.Feature) *documentDate {
	if f.Date == nil {
		return nil
	}
	return &documentDate{f.Date.Column, f.Date.Part, f.Date.First, f.Date.Last}
}

func documentQuantiles(f *pipeline.Feature) []float64 {
	if f.Quantiles == nil {
		return nil
	}
	return f.Quantiles[:]
}

// parseDerivedNumber reads what a number may have beside its transforms.
func parseDerivedNumber(o *object, f *pipeline.Feature) {
	if _, given := o.keys[keyClipQuantiles]; given {
		q := o.numbers(keyClipQuantiles)
		switch {
		case o.err == nil && len(q) != 2:
			o.fail(keyClipQuantiles, "want two quantiles, got %d", len(q))
		case o.err == nil:
			f.Quantiles = &[2]float64{q[0], q[1]}
		}
	}
	if _, given := o.keys["date"]; given {
		f.Date = parseDate(o)
	}
}

// parseDerived reads buckets or a part of a date.
func parseDerived(o *object, f *pipeline.Feature, kind string, private bool) {
	f.Kind = pipeline.Category
	if !private {
		f.MinCount = o.integer("min_count", 0, 1<<(MaxBits-1))
	}
	if _, given := o.keys["date"]; given || kind == kindDatePart {
		f.Date = parseDate(o)
	}
	if kind == kindDatePart {
		return
	}
	f.Min, f.Max = o.number("min"), o.number("max")
	f.Buckets = &pipeline.Buckets{}
	if _, given := o.keys["edges"]; given {
		f.Buckets.Edges = o.numbers("edges")
		return
	}
	f.Buckets.Quantiles = int(o.integer("quantiles", 2, pipeline.MaxBuckets))
}

func parseDate(doc *object) *pipeline.Date {
	o := doc.object("date")
	d := &pipeline.Date{Column: o.text("column"), Part: o.text("part"), First: o.text("first"), Last: o.text("last")}
	if err := o.done(); doc.err == nil {
		doc.err = err
	}
	return d
}

// derived tells features that a plain number or category isn't.
func derived(f pipeline.Feature) bool {
	return f.Buckets != nil || f.Date != nil || f.Quantiles != nil
}

// refitted tells whether a column means something else in each job: a bucket between fitted edges.
func (p *Program) refitted(c pipeline.Column) bool {
	b := p.spec.Features()[c.Feature].Buckets
	return b != nil && b.Quantiles > 0 && c.Role == pipeline.CategoryRole
}

// exportBucket is a bucket of an exported model: from ≤ x < to, without a bound where there is none.
type exportBucket struct {
	From *float64 `json:"from,omitempty"`
	To   *float64 `json:"to,omitempty"`
}

// exportRange is a number's declared range.
type exportRange struct {
	Min float64 `json:"min"`
	Max float64 `json:"max"`
}

// exportDerived adds to an exported column what its feature is made of: buckets their bounds; the feature's number or other the
// rest.
func (p *Program) exportDerived(s *State, c pipeline.Column, out *exportColumn) {
	f := &p.spec.Features()[c.Feature]
	if c.Role == pipeline.ValueRole || c.Role == pipeline.OtherRole {
		out.Date = documentDateOf(f)
	}
	if lo, hi, ok := p.spec.Bounds(s.fitted, c.Feature); ok && out.Number != nil {
		out.Number.Lowest, out.Number.Highest = &lo, &hi
	}
	switch {
	case f.Buckets == nil:
	case c.Role == pipeline.OtherRole:
		out.Range = &exportRange{f.Min, f.Max}
	case c.Role == pipeline.CategoryRole:
		edges := p.spec.Edges(s.fitted, c.Feature)
		out.Role, out.Value, out.Bucket = "bucket", nil, &exportBucket{}
		if c.Code > 0 {
			out.Bucket.From = &edges[c.Code-1]
		}
		if c.Code < len(edges) {
			out.Bucket.To = &edges[c.Code]
		}
	}
}

func (o *object) numbers(key string) (out []float64) {
	for _, raw := range o.array(key) {
		out = append(out, o.numberOf(key, raw))
	}
	return out
}
