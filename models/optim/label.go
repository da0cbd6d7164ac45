package optim

import (
	"errors"
	"fmt"

	"tributary/models/pipeline"
)

// Labels of more than two classes: multinomial logistic regression has a block of coefficients for each class, all columns and
// the intercept, and p_k = exp(w_k·x)/Σ_j exp(w_j·x). The blocks are symmetric, no class is the reference: the L2 penalty makes
// them unique, but for a constant added to all intercepts, which the gradient never moves from where training started.

// MultinomialRegression is a linear model of a label with any number of classes.
const MultinomialRegression = "multinomial_logistic_regression"

// MaxClasses bounds a label's classes: a confusion matrix has as many lanes as their square.
const MaxClasses = 256

// Label is a label of several classes.
type Label struct {
	Classes []string // in the contract's order: a class's number is its index
	MinRows int64    // of each class among the cohort's training rows: a sum over fewer stops the job
}

// ErrRareClass is returned by Apply when a class has too few training rows: its sums would tell of them.
var ErrRareClass = errors.New("too few rows of a class")

const (
	segClasses   = "classes"
	segConfusion = "held_out_confusion"
)

// blocks counts the blocks of coefficients, each with all columns and an intercept at its end.
func (p *Program) blocks() int {
	if p.Label != nil {
		return len(p.Label.Classes)
	}
	return 1
}

// intercept tells whether a coefficient of a linear model is an intercept, which no penalty is on.
func (p *Program) intercept(i int) bool { return (i+1)%(p.columns()+1) == 0 }

// folded tells whether a coefficient of a linear model belongs to a folded column, and so stays 0.
func (p *Program) folded(f *pipeline.Fitted, i int) bool {
	at := i % (p.columns() + 1)
	return at < len(f.Folded) && f.Folded[at]
}

// parseLabel reads what isn't of two values: the classes, or a number's range.
func parseLabel(doc *object) (*Label, *Target) {
	o := doc.object("label")
	if _, number := o.keys["min"]; number {
		target := parseTarget(o)
		if err := o.done(); doc.err == nil {
			doc.err = err
		}
		return nil, target
	}
	out := &Label{Classes: o.texts("classes"), MinRows: o.integer("min_rows", 1, 1<<(MaxBits-1))}
	if n := len(out.Classes); o.err == nil && (n < 2 || n > MaxClasses) {
		o.fail("classes", "%d classes are not within 2..%d", n, MaxClasses)
	}
	seen := map[string]bool{}
	for _, c := range out.Classes {
		if err := pipeline.CheckName(c); err != nil {
			o.fail("classes", "class %q: %v", c, err)
		}
		if seen[c] {
			o.fail("classes", "class %q twice", c)
		}
		seen[c] = true
	}
	if err := o.done(); doc.err == nil {
		doc.err = err
	}
	return out, nil
}

// checkLabel holds a model to its label.
func (p *Program) checkLabel(doc *object) {
	switch multinomial := p.Model.Type == MultinomialRegression; {
	case multinomial && p.Label == nil:
		doc.fail("label", "missing\nhint: %s needs the label's classes", MultinomialRegression)
	case !multinomial && p.Label != nil:
		doc.fail("label", "%s has two classes\nhint: %s", p.Model.Type, MultinomialRegression)
	case multinomial && p.Evaluate.AUC:
		doc.fail("evaluate.metrics", "auc is for two classes\nhint: log_loss, accuracy")
	}
}

// confuses tells whether EVALUATE opens a confusion matrix.
func (p *Program) confuses() bool { return p.Label != nil && p.Evaluate.HoldOut && p.Evaluate.Correct }

// checkConfusion holds a confusion matrix, if there is one, to the held-out rows.
func (p *Program) checkConfusion(confusion []int64, heldOut int64) error {
	if !p.confuses() {
		return nil
	}
	total := int64(0)
	for i, n := range confusion {
		if n < 0 || n > heldOut {
			return fmt.Errorf("cell %d of the confusion matrix has %d of %d held-out rows", i, n, heldOut)
		}
		total += n
	}
	if total != heldOut {
		return fmt.Errorf("the confusion matrix has %d rows, %d are held out", total, heldOut)
	}
	return nil
}

// checkFitted holds a fitted pipeline to what FIT can give.
func (p *Program) checkFitted(f *pipeline.Fitted) error {
	if err := p.spec.Check(f); err != nil {
		return err
	}
	switch {
	case p.Target != nil:
		return p.checkMoments(f)
	case p.Label != nil:
		return p.checkClasses(f.Classes)
	}
	return nil
}

// checkClasses refuses class counts that no model can be fitted to.
func (p *Program) checkClasses(counts []int64) error {
	for i, n := range counts {
		if n < p.Label.MinRows {
			return fmt.Errorf("%w: class %q has %d training rows, at least %d are needed\nhint: lower model.min_class_rows, or merge classes in the contract", ErrRareClass, p.Label.Classes[i], max(n, 0), p.Label.MinRows)
		}
	}
	return nil
}
