package optim

import (
	"math"

	"tributary/models/pipeline"
)

// Weighting says how much each training row counts, and what is known of its margin: a row's log loss is taken at w·x + offset
// and multiplied by its weight, the row's own times its class's. Losses, gradients and Hessians are sums of weighted rows; what
// FIT counts, and what EVALUATE measures over held-out rows, isn't weighted.
type Weighting struct {
	Classes []float64    // by class, or of the negative and the positive rows; nil: 1 each
	Weight  *NumberRange // the rows' own; nil: 1 each
	Offset  *NumberRange // nil: 0 each; only with two classes
}

// NumberRange is a contract's number that isn't a feature, with its declared range.
type NumberRange struct {
	Name     string
	Min, Max float64
}

// Bounds of a weighting.
const (
	MaxWeight   = 1e6
	LeastWeight = 1e-6 // of a class, and of the largest weight that rows may have
	MaxOffset   = 1e3  // nats, either way: a loss saturates at 64
)

func parseWeighting(doc *object) *Weighting {
	o := doc.object("weighting")
	out := &Weighting{}
	if _, given := o.keys["classes"]; given {
		for i, raw := range o.array("classes") {
			w := o.numberOf("classes", raw)
			if !(w >= LeastWeight && w <= MaxWeight) {
				o.fail("classes", "weight %d is %g, not within %g..%g", i, w, LeastWeight, MaxWeight)
			}
			out.Classes = append(out.Classes, w)
		}
		if o.err == nil && len(out.Classes) == 0 {
			o.fail("classes", "no weights\nhint: leave classes out for 1 each")
		}
	}
	read := func(key string) *NumberRange {
		if _, given := o.keys[key]; !given {
			return nil
		}
		r := o.object(key)
		n := &NumberRange{Name: r.text("name"), Min: r.number("min"), Max: r.number("max")}
		if err := pipeline.CheckName(n.Name); r.err == nil && err != nil {
			r.fail("name", "%v", err)
		}
		if err := r.done(); o.err == nil {
			o.err = err
		}
		return n
	}
	if out.Weight = read("weight"); out.Weight != nil && !(out.Weight.Min >= 0 && out.Weight.Min < out.Weight.Max && out.Weight.Max >= LeastWeight && out.Weight.Max <= MaxWeight) {
		o.fail("weight", "range %g..%g is not within 0..%g\nhint: declare the column's range so in the contract", out.Weight.Min, out.Weight.Max, MaxWeight)
	}
	if out.Offset = read("offset"); out.Offset != nil && !(out.Offset.Min >= -MaxOffset && out.Offset.Min < out.Offset.Max && out.Offset.Max <= MaxOffset) {
		o.fail("offset", "range %g..%g is not within ±%g\nhint: declare the column's range so in the contract", out.Offset.Min, out.Offset.Max, MaxOffset)
	}
	if o.err == nil && out.Classes == nil && out.Weight == nil && out.Offset == nil {
		o.fail("classes", "missing\nhint: leave weighting out if nothing is weighted")
	}
	if err := o.done(); doc.err == nil {
		doc.err = err
	}
	return out
}

// checkWeighting holds a weighting to the model.
func (p *Program) checkWeighting(doc *object) {
	w := p.Weighting
	classes := 2
	if p.Label != nil {
		classes = p.blocks()
	}
	switch {
	case w == nil:
	case p.Model.Solver != Newton && p.Model.Solver != LBFGS:
		doc.fail("weighting", "solver %q weighs all rows alike\nhint: %s or %s", p.Model.Solver, Newton, LBFGS)
	case p.Target != nil && (w.Classes != nil || w.Offset != nil):
		doc.fail("weighting", "a label that is a number has neither class weights nor an offset\nhint: take the offset off the label")
	case w.Classes != nil && len(w.Classes) != classes:
		doc.fail("weighting.classes", "%d weights of %d classes", len(w.Classes), classes)
	case w.Offset != nil && p.Label != nil:
		doc.fail("weighting.offset", "a label with several classes has no offset\nhint: leave it out: added to every class's margin, it changes no probability")
	}
}

// RowWeight is a training row's weight: its own times that of its class, the positive rows being class 1 of two. own is 1 in programs
// without a column for it.
func (w *Weighting) RowWeight(own float64, class int) float64 {
	if w == nil || w.Classes == nil {
		return own
	}
	return float64(own * w.Classes[class])
}

// weightExponent is the e of 2^e that bounds a row's weight: sums of rows are normalised by it.
func (p *Program) weightExponent() int {
	w := p.Weighting
	if w == nil {
		return 0
	}
	most := 1.0
	if w.Classes != nil {
		most = 0
		for _, c := range w.Classes {
			most = max(most, c)
		}
	}
	if w.Weight != nil {
		most = float64(most * w.Weight.Max)
	}
	frac, e := math.Frexp(most)
	if frac == 0.5 {
		e--
	}
	return e
}

// trainNoise bounds the quantisation error of a loss sum over training rows.
func (p *Program) trainNoise(rows int64) float64 {
	return pow2(p.lossNoise(rows), p.weightExponent())
}

// encodeTrainLoss is lossLanes of weighted rows.
func (p *Program) encodeTrainLoss(loss float64, rows int64) (whole, lane []float64) {
	return p.lossLanes(pow2(loss, -p.weightExponent()), rows)
}

// trainExponent is the r of the 2^r that derivatives of training rows are normalised by, beside the columns' bounds.
func (p *Program) trainExponent(rows int64) int { return rowExponent(rows) + p.weightExponent() }

type documentWeighting struct {
	Classes []float64      `json:"classes,omitempty"`
	Weight  *documentRange `json:"weight,omitempty"`
	Offset  *documentRange `json:"offset,omitempty"`
}

type documentRange struct {
	Name string  `json:"name"`
	Min  float64 `json:"min"`
	Max  float64 `json:"max"`
}

func (w *Weighting) document() *documentWeighting {
	if w == nil {
		return nil
	}
	return &documentWeighting{Classes: w.Classes, Weight: w.Weight.document(), Offset: w.Offset.document()}
}

func (r *NumberRange) document() *documentRange {
	if r == nil {
		return nil
	}
	return &documentRange{r.Name, r.Min, r.Max}
}
