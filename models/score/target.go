package score

import "tributary/models/pipeline"

// LinearRegression is a linear model of a label that is a number.
const LinearRegression = "linear_regression"

// Range is that of a label that is a number.
type Range struct{ Min, Max float64 }

// clamp keeps a prediction to what the label can be.
func (r *Range) clamp(sum float64) float64 { return min(max(sum, r.Min), r.Max) }

// readTarget reads the label, if it is a number.
func (m *Model) readTarget(doc *object) {
	numbers := m.Type == LinearRegression || m.Type == FactorizationMachine
	doc.foreign(!numbers, "label")
	if *doc.err != nil || !numbers || m.Type == FactorizationMachine && !doc.has("label") {
		return
	}
	o := doc.object("label")
	o.only("min", "max", "mean", "sd")
	m.Target = &Range{o.number("min", pipeline.MaxMagnitude), o.number("max", pipeline.MaxMagnitude)}
	if r := m.Target; *o.err == nil && !(r.Min < r.Max) {
		o.fail("min", "%g is not below max %g", r.Min, r.Max)
	}
}

// NumberExplanation says exactly how a row came to the number that is predicted: Sum is Intercept and the sum of all contributions,
// up to rounding, and Prediction is it within the label's range. All are in the label's unit.
type NumberExplanation struct {
	Prediction float64              `json:"prediction"`
	Sum        float64              `json:"sum"`
	Intercept  float64              `json:"intercept"`
	Columns    []NumberContribution `json:"columns"`         // one for each of Terms, in their order
	Pairs      []NumberPair         `json:"pairs,omitempty"` // of a factorization machine: each pair of columns once, the earlier first
}

// NumberContribution is what a column adds to the sum by itself.
type NumberContribution struct {
	Column  string  `json:"column"`
	Encoded string  `json:"encoded,omitempty"` // of open categories and crosses: the encoded column, such as "city#17"
	Value   float64 `json:"value"`
}

// NumberPair is what two columns add together.
type NumberPair struct {
	First  string  `json:"first"`
	Second string  `json:"second"`
	Value  float64 `json:"value"`
}

// ExplainNumber is Explain of a model whose label is a number. The error is a *RecordError, or ErrLabel for other models.
func (m *Model) ExplainNumber(row []Value) (*NumberExplanation, error) {
	if m.Target == nil {
		return nil, ErrLabel
	}
	e, err := m.encode(row)
	if err != nil {
		return nil, err
	}
	from := m.explain(e, 0)
	out := &NumberExplanation{Prediction: m.Target.clamp(from.Logit), Sum: from.Logit, Intercept: from.Intercept}
	for _, c := range from.Columns {
		out.Columns = append(out.Columns, NumberContribution{c.Column, c.Encoded, c.Logit})
	}
	for _, p := range from.Pairs {
		out.Pairs = append(out.Pairs, NumberPair{p.First, p.Second, p.Logit})
	}
	return out, nil
}
