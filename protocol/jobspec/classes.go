package jobspec

import (
	"fmt"
	"slices"
)

// Words, bounds and defaults of labels with several classes, and of L-BFGS.
const (
	typeMultinomial     = "multinomial_logistic_regression"
	solverLBFGS         = "lbfgs"
	maxClasses          = 256
	defaultMinClassRows = 20
	lbfgsRounds         = 200
	maxLBFGS            = 1 << 19 // coefficients of a model
)

// labelJSON is the program's label, if it has several classes or is a number.
type labelJSON struct {
	Classes []string `json:"classes,omitempty"`
	MinRows int64    `json:"min_rows,omitempty"`
	Min     *float64 `json:"min,omitempty"` // of a number, as max
	Max     *float64 `json:"max,omitempty"`
}

func (r *Resolved) label() *labelJSON {
	switch {
	case r.Target != nil:
		return &labelJSON{Min: &r.Target.Min, Max: &r.Target.Max}
	case r.Classes != nil:
		return &labelJSON{Classes: r.Classes, MinRows: r.Model.MinClassRows}
	}
	return nil
}

// setLabel reads a program's label.
func (r *Resolved) setLabel(l *labelJSON) {
	switch {
	case l == nil:
	case l.Min != nil || l.Max != nil:
		r.Target = &Target{or0(l.Min), or0(l.Max)}
	default:
		r.Classes, r.Model.MinClassRows = append([]string{}, l.Classes...), l.MinRows
	}
}

// label reads a contract's label: two values, a list of classes, or a number's range.
func (d *document) label(v value) (l Label) {
	_, keys, ok := d.fields(v, "column", "positive", "negative", "classes", "type", "min", "max", "outside")
	if !ok {
		return l
	}
	text := func(key string) (s string) {
		if v, ok := keys[key]; ok {
			s, _ = d.text(v)
		}
		return s
	}
	l.Column, l.Positive, l.Negative = text("column"), text("positive"), text("negative")
	for _, key := range []string{"type", "min", "max", "outside"} {
		if _, number := keys[key]; number {
			d.numberLabel(v, keys, &l)
			return l
		}
	}
	classes, several := keys["classes"]
	if !several {
		d.require(v, keys, map[string]string{"positive": "write column, positive and negative, or column and classes, or column, type: number, min and max"}, "column", "positive", "negative")
		return l
	}
	d.require(v, keys, nil, "column")
	for _, key := range []string{"positive", "negative"} {
		if field, ok := keys[key]; ok {
			d.at(field.path, field.at, "a label with classes has no "+key+" value", "remove it, or remove classes")
		}
	}
	l.Classes = []string{}
	list, _ := d.items(classes)
	for _, e := range list {
		s, _ := d.text(e)
		l.Classes = append(l.Classes, s)
	}
	return l
}

// Values returns the label's values by their code: negative and positive, or the
// classes. A number has none.
func (l *Label) Values() []string {
	switch {
	case l.NumberLabel != nil:
		return nil
	case l.Classes != nil:
		return l.Classes
	}
	return []string{l.Negative, l.Positive}
}

func (l *Label) check(report report) {
	if l.NumberLabel != nil {
		if l.Classes != nil || l.Positive != "" || l.Negative != "" {
			report("a label is a number or has values, not both", "", "label")
		}
		l.NumberLabel.check(report)
		return
	}
	if l.Classes == nil {
		checkValue(report, "label.positive", l.Positive)
		checkValue(report, "label.negative", l.Negative)
		if l.Positive == l.Negative {
			report("both label values are "+show(l.Positive), "they must differ", "label.negative", "label.positive")
		}
		return
	}
	if l.Positive != "" || l.Negative != "" {
		report("a label has two values or several classes, not both", "", "label")
	}
	checkClasses(report, "label.classes", l.Classes)
}

func checkClasses(report report, path string, classes []string) {
	if n := len(classes); n < 2 || n > maxClasses {
		report(fmt.Sprintf("%d classes are not within 2 to %d", n, maxClasses), "", path)
	}
	seen := make(map[string]bool, len(classes))
	for i, c := range classes {
		checkValue(report, item(path, i), c)
		if seen[c] {
			report("class "+show(c)+" is listed twice", "remove one of them", item(path, i))
		}
		seen[c] = true
	}
}

// matchClasses keeps what a spec says of classes to the model that has them.
func (d *document) matchClasses(s *Spec) {
	m := &s.Model
	if m.Type != typeMultinomial {
		if d.given("model.min_class_rows") {
			d.report("min_class_rows is for a "+typeMultinomial, "remove it", "model.min_class_rows")
		}
		return
	}
	switch {
	case s.Privacy.Kind == KindPrivate:
		m.MinClassRows = 1 // a private job opens no counts of classes
	case m.MinClassRows == 0:
		m.MinClassRows = defaultMinClassRows
	}
	if contains(s.Metrics, "auc") {
		d.report("auc is for labels of two values", "write metrics: [log_loss, accuracy]; in exact jobs accuracy comes with the confusion matrix", "evaluate.metrics")
	}
}

// labelOf fits the model to the contract's label.
func labelOf(s *Spec, c *Contract, r *Resolved, report report) {
	matchTarget(s, c, r, report)
	switch multinomial := s.Model.Type == typeMultinomial; {
	case c.Label.NumberLabel != nil:
	case multinomial && c.Label.Classes == nil:
		report("the contract's label has two values, not classes", "write type: logistic_regression", "model.type")
	case !multinomial && c.Label.Classes != nil:
		report(fmt.Sprintf("the contract's label has %d classes; %s is for two values", len(c.Label.Classes), s.Model.Type), "write type: "+typeMultinomial, "model.type")
	case multinomial:
		r.Classes = slices.Clone(c.Label.Classes)
	}
}

// checkLabel checks the label and the size of a resolved job's model.
func (r *Resolved) checkLabel(report report) {
	r.checkTarget(report)
	multinomial := r.Model.Type == typeMultinomial
	switch {
	case multinomial != (r.Classes != nil):
		report("classes go with a "+typeMultinomial+", and only with it", "", "program.label")
		return
	case multinomial:
		checkClasses(report, "program.label.classes", r.Classes)
		most := int64(maxMinCount)
		if r.Kind == KindPrivate {
			most = 1
		}
		inRange(report, "program.label.min_rows", r.Model.MinClassRows, 1, most)
		if contains(r.Metrics, "auc") {
			report("auc is for labels of two values", "", "program.evaluate.metrics")
		}
	}
}

// Coefficients counts a model's coefficients.
func (r *Resolved) Coefficients() int {
	if rec := r.Model.Recommendation; rec != nil {
		d := int(r.Model.Factors)
		if rec.Rating != "" || r.Model.Solver == solverBPR {
			d++
		}
		return r.items() * d
	}
	columns := r.Outputs() - 1
	return (columns*(1+int(r.Model.Factors)) + 1) * max(len(r.Classes), 1)
}

// checkSize reports a model with too many coefficients for its solver.
func (r *Resolved) checkSize(report report, path string) {
	switch n := r.Coefficients(); {
	case r.Model.Averaging != nil && n > maxAveraged:
		report(fmt.Sprintf("the model has %d coefficients, (factors + 1) for each column; %s has at most %d", n, r.Model.Solver, maxAveraged),
			"use fewer factors or buckets, or leave out the category columns with the most values", path)
	case (steps(r.Model.Solver) || r.Model.Solver == solverDPALS) && n > maxStepped:
		report(fmt.Sprintf("the model has %d coefficients, a state holds at most %d", n, maxStepped), "use fewer factors, or leave out the category columns with the most values", path)
	case r.Model.Solver == solverSGD && n > MaxSampledOutputs:
		report(fmt.Sprintf("the model has %d coefficients, %s has at most %d", n, solverSGD, MaxSampledOutputs), "use fewer factors, leave out the category columns with the most values, or merge classes", path)
	case r.Model.StandardErrors && n > MaxOutputs:
		report(fmt.Sprintf("the model has %d coefficients, standard errors are for at most %d", n, MaxOutputs), "remove standard_errors", child(path, "standard_errors"), path)
	case r.Model.Solver == solverLBFGS && n > maxLBFGS:
		report(fmt.Sprintf("the model has %d coefficients, %s has at most %d", n, solverLBFGS, maxLBFGS), "leave out the category columns with the most values, or merge classes", path)
	}
}
