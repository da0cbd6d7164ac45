package score

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"tributary/models/pipeline"
)

// ErrLabel is returned by methods that don't go with the model's label: Score and Batch are for one of two values or a number,
// Explain for the former, ExplainNumber for the latter, Classify and ExplainClasses for one with Classes.
var ErrLabel = errors.New("not a method for the model's label\nhint: Classify and ExplainClasses are for models with classes, Score and ExplainNumber for those of a number, Score and Explain for the others")

// Classify gives the probability of each of Classes for a row, and the index of the predicted class: that of the largest logit, the
// first of equal ones, as the evaluation on held-out rows counts it. The error is a *RecordError, or ErrLabel.
func (m *Model) Classify(row []Value) (probabilities []float64, predicted int, err error) {
	if m.Classes == nil {
		return nil, 0, ErrLabel
	}
	e, err := m.encode(row)
	if err != nil {
		return nil, 0, err
	}
	logits := make([]float64, len(m.Classes))
	for k := range logits {
		logits[k] = m.logit(e, k)
	}
	probabilities, predicted = softmax(logits)
	return probabilities, predicted, nil
}

// ExplainClasses is Classify with what each column added to each class's logit: an explanation for each of Classes, in their order.
func (m *Model) ExplainClasses(row []Value) (classes []Explanation, predicted int, err error) {
	if m.Classes == nil {
		return nil, 0, ErrLabel
	}
	e, err := m.encode(row)
	if err != nil {
		return nil, 0, err
	}
	classes, logits := make([]Explanation, len(m.Classes)), make([]float64, len(m.Classes))
	for k := range classes {
		classes[k] = m.explain(e, k)
		logits[k] = classes[k].Logit
	}
	probabilities, predicted := softmax(logits)
	for k, p := range probabilities {
		classes[k].Probability = p
	}
	return classes, predicted, nil
}

// softmax gives exp(logit) by the total of these, and the first of the largest.
func softmax(logits []float64) (probabilities []float64, first int) {
	for k, l := range logits {
		if l > logits[first] {
			first = k
		}
	}
	probabilities = make([]float64, len(logits))
	total := 0.0
	for k, l := range logits {
		probabilities[k] = math.Exp(l - logits[first])
		total += probabilities[k]
	}
	for k := range probabilities {
		probabilities[k] /= total
	}
	return probabilities, first
}

// classes reads the label's classes.
func (o *object) classes() []string {
	list := o.list("classes")
	if n := len(list); *o.err == nil && (n < 2 || n > maxClasses) {
		o.fail("classes", "%d classes, want 2 to %d", n, maxClasses)
	}
	if *o.err != nil {
		return nil
	}
	out, seen := make([]string, len(list)), map[string]bool{}
	for i, raw := range list {
		if string(raw) == "null" || json.Unmarshal(raw, &out[i]) != nil || !printable(out[i]) || seen[out[i]] {
			o.fail(fmt.Sprintf("classes[%d]", i), "want 1 to %d bytes without control characters, and no class twice", pipeline.MaxNameBytes)
			return nil
		}
		seen[out[i]] = true
	}
	return out
}

// plural is the key of what a model with classes has by class.
func (m *Model) plural(key string) string {
	if m.Classes != nil {
		return key + "s"
	}
	return key
}

// byClass reads a number, or one for each class.
func (m *Model) byClass(o *object, key string) []float64 {
	if m.Classes != nil {
		return o.numbers(m.plural(key), len(m.Classes), maxCoefficient)
	}
	return []float64{o.number(key, maxCoefficient)}
}
