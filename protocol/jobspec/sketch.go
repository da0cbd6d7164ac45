package jobspec

import (
	"fmt"
	"math/big"
	"strings"

	"tributary/crypto/dp"
)

// Private jobs fit quantiles, means and deviations from noised counts of rows by bin, in a round before the others.
const (
	// sketchShare is the round's share of the RDP budget in percent, taken from the training's: measured on census data, whose
	// quantiles are off by less than two percent of the rows then at ε = 1.
	sketchShare = 10

	sketchLanes = 544 // of a column: pipeline.NoisedLanes

	// maxSketched bounds the columns, whose number's root the noise grows with: pipeline.MaxNoised.
	maxSketched = 256

	privateClip = 3.0 // the default of a standardised number, in deviations
)

// privateQuantiles are those that a standardised number of a private job is clamped to where the spec names none: its deviation
// would be that of the noise in bins of few rows or none.
func privateQuantiles() []float64 { return []float64{0.01, 0.99} }

// matchPrivateNumber sets what a group's numbers have by default in a private job.
func (d *document) matchPrivateNumber(f *FeatureSpec, at string) {
	clip := child(at, "clip")
	deviations := d.given(clip) && (f.Quantiles == nil || d.given(child(clip, "deviations")))
	switch {
	case contains(f.Transforms, "standardize"):
		if !deviations {
			f.Clip = privateClip
		}
		return
	case deviations:
		d.report("clip counts standard deviations and needs standardize", "write clip: {quantiles: [0.01, 0.99]}, or standardize in place of scale", clip, child(at, "transform"))
	}
	f.Clip = 0
}

// sketchSegment is segment of the round that counts rows by bin: two 1s for each column, of a bin and of its neighbours together.
func (r *Resolved) sketchSegment(scale, clip uint64) dp.Segment {
	n := len(r.Sketched())
	return dp.Segment{Name: "sketch", Length: n * sketchLanes, Clip: rootClip(2*n, scale*clip), Rounding: dp.TowardZero}
}

// rootClip is the least integer not below √n·rows, by which n 1s of each of so many rows are bounded.
func rootClip(n int, rows uint64) uint64 {
	square := new(big.Int).Mul(new(big.Int).SetUint64(rows), new(big.Int).SetUint64(rows))
	square.Mul(square, big.NewInt(int64(n)))
	root := new(big.Int).Sqrt(square)
	if new(big.Int).Mul(root, root).Cmp(square) < 0 {
		root.Add(root, big.NewInt(1))
	}
	return root.Uint64()
}

// sketches reports whether the job has that round.
func (r *Resolved) sketches() bool { return r.Private != nil && len(r.Sketched()) > 0 }

// checkPrivateNumber checks a number of a resolved private job.
func (f *Feature) checkPrivateNumber(report report, path string) {
	switch {
	case f.Standardize != (f.Clip != 0), f.Standardize && f.Quantiles == nil:
		report("in a private job standardised numbers have clip and clip_quantiles, and others no clip", "", path)
	case f.Standardize && !(f.Clip > 0 && f.Clip <= maxClip):
		report(fmt.Sprintf("clip %v is not above 0 and at most %v", f.Clip, maxClip), "", child(path, "clip"))
	}
}

// checkSketched bounds the columns that a private job counts by bin.
func (r *Resolved) checkSketched(report report, path string) {
	if n := len(r.Sketched()); r.Kind == KindPrivate && n > maxSketched {
		report(fmt.Sprintf("%d columns have quantiles, means or deviations, a private job fits those of %d at most", n, maxSketched), "use scale without clip, or buckets with edges, for most of them", path)
	}
}

// scaledText says in words how a number of a private job becomes one from -1 to 1.
func (f *Feature) scaledText() string {
	switch {
	case f.Standardize:
		return fmt.Sprintf("standardised, ±%s deviations scaled to ±1", decimalOf(f.Clip))
	case f.Quantiles != nil:
		return "what is between them scaled to ±1"
	}
	return fmt.Sprintf("scaled from %s…%s to ±1", decimalOf(f.Min), decimalOf(f.Max))
}

// sketchText says what the sketch round's sum tells.
func (r *Resolved) sketchText() string {
	if names := r.Sketched(); len(names) > 0 {
		return fmt.Sprintf("of how many rows lie in each of up to %d bins of %s, ", maxSketchBins, strings.Join(names, ", "))
	}
	return ""
}
