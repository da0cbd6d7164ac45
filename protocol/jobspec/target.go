package jobspec

import (
	"fmt"
	"slices"
	"strings"
)

// typeLinear is a linear model of a label that is a number.
const typeLinear = "linear_regression"

// NumberLabel is what a contract says of a label that is a number: it is never missing.
type NumberLabel struct {
	Type    Kind    `json:"type"` // Number
	Min     float64 `json:"min"`
	Max     float64 `json:"max"`
	Outside string  `json:"outside"`
}

// Target is the range of a job's label that is a number.
type Target struct{ Min, Max float64 }

// numberLabel reads the keys of a label that is a number.
func (d *document) numberLabel(v value, keys map[string]value, l *Label) {
	n := &NumberLabel{Type: Number, Outside: OutsideClip}
	l.NumberLabel = n
	d.require(v, keys, map[string]string{
		"type": "write type: number", "min": "the range bounds every sum; declare it", "max": "the range bounds every sum; declare it",
	}, "column", "type", "min", "max")
	for _, key := range []string{"positive", "negative", "classes"} {
		if field, ok := keys[key]; ok {
			d.at(field.path, field.at, "a label that is a number has no "+key, "remove it, or remove type, min, max and outside")
		}
	}
	if v, ok := keys["type"]; ok {
		d.choice(v, string(Number))
	}
	if v, ok := keys["min"]; ok {
		n.Min, _ = d.number(v)
	}
	if v, ok := keys["max"]; ok {
		n.Max, _ = d.number(v)
	}
	if v, ok := keys["outside"]; ok {
		n.Outside, _ = d.choice(v, OutsideClip, OutsideReject)
	}
}

func (n *NumberLabel) check(report report) {
	if n.Type != Number {
		report(show(string(n.Type))+" is not number", "", "label.type")
	}
	col := Column{Kind: Number, Min: n.Min, Max: n.Max, Outside: n.Outside}
	col.check(report, "label")
}

// matchTarget keeps the model and what it weighs by to a label that is a number, or isn't.
func matchTarget(s *Spec, c *Contract, r *Resolved, report report) {
	number, predicts := c.Label.NumberLabel, s.Model.predictsNumbers()
	switch {
	case number != nil && !predicts:
		report(fmt.Sprintf("the contract's label is a number; %s is for labels with values", s.Model.Type), "write type: "+typeLinear+", or "+typeFactorization, "model.type")
	case number == nil && s.Model.Type == typeLinear && c.HasLabel():
		report("the contract's label has values, and isn't a number", "write type: logistic_regression, or declare label: {column: NAME, type: number, min: 0, max: 1000}", "model.type")
	}
	if number == nil {
		return
	}
	r.Target = &Target{number.Min, number.Max}
	targetSampling(s, r, report)
	if s.Weighting.Classes != nil {
		report("class_weights are for labels with values, not for numbers", "remove class_weights; weight names a column of the rows' weights", "model.class_weights")
	}
	if s.Weighting.Offset != "" {
		report("a label that is a number has no offset: it can be taken off the label itself", "remove offset", "model.offset")
	}
	if len(s.Groups) > 0 {
		report("a label that is a number isn't evaluated by groups in this version", "remove groups", "evaluate.groups")
	}
}

// predictsNumbers reports whether a model can have a label that is a number.
func (m *Model) predictsNumbers() bool { return m.Type == typeLinear || m.Type == typeFactorization }

// metrics lists what a job can measure, in the order of metricNames.
func (r *Resolved) metrics() []string {
	switch {
	case r.Target != nil && r.Kind == KindPrivate:
		return metricNames()[7:10]
	case r.Target != nil:
		return metricNames()[7:]
	}
	return r.Model.metrics()
}

// errorLanes counts what a private job sums of a held-out row whose label is a
// number: one for the row, two for its squared error for rmse and r2, its absolute
// error for mae, the label and its square for r2, by factors with which the row's
// L2 norm is below 1 (models/optim).
func (r *Resolved) errorLanes() int {
	n, r2 := 1, contains(r.Metrics, "r2")
	if r2 || contains(r.Metrics, "rmse") {
		n += 2
	}
	if contains(r.Metrics, "mae") {
		n++
	}
	if r2 {
		n += 2
	}
	return n
}

// defaultMetrics are measured where a spec with a hold-out names none.
func (r *Resolved) defaultMetrics() []string {
	if r.Target != nil {
		return metricNames()[7:10] // without calibration, whose sums tell more
	}
	return r.Model.metrics()
}

// checkTarget checks a job that was read from JSON.
func (r *Resolved) checkTarget(report report) {
	if r.Target == nil {
		if r.Model.Type == typeLinear {
			report("a "+typeLinear+" needs a label that is a number", "", "program.label")
		}
		return
	}
	(&NumberLabel{Number, r.Target.Min, r.Target.Max, OutsideClip}).check(func(message, _ string, paths ...string) {
		report(message, "", "program."+paths[0])
	})
	switch {
	case !r.Model.predictsNumbers():
		report("a label that is a number is for "+typeLinear+" and "+typeFactorization, "", "program.label")
	case r.Weighting != nil && (r.Weighting.Classes != nil || r.Weighting.Offset != nil):
		report("a label that is a number has neither class weights nor an offset", "", "program.weighting")
	case len(r.Groups) > 0:
		report("a label that is a number isn't evaluated by groups", "", "program.evaluate.groups")
	}
}

// targetConforms checks the label's range against the contract's own.
func (r *Resolved) targetConforms(c *Contract) error {
	n := c.Label.NumberLabel
	switch {
	case (r.Target != nil) != (n != nil):
		return fmt.Errorf("the label is a number in the job or in the contract, not in both")
	case n != nil && *r.Target != (Target{n.Min, n.Max}):
		return fmt.Errorf("the job's label is within %v to %v, the contract's within %v to %v", r.Target.Min, r.Target.Max, n.Min, n.Max)
	}
	return nil
}

// targetSumsText says what the sums of a number label tell.
func (r *Resolved) targetSumsText() (labels, categories, scores string) {
	labels = "the labels' mean and variance"
	switch r.Model.Solver {
	case solverNewton:
		categories = "the count of every category and of every pair of categories, the sum of the labels in every category, the products of every two columns and of each with the label"
	case solverLBFGS:
		categories = "the count of every category, the sum of the labels in every category and of their products with each number, the loss's derivative by every coefficient in each round"
	default:
		categories = averagedSums(&r.Model)
	}
	if m := r.Metrics; len(m) > 0 {
		var of []string
		if contains(m, "rmse") || contains(m, "r2") {
			of = append(of, "squared error")
		}
		if contains(m, "mae") {
			of = append(of, "absolute error")
		}
		if contains(m, "r2") {
			of = append(of, "mean and variance of their labels")
		}
		scores = "the held-out rows' " + strings.Join(of, ", ")
		if contains(m, "calibration") {
			if len(of) > 0 {
				scores += " and, "
			}
			scores += "in 20 bins of the prediction, how many they are and the sums of their labels and predictions (of a bin with one row, that row's)"
		}
	}
	return labels, categories, scores
}

// errorsText lists what a private job sums of held-out rows whose label is a number.
func (r *Resolved) errorsText() []string {
	out, r2 := []string{"how many they are"}, contains(r.Metrics, "r2")
	if r2 || contains(r.Metrics, "rmse") {
		out = append(out, "their squared errors")
	}
	if contains(r.Metrics, "mae") {
		out = append(out, "their absolute errors")
	}
	if r2 {
		out = append(out, "their labels and the labels' squares")
	}
	return out
}

// sweepMetrics are what a sweep can be ranked by.
func sweepMetrics() []string {
	return slices.Concat([]string{"auc", "average_precision", "log_loss", "accuracy", "brier", "calibration_error"}, metricNames()[7:10])
}
