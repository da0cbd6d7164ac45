package jobspec

import (
	"fmt"
	"slices"
	"strings"
)

// Bounds of weights and offsets.
const (
	maxWeight   = 1e6
	leastWeight = 1e-6
	maxOffset   = 1e3 // nats, either way
)

// Weighting is what a spec says of rows' weights and offsets; zero: nothing.
type Weighting struct {
	Weight, Offset string             // columns of the contract; empty: none
	Classes        map[string]float64 // by the label's value; nil: 1 each
	values         []string           // the keys of Classes as written
}

func (w *Weighting) none() bool { return w.Weight == "" && w.Offset == "" && w.Classes == nil }

// RowWeighting is a Weighting with nothing left to look up; nil in jobs without.
type RowWeighting struct {
	Classes        []float64    // by the label's code: of the negative and the positive rows, or of the classes; nil: 1 each
	Weight, Offset *NumberRange // nil: none
}

// NumberRange is a contract's number that isn't a feature, with its range.
type NumberRange struct {
	Name string  `json:"name"`
	Min  float64 `json:"min"`
	Max  float64 `json:"max"`
}

type weightingJSON struct {
	Classes []float64    `json:"classes,omitempty"`
	Weight  *NumberRange `json:"weight,omitempty"`
	Offset  *NumberRange `json:"offset,omitempty"`
}

func (w *RowWeighting) json() *weightingJSON {
	if w == nil {
		return nil
	}
	return &weightingJSON{w.Classes, w.Weight, w.Offset}
}

func (j *weightingJSON) weighting() *RowWeighting {
	if j == nil {
		return nil
	}
	return &RowWeighting{j.Classes, j.Weight, j.Offset}
}

// weighting reads the model's keys weight, offset and class_weights.
func (d *document) weighting(keys map[string]value) (w Weighting) {
	if v, ok := keys["weight"]; ok {
		w.Weight, _ = d.text(v)
	}
	if v, ok := keys["offset"]; ok {
		w.Offset, _ = d.text(v)
	}
	v, ok := keys["class_weights"]
	if !ok {
		return w
	}
	values, byValue, ok := d.fields(v)
	w.values, w.Classes = values, map[string]float64{}
	if ok && len(values) == 0 {
		d.at(v.path, v.at, "no weights are given", `write {"yes": 3}, or remove class_weights`)
	}
	for _, name := range values {
		v := byValue[name]
		n, ok := d.number(v)
		if ok && !(n >= leastWeight && n <= maxWeight) {
			d.at(v.path, v.at, fmt.Sprintf("weight %v is not within %v to %v", n, leastWeight, maxWeight), "")
		}
		w.Classes[name] = n
	}
	return w
}

// matchWeighting keeps weights to the solvers that have them.
func (d *document) matchWeighting(s *Spec) {
	if s.Weighting.none() || s.Privacy.Kind == KindExact && !averages(s.Model.Solver) {
		if s.Weighting.Offset != "" && s.Model.Type == typeMultinomial {
			d.report("a label with several classes has no offset: one that is added to every class's margin changes no probability", "remove offset", "model.offset")
		}
		return
	}
	for _, key := range []string{"weight", "offset", "class_weights"} {
		if at := "model." + key; d.given(at) {
			d.report("weights and offsets are for the solvers newton and lbfgs in exact jobs", "remove "+key, at)
		}
	}
}

// weightingOf looks up what a spec weighs by.
func weightingOf(s *Spec, c *Contract, r *Resolved, report report) {
	w := &s.Weighting
	if w.none() {
		return
	}
	out := &RowWeighting{Weight: numberOf(w.Weight, c, r, "model.weight", report), Offset: numberOf(w.Offset, c, r, "model.offset", report)}
	if w.Classes != nil && c.Label.NumberLabel == nil {
		labels := c.Label.Values()
		out.Classes = slices.Repeat([]float64{1}, len(labels))
		for _, name := range w.values {
			at := slices.Index(labels, name)
			if at < 0 {
				report("the contract's label has no value "+show(name), didYouMean(name, labels), child("model.class_weights", name))
				continue
			}
			out.Classes[at] = w.Classes[name]
		}
	}
	r.Weighting = out
	r.checkWeighting(report, "model", true)
}

// numberOf finds a column of weights or offsets.
func numberOf(name string, c *Contract, r *Resolved, path string, report report) *NumberRange {
	if name == "" {
		return nil
	}
	col, ok := usable(name, c, path, report)
	switch {
	case !ok:
		return nil
	case col.Kind != Number:
		report(fmt.Sprintf("column %s is a %s, not a number", name, col.Kind), "name a number", path)
		return nil
	case col.Nullable:
		report("column "+name+" may be missing: every row needs its value", "agree on nullable: false in the contract", path)
		return nil
	}
	return &NumberRange{col.Name, col.Min, col.Max}
}

// checkWeighting checks a weighting whatever it was read from; in a spec its keys lie beside each other.
func (r *Resolved) checkWeighting(report report, path string, spec bool) {
	w := r.Weighting
	if w == nil {
		return
	}
	if r.Private != nil || averages(r.Model.Solver) {
		report("weights and offsets are for the solvers newton and lbfgs in exact jobs", "", path)
		return
	}
	classes := child(path, "classes")
	if spec {
		classes = child(path, "class_weights")
	}
	if w.Classes != nil && len(w.Classes) != max(len(r.Classes), 2) {
		report(fmt.Sprintf("%d weights of %d classes", len(w.Classes), max(len(r.Classes), 2)), "", classes)
	}
	for _, n := range w.Classes {
		if !(n >= leastWeight && n <= maxWeight) {
			report(fmt.Sprintf("weight %v is not within %v to %v", n, leastWeight, maxWeight), "", classes)
		}
	}
	if w.Classes == nil && w.Weight == nil && w.Offset == nil && !spec {
		report("nothing is weighted", "", path)
	}
	if w.Offset != nil && r.Classes != nil {
		report("a label with several classes has no offset", "", child(path, "offset"))
	}
	r.checkRange(report, child(path, "weight"), w.Weight, 0, maxWeight)
	r.checkRange(report, child(path, "offset"), w.Offset, -maxOffset, maxOffset)
	if w.Weight != nil && w.Offset != nil && w.Weight.Name == w.Offset.Name {
		report("the weight and the offset are one column", "", child(path, "offset"), child(path, "weight"))
	}
}

func (r *Resolved) checkRange(report report, path string, n *NumberRange, low, high float64) {
	if n == nil {
		return
	}
	if !columnText.MatchString(n.Name) {
		report(show(n.Name)+" is not a column name", "", path)
	}
	if !(n.Min >= low && n.Min < n.Max && n.Max <= high) || n.Max < leastWeight && low == 0 || negativeZero(n.Min) || negativeZero(n.Max) {
		report(fmt.Sprintf("the contract's range of %s, %v to %v, is not within %v to %v", n.Name, n.Min, n.Max, low, high), "declare the column's range so in the contract", path)
	}
	for _, f := range r.Features {
		if f.Name == n.Name {
			report("column "+n.Name+" is a feature, too", "take it off the features", path)
		}
	}
}

// conforms checks that the contract declares the weighting's columns so.
func (w *RowWeighting) conforms(c *Contract) error {
	if w == nil {
		return nil
	}
	for _, n := range []*NumberRange{w.Weight, w.Offset} {
		if n == nil {
			continue
		}
		if col, ok := c.Column(n.Name); !ok || col.Kind != Number || col.Nullable || col.Min != n.Min || col.Max != n.Max {
			return fmt.Errorf("the job declares column %s otherwise than the contract", n.Name)
		}
	}
	return nil
}

// text says for people how rows are weighted.
func (w *RowWeighting) text(classes []string) string {
	var parts []string
	if w.Weight != nil {
		parts = append(parts, fmt.Sprintf("each row by its %s (%s…%s)", w.Weight.Name, decimalOf(w.Weight.Min), decimalOf(w.Weight.Max)))
	}
	for i, n := range w.Classes {
		name := []string{"negative", "positive"}[min(i, 1)]
		if classes != nil {
			name = show(classes[i])
		}
		if n != 1 {
			parts = append(parts, fmt.Sprintf("%s rows by %s", name, decimalOf(n)))
		}
	}
	if w.Offset != nil {
		parts = append(parts, fmt.Sprintf("%s is added to each row's margin", w.Offset.Name))
	}
	if len(parts) == 0 {
		return "all rows alike"
	}
	return strings.Join(parts, ", ")
}
