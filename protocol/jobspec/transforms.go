package jobspec

import (
	"fmt"
	"slices"
	"strings"
)

// Kinds of features that no column of a contract has.
const (
	kindBuckets  Kind = "buckets"   // indicators of a number's buckets
	kindDatePart Kind = "date_part" // indicators of a date's part
)

const (
	maxBuckets    = 200
	maxSketchBins = 512 // pipeline.MaxBins
)

// SketchGroup is the least number of rows that a participant counts in a bin of a sketch: pipeline.SketchGroup.
const SketchGroup = 20

// Buckets cut a number's range at edges that everybody knows, or into buckets of about as many rows, whose edges are fitted.
type Buckets struct {
	Edges     []float64
	Quantiles int64
}

func (b *Buckets) count() int {
	if b.Edges != nil {
		return len(b.Edges) + 1
	}
	return int(min(max(b.Quantiles, 0), maxBuckets+1))
}

// codes counts the output columns of a feature's values, combinations, or buckets of either: 0 of a number's.
func (f *Feature) codes() int {
	switch { // what is read from JSON may lack either
	case f.Kind == kindBuckets && f.Buckets != nil:
		return f.Buckets.count()
	case f.Kind == kindDatePart && f.Date != nil:
		return f.Date.count()
	}
	return len(f.Values) + int(f.HashBuckets)
}

// buckets reads a feature's buckets.
func (d *document) buckets(v value) *Buckets {
	if _, scalar := scalarText(v.node); scalar {
		d.at(v.path, v.at, "so many buckets are a cross's, or an open category's in the contract; a number's have edges or quantiles", "write {edges: [18, 30, 45]} or {quantiles: 10}, or remove buckets")
		return nil
	}
	if isList(v) {
		d.at(v.path, v.at, "buckets have edges, or a number of quantiles, not a list", "write {edges: [18, 30, 45]} or {quantiles: 10}")
		return nil
	}
	_, keys, ok := d.fields(v, "edges", "quantiles")
	if !ok {
		return nil
	}
	edges, listed := keys["edges"]
	quantiles, counted := keys["quantiles"]
	if listed == counted {
		d.at(v.path, v.at, "buckets have edges, or a number of quantiles", "write {edges: [18, 30, 45]} or {quantiles: 10}")
		return nil
	}
	b := &Buckets{}
	if counted {
		b.Quantiles, _ = d.integer(quantiles, 2, maxBuckets)
		return b
	}
	list, _ := d.items(edges)
	b.Edges = []float64{}
	for _, e := range list {
		x, ok := d.number(e)
		if n := len(b.Edges); ok && n > 0 && x <= b.Edges[n-1] {
			d.at(e.path, e.at, fmt.Sprintf("edge %v is not above the one before, %v", x, b.Edges[n-1]), "list edges in ascending order, each once")
		}
		b.Edges = append(b.Edges, x)
	}
	if n := len(b.Edges); n < 1 || n >= maxBuckets {
		d.at(edges.path, edges.at, fmt.Sprintf("%d edges are not within 1 to %d", n, maxBuckets-1), "write {edges: [18, 30, 45]}")
	}
	return b
}

// clip reads how a number is clamped: to deviations, or to fitted quantiles and deviations.
func (d *document) clip(v value, f *FeatureSpec) {
	deviations, given := v, true
	if isMapping(v) {
		_, keys, ok := d.fields(v, "quantiles", "deviations")
		if !ok || !d.require(v, keys, map[string]string{"quantiles": "write {quantiles: [0.01, 0.99]}"}, "quantiles") {
			return
		}
		f.Quantiles = d.quantiles(keys["quantiles"])
		deviations, given = keys["deviations"]
	}
	if !given {
		return
	}
	var ok bool
	if f.Clip, ok = d.number(deviations); ok && !(f.Clip > 0 && f.Clip <= maxClip) {
		d.at(deviations.path, deviations.at, fmt.Sprintf("clip %v is not above 0 and at most %v standard deviations", f.Clip, maxClip), "")
	}
}

func (d *document) quantiles(v value) []float64 {
	list, ok := d.items(v)
	if !ok {
		return nil
	}
	out := []float64{}
	for _, e := range list {
		q, _ := d.number(e)
		out = append(out, q)
	}
	if !validQuantiles(out) {
		d.at(v.path, v.at, "these are not two ascending quantiles within 0 to 1", "write [0.01, 0.99]; 0 and 1 clamp nothing")
	}
	return out
}

func validQuantiles(q []float64) bool {
	return len(q) == 2 && q[0] >= 0 && q[0] < q[1] && q[1] <= 1 && !negativeZero(q[0]) && (q[0] > 0 || q[1] < 1)
}

// newFeatures fits a group's transforms to a column: one feature, or of a date as many as the group asks for.
func newFeatures(kind string, g FeatureSpec, col *Column, group, path string, report report) []Feature {
	days := len(g.Transforms) > 0 && g.Transforms[0] == transformDays
	switch {
	case col.Kind == Date:
		return dateFeatures(kind, g, col, group, path, report)
	case days || len(g.DateParts) > 0:
		report(fmt.Sprintf("column %s is a %s; days and date_parts are for dates", col.Name, col.Kind), "declare it with type: date in the contract, or remove them", path)
		return nil
	}
	return oneFeature(kind, g, col, group, path, report)
}

// oneFeature is newFeature with the transforms of this file.
func oneFeature(kind string, g FeatureSpec, col *Column, group, path string, report report) []Feature {
	if b := g.Buckets; b != nil {
		switch {
		case col.Kind != Number:
			report("column "+col.Name+" is a category; buckets are for numbers", "put it in a group of its own with transform: one_hot", path)
		case g.Quantiles != nil:
			report("buckets take a number as it is, unclamped", "remove clip: the outer buckets are open", path, child(group, "clip"))
		case len(g.Transforms) > 0:
			report("buckets take a number as it is; they don't go with "+strings.Join(g.Transforms, " and "), "remove the transform: edges are in the contract's units", path, child(group, "transform"))
		default:
			f := Feature{Name: col.Name, Kind: kindBuckets, Min: col.Min, Max: col.Max, Nullable: col.Nullable, MissingIndicator: g.MissingIndicator && col.Nullable, MinCount: g.MinCount,
				Buckets: &Buckets{slices.Clone(b.Edges), b.Quantiles}}
			if wrong := f.edgesOutside(); wrong != "" {
				report(wrong, "list edges within the contract's range; each is the least value of its bucket", path, child(group, "buckets"))
				return nil
			}
			return []Feature{f}
		}
		return nil
	}
	if g.Quantiles != nil && col.Kind != Number {
		report("column "+col.Name+" is a category; quantiles are for numbers", "remove clip for this column", path)
		return nil
	}
	f, ok := newFeature(kind, g, col, group, path, report)
	if !ok {
		return nil
	}
	if f.Quantiles = slices.Clone(g.Quantiles); f.Quantiles == nil && f.Scale && f.Standardize {
		f.Quantiles = privateQuantiles()
	}
	return []Feature{f}
}

// edgesOutside says which edge leaves an empty bucket below or above the range.
func (f *Feature) edgesOutside() string {
	for _, e := range f.Buckets.Edges {
		if !(e > f.Min && e <= f.Max) {
			return fmt.Sprintf("edge %v is not above %v and at most %v, the range of %s", e, f.Min, f.Max, f.Name)
		}
	}
	return ""
}

// checkDerived checks what a feature that was read from JSON has of this file.
func (f *Feature) checkDerived(report report, path string, private bool) {
	if f.Date != nil {
		f.Date.check(report, path, f)
	}
	if f.Quantiles != nil && (f.Kind != Number || !validQuantiles(f.Quantiles)) {
		report("clip_quantiles are two ascending quantiles of a number", "", child(path, "clip_quantiles"))
	}
	if (f.Kind == kindBuckets) != (f.Buckets != nil) || f.Kind == kindDatePart && f.Date == nil {
		report("buckets have edges or quantiles, a date_part has a date, and nothing else has them", "", child(path, "kind"))
		return
	}
	if f.Kind != kindBuckets && f.Kind != kindDatePart {
		return
	}
	if private != (f.MinCount == 0) || f.MinCount < 0 || f.MinCount > maxMinCount {
		report(fmt.Sprintf("min_count %d is not within 1 to %d, in exact jobs", f.MinCount, maxMinCount), "", child(path, "min_count"))
	}
	b := f.Buckets
	if b == nil {
		return
	}
	col := Column{Name: f.Name, Kind: Number, Min: f.Min, Max: f.Max, Outside: OutsideClip}
	col.check(report, path)
	switch n := len(b.Edges); {
	case (n > 0) == (b.Quantiles > 0), n >= maxBuckets, b.Quantiles < 0 || b.Quantiles == 1 || b.Quantiles > maxBuckets:
		report(fmt.Sprintf("%d edges and %d quantiles: there are 1 to %d edges, or 2 to %d quantiles", n, b.Quantiles, maxBuckets-1, maxBuckets), "", path)
	default:
		if wrong := f.edgesOutside(); wrong != "" {
			report(wrong, "", child(path, "edges"))
		}
		for i, e := range b.Edges {
			if negativeZero(e) || i > 0 && !(e > b.Edges[i-1]) {
				report(fmt.Sprintf("edge %v is -0 or not above the one before", e), "", child(path, "edges"))
			}
		}
	}
}

// derivedConforms checks a feature of buckets or of a date against the contract's own column.
func (f *Feature) derivedConforms(c *Contract) error {
	name, kind := f.Name, Number
	if f.Date != nil {
		name, kind = f.Date.Column, Date
	}
	col, ok := c.Column(name)
	switch {
	case !ok || col.Kind != kind:
		return fmt.Errorf("the job's %s column %s is not in the contract", kind, name)
	case f.Nullable != col.Nullable, kind == Number && (f.Min != col.Min || f.Max != col.Max), kind == Date && (f.Date.First != col.First || f.Date.Last != col.Last):
		return fmt.Errorf("the job declares column %s otherwise than the contract", name)
	}
	return nil
}

// Sketched lists the columns whose training rows are counted in bins of their range, for quantiles.
func (r *Resolved) Sketched() (names []string) {
	for _, f := range r.Features {
		if f.Quantiles != nil || f.Buckets != nil && f.Buckets.Quantiles > 0 {
			names = append(names, f.Name)
		}
	}
	return names
}

// sketches says what the sums for quantiles tell.
func (p *page) sketches(j *Resolved) {
	if names := j.Sketched(); len(names) > 0 {
		p.line("Also, for quantiles of %s: how many training rows lie in each of up to %d bins of the column's range and, of numbers that are clamped, the sum of their values and of the squares. Each participant counts neighbouring rows together, %d or more (all of them, if it has fewer), where the middle one lies.", strings.Join(names, ", "), maxSketchBins, SketchGroup)
	}
}

// derivedText says in words what a feature of buckets or of a date is, and how a number is clamped to quantiles.
func (f *Feature) derivedText() (parts []string) {
	fold := ""
	if f.MinCount > 0 {
		fold = fmt.Sprintf(", fewer than %d rows fold into other", f.MinCount)
	}
	if f.Date != nil && f.Date.Part == transformDays {
		parts = append(parts, "days since "+f.Date.First)
	}
	switch {
	case f.Kind == kindDatePart:
		parts = append(parts, fmt.Sprintf("the date's %s in UTC, one-hot over %d values%s", f.Date.Part, f.Date.count(), fold))
	case f.Kind == kindBuckets && f.Buckets.Edges != nil:
		var edges []string
		for _, e := range f.Buckets.Edges {
			edges = append(edges, decimalOf(e))
		}
		parts = append(parts, fmt.Sprintf("%d buckets between %s%s", f.Buckets.count(), strings.Join(edges, ", "), fold))
	case f.Kind == kindBuckets:
		parts = append(parts, fmt.Sprintf("%d buckets of about as many rows, whose edges are fitted%s", f.Buckets.Quantiles, fold))
	case f.Quantiles != nil:
		parts = append(parts, fmt.Sprintf("clamped to its quantiles %s and %s, which are fitted", decimalOf(f.Quantiles[0]), decimalOf(f.Quantiles[1])))
	}
	return parts
}

// derived gives a feature of buckets the fields of its JSON.
func (j *featureJSON) derived(f *Feature, private bool) {
	j.Date, j.ClipQuantiles = f.Date, f.Quantiles
	if f.Kind != kindBuckets && f.Kind != kindDatePart {
		return
	}
	if !private {
		j.MinCount = &f.MinCount
	}
	if b := f.Buckets; b != nil {
		j.Min, j.Max, j.Edges, j.Quantiles = &f.Min, &f.Max, b.Edges, b.Quantiles
	}
}

// readDerived gives a feature what its JSON has of this file.
func (f *Feature) readDerived(j *featureJSON) {
	f.Date, f.Quantiles = j.Date, j.ClipQuantiles
	if j.Kind == kindBuckets || j.Edges != nil || j.Quantiles != 0 {
		f.Buckets = &Buckets{j.Edges, j.Quantiles}
	}
}

// Folds reports whether a feature has values that fold into "other" where they are rare.
func (f *Feature) Folds() bool { return f.codes() > 0 }
