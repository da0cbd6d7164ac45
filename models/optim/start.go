package optim

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"tributary/models/pipeline"
)

// ErrStart is returned by StartFrom for a model that a program can't start from.
var ErrStart = errors.New("no model to start from")

// Start is where training starts instead of at zero: an earlier model's coefficients, in the contract's units, since FIT takes
// means and deviations anew. The program holds them, so that its digest, which every member approves, covers them.
type Start struct {
	Model        string    // the earlier model's state, its digest in hexadecimal
	Coefficients []float64 // as State.Coefficients, of columns that aren't standardised
}

func parseStart(doc *object) *Start {
	o := doc.object("start")
	out := &Start{Model: o.text("model")}
	if o.err == nil && (len(out.Model) != 64 || strings.Trim(out.Model, "0123456789abcdef") != "") {
		o.fail("model", "want 64 lower-case hexadecimal digits")
	}
	for i, raw := range o.array("coefficients") {
		c := o.numberOf("coefficients", raw)
		if !(math.Abs(c) <= maxCoefficient) {
			o.fail("coefficients", "coefficient %d is %g", i, c)
		}
		out.Coefficients = append(out.Coefficients, c)
	}
	if err := o.done(); doc.err == nil {
		doc.err = err
	}
	return out
}

// checkStart holds a start to the model; the pipeline must be there.
func (p *Program) checkStart() error {
	switch {
	case p.Start == nil:
	case p.Private() || p.Model.Factors > 0:
		return errors.New("start: only linear models of exact jobs start from another\nhint: leave start out")
	case len(p.Start.Coefficients) != p.Coefficients():
		return fmt.Errorf("start: %d coefficients, the model has %d", len(p.Start.Coefficients), p.Coefficients())
	}
	return nil
}

// startingPoint is where the training of a linear model starts: at zero, or at Start's coefficients in the fitted columns' units.
func (p *Program) startingPoint(f *pipeline.Fitted) []float64 {
	w := make([]float64, p.Coefficients())
	if p.Start == nil {
		return w
	}
	size := p.columns() + 1
	for at := 0; at < len(w); at += size {
		from, to := p.Start.Coefficients[at:at+size], w[at:at+size]
		intercept := from[size-1]
		for i, c := range p.spec.Columns() {
			if f.Folded[i] {
				continue
			}
			to[i] = from[i]
			if c.Role == pipeline.ValueRole {
				mean, sd := p.spec.Natural(f, c.Feature)
				to[i] = float64(from[i] * sd)
				intercept += float64(from[i] * mean)
			}
		}
		to[size-1] = intercept
	}
	if p.Target != nil {
		mean, sd := p.LabelUnits(f)
		w[size-1] -= mean
		for i := range w {
			w[i] = w[i]/sd + 0 // -0 becomes 0
		}
	}
	return w
}

// checkStarted refuses coefficients before the first TRAIN round that aren't the starting point, or one beyond all bounds.
func (p *Program) checkStarted(f *pipeline.Fitted, w []float64) error {
	for i, v := range p.startingPoint(f) {
		if !(math.Abs(v) <= maxCoefficient) || w[i] != v {
			return fmt.Errorf("coefficient %d is %g before training", i, w[i])
		}
	}
	return nil
}

// StartFrom gives what Start.Coefficients must be for training to start from a model of an earlier program: columns that it
// doesn't have start at 0. A category that it folded has what its "other" has.
func (p *Program) StartFrom(old *Program, s *State) ([]float64, error) {
	var classes, before []string
	if p.Label != nil {
		classes = p.Label.Classes
	}
	if old.Label != nil {
		before = old.Label.Classes
	}
	switch {
	case s.kind != Done:
		return nil, fmt.Errorf("%w: its job isn't completed", ErrStart)
	case p.Private() || old.Private() || p.Model.Factors > 0 || old.Model.Factors > 0:
		return nil, fmt.Errorf("%w: only linear models of exact jobs start from another", ErrStart)
	case p.Model.Type != old.Model.Type || !slices.Equal(classes, before):
		return nil, fmt.Errorf("%w: it is a %s, or its label has other classes", ErrStart, old.Model.Type)
	}
	natural := old.natural(s)
	out, common := make([]float64, p.Coefficients()), 0
	size := p.columns() + 1
	columns := p.spec.Columns()
	for i, key := range p.keys() {
		values, ok := natural[key]
		if !ok || p.refitted(columns[i]) {
			continue
		}
		common++
		for k, v := range values {
			out[k*size+i] = v
		}
	}
	if common == 0 {
		return nil, fmt.Errorf("%w: it has none of the columns", ErrStart)
	}
	for k, v := range natural[""] {
		out[k*size+size-1] = v
	}
	return out, nil
}

// keys name what each column means.
func (p *Program) keys() []string {
	out, codes, of := make([]string, p.columns()), "", -1
	for i, c := range p.spec.Columns() {
		switch f := p.spec.Features()[c.Feature]; {
		case f.Log1p && c.Role == pipeline.ValueRole:
			out[i] = "log1p " + c.Name
		case f.HashBuckets > 0 && c.Role == pipeline.CategoryRole:
			if of != c.Feature {
				codes, of = p.codes(c.Feature), c.Feature
			}
			out[i] = codes + " " + strconv.Itoa(c.Code)
		default:
			out[i] = "column " + c.Name
		}
	}
	return out
}

// natural gives each column's coefficients by class in the contract's units, and under "" the intercepts.
func (p *Program) natural(s *State) map[string][]float64 {
	out := map[string][]float64{}
	intercepts, keys := p.byClass(s, p.columns()), p.keys()
	middle, unit := 0.0, 1.0
	if p.Target != nil {
		middle, unit = p.LabelUnits(s.fitted)
	}
	for i, c := range p.spec.Columns() {
		values := p.byClass(s, i)
		switch {
		case c.Role == pipeline.ValueRole:
			mean, sd := p.spec.Natural(s.fitted, c.Feature)
			for k := range values {
				values[k] /= sd
				intercepts[k] -= float64(values[k] * mean)
			}
		case s.fitted.Folded[i] && c.Role == pipeline.CategoryRole:
			values = p.byClass(s, p.spec.OtherColumn(c.Feature))
		}
		for k := range values {
			values[k] = float64(unit*values[k]) + 0 // -0 becomes 0
		}
		out[keys[i]] = values
	}
	for k := range intercepts {
		intercepts[k] = middle + float64(unit*intercepts[k])
	}
	out[""] = intercepts
	return out
}
