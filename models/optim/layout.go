package optim

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
)

// ErrSums is wrapped by Apply's errors about opened sums that no honest participants give.
var ErrSums = errors.New("inconsistent sums")

// RoundKind is what a round sums.
type RoundKind uint8

const (
	Fit      RoundKind = 1
	Train    RoundKind = 2
	Evaluate RoundKind = 3
	Done     RoundKind = 4 // of a state only: no round comes next
	Sketch   RoundKind = 5 // of private programs, before FIT
)

func (k RoundKind) String() string {
	switch k {
	case Fit:
		return "FIT"
	case Train:
		return "TRAIN"
	case Evaluate:
		return "EVALUATE"
	case Done:
		return "DONE"
	case Sketch:
		return "SKETCH"
	}
	return fmt.Sprintf("RoundKind(%d)", uint8(k))
}

// Segment is a run of lanes with one scale: a lane's integer is value·ScaleNum/ScaleDen, rounded half to even. Counts have
// scale 1; other values are normalised to [-1, 1] and fill the lane. All of a private program's have scale 1: they are integer
// units already.
type Segment struct {
	Name               string
	Length             int
	ScaleNum, ScaleDen uint64
}

// Names of segments.
const (
	segRows        = "rows"
	segPositives   = "positives"
	segHeldOut     = "held_out_rows"
	segPresent     = "present"
	segSumWhole    = "sum_whole"
	segSumPart     = "sum_part"
	segSquareWhole = "square_whole"
	segSquarePart  = "square_part"
	segCategories  = "categories"
	segLoss        = "loss"
	segGradient    = "gradient"
	segHessian     = "hessian"
	segHeldPos     = "held_out_positives"
	segHeldCorrect = "held_out_correct"
	segHeldLoss    = "held_out_loss"
	segBinsPos     = "positive_bins"
	segBinsNeg     = "negative_bins"

	// Of private programs, with segGradient.
	segGram      = "gram"
	segHistogram = "histogram" // positives first
)

// lane is the largest integer of a lane: 2^(bits-1) - 1.
func (p *Program) lane() uint64 { return 1<<(p.Bits-1) - 1 }

// unit bounds the error of a normalised value's opened sum: half a lane step for each contributor.
func (p *Program) unit() float64 {
	return float64(0.5*float64(p.Contributors)) / float64(p.lane())
}

// Layout lists the segments of a kind of round, in order. It depends on the program alone. Done has none.
func (p *Program) Layout(kind RoundKind) []Segment {
	var out []Segment
	add := func(name string, length int, scale uint64) {
		if length > 0 {
			out = append(out, Segment{Name: name, Length: length, ScaleNum: scale, ScaleDen: 1})
		}
	}
	p.solver.layout(kind, add)
	return out
}

// MaxRounds is how many rounds of a kind are opened at most; in a private job so many are. It has no EVALUATE round where
// nothing is held out or no metric asked for.
func (p *Program) MaxRounds(kind RoundKind) int { return p.solver.maxRounds(kind) }

// assemble puts named values in the layout's order.
func (p *Program) assemble(kind RoundKind, values map[string][]float64) [][]float64 {
	var out [][]float64
	for _, s := range p.Layout(kind) {
		out = append(out, values[s.Name])
	}
	return out
}

// split names the segments of a sum, whose shape and values must fit the layout.
func (p *Program) split(kind RoundKind, segments [][]float64) (map[string][]float64, error) {
	layout := p.Layout(kind)
	if len(segments) != len(layout) {
		return nil, fmt.Errorf("%w: %s has %d segments, got %d", ErrSums, kind, len(layout), len(segments))
	}
	out := make(map[string][]float64, len(layout))
	for i, s := range layout {
		if len(segments[i]) != s.Length {
			return nil, fmt.Errorf("%w: segment %q has %d values, want %d", ErrSums, s.Name, len(segments[i]), s.Length)
		}
		for j, v := range segments[i] {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return nil, fmt.Errorf("%w: segment %q, value %d is %g", ErrSums, s.Name, j, v)
			}
			if s.ScaleNum == 1 && (v != math.Trunc(v) || math.Abs(v) > 1<<53) {
				return nil, fmt.Errorf("%w: segment %q, value %d is %g, not a count", ErrSums, s.Name, j, v)
			}
		}
		out[s.Name] = segments[i]
	}
	return out, nil
}

// rowExponent is the r of 2^r ≥ rows: losses and gradients are normalised by it, so that their resolution follows the number
// of rows that there are, not the number that the contract allows.
func rowExponent(rows int64) int {
	if rows < 1 {
		return 0
	}
	return bits.Len64(uint64(rows - 1))
}

// exponents are the column bounds of one block of coefficients, the intercept's last.
func (p *Program) exponents() []int {
	out := make([]int, 0, p.columns()+1)
	for _, c := range p.spec.Columns() {
		out = append(out, c.Exponent)
	}
	return append(out, 0)
}

// pow2 scales by a power of two, which is exact.
func pow2(v float64, e int) float64 { return math.Ldexp(v, e) }

func counts(values []float64) []int64 {
	out := make([]int64, len(values))
	for i, v := range values {
		out[i] = int64(v)
	}
	return out
}

func floats(values []int64) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = float64(v)
	}
	return out
}

func one(v int64) []float64 { return []float64{float64(v)} }
